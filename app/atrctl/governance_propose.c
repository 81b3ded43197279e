/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/wire/frame.h"
#include "command.h"
#include "event_line.h"
#include "explain.h"
#include "governance.h"
#include "option.h"
#include "plan_diff.h"
#include "term.h"

#define NAME        "governance propose"
#define MTU_MIN     576
#define MTU_MAX     9000
#define TIME_TEXT   32
#define BASE64_STEP 4 /* characters for so many bytes: */
#define BASE64_FROM 3
#define ESCAPED_MAX 6 /* bytes of a character in JSON */
#define PAYLOAD_MAX \
	(ATR_GOVERNANCE_CHUNK_TEXT_MAX + ESCAPED_MAX * 4 * PROPOSAL_WHY_MAX + 4 * GOVERN_HEX)

static const struct usage usage = {
	"governance propose --plan NEW --replaces OLD|DIGEST --source NAME --key FILE\n"
	"           --why TEXT --out FILE",
	"Signs a new plan as an operator of the plan in force. The document is cut into\n"
	"chunks; they and the change itself are written to FILE, one signed envelope a line.\n"
	"Nothing is sent. First it is looked whether NEW compiles, counts its version up, and\n"
	"gives no id a second meaning, and the difference is printed.\n"
	"\n"
	"OLD is the file of the plan in force ('atrctl governance show' prints it), which will\n"
	"judge the envelopes. With its DIGEST alone names and keys are taken from NEW, and\n"
	"nothing is compared.\n"
	"\n"
	"Ids of envelopes are times: FILE must be pushed before identity.uuid_past_ms of the\n"
	"plan in force has passed. Proposing the same plan again makes new envelopes over the\n"
	"same digest; approvals of it remain good, and so do chunks that were pushed\n"
	"(--change-only leaves them out).",
	"  atrctl governance propose --plan plan-5.json --replaces plan-4.json --source op-a \\\n"
	"      --key op-a.key --why 'ticket 4711: new key of ci' --out proposal-5.jsonl\n"
	"  atrctl governance approve --proposal proposal-5.jsonl --plan plan-4.json \\\n"
	"      --source op-b --key op-b.key --out approval-b.jsonl\n"
	"  atrctl governance push --to 10.77.0.1:26400 proposal-5.jsonl approval-*.jsonl",
};

struct propose {
	const char *plan_path, *replaces, *why, *out;
	struct option_u64 mtu;
	bool change_only, json;
	struct govern govern;
	uint8_t digest[PROPOSAL_DIGEST]; /* of the plan in force */
	/* What was made. */
	uint64_t chunks, bytes, first_ns;
	char text[ATR_DATAGRAM_MAX + 1];
	char payload[PAYLOAD_MAX];
};

static int load(struct propose *run)
{
	char error[ERROR_SIZE];

	run->govern.new = atr_plan_load_file(run->plan_path, error, sizeof(error));
	if (!run->govern.new)
		return usage_error(NAME, "%s", error);
	if (govern_digest(run->replaces, run->digest) == 0)
		return 0;
	run->govern.old = atr_plan_load_file(run->replaces, error, sizeof(error));
	if (!run->govern.old)
		return usage_error(NAME, "%s", error);
	memcpy(run->digest, run->govern.old->digest, sizeof(run->digest));
	if (govern_may_follow(run->govern.old, run->govern.new, error))
		return failure(NAME, "%s: %s", run->plan_path, error);
	return 0;
}

/* Characters of base64 that a chunk may carry. 0 and *chars, or -EINVAL with a sentence. */
static int chunk_room(struct propose *run, const char *digest, size_t *chars, char *error)
{
	size_t room = govern_limit(&run->govern);
	int n;

	snprintf(run->payload, sizeof(run->payload),
		 "{\"bytes\":\"AAAA\",\"digest\":\"%s\",\"offset\":%zu,\"total\":%zu}", digest,
		 run->govern.new->document_length - 1, run->govern.new->document_length);
	n = govern_sign(&run->govern, ATR_GOVERNANCE_CHUNK, run->payload, run->text, error);
	if (n < 0)
		return n;
	*chars = BASE64_STEP + (room - (size_t)n) / BASE64_STEP * BASE64_STEP;
	if (*chars > ATR_GOVERNANCE_CHUNK_TEXT_MAX)
		*chars = ATR_GOVERNANCE_CHUNK_TEXT_MAX;
	return 0;
}

