/* SPDX-License-Identifier: BSD-3-Clause */
/* The log while it is written: group buffers filled by data lcores, made durable by the log thread.
 *
 *   shard                         log thread
 *   atr_log_begin                 (free buffers)
 *   atr_log_append ...
 *   atr_log_seal        ──ring──► record CRCs, tree, commit record, write, sync, checkpoint
 *   atr_log_durable     ◄─ring──
 *   publish from the buffer
 *   atr_log_release     (free again)
 *
 * Buffers are fixed in number and registered with the storage; a shard without a free one sheds. A
 * group is durable once its sync has returned and every group before it is durable; groups come
 * back in order. After a failed write or sync the shard's log is broken: no group comes back any
 * more, and atr_log_state says why.
 *
 * Layer 4: lib/log/format.h, lib/storage, lib/tlog, lib/hash; DPDK's ring. Functions marked hot are
 * called by the shard's lcore and obey the rules of the data path.
 */
#ifndef ATR_LOG_H
#define ATR_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../anchor/anchor.h"
#include "../hash/hash.h"
#include "../sign/sign.h"
#include "../storage/storage.h"
#include "../tlog/tlog.h"
#include "format.h"

#define ATR_LOG_RECORDS_MAX 4096 /* in a group, the commit record counted, a snapshot's not */
#define ATR_LOG_EVENTS_MAX  (ATR_GROUP_BYTES_MAX / 64) /* in a group: a packet is 64 bytes */

/* A record inside a group buffer, for the publication of what has become durable. */
struct atr_log_record {
	uint32_t offset; /* of struct atr_record_hdr in the buffer */
	/* The shard's, from atr_log_append until it releases the buffer; the log neither reads nor
	 * writes them, and they are not on the disk. */
	uint32_t feeds_at; /* where its events' feed sets begin in event_feeds */
	uint64_t feeds;    /* of all its events together */
	uint64_t stamp;    /* when it was received, in the shard's own clock */
	uint8_t leaf[ATR_HASH_SIZE];
};

/* A group under construction, under way, or durable. Whoever holds it owns it. */
struct atr_group_buf {
	uint8_t *data;    /* ATR_GROUP_BYTES_MAX, aligned to ATR_STORAGE_ALIGN */
	uint32_t used;    /* bytes, header included */
	uint32_t records; /* the commit record not counted; once durable, record[records] is that */
	uint64_t opened_tsc;
	uint64_t first_leaf;           /* set by the log thread */
	struct atr_log_record *record; /* ATR_LOG_RECORDS_MAX, and a snapshot's */
	uint64_t *event_feeds;         /* the shard's: ATR_LOG_EVENTS_MAX feed sets, see feeds_at */
	uint32_t event_feeds_used;     /* the shard's; 0 after atr_log_begin */
	uint64_t number;               /* of the group, set by the log thread */
	uint64_t feed_next[ATR_LOG_FEEDS_MAX]; /* positions after this group, set before sealing */
	uint64_t feed_set;                     /* which of them are in use */
	uint64_t generation;
	uint8_t plan_digest[ATR_HASH_SIZE];
	uint64_t cookie; /* the caller's */
};

struct atr_log;

enum atr_log_state {
	ATR_LOG_OK,
	ATR_LOG_FULL,  /* no room for another segment: groups wait until there is */
	ATR_LOG_BROKEN /* a write or sync failed: this log takes nothing more until a restart */
};

struct atr_log_params {
	struct atr_storage *storage;     /* of this shard's directory */
	const struct atr_signer *signer; /* of checkpoints; NULL: none are signed */
	/* Where each checkpoint is kept before the groups that it covers come back as durable; the
	 * caller's, may serve many logs. NULL: nowhere. Needs a signer. */
	const struct atr_anchor *anchor;
	const char *name; /* log name; the origin is "<name>/shard/<n>" */
	uint64_t realm;
	uint8_t log_id[16];
	uint32_t shard, shards;
	uint64_t segment_bytes; /* a multiple of ATR_LOG_BLOCK, at least two groups */
	unsigned int buffers;   /* group buffers; a power of two */
	uint64_t epoch;
	int socket;
	struct atr_hash *hash; /* the log thread's, may serve all its logs; NULL: one is made */
};

/* Where a log ends, as recovery has found it. All zero for an empty one. */
struct atr_log_end {
	uint64_t segment, offset; /* where the next group goes */
	uint64_t group;           /* its number */
	struct atr_frontier frontier;
};

