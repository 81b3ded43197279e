/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "event_line.h"
#include "explain.h"
#include "judge.h"
#include "option.h"
#include "term.h"

static const struct usage usage = {
	"verify --plan FILE [--json] [FILE]",
	"Reads envelopes, one a line, or one frame (a file that begins with a zero byte),\n"
	"from FILE or stdin, and puts each through the appliance's own gates: schema,\n"
	"canonical, signature, ruleset, and identity among what this run has read. Says\n"
	"which gate refuses, and why. Rates and load are not judged; key times and the\n"
	"window of UUIDs are judged by this machine's clock.",
	"  atrctl sign --plan plan.json --source ci --key ci.key < events.jsonl |\n"
	"      atrctl verify --plan plan.json\n"
	"  atrctl verify --plan plan.json frame.bin",
};

#define INPUT_MAX (UINT64_C(1) << 30)
#define READ_STEP 65536

struct verify_run {
	struct judge *judge;
	bool json;
	unsigned long item, refused;
};

static void show(struct verify_run *run, const char *kind, const struct verdict *v)
{
	json_t *o, *events;

	if (!run->json) {
		printf("%s %lu: ", kind, run->item);
		explain_reason(stdout, v->reason, v->detail);
		if (v->kind == DATAGRAM_FRAME && v->parsed)
			printf(" [%u of %u events admitted]", v->admitted, v->events);
		putchar('\n');
		for (unsigned int i = 0; v->kind == DATAGRAM_FRAME && i < v->events; i++)
			if (v->event[i] != ATR_OK) {
				printf("  event %u: ", i);
				explain_reason(stdout, v->event[i], NULL);
				putchar('\n');
			}
		return;
	}
	o = explain_reason_json(v->reason, v->detail);
	json_object_set_new(o, kind, json_integer((json_int_t)run->item));
	if (v->kind == DATAGRAM_FRAME && v->parsed) {
		events = json_array();
		for (unsigned int i = 0; i < v->events; i++)
			json_array_append_new(events, explain_reason_json(v->event[i], NULL));
		json_object_set_new(o, "events", events);
	}
	explain_print_json(o);
}

static void verify_one(struct verify_run *run, const char *kind, const uint8_t *data, size_t length)
{
	struct verdict v;

	run->item++;
	judge_datagram(run->judge, data, length, now_unix_ns(), &v);
	if (v.reason != ATR_OK)
		run->refused++;
	show(run, kind, &v);
}

static void verify_lines(struct verify_run *run, const uint8_t *data, size_t length)
{
	while (length) {
		const uint8_t *end = memchr(data, '\n', length);
		size_t n = end ? (size_t)(end - data) : length;

		verify_one(run, "line", data, n);
		n += end != NULL;
		data += n;
		length -= n;
	}
}

static uint8_t *read_all(FILE *f, size_t *length)
{
	uint8_t *data = NULL;
	size_t capacity = 0, n;

	*length = 0;
	do {
		if (*length == capacity) {
			uint8_t *larger;

			capacity = capacity ? 2 * capacity : READ_STEP;
			larger = capacity > INPUT_MAX ? NULL : realloc(data, capacity);
			if (!larger) {
				free(data);
				errno = EFBIG;
				return NULL;
			}
			data = larger;
		}
		n = fread(data + *length, 1, capacity - *length, f);
		*length += n;
	} while (n);
	if (ferror(f)) {
		free(data);
		return NULL;
	}
	return data;
}

static int verify_file(struct verify_run *run, const char *path)
{
	FILE *f = path && strcmp(path, "-") != 0 ? fopen(path, "rb") : stdin;
	uint8_t *data;
	size_t length;

	if (!f)
		return usage_error("verify", "%s: %s", path, strerror(errno));
	data = read_all(f, &length);
	if (f != stdin)
		fclose(f);
	if (!data)
		return usage_error("verify", "cannot read: %s", strerror(errno));
	if (length && data[0] == ATR_FIRST_BYTE_FRAME)
		verify_one(run, "frame", data, length);
	else
		verify_lines(run, data, length);
	free(data);
	if (run->item == 0)
		return usage_error("verify", "nothing to verify: the input is empty");
	return run->refused ? EXIT_NEGATIVE : EXIT_OK;
}

int cmd_verify(int argc, char **argv)
{
	const char *plan_path = NULL, *path = NULL;
	struct verify_run run = {0};
	const struct option table[] = {
		{"--plan", "FILE", "plan to judge by", OPTION_STRING, &plan_path, 0, 0},
		{"--json", NULL, "one JSON object a line", OPTION_FLAG, &run.json, 0, 0},
		{"", "FILE", "envelopes or one frame; '-' or nothing is stdin", OPTION_STRING,
		 &path, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	char error[ERROR_SIZE];
	struct atr_plan *plan;
	int status = EXIT_USAGE;
	int err = options_parse(&usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (!plan_path)
		return usage_error("verify", "--plan FILE is needed: it holds keys and rules");
	plan = atr_plan_load_file(plan_path, error, sizeof(error));
	if (!plan)
		return usage_error("verify", "%s", error);
	run.judge = judge_create(plan);
	if (run.judge)
		status = verify_file(&run, path);
	else
		failure("verify", "out of memory");
	judge_free(run.judge);
	atr_plan_free(plan);
	return status;
}
