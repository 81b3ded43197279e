/* SPDX-License-Identifier: BSD-3-Clause */
#include "gap_gate.h"

#include <errno.h>
#include <string.h>

#define ANSWER_TTL    64
#define EPOCH_AT      4 /* in a session: feed, shard, epoch */
#define SEQUENCE_SIZE 8

int atr_gap_gate_init(struct atr_gap_gate *gate, uint64_t per_second, uint64_t burst)
{
	struct rte_meter_srtcm_params one = {.cir = per_second, .cbs = burst};
	struct rte_meter_srtcm_params all = {.cir = per_second * ATR_GAP_TOGETHER,
					     .cbs = burst * ATR_GAP_TOGETHER};

	memset(gate, 0, sizeof(*gate));
	if (per_second == 0 || burst == 0 || per_second > UINT32_MAX || burst > UINT32_MAX ||
	    rte_meter_srtcm_profile_config(&gate->one_profile, &one) < 0 ||
	    rte_meter_srtcm_profile_config(&gate->all_profile, &all) < 0 ||
	    rte_meter_srtcm_config(&gate->all, &gate->all_profile) < 0)
		return -EINVAL;
	return 0;
}

int atr_gap_wanted(const uint8_t *data, size_t length, struct atr_gap_wanted *wanted)
{
	struct atr_mold_hdr hdr;
	uint32_t epoch;
	int err = atr_mold_request_parse(data, length, &hdr);

	if (err)
		return err;
	memcpy(wanted->session, hdr.session, sizeof(wanted->session));
	wanted->sequence = 0;
	for (unsigned int i = 0; i < SEQUENCE_SIZE; i++)
		wanted->sequence = wanted->sequence << 8 | hdr.sequence[i];
	wanted->count = (uint16_t)(hdr.count[0] << 8 | hdr.count[1]);
	return atr_mold_session_parse(hdr.session, &wanted->feed, &wanted->shard, &epoch) ? -EBADMSG
											  : 0;
}

/* Of a feed in the plan, one of our shards, and the epoch of the feed's session here. */
static bool session_is_ours(const struct atr_feeds *feeds, const struct atr_program *program,
			    unsigned int shards, const struct atr_gap_wanted *wanted)
{
	const struct atr_plan *plan = program->plan;

	return plan && wanted->feed < plan->feed_slots && plan->feeds[wanted->feed].present &&
	       wanted->shard < shards &&
	       memcmp(wanted->session + EPOCH_AT, feeds->feed[wanted->feed].session + EPOCH_AT,
		      ATR_MOLD_SESSION_SIZE - EPOCH_AT) == 0;
}

static bool subscribes(const struct atr_feed_routes *routes, const struct atr_iface *iface,
		       const struct atr_gap_asker *asker)
{
	uint32_t hosts =
		iface->prefix_length ? UINT32_MAX >> 1 >> (iface->prefix_length - 1) : UINT32_MAX;
	bool on_subnet = ((asker->ip ^ iface->ip) & ~hosts) == 0;

	if (!atr_net_answerable(iface, &asker->mac, asker->ip, asker->port))
		return false;
	for (unsigned int d = 0; d < routes->count; d++) {
		const struct atr_route *route = &routes->route[d];

		if (route->flow.dst_ip == asker->ip)
			return true;
		if (atr_net_is_multicast(route->flow.dst_ip) && route->iface == asker->iface &&
		    on_subnet)
			return true;
	}
	return false;
}

static bool may_ask_now(struct atr_gap_gate *gate, uint32_t ip, uint64_t now_tsc)
{
	unsigned int at = 0;

	for (unsigned int i = 0; i < ATR_GAP_REQUESTERS; i++) {
		if (gate->ip[i] == ip) {
			at = i;
			break;
		}
		if (gate->seen_tsc[i] < gate->seen_tsc[at])
			at = i;
	}
	if (gate->ip[at] != ip) {
		gate->ip[at] = ip;
		rte_meter_srtcm_config(&gate->meter[at], &gate->one_profile);
	}
	gate->seen_tsc[at] = now_tsc;
	return rte_meter_srtcm_color_blind_check(&gate->meter[at], &gate->one_profile, now_tsc,
						 1) == RTE_COLOR_GREEN &&
	       rte_meter_srtcm_color_blind_check(&gate->all, &gate->all_profile, now_tsc, 1) ==
		       RTE_COLOR_GREEN;
}

static enum atr_gap_verdict answer(struct atr_feeds *feeds, const struct atr_program *program,
				   unsigned int shard, const struct atr_gap_asker *asker,
				   const struct atr_gap_wanted *wanted)
{
	const struct atr_feed_out *out = &feeds->feed[wanted->feed];
	struct atr_flow flow = {.dst_mac = asker->mac,
				.dst_ip = asker->ip,
				.dst_port = asker->port,
				.src_port = program->ports.feed,
				.ttl = ANSWER_TTL};

	if (wanted->sequence == 0)
		return ATR_GAP_NOT_THERE;
	if (wanted->shard == shard) {
		if (wanted->sequence >= out->next_sequence - out->open_count)
			return ATR_GAP_NOT_THERE;
		if (atr_feeds_resend(feeds, wanted->feed, wanted->sequence, asker->iface, &flow))
			return ATR_GAP_MEMORY;
	}
	return program->waiting_feeds >> wanted->feed & 1 ? ATR_GAP_LOG : ATR_GAP_NOT_THERE;
}

enum atr_gap_verdict atr_gap_judge(struct atr_gap_gate *gate, struct atr_feeds *feeds,
				   const struct atr_program *program, unsigned int shard,
				   unsigned int shards, const struct atr_gap_asker *asker,
				   uint64_t now_tsc)
{
	enum atr_gap_verdict verdict;
	struct atr_gap_wanted wanted;

	if (atr_gap_wanted(asker->data, ATR_NET_REQUEST_SIZE, &wanted) < 0)
		verdict = ATR_GAP_MALFORMED;
	else if (!session_is_ours(feeds, program, shards, &wanted))
		verdict = ATR_GAP_UNKNOWN_SESSION;
	else if (!subscribes(&program->routes[wanted.feed], &feeds->ifaces[asker->iface], asker))
		verdict = ATR_GAP_NOT_SUBSCRIBER;
	else if (!may_ask_now(gate, asker->ip, now_tsc))
		verdict = ATR_GAP_OVER_RATE;
	else
		verdict = answer(feeds, program, shard, asker, &wanted);
	gate->verdicts[verdict]++;
	return verdict;
}
