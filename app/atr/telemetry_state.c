/* SPDX-License-Identifier: BSD-3-Clause */
/* The Query gate's answers about keyed state, from the follower's replays: bounded, and never on a
 * lcore's time. A key is given as its JSON text, which begins with '[', or as the hex of that; keys
 * and values are answered as hex in pieces to be joined. */
#include "telemetry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX      3072 /* bytes of a value in an answer about one key: DPDK cuts at 16 KiB */
#define LIST_VALUE_MAX 120  /* and in a list */
#define LIST_MAX       16
#define LIST_BYTES     14000 /* of a list's text; an entry's is at most about 3,000 */
#define ENTRY_BYTES    400   /* of an entry without its key and value */
#define PIECE_BYTES    16    /* at least, in a piece of hex with its quotes and comma */
#define DECIMAL        10

struct place {
	uint32_t shard, source, type;
	char key[ATR_STATE_KEY_BYTES];
	uint32_t key_length;
};

/* A number and the comma behind it, or the end. */
static int take_number(const char **text, uint32_t *out)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(*text, &end, DECIMAL);
	if (errno || end == *text || (*end != ',' && *end != '\0') || value > UINT32_MAX)
		return -EINVAL;
	*out = (uint32_t)value;
	*text = *end ? end + 1 : end;
	return 0;
}

static int take_key(const char *text, struct place *place)
{
	size_t length = strlen(text);

	if (text[0] != '[') {
		length /= 2;
		if (length > sizeof(place->key) ||
		    atr_hex_decode(text, strlen(text), (uint8_t *)place->key, length))
			return -EINVAL;
	} else if (length <= sizeof(place->key)) {
		memcpy(place->key, text, length);
	} else {
		return -EINVAL;
	}
	place->key_length = (uint32_t)length;
	return 0;
}

static int add_entry(struct rte_tel_data *d, const struct atr_state_entry *entry, const char *key,
		     size_t key_length, size_t value_max)
{
	int rc;

	rte_tel_data_add_dict_u64(d, "source", entry->source);
	rte_tel_data_add_dict_u64(d, "type", entry->type);
	rte_tel_data_add_dict_string(d, "op", atr_state_op_name(entry->op));
	rte_tel_data_add_dict_u64(d, "position", entry->position);
	rte_tel_data_add_dict_u64(d, "event", entry->event);
	rte_tel_data_add_dict_u64(d, "key_length", entry->key_length);
	rc = telemetry_hex(d, "key_hex", (const uint8_t *)key, key_length);
	if (entry->op == ATR_STATE_INCREMENT || entry->op == ATR_STATE_MAXIMUM) {
		rte_tel_data_add_dict_int(d, "number", entry->number);
		rte_tel_data_add_dict_u64(d, "scale", entry->scale);
		return rc;
	}
	rte_tel_data_add_dict_string(d, "form", entry->binary ? "binary" : "json");
	rte_tel_data_add_dict_u64(d, "value_length", entry->value_length);
	return rc ? rc
		  : telemetry_hex(d, "value_hex", entry->value,
				  RTE_MIN((size_t)entry->value_length, value_max));
}

uint64_t telemetry_state_types(const struct atr_plan *plan)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < plan->type_slots; i++)
		count += plan->types[i].present && plan->types[i].state.op != ATR_STATE_NONE;
	return count;
}

int telemetry_state(struct appliance *a, const char *params, struct rte_tel_data *d)
{
	struct atr_follower *follower;
	struct atr_state_entry entry;
	uint8_t value[VALUE_MAX];
	struct place place = {0};
	int rc = -ENOENT;

	rte_tel_data_start_dict(d);
	if (!params || take_number(&params, &place.source) || take_number(&params, &place.type) ||
	    take_key(params, &place))
		return -EINVAL;
	follower = follow_enter(&a->follow);
	if (!follower)
		return -EAGAIN;
	for (; rc == -ENOENT && place.shard < a->shard_count; place.shard++)
		rc = atr_follower_state(follower, place.shard, place.source, place.type, place.key,
					place.key_length, &entry, value, sizeof(value));
	follow_leave(&a->follow);
	if (rc == -ENOENT) {
		rte_tel_data_add_dict_u64(d, "found", 0);
		return 0;
	}
	if (rc < 0)
		return rc;
	rte_tel_data_add_dict_u64(d, "found", 1);
	rte_tel_data_add_dict_u64(d, "shard", place.shard - 1);
	return add_entry(d, &entry, place.key, place.key_length, sizeof(value));
}

