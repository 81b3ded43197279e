/* SPDX-License-Identifier: BSD-3-Clause */
/* Gap requests answered from the log: finds the messages of a feed on a shard and builds the
 * MoldUDP64 packet that holds them.
 *
 * The log may be written meanwhile: groups are read up to a durable one that the caller names. One
 * reader serves one shard's log and belongs to one thread, neither a data lcore nor the control
 * lcore: it reads files. Where messages are is known from the positions in commit records, kept for
 * every so many groups; between them the log is walked. Nothing that was read is trusted before its
 * CRC is right and its lengths fit. The log is never changed. Segments that retention has pruned,
 * before or meanwhile, hold no messages any more: answers begin behind the first group of the first
 * segment that is whole, for only its commit record tells where its feeds stand.
 *
 * Layer 5: lib/log's format, lib/storage, lib/plan, lib/envelope, lib/wire.
 */
#ifndef ATR_GAP_READER_H
#define ATR_GAP_READER_H

#include <stddef.h>
#include <stdint.h>

#include "../plan/plan.h"
#include "../storage/storage.h"
#include "../wire/moldudp64.h"

/* Places of groups that a reader remembers; when they are used up, every other one is dropped. */
#define ATR_GAP_INDEX_DEFAULT 4096

struct atr_gap_reader;

/* A reader for a shard's log, as opened by atr_storage_open(directory, "read") for this thread;
 * storage must outlive it. It takes about 3 MiB and index_max (at least 2) times 600 bytes. NULL
 * with a sentence in error: out of memory. */
struct atr_gap_reader *atr_gap_reader_create(struct atr_storage *storage, uint32_t shard,
					     unsigned int index_max, char *error, size_t size);
void atr_gap_reader_free(struct atr_gap_reader *reader);

/* Looks at up to max more groups, of those below durable (the number of the first group that is
 * not durable): two reads of a few KiB each. Returns how many, 1 also where it went on behind what
 * was pruned meanwhile; 0: all are known. Negative errno
 * with a sentence in error: -EBADMSG, what is there is no group of this log, or not as written;
 * -EIO and such; the reader stays where it is. */
int atr_gap_reader_follow(struct atr_gap_reader *reader, uint64_t durable, unsigned int max,
			  char *error, size_t size);

/* Number of the first group not looked at yet. */
uint64_t atr_gap_reader_group(const struct atr_gap_reader *reader);

/* What is asked for. */
struct atr_gap_question {
	/* Finds the plan that judged an event, by its generation; NULL: it is not known any more,
	 * and what it judged is as if it was not there. */
	const struct atr_plan *(*plan)(void *context, uint64_t generation);
	void *context;
	uint32_t feed;     /* of durability commit */
	uint16_t count;    /* messages wanted, at least 1 */
	uint64_t sequence; /* of the first; below 1 there is none */
	char session[ATR_MOLD_SESSION_SIZE];
};

/* Writes a downstream packet of at most capacity bytes to out, with as many of the messages wanted
 * as fit, from sequence on, and returns its length. 0: there is no such message in the groups
 * looked at so far, or not any more. Negative errno with a sentence in error: -EBADMSG, the log
 * contradicts itself or the plan; -EMSGSIZE, the first message does not fit; -EIO and such.
 *
 * Bounded work: the groups between two that are remembered are stepped through (two small reads
 * each), then at most 16 groups are looked into. Asking for what follows the last answer goes on
 * where that ended. */
int atr_gap_reader_answer(struct atr_gap_reader *reader, const struct atr_gap_question *question,
			  uint8_t *out, size_t capacity, char *error, size_t size);

#endif
