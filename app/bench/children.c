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

#define ARGS_MAX      (BENCH_EAL_MAX + 24)
#define TEXT_MAX      24
#define NAME_MAX_SIZE 64

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
	argv[n++] = (char *)(uintptr_t) "--directory";
	argv[n++] = (char *)(uintptr_t)config->directory;
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

/* A row of growth, and the options that it shares with the one of each that is measured right
 * before it. */
struct row {
	const char *name; /* of the row; of its base, behind ONE */
	const char *base;
	const char *more[4], *shared[4];
};

static void add_args(struct child *child, const char *const more[4])
{
	unsigned int at = 0;

	while (child->args[at])
		at++;
	for (unsigned int i = 0; i < 4 && more[i]; i++)
		child->args[at++] = more[i];
}

/* Before each row one of each, since the machine may be another by then. */
static void grow(struct bench_config *config, json_t *results, const struct row *rows,
		 unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		char name[NAME_MAX_SIZE];
		struct child one = {"tier3", {NULL}, name}, many = {"tier3", {NULL}, rows[i].name};
		json_t *result;
		double base;

		snprintf(name, sizeof(name), ONE ".%s", rows[i].base);
		add_args(&one, rows[i].shared);
		add_args(&many, rows[i].shared);
		add_args(&many, rows[i].more);
		base = median_of(child(config, results, &one));
		result = child(config, results, &many);
		result_ratio(result, "one of each", name, median_of(result) / base);
	}
}

void bench_growth(struct bench_config *config, json_t *results)
{
	static const struct row many[] = {
		{"growth.rules.65536",
		 "rules",
		 {"--rules=65536", "--topics=1040", "--sources=63"},
		 {"--frames=32768", "--tree=64"}},
		{"growth.topics.65535", "topics", {"--topics=65535"}, {"--frames=32768"}},
		{"growth.sources.65534",
		 "sources",
		 {"--sources=65534"},
		 {"--frames=32768", "--tree=64", "--window=2048"}},
		{"growth.feeds.8", "feeds8", {"--feeds=8", "--topics=8"}, {NULL}},
		{"growth.feeds.64", "feeds64", {"--feeds=64", "--topics=64"}, {NULL}},
		{"growth.fanout.3", "fanout3", {"--feeds=8", "--topics=8", "--fanout=3"}, {NULL}},
		{"growth.fanout.8", "fanout8", {"--feeds=8", "--topics=8", "--fanout=8"}, {NULL}},
		{"growth.mixed", "mixed", {"--topics=8", "--mix"}, {NULL}},
		{"tier3.tree1", "tree1", {"--tree=1"}, {NULL}},
		{"tier3.tree4", "tree4", {"--tree=4"}, {NULL}},
		{"tier3.tree16", "tree16", {"--tree=16"}, {NULL}},
		{"tier3.tree64", "tree64", {"--tree=64"}, {NULL}},
		{"tier3.tree256", "tree256", {"--tree=256"}, {NULL}},
		{"tier3.tree1024", "tree1024", {"--tree=1024"}, {NULL}},
	};
	/* With --quick. */
	static const struct row few[] = {
		{"growth.rules.1024",
		 "rules",
		 {"--rules=1024", "--topics=64", "--sources=16"},
		 {"--tree=64"}},
		{"growth.topics.1024", "topics", {"--topics=1024"}, {NULL}},
		{"growth.sources.1024",
		 "sources",
		 {"--sources=1024"},
		 {"--tree=16", "--window=2048"}},
		{"growth.fanout.3", "fanout3", {"--feeds=64", "--topics=64", "--fanout=3"}, {NULL}},
		{"growth.mixed", "mixed", {"--topics=8", "--mix"}, {NULL}},
		{"tier3.tree1", "tree1", {"--tree=1"}, {NULL}},
		{"tier3.tree16", "tree16", {"--tree=16"}, {NULL}},
	};

	if (config->quick)
		grow(config, results, few, RTE_DIM(few));
	else
		grow(config, results, many, RTE_DIM(many));
}

/* EAL's lcores for so many data lcores: one core is the control lcore's; where there are too few a
 * data lcore shares it. */
static void lcores_for(long n, long cores, char *text, size_t size)
{
	if (n < cores)
		snprintf(text, size, "0-%ld", n);
	else
		snprintf(text, size, "0@0,(1-%ld)@(0-%ld)", n, cores - 1);
}

/* tier3 of n data lcores with that many sources. */
static json_t *cores_child(const struct bench_config *config, json_t *results, long n, long sources,
			   const char *name)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	char shards[2 * TEXT_MAX], of[2 * TEXT_MAX], lcores[2 * TEXT_MAX];
	struct child what = {"tier3", {shards, of}, name};
	struct bench_config with = *config;
	json_t *result;
	bool shares = config->eal_count == 0 && n >= cores;

	snprintf(shards, sizeof(shards), "--shards=%ld", n);
	snprintf(of, sizeof(of), "--sources=%ld", sources);
	lcores_for(n, cores, lcores, sizeof(lcores));
	if (config->eal_count == 0)
		bench_eal_defaults(&with, lcores);
	result = child(&with, results, &what);
	json_object_set_new(json_object_get(result, "parameters"), "shares_control_core",
			    json_boolean(shares));
	if (shares)
		json_object_set_new(result, "what",
				    json_sprintf("%ld data lcores on %ld cores that they share "
						 "with the control lcore",
						 n, cores));
	return result;
}

void bench_cores(struct bench_config *config, json_t *results)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	long most = config->shards ? (long)config->shards : RTE_MAX(cores - 1, 2L);

	cores_child(config, results, 1, 1, "cores.1");
	for (long n = 2; n <= most && n <= BENCH_SHARDS_MAX; n++) {
		char name[NAME_MAX_SIZE], base[NAME_MAX_SIZE];
		json_t *result;
		double one;

		snprintf(name, sizeof(name), "cores.%ld", n);
		snprintf(base, sizeof(base), "cores.one.%ld", n);
		one = median_of(cores_child(config, results, 1, n, base));
		result = cores_child(config, results, n, n, name);
		result_ratio(result, "one data lcore", base, median_of(result) / one);
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
