/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes the log of shard 1 of 2 into DIR/shard-1, with a snapshot of the first 10 groups, for the
 * test of 'atrctl snapshot'. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "../../../lib/replay/snapshot.h"
#include "replay_log.h"

#define GROUPS   20
#define SNAPSHOT 10
#define SUM      3

static void die(const char *what)
{
	fprintf(stderr, "write_replay_log: %s\n", what);
	exit(1);
}

static void write_snapshot(struct replay_log *log, const char *directory)
{
	struct atr_replay_params params = {.shard = 1, .shards = 2};
	struct atr_log_follow_params from = {.storage = &log->disk.storage};
	char error[512];
	struct atr_replay *replay = atr_replay_create(&params, error, sizeof(error));
	struct atr_log_follow *follow = atr_log_follow_open(&from, error, sizeof(error));
	struct atr_snapshot snapshot;

	if (!replay || !follow ||
	    atr_log_follow_take(follow, SNAPSHOT, GROUPS, atr_replay_visitor(replay), error,
				sizeof(error)) != SNAPSHOT ||
	    atr_snapshot_make(replay, atr_log_follow_end(follow), &snapshot, error, sizeof(error)) <
		    0 ||
	    atr_snapshot_save(directory, &snapshot, error, sizeof(error)) < 0)
		die(error);
	free(snapshot.bytes);
	atr_log_follow_close(follow);
	atr_replay_free(replay);
}

int main(int argc, char **argv)
{
	struct replay_log log;
	char path[4096];

	if (argc != 2)
		die("name a directory");
	replay_log_init(&log);
	replay_log_plan(&log);
	for (uint64_t g = 1; g < GROUPS; g++) {
		replay_log_begin(&log);
		replay_log_kept(&log, 1, g, SUM, 100, 10, g % 2 ? "odd" : "even");
		replay_log_finish(&log, g);
	}
	for (unsigned int s = 0; s < 2; s++) {
		snprintf(path, sizeof(path), "%s/shard-%u", argv[1], s);
		mkdir(path, 0755);
	}
	write_snapshot(&log, path);
	for (unsigned int i = 0; i < log.disk.files; i++) {
		FILE *file;

		snprintf(path, sizeof(path), "%s/shard-1/%s", argv[1], log.disk.file[i]->name);
		file = fopen(path, "wb");
		if (!file ||
		    fwrite(log.disk.file[i]->bytes, 1, log.disk.file[i]->size, file) !=
			    log.disk.file[i]->size ||
		    fclose(file) != 0)
			die("cannot write the log");
	}
	replay_log_free(&log);
	return 0;
}
