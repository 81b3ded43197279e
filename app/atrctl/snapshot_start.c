/* SPDX-License-Identifier: BSD-3-Clause */
#include "snapshot_start.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../lib/replay/snapshot.h"
#include "../../lib/wire/moldudp64.h"
#include "event_line.h"
#include "explain.h"
#include "log_tool.h"
#include "state_line.h"

#define PATH_SIZE 4300

struct one {
	struct atr_snapshot_hdr hdr;
	struct atr_replay *replay;
};

struct snapshot_start {
	unsigned int count;
	struct one *one;
};

/* 0, or -1 with a sentence. */
static int load(struct snapshot_start *start, const char *path, char *error)
{
	struct one *more = reallocarray(start->one, start->count + 1, sizeof(*more));
	struct atr_replay_params params = {0};
	struct atr_snapshot snapshot;
	struct atr_log_end end;
	char why[LOG_ERROR_SIZE];
	struct one *one;

	if (!more) {
		snprintf(error, ERROR_SIZE, "out of memory");
		return -1;
	}
	start->one = more;
	one = &more[start->count];
	if (atr_snapshot_read(path, &snapshot, error, ERROR_SIZE) < 0)
		return -1;
	memcpy(&one->hdr, snapshot.bytes, sizeof(one->hdr));
	params.shard = one->hdr.shard;
	params.shards = one->hdr.shards;
	params.state_keys = one->hdr.state_limit;
	one->replay =
		atr_snapshot_load(&params, snapshot.bytes, snapshot.length, &end, why, sizeof(why));
	free(snapshot.bytes);
	if (!one->replay) {
		snprintf(error, ERROR_SIZE, "%.200s: %.250s", path, why);
		return -1;
	}
	start->count++;
	if (memcmp(one->hdr.log_id, start->one->hdr.log_id, sizeof(one->hdr.log_id)) == 0)
		return 0;
	snprintf(error, ERROR_SIZE,
		 "%.300s is a snapshot of another log than that of shard %u: name the directory of "
		 "one log",
		 path, start->one->hdr.shard);
	return -1;
}

/* The newest of each shard; a shard without one has nothing behind which to begin. */
static int load_all(struct snapshot_start *start, const char *path, char *error)
{
	char directory[PATH_SIZE], file[PATH_SIZE + 64];
	struct stat there;
	uint64_t newest;

	for (unsigned int shard = 0; shard < LOG_SHARDS_MAX; shard++) {
		snprintf(directory, sizeof(directory), "%.4000s/shard-%u", path, shard);
		if (stat(directory, &there) != 0)
			break;
		if (atr_snapshot_list(directory, &newest, 1) < 1) {
			snprintf(error, ERROR_SIZE,
				 "%.300s has no snapshot yet; --snapshot-events says how often "
				 "atr makes one",
				 directory);
			return -1;
		}
		snprintf(file, sizeof(file), "%s/" ATR_SNAPSHOT_NAME, directory, newest);
		if (load(start, file, error) < 0)
			return -1;
	}
	if (start->count)
		return 0;
	snprintf(error, ERROR_SIZE, "%.300s holds no shard-0: name a log's directory or a snapshot",
		 path);
	return -1;
}

struct snapshot_start *snapshot_start_load(const char *path, char *error)
{
	struct snapshot_start *start = calloc(1, sizeof(*start));
	struct stat there;
	int rc;

	if (!start) {
		snprintf(error, ERROR_SIZE, "out of memory");
		return NULL;
	}
	rc = stat(path, &there) == 0 && S_ISDIR(there.st_mode) ? load_all(start, path, error)
							       : load(start, path, error);
	if (rc == 0)
		return start;
	snapshot_start_free(start);
	return NULL;
}

void snapshot_start_free(struct snapshot_start *start)
{
	if (!start)
		return;
	for (unsigned int i = 0; i < start->count; i++)
		atr_replay_free(start->one[i].replay);
	free(start->one);
	free(start);
}

static int print_state(void *context, const struct atr_state_entry *entry)
{
	json_t *line;

	if (!*(const bool *)context) {
		fputs("-- state ", stdout);
		state_line_print(entry, entry->value_length);
		return 0;
	}
	line = state_line_json(entry, entry->value_length);
	json_object_set_new(line, "note", json_string("state"));
	explain_print_json(line);
	return 0;
}

void snapshot_start_print(const struct snapshot_start *start, bool json)
{
	for (unsigned int i = 0; i < start->count; i++) {
		const struct atr_snapshot_hdr *hdr = &start->one[i].hdr;

		printf(json ? "{\"note\":\"snapshot\",\"shard\":%u,\"group\":%" PRIu64
			      ",\"leaves\":%" PRIu64 ",\"state\":%" PRIu64 "}\n"
			    : "-- snapshot of shard %u at group %" PRIu64 ", leaf %" PRIu64
			      ", keys of state %" PRIu64 "\n",
		       hdr->shard, hdr->groups, hdr->leaves, hdr->states);
		atr_replay_states(start->one[i].replay, 0, 0, "", 0, print_state, &json);
	}
}

int snapshot_start_check(const struct snapshot_start *start, const struct atr_plan *plan,
			 char *error)
{
	for (unsigned int i = 0; i < start->count; i++) {
		const struct atr_plan *own = atr_replay_plan(start->one[i].replay);

		if (!own || own->realm == plan->realm)
			continue;
		snprintf(error, ERROR_SIZE,
			 "the snapshot of shard %u is of a log of realm %016" PRIx64
			 ", the plan is of realm %016" PRIx64
			 ": give the snapshot of the log that is "
			 "written under this plan",
			 start->one[i].hdr.shard, own->realm, plan->realm);
		return -1;
	}
	return 0;
}

/* What the plan in force at the snapshot calls of class D has one session as long as the log. */
static bool is_lasting(const struct atr_plan *plan, uint32_t feed)
{
	return plan && feed < plan->feed_slots && plan->feeds[feed].present &&
	       (plan->commit_feeds >> feed & 1);
}

/* A feed that the plan calls of a weaker class has sessions of its own, without a past. */
static bool is_weaker(const struct atr_plan *plan, uint32_t feed)
{
	return plan && feed < plan->feed_slots && plan->feeds[feed].present &&
	       !(plan->commit_feeds >> feed & 1);
}

enum snapshot_session snapshot_start_from(const struct snapshot_start *start, const char *session,
					  uint64_t *from)
{
	uint32_t feed, shard, epoch;

	if (atr_mold_session_parse(session, &feed, &shard, &epoch) || feed >= ATR_LOG_FEEDS_MAX)
		return SNAPSHOT_UNKNOWN;
	for (unsigned int i = 0; i < start->count; i++) {
		const struct atr_snapshot_hdr *hdr = &start->one[i].hdr;
		const struct atr_plan *plan = atr_replay_plan(start->one[i].replay);

		if (hdr->shard != shard || is_weaker(plan, feed))
			continue;
		*from = hdr->feed_next[feed];
		if (hdr->first_epoch == epoch)
			return SNAPSHOT_KNOWN;
		return is_lasting(plan, feed) ? SNAPSHOT_FOREIGN : SNAPSHOT_UNKNOWN;
	}
	return SNAPSHOT_UNKNOWN;
}
