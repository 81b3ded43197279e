/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../lib/replay/snapshot.h"
#include "command.h"
#include "log_tool.h"
#include "option.h"

#define FILES_MAX   64
#define RECORDS_MAX 65536
#define HEX_SIZE    (2 * ATR_HASH_SIZE + 1)
#define PATH_SIZE   4200
#define NAME_SIZE   64
#define QUIET_NS    UINT64_C(2000000000) /* without a word of progress */

static const struct usage rebuild_usage = {
	"snapshot rebuild [--shard N] [--group N] [--state-keys N] [--json] DIR",
	"Replays a shard's log under DIR (shard-0, ...) from its first byte and makes the\n"
	"snapshots again: for every snapshot file there, or for the group given (snapshot\n"
	"of all groups below N), or for the log's end. Compares their digests with those of\n"
	"the files and of the log's snapshot records. Changes nothing.",
	"  atrctl snapshot rebuild /var/lib/atr/log\n"
	"  atrctl snapshot rebuild --shard 1 --group 5000 /var/lib/atr/log",
};

static const struct usage show_usage = {
	"snapshot show [--json] FILE",
	"Prints what a snapshot's file says of itself: shard, place in the log, counts, digest.",
	"  atrctl snapshot show /var/lib/atr/log/shard-0/snapshot-0000000000001388.atr",
};

struct made {
	uint64_t groups;
	uint8_t digest[ATR_HASH_SIZE];
	bool done;
};

struct rebuild {
	struct atr_replay *replay;
	struct atr_log_scan scan;
	struct made made[FILES_MAX];
	unsigned int count;
	bool at_end; /* the log's end is wanted */
	struct atr_snapshot_body record[RECORDS_MAX];
	unsigned int records;
	uint64_t started, told;
	char error[LOG_ERROR_SIZE];
};

static int see_record(void *context, const struct atr_group_hdr *group,
		      const struct atr_record_hdr *record, const uint8_t *body,
		      const uint8_t *decisions, const uint8_t leaf[ATR_HASH_SIZE])
{
	struct rebuild *run = context;
	const struct atr_log_visitor *visitor = atr_replay_visitor(run->replay);

	if (record->kind == ATR_RECORD_SNAPSHOT && run->records < RECORDS_MAX)
		memcpy(&run->record[run->records++], body, sizeof(run->record[0]));
	return visitor->record(visitor->context, group, record, body, decisions, leaf);
}

static int make(struct rebuild *run, struct made *made)
{
	struct atr_snapshot snapshot;
	int err = atr_snapshot_make(run->replay, &run->scan.end, &snapshot, run->error,
				    sizeof(run->error));

	if (err)
		return err;
	memcpy(made->digest, snapshot.digest, sizeof(made->digest));
	made->groups = snapshot.groups;
	made->done = true;
	free(snapshot.bytes);
	return 0;
}

static int see_group(void *context, const struct atr_group_hdr *group, uint64_t leaves,
		     const uint8_t root[ATR_HASH_SIZE])
{
	struct rebuild *run = context;
	uint64_t now = log_clock_ns();

	(void)leaves;
	(void)root;
	if (now - run->told > QUIET_NS) {
		run->told = now;
		fprintf(stderr, "group %" PRIu64 ", %" PRIu64 " events, %.0f events/s\n",
			group->group, atr_replay_events(run->replay),
			(double)atr_replay_events(run->replay) /
				((double)(now - run->started) / 1e9));
	}
	for (unsigned int i = 0; i < run->count; i++)
		if (run->made[i].groups == group->group + 1) {
			int err = make(run, &run->made[i]);

			if (err)
				return err;
		}
	return 0;
}

/* What the file of a snapshot has: 1 the same digest, 0 another, -1 there is none. */
static int compare_file(const char *directory, const struct made *made)
{
	struct atr_snapshot snapshot;
	char path[PATH_SIZE + NAME_SIZE], error[LOG_ERROR_SIZE];
	int same;

	snprintf(path, sizeof(path), "%s/" ATR_SNAPSHOT_NAME, directory, made->groups);
	if (access(path, F_OK) < 0)
		return -1;
	if (atr_snapshot_read(path, &snapshot, error, sizeof(error)) < 0)
		return 0;
	same = memcmp(snapshot.digest, made->digest, sizeof(made->digest)) == 0;
	free(snapshot.bytes);
	return same;
}

