/* SPDX-License-Identifier: BSD-3-Clause */
/* Benches of many configurations: each is a process of its own, since memory, ports and lcores are
 * a process's, and none shall find the caches and tables of the one before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_common.h>

#include "bench.h"
#include "result.h"

#define ARGS_MAX (BENCH_EAL_MAX + 24)
#define TEXT_MAX 24

#define ONE  "growth.one"
#define PATH "tier3.mtu1500"

/* Options of a child, beside those that are handed on. */
struct child {
	const char *command;
	const char *args[10];
	const char *rename; /* NULL, or what tier3 of an MTU of 1,500 is called instead */
};

static json_t *machine; /* of the first child */

static void run_child(char **argv, int out)
{
	dup2(out, STDOUT_FILENO);
	close(out);
	execv("/proc/self/exe", argv);
	_exit(1);
}

static json_t *collect(char **argv)
{
	int pipe_fd[2], status = 0;
	json_error_t error;
	json_t *document;
	FILE *from;
	pid_t pid;

	if (pipe(pipe_fd) < 0)
		bench_die("no pipe");
	pid = fork();
	if (pid < 0)
		bench_die("no process");
	if (pid == 0) {
		close(pipe_fd[0]);
		run_child(argv, pipe_fd[1]);
	}
	close(pipe_fd[1]);
	from = fdopen(pipe_fd[0], "r");
	document = from ? json_loadf(from, 0, &error) : NULL;
	if (from)
		fclose(from);
	waitpid(pid, &status, 0);
	if (status != 0 || !document)
		bench_die("a bench failed; its reason is above");
	return document;
}

static void rename_member(json_t *object, const char *member, const char *to)
{
	const char *name = json_string_value(json_object_get(object, member));

	if (!to || !name)
		return;
	if (strncmp(name, PATH, strlen(PATH)) == 0)
		json_object_set_new(object, member, json_sprintf("%s%s", to, name + strlen(PATH)));
	else if (strcmp(name, "tier3.deliveries") == 0)
		json_object_set_new(object, member, json_sprintf("%s.deliveries", to));
}

json_t *children_machine(void)
{
	return machine;
}

/* Runs a child and appends its results; returns the first of them (borrowed). */
static json_t *child(const struct bench_config *config, json_t *results, const struct child *what)
{
	static char passes[TEXT_MAX];
	char *argv[ARGS_MAX];
	json_t *document, *list, *one, *first = NULL;
	int n = 0;
	size_t i;

	argv[n++] = (char *)(uintptr_t) "atr-bench";
	argv[n++] = (char *)(uintptr_t)what->command;
	argv[n++] = (char *)(uintptr_t) "--json";
	if (config->any_build)
		argv[n++] = (char *)(uintptr_t) "--any-build";
	snprintf(passes, sizeof(passes), "--passes=%u", config->passes);
	argv[n++] = passes;
	if (config->quick)
		argv[n++] = (char *)(uintptr_t) "--quick";
	for (unsigned int a = 0; a < RTE_DIM(what->args) && what->args[a]; a++)
		argv[n++] = (char *)(uintptr_t)what->args[a];
	if (config->eal_count > 0)
		argv[n++] = (char *)(uintptr_t) "--";
	for (int e = 0; e < config->eal_count && n < ARGS_MAX - 1; e++)
		argv[n++] = config->eal[e];
	argv[n] = NULL;
	document = collect(argv);
	if (!machine)
		machine = json_incref(json_object_get(document, "machine"));
	list = json_object_get(document, "results");
	json_array_foreach(list, i, one)
	{
		json_t *ratio;
		size_t k;

		rename_member(one, "name", what->rename);
		json_array_foreach(json_object_get(one, "ratios"), k, ratio)
		{
			rename_member(ratio, "reference", what->rename);
		}
		json_array_append(results, one);
	}
	first = json_array_get(results, json_array_size(results) - json_array_size(list));
	json_decref(document);
	return first;
}

static double median_of(const json_t *result)
{
	return json_number_value(json_object_get(result, "median"));
}

/* Measures each and names its ratio to one of each. */
static void grow(struct bench_config *config, json_t *results, const struct child *many,
		 unsigned int count, double one)
{
	for (unsigned int i = 0; i < count; i++) {
		json_t *result = child(config, results, &many[i]);

		result_ratio(result, "one of each", ONE, median_of(result) / one);
	}
}

