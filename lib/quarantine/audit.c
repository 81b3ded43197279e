/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "../reason/reason.h"
#include "quarantine_internal.h"

#define TIME_SIZE 40

static const char *reason_name(uint8_t reason)
{
	const char *name = atr_reason_name(reason);

	return name ? name : "undeclared";
}

static const char *reason_text(uint8_t reason)
{
	const char *text = atr_reason_text(reason);

	return text ? text : "reason code is not declared";
}

static unsigned int named_events(const struct atr_quarantine_item *item)
{
	unsigned int named = RTE_MIN(item->named, ATR_QUARANTINE_EVENTS);

	return RTE_MIN(named, item->refused_events);
}

size_t comment_write(const struct atr_quarantine_item *item, char *out, size_t size)
{
	struct text text = {out, size, 0, false};
	unsigned int named = named_events(item);

	if (item->is_envelope || named == 0) {
		text_add(&text, "atr: %s (%s): %s", reason_name(item->reason),
			 atr_gate_name(atr_reason_gate(item->reason)), reason_text(item->reason));
		return text.length;
	}
	text_add(&text, "atr: %u of %u events refused", item->refused_events, item->events);
	for (unsigned int i = 0; i < named; i++)
		text_add(&text, "%s event %u seq %" PRIu64 " %s", i == 0 ? ":" : ";",
			 item->event[i].index, item->first_sequence + item->event[i].index,
			 reason_name(item->event[i].reason));
	if (item->refused_events > named)
		text_add(&text, "; ... and %u more", item->refused_events - named);
	return text.length;
}

static void time_text(uint64_t ns, char out[TIME_SIZE])
{
	time_t seconds = (time_t)(ns / SECOND_NS);
	struct tm parts;
	size_t length;

	gmtime_r(&seconds, &parts);
	length = strftime(out, TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(out + length, TIME_SIZE - length, ".%09" PRIu64 "Z", ns % SECOND_NS);
}

/* Source and destination, where the bytes before the payload are IPv4 and UDP. */
static void add_addresses(struct text *text, const struct atr_quarantine_item *item)
{
	struct rte_ether_hdr ether_copy;
	struct rte_ipv4_hdr ip_copy;
	struct rte_udp_hdr udp_copy;
	const struct rte_ether_hdr *ether;
	const struct rte_ipv4_hdr *ip;
	const struct rte_udp_hdr *udp;
	uint32_t l2 = sizeof(*ether), src, dst;

	ether = rte_pktmbuf_read(item->mbuf, 0, sizeof(*ether), &ether_copy);
	if (!ether)
		return;
	if (ether->ether_type == RTE_BE16(RTE_ETHER_TYPE_VLAN))
		l2 += sizeof(struct rte_vlan_hdr);
	else if (ether->ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV4))
		return;
	ip = rte_pktmbuf_read(item->mbuf, l2, sizeof(*ip), &ip_copy);
	if (!ip || ip->version_ihl >> 4 != IPVERSION)
		return;
	src = rte_be_to_cpu_32(ip->src_addr);
	dst = rte_be_to_cpu_32(ip->dst_addr);
	text_add(text, ",\"src\":\"%u.%u.%u.%u\",\"dst\":\"%u.%u.%u.%u\"", src >> 24,
		 (src >> 16) & 0xFF, (src >> 8) & 0xFF, src & 0xFF, dst >> 24, (dst >> 16) & 0xFF,
		 (dst >> 8) & 0xFF, dst & 0xFF);
	if (item->offset < l2 + sizeof(*ip) + sizeof(*udp))
		return;
	udp = rte_pktmbuf_read(item->mbuf, item->offset - sizeof(*udp), sizeof(*udp), &udp_copy);
	if (udp)
		text_add(text, ",\"src_port\":%u,\"dst_port\":%u", rte_be_to_cpu_16(udp->src_port),
			 rte_be_to_cpu_16(udp->dst_port));
}

static void add_head(struct text *text, const struct atr_quarantine_item *item)
{
	char shown[QUARANTINE_HEAD_BYTES * 4 + 1];
	uint8_t copy[QUARANTINE_HEAD_BYTES];
	uint32_t length = RTE_MIN(item->length, QUARANTINE_HEAD_BYTES);
	const uint8_t *bytes = rte_pktmbuf_read(item->mbuf, item->offset, length, copy);

	if (!bytes || length == 0 || item->offset == 0)
		return;
	atr_text_neutralise(bytes, length, shown, sizeof(shown));
	text_add(text, ",\"head\":");
	text_add_json(text, shown);
}

static void add_reason(struct text *text, uint8_t reason)
{
	text_add(text,
		 ",\"reason\":\"%s\",\"code\":%u,\"gate\":\"%s\",\"text\":", reason_name(reason),
		 reason, atr_gate_name(atr_reason_gate(reason)));
	text_add_json(text, reason_text(reason));
}

size_t audit_write(const struct atr_quarantine_item *item, const char *file, uint64_t packet,
		   char *out, size_t size)
{
	struct text text = {out, size, 0, false};
	char when[TIME_SIZE];

	time_text(item->time_ns, when);
	text_add(&text,
		 "{\"time\":\"%s\",\"kind\":\"%s\",\"shard\":%u,\"plan\":%" PRIu64
		 ",\"bytes\":%u,\"length\":%u",
		 when, item->is_envelope ? "envelope" : "datagram", item->shard, item->generation,
		 item->mbuf->pkt_len, item->length);
	add_addresses(&text, item);
	if (item->source != 0)
		text_add(&text, ",\"source\":%u", item->source);
	if (item->events != 0 && !item->is_envelope)
		text_add(&text, ",\"first_sequence\":\"%" PRIu64 "\",\"events\":%u,\"refused\":%u",
			 item->first_sequence, item->events,
			 item->refused_events ? item->refused_events : item->events);
	add_reason(&text, item->reason);
	if (item->detail) {
		text_add(&text, ",\"detail\":");
		text_add_json(&text, item->detail);
	}
	add_head(&text, item);
	text_add(&text, ",\"pcapng\":\"%s\",\"packet\":%" PRIu64 "}\n", file, packet);
	for (unsigned int i = 0; !item->is_envelope && i < named_events(item); i++) {
		text_add(&text,
			 "{\"time\":\"%s\",\"kind\":\"event\",\"shard\":%u,\"plan\":%" PRIu64
			 ",\"source\":%u,\"sequence\":\"%" PRIu64 "\",\"index\":%u",
			 when, item->shard, item->generation, item->source,
			 item->first_sequence + item->event[i].index, item->event[i].index);
		add_reason(&text, item->event[i].reason);
		text_add(&text, ",\"pcapng\":\"%s\",\"packet\":%" PRIu64 "}\n", file, packet);
	}
	return text.overflow ? 0 : text.length;
}
