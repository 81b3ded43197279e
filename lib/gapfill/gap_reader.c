/* SPDX-License-Identifier: BSD-3-Clause */
#include "gap_reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../envelope/envelope.h"
#include "gap_internal.h"

#define SMALL_BYTES  (2 * ATR_LOG_BLOCK)
#define GROUPS_MAX   16 /* looked into for one answer */
#define RECORD_ALIGN 8
#define BITS         8

struct atr_gap_reader *atr_gap_reader_create(struct atr_storage *storage, uint32_t shard,
					     unsigned int index_max, char *error, size_t size)
{
	struct atr_gap_reader *reader = calloc(1, sizeof(*reader));

	if (reader) {
		reader->storage = storage;
		reader->shard = shard;
		reader->index_max = index_max;
		reader->stride = 1;
		reader->index = calloc(index_max, sizeof(*reader->index));
		reader->json = atr_json_parser_create();
		reader->small = aligned_alloc(ATR_STORAGE_ALIGN, SMALL_BYTES);
		reader->group = aligned_alloc(ATR_STORAGE_ALIGN, ATR_GROUP_BYTES_MAX);
	}
	if (!reader || !reader->index || !reader->json || !reader->small || !reader->group) {
		snprintf(error, size, "out of memory for answering gap requests of shard %u",
			 shard);
		atr_gap_reader_free(reader);
		return NULL;
	}
	return reader;
}

void atr_gap_reader_free(struct atr_gap_reader *reader)
{
	if (!reader)
		return;
	if (reader->file)
		reader->storage->ops->close(reader->storage, reader->file);
	if (reader->json)
		atr_json_parser_destroy(reader->json);
	free(reader->index);
	free(reader->small);
	free(reader->group);
	free(reader);
}

uint64_t atr_gap_reader_group(const struct atr_gap_reader *reader)
{
	return reader->tail.group;
}

static void remember(struct atr_gap_reader *reader, const struct gap_place *place)
{
	if (place->group % reader->stride != 0)
		return;
	if (reader->index_count == reader->index_max) {
		unsigned int kept = 0;

		for (unsigned int i = 0; i < reader->index_count; i += 2)
			reader->index[kept++] = reader->index[i];
		reader->index_count = kept;
		reader->stride *= 2;
		if (place->group % reader->stride != 0)
			return;
	}
	reader->index[reader->index_count++] = *place;
}

/* After an error: forgets what retention has taken away meanwhile. 0: that was the reason; else the
 * error. */
static int retained(struct atr_gap_reader *reader, int err)
{
	const struct gap_place *oldest = reader->index_count ? reader->index : &reader->tail;
	int64_t first = gap_first_segment(reader);
	unsigned int gone = 0;
	struct gap_place place;
	int found;

	if (first <= 0 || (uint64_t)first <= oldest->segment)
		return err;
	if (reader->file && reader->segment < (uint64_t)first) {
		reader->storage->ops->close(reader->storage, reader->file);
		reader->file = NULL;
	}
	reader->has_loaded = false;
	found = gap_begin(reader, reader->durable, &place);
	if (found <= 0)
		return found < 0 ? found : err;
	while (gone < reader->index_count && reader->index[gone].group <= place.group)
		gone++;
	if (reader->tail.group <= place.group)
		reader->tail = place;
	else if (gone > 0)
		reader->index[--gone] = place;
	reader->index_count -= gone;
	memmove(reader->index, reader->index + gone, reader->index_count * sizeof(*reader->index));
	reader->error[0] = '\0';
	return 0;
}

/* The same for follow, which goes on from what is left. */
static int moved_on(struct atr_gap_reader *reader, int err)
{
	err = retained(reader, err);
	return err ? err : 1;
}

int atr_gap_reader_follow(struct atr_gap_reader *reader, uint64_t durable, unsigned int max,
			  char *error, size_t size)
{
	unsigned int n = 0;

	reader->error = error;
	reader->error_size = size;
	reader->durable = durable;
	if (!reader->begun) {
		int found = gap_begin(reader, durable, &reader->tail);

		if (found <= 0)
			return found;
		reader->begun = true;
	}
	while (n < max && reader->tail.group < durable) {
		struct gap_place place = reader->tail;
		int err = gap_step(reader, &place);

		if (err)
			return n ? (int)n : moved_on(reader, err);
		remember(reader, &reader->tail);
		reader->tail = place;
		n++;
	}
	return (int)n;
}

/* The last place remembered at which the message is still to come. */
static struct gap_place nearest(const struct atr_gap_reader *reader, uint32_t feed,
				uint64_t sequence)
{
	unsigned int low = 0, high = reader->index_count;

	while (high - low > 1) {
		unsigned int middle = low + (high - low) / 2;

		if (reader->index[middle].next[feed] <= sequence)
			low = middle;
		else
			high = middle;
	}
	/* What was read last may be nearer. */
	if (reader->has_loaded && reader->loaded.group > reader->index[low].group &&
	    reader->loaded.next[feed] <= sequence)
		return reader->loaded;
	return reader->index[low];
}

