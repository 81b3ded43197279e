/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../lib/reason/reason.h"
#include "command.h"
#include "log_tool.h"
#include "option.h"

#define TILE_WIDTH  256
#define TILE_LEVELS 8
#define PATH_SIZE   4096
#define PART_SIZE   96
#define THOUSAND    1000

static const struct usage consistency_usage = {
	"log consistency --old FILE --new FILE --key HEX DIR",
	"Reads the shard's log under DIR up to the newer checkpoint and proves that it extends\n"
	"the older one; prints the RFC 6962 consistency proof, one node a line in hex.",
	"  atrctl log consistency --old monday.txt --new friday.txt --key 3b6a...29 LOG",
};

static const struct usage export_usage = {
	"log export --checkpoint FILE --key HEX --out TILES DIR",
	"Writes the log up to the checkpoint as static C2SP tlog-tiles into the directory TILES:\n"
	"checkpoint, tile/<level>/<n>, tile/entries/<n>.",
	"  atrctl log export --checkpoint cp.txt --key 3b6a...29 --out tiles LOG",
};

struct export
{
	struct log_leaves leaves;
	const char *out;
	FILE *entries; /* bundle under way */
	uint64_t size;
	uint64_t first; /* entries below have given up their bytes */
};

/* Makes all directories on the way to path. */
static int make_parents(char *path)
{
	for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		if (mkdir(path, 0755) != 0 && errno != EEXIST)
			return -errno;
		*at = '/';
	}
	return 0;
}

/* Opens "<out>/tile/<level>/<n>[.p/<width>]", with n in groups of three digits (x001/x234/067). */
static FILE *tile_open(const char *out, const char *level, uint64_t n, unsigned int width)
{
	char path[PATH_SIZE], index[PART_SIZE], rest[PART_SIZE], part[16] = "";

	snprintf(index, sizeof(index), "%03u", (unsigned int)(n % THOUSAND));
	while ((n /= THOUSAND) != 0) {
		memcpy(rest, index, sizeof(rest));
		if (snprintf(index, sizeof(index), "x%03u/%.80s", (unsigned int)(n % THOUSAND),
			     rest) >= (int)sizeof(index))
			return NULL;
	}
	if (width < TILE_WIDTH)
		snprintf(part, sizeof(part), ".p/%u", width);
	if (snprintf(path, sizeof(path), "%s/tile/%s/%s%s", out, level, index, part) >=
	    (int)sizeof(path))
		return NULL;
	return make_parents(path) ? NULL : fopen(path, "wb");
}

static unsigned int tile_width(uint64_t first, uint64_t total)
{
	return total - first < TILE_WIDTH ? (unsigned int)(total - first) : TILE_WIDTH;
}

/* The leaf's bytes without RFC 6962's prefix, behind their length, big-endian. */
static int put_entry(struct export *run, const struct atr_record_hdr *record, const uint8_t *body)
{
	const uint8_t *data = body + (record->kind != ATR_RECORD_ENVELOPE);
	uint32_t length = record->body_length - (record->kind != ATR_RECORD_ENVELOPE);
	struct atr_frame frame;
	uint8_t prefix[2];

	if (record->kind == ATR_RECORD_FRAME) {
		if (atr_frame_parse(body, record->body_length, &frame) != ATR_OK)
			return -EBADMSG;
		length = frame.leaf_size - 1;
	}
	if (length > UINT16_MAX)
		return -EFBIG;
	prefix[0] = (uint8_t)(length >> 8);
	prefix[1] = (uint8_t)length;
	if (fwrite(prefix, sizeof(prefix), 1, run->entries) != 1 ||
	    fwrite(data, 1, length, run->entries) != length)
		return -EIO;
	return 0;
}