void bench_growth(struct bench_config *config, json_t *results)
{
	static const struct child many[] = {
		{"tier3", {"--rules=65536", "--topics=256"}, "growth.rules.65536"},
		{"tier3", {"--topics=65535"}, "growth.topics.65535"},
		{"tier3", {"--sources=65534"}, "growth.sources.65534"},
		{"tier3", {"--feeds=8", "--topics=8"}, "growth.feeds.8"},
		{"tier3", {"--feeds=64", "--topics=64"}, "growth.feeds.64"},
		{"tier3", {"--feeds=8", "--topics=8", "--fanout=3"}, "growth.fanout.3"},
		{"tier3", {"--feeds=8", "--topics=8", "--fanout=8"}, "growth.fanout.8"},
		{"tier3", {"--topics=8", "--mix"}, "growth.mixed"},
		{"tier3", {"--tree=1"}, "tier3.tree1"},
		{"tier3", {"--tree=4"}, "tier3.tree4"},
		{"tier3", {"--tree=16"}, "tier3.tree16"},
		{"tier3", {"--tree=64"}, "tier3.tree64"},
		{"tier3", {"--tree=256"}, "tier3.tree256"},
		{"tier3", {"--tree=1024"}, "tier3.tree1024"},
	};
	/* With --quick. */
	static const struct child few[] = {
		{"tier3", {"--rules=1024"}, "growth.rules.1024"},
		{"tier3", {"--topics=1024"}, "growth.topics.1024"},
		{"tier3", {"--sources=1024"}, "growth.sources.1024"},
		{"tier3", {"--feeds=64", "--topics=64", "--fanout=3"}, "growth.fanout.3"},
		{"tier3", {"--topics=8", "--mix"}, "growth.mixed"},
		{"tier3", {"--tree=1"}, "tier3.tree1"},
		{"tier3", {"--tree=16"}, "tier3.tree16"},
	};
	static const struct child of_each = {"tier3", {NULL}, ONE};
	double one = median_of(child(config, results, &of_each));

	if (config->quick)
		grow(config, results, few, RTE_DIM(few), one);
	else
		grow(config, results, many, RTE_DIM(many), one);
}

void bench_cores(struct bench_config *config, json_t *results)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	double one = 0;

	/* One core is the control lcore's; with fewer than three a second data lcore shares it. */
	long most = config->shards ? (long)config->shards : RTE_MAX(cores - 1, 2L);

	for (long n = 1; n <= most && n <= BENCH_SHARDS_MAX; n++) {
		struct bench_config with = *config;
		char shards[TEXT_MAX], sources[TEXT_MAX], name[TEXT_MAX], lcores[TEXT_MAX * 2];
		struct child what = {"tier3", {shards, sources}, name};
		json_t *result;

		snprintf(shards, sizeof(shards), "--shards=%ld", n);
		snprintf(sources, sizeof(sources), "--sources=%ld", n);
		snprintf(name, sizeof(name), "cores.%ld", n);
		if (n < cores)
			snprintf(lcores, sizeof(lcores), "0-%ld", n);
		else
			snprintf(lcores, sizeof(lcores), "0@0,(1-%ld)@(0-%ld)", n, cores - 1);
		if (config->eal_count == 0)
			bench_eal_defaults(&with, lcores);
		result = child(&with, results, &what);
		json_object_set_new(json_object_get(result, "parameters"), "shares_control_core",
				    json_boolean(config->eal_count == 0 && n >= cores));
		if (config->eal_count == 0 && n >= cores)
			json_object_set_new(result, "what",
					    json_sprintf("%ld data lcores on %ld cores that they "
							 "share with the control lcore",
							 n, cores));
		if (n == 1)
			one = median_of(result);
		else
			result_ratio(result, "one data lcore", "cores.1", median_of(result) / one);
	}
}

void bench_all(struct bench_config *config, json_t *results)
{
	static const struct child parts[] = {
		{"tier1", {"--payload=64"}, NULL},
		{"tier1", {"--payload=1024"}, NULL},
		{"roots", {"--verifiers=0"}, NULL},
		{"roots", {"--verifiers=1"}, NULL},
		{"bridge", {NULL}, NULL},
		{"tier3", {"--mtu=1500"}, NULL},
		{"tier3", {"--mtu=9000"}, NULL},
		{"tier3", {"--feeds=8", "--topics=8", "--fanout=3"}, "tier3.feeds8"},
		{"latency", {"--load=10"}, NULL},
		{"latency", {"--load=50"}, NULL},
		{"latency", {"--load=80"}, NULL},
		{"class-d", {NULL}, NULL},
	};

	for (unsigned int i = 0; i < RTE_DIM(parts); i++)
		child(config, results, &parts[i]);
	bench_growth(config, results);
	bench_cores(config, results);
}
