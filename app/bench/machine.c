/* SPDX-License-Identifier: BSD-3-Clause */
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include <rte_common.h>
#include <rte_cycles.h>
#include <rte_lcore.h>
#include <rte_vect.h>
#include <rte_version.h>

#define CPUINFO     "/proc/cpuinfo"
#define KIB         1024
#define LCORES_MAX  512
#define NUMBER_TEXT 24

static const char *const isa[] = {"sse4_2", "avx2", "avx512f", "avx512vbmi", "sha_ni", NULL};

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

/* EAL's lcores and their CPUs, as --lcores takes them: "0@0,1@1"; empty before EAL's start. */
static void list_lcores(char *text, size_t size)
{
	unsigned int id;
	size_t at = 0;

	*text = '\0';
	RTE_LCORE_FOREACH(id)
	{
		rte_cpuset_t cpus = rte_lcore_cpuset(id);
		const char *before = at ? "," : "";

		if (CPU_COUNT(&cpus) == 1)
			at += (size_t)snprintf(text + at, size - at, "%s%u@%d", before, id,
					       rte_lcore_to_cpu_id((int)id));
		else
			at += (size_t)snprintf(text + at, size - at, "%s%u@(%d of them)", before,
					       id, CPU_COUNT(&cpus));
		if (at >= size)
			return;
	}
}

/* Of the directory for temporary files. */
static const char *file_system(const char *directory)
{
	static const struct {
		unsigned long magic;
		const char *name;
	} known[] = {{EXT4_SUPER_MAGIC, "ext4"},
		     {XFS_SUPER_MAGIC, "xfs"},
		     {BTRFS_SUPER_MAGIC, "btrfs"},
		     {F2FS_SUPER_MAGIC, "f2fs"},
		     {TMPFS_MAGIC, "tmpfs"},
		     {RAMFS_MAGIC, "ramfs"},
		     {OVERLAYFS_SUPER_MAGIC, "overlay"},
		     {NFS_SUPER_MAGIC, "nfs"}};
	static char number[NUMBER_TEXT];
	struct statfs fs;

	if (statfs(directory, &fs) < 0)
		return "unknown";
	for (size_t i = 0; i < RTE_DIM(known); i++)
		if ((unsigned long)fs.f_type == known[i].magic)
			return known[i].name;
	snprintf(number, sizeof(number), "0x%lx", (unsigned long)fs.f_type);
	return number;
}

json_t *machine_describe(const struct bench_config *config)
{
	char *model = cpu_line("model name");
	struct utsname name;
	double load = 0;
	json_t *machine;

	char lcores[LCORES_MAX];

	uname(&name);
	list_lcores(lcores, sizeof(lcores));
	if (getloadavg(&load, 1) < 1)
		load = 0;
	machine = json_pack(
		"{s:s, s:i, s:o, s:s, s:I, s:s, s:i, s:I, s:f, s:s, s:s}", "cpu",
		model ? model : "unknown", "cores", (int)sysconf(_SC_NPROCESSORS_ONLN), "isa",
		instruction_sets(), "kernel", name.release, "memory_mib",
		(json_int_t)sysconf(_SC_PHYS_PAGES) / KIB * (sysconf(_SC_PAGESIZE) / KIB), "pages",
		config->no_huge ? "4 KiB" : "2 MiB", "simd_bits",
		(int)rte_vect_get_max_simd_bitwidth(), "tsc_hz", (json_int_t)rte_get_tsc_hz(),
		"load", load, "lcores", lcores, "file_system", file_system(config->directory));
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
