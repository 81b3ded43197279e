/* SPDX-License-Identifier: BSD-3-Clause */
/* The fake appliance behind a UDP socket: peer LOSS SEED. Prints its port and key for
 * acknowledgements, loses so many percent of what comes and goes, and at the end of its input
 * prints what it has seen. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_appliance.h"
#include "memory_files.h"

#define WINDOW   4096
#define FLUSH_MS 2

struct peer {
	int fd;
	struct sockaddr_in producer;
	unsigned int loss;
	uint64_t random;
};

static bool lost(struct peer *p)
{
	return test_random(&p->random) % 100 < p->loss;
}

static void emit(void *context, const struct atr_ack_address *to, const uint8_t *payload,
		 size_t length)
{
	struct peer *p = context;

	(void)to;
	if (!lost(p))
		sendto(p->fd, payload, length, 0, (struct sockaddr *)&p->producer,
		       sizeof(p->producer));
}

static void receive(struct peer *p, struct fake_appliance *appliance)
{
	uint8_t datagram[ATR_DATAGRAM_MAX];
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(p->fd, datagram, sizeof(datagram), MSG_DONTWAIT,
			     (struct sockaddr *)&from, &size)) >= 0) {
		p->producer = from;
		if (lost(p))
			fake_overhear(appliance, datagram, (size_t)n);
		else
			fake_take(appliance, datagram, (size_t)n);
	}
}

int main(int argc, char **argv)
{
	struct fake_appliance *appliance = fake_create(WINDOW);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct pollfd p[2] = {{.events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
	struct peer peer = {.fd = socket(AF_INET, SOCK_DGRAM, 0)};
	socklen_t size = sizeof(at);
	char byte;

	if (argc != 3 || bind(peer.fd, (struct sockaddr *)&at, sizeof(at)) ||
	    getsockname(peer.fd, (struct sockaddr *)&at, &size))
		return EXIT_FAILURE;
	peer.loss = (unsigned int)atoi(argv[1]);
	peer.random = (uint64_t)atoi(argv[2]);
	p[0].fd = peer.fd;
	printf("%u %s\n", ntohs(at.sin_port), appliance->acks_key);
	fflush(stdout);
	for (;;) {
		poll(p, 2, FLUSH_MS);
		receive(&peer, appliance);
		fake_flush(appliance, emit, &peer);
		if (p[1].revents && read(STDIN_FILENO, &byte, 1) <= 0)
			break;
	}
	printf("{\"frames\":%llu,\"admitted\":%llu,\"duplicates\":%llu,\"stale\":%llu,"
	       "\"reused\":%llu,\"unproven\":%llu,\"next\":%llu}\n",
	       (unsigned long long)appliance->frames, (unsigned long long)appliance->admitted,
	       (unsigned long long)appliance->duplicates, (unsigned long long)appliance->stale,
	       (unsigned long long)appliance->reused, (unsigned long long)appliance->unproven,
	       (unsigned long long)appliance->next);
	close(peer.fd);
	fake_free(appliance);
	return EXIT_SUCCESS;
}
