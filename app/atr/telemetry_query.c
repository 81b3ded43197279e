/* SPDX-License-Identifier: BSD-3-Clause */
/* The Query gate's answers about events, which the thread of ask.c makes: bounded, and never on a
 * lcore's time. */
#include "telemetry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DECIMAL 10

/* Asks; 1 if there is an answer, which was begun: ready 1, and what was looked through. */
static int ask(struct appliance *a, const struct ask_question *question, struct ask_answer *answer,
	       struct rte_tel_data *d)
{
	uint64_t leaves = 0;
	int rc = ask_event(&a->ask, question, answer);

	if (rc == -EAGAIN) {
		for (unsigned int s = 0; s < a->shard_count; s++) {
			struct atr_log_stats stats;

			atr_log_stats(a->durable.shard[s].log, &stats);
			leaves += stats.leaves;
		}
		rte_tel_data_add_dict_u64(d, "ready", 0);
		rte_tel_data_add_dict_u64(d, "read",
					  __atomic_load_n(&a->ask.read, __ATOMIC_ACQUIRE));
		rte_tel_data_add_dict_u64(d, "leaves", leaves);
		return 0;
	}
	if (rc < 0)
		return rc;
	rte_tel_data_add_dict_u64(d, "ready", 1);
	if (answer->rc < 0) {
		rc = telemetry_hex(d, "error_hex", (const uint8_t *)answer->error,
				   strlen(answer->error));
		return rc < 0 ? rc : 0;
	}
	rte_tel_data_add_dict_u64(d, "leaves", answer->leaves);
	rte_tel_data_add_dict_u64(d, "pruned", answer->pruned);
	return 1;
}

static void add_hash(struct rte_tel_data *d, const char *name, const uint8_t hash[ATR_HASH_SIZE])
{
	char hex[2 * ATR_HASH_SIZE + 1];

	atr_hex_encode(hash, ATR_HASH_SIZE, hex);
	rte_tel_data_add_dict_string(d, name, hex);
}

/* Two arrays of the same length: feeds, and the event's number in each. */
static int add_feeds(struct rte_tel_data *d, const struct atr_query_event *event)
{
	struct rte_tel_data *feeds, *numbers;

	if (!event->feeds_known)
		return 0;
	feeds = rte_tel_data_alloc();
	numbers = rte_tel_data_alloc();
	if (!feeds || !numbers) {
		rte_tel_data_free(feeds);
		rte_tel_data_free(numbers);
		return -ENOMEM;
	}
	rte_tel_data_start_array(feeds, RTE_TEL_U64_VAL);
	rte_tel_data_start_array(numbers, RTE_TEL_U64_VAL);
	for (uint64_t set = event->feeds; set; set &= set - 1) {
		int feed = __builtin_ctzll(set);

		rte_tel_data_add_array_u64(feeds, (uint64_t)feed);
		rte_tel_data_add_array_u64(numbers, event->number[feed]);
	}
	rte_tel_data_add_dict_container(d, "feeds", feeds, 0);
	return rte_tel_data_add_dict_container(d, "feed_numbers", numbers, 0);
}

static int add_proof(struct rte_tel_data *d, const struct ask_answer *answer)
{
	struct rte_tel_data *proof;
	int rc = telemetry_hex(d, "note_hex", (const uint8_t *)answer->note, answer->note_length);

	rte_tel_data_add_dict_u64(d, "checkpoint_size", answer->size);
	if (rc || !answer->proven)
		return rc;
	proof = rte_tel_data_alloc();
	if (!proof)
		return -ENOMEM;
	rte_tel_data_start_array(proof, RTE_TEL_STRING_VAL);
	for (int i = 0; i < answer->nodes; i++) {
		char hex[2 * ATR_HASH_SIZE + 1];

		atr_hex_encode(answer->proof[i], ATR_HASH_SIZE, hex);
		rte_tel_data_add_array_string(proof, hex);
	}
	return rte_tel_data_add_dict_container(d, "inclusion", proof, 0);
}

