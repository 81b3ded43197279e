/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "option.h"
#include "signing.h"

static const struct usage usage = {
	"sign --plan FILE --source NAME --key FILE [--key-id N] < EVENTS > ENVELOPES",
	"Reads events from stdin, one JSON object a line:\n"
	"  {\"topic\":..., \"type\":..., \"timestamp\":..., \"payload\":{...}, \"meta\":{...}}\n"
	"(timestamp is now if left out; meta may be left out) and writes each as a signed\n"
	"envelope in canonical form (RFC 8785), one a line, ready to be sent as a datagram.\n"
	"Whether the plan's gates would admit it is what 'atrctl verify' tells.",
	"  echo '{\"topic\":\"quake.ci\",\"type\":\"quake\",\"payload\":{\"mag\":2.1}}' |\n"
	"      atrctl sign --plan plan.json --source ci --key ci.key",
};

struct signer_run {
	struct keyring ring;
	struct atr_json_parser *parser;
	struct envelope_buffers *buffers;
	unsigned long line;
	unsigned long refused;
};

static void sign_line(struct signer_run *run, const char *text, size_t length)
{
	struct producer *producer;
	struct event_line line;
	char error[ERROR_SIZE];
	int n;

	n = event_line_parse(run->parser, text, length, &line, error);
	if (n == 0)
		n = keyring_find(&run->ring, line.source, &producer, error);
	if (n > 0)
		return;
	if (n == 0)
		n = envelope_sign(run->ring.plan, producer, &line, run->buffers, error);
	if (n < 0) {
		usage_error("sign", "line %lu: %s", run->line, error);
		run->refused++;
		return;
	}
	fwrite(run->buffers->text, 1, (size_t)n, stdout);
	putchar('\n');
}

static int sign_all(struct signer_run *run)
{
	char *text = NULL;
	size_t capacity = 0;
	ssize_t length;

	while ((length = getline(&text, &capacity, stdin)) >= 0) {
		run->line++;
		if (length && text[length - 1] == '\n')
			length--;
		if (length)
			sign_line(run, text, (size_t)length);
	}
	free(text);
	return run->refused ? EXIT_NEGATIVE : EXIT_OK;
}

int cmd_sign(int argc, char **argv)
{
	const char *plan_path = NULL;
	struct signer_run run = {0};
	const struct option table[] = {
		{"--plan", "FILE", "plan that names realm, source and keys", OPTION_STRING,
		 &plan_path, 0, 0},
		{"--source", "NAME", "source in whose name to sign", OPTION_STRING, &run.ring.only,
		 0, 0},
		{"--key", "FILE", "its key file (see keygen)", OPTION_STRING, &run.ring.key, 0, 0},
		{"--key-dir", "DIR", "sign each line with DIR/<its source>.key, instead of --key",
		 OPTION_STRING, &run.ring.directory, 0, 0},
		{"--key-id", "N", "claim this key id and do not look the key up in the plan",
		 OPTION_U64, &run.ring.key_id, 0, UINT32_MAX},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	char error[ERROR_SIZE];
	struct atr_plan *plan;
	int status = EXIT_USAGE;
	int err = options_parse(&usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (!plan_path)
		return usage_error("sign", "--plan FILE is needed: it names the realm");
	plan = atr_plan_load_file(plan_path, error, sizeof(error));
	if (!plan)
		return usage_error("sign", "%s", error);
	run.ring.plan = plan;
	run.ring.use = ATR_KEY_ENVELOPES;
	run.parser = atr_json_parser_create();
	run.buffers = malloc(sizeof(*run.buffers));
	if (!run.parser || !run.buffers)
		failure("sign", "out of memory");
	else if (keyring_open(&run.ring, error))
		usage_error("sign", "%s", error);
	else
		status = sign_all(&run);
	keyring_close(&run.ring);
	free(run.buffers);
	if (run.parser)
		atr_json_parser_destroy(run.parser);
	atr_plan_free(plan);
	return status;
}
