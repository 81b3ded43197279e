/* SPDX-License-Identifier: BSD-3-Clause */
/* Asking a running appliance: DPDK's telemetry socket (UNIX, SOCK_SEQPACKET, JSON). */
#ifndef ATRCTL_TELEMETRY_H
#define ATRCTL_TELEMETRY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "option.h"

struct telemetry_options {
	const char *file_prefix; /* of the appliance's EAL, NULL: rte */
	const char *socket;      /* path, NULL: found by prefix */
};

/* The rows of an option table that every subcommand here has. */
#define TELEMETRY_OPTIONS(o)                                                                     \
	{"--file-prefix",                                                                        \
	 "NAME",                                                                                 \
	 "the appliance's EAL --file-prefix (default rte)",                                      \
	 OPTION_STRING,                                                                          \
	 &(o).file_prefix,                                                                       \
	 0,                                                                                      \
	 0},                                                                                     \
	{                                                                                        \
		"--socket", "PATH", "its telemetry socket, instead", OPTION_STRING, &(o).socket, \
			0, 0                                                                     \
	}

struct telemetry {
	int fd;
	char path[108];
};

/* Connects and reads the greeting. 0 or -errno with a sentence and remedy in error. */
int telemetry_open(struct telemetry *telemetry, const struct telemetry_options *options,
		   char *error);
void telemetry_close(struct telemetry *telemetry);

/* What a command answers, owned by the caller; NULL with a sentence in error. */
json_t *telemetry_ask(struct telemetry *telemetry, const char *command, char *error);

/* A paged command: members (or elements) of all pages together, without "next". */
json_t *telemetry_ask_pages(struct telemetry *telemetry, const char *command, char *error);

/* Prints any JSON value as aligned text, indented by so many columns. Strings are neutralised. */
void telemetry_render(FILE *to, json_t *value, int indent);

/* Prints what /atr/overload answers: a line a shard under "load": its state, since when and why,
 * its signals, and how many events it has shed by which measure. */
void telemetry_render_load(FILE *to, json_t *loads);

/* Prints what /atr/log answers: a line a shard under "log", and the sentence of each log that is
 * not well. Nothing where there is no log. */
void telemetry_render_log(FILE *to, json_t *logs);

#endif
