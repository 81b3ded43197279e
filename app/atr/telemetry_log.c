/* SPDX-License-Identifier: BSD-3-Clause */
/* The Query gate's answers about the logs, and what is answered and acknowledged from them. */
#include "telemetry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>

#define US_PER_S  1000000
#define HEX_PIECE 60 /* bytes: a string of an answer has room for 127 characters */

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

static void add_kept(struct rte_tel_data *d, struct follow *follow, unsigned int shard)
{
	struct atr_follower_status status;
	struct atr_follower *follower;
	uint64_t rate = 0, seconds = 0;
	struct kept kept;
	int rc;

	follow_kept(follow, shard, &kept);
	atr_log_forecast_read(&kept.forecast, kept.free_bytes, &rate, &seconds);
	rte_tel_data_add_dict_u64(d, "free_bytes", kept.free_bytes);
	rte_tel_data_add_dict_u64(d, "bytes_per_s", rate);
	/* Left out while nothing is being written. */
	if (seconds != UINT64_MAX)
		rte_tel_data_add_dict_u64(d, "full_in_s", seconds);
	rte_tel_data_add_dict_u64(d, "pruned_segments", kept.pruned_segments);
	rte_tel_data_add_dict_u64(d, "pruned_bytes", kept.pruned_bytes);
	rte_tel_data_add_dict_string(d, "keeper", kept.error);
	follower = follow_enter(follow);
	if (!follower)
		return;
	rc = atr_follower_status(follower, shard, &status);
	follow_leave(follow);
	if (rc < 0)
		return;
	rte_tel_data_add_dict_u64(d, "followed_groups", status.groups);
	rte_tel_data_add_dict_u64(d, "followed_behind", status.behind);
	rte_tel_data_add_dict_u64(d, "snapshots", status.snapshots);
	rte_tel_data_add_dict_u64(d, "snapshot_group", status.snapshot_group);
	rte_tel_data_add_dict_u64(d, "state_keys", status.state.keys);
	rte_tel_data_add_dict_u64(d, "state_refused", status.state.refused);
	rte_tel_data_add_dict_string(d, "follower", status.error);
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
	rte_tel_data_add_dict_u64(d, "sync_us_max", mean_us(s.sync_cycles_max, 1));
	rte_tel_data_add_dict_u64(d, "anchors", s.anchors);
	rte_tel_data_add_dict_u64(d, "anchor_us_mean", mean_us(s.anchor_cycles, s.anchors));
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

int telemetry_log(struct appliance *a, const char *params, struct rte_tel_data *d)
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
		add_kept(one, &a->follow, (unsigned int)at);
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

int telemetry_gaps(struct appliance *a, const char *params, struct rte_tel_data *d)
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

/* The signed note as hex, in pieces: it is not ASCII, and longer than a string of an answer. */
int telemetry_checkpoint(struct appliance *a, const char *params, struct rte_tel_data *d)
{
	uint64_t shard = params ? strtoull(params, NULL, 10) : 0;
	char note[ATR_CHECKPOINT_MAX];
	size_t length;

	rte_tel_data_start_dict(d);
	if (!a->durable.running || shard >= a->shard_count)
		return -EINVAL;
	length = atr_log_checkpoint(a->durable.shard[shard].log, note, sizeof(note));
	return telemetry_hex(d, "note_hex", (const uint8_t *)note, length);
}

int telemetry_hex(struct rte_tel_data *d, const char *name, const uint8_t *bytes, size_t length)
{
	struct rte_tel_data *pieces = rte_tel_data_alloc();

	if (!pieces)
		return -ENOMEM;
	rte_tel_data_start_array(pieces, RTE_TEL_STRING_VAL);
	for (size_t at = 0; at < length; at += HEX_PIECE) {
		char hex[2 * HEX_PIECE + 1];

		atr_hex_encode(bytes + at, RTE_MIN(length - at, (size_t)HEX_PIECE), hex);
		rte_tel_data_add_array_string(pieces, hex);
	}
	return rte_tel_data_add_dict_container(d, name, pieces, 0);
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
