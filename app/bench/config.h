/* SPDX-License-Identifier: BSD-3-Clause */
/* What a bench runs with: options of the command line, before and behind `--`. */
#ifndef ATR_BENCH_CONFIG_H
#define ATR_BENCH_CONFIG_H

#include <stdbool.h>

#define BENCH_EAL_MAX  64
#define BENCH_PATH_MAX 512 /* of a directory, terminated */

/* What --break does, to show that a run then fails. */
enum bench_break {
	BREAK_NONE,
	BREAK_LOSE,  /* a frame of a measured pass is not sent */
	BREAK_ALTER, /* of a delivered event another byte is expected */
	BREAK_FORGE  /* a root of a measured pass is signed with another key */
};

struct bench_config {
	unsigned int frames; /* a pass and data lcore; whole trees */
	unsigned int mtu;
	unsigned int passes;
	unsigned int tree; /* leaves of a tree: frames that share a signature */
	unsigned int topics, rules, sources, feeds;
	unsigned int fanout;  /* feeds that a message goes to */
	unsigned int event;   /* bytes of an event in a frame, its header included */
	unsigned int payload; /* bytes of a JSON payload */
	unsigned int shards;  /* data lcores; 0: as many as EAL has beside the main one */
	unsigned int load;    /* percent of the measured ceiling */
	unsigned int verifiers;
	unsigned int
		window; /* sequences that a source is remembered; 0: by the number of sources */
	enum bench_break breaks;
	const char *directory; /* for temporary files */
	bool mix;              /* topics change from event to event, not from frame to frame */
	bool quick;            /* for tests: as little as shows that it works */
	bool json, any_build;
	const char *json_file; /* NULL: standard output */
	char *eal[BENCH_EAL_MAX];
	int eal_count;
	bool no_huge; /* chosen here, since too few pages are free */
};

/* Reads a command's options. 0; 1 if help was printed; -1 after one sentence on standard error. */
int bench_config_parse(int argc, char **argv, const char *command, struct bench_config *config);

/* Starts EAL as configured. Ends the process after one sentence if that fails. */
void bench_eal_start(struct bench_config *config);

/* EAL options as bench_eal_start would choose, but for these lcores. */
void bench_eal_defaults(struct bench_config *config, char *lcores);

/* Says why and ends the process. */
void bench_die(const char *what) __attribute__((noreturn));

/* A line of progress, on standard error. */
void bench_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
