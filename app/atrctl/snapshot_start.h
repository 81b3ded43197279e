/* SPDX-License-Identifier: BSD-3-Clause */
/* A subscriber's start from snapshots: the state in them, and the message of each session of class
 * D that comes behind it. */
#ifndef ATRCTL_SNAPSHOT_START_H
#define ATRCTL_SNAPSHOT_START_H

#include <stdbool.h>
#include <stdint.h>

struct snapshot_start;

/* path: a snapshot's file, or a log's directory (shard-0, ..), of which the newest snapshot of each
 * shard is taken. NULL with a sentence in error (ERROR_SIZE bytes). */
struct snapshot_start *snapshot_start_load(const char *path, char *error);
void snapshot_start_free(struct snapshot_start *start); /* NULL is allowed */

/* Prints, shard by shard, where the snapshot stands and every key with what is kept. */
void snapshot_start_print(const struct snapshot_start *start, bool json);

/* First message behind the snapshots of a session (10 characters); 0: they do not know it. */
uint64_t snapshot_start_from(const struct snapshot_start *start, const char *session);

#endif
