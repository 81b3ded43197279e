/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/stages/stages.h"

#define ROW_MAX 1024

static const char *path;

/* Invariant: the stages of docs/path.md are the stages that run, in order and word by word. */
static void the_documented_path_is_the_path(void **state)
{
	char line[ROW_MAX], wanted[ROW_MAX];
	FILE *file = fopen(path, "r");
	unsigned int stage = 0;

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, "| [", 3) != 0)
			continue;
		assert_true(stage < atr_stage_count);
		snprintf(wanted, sizeof(wanted), "| [%s](../lib/stages/%s.c) | %s | %s |\n",
			 atr_stages[stage].name, atr_stages[stage].name, atr_stages[stage].items,
			 atr_stages[stage].does);
		assert_string_equal(line, wanted);
		stage++;
	}
	assert_int_equal(stage, atr_stage_count);
	fclose(file);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_documented_path_is_the_path)};

	if (argc != 2)
		return 2;
	path = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
