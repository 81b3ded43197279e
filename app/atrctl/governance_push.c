/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "event_line.h"
#include "exchange.h"
#include "explain.h"
#include "governance.h"
#include "interrupt.h"
#include "option.h"
#include "telemetry.h"
#include "term.h"

#define NAME         "governance push"
#define RATE_MAX     1000000
#define WAIT_MAX     60000
#define RETRY_MAX    20
#define WINDOW_MAX   4096
#define REFUSALS_MAX 20 /* named one by one in text */
#define UUID_TEXT    37
#define NO_OUTCOME   (-2) /* not sent, or under way */

static const struct usage usage = {
	"governance push --to IP:PORT FILE... [--parts] [--json]",
	"Sends what 'propose' and 'approve' wrote to the appliance: all chunks, then all\n"
	"approvals, then the change, each awaited by its reply; what is not answered is sent\n"
	"again, the same bytes, waiting twice as long each time. Every refusal is named. If a\n"
	"chunk is refused, or not answered, the change is not sent. Pushing the same files\n"
	"again does no harm: what was admitted is a duplicate.\n"
	"\n"
	"Exit status 0 only if the change was admitted. With --parts the files hold no change,\n"
	"but chunks or approvals that go ahead of it: 0 if all of them were admitted.\n"
	"\n"
	"A reply names the reason; the sentence that names the culprit is in the audit of the\n"
	"quarantine, and on the appliance's machine --file-prefix or --socket asks for the\n"
	"last one. Replies are not signed: 'atrctl governance log' tells what is in force.",
	"  atrctl governance push --to 10.77.0.1:26400 proposal-5.jsonl approval-*.jsonl\n"
	"  atrctl governance push --to 10.77.0.1:26400 --parts approval-b.jsonl",
};

struct push {
	struct output_params output_params;
	struct option_list files;
	struct option_u64 wait_ms, retries, window;
	struct telemetry_options where; /* given: of whom the sentence of a refusal is asked */
	bool parts, json, forced;
	struct proposal proposal;
	struct output output;
	struct exchange exchange;
	struct progress progress;
	int *outcome; /* of each item */
	uint64_t sent, admitted, duplicate, refused, unanswered;
	uint64_t taken; /* admitted or duplicate */
	json_t *refusals;
};

static const char *use_name(enum atr_governance_use use)
{
	return use == ATR_GOVERNANCE_CHUNK    ? "chunk"
	       : use == ATR_GOVERNANCE_CHANGE ? "change"
					      : "approval";
}

/* What to do about a refusal, where the reason does not say it by itself. */
static const char *remedy(uint8_t reason)
{
	switch (reason) {
	case ATR_REASON_STALE:
		return "the envelope is older than the plan's window for ids: sign anew "
		       "('propose', "
		       "'approve')";
	case ATR_REASON_GOV_STALE:
		return "another plan is in force by now: propose against that one";
	case ATR_REASON_GOV_DOCUMENT:
		return "the audit has the culprit's path: 'atrctl quarantine --dir DIR'";
	case ATR_REASON_GOV_APPROVALS: return "push the missing approvals, then these files again";
	case ATR_REASON_GOV_OPERATOR: return "an operator of the plan in force must sign";
	default: return "";
	}
}

/* More approvals do not come by waiting a moment. */
static bool is_last_word(uint8_t reason)
{
	return atr_reason_is_final(reason) || reason == ATR_REASON_GOV_APPROVALS;
}

static void note_refusal(struct push *run, const struct proposal_item *item, uint8_t reason)
{
	const char *hint = remedy(reason), *file = run->files.value[item->file];
	char uuid[UUID_TEXT];

	atr_uuid_format(item->uuid, uuid);
	json_array_append_new(
		run->refusals,
		json_pack("{s:s, s:o, s:I, s:s, s:s, s:s, s:s, s:s, s:b, s:s}", "what",
			  use_name(item->use), "file", explain_bytes_json(file, strlen(file)),
			  "line", (json_int_t)item->line, "id", uuid, "source", item->source,
			  "reason", atr_reason_name(reason), "gate",
			  atr_gate_name(atr_reason_gate(reason)), "text", atr_reason_text(reason),
			  "final", atr_reason_is_final(reason), "remedy", hint));
	if (run->json || json_array_size(run->refusals) > REFUSALS_MAX)
		return;
	failure(NAME, "%s of '%s' (%s, line %lu) refused: %s: %s%s%s", use_name(item->use),
		item->source, file, item->line, atr_reason_name(reason), atr_reason_text(reason),
		hint[0] ? "; " : "", hint);
}

static void landed(void *ctx, const struct flight *flight, int outcome)
{
	struct push *run = ctx;
	const struct proposal_item *item = &run->proposal.item[flight->cookie];

	run->outcome[flight->cookie] = outcome;
	run->taken += outcome == ATR_OK || outcome == ATR_DUPLICATE;
	if (outcome == EXCHANGE_UNANSWERED) {
		run->unanswered++;
	} else if (outcome == ATR_OK) {
		run->admitted++;
	} else if (outcome == ATR_DUPLICATE) {
		run->duplicate++;
	} else {
		run->refused++;
		progress_end(&run->progress);
		note_refusal(run, item, (uint8_t)outcome);
	}
}

