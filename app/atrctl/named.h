/* SPDX-License-Identifier: BSD-3-Clause */
/* Sources, types and events as the command line names them: by number or, with a plan, by name.
 * What is all digits is a number, whatever the plan calls so. */
#ifndef ATRCTL_NAMED_H
#define ATRCTL_NAMED_H

#include "../../lib/query/query.h"

#define NAMED_SIZE 64 /* bytes of an identity in numbers */

/* Id of a source, of a type. plan: the plan's file, NULL if none was given. 0, or EXIT_USAGE after
 * a sentence. */
int named_source(const char *command, const char *plan, const char *text, uint32_t *id);
int named_type(const char *command, const char *plan, const char *text, uint32_t *id);

/* SOURCE:SEQUENCE or SOURCE:UUID, text NULL if none was given: *key, and the same in numbers. 0, or
 * EXIT_USAGE after a sentence. */
int named_event(const char *command, const char *plan, const char *text, struct atr_query_key *key,
		char identity[NAMED_SIZE]);

#endif
