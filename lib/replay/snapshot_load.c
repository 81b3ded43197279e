/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads what atr_snapshot_make writes. What is needed to stay in bounds is checked on the way; that
 * nothing else is in the file shows when the replay makes the same bytes again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../log/crc.h"
#include "replay_internal.h"
#include "snapshot.h"

#define ALIGN       8
#define WINDOW_MIN  64u
#define WINDOW_MAX  (1u << 20)
#define REASON_SIZE 512

struct reader {
	const uint8_t *bytes;
	size_t length, at;
	const char *wrong; /* first thing that is */
	struct atr_snapshot_hdr hdr;
};

/* The next length bytes; NULL where there are not so many. */
static const uint8_t *take(struct reader *r, uint64_t length)
{
	const uint8_t *bytes = r->bytes + r->at;

	if (r->wrong || length > r->length - r->at) {
		r->wrong = r->wrong ? r->wrong : "it ends in the middle of something";
		return NULL;
	}
	r->at += length;
	return bytes;
}

static void skip_padding(struct reader *r)
{
	take(r, (ALIGN - r->at % ALIGN) % ALIGN);
}

static bool fail(struct reader *r, const char *what)
{
	r->wrong = r->wrong ? r->wrong : what;
	return false;
}

static bool crc_ok(const struct reader *r)
{
	static const uint8_t zeros[sizeof(uint32_t)];
	const size_t at = offsetof(struct atr_snapshot_hdr, crc), behind = at + sizeof(zeros);
	uint32_t crc = atr_log_crc_add(ATR_LOG_CRC_BEGIN, r->bytes, at);

	crc = atr_log_crc_add(crc, zeros, sizeof(zeros));
	crc = atr_log_crc_add(crc, r->bytes + behind, r->length - behind);
	return atr_log_crc_end(crc) == r->hdr.crc;
}

static bool read_header(struct reader *r, const struct atr_replay_params *params)
{
	struct atr_snapshot_hdr *hdr = &r->hdr;
	const uint8_t *bytes = take(r, sizeof(*hdr));

	if (!bytes)
		return false;
	memcpy(hdr, bytes, sizeof(*hdr));
	if (hdr->magic != ATR_SNAPSHOT_MAGIC || hdr->version != ATR_SNAPSHOT_VERSION)
		return fail(r, "this is no snapshot, or of a version unknown here");
	if (hdr->bytes != r->length || r->length >= ATR_SNAPSHOT_MAX)
		return fail(r, "it has not the size that its header says");
	if (!crc_ok(r))
		return fail(r, "its bytes differ from its CRC");
	if (hdr->shard != params->shard || hdr->shards != params->shards)
		return fail(r, "it is of another shard");
	if (hdr->state_limit != (params->state_keys ? params->state_keys : ATR_STATE_KEYS))
		return fail(r, "it was made with another bound on keys of state");
	if (hdr->groups == 0 || hdr->offset < ATR_LOG_BLOCK || hdr->offset % ATR_LOG_BLOCK)
		return fail(r, "its place in the log cannot be");
	return true;
}

static void apply_header(struct atr_replay *replay, const struct atr_snapshot_hdr *hdr)
{
	replay->groups = hdr->groups;
	replay->leaves = hdr->leaves;
	replay->events = hdr->events;
	replay->segment = hdr->segment;
	replay->offset = hdr->offset;
	replay->committed_ns = hdr->committed_ns;
	replay->oldest_ms = hdr->oldest_ms;
	replay->first_epoch = hdr->first_epoch;
	replay->last_epoch = hdr->last_epoch;
	replay->group_generation = hdr->group_generation;
	replay->keyed.stats.refused = hdr->state_refused;
	replay->keyed.stats.unfit = hdr->state_unfit;
	memcpy(replay->log_id, hdr->log_id, sizeof(replay->log_id));
	memcpy(replay->feed_next, hdr->feed_next, sizeof(replay->feed_next));
}