static int launch(struct push *run, size_t i)
{
	const struct proposal_item *item = &run->proposal.item[i];
	struct flight flight = {.length = item->length, .cookie = i};

	flight.data = malloc(item->length);
	if (!flight.data)
		return -ENOMEM;
	memcpy(flight.data, item->text, item->length);
	memcpy(flight.uuid, item->uuid, sizeof(flight.uuid));
	run->sent++;
	exchange_launch(&run->exchange, &flight);
	return 0;
}

/* Sends all envelopes of one use and awaits what becomes of them. */
static int send_all(struct push *run, enum atr_governance_use use)
{
	size_t next = 0;

	while (!interrupt_seen) {
		while (next < run->proposal.count && run->proposal.item[next].use != use)
			next++;
		if (next == run->proposal.count && run->exchange.used == 0)
			return 0;
		if (next < run->proposal.count && exchange_room(&run->exchange) &&
		    launch(run, next++) < 0)
			return -ENOMEM;
		exchange_turn(&run->exchange,
			      next == run->proposal.count || !exchange_room(&run->exchange));
		if (progress_due(&run->progress))
			progress_show(&run->progress,
				      "%ss: %llu of %zu envelopes sent, %llu admitted, waiting "
				      "for %u, sent again %llu",
				      use_name(use), (unsigned long long)run->sent,
				      run->proposal.count, (unsigned long long)run->taken,
				      run->exchange.used, (unsigned long long)run->exchange.resent);
	}
	return -EINTR;
}

/* In their order; what could not help any more is not sent. */
static int converse(struct push *run)
{
	int err = send_all(run, ATR_GOVERNANCE_CHUNK);

	if (err || run->refused || run->unanswered)
		return err;
	err = send_all(run, ATR_GOVERNANCE_APPROVAL);
	return err ? err : send_all(run, ATR_GOVERNANCE_CHANGE);
}

/* The sentence of the appliance's last refusal, from its telemetry; free() it. NULL if it was not
 * to be asked, or has none. */
static char *ask_sentence(const struct push *run)
{
	struct telemetry telemetry;
	char error[ERROR_SIZE], *text = NULL;
	json_t *answer = NULL;
	const json_t *parts;
	size_t length = 0;
	FILE *out;

	if ((!run->where.file_prefix && !run->where.socket) || run->refused == 0)
		return NULL;
	if (telemetry_open(&telemetry, &run->where, error) == 0)
		answer = telemetry_ask(&telemetry, "/atr/governance", error);
	telemetry_close(&telemetry);
	if (!answer) {
		warning(NAME, "%s", error);
		return NULL;
	}
	/* A long sentence comes in parts. */
	parts = json_object_get(answer, "refusal");
	out = open_memstream(&text, &length);
	for (size_t i = 0; out && i < json_array_size(parts); i++) {
		const char *part = json_string_value(json_array_get(parts, i));

		fputs(part ? part : "", out);
	}
	if (out)
		fclose(out);
	json_decref(answer);
	return text;
}

static const char *outcome_name(int outcome)
{
	switch (outcome) {
	case ATR_OK: return "admitted";
	case ATR_DUPLICATE: return "duplicate";
	case EXCHANGE_UNANSWERED: return "unanswered";
	case NO_OUTCOME: return "not sent";
	default: return "refused";
	}
}

static int change_outcome(const struct push *run)
{
	const struct proposal_item *change = proposal_change(&run->proposal);

	return change ? run->outcome[change - run->proposal.item] : NO_OUTCOME;
}

static bool succeeded(const struct push *run)
{
	int outcome = change_outcome(run);

	if (run->parts)
		return run->taken == run->proposal.count;
	return outcome == ATR_OK || outcome == ATR_DUPLICATE;
}

