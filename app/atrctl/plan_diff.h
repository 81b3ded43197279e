/* SPDX-License-Identifier: BSD-3-Clause */
/* What differs between two plans, for people, by name.
 *
 * Documents are those of plans that loaded. A difference is a JSON array of changes:
 *   {"what":"source","id":1,"name":"ci","change":"added","value":{..}}      (or "removed")
 *   {"what":"topic","id":2,"name":"t","change":"changed","members":[
 *      {"member":"level","old":0,"new":3}, {"member":"feeds","added":[..],"removed":[..]}]}
 * what: plan, governance, source, key, limit, type, topic, rule, feed. Keys belong to "source" and
 * have its name there; a limit is the rate of the source or topic that "of" and "name" tell. Rules
 * are known by their names, all else by ids.
 */
#ifndef ATRCTL_PLAN_DIFF_H
#define ATRCTL_PLAN_DIFF_H

#include <jansson.h>
#include <stdio.h>

/* The changes that lead from old to new; the caller's. NULL when out of memory. */
json_t *plan_diff(json_t *old, json_t *new);

/* Counts by what: {"source":{"added":1,"removed":0,"changed":2}}; the caller's. */
json_t *plan_diff_summary(const json_t *changes);

/* The summary as a line without line break: "source 1 added 2 changed, key 1 removed", or "no
 * difference". */
void plan_diff_print_summary(FILE *to, json_t *summary);

/* The changes as lines, safe for a terminal. */
void plan_diff_print(FILE *to, const json_t *changes);

/* A value as jansson writes it with flags, its numbers as short as they can be without being
 * others; free() it. NULL when out of memory. */
char *plan_diff_value(const json_t *value, size_t flags);

#endif
