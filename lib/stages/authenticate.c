/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 6, gate 3: leaf hashes over the whole burst, then each frame's path to a proven root.
 * Frames of unknown roots wait in the hold while the control lcore verifies the signature. */
#include <string.h>

#include "stages.h"

#define PREFETCH_AHEAD 3  /* frames */
#define REQUESTS_MAX   32 /* root requests put on the bridge a turn */

static uint8_t key_reason(const struct atr_plan *plan, const struct atr_source *source,
			  struct atr_frame *frame, uint64_t now_ns)
{
	const struct atr_key *key;
	uint8_t reason;

	if (frame->hdr->realm != plan->realm)
		return ATR_REASON_REALM;
	reason = atr_source_frame_key(source, frame->hdr->key, now_ns, &key);
	if (likely(reason == ATR_OK))
		frame->key_serial = key->serial;
	return reason;
}

/* ahead: of the frames that are not checked yet, in their order. */
static void hashes(struct atr_shard *shard, struct atr_batch *batch, struct atr_auth_ahead *ahead)
{
	const struct atr_frame *fresh[ATR_BATCH_FRAMES];
	const uint8_t *data[ATR_BATCH_FRAMES], *leaf[ATR_BATCH_FRAMES];
	uint32_t length[ATR_BATCH_FRAMES];
	uint8_t digest[ATR_BATCH_FRAMES][ATR_HASH_SIZE];
	unsigned int n = 0;

	for (unsigned int i = 0; i < batch->live_count; i++) {
		unsigned int f = batch->live[i];

		if (batch->checked[f]) {
			memcpy(batch->leaf[f], atr_meta(batch->mbuf[f])->leaf, ATR_HASH_SIZE);
			continue;
		}
		data[n] = (const uint8_t *)batch->frame[f].hdr;
		length[n] = batch->frame[f].leaf_size;
		leaf[n] = batch->leaf[f];
		fresh[n++] = &batch->frame[f];
	}
	if (n > 0) {
		atr_hash_burst(shard->hash, data, length, digest, n);
		for (unsigned int i = 0; i < n; i++)
			memcpy(batch->leaf[fresh[i] - batch->frame], digest[i], ATR_HASH_SIZE);
		atr_auth_look_ahead(shard->hash, fresh, leaf, ahead, n);
	}
	for (unsigned int i = 0; i < batch->live_count; i++) {
		unsigned int f = batch->live[i];

		batch->tag[f] = atr_tag(&shard->tag_key, batch->leaf[f]);
	}
}

/* What need not be found out again when the root is proven. */
static void remember(const struct atr_shard *shard, const struct atr_batch *batch, unsigned int f,
		     struct atr_meta *meta)
{
	bool all = batch->passed[f] == batch->frame[f].packet_count;

	meta->generation = all ? shard->program->generation : 0;
	meta->topic = batch->topic[f];
	if (all)
		memcpy(meta->leaf, batch->leaf[f], ATR_HASH_SIZE);
}

static void judge(struct atr_shard *shard, struct atr_batch *batch, unsigned int f,
		  const struct atr_auth_ahead *ahead)
{
	struct rte_mbuf *m = batch->mbuf[f];
	struct atr_meta *meta = atr_meta(m);
	uint8_t result;

	/* Released because its root was refused, for whatever reason: it is in the meta data. */
	if (meta->origin == ATR_ORIGIN_HOLD && meta->reason != ATR_OK) {
		batch->reason[f] = meta->reason;
		return;
	}
	if (batch->checked[f]) {
		atr_auth_proven(shard->auth);
		return;
	}
	result = atr_auth_frame(shard->auth, shard->hash, &batch->frame[f], batch->leaf[f], ahead,
				meta->src_ip, m);
	if (result != ATR_AUTH_HELD) {
		batch->reason[f] = result;
		return;
	}
	remember(shard, batch, f, meta);
	shard->node->book.datagrams.held++;
	shard->node->book.events.held += meta->events;
	batch->mbuf[f] = NULL;
}

static void ask(struct atr_shard *shard)
{
	struct atr_root_request *request[REQUESTS_MAX];
	struct atr_msg msg[REQUESTS_MAX];
	struct rte_ring *verify = shard->bridge->verify[shard->id];
	unsigned int n = atr_auth_requests(shard->auth, request, REQUESTS_MAX), sent;

	if (n == 0)
		return;
	for (unsigned int i = 0; i < n; i++)
		msg[i] = (struct atr_msg){.kind = ATR_MSG_ROOT,
					  .epoch = (uint16_t)shard->node->epoch,
					  .arg = shard->id,
					  .ptr = request[i]};
	sent = atr_send_burst(verify, msg, RTE_MIN(n, atr_may_ask(verify)));
	if (sent < n)
		atr_auth_unsent(shard->auth, &request[sent], n - sent);
}

unsigned int atr_stage_authenticate(struct atr_shard *shard, struct atr_batch *batch)
{
	const struct atr_plan *plan = shard->program->plan;
	struct atr_auth_ahead ahead[ATR_BATCH_FRAMES];
	unsigned int frames = batch->live_count, fresh = 0;

	for (unsigned int i = 0; i < frames; i++) {
		unsigned int f = batch->live[i];

		batch->reason[f] =
			key_reason(plan, batch->source[f], &batch->frame[f], batch->now_ns);
	}
	atr_batch_compact(batch);
	hashes(shard, batch, ahead);
	atr_auth_now(shard->auth, batch->now_tsc);
	for (unsigned int i = 0; i < batch->live_count; i++) {
		unsigned int f = batch->live[i];

		if (i + PREFETCH_AHEAD < batch->live_count)
			atr_auth_prefetch(shard->auth,
					  &batch->frame[batch->live[i + PREFETCH_AHEAD]]);
		judge(shard, batch, f, batch->checked[f] ? NULL : &ahead[fresh++]);
	}
	atr_batch_compact(batch);
	ask(shard);
	return frames;
}