static int compare_records(const struct rebuild *run, const struct made *made)
{
	int same = -1;

	for (unsigned int i = 0; i < run->records; i++)
		if (run->record[i].group == made->groups && same)
			same = memcmp(run->record[i].digest, made->digest, sizeof(made->digest)) ==
			       0;
	return same;
}

static const char *verdict(int same)
{
	return same < 0 ? "none" : same ? "same" : "DIFFERS";
}

static int print_made(const struct rebuild *run, const char *directory, uint32_t shard, bool json)
{
	int status = EXIT_OK;

	for (unsigned int i = 0; i < run->count; i++) {
		const struct made *made = &run->made[i];
		int file = compare_file(directory, made), record = compare_records(run, made);
		char hex[HEX_SIZE];

		if (!made->done) {
			fprintf(stderr,
				"atrctl snapshot rebuild: group %" PRIu64
				" is beyond the log's end, which is %" PRIu64 "\n",
				made->groups, run->scan.end.group);
			status = EXIT_NEGATIVE;
			continue;
		}
		if (file == 0 || record == 0)
			status = EXIT_NEGATIVE;
		sodium_bin2hex(hex, sizeof(hex), made->digest, sizeof(made->digest));
		printf(json ? "{\"shard\":%u,\"group\":%" PRIu64
			      ",\"digest\":\"%s\",\"file\":\"%s\",\"record\":\"%s\"}\n"
			    : "shard %u group %" PRIu64 " digest %s file %s record %s\n",
		       shard, made->groups, hex, verdict(file), verdict(record));
	}
	return status;
}

static int replay_log(struct rebuild *run, const char *path, uint32_t shard, char *shard_path)
{
	struct atr_log_visitor visitor = {run, see_record, see_group, NULL};
	struct log_directory directory;
	int err = log_directory_open(&directory, path, shard, run->error);

	if (err)
		return err;
	snprintf(shard_path, PATH_SIZE, "%s", directory.path);
	if (run->count == 0) {
		uint64_t groups[FILES_MAX];
		int files = atr_snapshot_list(directory.path, groups, FILES_MAX);

		for (int i = 0; i < files; i++)
			run->made[run->count++].groups = groups[i];
		run->at_end = run->count == 0;
	}
	run->started = run->told = log_clock_ns();
	err = atr_log_scan(&directory.storage, &visitor, &run->scan, run->error,
			   sizeof(run->error));
	log_directory_close(&directory);
	if (err && atr_replay_error(run->replay)[0])
		snprintf(run->error, sizeof(run->error), "%s", atr_replay_error(run->replay));
	if (!err && run->at_end && run->scan.end.group)
		err = make(run, &run->made[run->count++]);
	return err;
}

/* Directories shard-0, shard-1, .. */
static uint32_t count_shards(const char *path)
{
	char name[PATH_SIZE];
	uint32_t n = 0;

	do
		snprintf(name, sizeof(name), "%s/shard-%u", path, n);
	while (access(name, F_OK) == 0 && ++n < LOG_SHARDS_MAX);
	return n;
}

