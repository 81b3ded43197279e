/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/envelope/envelope.h"
#include "../../lib/query/query.h"
#include "command.h"
#include "log_tool.h"
#include "named.h"
#include "option.h"

#define TIME_TEXT 32
#define PATH_SIZE 4200

static const struct usage usage = {
	"trace IDENTITY --log DIR [--plan FILE] [--checkpoint FILE --key HEX] [--json]",
	"IDENTITY is SOURCE:SEQUENCE (an event of a frame) or SOURCE:UUID (an envelope); SOURCE\n"
	"is the source's number in the plan or, with --plan, its name. Tells the event's whole\n"
	"story as the log has it: what was decided, under which plan, where it lies, when it\n"
	"became durable, which feeds it went to under which numbers, how it was acknowledged,\n"
	"and which checkpoint covers it. Reads the log of every shard and changes nothing. With\n"
	"--key the checkpoint (that of the log's directory if no file is named) is verified and\n"
	"the event's place under it is proven.",
	"  atrctl trace 3:77 --log /var/lib/atr/log\n"
	"  atrctl trace sensor:77 --log /var/lib/atr/log --plan plan.json\n"
	"  atrctl trace 9:01890a5d-ac96-774b-bcce-b302099a8057 --log LOG --json",
};

struct trace {
	const char *log, *checkpoint, *hex;
	char identity[NAMED_SIZE];
	bool json;
	struct atr_query_key key;
	uint8_t public_key[ATR_PUBLIC_KEY_SIZE];
	/* What was found. */
	uint32_t shard;
	struct atr_query_event event;
	uint64_t leaves, pruned;
	struct log_note note;
	bool covered, proven; /* by a checkpoint; under it, with the key */
};

/* Does the checkpoint cover the event's commit, and does its tree hold it? */
static int check_note(struct trace *run, struct atr_query *query, char *error)
{
	const struct atr_checkpoint *cp = &run->note.checkpoint;
	uint8_t proof[ATR_QUERY_NODES][ATR_HASH_SIZE];
	int nodes;

	if (cp->size > run->leaves) {
		snprintf(error, LOG_ERROR_SIZE,
			 "the log has %" PRIu64 " leaves, the checkpoint says %" PRIu64
			 ": it was rolled back, or the appliance is writing; try again",
			 run->leaves, cp->size);
		return -EBADMSG;
	}
	run->covered = cp->size > run->event.commit_leaf;
	if (!run->covered)
		return 0;
	nodes = atr_query_prove(query, run->event.leaf, cp->size, proof, error, LOG_ERROR_SIZE);
	if (nodes < 0)
		return nodes;
	run->proven = atr_merkle_inclusion_ok(run->event.leaf, cp->size, run->event.leaf_hash,
					      proof[0], (size_t)nodes, cp->root);
	if (run->proven)
		return 0;
	snprintf(error, LOG_ERROR_SIZE,
		 "the log contradicts the checkpoint of size %" PRIu64 "; keep both as evidence",
		 cp->size);
	return -EBADMSG;
}

/* The checkpoint named, or the one that lies beside the shard's directory. 0, or an exit status. */
static int load_note(struct trace *run, bool *there)
{
	char path[PATH_SIZE];
	FILE *f;

	*there = false;
	if (!run->hex)
		return 0;
	snprintf(path, sizeof(path), "%.4000s/shard-%u.checkpoint", run->log, run->shard);
	if (!run->checkpoint) {
		f = fopen(path, "rb");
		if (!f)
			return 0;
		fclose(f);
	}
	*there = true;
	return log_note_load("trace", run->checkpoint ? run->checkpoint : path, run->public_key,
			     &run->note);
}

/* 1 found, 0 not in this shard, negative errno with a sentence, -ENOENT no such shard. */
static int search_shard(struct trace *run, uint32_t shard, char *error)
{
	struct log_directory directory;
	struct atr_query *query;
	bool there = false;
	int rc = log_directory_open(&directory, run->log, shard, error);

	if (rc)
		return rc;
	query = atr_query_create(&directory.storage, error, LOG_ERROR_SIZE);
	rc = query ? atr_query_refresh(query, UINT64_MAX, UINT64_MAX, error, LOG_ERROR_SIZE)
		   : -ENOMEM;
	if (rc >= 0)
		rc = atr_query_find(query, &run->key, &run->event, error, LOG_ERROR_SIZE);
	if (query)
		run->pruned += atr_query_pruned(query);
	if (rc == 1) {
		run->shard = shard;
		run->leaves = atr_query_leaves(query);
		if (load_note(run, &there)) {
			snprintf(error, LOG_ERROR_SIZE, "no use of this checkpoint");
			rc = -EBADMSG;
		} else if (there && run->note.shard == shard) {
			int wrong = check_note(run, query, error);

			rc = wrong ? wrong : rc;
		}
	}
	atr_query_free(query);
	log_directory_close(&directory);
	return rc;
}

