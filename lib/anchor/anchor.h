/* SPDX-License-Identifier: BSD-3-Clause */
/* The newest checkpoint of each shard's log, kept in a directory of its own, best on another file
 * system: one file a shard, shard-<n>.checkpoint, the signed note and nothing else. A log that does
 * not reach it, or has another root there, has been rolled back or rewritten.
 *
 * Layer 2: lib/tlog, lib/sign. Functions wait for the disk; any thread but data lcores, one at a
 * time for one shard.
 */
#ifndef ATR_ANCHOR_H
#define ATR_ANCHOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../tlog/tlog.h"

#define ATR_ANCHOR_FILE_MAX 512 /* of a file's path in sentences, cut where it is longer */

struct atr_anchor;

/* Opens a directory, which must exist: one that is made where a disk is not mounted would be no
 * anchor. NULL with a sentence in error. */
struct atr_anchor *atr_anchor_open(const char *directory, char *error, size_t size);
void atr_anchor_close(struct atr_anchor *anchor);

/* Is it on another file system than this directory? */
bool atr_anchor_apart(const struct atr_anchor *anchor, const char *directory);

/* Reads the checkpoint kept for a shard, which must be signed by key and of this origin (NULL: of
 * any, where the log's name is not known yet). 0, with
 * checkpoint->size 0 if none is kept; -EBADMSG (not as written, or of another log) or another
 * negative errno with a sentence that names the file. */
int atr_anchor_load(const struct atr_anchor *anchor, uint32_t shard, const char *origin,
		    const uint8_t key[ATR_PUBLIC_KEY_SIZE], struct atr_checkpoint *checkpoint,
		    char *error, size_t size);

/* Keeps a signed note in place of the one before: written beside it, synced, renamed, the directory
 * synced. 0 once it is durable, or negative errno: either of the two is there then. */
int atr_anchor_keep(const struct atr_anchor *anchor, uint32_t shard, const char *note,
		    size_t length);

/* Path of a shard's file. */
void atr_anchor_file(const struct atr_anchor *anchor, uint32_t shard, char *out, size_t size);

#endif
