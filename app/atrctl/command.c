/* SPDX-License-Identifier: BSD-3-Clause */
#include "command.h"

#include <stdio.h>
#include <string.h>

#include "option.h"

#define FULL_NAME 64

static void help(const struct command_group *group)
{
	printf("usage: atrctl %s COMMAND [options]\n\n%s\n\n", group->name, group->about);
	for (const struct command *c = group->commands; c->name; c++)
		printf("  %-14s%s\n", c->name, c->summary);
	printf("\n'atrctl %s COMMAND --help' teaches each of them.\n", group->name);
}

int command_group_run(const struct command_group *group, int argc, char **argv)
{
	char name[FULL_NAME];

	if (argc < 2) {
		help(group);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		help(group);
		return EXIT_OK;
	}
	for (const struct command *c = group->commands; c->name; c++) {
		if (strcmp(argv[1], c->name) != 0)
			continue;
		/* What is said of its options names it as it was typed. */
		snprintf(name, sizeof(name), "%s %s", group->name, c->name);
		argv[1] = name;
		return c->run(argc - 1, argv + 1);
	}
	return usage_error(group->name, "no command '%s'; 'atrctl %s --help' lists them", argv[1],
			   group->name);
}
