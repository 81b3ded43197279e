/* SPDX-License-Identifier: BSD-3-Clause */
/* The Query gate's answers about the logs, and what is answered and acknowledged from them. */
#include "telemetry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>

#define US_PER_S 1000000

static const char *state_name(enum atr_log_state state)
{
	switch (state) {
	case ATR_LOG_OK: return "ok";
	case ATR_LOG_FULL: return "full";
	case ATR_LOG_BROKEN: return "broken";
	}
	return "?";
}

static uint64_t mean_us(uint64_t cycles, uint64_t count)
{
	return count ? cycles / count * US_PER_S / rte_get_tsc_hz() : 0;
}

static void one_log(struct rte_tel_data *d, const struct atr_log *log,
		    const struct atr_commit_stats *commit)
{
	struct atr_log_stats s;
	const char *sentence;
	enum atr_log_state state = atr_log_state(log, &sentence);

	atr_log_stats(log, &s);
	rte_tel_data_add_dict_string(d, "state", state_name(state));
	rte_tel_data_add_dict_string(d, "sentence", sentence);
	rte_tel_data_add_dict_u64(d, "leaves", s.leaves);
	rte_tel_data_add_dict_u64(d, "segment", s.segment);
	rte_tel_data_add_dict_u64(d, "offset", s.offset);
	rte_tel_data_add_dict_u64(d, "groups", s.groups);
	rte_tel_data_add_dict_u64(d, "records", s.records);
	rte_tel_data_add_dict_u64(d, "bytes", s.bytes);
	rte_tel_data_add_dict_u64(d, "writes", s.writes);
	rte_tel_data_add_dict_u64(d, "syncs", s.syncs);
	rte_tel_data_add_dict_u64(d, "sync_us_mean", mean_us(s.sync_cycles, s.syncs));
	rte_tel_data_add_dict_u64(d, "groups_under_way", s.groups_under_way);
	rte_tel_data_add_dict_u64(d, "events", commit->events);
	rte_tel_data_add_dict_u64(d, "republished", commit->republished);
	rte_tel_data_add_dict_u64(d, "acks", commit->acks);
	rte_tel_data_add_dict_u64(d, "acks_dropped", commit->acks_dropped);
	rte_tel_data_add_dict_u64(d, "shed", commit->shed);
	rte_tel_data_add_dict_u64(d, "commit_us_mean",
				  mean_us(commit->wait_cycles, commit->groups));
	rte_tel_data_add_dict_u64(d, "commit_us_max", mean_us(commit->wait_cycles_max, 1));
}

int telemetry_log(const struct appliance *a, const char *params, struct rte_tel_data *d)
{
	uint64_t at = params ? strtoull(params, NULL, 10) : 0;
	unsigned int shown = 0;

	rte_tel_data_start_dict(d);
	for (; a->durable.running && at < a->shard_count; at++) {
		struct rte_tel_data *one;
		char key[16];
		int rc = telemetry_next(d, at, &shown, &one);

		if (rc <= 0)
			return rc;
		one_log(one, a->durable.shard[at].log, &a->shard[at]->commit.stats);
		snprintf(key, sizeof(key), "%" PRIu64, at);
		rte_tel_data_add_dict_container(d, key, one, 0);
	}
	return 0;
}

static void one_shard_gaps(struct rte_tel_data *d, const struct appliance *a, unsigned int shard)
{
	const struct atr_gap_gate *gate = &a->shard[shard]->gap;
	const struct atr_gap_counts *counts = &a->gaps.server.counts[shard];
	const struct atr_gap_reader *reader = a->gaps.server.reader[shard];

	for (unsigned int v = 0; v < ATR_GAP_VERDICTS; v++)
		rte_tel_data_add_dict_u64(d, atr_gap_verdict_name(v), gate->verdicts[v]);
	rte_tel_data_add_dict_u64(d, "log_answered", counts->answered);
	rte_tel_data_add_dict_u64(d, "log_not_there", counts->not_there);
	rte_tel_data_add_dict_u64(d, "log_failed", counts->failed);
	rte_tel_data_add_dict_u64(d, "log_dropped", counts->dropped);
	rte_tel_data_add_dict_u64(d, "log_groups", reader ? atr_gap_reader_group(reader) : 0);
	rte_tel_data_add_dict_u64(
		d, "durable_groups",
		__atomic_load_n(&a->shard[shard]->commit.group_end, __ATOMIC_ACQUIRE));
}

int telemetry_gaps(const struct appliance *a, const char *params, struct rte_tel_data *d)
{
	uint64_t at = params ? strtoull(params, NULL, 10) : 0;
	unsigned int shown = 0;

	rte_tel_data_start_dict(d);
	for (; at < a->shard_count; at++) {
		struct rte_tel_data *one;
		char key[16];
		int rc = telemetry_next(d, at, &shown, &one);

		if (rc <= 0)
			return rc;
		one_shard_gaps(one, a, (unsigned int)at);
		snprintf(key, sizeof(key), "%" PRIu64, at);
		rte_tel_data_add_dict_container(d, key, one, 0);
	}
	return 0;
}

void telemetry_acks(const struct atr_acker_stats *acks, struct rte_tel_data *d)
{
	rte_tel_data_add_dict_u64(d, "ack_frames", acks->frames);
	rte_tel_data_add_dict_u64(d, "ack_datagrams", acks->datagrams);
	rte_tel_data_add_dict_u64(d, "ack_signatures", acks->signatures);
	rte_tel_data_add_dict_u64(d, "ack_no_address", acks->no_address);
	rte_tel_data_add_dict_u64(d, "ack_no_room", acks->no_room);
}

int telemetry_checkpoint(const struct appliance *a, const char *params, struct rte_tel_data *d)
{
	uint64_t shard = params ? strtoull(params, NULL, 10) : 0;
	char note[ATR_CHECKPOINT_MAX + 1];
	size_t length;

	rte_tel_data_start_dict(d);
	if (!a->durable.running || shard >= a->shard_count)
		return -EINVAL;
	length = atr_log_checkpoint(a->durable.shard[shard].log, note, sizeof(note) - 1);
	note[length] = '\0';
	/* A string of the answer is shorter than a note: line by line. */
	for (unsigned int line = 0, from = 0; from < length; line++) {
		char name[16], text[RTE_TEL_MAX_SINGLE_STRING_LEN];
		unsigned int end = from;

		while (end < length && note[end] != '\n')
			end++;
		snprintf(name, sizeof(name), "line%u", line);
		snprintf(text, sizeof(text), "%.*s", (int)(end - from), note + from);
		rte_tel_data_add_dict_string(d, name, text);
		from = end + 1;
	}
	return 0;
}

void telemetry_keys(const struct appliance *a, struct rte_tel_data *d)
{
	const struct atr_signer *keys[] = {a->durable.checkpoint_key, a->durable.acks_key};
	static const char *const names[] = {"checkpoint_key", "acks_key"};

	for (unsigned int k = 0; k < RTE_DIM(keys); k++) {
		uint8_t public[ATR_PUBLIC_KEY_SIZE];
		char hex[2 * sizeof(public) + 1];

		if (!keys[k])
			continue;
		atr_signer_public(keys[k], public);
		atr_hex_encode(public, sizeof(public), hex);
		rte_tel_data_add_dict_string(d, names[k], hex);
	}
}
