/* SPDX-License-Identifier: BSD-3-Clause */
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

#define NAME         "governance approve"
#define PAYLOAD_SIZE 256

static const struct usage usage = {
	"governance approve (--proposal FILE | --digest HEX --version N --replaces HEX)\n"
	"           [--plan OLD] --source NAME --key FILE --out FILE",
	"Prints what is being approved and signs an approval of it, as one operator of the\n"
	"plan in force: one signed envelope in a new file. Nothing is sent.\n"
	"\n"
	"From a proposal's FILE the document is put together, compiled, and with --plan OLD,\n"
	"the plan in force, compared: read the difference before you hand the file on.\n"
	"Nothing is signed that does not compile, or could not take the place of OLD. With the\n"
	"digest alone the document cannot be shown; --plan OLD is needed then.\n"
	"\n"
	"An approval is over digest, version and the plan replaced; it is good for whoever\n"
	"proposes the same. A second one of the same operator counts once.",
	"  atrctl governance approve --proposal proposal-5.jsonl --plan plan-4.json \\\n"
	"      --source op-b --key op-b.key --out approval-b.jsonl",
};

struct approve {
	const char *proposal_path, *digest, *replaces, *plan_path, *out;
	struct option_u64 version;
	bool json;
	struct govern govern;
	struct proposal proposal;
	struct proposal_motion motion;
	const char *why; /* the proposal's, or NULL */
	char *why_text;
};

/* The change's text, from its envelope. */
static void take_why(struct approve *run, const struct proposal_item *change)
{
	json_t *envelope = json_loadb(change->text, change->length, 0, NULL);
	const char *why =
		json_string_value(json_object_get(json_object_get(envelope, "payload"), "why"));

	run->why_text = why ? strdup(why) : NULL;
	run->why = run->why_text;
	json_decref(envelope);
}

/* Is the change signed by whom it says, with a key that the plan in force gave it at that time? */
static int check_proposer(const struct approve *run, const struct proposal_item *change)
{
	struct atr_json_parser *parser = atr_json_parser_create();
	uint8_t reason = ATR_REASON_MEMORY_FULL;
	struct atr_envelope envelope;

	if (parser && atr_envelope_parse(parser, change->text, change->length, &envelope) == ATR_OK)
		judge_envelope_signature(run->govern.old, &envelope, change->uuid_ms * NS_PER_MS,
					 &reason);
	if (parser)
		atr_json_parser_destroy(parser);
	if (reason == ATR_OK)
		return 0;
	return failure(NAME, "the change is not signed by '%s' under the plan in force: %s",
		       change->source, atr_reason_text(reason));
}

static int load_proposal(struct approve *run)
{
	const struct proposal_item *change;
	char error[ERROR_SIZE];

	if (proposal_read(&run->proposal, run->proposal_path, error) ||
	    proposal_check(&run->proposal, error))
		return usage_error(NAME, "%s", error);
	change = proposal_change(&run->proposal);
	if (!change)
		return usage_error(NAME, "%s holds no change; name the proposal's file",
				   run->proposal_path);
	run->motion = change->motion;
	take_why(run, change);
	if (run->govern.old &&
	    memcmp(run->govern.old->digest, run->motion.replaces, PROPOSAL_DIGEST) != 0)
		return failure(NAME, "the proposal replaces another plan than %s", run->plan_path);
	if (run->govern.old && check_proposer(run, change))
		return EXIT_NEGATIVE;
	if (!run->proposal.chunks)
		return 0;
	run->govern.new = proposal_plan(&run->proposal, run->govern.old, error);
	if (!run->govern.new)
		return failure(NAME, "%s: %s", run->proposal_path, error);
	if (run->govern.new->version != run->motion.version)
		return failure(NAME, "the change says version %u, its document version %u",
			       run->motion.version, run->govern.new->version);
	if (run->govern.old && govern_may_follow(run->govern.old, run->govern.new, error))
		return failure(NAME, "%s: %s", run->proposal_path, error);
	return 0;
}

static int load(struct approve *run)
{
	char error[ERROR_SIZE];

	if (run->plan_path) {
		run->govern.old = atr_plan_load_file(run->plan_path, error, sizeof(error));
		if (!run->govern.old)
			return usage_error(NAME, "%s", error);
	}
	if (run->proposal_path)
		return load_proposal(run);
	if (govern_digest(run->digest, run->motion.digest) ||
	    govern_digest(run->replaces, run->motion.replaces))
		return usage_error(NAME, "--digest and --replaces take 64 lowercase hex digits");
	run->motion.version = (uint32_t)run->version.value;
	if (run->govern.old &&
	    memcmp(run->govern.old->digest, run->motion.replaces, PROPOSAL_DIGEST) != 0)
		return failure(NAME, "--replaces is not the digest of %s", run->plan_path);
	if (run->govern.old && run->motion.version <= run->govern.old->version)
		return failure(NAME, "version %u is not above %u of the plan in force",
			       run->motion.version, run->govern.old->version);
	return 0;
}

