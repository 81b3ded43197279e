/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a received packet: classification, ARP and ICMP answers. Byte 0 chooses the
 * interface and the port's flags, the rest is the packet, in an exact-size heap block. */
#include <stdlib.h>
#include <string.h>

#include "../../lib/net/net.h"

#define UDP_PORT  5000
#define FEED_PORT 5001
#define VLAN      42

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t group = 0xEF010101;
	const struct atr_groups groups = {&group, 1};
	const struct atr_net_ports ports = {UDP_PORT, FEED_PORT};
	struct atr_iface iface = {.vlan = ATR_VLAN_NONE,
				  .mtu = 1500,
				  .prefix_length = 24,
				  .ip = 0x0A000002,
				  .mac = {{0x02, 0x11, 0x22, 0x33, 0x44, 0x55}}};
	struct atr_net_datagram datagram;
	struct rte_ether_addr mac;
	struct rte_mbuf mbuf;
	uint32_t ip;

	if (size < 1 || size > UINT16_MAX)
		return 0;
	memset(&mbuf, 0, sizeof(mbuf));
	iface.vlan = data[0] & 1 ? VLAN : ATR_VLAN_NONE;
	iface.rx_checksum = data[0] & 2;
	if (data[0] & 4)
		mbuf.ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	if (data[0] & 8)
		mbuf.ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	mbuf.vlan_tci = VLAN;
	mbuf.nb_segs = 1;
	rte_mbuf_refcnt_set(&mbuf, 1);
	mbuf.data_len = mbuf.buf_len = (uint16_t)(size - 1);
	mbuf.pkt_len = mbuf.data_len;
	mbuf.buf_addr = malloc(size - 1 ? size - 1 : 1);
	if (!mbuf.buf_addr)
		return 0;
	memcpy(mbuf.buf_addr, data + 1, size - 1);
	switch (atr_net_classify(&mbuf, &iface, &groups, &ports, &datagram)) {
	case ATR_NET_DATAGRAM:
		if ((size_t)datagram.offset + datagram.length > size - 1)
			abort();
		break;
	case ATR_NET_REQUEST:
		if (datagram.length != ATR_NET_REQUEST_SIZE ||
		    (size_t)datagram.offset + datagram.length > size - 1)
			abort();
		break;
	case ATR_NET_REFUSED:
		if (datagram.reason == 0)
			abort();
		break;
	default: break;
	}
	atr_net_icmp_answer(&mbuf, &iface);
	atr_net_arp_answer(&mbuf, &iface, &ip, &mac);
	if (mbuf.data_len > mbuf.buf_len - mbuf.data_off)
		abort();
	free(mbuf.buf_addr);
	return 0;
}
