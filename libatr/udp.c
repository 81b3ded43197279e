/* SPDX-License-Identifier: BSD-3-Clause */
#include "udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES (8 << 20)
#define SEND_TRIES   3
#define DECIMAL      10

int udp_parse(const char *text, struct udp_address *address)
{
	const char *colon = strchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : strlen(text);
	char ip[INET_ADDRSTRLEN], *end;
	struct in_addr parsed;
	unsigned long port = 0;

	if (length >= sizeof(ip))
		return -EINVAL;
	memcpy(ip, text, length);
	ip[length] = '\0';
	if (inet_pton(AF_INET, ip, &parsed) != 1)
		return -EINVAL;
	if (colon) {
		port = strtoul(colon + 1, &end, DECIMAL);
		if (colon[1] < '0' || colon[1] > '9' || *end || port > UINT16_MAX)
			return -EINVAL;
	}
	address->ip = parsed.s_addr;
	address->port = htons((uint16_t)port);
	return 0;
}

static struct sockaddr_in socket_address(const struct udp_address *address)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = address->port, .sin_addr.s_addr = address->ip};
}

/* Beyond the kernel's limit only root may ask; all of it is best effort. */
static void enlarge(int fd)
{
	int size = BUFFER_BYTES;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

int udp_open(const struct udp_address *from, const struct udp_address *to, char *error, size_t size)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, err;
	struct sockaddr_in at;

	if (fd < 0) {
		err = -errno;
		snprintf(error, size, "socket: %s", strerror(-err));
		return err;
	}
	enlarge(fd);
	if (from) {
		at = socket_address(from);
		/* Several subscribers of one group share its port. */
		if (IN_MULTICAST(ntohl(from->ip)) || from->ip == 0)
			setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (bind(fd, (struct sockaddr *)&at, sizeof(at))) {
			err = -errno;
			snprintf(error, size,
				 "cannot bind: %s; give an address of this machine and a free port",
				 strerror(-err));
			goto fail;
		}
	}
	if (to) {
		at = socket_address(to);
		if (connect(fd, (struct sockaddr *)&at, sizeof(at))) {
			err = -errno;
			snprintf(error, size,
				 "cannot send there: %s; is there a route ('ip route get ...')?",
				 strerror(-err));
			goto fail;
		}
	}
	return fd;
fail:
	close(fd);
	return err;
}

int udp_send(int fd, const void *data, size_t length)
{
	/* A refused connection tells of an earlier datagram; this one was not sent yet. */
	for (unsigned int tries = 0; tries < SEND_TRIES; tries++) {
		if (send(fd, data, length, 0) >= 0)
			return 0;
		if (errno != ECONNREFUSED && errno != EINTR)
			break;
	}
	return errno == ENOBUFS ? -EAGAIN : -errno;
}

int udp_receive(int fd, void *buffer, size_t size)
{
	ssize_t n;

	do
		n = recv(fd, buffer, size, 0);
	while (n < 0 && (errno == EINTR || errno == ECONNREFUSED));
	return n < 0 ? -errno : (int)n;
}

int udp_join(int fd, uint32_t group, uint32_t interface)
{
	struct ip_mreq request = {.imr_multiaddr.s_addr = group, .imr_interface.s_addr = interface};

	return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request)) ? -errno
											: 0;
}
