/* SPDX-License-Identifier: BSD-3-Clause */
#include "output.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/sign/sign.h"
#include "capture.h"
#include "event_line.h"

#define RATE_DEFAULT    20000
#define PER_MILLION     1000000u
#define SEND_BUFFER     (4 << 20)
#define FULL_WAIT_MS    100
#define FULL_TRIES      20
#define PACE_MARGIN_NS  (200 * UINT64_C(1000)) /* shorter sleeps cost more than they hold back */
#define DEFAULT_ETH_SRC "02:00:00:00:00:02"
#define DEFAULT_ETH_DST "02:00:00:00:00:01"
#define MAC_TEXT        17 /* "02:00:00:00:00:01" */
#define DEFAULT_PORT    40000

uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

static int parse_mac(const char *text, uint8_t mac[MAC_SIZE])
{
	if (strlen(text) != MAC_TEXT)
		return -EINVAL;
	for (unsigned int i = 0; i < MAC_SIZE; i++) {
		const char *byte = text + (size_t)i * 3;
		char hex[2] = {(char)tolower(byte[0]), (char)tolower(byte[1])};

		if ((i + 1 < MAC_SIZE && byte[2] != ':') || atr_hex_decode(hex, 2, &mac[i], 1))
			return -EINVAL;
	}
	return 0;
}

static int open_capture(struct output *o, char *error)
{
	const struct output_params *p = o->params;

	if (parse_mac(p->eth_src ? p->eth_src : DEFAULT_ETH_SRC, o->mac_src) ||
	    parse_mac(p->eth_dst ? p->eth_dst : DEFAULT_ETH_DST, o->mac_dst)) {
		snprintf(error, ERROR_SIZE, "--eth-src and --eth-dst look like %s",
			 DEFAULT_ETH_SRC);
		return -EINVAL;
	}
	if (!p->from.given) {
		snprintf(error, ERROR_SIZE, "--save needs --from IP[:PORT]: the packets' sender");
		return -EINVAL;
	}
	o->pcap = pcap_open_dead(DLT_EN10MB, CAPTURE_SNAPLEN);
	o->dumper = o->pcap ? pcap_dump_open(o->pcap, p->save) : NULL;
	if (!o->dumper) {
		snprintf(error, ERROR_SIZE, "%s", o->pcap ? pcap_geterr(o->pcap) : "out of memory");
		if (o->pcap)
			pcap_close(o->pcap);
		return -EINVAL;
	}
	return 0;
}

