/* SPDX-License-Identifier: BSD-3-Clause */
/* What a terminal may be shown: safe text, numbers with units, progress. */
#ifndef ATRCTL_TERM_H
#define ATRCTL_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Writes bytes so that no terminal is steered by them: printable UTF-8 as it is; control
 * characters, line breaks, bidirectional and invisible format characters, and bytes that are no
 * UTF-8 as \xNN. A backslash is doubled, so that the form is unambiguous. */
void term_text(FILE *to, const void *bytes, size_t length);

/* True if the length bytes at text are valid UTF-8. */
bool term_is_utf8(const void *text, size_t length);

/* "1,234,567" to out (at least 32 bytes); returns out. */
char *term_grouped(uint64_t value, char *out);

/* A rate or a size with an SI prefix ("1.23 M"), at least 32 bytes; returns out. */
char *term_si(double value, char *out);

/* Monotonic and Unix time in nanoseconds. */
uint64_t now_monotonic_ns(void);
uint64_t now_unix_ns(void);

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

/* A line on stderr, rewritten every quarter of a second once two seconds have passed; only when
 * stderr is a terminal, or forced. */
struct progress {
	uint64_t started_ns, shown_ns;
	bool enabled, forced, dirty;
};
void progress_start(struct progress *progress, bool forced);
/* True if it is time to show a line: then call progress_show. */
bool progress_due(struct progress *progress);
void progress_show(struct progress *progress, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void progress_end(struct progress *progress);

#endif
