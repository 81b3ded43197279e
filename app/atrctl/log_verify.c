/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "log_tool.h"
#include "option.h"

#define ROOT_TEXT 48 /* base64 of a root */
#define OWN_PATH  4200

static const struct usage usage = {
	"log verify [[--checkpoint FILE] --key HEX] [--name NAME] DIR",
	"Reads every shard's log under DIR (shard-0, shard-1, ...) from the first byte to the\n"
	"last and checks everything: CRCs, numbers, positions, decisions, the tree. Names\n"
	"file and offset of damage. With a checkpoint, also that the log still says what that\n"
	"checkpoint promised; with --key alone, what the checkpoints that lie beside the shards\n"
	"(shard-0.checkpoint, ...) promised. Prints where each shard's log ends as a checkpoint's "
	"text.",
	"  atrctl log verify /var/lib/atr/log\n"
	"  atrctl log verify --checkpoint anchor.txt --key 3b6a...29 /var/lib/atr/log",
};

struct verify {
	const struct log_note *note; /* for this shard, or NULL */
	bool met, broken;
	uint64_t started, first_done, done;
	bool terminal;
	uint32_t shard;
};

static int see_group(void *context, const struct atr_group_hdr *group, uint64_t leaves,
		     const uint8_t root[ATR_HASH_SIZE])
{
	struct verify *run = context;

	(void)group;
	if (run->note && leaves == run->note->checkpoint.size) {
		run->met = memcmp(root, run->note->checkpoint.root, ATR_HASH_SIZE) == 0;
		run->broken = !run->met;
	}
	return 0;
}

static void see_progress(void *context, uint64_t bytes, uint64_t total, uint64_t leaves)
{
	const struct verify *run = context;
	double seconds = (double)(log_clock_ns() - run->started) / 1e9;

	fprintf(stderr,
		"%sshard %u: %" PRIu64 " of %" PRIu64 " MiB, %" PRIu64 " records, %.0f MB/s%s",
		run->terminal ? "\r" : "", run->shard, bytes >> 20, total >> 20, leaves,
		seconds > 0 ? (double)bytes / 1e6 / seconds : 0.0, run->terminal ? "  " : "\n");
}

/* The end of a shard's log, as the three lines of a checkpoint. */
static void print_end(const struct atr_log_scan *scan, const char *name)
{
	char root[ROOT_TEXT], id[2 * sizeof(scan->log_id) + 1];
	uint8_t hash[ATR_HASH_SIZE];

	atr_frontier_root(&scan->end.frontier, hash);
	sodium_bin2base64(root, sizeof(root), hash, sizeof(hash), sodium_base64_VARIANT_ORIGINAL);
	atr_hex_encode(scan->log_id, sizeof(scan->log_id), id);
	printf("%s/shard/%u\n%" PRIu64 "\n%s\n", name ? name : id, scan->shard,
	       scan->end.frontier.size, root);
	if (scan->torn)
		printf("torn: segment %" PRIu64 ", byte %" PRIu64 ", %" PRIu64
		       " bytes of an unfinished commit; the next start cuts them\n",
		       scan->torn_segment, scan->torn_offset, scan->torn_bytes);
}

static int verify_shard(struct verify *run, const char *path, struct atr_log_scan *scan)
{
	struct atr_log_visitor visitor = {run, NULL, see_group, see_progress};
	struct log_directory directory;
	char error[LOG_ERROR_SIZE];
	int err = log_directory_open(&directory, path, run->shard, error);

	if (err)
		return usage_error("log verify", "%s", error);
	err = atr_log_scan(&directory.storage, &visitor, scan, error, sizeof(error));
	if (run->terminal)
		fputc('\n', stderr);
	if (err)
		fprintf(stderr, "atrctl log verify: %s/%s\n", directory.path, error);
	log_directory_close(&directory);
	if (err)
		return EXIT_NEGATIVE;
	if (scan->segments && scan->shard != run->shard) {
		usage_error("log verify", "shard-%u holds the log of shard %u: put them back",
			    run->shard, scan->shard);
		return EXIT_NEGATIVE;
	}
	if (run->note && run->note->checkpoint.size && !run->met) {
		usage_error("log verify",
			    "shard %u %s the checkpoint of size %" PRIu64
			    ": it was rolled back or rewritten; keep it as evidence",
			    run->shard, run->broken ? "contradicts" : "does not reach",
			    run->note->checkpoint.size);
		return EXIT_NEGATIVE;
	}
	return 0;
}