static void time_text(uint64_t ns, char out[TIME_TEXT])
{
	if (ns == 0 || atr_time_format(ns, out) <= 0)
		snprintf(out, TIME_TEXT, "unknown");
}

/* What the log determines of the acknowledgement; whether a datagram arrived, nobody knows. */
static void print_acknowledgement(const struct trace *run)
{
	const struct atr_query_event *e = &run->event;

	if (e->admitted)
		printf("%-10s admitted at position %" PRIu64 ", from the checkpoint of size "
		       "%" PRIu64 " on (class D);\n           the same bytes again: duplicate, "
		       "at the same position\n",
		       run->key.by_uuid ? "reply" : "ack", e->leaf, e->commit_leaf + 1);
	else
		printf("ack        of its frame: position %" PRIu64 ", from the checkpoint of size "
		       "%" PRIu64 " on (class D);\n           of this event a duplicate's or a "
		       "refusal's result, which the log does not keep\n",
		       e->leaf, e->commit_leaf + 1);
}

static void print_text(const struct trace *run)
{
	const struct atr_query_event *e = &run->event;
	char received[TIME_TEXT], committed[TIME_TEXT], hex[2 * ATR_HASH_SIZE + 1];

	time_text(e->rx_ns, received);
	time_text(e->committed_ns, committed);
	printf("event      %s, topic %u, type %u\n", run->identity, e->topic, e->type);
	printf("received   %s\n", received);
	printf("gates      %s\n",
	       e->admitted ? "all passed: admitted"
			   : "refused by one of them (the log keeps that, not which; the "
			     "quarantine and the acknowledgement told the reason)");
	atr_hex_encode(e->plan_digest, ATR_HASH_SIZE, hex);
	printf("plan       generation %" PRIu64 ", at the commit %s\n", e->generation, hex);
	printf("log        shard %u, leaf %" PRIu64
	       ", event %u (from 0) of %u in its record, group %" PRIu64
	       "\n           segment %" PRIu64 ", byte %" PRIu64 "\n",
	       run->shard, e->leaf, e->index, e->events, e->group, e->segment, e->offset);
	atr_hex_encode(e->leaf_hash, ATR_HASH_SIZE, hex);
	printf("leaf hash  %s\n", hex);
	printf("committed  %s, by commit record %" PRIu64 ", start %" PRIu64 "\n", committed,
	       e->commit_leaf, e->epoch);
	if (!e->feeds_known)
		puts("feeds      unknown: the plan of that time is not in the log, or does not "
		     "compile");
	else if (!e->feeds)
		puts("feeds      none whose positions the log keeps");
	for (uint64_t set = e->feeds_known ? e->feeds : 0; set; set &= set - 1)
		printf("feed %-5u message %" PRIu64 "\n", (unsigned int)__builtin_ctzll(set),
		       e->number[__builtin_ctzll(set)]);
	print_acknowledgement(run);
	if (run->covered)
		printf("checkpoint size %" PRIu64 " covers it%s\n", run->note.checkpoint.size,
		       run->proven ? ": proven" : "");
	else
		puts("checkpoint none known that covers it (--checkpoint, --key)");
}

static json_t *feeds_json(const struct atr_query_event *e)
{
	json_t *array = json_array();

	for (uint64_t set = e->feeds; set; set &= set - 1) {
		int feed = __builtin_ctzll(set);

		json_array_append_new(array, json_pack("{s:i, s:I}", "feed", feed, "message",
						       (json_int_t)e->number[feed]));
	}
	return array;
}

static json_t *acknowledgement_json(const struct trace *run)
{
	const struct atr_query_event *e = &run->event;

	return json_pack("{s:s?, s:I, s:I, s:s?}", "result", e->admitted ? "admitted" : NULL,
			 "position", (json_int_t)e->leaf, "from_checkpoint",
			 (json_int_t)e->commit_leaf + 1, "again", e->admitted ? "duplicate" : NULL);
}