/* Opens the log of one shard for writing behind `end`, which must come from a scan of the same
 * directory: a torn tail behind it is overwritten with zeros, what lies before it is synced and
 * anchored, so that it may be published and acknowledged. An empty `end` is refused where there
 * are segments, and one below what the anchor says. Waits for the disk; the first segment of an
 * empty log is written with zeros here. The storage stays the caller's and is used by nobody else
 * until the log is closed. NULL with a sentence in error. */
struct atr_log *atr_log_open(const struct atr_log_params *params, const struct atr_log_end *end,
			     char *error, size_t size);

/* Waits for what the storage has under way and frees; groups that are not durable by then are not
 * made so. Call when neither the shard nor the log thread use the log any more. NULL is allowed. */
void atr_log_close(struct atr_log *log);

/* Hot: an empty buffer, or NULL if none is free. */
struct atr_group_buf *atr_log_begin(struct atr_log *log, uint64_t now_tsc);

/* Hot: room for a record with so many body and decision bytes, with what the commit record needs?
 */
bool atr_log_fits(const struct atr_group_buf *group, uint32_t body, uint32_t decisions);

/* Hot: appends a record; the caller has checked that it fits. header's crc, leaf and zero fields
 * are filled in later. leaf_hash: of the body. */
void atr_log_append(struct atr_group_buf *group, const struct atr_record_hdr *header,
		    const uint8_t *body, const uint8_t *decisions,
		    const uint8_t leaf_hash[ATR_HASH_SIZE]);

/* Hot: hands the group to the log thread. */
void atr_log_seal(struct atr_log *log, struct atr_group_buf *group);

/* Hot: the next group that has become durable, or NULL. Numbers grow, but one of the log's own,
 * which holds nothing but a snapshot record, may be left out. A snapshot record may be the last of
 * any. */
struct atr_group_buf *atr_log_durable(struct atr_log *log);

/* Hot: groups sealed and not yet returned by atr_log_durable; reads the shard's own memory only. */
unsigned int atr_log_under_way(const struct atr_log *log);

/* Hot: group buffers there are. */
unsigned int atr_log_buffers(const struct atr_log *log);

/* Hot: gives a buffer back. */
void atr_log_release(struct atr_log *log, struct atr_group_buf *group);

/* Asks for a record that the state after the groups below snapshot->group is kept in a file of that
 * digest; magic and zero are filled in. It becomes the last record before the commit of a group
 * that the log thread prepares soon, or of a group of its own if none comes within milliseconds
 * (but none before the first group since atr_log_open: its positions would be unknown). Durable
 * once atr_log_stats counts its leaves. Any thread but data lcores. -EBUSY: the one before is not
 * durable yet; -EINVAL: it covers more than is durable, or contradicts the log; -EIO: the log is
 * broken. */
int atr_log_snapshot(struct atr_log *log, const struct atr_snapshot_body *snapshot);

/* One turn of the log thread for this log: prepares sealed groups, submits writes and syncs, reaps,
 * pre-writes the next segment. Returns how much was done; 0 when idle: a caller that shares its
 * core then yields, or it takes the time that the kernel needs to finish writes and syncs. Log
 * thread only. */
unsigned int atr_log_work(struct atr_log *log);

/* Any thread. sentence: static text, "" while all is well. */
enum atr_log_state atr_log_state(const struct atr_log *log, const char **sentence);

struct atr_log_stats {
	uint64_t groups, records, bytes; /* durable */
	uint64_t
		group_end; /* groups in the log that are durable, the log thread's own among them */
	uint64_t writes, syncs;
	uint64_t sync_cycles;     /* TSC, of all syncs */
	uint64_t sync_cycles_max; /* of the longest */
	uint64_t segment, offset; /* end of the log */
	uint64_t leaves;
	uint64_t
		snapshot_leaves; /* covered by a durable snapshot record since the log was opened */
	uint64_t anchors;        /* checkpoints kept in the anchor */
	uint64_t anchor_cycles;  /* TSC */
	uint32_t groups_under_way;
};
void atr_log_stats(const struct atr_log *log, struct atr_log_stats *out);

/* Newest signed checkpoint whose group is durable; its length, 0 if there is none yet. Any thread.
 */
size_t atr_log_checkpoint(const struct atr_log *log, char *out, size_t capacity);

#endif
