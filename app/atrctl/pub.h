/* SPDX-License-Identifier: BSD-3-Clause */
/* pub's parts: input (pub_input.c, pub_csv.c, pub_generate.c), frames (pub_frames.c), envelopes
 * (pub_envelopes.c), report (pub_report.c). pub.c puts them together. */
#ifndef ATRCTL_PUB_H
#define ATRCTL_PUB_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <atr/atr.h>

#include "../../lib/reason/reason.h"
#include "event_line.h"
#include "keyring.h"
#include "output.h"
#include "sequence_file.h"
#include "signing.h"

struct pub_options {
	const char *plan, *as;
	const char *jsonl, *csv;
	struct option_u64 generate;    /* events */
	const char *topic, *type;      /* defaults of csv and generate */
	const char *outbox, *acks_key; /* frames: acknowledged, or: */
	const char *sequence_path;
	struct option_u64 first_sequence, tree, mtu, wait_ms, retries, window, timeout;
	bool no_acks, json, progress;
	struct output_params output;
};

struct csv;

struct pub {
	struct pub_options options;
	struct keyring ring;
	struct atr_plan *plan;
	struct atr_json_parser *parser;
	struct envelope_buffers *buffers;
	struct output output;
	struct sequence_file *sequences;
	struct progress progress;
	/* Input. */
	FILE *in;
	struct csv *csv;
	char *text; /* the current line's JSON */
	size_t text_capacity, text_length;
	uint64_t line, generated;
	/* Account. */
	uint64_t events, filtered, unfit; /* lines */
	uint64_t frames, trees;
	struct atr_producer_stats acks; /* of all sources: what concerns acknowledgements */
	unsigned int refusals_shown;
	uint64_t envelopes, retransmissions;
	uint64_t outcome[ATR_REASON_SPACE]; /* of envelopes: OK, DUPLICATE, or a reason */
	uint64_t unanswered, extra_replies, foreign_replies;
	const char *durability; /* that replies named; NULL: none did */
};

/* Opens the input that the options name; 0 or -EINVAL with a sentence in error. */
int pub_input_open(struct pub *pub, char *error);
void pub_input_close(struct pub *pub);
/* Next event that is ours: 1 with line and producer filled (valid until the next call), 0 at the
 * end. Lines that do not fit are reported with their number and counted. */
int pub_input_next(struct pub *pub, struct event_line *line, struct producer **producer);
/* Reports the current line as unfit. */
void pub_unfit(struct pub *pub, const char *why);

/* One record of a CSV file as JSON text in pub->text; 1, 0 at the end, -EINVAL with a sentence. */
int pub_csv_open(struct pub *pub, char *error);
int pub_csv_next(struct pub *pub, char *error);
void pub_csv_close(struct pub *pub);

/* One made-up event as JSON text in pub->text; 1, 0 at the end, -EINVAL with a sentence. */
int pub_generate_open(struct pub *pub, char *error);
int pub_generate_next(struct pub *pub, char *error);

/* Publishes all input, until the first signal (interrupt.h): what was read is still sent and
 * reported, no more is read. 0 or -EINVAL with a sentence in error. */
int pub_frames_run(struct pub *pub, char *error);
int pub_envelopes_run(struct pub *pub, char *error);

/* Prints the closing report and returns the exit status. */
int pub_report(struct pub *pub);

#endif
