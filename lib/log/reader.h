/* SPDX-License-Identifier: BSD-3-Clause */
/* The log as it is read: recovery, verification, proofs. Every byte is checked; nothing is changed.
 *
 * Layer 4: lib/log/format.h, lib/storage, lib/tlog. Control lcore at start, and tools.
 */
#ifndef ATR_LOG_READER_H
#define ATR_LOG_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log.h"

/* What a pass over a log calls for each record that is in a complete group, commits included, in
 * order. body and decisions are valid during the call; body is NULL for a frame or envelope whose
 * segment has given up its entries (pruned). A negative return value ends the pass and is returned
 * by it. */
struct atr_log_visitor {
	void *context;
	int (*record)(void *context, const struct atr_group_hdr *group,
		      const struct atr_record_hdr *record, const uint8_t *body,
		      const uint8_t *decisions, const uint8_t leaf[ATR_HASH_SIZE]);
	/* After each group; root is that of the tree after it (NULL where no tree is made). */
	int (*group)(void *context, const struct atr_group_hdr *group, uint64_t leaves,
		     const uint8_t root[ATR_HASH_SIZE]);
	/* Every 64 MiB or so. */
	void (*progress)(void *context, uint64_t bytes, uint64_t total, uint64_t leaves);
};

struct atr_log_scan {
	struct atr_log_end end;
	uint8_t log_id[16];
	uint64_t realm;
	uint32_t shard, shards;
	uint64_t groups, records, events, bytes;
	uint64_t segments;
	bool torn; /* the last group is incomplete: */
	uint64_t torn_segment, torn_offset, torn_bytes;
	uint64_t pruned_segments,
		pruned_leaves; /* that have no entries any more, from the first on */
};

/* Reads a whole log, checks every CRC, number, position, padding, decision digest and the tree, and
 * tells where it ends. A log without segments is empty (0 with *scan zero).
 *
 * A tail may be torn: in the last segment, behind the last complete group, lie groups of which the
 * first is incomplete; complete ones may follow, but none that calls the first durable
 * (atr_group_hdr.unsynced). What a tear keeps from the disk are whole sectors of 512 bytes, which
 * are zeros then. Anything else that is not
 * as written (a flipped bit, a missing, swapped, truncated, duplicated or foreign segment, another
 * shard's, a gap) is damage: -EBADMSG with one sentence in error that names file, byte offset and
 * what to do. Other errors: -EIO, -ENOMEM.
 *
 * The log may be written meanwhile, and retention may take segments away: what is left of one that
 * goes while it is read comes as of a pruned segment. */
int atr_log_scan(struct atr_storage *storage, const struct atr_log_visitor *visitor,
		 struct atr_log_scan *scan, char *error, size_t size);

/* What a pass may be held to. */
struct atr_log_scan_options {
	/* The log must reach this checkpoint's size with its root; anchor_name, its file, is named
	 * in the sentence if not. NULL: no demand. */
	const struct atr_checkpoint *anchored;
	const char *anchor_name;
	/* Where to begin, the end of an earlier pass over the same log (a snapshot keeps it); what
	 * lies before is not read, but the tree goes on from its frontier and must fit the segment
	 * headers behind. In a segment that gave up its entries only its beginning (offset
	 * ATR_LOG_BLOCK) and its end, as it was, are such places. NULL: at the first byte. */
	const struct atr_log_end *from;
	struct atr_hash *hash; /* to hash with; NULL: one is made, which takes milliseconds */
};

/* atr_log_scan with options; both pointers are used during the call only. -EBADMSG also where the
 * log does not keep the anchored promise: it is then neither cut nor written to. */
int atr_log_scan_with(struct atr_storage *storage, const struct atr_log_scan_options *options,
		      const struct atr_log_visitor *visitor, struct atr_log_scan *scan, char *error,
		      size_t size);

/* --- Reading on, while the log grows --- */

struct atr_log_follow;

enum atr_log_follow_mode {
	ATR_FOLLOW_TREE,   /* everything that a scan checks and hands out */
	ATR_FOLLOW_LEAVES, /* the same without the tree: root is NULL, of the frontier only size is
			      kept */
	ATR_FOLLOW_CRC /* without leaf hashes and decision digests too: leaf is NULL for visitors */
};

struct atr_log_follow_params {
	struct atr_storage *storage; /* of the shard's directory, used by nobody else meanwhile */
	struct atr_log_end at;       /* group to begin with: all zero, or where a scan, a snapshot
				      * or an earlier follower ended; in other modes than TREE
				      * nodes of the frontier may be missing */
	enum atr_log_follow_mode mode;
};

/* Opens a log for reading on from a place. Nothing is read yet. NULL with a sentence in error. One
 * thread at a time uses it; the log may be written meanwhile by others. */
struct atr_log_follow *atr_log_follow_open(const struct atr_log_follow_params *params, char *error,
					   size_t size);
void atr_log_follow_close(struct atr_log_follow *follow); /* NULL is allowed */

/* Takes the groups up to, not including, number `below`, at most max of them, and hands them to the
 * visitor. All groups below `below` must be durable: one that is not there is damage; a segment
 * that retention has taken away is named as one that gave up its entries. Returns how many were
 * taken (0: none is left); -EBADMSG and other errors as atr_log_scan, or what the visitor returned;
 * a follower that failed takes nothing more and returns the same again, without another sentence.
 */
int atr_log_follow_take(struct atr_log_follow *follow, uint64_t below, unsigned int max,
			const struct atr_log_visitor *visitor, char *error, size_t size);

/* Where it stands: the place of the next group. Valid until the next call. */
const struct atr_log_end *atr_log_follow_end(const struct atr_log_follow *follow);

#endif