static void report(struct push *run, const char *sentence)
{
	const struct proposal *p = &run->proposal;
	const char *class = run->exchange.durability;
	const char *change = p->changes ? outcome_name(change_outcome(run)) : "none";

	if (run->json) {
		explain_print_json(json_pack(
			"{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:O, s:s?, s:s?}",
			"chunks", (json_int_t)p->chunks, "approvals", (json_int_t)p->approvals,
			"changes", (json_int_t)p->changes, "sent", (json_int_t)run->sent,
			"admitted", (json_int_t)run->admitted, "duplicate",
			(json_int_t)run->duplicate, "refused", (json_int_t)run->refused,
			"unanswered", (json_int_t)run->unanswered, "sent_again",
			(json_int_t)run->exchange.resent, "change", change, "refusals",
			run->refusals, "durability", class, "sentence", sentence));
		return;
	}
	if (json_array_size(run->refusals) > REFUSALS_MAX)
		failure(NAME, "and %zu refusals more; --json names all",
			json_array_size(run->refusals) - REFUSALS_MAX);
	if (sentence && sentence[0])
		failure(NAME, "the appliance's last refusal: %s", sentence);
	if (run->unanswered)
		failure(NAME,
			"%llu envelopes were not answered: is the appliance at --to, and is "
			"the way back open?",
			(unsigned long long)run->unanswered);
	printf("pushed: %zu chunks, %zu approvals, %zu changes; %llu admitted, %llu duplicate, "
	       "%llu refused, %llu unanswered, %llu sent again (durability %s)\nchange: %s\n",
	       p->chunks, p->approvals, p->changes, (unsigned long long)run->admitted,
	       (unsigned long long)run->duplicate, (unsigned long long)run->refused,
	       (unsigned long long)run->unanswered, (unsigned long long)run->exchange.resent,
	       class ? class : "not told", change);
}

static int load(struct push *run)
{
	char error[ERROR_SIZE];

	for (unsigned int i = 0; i < run->files.count; i++)
		if (proposal_read(&run->proposal, run->files.value[i], error))
			return usage_error(NAME, "%s", error);
	if (proposal_check(&run->proposal, error))
		return usage_error(NAME, "%s", error);
	if (run->proposal.count == 0)
		return usage_error(NAME, "the files hold no envelopes");
	if (run->parts && run->proposal.changes)
		return usage_error(NAME, "--parts is for files without a change");
	if (!run->parts && !run->proposal.changes)
		return usage_error(NAME, "the files hold no change; name the proposal's file too, "
					 "or say --parts");
	run->outcome = malloc(run->proposal.count * sizeof(*run->outcome));
	run->refusals = json_array();
	if (!run->outcome || !run->refusals)
		return usage_error(NAME, "out of memory");
	for (size_t i = 0; i < run->proposal.count; i++)
		run->outcome[i] = NO_OUTCOME;
	return 0;
}

static int push(struct push *run)
{
	char error[ERROR_SIZE], *sentence;
	int err = load(run);

	if (err)
		return err;
	if (output_open(&run->output, &run->output_params, error))
		return usage_error(NAME, "%s", error);
	run->exchange = (struct exchange){
		.output = &run->output,
		.wait_ms = run->wait_ms,
		.retries = run->retries,
		.window = run->window,
		.final = is_last_word,
		.landed = landed,
		.ctx = run,
	};
	interrupt_catch();
	progress_start(&run->progress, run->forced);
	err = exchange_open(&run->exchange);
	if (!err)
		err = converse(run);
	run->unanswered += run->exchange.used;
	exchange_close(&run->exchange);
	progress_end(&run->progress);
	output_close(&run->output);
	if (err == -ENOMEM)
		return failure(NAME, "out of memory; lower --window");
	sentence = ask_sentence(run);
	report(run, sentence);
	free(sentence);
	return succeeded(run) ? EXIT_OK : EXIT_NEGATIVE;
}

static int execute(struct push *run, int argc, char **argv)
{
	const struct option table[] = {
		{"--to", "IP:PORT", "the appliance", OPTION_ADDRESS, &run->output_params.to, 0, 0},
		{"--from", "IP[:PORT]", "send from here (default: the kernel chooses)",
		 OPTION_ADDRESS, &run->output_params.from, 0, 0},
		{"--parts", NULL, "the files hold no change; it follows later", OPTION_FLAG,
		 &run->parts, 0, 0},
		{"--rate", "N", "datagrams per second, 0 unlimited (default 20000)", OPTION_U64,
		 &run->output_params.rate, 0, RATE_MAX},
		{"--wait", "MS", "first wait for a reply (default 500)", OPTION_U64, &run->wait_ms,
		 1, WAIT_MAX},
		{"--retries", "N", "times an unanswered envelope is sent again (default 3)",
		 OPTION_U64, &run->retries, 0, RETRY_MAX},
		{"--window", "N", "envelopes under way at once (default 256)", OPTION_U64,
		 &run->window, 1, WINDOW_MAX},
		TELEMETRY_OPTIONS(run->where),
		{"--json", NULL, "the report as one JSON object", OPTION_FLAG, &run->json, 0, 0},
		{"--progress", NULL, "show progress also when stderr is no terminal", OPTION_FLAG,
		 &run->forced, 0, 0},
		{"", "FILE", "proposal and approvals", OPTION_LIST, &run->files, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	int err = options_parse(&usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (run->files.count == 0)
		return usage_error(NAME, "name the files of the proposal and of the approvals");
	return push(run);
}

int governance_push(int argc, char **argv)
{
	struct push *run = calloc(1, sizeof(*run));
	int status;

	if (!run)
		return failure(NAME, "out of memory");
	status = execute(run, argc, argv);
	proposal_free(&run->proposal);
	json_decref(run->refusals);
	free(run->outcome);
	free(run);
	return status;
}
