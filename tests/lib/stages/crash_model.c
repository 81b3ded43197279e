/* SPDX-License-Identifier: BSD-3-Clause */
#include "crash_model.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BIG        500
#define FINAL      "\"final\":true"
#define GROUP_SIZE 120
#define HDR_SIZE   64
#define COMMIT     112

#define WRONG(model, ...)                                                              \
	do {                                                                           \
		if (!(model)->wrong[0])                                                \
			snprintf((model)->wrong, sizeof((model)->wrong), __VA_ARGS__); \
	} while (0)

static uint64_t number(const uint8_t *p, unsigned int bytes)
{
	uint64_t value = 0;

	while (bytes-- > 0)
		value = value << 8 | p[bytes];
	return value;
}

static uint32_t crc32c(const uint8_t *p, size_t length, size_t hole)
{
	static uint32_t table[256];
	uint32_t crc = UINT32_MAX;

	for (uint32_t i = 1; table[255] == 0 && i < 256; i++) {
		table[i] = i;
		for (unsigned int bit = 0; bit < 8; bit++)
			table[i] = table[i] & 1 ? table[i] >> 1 ^ 0x82F63B78 : table[i] >> 1;
	}
	for (size_t i = 0; i < length; i++)
		crc = crc >> 8 ^ table[(crc ^ (i - hole < 4 ? 0 : p[i])) & 255];
	return ~crc;
}

/* --- What was told --- */

void model_ack(void *context, const struct atr_ack_notice *notice,
	       const struct atr_ack_entry *entry)
{
	struct crash_model *model = context;

	for (unsigned int i = 0; i < model->frames; i++) {
		struct model_frame *f = &model->frame[i];

		if (f->is.source != notice->source || f->is.first != entry->first_sequence ||
		    memcmp(f->leaf, entry->leaf, sizeof(f->leaf)) != 0)
			continue;
		if (entry->events != f->is.count)
			WRONG(model, "an acknowledgement counts other events than the frame has");
		for (unsigned int e = 0; e < f->is.count; e++) {
			uint8_t reason = entry->results ? entry->results[e].reason : entry->result;
			bool final = entry->results ? entry->results[e].final : entry->final;

			f->reason[e] = reason;
			if (reason == ATR_OK || reason == ATR_DUPLICATE)
				f->told[e] = TOLD_IN;
			else if (f->told[e] != TOLD_IN)
				f->told[e] = final ? TOLD_NEVER : TOLD_LATER;
			else
				WRONG(model, "source %u, %llu: refused (%u) after it was admitted",
				      f->is.source, (unsigned long long)f->is.first + e, reason);
		}
		f->answered = true;
		if (entry->position != ATR_ACK_NO_POSITION && f->positions < MODEL_RECORDS)
			f->position[f->positions++] = entry->position;
		return;
	}
	WRONG(model, "an acknowledgement of a frame that nobody sent");
}

void model_reply(void *context, const char *json)
{
	struct crash_model *model = context;

	for (unsigned int i = 0; i < model->envelopes; i++) {
		struct model_envelope *e = &model->envelope[i];
		const char *position = strstr(json, "\"position\":");
		const char *shard = strstr(json, "\"shard\":");

		if (!strstr(json, e->uuid))
			continue;
		if (!position || !shard) {
			if (e->told == TOLD_IN)
				WRONG(model, "envelope refused after it was admitted: %s", json);
			e->told = strstr(json, FINAL) ? TOLD_NEVER : TOLD_LATER;
			return;
		}
		e->told = TOLD_IN;
		e->position = strtoull(position + strlen("\"position\":"), NULL, 10);
		e->shard = (unsigned int)strtoul(shard + strlen("\"shard\":"), NULL, 10);
		return;
	}
	WRONG(model, "a reply to nobody: %s", json);
}

void model_got(struct crash_model *model, const struct rig_event *events, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		const struct rig_event *e = &events[i];
		struct model_message *m;
		const struct model_message now = {true, e->sequence, e->source,
						  e->envelope ? 0 : e->value, e->envelope};

		if (!(model->waiting >> e->feed & 1) || e->number >= MODEL_MESSAGES)
			continue;
		m = &model->got[e->feed][e->shard][e->number];
		if (m->seen && (m->sequence != now.sequence || m->source != now.source ||
				m->value != now.value || m->envelope != now.envelope))
			WRONG(model, "feed %u, shard %u: message %llu came with other bytes",
			      e->feed, e->shard, (unsigned long long)e->number);
		*m = now;
	}
}

/* --- What is in the log --- */

static void due(struct crash_model *model, unsigned int shard, bool big,
		const struct model_message *message)
{
	for (unsigned int feed = 0; feed < 2; feed++) {
		if ((feed == 1 && !big) || !(model->waiting >> feed & 1))
			continue;
		if (model->dues[feed][shard] + 1 < MODEL_MESSAGES)
			model->due[feed][shard][++model->dues[feed][shard]] = *message;
	}
}

