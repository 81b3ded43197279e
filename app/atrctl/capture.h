/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets of capture files: UDP datagrams in IPv4 in Ethernet, written and found. */
#ifndef ATRCTL_CAPTURE_H
#define ATRCTL_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

#define CAPTURE_SNAPLEN 16384

struct capture_flow {
	uint8_t mac_src[6], mac_dst[6];
	uint32_t src_ip, dst_ip;     /* host byte order */
	uint16_t src_port, dst_port; /* host byte order */
};

/* Writes an Ethernet packet with valid checksums to out and returns its length; -EMSGSIZE if the
 * datagram or the packet is too large. */
int capture_build(const struct capture_flow *flow, const uint8_t *data, size_t length, uint8_t *out,
		  size_t capacity);

/* Finds the UDP datagram in a packet of a link type (DLT_*); up to two VLAN tags are stepped over.
 * 0; -ENOENT if the packet is no UDP over IPv4; or a reason (positive): ATR_REASON_IP_MALFORMED,
 * IP_CHECKSUM, IP_FRAGMENT, UDP_MALFORMED, UDP_CHECKSUM. flow is filled as far as was read. */
int capture_find(int link_type, const uint8_t *packet, size_t length, struct capture_flow *flow,
		 const uint8_t **data, size_t *data_length);

#endif