/* An answer under construction, and the walk over one group. */
struct answer {
	struct atr_gap_reader *reader;
	const struct atr_gap_question *question;
	uint8_t *out;
	size_t length, capacity;
	uint64_t next; /* number of the message that comes next in the log */
	uint16_t count;
	bool full;
	bool unknown; /* the plan of a record is not known */
	struct gap_cursor cursor;
};

static int damage(struct answer *a, const char *what)
{
	return gap_damage(a->reader, &a->reader->loaded, what);
}

/* Takes a message of the feed: skips it, appends it, or ends the answer. */
static void take(struct answer *a, uint64_t sequence, const struct atr_packet *packet,
		 const uint8_t *payload, uint32_t payload_length)
{
	size_t size = ATR_MOLD_BLOCK_SIZE((size_t)payload_length);
	uint16_t length = (uint16_t)(size - ATR_MOLD_LENGTH_SIZE);
	uint8_t *p = a->out + a->length;

	if (a->next < a->question->sequence) {
		a->next++;
		return;
	}
	if (a->count == a->question->count || size - ATR_MOLD_LENGTH_SIZE > UINT16_MAX ||
	    size > a->capacity - a->length) {
		a->full = true;
		return;
	}
	p[0] = (uint8_t)(length >> 8);
	p[1] = (uint8_t)length;
	p += ATR_MOLD_LENGTH_SIZE;
	memcpy(p, &sequence, sizeof(sequence));
	memcpy(p + sizeof(sequence), packet, ATR_PACKET_SIZE);
	if (payload_length)
		memcpy(p + sizeof(sequence) + ATR_PACKET_SIZE, payload, payload_length);
	a->length += size;
	a->count++;
	a->next++;
}

/* Does event i of a frame go to the feed? Negative if plan and log disagree. */
static int frame_event(struct answer *a, const struct atr_plan *plan, const struct atr_frame *frame,
		       unsigned int i)
{
	const struct atr_source *source = atr_plan_source(plan, frame->hdr->source);
	const struct atr_packet *packet = &frame->packets[i];
	const struct atr_type *type = atr_plan_type(plan, packet->type_id);
	const struct atr_action *action = NULL;
	const uint8_t *payload;
	uint32_t length;

	if (source && type && atr_plan_topic(plan, packet->topic_id))
		action = atr_plan_action(plan, source, packet->topic_id, packet->type_id);
	payload = atr_frame_payload(frame, i, &length);
	if (!action || !type->binary || length < type->fixed_size)
		return damage(a, "an event was admitted that the plan does not allow");
	return atr_action_feeds(action, payload) >> a->question->feed & 1;
}

static int take_frame(struct answer *a, const struct atr_record_hdr *record, const uint8_t *body)
{
	const uint8_t *decisions = body + record->body_length;
	const struct atr_plan *plan = a->question->plan(a->question->context, record->generation);
	struct atr_frame frame;

	a->unknown = !plan;
	if (!plan)
		return -ENOENT;
	if (atr_frame_parse(body, record->body_length, &frame) != ATR_OK ||
	    record->decision_length != (frame.packet_count + BITS - 1) / BITS)
		return damage(a, "a frame's record holds no frame");
	for (; a->cursor.event < frame.packet_count; a->cursor.event++) {
		unsigned int i = a->cursor.event;
		const uint8_t *payload = NULL;
		uint32_t length = 0;
		int goes;

		if (!(decisions[i / BITS] >> (i % BITS) & 1))
			continue;
		goes = frame_event(a, plan, &frame, i);
		if (goes < 0)
			return goes;
		if (!goes)
			continue;
		if (frame.packets[i].flags & ATR_FLAG_ARENA)
			payload = atr_frame_payload(&frame, i, &length);
		take(a, frame.hdr->first_sequence + i, &frame.packets[i], payload, length);
		if (a->full)
			return 0;
	}
	return 0;
}

static int take_envelope(struct answer *a, const struct atr_record_hdr *record, const uint8_t *body)
{
	struct atr_envelope envelope;
	struct atr_packet packet;

	if (a->cursor.event || !(record->feeds >> a->question->feed & 1))
		return 0;
	if (a->next >= a->question->sequence) {
		if (atr_envelope_parse(a->reader->json, (const char *)body, record->body_length,
				       &envelope) != ATR_OK)
			return damage(a, "an envelope's record holds no envelope");
		atr_mold_envelope_packet(&packet, record->topic, record->type, record->source,
					 envelope.timestamp_ns, record->body_length);
	}
	take(a, record->leaf, &packet, body, record->body_length);
	return 0;
}