static bool read_frontier(struct reader *r, struct atr_log_end *end)
{
	memset(end, 0, sizeof(*end));
	end->segment = r->hdr.segment;
	end->offset = r->hdr.offset;
	end->group = r->hdr.groups;
	end->frontier.size = r->hdr.leaves;
	for (unsigned int i = 0; i < 64; i++) {
		const uint8_t *node;

		if (!(r->hdr.leaves >> i & 1))
			continue;
		node = take(r, ATR_MERKLE_HASH);
		if (!node)
			return false;
		memcpy(end->frontier.node[i], node, ATR_MERKLE_HASH);
	}
	return true;
}

static bool read_plans(struct reader *r, struct atr_replay *replay)
{
	struct replay_assembly *assembly = &replay->assembly;
	const uint8_t *text = take(r, r->hdr.document);
	char reason[REASON_SIZE];

	if (text && r->hdr.document) {
		replay->plan =
			atr_plan_load((const char *)text, r->hdr.document, reason, sizeof(reason));
		if (!replay->plan)
			return fail(r, "its plan does not load");
		replay->plan->generation = r->hdr.generation;
		if (!replay_windows_fit(replay, replay->plan->source_slots))
			return fail(r, "out of memory");
	}
	skip_padding(r);
	if (r->hdr.assembly == 0)
		return !r->wrong;
	text = take(r, sizeof(assembly->head));
	if (!text)
		return false;
	memcpy(&assembly->head, text, sizeof(assembly->head));
	if (assembly->head.total > REPLAY_DOCUMENT_MAX || r->hdr.assembly >= assembly->head.total)
		return fail(r, "its unfinished plan cannot be");
	text = take(r, r->hdr.assembly);
	assembly->text = text ? malloc(assembly->head.total) : NULL;
	if (!assembly->text)
		return fail(r, "out of memory");
	memcpy(assembly->text, text, r->hdr.assembly);
	assembly->length = r->hdr.assembly;
	skip_padding(r);
	return !r->wrong;
}

static bool read_frames(struct reader *r, struct replay_window *window, uint64_t count)
{
	const uint8_t *bytes;

	if (count > (r->length - r->at) / sizeof(struct atr_snapshot_frame))
		return fail(r, "it has fewer frames than it says");
	bytes = take(r, count * sizeof(struct atr_snapshot_frame));
	window->frame = bytes ? calloc(count + 1, sizeof(*window->frame)) : NULL;
	if (!window->frame)
		return fail(r, "out of memory");
	window->space = (uint32_t)count + 1;
	for (; window->count < count; window->count++) {
		struct atr_replay_frame *frame = &window->frame[window->count];
		struct atr_snapshot_frame one;

		memcpy(&one, bytes + window->count * sizeof(one), sizeof(one));
		if (one.count == 0 || one.count > ATR_FRAME_PACKETS_MAX)
			return fail(r, "a frame's count of events cannot be");
		frame->first = one.first;
		frame->position = one.position;
		frame->count = one.count;
		memcpy(frame->admitted, one.admitted, sizeof(frame->admitted));
		memcpy(frame->leaf, one.leaf, sizeof(frame->leaf));
	}
	return true;
}

static bool read_windows(struct reader *r, struct atr_replay *replay)
{
	for (uint64_t i = 0; i < r->hdr.windows; i++) {
		const uint8_t *bytes = take(r, sizeof(struct atr_snapshot_window));
		struct atr_snapshot_window head;
		struct replay_window *window;

		if (!bytes)
			return false;
		memcpy(&head, bytes, sizeof(head));
		if (head.source == 0 || head.source > ATR_ID_MAX || head.size < WINDOW_MIN ||
		    head.size > WINDOW_MAX || (head.size & (head.size - 1)))
			return fail(r, "a window cannot be");
		if (!replay_windows_fit(replay, head.source + 1))
			return fail(r, "out of memory");
		if (replay->window[head.source])
			return fail(r, "a source has two windows");
		window = replay->window[head.source] = calloc(1, sizeof(*window));
		if (!window)
			return fail(r, "out of memory");
		window->next = head.next;
		window->floor = head.floor;
		if (!read_frames(r, window, head.frames))
			return false;
		if (!replay_window_resize(window, head.size))
			return fail(r, "out of memory");
	}
	return true;
}

