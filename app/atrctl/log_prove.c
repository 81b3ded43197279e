/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/envelope/envelope.h"
#include "../../lib/reason/reason.h"
#include "command.h"
#include "log_tool.h"
#include "option.h"

#define UUID_TEXT  36
#define ID_PREFIX  "{\"header\":{\"id\":\"" /* how every canonical envelope begins */
#define ID_OFFSET  (sizeof(ID_PREFIX) - 1)
#define RECORD_MAX (sizeof(struct atr_record_hdr) + ATR_GROUP_BYTES_MAX)
#define COMMIT_MAX 4096

static const struct usage usage = {
	"log prove --checkpoint FILE --key HEX EVENT [--out FILE] DIR",
	"EVENT is --source N --sequence M, --source N --uuid ID, or --leaf L. Writes a JSON\n"
	"document that proves to anybody who has the checkpoint's public key that the event's\n"
	"record is in the log, and what was decided about it. The checkpoint says which shard\n"
	"and how much of its log is meant.",
	"  atrctl log prove --checkpoint cp.txt --key 3b6a...29 --source 3 --sequence 77 LOG",
};

struct prove {
	struct log_leaves leaves;
	struct option_u64 source, sequence, leaf;
	const char *uuid;
	bool found, complete;
	uint16_t event; /* in its record */
	uint64_t record_leaf, commit_leaf;
	uint8_t record[RECORD_MAX], commit[COMMIT_MAX];
	uint8_t decided[ATR_GROUP_BYTES_MAX]; /* headers and decisions of the group */
	size_t record_length, commit_length, decided_length;
	uint64_t group;
};

static bool wanted(struct prove *run, const struct atr_record_hdr *record, const uint8_t *body)
{
	const struct atr_frame_hdr *frame = (const void *)body;

	run->event = 0;
	if (run->leaf.given)
		return record->leaf == run->leaf.value;
	if (record->source != run->source.value || !body)
		return false;
	if (record->kind == ATR_RECORD_ENVELOPE)
		return run->uuid && record->body_length > ID_OFFSET + UUID_TEXT &&
		       memcmp(body, ID_PREFIX, ID_OFFSET) == 0 &&
		       memcmp(body + ID_OFFSET, run->uuid, UUID_TEXT) == 0;
	if (record->kind != ATR_RECORD_FRAME || !run->sequence.given ||
	    run->sequence.value < frame->first_sequence ||
	    run->sequence.value - frame->first_sequence >= record->events)
		return false;
	run->event = (uint16_t)(run->sequence.value - frame->first_sequence);
	return true;
}

static int see_record(void *context, const struct atr_group_hdr *group,
		      const struct atr_record_hdr *record, const uint8_t *body,
		      const uint8_t *decisions, const uint8_t leaf[ATR_HASH_SIZE])
{
	struct prove *run = context;

	if (record->leaf >= run->leaves.wanted)
		return 0;
	if (log_leaves_add(&run->leaves, leaf))
		return -ENOMEM;
	if (run->complete)
		return 0;
	if (record->leaf == group->first_leaf)
		run->decided_length = 0;
	if (record->kind == ATR_RECORD_COMMIT && run->found) {
		memcpy(run->commit, body, record->body_length);
		run->commit_length = record->body_length;
		run->commit_leaf = record->leaf;
		run->complete = true;
		return 0;
	}
	memcpy(run->decided + run->decided_length, record, sizeof(*record));
	run->decided_length += sizeof(*record);
	memcpy(run->decided + run->decided_length, decisions, record->decision_length);
	run->decided_length += record->decision_length;
	if (!run->found && record->kind != ATR_RECORD_COMMIT && wanted(run, record, body)) {
		if (!body)
			return -ENODATA;
		run->found = true;
		run->record_leaf = record->leaf;
		run->record_length = record->body_length;
		memcpy(run->record, body, record->body_length);
	}
	return 0;
}

static json_t *hex_json(const uint8_t *bytes, size_t length)
{
	char *text = malloc(2 * length + 1);
	json_t *value;

	if (!text)
		return NULL;
	atr_hex_encode(bytes, length, text);
	value = json_string(text);
	free(text);
	return value;
}

static json_t *inclusion_json(struct prove *run, uint64_t leaf)
{
	uint8_t proof[LOG_PROOF_NODES][ATR_HASH_SIZE];
	int nodes = atr_tlog_inclusion(log_leaf, &run->leaves, leaf, run->leaves.count, proof[0],
				       LOG_PROOF_NODES);
	json_t *array = nodes < 0 ? NULL : json_array();

	for (int i = 0; i < nodes; i++)
		json_array_append_new(array, hex_json(proof[i], ATR_HASH_SIZE));
	return array;
}