static int see_record(void *context, const struct atr_group_hdr *group,
		      const struct atr_record_hdr *record, const uint8_t *body,
		      const uint8_t *decisions, const uint8_t leaf[ATR_HASH_SIZE])
{
	struct export *run = context;
	uint64_t i = record->leaf;
	int err;

	(void)group;
	(void)decisions;
	if (i >= run->size)
		return 0;
	if (log_leaves_add(&run->leaves, leaf))
		return -ENOMEM;
	if (!run->out)
		return 0;
	if (!body)
		run->first = i + 1;
	if (i % TILE_WIDTH == 0)
		run->entries =
			tile_open(run->out, "entries", i / TILE_WIDTH, tile_width(i, run->size));
	if (!run->entries)
		return errno ? -errno : -EIO;
	/* Of a bundle that lacks an entry nothing is of use: it is left empty. */
	err = run->first > i / TILE_WIDTH * TILE_WIDTH ? ftruncate(fileno(run->entries), 0)
						       : put_entry(run, record, body);
	if (!err && (i % TILE_WIDTH == TILE_WIDTH - 1 || i == run->size - 1)) {
		err = fclose(run->entries) ? -EIO : 0;
		run->entries = NULL;
	}
	return err;
}

/* Writes the tiles of one level; hashes become those of the next. Returns how many those are. */
static int64_t put_level(const char *out, unsigned int level, uint8_t (*hash)[ATR_HASH_SIZE],
			 uint64_t count)
{
	char name[8];

	snprintf(name, sizeof(name), "%u", level);
	for (uint64_t first = 0; first < count; first += TILE_WIDTH) {
		unsigned int width = tile_width(first, count);
		FILE *f = tile_open(out, name, first / TILE_WIDTH, width);
		size_t put = f ? fwrite(hash[first], ATR_HASH_SIZE, width, f) : 0;

		if (!f || fclose(f) != 0 || put != width)
			return -1;
		if (width == TILE_WIDTH) {
			uint8_t root[ATR_HASH_SIZE];

			atr_merkle_root(hash[first], width, root);
			memcpy(hash[first / TILE_WIDTH], root, sizeof(root));
		}
	}
	return (int64_t)(count / TILE_WIDTH);
}

static int put_tiles(struct export *run, const struct log_note *note)
{
	int64_t count = (int64_t)run->leaves.count;
	char path[PATH_SIZE];
	FILE *f;

	for (unsigned int level = 0; count > 0 && level < TILE_LEVELS; level++)
		count = put_level(run->out, level, run->leaves.leaf, (uint64_t)count);
	if (count < 0 ||
	    snprintf(path, sizeof(path), "%s/checkpoint", run->out) >= (int)sizeof(path) ||
	    make_parents(path))
		return -EIO;
	f = fopen(path, "wb");
	if (!f)
		return -errno;
	count = fwrite(note->text, 1, note->length, f) == note->length;
	return fclose(f) == 0 && count ? 0 : -EIO;
}

/* Reads the shard up to the checkpoint, and finds that it says the same. */
static int read_log(const char *command, struct export *run, const struct log_note *note,
		    const char *path)
{
	struct atr_log_visitor visitor = {run, see_record, NULL, NULL};
	struct log_directory directory;
	struct atr_log_scan scan;
	uint8_t root[ATR_HASH_SIZE];
	char error[LOG_ERROR_SIZE];
	int err = log_directory_open(&directory, path, note->shard, error);

	if (err)
		return usage_error(command, "%s", error);
	run->size = run->leaves.wanted = note->checkpoint.size;
	err = atr_log_scan(&directory.storage, &visitor, &scan, error, sizeof(error));
	log_directory_close(&directory);
	if (run->entries)
		fclose(run->entries);
	run->entries = NULL;
	if (err) {
		usage_error(command, "%s", error[0] ? error : strerror(-err));
		return EXIT_NEGATIVE;
	}
	log_leaves_root(&run->leaves, run->leaves.count, root);
	if (run->leaves.count != note->checkpoint.size ||
	    memcmp(root, note->checkpoint.root, sizeof(root)) != 0) {
		usage_error(command,
			    "the log contradicts the checkpoint of size %" PRIu64
			    ", or is shorter; keep both as evidence",
			    note->checkpoint.size);
		return EXIT_NEGATIVE;
	}
	return 0;
}

