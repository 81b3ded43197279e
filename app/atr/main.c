/* SPDX-License-Identifier: BSD-3-Clause */
/* atr: the appliance. EAL, options, wiring (appliance.c), lcore loops (lcore.c). */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "appliance.h"

#define EAL_ARGS_EXTRA 3 /* two options and the terminating NULL */

static volatile int stop;

static void on_signal(int signal_number)
{
	(void)signal_number;
	stop = 1;
}

static bool given(int argc, char **argv, const char *const *names)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		for (unsigned int n = 0; names[n]; n++)
			if (strncmp(argv[i], names[n], strlen(names[n])) == 0)
				return true;
	return false;
}

/* EAL with what the appliance wants unless the command line says otherwise: nothing shared with
 * other processes, and vectors as wide as the CPU has. */
static int eal_init(int argc, char **argv)
{
	static const char *const sharing[] = {"--in-memory",
					      "--no-shconf",
					      "--proc-type",
					      "--huge-dir",
					      "--huge-unlink",
					      "--legacy-mem",
					      "--single-file-segments",
					      NULL};
	static const char *const simd[] = {"--force-max-simd-bitwidth", NULL};
	static const char *const no_huge[] = {"--no-huge", NULL};
	/* As an argument: EAL forgets what was set before it starts. */
	static char widest[] = "--force-max-simd-bitwidth=512";
	static char in_memory[] = "--in-memory", no_shconf[] = "--no-shconf";
	char **args = calloc((size_t)argc + EAL_ARGS_EXTRA, sizeof(*args));
	int count = 0, rc;

	if (!args)
		return -ENOMEM;
	args[count++] = argv[0];
	if (!given(argc, argv, sharing))
		args[count++] = given(argc, argv, no_huge) ? no_shconf : in_memory;
	if (!given(argc, argv, simd))
		args[count++] = widest;
	for (int i = 1; i < argc; i++)
		args[count++] = argv[i];
	rc = rte_eal_init(count, args);
	/* Count of EAL's arguments in argv's numbering. */
	if (rc >= 0)
		rc -= count - argc;
	free(args);
	return rc;
}

static int check(const struct options *options)
{
	char error[512];
	struct atr_plan *plan;

	if (!options->pipeline) {
		fprintf(stderr, "atr: --check needs --pipeline FILE\n");
		return 2;
	}
	plan = atr_plan_load_file(options->pipeline, error, sizeof(error));
	if (!plan) {
		fprintf(stderr, "atr: %s\n", error);
		return 1;
	}
	printf("plan '%s' version %u is valid: %u sources, %u topics, %u types, %u rules, "
	       "%u feeds, realm %016llx\n",
	       plan->name, plan->version, plan->source_count, plan->topic_count, plan->type_count,
	       plan->rule_count, plan->feed_count, (unsigned long long)plan->realm);
	atr_plan_free(plan);
	return 0;
}

static int serve(struct appliance *a)
{
	char error[512] = "";
	bool balanced;
	int rc;

	rc = appliance_create(a, error, sizeof(error));
	if (rc < 0) {
		fprintf(stderr, "atr: %s\n", error);
		telemetry_end();
		appliance_destroy(a);
		return 1;
	}
	appliance_print(a);
	telemetry_begin(a);
	rc = appliance_run(a, &stop);
	balanced = appliance_totals(a);
	telemetry_end();
	appliance_destroy(a);
	return rc < 0 || !balanced;
}

int main(int argc, char **argv)
{
	static struct appliance appliance;
	const char *misplaced;
	int eal_args, rc;

	setvbuf(stdout, NULL, _IOLBF, 0);
	/* A telemetry client, or a reader of our output, that goes away must not end the appliance.
	 */
	signal(SIGPIPE, SIG_IGN);
	if (atr_sign_init() < 0) {
		fprintf(stderr, "atr: libsodium cannot be initialised\n");
		return 1;
	}
	if (argc == 1 || options_without_eal(argc, argv)) {
		static char help[] = "--help";
		char *help_argv[] = {argv[0], help, NULL};

		rc = argc == 1 ? options_parse(2, help_argv, &appliance.options)
			       : options_parse(argc, argv, &appliance.options);
		if (rc != 0)
			return rc > 0 ? 0 : 2;
		return check(&appliance.options);
	}
	misplaced = options_before_separator(argc, argv);
	if (misplaced) {
		fprintf(stderr,
			"atr: --%s: is ATR's; put it behind `--`, which ends EAL's options\n",
			misplaced);
		return 2;
	}
	/* Before there is a socket to ask at, so that nobody is told that this is no atr. */
	if (telemetry_register() < 0)
		fprintf(stderr, "atr: telemetry is not available; atrctl status will not work\n");
	eal_args = eal_init(argc, argv);
	if (eal_args < 0) {
		fprintf(stderr,
			"atr: EAL did not start (%s); without hugepages add --no-huge -m 512, "
			"without root also --no-pci; everything of ATR's comes after `--`\n",
			rte_strerror(rte_errno));
		return 1;
	}
	rc = options_parse(argc - eal_args, argv + eal_args, &appliance.options);
	if (rc == 0 && appliance.options.check)
		rc = check(&appliance.options);
	else if (rc == 0) {
		signal(SIGINT, on_signal);
		signal(SIGTERM, on_signal);
		/* A closed terminal is a clean stop too, unless nohup said otherwise. */
		if (signal(SIGHUP, on_signal) == SIG_IGN)
			signal(SIGHUP, SIG_IGN);
		rc = serve(&appliance);
	} else {
		rc = rc > 0 ? 0 : 2;
	}
	rte_eal_cleanup();
	return rc;
}