static int take_record(struct answer *a, const struct atr_record_hdr *record)
{
	const uint8_t *body = (const uint8_t *)(record + 1);

	switch (record->kind) {
	case ATR_RECORD_FRAME: return take_frame(a, record, body);
	case ATR_RECORD_ENVELOPE: return take_envelope(a, record, body);
	default: return 0;
	}
}

/* Walks over the loaded group from the cursor on; 1 if it came to its end. */
static int take_group(struct answer *a)
{
	const struct atr_group_hdr *hdr = (const struct atr_group_hdr *)a->reader->group;

	for (; a->cursor.record < hdr->records; a->cursor.record++) {
		const struct atr_record_hdr *record =
			(const struct atr_record_hdr *)(a->reader->group + a->cursor.at);
		uint64_t room = sizeof(*record);
		int err;

		if (hdr->length - a->cursor.at < room)
			return damage(a, "a record does not end within its group");
		room += (uint64_t)record->body_length + record->decision_length;
		room = (room + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
		if (room > hdr->length - a->cursor.at)
			return damage(a, "a record does not end within its group");
		err = take_record(a, record);
		if (err < 0 || a->full)
			return err;
		a->cursor.at += (uint32_t)room;
		a->cursor.event = 0;
	}
	return 1;
}

static void begin_group(struct answer *a, const struct gap_place *place)
{
	a->cursor = (struct gap_cursor){.group = place->group,
					.feed = a->question->feed,
					.at = sizeof(struct atr_group_hdr)};
	a->next = place->next[a->question->feed];
}

/* Collects messages from the group before which place lies, and from those behind it. */
static int collect(struct answer *a, struct gap_place place, bool resume)
{
	struct atr_gap_reader *reader = a->reader;
	uint32_t feed = a->question->feed;

	for (unsigned int n = 0;
	     n < GROUPS_MAX && place.group < reader->tail.group && a->count < a->question->count;
	     n++) {
		struct gap_place before = place;
		int err = gap_step(reader, &place);

		if (err)
			return err;
		if (place.next[feed] <= a->question->sequence + a->count)
			continue;
		err = gap_load(reader, &before);
		if (err)
			return err;
		if (!resume)
			begin_group(a, &before);
		resume = false;
		err = take_group(a);
		if (err < 0)
			return err;
		if (a->full)
			return 0;
		if (a->next != place.next[feed])
			return gap_damage(reader, &before, "feed positions contradict the events");
	}
	return 0;
}

int atr_gap_reader_answer(struct atr_gap_reader *reader, const struct atr_gap_question *question,
			  uint8_t *out, size_t capacity, char *error, size_t size)
{
	const struct gap_cursor *last = &reader->cursor;
	struct answer a = {.reader = reader,
			   .question = question,
			   .out = out,
			   .length = ATR_MOLD_HDR_SIZE,
			   .capacity = capacity};
	struct gap_place place;
	bool resume;
	int err;

	reader->error = error;
	reader->error_size = size;
	if (question->feed >= ATR_LOG_FEEDS_MAX || question->sequence < 1 || question->count < 1 ||
	    question->sequence >= reader->tail.next[question->feed] || reader->index_count == 0 ||
	    question->sequence < reader->index[0].next[question->feed])
		return 0;
	if (capacity < ATR_MOLD_HDR_SIZE)
		return -EMSGSIZE;
	resume = reader->has_loaded && last->feed == question->feed &&
		 last->sequence == question->sequence && last->group == reader->loaded.group;
	place = resume ? reader->loaded : nearest(reader, question->feed, question->sequence);
	a.cursor = *last;
	a.next = question->sequence;
	while (!resume) {
		struct gap_place behind = place;

		err = gap_step(reader, &behind);
		if (err)
			return retained(reader, err);
		if (behind.next[question->feed] > question->sequence)
			break;
		place = behind;
		if (place.group >= reader->tail.group)
			return gap_damage(reader, &place, "feed positions changed meanwhile");
	}
	err = collect(&a, place, resume);
	if (a.unknown) {
		reader->cursor.sequence = 0;
		if (a.count == 0)
			return 0;
		err = 0;
		a.full = false;
	}
	if (err < 0)
		return retained(reader, err);
	if (a.count == 0) {
		snprintf(error, size, "message %" PRIu64 " of feed %u does not fit a datagram",
			 question->sequence, question->feed);
		return -EMSGSIZE;
	}
	reader->cursor = a.cursor;
	reader->cursor.sequence = a.full ? a.next : 0;
	atr_mold_hdr_write(out, question->session, question->sequence, a.count);
	return (int)a.length;
}
