/* SPDX-License-Identifier: BSD-3-Clause */
/* UDP sockets and addresses as texts. Any thread. */
#ifndef LIBATR_UDP_H
#define LIBATR_UDP_H

#include <stddef.h>
#include <stdint.h>

/* Network byte order. Does not include netinet headers where only addresses are needed. */
struct udp_address {
	uint32_t ip;
	uint16_t port; /* 0 if not given */
};

/* "IP" or "IP:PORT"; -EINVAL. */
int udp_parse(const char *text, struct udp_address *address);

/* A socket that does not block, bound if `from` is not NULL, connected if `to` is not NULL. The
 * descriptor; negative errno with a sentence in error. */
int udp_open(const struct udp_address *from, const struct udp_address *to, char *error,
	     size_t size);

/* Sends to where the socket is connected. 0; -EAGAIN; negative errno. */
int udp_send(int fd, const void *data, size_t length);

/* Length of the datagram taken; -EAGAIN if there is none; negative errno. */
int udp_receive(int fd, void *buffer, size_t size);

/* Joins a multicast group on the interface with this address (0: any). 0 or negative errno. */
int udp_join(int fd, uint32_t group, uint32_t interface);

#endif