static bool read_envelopes(struct reader *r, struct atr_replay *replay)
{
	for (uint64_t i = 0; i < r->hdr.envelopes; i++) {
		const uint8_t *bytes = take(r, sizeof(struct atr_snapshot_envelope));
		struct atr_replay_envelope envelope = {0};
		struct atr_snapshot_envelope one;

		if (!bytes)
			return false;
		memcpy(&one, bytes, sizeof(one));
		if (one.source == 0)
			return fail(r, "an envelope has no source");
		envelope.source = one.source;
		envelope.position = one.position;
		memcpy(envelope.uuid, one.uuid, sizeof(one.uuid));
		memcpy(envelope.leaf, one.leaf, sizeof(one.leaf));
		envelope.uuid_ms = replay_uuid_ms(one.uuid);
		if (replay_envelopes_put(replay, &envelope) < 0)
			return fail(r, "an envelope is in it twice, or memory is out");
	}
	return true;
}

static bool read_states(struct reader *r, struct atr_replay *replay)
{
	for (uint64_t i = 0; i < r->hdr.states; i++) {
		const uint8_t *bytes = take(r, sizeof(struct atr_snapshot_state));
		struct atr_snapshot_state one;
		struct atr_state_entry entry = {0};

		if (!bytes)
			return false;
		memcpy(&one, bytes, sizeof(one));
		if (one.op < ATR_STATE_LAST || one.op > ATR_STATE_MAXIMUM || one.binary > 1 ||
		    one.key_length > ATR_STATE_KEY_BYTES || one.scale > ATR_STATE_SCALE_MAX)
			return fail(r, "an entry of state cannot be");
		entry.source = one.source;
		entry.type = one.type;
		entry.op = one.op;
		entry.binary = one.binary;
		entry.scale = one.scale;
		entry.event = one.event;
		entry.key_length = one.key_length;
		entry.value_length = one.value_length;
		entry.number = one.number;
		entry.position = one.position;
		entry.key = (const char *)take(r, one.key_length);
		entry.value = take(r, one.value_length);
		skip_padding(r);
		if (r->wrong)
			return false;
		if (keyed_find(&replay->keyed, one.source, one.type, entry.key, one.key_length))
			return fail(r, "a key of state is in it twice");
		if (!keyed_add(&replay->keyed, &entry))
			return fail(r, "out of memory");
	}
	return true;
}

/* Does the replay make the bytes that it was made of? */
static bool same_again(struct reader *r, const struct atr_replay *replay,
		       const struct atr_log_end *end)
{
	struct atr_snapshot again;
	char reason[REASON_SIZE];
	bool same;

	if (atr_snapshot_make(replay, end, &again, reason, sizeof(reason)) < 0)
		return fail(r, "out of memory");
	same = again.length == r->length && memcmp(again.bytes, r->bytes, r->length) == 0;
	free(again.bytes);
	return same || fail(r, "it holds what no replay writes");
}

struct atr_replay *atr_snapshot_load(const struct atr_replay_params *params, const uint8_t *bytes,
				     size_t length, struct atr_log_end *end, char *error,
				     size_t size)
{
	struct reader r = {.bytes = bytes, .length = length};
	struct atr_replay *replay = atr_replay_create(params, error, size);

	if (!replay)
		return NULL;
	if (read_header(&r, params)) {
		apply_header(replay, &r.hdr);
		if (read_frontier(&r, end) && read_plans(&r, replay) && read_windows(&r, replay) &&
		    read_envelopes(&r, replay) && read_states(&r, replay))
			same_again(&r, replay, end);
	}
	if (!r.wrong)
		return replay;
	snprintf(error, size,
		 "the snapshot is of no use: %s; remove it, the log has all that is in it",
		 r.wrong);
	atr_replay_free(replay);
	return NULL;
}
