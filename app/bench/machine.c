/* SPDX-License-Identifier: BSD-3-Clause */
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_vect.h>
#include <rte_version.h>

#define CPUINFO "/proc/cpuinfo"
#define KIB     1024

static const char *const isa[] = {"sse4_2", "avx2", "avx512f", "avx512_vbmi", "sha_ni", NULL};

/* The value of the first line of /proc/cpuinfo that begins with name. */
static char *cpu_line(const char *name)
{
	FILE *file = fopen(CPUINFO, "r");
	char *line = NULL, *value = NULL;
	size_t size = 0;

	while (file && !value && getline(&line, &size, file) > 0) {
		char *colon = strchr(line, ':');

		if (colon && strncmp(line, name, strlen(name)) == 0) {
			colon += strspn(colon, ": \t");
			colon[strcspn(colon, "\n")] = '\0';
			value = strdup(colon);
		}
	}
	free(line);
	if (file)
		fclose(file);
	return value;
}

static json_t *instruction_sets(void)
{
	char *flags = cpu_line("flags"), *rest = flags;
	json_t *list = json_array();

	for (char *one; rest && (one = strsep(&rest, " "));)
		for (unsigned int i = 0; isa[i]; i++)
			if (strcmp(one, isa[i]) == 0)
				json_array_append_new(list, json_string(one));
	free(flags);
	return list;
}

json_t *machine_describe(const struct bench_config *config)
{
	char *model = cpu_line("model name");
	struct utsname name;
	double load = 0;
	json_t *machine;

	uname(&name);
	if (getloadavg(&load, 1) < 1)
		load = 0;
	machine =
		json_pack("{s:s, s:i, s:o, s:s, s:I, s:s, s:i, s:I, s:f}", "cpu",
			  model ? model : "unknown", "cores", (int)sysconf(_SC_NPROCESSORS_ONLN),
			  "isa", instruction_sets(), "kernel", name.release, "memory_mib",
			  (json_int_t)sysconf(_SC_PHYS_PAGES) / KIB * (sysconf(_SC_PAGESIZE) / KIB),
			  "pages", config->no_huge ? "4 KiB" : "2 MiB", "simd_bits",
			  (int)rte_vect_get_max_simd_bitwidth(), "tsc_hz",
			  (json_int_t)rte_get_tsc_hz(), "load", load);
	free(model);
	return machine;
}

json_t *machine_build(void)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "version", ATR_VERSION, "type",
			 BENCH_BUILD_TYPE, "sanitizers", BENCH_SANITIZERS, "compiler",
			 "gcc " __VERSION__, "dpdk", rte_version());
}

const char *machine_build_unfit(void)
{
	if (strcmp(BENCH_SANITIZERS, "none") != 0)
		return "this is a sanitizer build, whose figures mean nothing; build with "
		       "-Db_sanitize=none, or give --any-build";
	if (strcmp(BENCH_BUILD_TYPE, "release") != 0)
		return "this is no release build, and its figures mean nothing; build with "
		       "--buildtype=release, or give --any-build";
	return NULL;
}