static void read_frame(struct crash_model *model, unsigned int shard, const uint8_t *record,
		       uint64_t leaf)
{
	uint64_t length = number(record + 4, 4);
	const uint8_t *body = record + HDR_SIZE, *bits = body + length;

	for (unsigned int i = 0; i < model->frames; i++) {
		struct model_frame *f = &model->frame[i];

		if (f->sent.length != length || memcmp(f->sent.bytes, body, length) != 0)
			continue;
		if (f->records < MODEL_RECORDS)
			f->record[f->records++] = leaf;
		for (unsigned int e = 0; e < f->is.count; e++) {
			const struct model_message message = {true, f->is.first + e, f->is.source,
							      f->is.value + e, false};

			if (!(bits[e / 8] >> e % 8 & 1))
				continue;
			f->logged[e]++;
			if (model->taken[f->is.source][f->is.first + e]++)
				WRONG(model, "source %u, %llu is in the log twice", f->is.source,
				      (unsigned long long)f->is.first + e);
			due(model, shard, f->is.type != TYPE_NOTE && f->is.value + e >= BIG,
			    &message);
		}
		return;
	}
	WRONG(model, "shard %u, leaf %llu: a frame that nobody sent", shard,
	      (unsigned long long)leaf);
}

static void read_envelope(struct crash_model *model, unsigned int shard, const uint8_t *record,
			  uint64_t leaf)
{
	uint64_t length = number(record + 4, 4);

	for (unsigned int i = 0; i < model->envelopes; i++) {
		struct model_envelope *e = &model->envelope[i];
		const struct model_message message = {true, leaf, e->source, 0, true};

		if (e->sent.length != length ||
		    memcmp(e->sent.bytes, record + HDR_SIZE, length) != 0)
			continue;
		if (e->logged++)
			WRONG(model, "envelope %s is in the log twice", e->uuid);
		e->record = leaf;
		e->log_shard = shard;
		due(model, shard, e->value >= BIG, &message);
		return;
	}
	WRONG(model, "shard %u, leaf %llu: an envelope that nobody sent", shard,
	      (unsigned long long)leaf);
}

static void read_commit(struct crash_model *model, unsigned int shard, const uint8_t *body)
{
	for (uint64_t i = 0; i < number(body + 4, 4); i++) {
		const uint8_t *p = body + COMMIT + i * 16;
		uint64_t feed = number(p, 4), next = number(p + 8, 8);

		if (feed > 1 || !(model->waiting >> feed & 1))
			WRONG(model, "shard %u: a commit counts a feed of another class", shard);
		else if (next != model->dues[feed][shard] + 1u)
			WRONG(model, "shard %u, feed %llu: a commit goes on with %llu, not %u",
			      shard, (unsigned long long)feed, (unsigned long long)next,
			      model->dues[feed][shard] + 1);
	}
}

/* Length of the whole group that begins here, or 0. */
static uint64_t whole(const struct atr_file *file, uint64_t at, uint64_t group)
{
	const uint8_t *p = file->durable + at;
	uint64_t length = number(p + 8, 4);

	if (memcmp(p, "AGRP", 4) != 0 || length < GROUP_SIZE || length > file->size - at ||
	    number(p + 56, 8) != group || crc32c(p, length, 4) != number(p + 4, 4))
		return 0;
	return length;
}

static void read_log(struct crash_model *model, unsigned int shard)
{
	uint64_t group = 0, leaf = 0;

	for (unsigned int segment = 0;; segment++) {
		char name[SIM_NAME_MAX];
		const struct atr_file *file;
		uint64_t length;

		snprintf(name, sizeof(name), "segment-%016x.atr", segment);
		file = simdisk_file(&model->disk[shard], name);
		for (uint64_t at = 4096; file && at < file->size;
		     at += (length + 4095) & ~4095ull) {
			const uint8_t *record = file->durable + at + GROUP_SIZE;

			length = whole(file, at, group);
			if (length == 0)
				break;
			group++;
			for (uint64_t i = number(file->durable + at + 12, 4); i > 0; i--, leaf++) {
				uint64_t bytes = number(record + 4, 4) + number(record + 8, 2);

				if (number(record + 16, 8) != leaf)
					WRONG(model, "shard %u: leaves are not in order", shard);
				if (record[10] == 1)
					read_frame(model, shard, record, leaf);
				else if (record[10] == 2)
					read_envelope(model, shard, record, leaf);
				else if (record[10] == 3)
					read_commit(model, shard, record + HDR_SIZE);
				record += (HDR_SIZE + bytes + 7) / 8 * 8;
			}
		}
		if (!file)
			return;
	}
}

/* --- Do they agree? --- */