static void print_text(const struct approve *run, const char *digest, const char *replaces,
		       json_t *changes)
{
	printf("%-12sversion %u, digest %s\n%-12s%s\n", "approving", run->motion.version, digest,
	       "replaces", replaces);
	printf("%-12s%s\n", "as", run->govern.producer->source->name);
	if (run->govern.new)
		printf("%-12s%s, %zu bytes, compiles\n", "document", run->govern.new->name,
		       run->govern.new->document_length);
	else
		printf("%-12snot at hand: its digest alone is approved\n", "document");
	if (run->why) {
		printf("%-12s", "why");
		term_text(stdout, run->why, strlen(run->why));
		putchar('\n');
	}
	if (changes)
		plan_diff_print(stdout, changes);
	else
		printf("%-12snot shown: give the proposal and --plan OLD\n", "difference");
	printf("%-12s%s\n", "written to", run->out);
}

static void print(const struct approve *run)
{
	json_t *changes = run->govern.old && run->govern.new
				  ? govern_diff(run->govern.old, run->govern.new)
				  : NULL;
	char digest[GOVERN_HEX], replaces[GOVERN_HEX];

	atr_hex_encode(run->motion.digest, PROPOSAL_DIGEST, digest);
	atr_hex_encode(run->motion.replaces, PROPOSAL_DIGEST, replaces);
	if (run->json)
		explain_print_json(
			json_pack("{s:s, s:s, s:I, s:s, s:s?, s:b, s:O?}", "digest", digest,
				  "replaces", replaces, "version", (json_int_t)run->motion.version,
				  "source", run->govern.producer->source->name, "why", run->why,
				  "document", run->govern.new != NULL, "changes", changes));
	else
		print_text(run, digest, replaces, changes);
	json_decref(changes);
}

static int write_approval(struct approve *run)
{
	char digest[GOVERN_HEX], replaces[GOVERN_HEX], payload[PAYLOAD_SIZE];
	char text[ATR_DATAGRAM_MAX + 1], error[ERROR_SIZE];
	FILE *file;
	int n;

	atr_hex_encode(run->motion.digest, PROPOSAL_DIGEST, digest);
	atr_hex_encode(run->motion.replaces, PROPOSAL_DIGEST, replaces);
	snprintf(payload, sizeof(payload), "{\"digest\":\"%s\",\"replaces\":\"%s\",\"version\":%u}",
		 digest, replaces, run->motion.version);
	n = govern_sign(&run->govern, ATR_GOVERNANCE_APPROVAL, payload, text, error);
	if (n < 0)
		return failure(NAME, "%s", error);
	file = govern_create(NAME, run->out);
	if (!file)
		return EXIT_USAGE;
	fwrite(text, 1, (size_t)n, file);
	fputc('\n', file);
	return govern_finish(NAME, run->out, file);
}

static int approve(struct approve *run)
{
	int err = load(run);

	if (err)
		return err;
	if (!run->govern.old && !run->govern.new)
		return usage_error(NAME, "--plan OLD is needed, the plan in force: the document is "
					 "not at hand, and nothing else tells realm and names");
	err = govern_open(&run->govern);
	if (!err)
		err = write_approval(run);
	if (!err)
		print(run);
	return err;
}

static int execute(struct approve *run, int argc, char **argv)
{
	const struct option table[] = {
		{"--proposal", "FILE", "what 'atrctl governance propose' wrote", OPTION_STRING,
		 &run->proposal_path, 0, 0},
		{"--digest", "HEX", "instead of a proposal: digest of the new plan", OPTION_STRING,
		 &run->digest, 0, 0},
		{"--version", "N", "its version", OPTION_U64, &run->version, 1, UINT32_MAX},
		{"--replaces", "HEX", "digest of the plan in force", OPTION_STRING, &run->replaces,
		 0, 0},
		{"--plan", "OLD", "the plan in force: shows the difference", OPTION_STRING,
		 &run->plan_path, 0, 0},
		{"--source", "NAME", "operator who approves", OPTION_STRING, &run->govern.ring.only,
		 0, 0},
		{"--key", "FILE", "its key file, of use \"envelopes\"", OPTION_STRING,
		 &run->govern.ring.key, 0, 0},
		{"--out", "FILE", "a new file for the envelope", OPTION_STRING, &run->out, 0, 0},
		{"--topic", "NAME", "topic to send on (default: the first that a rule allows)",
		 OPTION_STRING, &run->govern.topic_name, 0, 0},
		{"--json", NULL, "one JSON object, the whole difference in it", OPTION_FLAG,
		 &run->json, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	int err = options_parse(&usage, table, argc, argv);
	bool by_digest = run->digest || run->version.given || run->replaces;

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (!run->proposal_path == !by_digest)
		return usage_error(NAME, "give either --proposal FILE or --digest, --version and "
					 "--replaces");
	if (by_digest && (!run->digest || !run->version.given || !run->replaces))
		return usage_error(NAME, "--digest, --version and --replaces go together");
	if (!run->out)
		return usage_error(NAME, "--out FILE is needed: where the envelope goes");
	return approve(run);
}

int governance_approve(int argc, char **argv)
{
	struct approve *run = calloc(1, sizeof(*run));
	int status;

	if (!run)
		return failure(NAME, "out of memory");
	run->govern.command = NAME;
	status = execute(run, argc, argv);
	govern_close(&run->govern);
	proposal_free(&run->proposal);
	free(run->why_text);
	free(run);
	return status;
}