static int open_socket(struct output *o, char *error)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(o->params->to.port),
				 .sin_addr.s_addr = htonl(o->params->to.ip)};
	struct sockaddr_in from = {.sin_family = AF_INET,
				   .sin_port = htons(o->params->from.port),
				   .sin_addr.s_addr = htonl(o->params->from.ip)};
	int size = SEND_BUFFER;

	o->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (o->fd < 0) {
		snprintf(error, ERROR_SIZE, "socket: %s", strerror(errno));
		return -EINVAL;
	}
	/* Best effort: the kernel's limits may cut it, and pacing does not rely on it. */
	setsockopt(o->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(o->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (o->params->from.given && bind(o->fd, (struct sockaddr *)&from, sizeof(from))) {
		snprintf(error, ERROR_SIZE,
			 "--from: %s; give an address of this machine and a free port",
			 strerror(errno));
		goto fail;
	}
	if (connect(o->fd, (struct sockaddr *)&to, sizeof(to))) {
		snprintf(error, ERROR_SIZE, "--to: %s; is there a route ('ip route get ...')?",
			 strerror(errno));
		goto fail;
	}
	return 0;
fail:
	close(o->fd);
	o->fd = -1;
	return -EINVAL;
}

int output_open(struct output *o, const struct output_params *params, char *error)
{
	uint64_t rate = params->rate.given ? params->rate.value : RATE_DEFAULT;

	memset(o, 0, sizeof(*o));
	o->fd = -1;
	o->params = params;
	o->loss_state = params->loss.seed;
	o->interval_ns = params->save || rate == 0 ? 0 : NS_PER_S / rate;
	if (!params->to.given || params->to.port == 0) {
		snprintf(error, ERROR_SIZE, "--to IP:PORT is needed: where the datagrams go");
		return -EINVAL;
	}
	o->started_ns = o->next_ns = now_monotonic_ns();
	return params->save ? open_capture(o, error) : open_socket(o, error);
}

static void pace(struct output *o)
{
	uint64_t now;
	struct timespec until;

	if (o->interval_ns == 0)
		return;
	now = now_monotonic_ns();
	if (o->next_ns > now + PACE_MARGIN_NS) {
		until.tv_sec = (time_t)(o->next_ns / NS_PER_S);
		until.tv_nsec = (long)(o->next_ns % NS_PER_S);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
	} else if (now > o->next_ns + NS_PER_MS) {
		/* Time lost is not made up for in a burst. */
		o->next_ns = now;
	}
	o->next_ns += o->interval_ns;
}

static void failed(struct output *o, const char *what, int err)
{
	if (o->failed++ == 0)
		snprintf(o->error, sizeof(o->error), "%s: %s", what, strerror(err));
}

static bool send_datagram(struct output *o, const uint8_t *data, size_t length)
{
	struct pollfd wait = {.fd = o->fd, .events = POLLOUT};

	for (unsigned int tries = 0; tries < FULL_TRIES; tries++) {
		if (send(o->fd, data, length, 0) >= 0)
			return true;
		if (errno == ECONNREFUSED || errno == EINTR)
			continue; /* an error of an earlier datagram; this one was not sent yet */
		if (errno != EAGAIN && errno != ENOBUFS)
			break;
		poll(&wait, 1, FULL_WAIT_MS);
	}
	failed(o, "send", errno);
	return false;
}

static bool dump_datagram(struct output *o, const uint8_t *data, size_t length)
{
	uint8_t packet[CAPTURE_SNAPLEN];
	struct pcap_pkthdr header;
	struct capture_flow flow = {
		.src_ip = o->params->from.ip,
		.dst_ip = o->params->to.ip,
		.src_port = o->params->from.port ? o->params->from.port : DEFAULT_PORT,
		.dst_port = o->params->to.port,
	};
	uint64_t now = now_unix_ns();
	int n;

	memcpy(flow.mac_src, o->mac_src, MAC_SIZE);
	memcpy(flow.mac_dst, o->mac_dst, MAC_SIZE);
	n = capture_build(&flow, data, length, packet, sizeof(packet));
	if (n < 0) {
		failed(o, "packet", -n);
		return false;
	}
	header.ts.tv_sec = (time_t)(now / NS_PER_S);
	header.ts.tv_usec = (suseconds_t)(now % NS_PER_S / 1000);
	header.caplen = header.len = (bpf_u_int32)n;
	pcap_dump((u_char *)o->dumper, &header, packet);
	return true;
}

void output_send(struct output *o, const uint8_t *data, size_t length)
{
	uint64_t copies = o->params->repeat.given ? o->params->repeat.value : 1;

	for (uint64_t i = 0; i < copies; i++) {
		if (o->params->loss.given &&
		    random_next(&o->loss_state) % PER_MILLION < o->params->loss.per_million) {
			o->lost++;
			continue;
		}
		pace(o);
		if (o->dumper ? dump_datagram(o, data, length) : send_datagram(o, data, length)) {
			o->sent++;
			o->bytes += length;
		}
	}
	o->ended_ns = now_monotonic_ns();
	if (o->progress && progress_due(o->progress))
		progress_show(o->progress, "sent %llu datagrams, %llu MB",
			      (unsigned long long)o->sent,
			      (unsigned long long)(o->bytes / 1000000));
}

void output_put(struct output *o, const uint8_t *data, size_t length)
{
	struct output_item item = {.data = NULL, .length = length};

	if (!o->params->shuffle.given) {
		output_send(o, data, length);
		return;
	}
	if (o->held_count == o->held_capacity) {
		size_t capacity = o->held_capacity ? 2 * o->held_capacity : 1024;
		struct output_item *larger = realloc(o->held, capacity * sizeof(*larger));

		if (!larger) {
			failed(o, "shuffle", ENOMEM);
			return;
		}
		o->held = larger;
		o->held_capacity = capacity;
	}
	item.data = malloc(length);
	if (!item.data) {
		failed(o, "shuffle", ENOMEM);
		return;
	}
	memcpy(item.data, data, length);
	o->held[o->held_count++] = item;
}

ssize_t output_receive(struct output *o, uint8_t *data, size_t size)
{
	ssize_t n;

	if (o->fd < 0)
		return -1;
	do
		n = recv(o->fd, data, size, MSG_DONTWAIT);
	while (n < 0 && (errno == ECONNREFUSED || errno == EINTR));
	return n;
}

void output_flush(struct output *o)
{
	uint64_t state = o->params->shuffle.value;

	for (size_t i = o->held_count; i > 1; i--) {
		size_t k = random_next(&state) % i;
		struct output_item swap = o->held[i - 1];

		o->held[i - 1] = o->held[k];
		o->held[k] = swap;
	}
	for (size_t i = 0; i < o->held_count; i++) {
		output_send(o, o->held[i].data, o->held[i].length);
		free(o->held[i].data);
	}
	free(o->held);
	o->held = NULL;
	o->held_count = o->held_capacity = 0;
}

int output_close(struct output *o)
{
	int err = 0;

	for (size_t i = 0; i < o->held_count; i++)
		free(o->held[i].data);
	free(o->held);
	if (o->dumper) {
		if (pcap_dump_flush(o->dumper))
			err = -EIO;
		pcap_dump_close(o->dumper);
	}
	if (o->pcap)
		pcap_close(o->pcap);
	if (o->fd >= 0)
		close(o->fd);
	return err;
}