struct listing {
	struct rte_tel_data *list;
	unsigned int count;
	size_t bytes; /* of its text, about */
	bool full;
};

/* Hex digits, in pieces with quotes and a comma. */
static size_t hex_bytes(size_t length)
{
	return 2 * length + length / PIECE_BYTES;
}

static int add_listed(void *context, const struct atr_state_entry *entry)
{
	struct listing *listing = context;
	struct rte_tel_data *one;
	char name[16];
	int rc;

	listing->bytes += ENTRY_BYTES + hex_bytes(entry->key_length) +
			  hex_bytes(RTE_MIN(entry->value_length, (uint32_t)LIST_VALUE_MAX));
	if (listing->full)
		return 0;
	if (listing->count == LIST_MAX || listing->bytes > LIST_BYTES) {
		listing->full = true;
		rte_tel_data_add_dict_u64(listing->list, "more", 1);
		return 0;
	}
	one = rte_tel_data_alloc();
	if (!one)
		return -ENOMEM;
	rte_tel_data_start_dict(one);
	rc = add_entry(one, entry, entry->key, entry->key_length, LIST_VALUE_MAX);
	snprintf(name, sizeof(name), "%u", listing->count++);
	rte_tel_data_add_dict_container(listing->list, name, one, 0);
	return rc;
}

int telemetry_states(struct appliance *a, const char *params, struct rte_tel_data *d)
{
	struct listing listing = {.list = d};
	struct atr_follower *follower;
	struct place place = {0};
	int rc;

	rte_tel_data_start_dict(d);
	if (params && (take_number(&params, &place.shard) ||
		       (*params && (take_number(&params, &place.source) ||
				    take_number(&params, &place.type))) ||
		       take_key(params, &place)))
		return -EINVAL;
	follower = follow_enter(&a->follow);
	if (!follower)
		return -EAGAIN;
	rc = atr_follower_states(follower, place.shard, place.source, place.type, place.key,
				 place.key_length, LIST_MAX + 1, add_listed, &listing);
	follow_leave(&a->follow);
	return rc < 0 ? rc : 0;
}

static int list_sources(const struct appliance *a, const struct atr_program *program,
			const char *params, struct rte_tel_data *d)
{
	const struct atr_plan *plan = program->plan;
	uint64_t at = telemetry_offset(params);
	unsigned int shown = 0;
	int rc;

	rte_tel_data_start_dict(d);
	for (; plan && at < plan->source_slots; at++) {
		const struct atr_source_state *state = &program->source[at];
		struct rte_tel_data *one;
		char key[16];

		if (!plan->sources[at].present)
			continue;
		rc = telemetry_next(d, at, &shown, &one);
		if (rc <= 0)
			return rc;
		rte_tel_data_add_dict_string(one, "name", plan->sources[at].name);
		rte_tel_data_add_dict_u64(one, "shard", at % a->shard_count);
		rte_tel_data_add_dict_u64(one, "floor", atr_window_floor(state->window));
		rte_tel_data_add_dict_u64(one, "next", atr_window_top(state->window));
		/* Class D reserves nothing: the log itself says what was admitted. */
		if (state->reserve->reserved != UINT64_MAX)
			rte_tel_data_add_dict_u64(one, "reserved", state->reserve->reserved);
		snprintf(key, sizeof(key), "%" PRIu64, at);
		rte_tel_data_add_dict_container(d, key, one, 0);
	}
	return 0;
}

int telemetry_sources(struct appliance *a, const char *params, struct rte_tel_data *d)
{
	int rc;

	pthread_mutex_lock(&a->control->readers);
	rc = list_sources(a, __atomic_load_n(&a->program, __ATOMIC_ACQUIRE), params, d);
	pthread_mutex_unlock(&a->control->readers);
	return rc;
}
