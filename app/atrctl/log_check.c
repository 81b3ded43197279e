/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/reason/reason.h"
#include "command.h"
#include "log_tool.h"
#include "option.h"

static const struct usage usage = {
	"log check-proof --key HEX FILE",
	"Checks a proof that 'atrctl log prove' wrote, with nothing but the public key of the\n"
	"appliance's checkpoints: the checkpoint's signature, that the event's record and its\n"
	"group's commit record are in that log, and that the commit holds the decision.",
	"  atrctl log check-proof --key 3b6a...29 proof.json",
};

struct blob {
	uint8_t *bytes;
	size_t length;
};

struct document {
	struct log_note note;
	uint64_t event, record_leaf, commit_leaf;
	struct blob record, commit, decided;
	uint8_t record_proof[LOG_PROOF_NODES][ATR_HASH_SIZE];
	uint8_t commit_proof[LOG_PROOF_NODES][ATR_HASH_SIZE];
	size_t record_nodes, commit_nodes;
};

static bool read_blob(const json_t *value, struct blob *blob)
{
	size_t length = json_string_length(value);

	if (!json_is_string(value) || length % 2)
		return false;
	blob->length = length / 2;
	blob->bytes = aligned_alloc(16, (blob->length + 16) / 16 * 16);
	return blob->bytes &&
	       atr_hex_decode(json_string_value(value), length, blob->bytes, blob->length) == 0;
}

static bool read_nodes(const json_t *array, uint8_t (*proof)[ATR_HASH_SIZE], size_t *nodes)
{
	json_t *value;
	size_t i;

	*nodes = json_array_size(array);
	if (!json_is_array(array) || *nodes > LOG_PROOF_NODES)
		return false;
	json_array_foreach(array, i, value) if (!json_is_string(value) ||
						atr_hex_decode(json_string_value(value),
							       json_string_length(value), proof[i],
							       ATR_HASH_SIZE)) return false;
	return true;
}

static bool read_number(const json_t *value, uint64_t *number)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*number = (uint64_t)json_integer_value(value);
	return true;
}

static bool read_document(const json_t *json, struct document *d)
{
	const json_t *record = json_object_get(json, "record");
	const json_t *commit = json_object_get(json, "commit");
	const json_t *note = json_object_get(json, "checkpoint");
	uint64_t version;

	if (!read_number(json_object_get(json, "atr_proof"), &version) || version != 1 ||
	    !json_is_string(note) || json_string_length(note) > ATR_CHECKPOINT_MAX)
		return false;
	d->note.length = json_string_length(note);
	memcpy(d->note.text, json_string_value(note), d->note.length);
	return read_number(json_object_get(json, "event"), &d->event) &&
	       read_number(json_object_get(record, "leaf"), &d->record_leaf) &&
	       read_number(json_object_get(commit, "leaf"), &d->commit_leaf) &&
	       read_blob(json_object_get(record, "body"), &d->record) &&
	       read_blob(json_object_get(commit, "body"), &d->commit) &&
	       read_blob(json_object_get(json, "decided"), &d->decided) &&
	       read_nodes(json_object_get(record, "inclusion"), d->record_proof,
			  &d->record_nodes) &&
	       read_nodes(json_object_get(commit, "inclusion"), d->commit_proof, &d->commit_nodes);
}

/* The record's header among those that the commit's digest covers, all of which must be in order;
 * NULL if they are not. */
static const uint8_t *find_header(const struct document *d, const struct atr_commit_body *commit,
				  struct atr_record_hdr *out)
{
	const uint8_t *found = NULL;
	size_t at = 0;

	for (uint64_t i = 0; i < commit->leaves; i++) {
		struct atr_record_hdr hdr;

		if (d->decided.length - at < sizeof(hdr))
			return NULL;
		memcpy(&hdr, d->decided.bytes + at, sizeof(hdr));
		at += sizeof(hdr);
		if (hdr.leaf != commit->first_leaf + i ||
		    d->decided.length - at < hdr.decision_length)
			return NULL;
		if (hdr.leaf == d->record_leaf) {
			found = d->decided.bytes + at;
			*out = hdr;
		}
		at += hdr.decision_length;
	}
	return at == d->decided.length ? found : NULL;
}