int telemetry_event(struct appliance *a, const char *params, struct rte_tel_data *d)
{
	struct ask_question question = {0};
	struct ask_answer answer;
	const struct atr_query_event *event = &answer.event[0];
	int rc;

	rte_tel_data_start_dict(d);
	if (!params || atr_query_identity(params, strlen(params), &question.key))
		return -EINVAL;
	rc = ask(a, &question, &answer, d);
	if (rc <= 0)
		return rc;
	rte_tel_data_add_dict_u64(d, "found", (uint64_t)answer.rc);
	if (answer.rc == 0)
		return 0;
	rte_tel_data_add_dict_u64(d, "admitted", event->admitted);
	rte_tel_data_add_dict_u64(d, "topic", event->topic);
	rte_tel_data_add_dict_u64(d, "type", event->type);
	rte_tel_data_add_dict_u64(d, "generation", event->generation);
	add_hash(d, "plan_digest", event->plan_digest);
	rte_tel_data_add_dict_u64(d, "shard", answer.shard);
	rte_tel_data_add_dict_u64(d, "leaf", event->leaf);
	rte_tel_data_add_dict_u64(d, "event", event->index);
	rte_tel_data_add_dict_u64(d, "events", event->events);
	add_hash(d, "leaf_hash", event->leaf_hash);
	rte_tel_data_add_dict_u64(d, "group", event->group);
	rte_tel_data_add_dict_u64(d, "commit_leaf", event->commit_leaf);
	rte_tel_data_add_dict_u64(d, "segment", event->segment);
	rte_tel_data_add_dict_u64(d, "offset", event->offset);
	rte_tel_data_add_dict_u64(d, "epoch", event->epoch);
	rte_tel_data_add_dict_u64(d, "received_ns", event->rx_ns);
	rte_tel_data_add_dict_u64(d, "committed_ns", event->committed_ns);
	rc = add_feeds(d, event);
	return rc ? rc : add_proof(d, &answer);
}

/* What a range tells of each event, a column each. */
static const char *const columns[] = {"sequence", "leaf", "event",      "group",       "admitted",
				      "topic",    "type", "generation", "committed_ns"};

static uint64_t column(const struct atr_query_event *event, unsigned int i)
{
	const uint64_t values[RTE_DIM(columns)] = {
		event->key.sequence, event->leaf,       event->index,
		event->group,        event->admitted,   event->topic,
		event->type,         event->generation, event->committed_ns};

	return values[i];
}

/* Numbers with commas between them: at least so many, at most max; how many, or -EINVAL. */
static int take_numbers(const char *text, uint64_t *out, int least, int max)
{
	int n = 0;

	for (; text && n < max; n++) {
		char *end;

		if (*text < '0' || *text > '9')
			return -EINVAL;
		errno = 0;
		out[n] = strtoull(text, &end, DECIMAL);
		if (errno || (*end != ',' && *end != '\0'))
			return -EINVAL;
		text = *end ? end + 1 : NULL;
	}
	return text || n < least ? -EINVAL : n;
}

enum range_param {
	FROM_SOURCE,
	FROM_FIRST,
	FROM_LAST,
	FROM_SHARD,
	FROM_LEAF,
	FROM_EVENT,
	FROM_ALL
};

int telemetry_events(struct appliance *a, const char *params, struct rte_tel_data *d)
{
	struct ask_question question = {.range = true};
	uint64_t from[FROM_ALL] = {0};
	struct ask_answer answer;
	char next[RTE_TEL_MAX_STRING_LEN];
	int rc;

	rte_tel_data_start_dict(d);
	if (take_numbers(params, from, FROM_SHARD, FROM_ALL) < 0 ||
	    from[FROM_SOURCE] > UINT32_MAX || from[FROM_SHARD] >= ATR_SHARDS_MAX ||
	    from[FROM_EVENT] > UINT32_MAX || from[FROM_FIRST] > from[FROM_LAST])
		return -EINVAL;
	question.key.source = (uint32_t)from[FROM_SOURCE];
	question.key.sequence = from[FROM_FIRST];
	question.last = from[FROM_LAST];
	question.shard = (uint32_t)from[FROM_SHARD];
	question.cursor.leaf = from[FROM_LEAF];
	question.cursor.index = (uint32_t)from[FROM_EVENT];
	rc = ask(a, &question, &answer, d);
	if (rc <= 0)
		return rc;
	rte_tel_data_add_dict_u64(d, "shard", answer.shard);
	for (unsigned int c = 0; c < RTE_DIM(columns); c++) {
		struct rte_tel_data *array = rte_tel_data_alloc();

		if (!array)
			return -ENOMEM;
		rte_tel_data_start_array(array, RTE_TEL_U64_VAL);
		for (int i = 0; i < answer.rc; i++)
			rte_tel_data_add_array_u64(array, column(&answer.event[i], c));
		rte_tel_data_add_dict_container(d, columns[c], array, 0);
	}
	if (!answer.more)
		return 0;
	snprintf(next, sizeof(next), "%u,%" PRIu64 ",%u", answer.next_shard, answer.cursor.leaf,
		 answer.cursor.index);
	return rte_tel_data_add_dict_string(d, "next", next);
}
