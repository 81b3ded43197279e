/* SPDX-License-Identifier: BSD-3-Clause */
/* atr-bench: what the appliance's own libraries and stage table do on this machine. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "bench_model.h"
#include "machine.h"
#include "report.h"
#include "result.h"

static const struct command {
	const char *name, *does;
	bench_fn run;
	bool children; /* measures in processes of its own, and starts no EAL */
} commands[] = {
	{"tier1", "signed JSON envelopes through the control lcore, beside Ed25519 alone",
	 bench_tier1, false},
	{"roots", "roots a second, by the control lcore and --verifiers", bench_roots, false},
	{"bridge", "what a message costs between data and control lcore", bench_bridge, false},
	{"tier3", "frames from ring to ring, all gates, beside I/O and hash alone", bench_tier3,
	 false},
	{"class-d", "the same with every message on disk before it is published, beside the disk",
	 bench_class_d, false},
	{"latency", "reception to transmission at a share of the ceiling", bench_latency, false},
	{"growth", "tier3 in rules, topics, sources, feeds, fan-out and tree size", bench_growth,
	 true},
	{"cores", "tier3 over 1..n data lcores", bench_cores, true},
	{"all", "all of them", bench_all, true},
};

/* These read results, from a file or from benches that they run. */
static const struct reader {
	const char *name, *does;
	int (*run)(int argc, char **argv);
} readers[] = {
	{"model", "the three-tier model: R(N) predicted beside R(N) measured", model_main},
	{"report", "results as an HTML page", report_main},
};

static int usage(FILE *out)
{
	fprintf(out, "atr-bench - measures the appliance on this machine, every gate on, every "
		     "figure with its scope\n\n"
		     "usage: atr-bench COMMAND [options] [-- EAL options]\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].does);
	for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
		fprintf(out, "  %-9s %s\n", readers[i].name, readers[i].does);
	fprintf(out,
		"\n`atr-bench COMMAND --help` tells the options. A run that loses or misjudges "
		"one message fails.\nMeasure on an idle machine: the main lcore is the control "
		"lcore, the other a data lcore.\n\n"
		"examples:\n"
		"  atr-bench tier3 --mtu 9000\n"
		"  atr-bench all --json=results.json\n"
		"  atr-bench report --from results.json -o report.html\n");
	return out == stdout ? 0 : 2;
}

/* Before anything is measured. NULL after one sentence. */
static FILE *open_out(const struct bench_config *config)
{
	FILE *file = config->json_file ? fopen(config->json_file, "w") : stdout;

	if (!file)
		fprintf(stderr, "atr-bench: %s cannot be written: %s; choose another --json\n",
			config->json_file, strerror(errno));
	return file;
}

/* Exit status. Whatever happens to the file, people can read the figures. */
static int write_out(const json_t *document, const struct bench_config *config, FILE *file)
{
	int rc = 0;

	if (config->json) {
		rc = json_dumpf(document, file, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
		rc |= fputc('\n', file) == EOF;
		rc |= file == stdout ? fflush(file) : fclose(file);
	}
	if (rc != 0)
		fprintf(stderr,
			"atr-bench: %s cannot be written to its end; make room on its disk\n",
			config->json_file ? config->json_file : "standard output");
	if (!config->json || config->json_file)
		result_print(document, stdout);
	return rc != 0;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct bench_config config;
	int rc = bench_config_parse(argc, argv, command->name, &config);
	json_t *results, *document, *head;
	FILE *out;

	if (rc != 0)
		return rc > 0 ? 0 : 2;
	if (machine_build_unfit() && !config.any_build) {
		fprintf(stderr, "atr-bench: %s\n", machine_build_unfit());
		return 2;
	}
	out = open_out(&config);
	if (!out)
		return 1;
	if (!command->children)
		bench_eal_start(&config);
	head = result_head(&config);
	results = json_array();
	command->run(&config, results);
	document = result_document(head, results);
	if (children_machine())
		json_object_set(document, "machine", children_machine());
	rc = write_out(document, &config, out);
	json_decref(document);
	return rc;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return usage(stderr);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
		return usage(stdout);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return run(&commands[i], argc - 1, argv + 1);
	for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
		if (strcmp(argv[1], readers[i].name) == 0)
			return readers[i].run(argc - 1, argv + 1);
	fprintf(stderr, "atr-bench: no command %s\n\n", argv[1]);
	return usage(stderr);
}