static int print_json(const struct trace *run)
{
	const struct atr_query_event *e = &run->event;
	char plan[2 * ATR_HASH_SIZE + 1], leaf[2 * ATR_HASH_SIZE + 1];
	json_t *doc;
	int err;

	atr_hex_encode(e->plan_digest, ATR_HASH_SIZE, plan);
	atr_hex_encode(e->leaf_hash, ATR_HASH_SIZE, leaf);
	doc = json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:i, s:I, s:I, s:I, "
			"s:s, s:I, s:I, s:o, s:o, s:o}",
			"identity", run->identity, "admitted", e->admitted, "topic",
			(json_int_t)e->topic, "type", (json_int_t)e->type, "received_ns",
			(json_int_t)e->rx_ns, "committed_ns", (json_int_t)e->committed_ns,
			"generation", (json_int_t)e->generation, "plan_digest", plan, "shard",
			(json_int_t)run->shard, "leaf", (json_int_t)e->leaf, "event", (int)e->index,
			"group", (json_int_t)e->group, "segment", (json_int_t)e->segment, "offset",
			(json_int_t)e->offset, "leaf_hash", leaf, "commit_leaf",
			(json_int_t)e->commit_leaf, "epoch", (json_int_t)e->epoch, "feeds",
			e->feeds_known ? feeds_json(e) : json_null(), "acknowledgement",
			acknowledgement_json(run), "checkpoint",
			run->covered ? json_pack("{s:I, s:b}", "size",
						 (json_int_t)run->note.checkpoint.size, "proven",
						 run->proven)
				     : json_null());
	err = !doc || json_dumpf(doc, stdout, JSON_INDENT(1)) || putchar('\n') == EOF;
	json_decref(doc);
	return err ? EXIT_NEGATIVE : EXIT_OK;
}

static int search(struct trace *run)
{
	char error[LOG_ERROR_SIZE] = "";
	uint32_t shard = 0;
	int rc = 0;

	for (; shard < LOG_SHARDS_MAX && rc == 0; shard++)
		rc = search_shard(run, shard, error);
	if (rc == -ENOENT && shard > 1) {
		usage_error("trace",
			    run->pruned ? "%s is not in the log of any shard, or its bytes were "
					  "given up by retention"
					: "%s is not in the log of any shard",
			    run->identity);
		return EXIT_NEGATIVE;
	}
	if (rc == -ENOENT)
		return usage_error("trace", "%s", error);
	if (rc < 0)
		return failure("trace", "%s", error[0] ? error : strerror(-rc));
	if (run->json && print_json(run) != EXIT_OK)
		return EXIT_NEGATIVE;
	if (!run->json)
		print_text(run);
	return run->event.admitted ? EXIT_OK : EXIT_NEGATIVE;
}

int cmd_trace(int argc, char **argv)
{
	struct trace *run = calloc(1, sizeof(*run));
	const char *none = NULL, *text = NULL, *plan = NULL;
	bool no = false;
	const struct option table[] = {
		{"--log", "DIR", "directory that holds shard-0", OPTION_STRING,
		 run ? &run->log : &none, 0, 0},
		{"--plan", "FILE", "plan: SOURCE may be a name", OPTION_STRING, &plan, 0, 0},
		{"--checkpoint", "FILE", "signed checkpoint", OPTION_STRING,
		 run ? &run->checkpoint : &none, 0, 0},
		{"--key", "HEX", "its public key", OPTION_STRING, run ? &run->hex : &none, 0, 0},
		{"--json", NULL, "one JSON object", OPTION_FLAG, run ? &run->json : &no, 0, 0},
		{"", "IDENTITY", "SOURCE:SEQUENCE or SOURCE:UUID", OPTION_STRING, &text, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	int err;

	if (!run)
		return failure("trace", "out of memory");
	err = options_parse(&usage, table, argc, argv);
	if (err) {
		free(run);
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	}
	if (!text || !run->log)
		err = usage_error("trace", "name an identity and the log's directory (--log DIR)");
	else if (run->checkpoint && !run->hex)
		err = usage_error("trace", "a checkpoint needs --key HEX");
	else
		err = named_event("trace", plan, text, &run->key, run->identity);
	if (err == 0 && run->hex)
		err = log_key("trace", run->hex, run->public_key);
	if (err == 0)
		err = search(run);
	free(run);
	return err;
}
