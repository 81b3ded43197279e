/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>

#include "subscriber_internal.h"
#include "udp.h"

#define BUFFER_DEFAULT     16384
#define BUFFER_MAX         (1u << 20)
#define REQUESTS_DEFAULT   8
#define RETRY_MS_DEFAULT   50
#define TIMEOUT_MS_DEFAULT 5000
#define TIMEOUT_MS_NOBODY  100
#define NS_PER_MS          UINT64_C(1000000)

static int refuse(char *error, size_t size, const char *why)
{
	snprintf(error, size, "%s", why);
	return -EINVAL;
}

static int fill_defaults(struct atr_subscriber *s, char *error, size_t size)
{
	struct atr_subscriber_config *c = &s->config;

	if (c->size != sizeof(*c))
		return refuse(error, size,
			      "config.size must be sizeof(struct atr_subscriber_config); is the "
			      "header of another version than the library?");
	if (!c->bind || !c->message)
		return refuse(error, size, "bind and message are needed");
	if (c->session && strlen(c->session) != ATR_SUBSCRIBER_SESSION)
		return refuse(error, size, "a session has 10 characters");
	if (c->buffer > BUFFER_MAX || c->requests > ORDER_REQUESTS_MAX)
		return refuse(error, size, "buffer is at most 1048576, requests at most 64");
	if (c->session) {
		s->one_session = true;
		memcpy(s->session, c->session, sizeof(s->session));
	}
	s->params = (struct order_params){
		.from = c->from,
		.buffer = c->buffer ? c->buffer : BUFFER_DEFAULT,
		.requests = !c->request   ? 0
			    : c->requests ? c->requests
					  : REQUESTS_DEFAULT,
		.retry_ns = (c->retry_ms ? c->retry_ms : RETRY_MS_DEFAULT) * NS_PER_MS,
		.timeout_ns = (c->gap_timeout_ms ? c->gap_timeout_ms
			       : c->request      ? TIMEOUT_MS_DEFAULT
						 : TIMEOUT_MS_NOBODY) *
			      NS_PER_MS,
	};
	return 0;
}

static int join(struct atr_subscriber *s, char *error, size_t size)
{
	struct udp_address group, interface = {0};
	int err;

	if (!s->config.group)
		return 0;
	if (udp_parse(s->config.group, &group) || !IN_MULTICAST(ntohl(group.ip)))
		return refuse(error, size, "group is no multicast address such as 239.1.2.3");
	if (s->config.interface && udp_parse(s->config.interface, &interface))
		return refuse(error, size, "interface is no address of this machine");
	err = udp_join(s->fd, group.ip, interface.ip);
	if (err)
		snprintf(error, size,
			 "the group cannot be joined: %s; name the interface's address",
			 strerror(-err));
	return err;
}

static int open_sockets(struct atr_subscriber *s, char *error, size_t size)
{
	struct udp_address at, to;
	int err;

	if (udp_parse(s->config.bind, &at) || at.port == 0)
		return refuse(error, size, "bind is no IP:PORT such as 10.77.0.2:26501");
	s->fd = udp_open(&at, NULL, error, size);
	if (s->fd < 0)
		return s->fd;
	err = join(s, error, size);
	if (err || !s->config.request)
		return err;
	if (udp_parse(s->config.request, &to) || to.port == 0)
		return refuse(error, size, "request is no IP:PORT such as 10.77.0.1:26401");
	/* The appliance knows its subscribers by their address. */
	at.port = 0;
	s->request_fd = udp_open(IN_MULTICAST(ntohl(at.ip)) ? NULL : &at, &to, error, size);
	return s->request_fd < 0 ? s->request_fd : 0;
}

struct atr_subscriber *atr_subscriber_open(const struct atr_subscriber_config *config, char *error,
					   size_t size)
{
	struct atr_subscriber *s = calloc(1, sizeof(*s));

	if (!s) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	s->config = *config;
	s->fd = s->request_fd = -1;
	subscriber_sink(s);
	if (fill_defaults(s, error, size) == 0 && open_sockets(s, error, size) == 0)
		return s;
	atr_subscriber_close(s);
	return NULL;
}

void atr_subscriber_close(struct atr_subscriber *s)
{
	if (!s)
		return;
	for (unsigned int i = 0; i < s->count; i++)
		order_free(s->order[i]);
	if (s->fd >= 0)
		close(s->fd);
	if (s->request_fd >= 0)
		close(s->request_fd);
	free(s);
}
