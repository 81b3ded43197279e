/* SPDX-License-Identifier: BSD-3-Clause */
/* Command line options from one table, which also prints the help. */
#ifndef ATRCTL_OPTION_H
#define ATRCTL_OPTION_H

#include <stdbool.h>
#include <stdint.h>

enum option_kind {
	OPTION_FLAG,    /* bool */
	OPTION_STRING,  /* const char *, points into argv */
	OPTION_U64,     /* struct option_u64 */
	OPTION_LOSS,    /* struct option_loss: two arguments, percent and seed */
	OPTION_ADDRESS, /* struct address: IP:PORT, or IP alone where allowed */
	OPTION_LIST     /* struct option_list; as a positional argument it takes all that follow */
};

#define OPTION_LIST_MAX 64

struct option_list {
	const char *value[OPTION_LIST_MAX]; /* point into argv */
	unsigned int count;
};

struct option_u64 {
	uint64_t value;
	bool given;
};

struct option_loss {
	uint32_t per_million; /* of datagrams; at most 1,000,000 */
	uint64_t seed;
	bool given;
};

struct address {
	uint32_t ip;   /* host byte order */
	uint16_t port; /* host byte order; 0 if not given */
	bool given;
};

struct option {
	const char *name; /* with its dashes; "" is a positional argument (OPTION_STRING or
			     OPTION_LIST), in order */
	const char *metavar;
	const char *help;
	enum option_kind kind;
	void *target;
	uint64_t min, max; /* of OPTION_U64, inclusive */
};

struct usage {
	const char *synopsis; /* "keygen --out FILE | ..." */
	const char *about;    /* paragraphs, each line at most 80 characters */
	const char *examples; /* lines */
};

/* Parses argv[1..] by the table (ended by a NULL name). 0; or 1 after --help was printed (exit
 * with EXIT_OK); or -EINVAL after one sentence on stderr (exit with EXIT_USAGE). */
int options_parse(const struct usage *usage, const struct option *table, int argc, char **argv);

/* Reads an unsigned decimal number in [min, max]; 0 or -EINVAL. */
int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* Reads "a.b.c.d:port" or "a.b.c.d"; 0 or -EINVAL. */
int parse_address(const char *text, struct address *address);

/* Prints "atrctl COMMAND: message" to stderr and returns EXIT_USAGE: the command line is wrong, or
 * a file that it names. */
int usage_error(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for what fails on the way, and for answers that are no: returns EXIT_NEGATIVE. */
int failure(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints "atrctl COMMAND: warning: message" to stderr. */
void warning(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