static int rebuild(int argc, char **argv)
{
	struct option_u64 shard = {0}, group = {0}, keys = {0};
	const char *path = NULL;
	bool json = false;
	const struct option table[] = {
		{"--shard", "N", "the shard (0)", OPTION_U64, &shard, 0, LOG_SHARDS_MAX - 1},
		{"--group", "N", "the snapshot of all groups below N", OPTION_U64, &group, 1,
		 UINT64_MAX},
		{"--state-keys", "N", "the appliance's bound on keys of state", OPTION_U64, &keys,
		 1, UINT64_MAX},
		{"--json", NULL, "one JSON object a line", OPTION_FLAG, &json, 0, 0},
		{"", "DIR", "directory that holds shard-0", OPTION_STRING, &path, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	char shard_path[PATH_SIZE];
	struct atr_replay_params params = {0};
	struct rebuild *run;
	int err = options_parse(&rebuild_usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (!path)
		return usage_error("snapshot rebuild", "name the log's directory");
	params.shard = (uint32_t)shard.value;
	params.state_keys = keys.value;
	params.shards = count_shards(path);
	run = calloc(1, sizeof(*run));
	if (run)
		run->replay = atr_replay_create(&params, run->error, sizeof(run->error));
	if (!run || !run->replay) {
		free(run);
		return failure("snapshot rebuild", "out of memory");
	}
	if (group.given)
		run->made[run->count++].groups = group.value;
	err = replay_log(run, path, params.shard, shard_path);
	if (err == -ENOENT)
		err = usage_error("snapshot rebuild", "%s", run->error);
	else if (err)
		err = failure("snapshot rebuild", "%s", run->error);
	else
		err = print_made(run, shard_path, params.shard, json);
	atr_replay_free(run->replay);
	free(run);
	return err;
}

static int show(int argc, char **argv)
{
	const char *path = NULL;
	bool json = false;
	const struct option table[] = {
		{"--json", NULL, "as one JSON object", OPTION_FLAG, &json, 0, 0},
		{"", "FILE", "a snapshot", OPTION_STRING, &path, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	char error[LOG_ERROR_SIZE], digest[HEX_SIZE];
	struct atr_replay_params params;
	struct atr_snapshot snapshot;
	struct atr_snapshot_hdr hdr;
	struct atr_replay *replay;
	struct atr_log_end end;
	int err = options_parse(&show_usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (!path)
		return usage_error("snapshot show", "name the snapshot's file");
	if (atr_snapshot_read(path, &snapshot, error, sizeof(error)) < 0)
		return usage_error("snapshot show", "%s", error);
	memcpy(&hdr, snapshot.bytes, sizeof(hdr));
	params = (struct atr_replay_params){
		.shard = hdr.shard, .shards = hdr.shards, .state_keys = hdr.state_limit};
	replay = atr_snapshot_load(&params, snapshot.bytes, snapshot.length, &end, error,
				   sizeof(error));
	free(snapshot.bytes);
	if (!replay) {
		usage_error("snapshot show", "%s: %s", path, error);
		return EXIT_NEGATIVE;
	}
	atr_replay_free(replay);
	sodium_bin2hex(digest, sizeof(digest), snapshot.digest, sizeof(snapshot.digest));
	printf(json ? "{\"shard\":%u,\"shards\":%u,\"group\":%" PRIu64 ",\"leaves\":%" PRIu64
		      ",\"events\":%" PRIu64 ",\"windows\":%" PRIu64 ",\"envelopes\":%" PRIu64
		      ",\"state\":%" PRIu64 ",\"generation\":%" PRIu64 ",\"bytes\":%zu"
		      ",\"digest\":\"%s\"}\n"
		    : "shard %u of %u\ngroup %" PRIu64 "\nleaves %" PRIu64 "\nevents %" PRIu64
		      "\nwindows %" PRIu64 "\nenvelopes %" PRIu64 "\nstate %" PRIu64
		      "\ngeneration %" PRIu64 "\nbytes %zu\ndigest %s\n",
	       hdr.shard, hdr.shards, hdr.groups, hdr.leaves, hdr.events, hdr.windows,
	       hdr.envelopes, hdr.states, hdr.generation, snapshot.length, digest);
	return EXIT_OK;
}

int cmd_snapshot(int argc, char **argv)
{
	static const struct command commands[] = {
		{"show", "what a snapshot's file says", show},
		{"rebuild", "make snapshots again from the log alone, and compare", rebuild},
		{NULL, NULL, NULL},
	};
	static const struct command_group group = {
		"snapshot",
		"Reads snapshots of a log's state; changes nothing.",
		commands,
	};

	return command_group_run(&group, argc, argv);
}