/* The checkpoint that the appliance keeps beside a shard's directory. 1 if there is one. */
static int own_note(const char *path, uint32_t shard, const uint8_t *key, struct log_note *note)
{
	char file[OWN_PATH];

	snprintf(file, sizeof(file), "%.4000s/shard-%u.checkpoint", path, shard);
	if (access(file, F_OK) != 0)
		return 0;
	if (log_note_load("log verify", file, key, note))
		return -EBADMSG;
	if (note->shard == shard)
		return 1;
	usage_error("log verify", "%s is the checkpoint of shard %u: put them back", file,
		    note->shard);
	return -EBADMSG;
}

/* note: of one shard, or NULL; key: then for the notes that lie beside the shards, or NULL. */
static int verify_all(const char *path, const char *name, const struct log_note *note,
		      const uint8_t *key)
{
	struct atr_log_scan scan, first = {0};
	uint64_t started = log_clock_ns(), events = 0, records = 0, bytes = 0;
	uint32_t shards = 1;
	double seconds;

	for (uint32_t i = 0; i < shards; i++) {
		struct verify run = {.shard = i, .terminal = isatty(STDERR_FILENO)};
		struct log_note own;
		int status = !note && key ? own_note(path, i, key, &own) : 0;

		if (status < 0)
			return EXIT_NEGATIVE;
		run.started = log_clock_ns();
		run.note = status == 1 ? &own : note && note->shard == i ? note : NULL;
		status = verify_shard(&run, path, &scan);
		if (status)
			return status;
		if (i == 0) {
			first = scan;
			shards = scan.shards > 1 ? scan.shards : 1;
		} else if (scan.segments &&
			   (memcmp(scan.log_id, first.log_id, sizeof(scan.log_id)) != 0 ||
			    scan.realm != first.realm || scan.shards != first.shards)) {
			usage_error("log verify", "shard-%u belongs to another log than shard-0",
				    i);
			return EXIT_NEGATIVE;
		}
		print_end(&scan, name);
		events += scan.events;
		records += scan.records;
		bytes += scan.bytes;
	}
	if (note && note->shard >= shards) {
		usage_error("log verify", "the checkpoint is of shard %u, which is not here",
			    note->shard);
		return EXIT_NEGATIVE;
	}
	seconds = (double)(log_clock_ns() - started) / 1e9;
	printf("verified: shards=%u records=%" PRIu64 " events=%" PRIu64 " bytes=%" PRIu64
	       " seconds=%.3f events/s=%.0f\n",
	       shards, records, events, bytes, seconds,
	       seconds > 0 ? (double)events / seconds : 0.0);
	return EXIT_OK;
}

int log_verify(int argc, char **argv)
{
	const char *path = NULL, *name = NULL, *checkpoint = NULL, *hex = NULL;
	const struct option table[] = {
		{"--checkpoint", "FILE", "a signed checkpoint that the log must agree with",
		 OPTION_STRING, &checkpoint, 0, 0},
		{"--key", "HEX", "public key of that checkpoint", OPTION_STRING, &hex, 0, 0},
		{"--name", "NAME", "the log's name, to print (its id if not given)", OPTION_STRING,
		 &name, 0, 0},
		{"", "DIR", "directory that holds shard-0", OPTION_STRING, &path, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	uint8_t key[ATR_PUBLIC_KEY_SIZE];
	struct log_note note;
	int err = options_parse(&usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (!path)
		return usage_error("log verify", "name the log's directory");
	if (checkpoint || hex) {
		err = log_key("log verify", hex, key);
		if (!err && checkpoint)
			err = log_note_load("log verify", checkpoint, key, &note);
		if (err)
			return err;
	}
	return verify_all(path, name, checkpoint ? &note : NULL, hex && !checkpoint ? key : NULL);
}
