/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_errno.h>
#include <rte_log.h>

#include "control.h"

#define DRAIN_MAX 32

/* An admitted envelope that no shard will log. */
static void shed(struct atr_control *control, struct rte_mbuf *mbuf, uint32_t shard)
{
	struct atr_book *book = &control->node->book;

	book->datagrams.bridge_in++;
	book->events.bridge_in++;
	book->datagrams.refused[ATR_REASON_SHUTDOWN]++;
	book->events.refused[ATR_REASON_SHUTDOWN]++;
	atr_meta(mbuf)->reason = ATR_REASON_SHUTDOWN;
	atr_control_settled(control, mbuf, shard);
}

static void drain(struct atr_control *control, struct rte_ring *ring, uint32_t shard)
{
	struct atr_msg msg[DRAIN_MAX];
	unsigned int n;

	while ((n = atr_receive(ring, msg, DRAIN_MAX)) > 0) {
		for (unsigned int i = 0; i < n; i++) {
			switch (msg[i].kind) {
			case ATR_MSG_ENVELOPE:
				atr_control_envelope(control, msg[i].ptr, shard);
				break;
			case ATR_MSG_SETTLED:
				atr_control_settled(control, msg[i].ptr, shard);
				break;
			case ATR_MSG_ADMIT: shed(control, msg[i].ptr, shard); break;
			case ATR_MSG_LINK:
			case ATR_MSG_SEND: rte_pktmbuf_free(msg[i].ptr); break;
			}
		}
	}
}

static void drain_handover(struct atr_control *control, struct rte_ring *ring)
{
	struct atr_ledger_node *node = control->node;
	struct atr_msg msg[DRAIN_MAX];
	unsigned int n;

	while ((n = atr_receive(ring, msg, DRAIN_MAX)) > 0) {
		for (unsigned int i = 0; i < n; i++) {
			uint16_t events = atr_meta(msg[i].ptr)->events;

			node->book.datagrams.handover_in++;
			node->book.events.handover_in += events;
			atr_control_refuse(control, msg[i].ptr, ATR_REASON_SHUTDOWN, true);
		}
	}
}

static void save(struct atr_control *control)
{
	const struct atr_program *program = *control->program_slot;
	const struct atr_plan *plan = program->plan;
	int rc = 0;

	for (uint32_t s = 0; plan && rc == 0 && s < plan->source_slots; s++) {
		if (!plan->sources[s].present || program->source[s].reserve->reserved == 0)
			continue;
		rc = atr_state_put(control->state, ATR_STATE_SOURCE, s,
				   atr_window_top(program->source[s].window));
		if (rc < 0) {
			rc = atr_state_sync(control->state);
			s--;
		}
	}
	if (rc == 0)
		rc = atr_state_put(control->state, ATR_STATE_UUID, 0, control->uuid_highest_ms);
	if (rc < 0 && atr_state_sync(control->state) == 0)
		rc = atr_state_put(control->state, ATR_STATE_UUID, 0, control->uuid_highest_ms);
	if (rc == 0)
		rc = atr_state_sync(control->state);
	if (rc < 0)
		rte_log(RTE_LOG_ERR, RTE_LOGTYPE_USER1,
			"atr: state: exact high-waters not saved (%s); the next start refuses up "
			"to "
			"%llu sequences a source as stale\n",
			rte_strerror(-rc), (unsigned long long)ATR_RESERVE_MOST);
}

void atr_control_finish(struct atr_control *control)
{
	control->stopping = true;
	for (unsigned int s = 0; s < control->bridge->shards; s++) {
		drain(control, control->bridge->verify[s], s);
		drain(control, control->bridge->envelopes[s], s);
		drain(control, control->bridge->link[s], s);
		drain(control, control->bridge->down[s], s);
		for (unsigned int to = 0; to < control->bridge->shards; to++)
			if (to != s)
				drain_handover(control, control->bridge->handover[s][to]);
	}
	atr_ledger_poll(control->ledger, control->node);
	/* In class D the log says what was admitted. */
	if (control->durability != ATR_DURABILITY_COMMIT)
		save(control);
}