static int put(struct propose *run, FILE *file, enum atr_governance_use use, char *error)
{
	int n = govern_sign(&run->govern, use, run->payload, run->text, error);

	if (n < 0)
		return n;
	fwrite(run->text, 1, (size_t)n, file);
	fputc('\n', file);
	run->bytes += (uint64_t)n;
	return 0;
}

static int put_chunks(struct propose *run, FILE *file, const char *digest, char *error)
{
	const char *document = run->govern.new->document;
	size_t total = run->govern.new->document_length, chars = 0, step;
	char base64[ATR_GOVERNANCE_CHUNK_TEXT_MAX + 1];
	int err = chunk_room(run, digest, &chars, error);
	struct progress progress;

	progress_start(&progress, false);
	step = chars / BASE64_STEP * BASE64_FROM;
	for (size_t at = 0; at < total && !err; at += step) {
		size_t n = total - at < step ? total - at : step;

		sodium_bin2base64(base64, sizeof(base64), (const uint8_t *)document + at, n,
				  sodium_base64_VARIANT_ORIGINAL);
		snprintf(run->payload, sizeof(run->payload),
			 "{\"bytes\":\"%s\",\"digest\":\"%s\",\"offset\":%zu,\"total\":%zu}",
			 base64, digest, at, total);
		err = put(run, file, ATR_GOVERNANCE_CHUNK, error);
		run->chunks++;
		if (progress_due(&progress))
			progress_show(&progress, "signed %zu of %zu bytes", at, total);
	}
	progress_end(&progress);
	return err;
}

static int put_change(struct propose *run, FILE *file, const char *digest, char *error)
{
	char replaces[GOVERN_HEX];
	json_t *payload;
	char *text;

	atr_hex_encode(run->digest, sizeof(run->digest), replaces);
	payload = json_pack("{s:s, s:s, s:I, s:s}", "digest", digest, "replaces", replaces,
			    "version", (json_int_t)run->govern.new->version, "why", run->why);
	text = payload ? json_dumps(payload, JSON_COMPACT) : NULL;
	json_decref(payload);
	if (!text || strlen(text) >= sizeof(run->payload)) {
		free(text);
		snprintf(error, ERROR_SIZE, "--why TEXT must be UTF-8, at most %d characters",
			 PROPOSAL_WHY_MAX);
		return -EINVAL;
	}
	strcpy(run->payload, text);
	free(text);
	return put(run, file, ATR_GOVERNANCE_CHANGE, error);
}

static int write_proposal(struct propose *run, const char *digest)
{
	FILE *file = govern_create(NAME, run->out);
	char error[ERROR_SIZE];
	int err = 0;

	if (!file)
		return EXIT_USAGE;
	run->first_ns = now_unix_ns();
	if (!run->change_only)
		err = put_chunks(run, file, digest, error);
	if (!err)
		err = put_change(run, file, digest, error);
	if (!err)
		return govern_finish(NAME, run->out, file);
	fclose(file);
	remove(run->out);
	return failure(NAME, "%s", error);
}

static void print_json(const struct propose *run, const char *until)
{
	json_t *changes = run->govern.old ? govern_diff(run->govern.old, run->govern.new) : NULL;
	char replaces[GOVERN_HEX];

	atr_hex_encode(run->digest, sizeof(run->digest), replaces);
	explain_print_json(json_pack("{s:o, s:s, s:I, s:I, s:I, s:s, s:i, s:o?}", "plan",
				     govern_plan_json(run->govern.new), "replaces", replaces,
				     "document_bytes", (json_int_t)run->govern.new->document_length,
				     "chunks", (json_int_t)run->chunks, "envelope_bytes",
				     (json_int_t)run->bytes, "push_before", until, "approvals",
				     (int)run->govern.plan->governance.approvals, "difference",
				     changes ? plan_diff_summary(changes) : NULL));
	json_decref(changes);
}