/* Leaf hash of the record; false if its body is not what the header says. */
static bool record_leaf(const struct document *d, const struct atr_record_hdr *hdr,
			struct atr_frame *frame, uint8_t leaf[ATR_HASH_SIZE])
{
	if (hdr->body_length != d->record.length || d->record.length == 0)
		return false;
	switch (hdr->kind) {
	case ATR_RECORD_FRAME:
		if (atr_frame_parse(d->record.bytes, d->record.length, frame) != ATR_OK ||
		    hdr->events != frame->packet_count || d->event >= hdr->events ||
		    hdr->decision_length != (hdr->events + 7) / 8)
			return false;
		crypto_hash_sha256(leaf, d->record.bytes, frame->leaf_size);
		return true;
	case ATR_RECORD_ENVELOPE:
		atr_merkle_leaf(d->record.bytes, d->record.length, leaf);
		return d->record.bytes[0] == ATR_FIRST_BYTE_ENVELOPE;
	case ATR_RECORD_PLAN:
		crypto_hash_sha256(leaf, d->record.bytes, d->record.length);
		return d->record.bytes[0] == 0;
	default: return false;
	}
}

/* What is wrong with the proof; NULL if it proves. */
static const char *check(const struct document *d)
{
	const struct atr_checkpoint *cp = &d->note.checkpoint;
	struct atr_commit_body commit;
	struct atr_record_hdr hdr = {0};
	struct atr_frame frame = {0};
	uint8_t hash[ATR_HASH_SIZE];
	const uint8_t *decisions;
	bool admitted = true;

	if (d->commit.length < sizeof(commit))
		return "the commit record is too short";
	memcpy(&commit, d->commit.bytes, sizeof(commit));
	if (memcmp(commit.magic, "\0ATC", sizeof(commit.magic)) != 0)
		return "the commit record is none";
	crypto_hash_sha256(hash, d->commit.bytes, d->commit.length);
	if (!atr_merkle_inclusion_ok(d->commit_leaf, cp->size, hash, d->commit_proof[0],
				     d->commit_nodes, cp->root))
		return "the commit record is not in the log";
	if (d->commit_leaf < commit.leaves || commit.first_leaf != d->commit_leaf - commit.leaves)
		return "the commit record covers another group";
	crypto_hash_sha256(hash, d->decided.bytes, d->decided.length);
	if (memcmp(hash, commit.decisions, sizeof(hash)) != 0)
		return "the decisions are not those of the commit record";
	decisions = find_header(d, &commit, &hdr);
	if (!decisions)
		return "the record is not of the commit record's group";
	if (!record_leaf(d, &hdr, &frame, hash))
		return "the record is not what its header says";
	if (!atr_merkle_inclusion_ok(d->record_leaf, cp->size, hash, d->record_proof[0],
				     d->record_nodes, cp->root))
		return "the record is not in the log";
	printf("checkpoint: %s, size %" PRIu64 "\nleaf: %" PRIu64 " of group %" PRIu64
	       ", committed at %" PRIu64 " ns, plan generation %" PRIu64 "\n",
	       cp->origin, cp->size, d->record_leaf, commit.group, commit.committed_ns,
	       hdr.generation);
	if (hdr.kind == ATR_RECORD_FRAME) {
		admitted = (decisions[d->event / 8] >> (d->event % 8)) & 1;
		printf("event: source %u, sequence %" PRIu64 "\n", hdr.source,
		       frame.hdr->first_sequence + d->event);
	}
	printf("proven: in the log and %s\n", admitted ? "admitted" : "refused");
	return NULL;
}

int log_check_proof(int argc, char **argv)
{
	const char *path = NULL, *hex = NULL, *wrong;
	const struct option table[] = {
		{"--key", "HEX", "public key that signs checkpoints", OPTION_STRING, &hex, 0, 0},
		{"", "FILE", "the proof", OPTION_STRING, &path, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	uint8_t key[ATR_PUBLIC_KEY_SIZE];
	struct document *d;
	json_error_t where;
	json_t *json;
	int err = options_parse(&usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (!path)
		return usage_error("log check-proof", "name the proof's file");
	err = log_key("log check-proof", hex, key);
	if (err)
		return err;
	json = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
	if (!json)
		return usage_error("log check-proof", "%s: %s", path, where.text);
	d = calloc(1, sizeof(*d));
	err = EXIT_NEGATIVE;
	if (!d || !read_document(json, d))
		usage_error("log check-proof", "%s is no proof of version 1", path);
	else if (log_note_check("log check-proof", key, &d->note) == 0) {
		wrong = check(d);
		if (wrong)
			usage_error("log check-proof", "not proven: %s", wrong);
		else
			err = EXIT_OK;
	}
	json_decref(json);
	if (d) {
		free(d->record.bytes);
		free(d->commit.bytes);
		free(d->decided.bytes);
	}
	free(d);
	return err;
}
