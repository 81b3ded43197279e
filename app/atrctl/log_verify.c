/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "explain.h"
#include "log_tool.h"
#include "option.h"

#define ROOT_TEXT 48 /* base64 of a root */
#define OWN_PATH  4200

static const struct usage usage = {
	"log verify [[--checkpoint FILE] --key HEX] [--name NAME] [--json] DIR",
	"Reads every shard's log under DIR (shard-0, shard-1, ...) from the first byte to the\n"
	"last and checks everything: CRCs, numbers, positions, decisions, the tree. Names\n"
	"file and offset of damage. With a checkpoint, also that the log still says what that\n"
	"checkpoint promised; with --key alone, what the checkpoints that lie beside the shards\n"
	"(shard-0.checkpoint, ...) promised. Prints where each shard's log ends as a checkpoint's\n"
	"text, and the checkpoint that it was held to.",
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

static void root_text(const uint8_t root[ATR_HASH_SIZE], char text[ROOT_TEXT])
{
	sodium_bin2base64(text, ROOT_TEXT, root, ATR_HASH_SIZE, sodium_base64_VARIANT_ORIGINAL);
}

/* The end of a shard's log, as the three lines of a checkpoint, and the checkpoint that it keeps,
 * whose key has the name that is its origin. */
static void print_end(const struct atr_log_scan *scan, const char *origin,
		      const struct log_note *note)
{
	uint8_t hash[ATR_HASH_SIZE];
	char root[ROOT_TEXT];

	atr_frontier_root(&scan->end.frontier, hash);
	root_text(hash, root);
	printf("%s\n%" PRIu64 "\n%s\n", origin, scan->end.frontier.size, root);
	if (scan->torn)
		printf("torn: segment %" PRIu64 ", byte %" PRIu64 ", %" PRIu64
		       " bytes of an unfinished commit; the next start cuts them\n",
		       scan->torn_segment, scan->torn_offset, scan->torn_bytes);
	if (!note)
		return;
	root_text(note->checkpoint.root, root);
	printf("checkpoint: origin %s size %" PRIu64 " root %s key %s: kept\n",
	       note->checkpoint.origin, note->checkpoint.size, root, note->checkpoint.origin);
}

static json_t *end_json(const struct atr_log_scan *scan, const char *origin,
			const struct log_note *note)
{
	uint8_t hash[ATR_HASH_SIZE];
	char root[ROOT_TEXT];
	json_t *o;

	atr_frontier_root(&scan->end.frontier, hash);
	root_text(hash, root);
	o = json_pack("{s:i, s:o, s:I, s:s}", "shard", (int)scan->shard, "origin",
		      explain_bytes_json(origin, strlen(origin)), "size",
		      (json_int_t)scan->end.frontier.size, "root", root);
	if (scan->torn)
		json_object_set_new(o, "torn",
				    json_pack("{s:I, s:I, s:I}", "segment",
					      (json_int_t)scan->torn_segment, "offset",
					      (json_int_t)scan->torn_offset, "bytes",
					      (json_int_t)scan->torn_bytes));
	if (!note)
		return o;
	root_text(note->checkpoint.root, root);
	json_object_set_new(o, "checkpoint",
			    json_pack("{s:s, s:I, s:s, s:s}", "origin", note->checkpoint.origin,
				      "size", (json_int_t)note->checkpoint.size, "root", root,
				      "key", note->checkpoint.origin));
	return o;
}

/* Says it, or adds it to the shards. */
static void tell_end(const struct atr_log_scan *scan, const char *name, const struct log_note *note,
		     json_t *shards)
{
	char id[2 * sizeof(scan->log_id) + 1], origin[ATR_ORIGIN_MAX + 1];

	atr_hex_encode(scan->log_id, sizeof(scan->log_id), id);
	snprintf(origin, sizeof(origin), "%.200s/shard/%u", name ? name : id, scan->shard);
	if (shards)
		json_array_append_new(shards, end_json(scan, origin, note));
	else
		print_end(scan, origin, note);
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
		return failure("log verify", "shard-%u holds the log of shard %u: put them back",
			       run->shard, scan->shard);
	}
	if (run->note && run->note->checkpoint.size && !run->met) {
		return failure("log verify",
			       "shard %u %s the checkpoint of size %" PRIu64
			       ": it was rolled back or rewritten; keep it as evidence",
			       run->shard, run->broken ? "contradicts" : "does not reach",
			       run->note->checkpoint.size);
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

struct wanted {
	const char *path, *name;
	const struct log_note *note; /* of one shard, or NULL */
	const uint8_t *key;          /* of the notes that lie beside the shards, or NULL */
	json_t *shards;              /* NULL: text */
};

struct sums {
	uint64_t events, records, bytes;
	uint32_t shards;
};

static void print_sums(const struct sums *sums, double seconds, json_t *shards)
{
	double rate = seconds > 0 ? (double)sums->events / seconds : 0.0;

	if (shards)
		explain_print_json(json_pack(
			"{s:O, s:I, s:I, s:I, s:f, s:f}", "shards", shards, "records",
			(json_int_t)sums->records, "events", (json_int_t)sums->events, "bytes",
			(json_int_t)sums->bytes, "seconds", seconds, "events_per_s", rate));
	else
		printf("verified: shards=%u records=%" PRIu64 " events=%" PRIu64 " bytes=%" PRIu64
		       " seconds=%.3f events/s=%.0f\n",
		       sums->shards, sums->records, sums->events, sums->bytes, seconds, rate);
}

/* One shard, which is of the same log as the first. 0 or an exit status. */
static int verify_one(const struct wanted *wanted, uint32_t shard, struct atr_log_scan *first,
		      struct sums *sums)
{
	struct verify run = {.shard = shard, .terminal = isatty(STDERR_FILENO)};
	struct atr_log_scan scan;
	struct log_note own;
	int status = wanted->key ? own_note(wanted->path, shard, wanted->key, &own) : 0;

	if (status < 0)
		return EXIT_NEGATIVE;
	run.started = log_clock_ns();
	run.note = status == 1                                    ? &own
		   : wanted->note && wanted->note->shard == shard ? wanted->note
								  : NULL;
	status = verify_shard(&run, wanted->path, &scan);
	if (status)
		return status;
	if (shard == 0) {
		*first = scan;
		sums->shards = scan.shards > 1 ? scan.shards : 1;
	} else if (scan.segments && (memcmp(scan.log_id, first->log_id, sizeof(scan.log_id)) != 0 ||
				     scan.realm != first->realm || scan.shards != first->shards)) {
		return failure("log verify", "shard-%u belongs to another log than shard-0", shard);
	}
	tell_end(&scan, wanted->name, run.note, wanted->shards);
	sums->events += scan.events;
	sums->records += scan.records;
	sums->bytes += scan.bytes;
	return 0;
}

static int verify_all(const struct wanted *wanted)
{
	uint64_t started = log_clock_ns();
	struct sums sums = {.shards = 1};
	struct atr_log_scan first = {0};

	for (uint32_t i = 0; i < sums.shards; i++) {
		int status = verify_one(wanted, i, &first, &sums);

		if (status)
			return status;
	}
	if (wanted->note && wanted->note->shard >= sums.shards)
		return failure("log verify", "the checkpoint is of shard %u, which is not here",
			       wanted->note->shard);
	print_sums(&sums, (double)(log_clock_ns() - started) / 1e9, wanted->shards);
	return EXIT_OK;
}

int log_verify(int argc, char **argv)
{
	const char *checkpoint = NULL, *hex = NULL;
	struct wanted wanted = {0};
	bool json = false;
	const struct option table[] = {
		{"--checkpoint", "FILE", "a signed checkpoint that the log must agree with",
		 OPTION_STRING, &checkpoint, 0, 0},
		{"--key", "HEX", "public key of checkpoints", OPTION_STRING, &hex, 0, 0},
		{"--name", "NAME", "the log's name, to print (its id if not given)", OPTION_STRING,
		 &wanted.name, 0, 0},
		{"--json", NULL, "as one JSON object", OPTION_FLAG, &json, 0, 0},
		{"", "DIR", "directory that holds shard-0", OPTION_STRING, &wanted.path, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	uint8_t key[ATR_PUBLIC_KEY_SIZE];
	struct log_note note;
	int err = options_parse(&usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (!wanted.path)
		return usage_error("log verify", "name the log's directory");
	if (checkpoint || hex) {
		err = log_key("log verify", hex, key);
		if (!err && checkpoint)
			err = log_note_load("log verify", checkpoint, key, &note);
		if (err)
			return err;
	}
	wanted.note = checkpoint ? &note : NULL;
	wanted.key = hex && !checkpoint ? key : NULL;
	wanted.shards = json ? json_array() : NULL;
	err = verify_all(&wanted);
	json_decref(wanted.shards);
	return err;
}