static void print_text(const struct propose *run, const char *until)
{
	json_t *changes = run->govern.old ? govern_diff(run->govern.old, run->govern.new) : NULL;
	json_t *summary = changes ? plan_diff_summary(changes) : NULL;
	char hex[GOVERN_HEX];

	govern_print_plan("proposed", run->govern.new);
	atr_hex_encode(run->digest, sizeof(run->digest), hex);
	printf("%-12s%s\n%-12s%zu bytes in %llu chunks, %llu bytes signed, in %s\n", "replaces",
	       hex, "document", run->govern.new->document_length, (unsigned long long)run->chunks,
	       (unsigned long long)run->bytes, run->out);
	printf("%-12s", "difference");
	if (summary)
		plan_diff_print_summary(stdout, summary);
	else
		fputs("unknown: only the digest of the plan in force was given", stdout);
	printf("\n%-12s%u of %u operators; then push, before %s\n", "approvals",
	       run->govern.plan->governance.approvals, run->govern.plan->governance.operator_count,
	       until);
	json_decref(changes);
	json_decref(summary);
}

static int propose(struct propose *run)
{
	char digest[GOVERN_HEX], until[TIME_TEXT] = "";
	int err = load(run);

	if (err)
		return err;
	run->govern.mtu = run->mtu.value;
	err = govern_open(&run->govern);
	if (err)
		return err;
	if (!run->govern.new->governance.present)
		warning(NAME, "the new plan has no member \"governance\": once in force it cannot "
			      "be changed in flight any more");
	atr_hex_encode(run->govern.new->digest, sizeof(run->govern.new->digest), digest);
	err = write_proposal(run, digest);
	if (err)
		return err;
	atr_time_format((run->first_ns / NS_PER_S) * NS_PER_S +
				run->govern.plan->uuid_past_ms * NS_PER_MS,
			until);
	if (run->json)
		print_json(run, until);
	else
		print_text(run, until);
	return EXIT_OK;
}

static int execute(struct propose *run, int argc, char **argv)
{
	const struct option table[] = {
		{"--plan", "NEW", "the new plan", OPTION_STRING, &run->plan_path, 0, 0},
		{"--replaces", "OLD|DIGEST", "the plan in force, or its digest", OPTION_STRING,
		 &run->replaces, 0, 0},
		{"--source", "NAME", "operator who signs", OPTION_STRING, &run->govern.ring.only, 0,
		 0},
		{"--key", "FILE", "its key file, of use \"envelopes\"", OPTION_STRING,
		 &run->govern.ring.key, 0, 0},
		{"--why", "TEXT", "the reason, 1 to 500 characters; it is logged with the change",
		 OPTION_STRING, &run->why, 0, 0},
		{"--out", "FILE", "a new file for the envelopes", OPTION_STRING, &run->out, 0, 0},
		{"--topic", "NAME", "topic to send on (default: the first that a rule allows)",
		 OPTION_STRING, &run->govern.topic_name, 0, 0},
		{"--mtu", "BYTES", "largest IP packet on the way (default 1500)", OPTION_U64,
		 &run->mtu, MTU_MIN, MTU_MAX},
		{"--change-only", NULL, "leave the chunks out: the document is there already",
		 OPTION_FLAG, &run->change_only, 0, 0},
		{"--json", NULL, "one JSON object", OPTION_FLAG, &run->json, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	int err = options_parse(&usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (!run->plan_path || !run->replaces)
		return usage_error(NAME,
				   "--plan NEW and --replaces OLD (or its digest) are needed");
	if (!run->why || !run->why[0])
		return usage_error(NAME, "--why TEXT is needed: people will ask");
	if (!run->out)
		return usage_error(NAME, "--out FILE is needed: where the envelopes go");
	return propose(run);
}

int governance_propose(int argc, char **argv)
{
	struct propose *run = calloc(1, sizeof(*run));
	int status;

	if (!run)
		return failure(NAME, "out of memory");
	run->govern.command = NAME;
	status = execute(run, argc, argv);
	govern_close(&run->govern);
	free(run);
	return status;
}