static int consistent(struct export *run, const struct log_note *older,
		      const struct log_note *newer)
{
	uint8_t proof[LOG_PROOF_NODES][ATR_HASH_SIZE];
	const struct atr_checkpoint *a = &older->checkpoint, *b = &newer->checkpoint;
	char hex[2 * ATR_HASH_SIZE + 1];
	int nodes;

	nodes = atr_tlog_consistency(log_leaf, &run->leaves, a->size, b->size, proof[0],
				     LOG_PROOF_NODES);
	if (nodes < 0 || !atr_merkle_consistency_ok(a->size, b->size, proof[0], (size_t)nodes,
						    a->root, b->root)) {
		usage_error("log consistency", "not consistent: the newer log does not extend the "
					       "older one; keep both checkpoints as evidence");
		return EXIT_NEGATIVE;
	}
	for (int i = 0; i < nodes; i++) {
		atr_hex_encode(proof[i], ATR_HASH_SIZE, hex);
		puts(hex);
	}
	printf("consistent: %s %" PRIu64 " -> %" PRIu64 "\n", a->origin, a->size, b->size);
	return EXIT_OK;
}

int log_consistency(int argc, char **argv)
{
	const char *path = NULL, *old_path = NULL, *new_path = NULL, *hex = NULL;
	const struct option table[] = {
		{"--old", "FILE", "the older checkpoint", OPTION_STRING, &old_path, 0, 0},
		{"--new", "FILE", "the newer checkpoint", OPTION_STRING, &new_path, 0, 0},
		{"--key", "HEX", "public key of both", OPTION_STRING, &hex, 0, 0},
		{"", "DIR", "directory that holds shard-0", OPTION_STRING, &path, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	uint8_t key[ATR_PUBLIC_KEY_SIZE];
	struct log_note older, newer;
	struct export run = {0};
	int err = options_parse(&consistency_usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (!path)
		return usage_error("log consistency", "name the log's directory");
	err = log_key("log consistency", hex, key);
	if (!err)
		err = log_note_load("log consistency", old_path, key, &older);
	if (!err)
		err = log_note_load("log consistency", new_path, key, &newer);
	if (!err && strcmp(older.checkpoint.origin, newer.checkpoint.origin) != 0)
		err = usage_error("log consistency", "the checkpoints are of different logs");
	if (!err)
		err = read_log("log consistency", &run, &newer, path);
	if (!err)
		err = consistent(&run, &older, &newer);
	free(run.leaves.leaf);
	return err;
}

int log_export(int argc, char **argv)
{
	const char *path = NULL, *checkpoint = NULL, *hex = NULL;
	struct export run = {0};
	const struct option table[] = {
		{"--checkpoint", "FILE", "how much of which shard", OPTION_STRING, &checkpoint, 0,
		 0},
		{"--key", "HEX", "its public key", OPTION_STRING, &hex, 0, 0},
		{"--out", "TILES", "directory to write to", OPTION_STRING, &run.out, 0, 0},
		{"", "DIR", "directory that holds shard-0", OPTION_STRING, &path, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	uint8_t key[ATR_PUBLIC_KEY_SIZE];
	struct log_note note;
	int err = options_parse(&export_usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (!path || !run.out)
		return usage_error("log export", "name --out TILES and the log's directory");
	err = log_key("log export", hex, key);
	if (!err)
		err = log_note_load("log export", checkpoint, key, &note);
	if (!err)
		err = read_log("log export", &run, &note, path);
	if (!err && (err = put_tiles(&run, &note)) != 0) {
		usage_error("log export", "cannot write to %s: %s", run.out, strerror(-err));
		err = EXIT_NEGATIVE;
	}
	if (!err)
		printf("exported: %s, %" PRIu64 " entries\n", note.checkpoint.origin, run.size);
	if (!err && run.first)
		printf("pruned: entries below %" PRIu64 " have no bytes any more; bundles with "
		       "any of them are empty\n",
		       run.first);
	free(run.leaves.leaf);
	return err;
}
