/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside lib/log's writer only: the state of one shard's log.
 *
 *   log_open.c  memory, opening, closing          append.c   the shard's side, hot
 *   tail.c      where an existing log goes on     segment.c  the next segment in the making
 *   group.c     CRCs, tree, commit record         writer.c   writes, syncs, release
 *   log_info.c  state, statistics, checkpoint
 */
#ifndef ATR_LOG_INTERNAL_H
#define ATR_LOG_INTERNAL_H

#include <pthread.h>

#include <rte_ring.h>

#include "../hash/hash.h"
#include "crc.h"
#include "log.h"

#define LOG_RECORD_ALIGN 8u
#define LOG_RECORD_ROOM  (ATR_LOG_RECORDS_MAX + 1) /* in a buffer: a snapshot's record, too */
#define LOG_NAME_MAX     64
#define LOG_SENTENCE_MAX 160
#define LOG_REAP_MAX     32
#define LOG_ZERO_STEP    (1u << 20)         /* bytes of zeros in one write */
#define LOG_ZERO_LEAD    (8u << 20)         /* zeros written ahead while commits are under way */
#define LOG_RETRY_NS     UINT64_C(10000000) /* between two attempts to get room on a full disk */
#define LOG_NS_PER_S     UINT64_C(1000000000)

/* Largest commit record: header, body, one position a feed. */
#define LOG_COMMIT_MAX                                                    \
	(sizeof(struct atr_record_hdr) + sizeof(struct atr_commit_body) + \
	 ATR_LOG_FEEDS_MAX * sizeof(struct atr_feed_position))

/* A snapshot's record, which the log thread may add to any group. */
#define LOG_SNAPSHOT_BYTES (sizeof(struct atr_record_hdr) + sizeof(struct atr_snapshot_body))

/* A group that the log thread has taken and that is not durable yet. */
struct log_slot {
	struct atr_group_buf *group;
	uint32_t length; /* padded */
	uint64_t offset;
	bool written;
	struct atr_frontier after;
};

/* The segment in the making. */
enum spare_phase {
	SPARE_NONE,
	SPARE_ZEROING,
	SPARE_SYNCING,
	SPARE_READY,  /* full of durable zeros */
	SPARE_HEADER, /* header being written */
	SPARE_HEADER_SYNC,
	SPARE_NAMING /* header durable */
};

struct log_spare {
	enum spare_phase phase;
	struct atr_file *file;
	uint64_t at;       /* zeros written up to here */
	uint32_t step;     /* bytes of the write under way, 0: none */
	uint64_t retry_ns; /* not before this monotonic time */
	bool wanted;       /* a group waits for this segment */
};

struct atr_log {
	struct atr_log_params params;
	char origin[ATR_ORIGIN_MAX + 1];

	/* The shard's. */
	struct atr_group_buf **free;
	unsigned int free_count;
	unsigned int under_way; /* sealed, not yet returned as durable */

	struct rte_ring *sealed, *durable;

	/* The log thread's. */
	struct atr_hash *hash;
	struct atr_frontier frontier;  /* after the newest prepared group */
	struct log_slot *slot;         /* by group number, modulo buffers */
	uint64_t first;                /* groups below are durable */
	uint64_t submitted, next;      /* groups below are submitted, prepared */
	struct atr_group_buf *waiting; /* sealed, not prepared: no room in the segment */
	struct atr_file *file;         /* current segment; NULL before the first */
	uint64_t segment, segment_bytes, offset;
	uint64_t last_ns; /* newest committed_ns */
	bool sync_busy;
	uint64_t sync_upto, sync_tsc;
	struct log_spare spare;
	uint8_t *header; /* ATR_LOG_BLOCK, aligned */
	uint8_t *
		zeros; /* LOG_ZERO_STEP, aligned; never written to but by tail.c, which clears it */
	uint8_t *scratch;                 /* of decision digests, ATR_GROUP_BYTES_MAX */
	uint8_t (*leaves)[ATR_HASH_SIZE]; /* of one group, for the tree */
	uint8_t *memory; /* group buffers, header, zeros: what the storage writes from */
	size_t memory_bytes;
	struct atr_group_buf *groups;
	struct atr_log_record *records;
	uint64_t *event_feeds;

	/* Written by the log thread, read by any. */
	uint32_t state;
	const char *sentence;
	char text[LOG_SENTENCE_MAX];
	struct atr_log_stats stats;
	pthread_mutex_t checkpoint_lock;
	size_t checkpoint_length;
	char checkpoint[ATR_CHECKPOINT_MAX];
};

static inline uint32_t log_crc(const void *data, uint32_t length)
{
	return atr_log_crc_end(atr_log_crc_add(ATR_LOG_CRC_BEGIN, data, length));
}

static inline uint32_t log_align(uint32_t length, uint32_t to)
{
	return (length + to - 1) & ~(to - 1);
}

static inline struct log_slot *log_slot(struct atr_log *log, uint64_t group)
{
	return &log->slot[group & (log->params.buffers - 1)];
}

static inline void log_count(uint64_t *counter, uint64_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

/* group.c */
uint32_t log_group_length(const struct atr_group_buf *group); /* sealed, without padding */
void log_group_prepare(struct atr_log *log, struct atr_group_buf *group, struct log_slot *slot);

/* segment.c. All return how much was done. */
unsigned int log_segment_step(struct atr_log *log);
unsigned int log_segment_write_done(struct atr_log *log, int result);
unsigned int log_segment_sync_done(struct atr_log *log, int result);
uint32_t log_segment_crc(const uint8_t block[ATR_LOG_BLOCK]);

/* tail.c: opens the segment where the log ends and clears what a torn commit left behind it. */
int log_tail_open(struct atr_log *log, const struct atr_log_end *end, char *error, size_t size);

/* writer.c */
void log_break(struct atr_log *log, const char *what, int result);
unsigned int log_reap(struct atr_log *log, bool wait);

/* log_info.c */
void log_set_state(struct atr_log *log, enum atr_log_state state, const char *sentence);
void log_sign(struct atr_log *log, const struct atr_frontier *frontier);
uint64_t log_now_ns(int clock);

#endif
