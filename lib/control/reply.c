/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers to envelopes: RFC 8785 bytes, written with sorted members by hand. No text of the request
 * is ever repeated but its UUID. */
#include <stdio.h>
#include <string.h>

#include <rte_ip.h>

#include "control.h"

#define REPLY_MAX 320
#define REPLY_TTL 64

static int text(const struct atr_reply *reply, enum atr_durability durability, char *out,
		size_t size)
{
	char id[64] = "null";

	if (reply->uuid) {
		id[0] = '"';
		atr_uuid_format(reply->uuid, id + 1);
		id[37] = '"';
		id[38] = '\0';
	}
	if (reply->reason == ATR_OK || reply->reason == ATR_DUPLICATE)
		return snprintf(out, size,
				"{\"atr\":1,\"durability\":\"%s\",\"id\":%s,\"position\":%llu,"
				"\"result\":\"%s\",\"shard\":%u}",
				atr_durability_name(durability), id,
				(unsigned long long)reply->position,
				reply->reason == ATR_OK ? "admitted" : "duplicate", reply->shard);
	return snprintf(out, size,
			"{\"atr\":1,\"final\":%s,\"gate\":\"%s\",\"id\":%s,\"reason\":\"%s\","
			"\"result\":\"refused\"}",
			atr_reason_is_final(reply->reason) ? "true" : "false",
			atr_gate_name(atr_reason_gate(reply->reason)), id,
			atr_reason_name(reply->reason));
}

void atr_control_reply(struct atr_control *control, const struct rte_mbuf *request, uint32_t shard,
		       const struct atr_reply *reply)
{
	const struct atr_meta *meta = atr_meta((struct rte_mbuf *)(uintptr_t)request);
	const struct atr_iface *iface = &control->ifaces[meta->port_id];
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(request, const struct rte_ether_hdr *);
	uint16_t hdr_size = atr_net_hdr_size(iface);
	char json[REPLY_MAX];
	int length = text(reply, control->durability, json, sizeof(json));
	struct rte_mbuf *m;
	uint8_t *payload;

	if (control->stopping)
		return;
	if (length < 0 || length >= meta->length ||
	    !atr_net_answerable(iface, &eth->src_addr, meta->src_ip, meta->src_port)) {
		control->stats.replies_withheld++;
		return;
	}
	m = rte_pktmbuf_alloc(control->payloads);
	if (!m) {
		control->stats.replies_dropped++;
		return;
	}
	m->data_len = (uint16_t)(hdr_size + length);
	m->pkt_len = m->data_len;
	payload = rte_pktmbuf_mtod_offset(m, uint8_t *, hdr_size);
	memcpy(payload, json, (size_t)length);
	struct atr_flow flow = {
		/* Back to the station that the request came from: no resolution needed. */
		.dst_mac = eth->src_addr,   .dst_ip = meta->src_ip,
		.dst_port = meta->src_port, .src_port = (*control->program_slot)->ports.ingress,
		.ttl = REPLY_TTL,
	};
	atr_net_udp_headers(m, iface, &flow, (uint16_t)length,
			    atr_net_sum(payload, (size_t)length));
	control->stats.replies++;
	atr_control_send(control, shard, meta->port_id, m);
}