/* No rule for the one, no source of the level for the other. */
static bool against_rules(const struct model_frame *f)
{
	return f->is.topic == TOPIC_SHUT || f->is.topic == TOPIC_HIGH;
}

static void check_frame(struct crash_model *model, const struct model_frame *f)
{
	for (unsigned int e = 0; e < f->is.count; e++) {
		unsigned long long sequence = f->is.first + e;

		if (f->told[e] == TOLD_IN && !f->logged[e])
			WRONG(model, "source %u, %llu was acknowledged and is not durable",
			      f->is.source, sequence);
		if (f->told[e] == TOLD_NEVER && f->logged[e])
			WRONG(model, "source %u, %llu was refused (%u) and is in the log",
			      f->is.source, sequence, f->reason[e]);
		if (against_rules(f) && f->logged[e])
			WRONG(model, "source %u, %llu is against the rules and in the log",
			      f->is.source, sequence);
	}
	for (unsigned int i = 0; i < f->positions; i++) {
		bool there = false;

		for (unsigned int r = 0; r < f->records; r++)
			there |= f->record[r] == f->position[i];
		if (!there)
			WRONG(model, "source %u, %llu is not at leaf %llu as it was told",
			      f->is.source, (unsigned long long)f->is.first,
			      (unsigned long long)f->position[i]);
	}
}

static void check_messages(struct crash_model *model, unsigned int feed, unsigned int shard,
			   bool end)
{
	for (unsigned int n = 1; n < MODEL_MESSAGES; n++) {
		const struct model_message *got = &model->got[feed][shard][n];
		const struct model_message *want = &model->due[feed][shard][n];
		bool is_due = n <= model->dues[feed][shard];

		if (got->seen && !is_due)
			WRONG(model, "feed %u, shard %u: message %u left and is not durable", feed,
			      shard, n);
		else if (got->seen &&
			 (got->sequence != want->sequence || got->source != want->source ||
			  got->value != want->value || got->envelope != want->envelope))
			WRONG(model, "feed %u, shard %u: message %u is another in the log", feed,
			      shard, n);
		else if (end && is_due && !got->seen)
			WRONG(model, "feed %u, shard %u: message %u never left", feed, shard, n);
	}
}

static bool check(struct crash_model *model, bool end)
{
	memset(model->taken, 0, sizeof(model->taken));
	memset(model->dues, 0, sizeof(model->dues));
	for (unsigned int i = 0; i < model->frames; i++) {
		memset(model->frame[i].logged, 0, sizeof(model->frame[i].logged));
		model->frame[i].records = 0;
	}
	for (unsigned int i = 0; i < model->envelopes; i++)
		model->envelope[i].logged = 0;
	for (unsigned int s = 0; s < model->shards; s++)
		read_log(model, s);
	for (unsigned int i = 0; i < model->frames; i++)
		check_frame(model, &model->frame[i]);
	for (unsigned int i = 0; i < model->envelopes; i++) {
		const struct model_envelope *e = &model->envelope[i];

		if (e->told == TOLD_IN &&
		    (!e->logged || e->record != e->position || e->log_shard != e->shard))
			WRONG(model, "envelope %s was answered and is not there", e->uuid);
		if (e->told == TOLD_NEVER && e->logged)
			WRONG(model, "envelope %s was refused and is in the log", e->uuid);
	}
	for (unsigned int feed = 0; feed < 2; feed++)
		for (unsigned int s = 0; s < model->shards; s++)
			check_messages(model, feed, s, end);
	return !model->wrong[0];
}

bool model_check(struct crash_model *model)
{
	return check(model, false);
}

bool model_check_end(struct crash_model *model)
{
	check(model, true);
	for (unsigned int i = 0; i < model->frames; i++) {
		const struct model_frame *f = &model->frame[i];

		if (!f->answered)
			WRONG(model, "source %u, %llu was never answered", f->is.source,
			      (unsigned long long)f->is.first);
		for (unsigned int e = 0; e < f->is.count && f->answered; e++) {
			uint8_t taken = model->taken[f->is.source][f->is.first + e];

			/* The frame was sent again after all else. */
			if (f->logged[e] && f->reason[e] != ATR_DUPLICATE)
				WRONG(model, "source %u, %llu is in the log, and %u was the answer",
				      f->is.source, (unsigned long long)f->is.first + e,
				      f->reason[e]);
			if (!f->logged[e] && taken && !against_rules(f) &&
			    f->reason[e] != ATR_REASON_CONFLICT)
				WRONG(model, "source %u, %llu is taken, and %u was the answer",
				      f->is.source, (unsigned long long)f->is.first + e,
				      f->reason[e]);
		}
	}
	for (unsigned int i = 0; i < model->envelopes; i++)
		if (model->envelope[i].told != TOLD_IN || !model->envelope[i].logged)
			WRONG(model, "envelope %s was never admitted", model->envelope[i].uuid);
	return !model->wrong[0];
}