static int write_proof(struct prove *run, const struct log_note *note, const char *out)
{
	json_t *doc = json_pack(
		"{s:i, s:s, s:i, s:{s:I, s:o, s:o}, s:{s:I, s:o, s:o}, s:o}", "atr_proof", 1,
		"checkpoint", note->text, "event", (int)run->event, "record", "leaf",
		(json_int_t)run->record_leaf, "body", hex_json(run->record, run->record_length),
		"inclusion", inclusion_json(run, run->record_leaf), "commit", "leaf",
		(json_int_t)run->commit_leaf, "body", hex_json(run->commit, run->commit_length),
		"inclusion", inclusion_json(run, run->commit_leaf), "decided",
		hex_json(run->decided, run->decided_length));
	FILE *f = out ? fopen(out, "w") : stdout;
	int err = 0;

	if (!doc || !f || json_dumpf(doc, f, JSON_INDENT(1)) || fputc('\n', f) == EOF)
		err = failure("log prove", "cannot write %s: %s", out ? out : "the proof",
			      doc ? strerror(errno) : "out of memory");
	if (f && f != stdout && fclose(f) != 0 && !err)
		err = failure("log prove", "cannot write %s: %s", out, strerror(errno));
	json_decref(doc);
	return err;
}

static int prove(struct prove *run, const struct log_note *note, const char *path, const char *out)
{
	struct atr_log_visitor visitor = {run, see_record, NULL, NULL};
	struct log_directory directory;
	struct atr_log_scan scan;
	uint8_t root[ATR_HASH_SIZE];
	char error[LOG_ERROR_SIZE];
	int err = log_directory_open(&directory, path, note->shard, error);

	if (err)
		return usage_error("log prove", "%s", error);
	run->leaves.wanted = note->checkpoint.size;
	err = atr_log_scan(&directory.storage, &visitor, &scan, error, sizeof(error));
	log_directory_close(&directory);
	if (err) {
		usage_error("log prove", "%s",
			    err == -ENODATA
				    ? "the log has given up this entry's bytes: its leaf hash "
				      "is there, and nothing to prove it about"
			    : error[0] ? error
				       : strerror(-err));
		return EXIT_NEGATIVE;
	}
	log_leaves_root(&run->leaves, run->leaves.count, root);
	if (run->leaves.count != note->checkpoint.size ||
	    memcmp(root, note->checkpoint.root, sizeof(root)) != 0) {
		usage_error("log prove",
			    "the log contradicts the checkpoint, or is shorter: nothing "
			    "in it can be proven by it");
		return EXIT_NEGATIVE;
	}
	if (!run->complete) {
		usage_error("log prove",
			    "no such event below the checkpoint's size in shard %u; take a newer "
			    "checkpoint, or another shard's",
			    note->shard);
		return EXIT_NEGATIVE;
	}
	return write_proof(run, note, out);
}

int log_prove(int argc, char **argv)
{
	const char *path = NULL, *checkpoint = NULL, *hex = NULL, *out = NULL;
	struct prove *run = calloc(1, sizeof(*run));
	struct option_u64 none = {0};
	struct option_u64 *source = run ? &run->source : &none;
	const struct option table[] = {
		{"--checkpoint", "FILE", "signed checkpoint to prove against", OPTION_STRING,
		 &checkpoint, 0, 0},
		{"--key", "HEX", "its public key", OPTION_STRING, &hex, 0, 0},
		{"--source", "N", "id of the event's source", OPTION_U64, source, 0, UINT32_MAX},
		{"--sequence", "M", "its sequence", OPTION_U64, run ? &run->sequence : &none, 0,
		 UINT64_MAX},
		{"--uuid", "ID", "an envelope's id", OPTION_STRING, run ? &run->uuid : &path, 0, 0},
		{"--leaf", "L", "index in the log", OPTION_U64, run ? &run->leaf : &none, 0,
		 UINT64_MAX},
		{"--out", "FILE", "where the proof goes, instead of stdout", OPTION_STRING, &out, 0,
		 0},
		{"", "DIR", "directory that holds shard-0", OPTION_STRING, &path, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	uint8_t key[ATR_PUBLIC_KEY_SIZE];
	struct log_note note;
	uint8_t uuid[16];
	int err;

	if (!run)
		return failure("log prove", "out of memory");
	err = options_parse(&usage, table, argc, argv);
	if (err)
		err = err > 0 ? EXIT_OK : EXIT_USAGE;
	else if (!path ||
		 (!run->leaf.given && (!run->source.given || (!run->sequence.given && !run->uuid))))
		err = usage_error("log prove", "name an event (--source with --sequence or --uuid, "
					       "or --leaf) and the log's directory");
	else if (run->uuid && atr_uuid7_parse(run->uuid, strlen(run->uuid), uuid))
		err = usage_error("log prove", "--uuid is no UUIDv7 in lowercase");
	else if ((err = log_key("log prove", hex, key)) == 0 &&
		 (err = log_note_load("log prove", checkpoint, key, &note)) == 0)
		err = prove(run, &note, path, out);
	free(run->leaves.leaf);
	free(run);
	return err;
}
