/* SPDX-License-Identifier: BSD-3-Clause */
#include "source.h"

#include <errno.h>
#include <getopt.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SELF       "/proc/self/exe"
#define ARGS_MAX   (SOURCE_PASSED_MAX + 8)
#define NUMBER_MAX 16
#define MTU_NAME   "tier3.mtu1500"

extern char **environ;

enum { OPT_FROM = 256, OPT_JSON, OPT_QUICK, OPT_ANY_BUILD, OPT_PASSES, OPT_HELP };

static const struct option options[] = {
	{"from", required_argument, NULL, OPT_FROM},
	{"output", required_argument, NULL, 'o'},
	{"json", optional_argument, NULL, OPT_JSON},
	{"quick", no_argument, NULL, OPT_QUICK},
	{"passes", required_argument, NULL, OPT_PASSES},
	{"any-build", no_argument, NULL, OPT_ANY_BUILD},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static const char help_of_all[] =
	"  --from FILE     results that atr-bench wrote with --json=FILE; without it the benches\n"
	"                  run first, which takes minutes: measure on an idle machine\n"
	"  --passes N, --quick, --any-build\n"
	"                  for the benches, if they run\n"
	"\n"
	"Behind `--`: EAL options for the benches.\n";

static int pass(struct source *source, const char *option)
{
	if (source->passed_count == SOURCE_PASSED_MAX) {
		fprintf(stderr, "atr-bench: too many options; give fewer behind --\n");
		return -1;
	}
	source->passed[source->passed_count++] = (char *)option;
	return 0;
}

static int option(struct source *source, int code)
{
	switch (code) {
	case OPT_FROM: source->from = optarg; return 0;
	case 'o': source->output = optarg; return 0;
	case OPT_JSON:
		source->json = true;
		source->output = optarg ? optarg : source->output;
		return 0;
	case OPT_QUICK: return pass(source, "--quick");
	case OPT_ANY_BUILD: return pass(source, "--any-build");
	case OPT_PASSES: return pass(source, "--passes") < 0 ? -1 : pass(source, optarg);
	default: return -1;
	}
}

int source_options(struct source *source, int argc, char **argv, const char *help)
{
	int code;

	*source = (struct source){.from = NULL};
	optind = 1;
	while ((code = getopt_long(argc, argv, "+o:", options, NULL)) != -1) {
		if (code == OPT_HELP) {
			printf("%s%s", help, help_of_all);
			return 1;
		}
		if (option(source, code) < 0)
			return -1;
	}
	if (optind < argc && strcmp(argv[optind - 1], "--") != 0) {
		fprintf(stderr,
			"atr-bench: %s is no option of %s; give a value as --option=VALUE, and EAL "
			"options behind `--`\n",
			argv[optind], argv[0]);
		return -1;
	}
	if (optind < argc && pass(source, "--") < 0)
		return -1;
	for (int i = optind; i < argc; i++)
		if (pass(source, argv[i]) < 0)
			return -1;
	return 0;
}

/* Runs this program with args, whose standard output it reads. A new reference, or NULL. */
static json_t *run(char *const args[])
{
	posix_spawn_file_actions_t actions;
	json_t *document = NULL;
	int ends[2], status = -1, rc;
	pid_t child;

	if (pipe(ends) < 0)
		return NULL;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	posix_spawn_file_actions_addclose(&actions, ends[0]);
	posix_spawn_file_actions_addclose(&actions, ends[1]);
	rc = posix_spawn(&child, SELF, &actions, NULL, args, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	if (rc == 0) {
		document = json_loadfd(ends[0], JSON_DISABLE_EOF_CHECK, NULL);
		waitpid(child, &status, 0);
	}
	close(ends[0]);
	if (document && status == 0)
		return document;
	json_decref(document);
	return NULL;
}

static void rename_member(json_t *object, const char *member, unsigned int tree)
{
	const char *name = json_string_value(json_object_get(object, member));

	if (name && strncmp(name, MTU_NAME, strlen(MTU_NAME)) == 0)
		json_object_set_new(object, member,
				    json_sprintf("tier3.tree%u%s", tree, name + strlen(MTU_NAME)));
}

static void rename_results(json_t *document, unsigned int tree)
{
	json_t *one, *ratio;
	size_t i, k;

	json_array_foreach(json_object_get(document, "results"), i, one)
	{
		rename_member(one, "name", tree);
		json_array_foreach(json_object_get(one, "ratios"), k, ratio)
		{
			rename_member(ratio, "reference", tree);
		}
	}
}

static json_t *measure(const struct source *source, const struct source_bench *bench)
{
	char tree[NUMBER_MAX];
	char *args[ARGS_MAX] = {(char *)"atr-bench", (char *)bench->command, (char *)"--json"};
	int count = 3;
	json_t *document;

	if (bench->tree > 0) {
		snprintf(tree, sizeof(tree), "%u", bench->tree);
		args[count++] = (char *)"--tree";
		args[count++] = tree;
	}
	for (int i = 0; i < source->passed_count; i++)
		args[count++] = source->passed[i];
	document = run(args);
	if (document && bench->tree > 0)
		rename_results(document, bench->tree);
	return document;
}

static struct figures *measure_all(const struct source *source, const struct source_bench *benches,
				   size_t count, char *error, size_t error_size)
{
	json_t *all = NULL;
	struct figures *figures = NULL;
	char *bytes;

	for (size_t i = 0; i < count; i++) {
		json_t *one = measure(source, &benches[i]);

		if (!one) {
			snprintf(error, error_size, "atr-bench %s failed; its reason is above",
				 benches[i].command);
			json_decref(all);
			return NULL;
		}
		if (!all) {
			all = one;
			continue;
		}
		json_array_extend(json_object_get(all, "results"), json_object_get(one, "results"));
		json_decref(one);
	}
	bytes = json_dumps(all, JSON_COMPACT);
	if (bytes)
		figures = figures_parse(bytes, strlen(bytes), error, error_size);
	else
		snprintf(error, error_size, "out of memory");
	free(bytes);
	json_decref(all);
	return figures;
}

struct figures *source_figures(const struct source *source, const struct source_bench *benches,
			       size_t count)
{
	char error[512] = "";
	struct figures *figures =
		source->from ? figures_load(source->from, error, sizeof(error))
			     : measure_all(source, benches, count, error, sizeof(error));

	if (!figures)
		fprintf(stderr, "atr-bench: %s\n", error);
	return figures;
}

FILE *source_open(const struct source *source)
{
	FILE *out = source->output ? fopen(source->output, "w") : stdout;

	if (!out)
		fprintf(stderr, "atr-bench: %s cannot be written: %s; choose another file\n",
			source->output, strerror(errno));
	return out;
}

int source_close(const struct source *source, FILE *out)
{
	bool failed = fflush(out) != 0 || ferror(out);

	if (out != stdout)
		failed = fclose(out) != 0 || failed;
	if (failed)
		fprintf(stderr,
			"atr-bench: %s cannot be written to its end; make room on its "
			"disk\n",
			source->output ? source->output : "standard output");
	return failed;
}
