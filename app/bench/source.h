/* SPDX-License-Identifier: BSD-3-Clause */
/* Where model and report have their results from: a file, or benches run now, each in a process of
 * its own. */
#ifndef ATR_BENCH_SOURCE_H
#define ATR_BENCH_SOURCE_H

#include "figures.h"

#define SOURCE_PASSED_MAX 80

struct source {
	const char *from;   /* --from: a file of results; NULL: measure */
	const char *output; /* -o, or the file of --json=FILE; NULL: standard output */
	bool json;
	/* Options for benches, and behind "--" those for EAL. */
	char *passed[SOURCE_PASSED_MAX];
	int passed_count;
};

/* Reads a command's options. 0; 1 if help was printed (first the command's own); -1 after one
 * sentence on standard error. */
int source_options(struct source *source, int argc, char **argv, const char *help);

/* What a command of atr-bench and its options measure. */
struct source_bench {
	const char *command;
	unsigned int tree; /* of tier3; its results are then named tier3.treeN. 0: as it is */
};

/* The file, or the results of all benches together. NULL after one sentence on standard error.
 * Free with figures_free. */
struct figures *source_figures(const struct source *source, const struct source_bench *benches,
			       size_t count);

/* The file to write to, or standard output. NULL after one sentence on standard error. */
FILE *source_open(const struct source *source);
/* Exit status: 0, or 1 after one sentence on standard error if not all could be written. */
int source_close(const struct source *source, FILE *out);

#endif
