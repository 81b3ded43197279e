/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of the quarantine: a series of numbered files (series.c), what is written to them
 * (pcapng.c, audit.c), and the thread that does it (writer.c). */
#ifndef ATR_QUARANTINE_INTERNAL_H
#define ATR_QUARANTINE_INTERNAL_H

#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <rte_common.h>
#include <rte_ring.h>

#include "quarantine.h"

#define QUARANTINE_BUFFER     (UINT32_C(1) << 18) /* bytes held back at most, each kind */
#define QUARANTINE_FILE_MIN   (UINT64_C(1) << 14) /* holds the largest record of either kind */
#define QUARANTINE_COMMENT    1536                /* largest comment with its terminator */
#define QUARANTINE_BURST      32
#define QUARANTINE_RING_MAX   (1U << 20)
#define QUARANTINE_NAME_MAX   64
#define QUARANTINE_HEAD_BYTES 32 /* first bytes of a payload, shown in the audit */
#define SECOND_NS             UINT64_C(1000000000)

/* Text of bounded size; what does not fit is cut at a whole piece and overflow set. */
struct text {
	char *out;
	size_t size, length;
	bool overflow;
};
__attribute__((format(printf, 2, 3))) void text_add(struct text *text, const char *format, ...);
/* Adds value as a JSON string with its quotation marks; value is neutralised text. */
void text_add_json(struct text *text, const char *value);

/* One kind of file. Bytes between committed and committed + buffered are not on disk yet. */
struct series {
	const char *prefix, *suffix; /* "quarantine-", ".pcapng" */
	int directory;
	int fd; /* -1: none */
	unsigned int keep;
	uint64_t number;
	uint64_t committed;
	uint64_t others; /* bytes of the other files of the series */
	uint32_t buffered;
	uint8_t *buffer;
	char name[QUARANTINE_NAME_MAX];
};
int series_init(struct series *series, int directory, const char *prefix, const char *suffix,
		unsigned int keep);
void series_free(struct series *series);
/* Opens the next file and deletes the oldest beyond keep. 0 or negative errno. */
int series_open(struct series *series);
void series_close(struct series *series);
/* Bytes of the open file with those that wait. */
static inline uint64_t series_size(const struct series *series)
{
	return series->committed + series->buffered;
}
/* Adds bytes to the buffer; the caller has made room. */
void series_add(struct series *series, const void *bytes, size_t length);
/* Writes what waits at the end of the file, without committing it. 0 or negative errno. */
int series_write(struct series *series);
/* Accepts what series_write has written, or takes it back. */
void series_commit(struct series *series);
void series_rollback(struct series *series);

/* pcapng: section and interface header; a packet block. Bytes a block takes, and writing it. */
size_t pcapng_header(uint8_t *out);
size_t pcapng_block_size(uint32_t captured, size_t comment);
void pcapng_block(struct series *series, const struct rte_mbuf *mbuf, uint32_t captured,
		  uint64_t time_ns, const char *comment, size_t comment_length);
#define PCAPNG_HEADER_SIZE 60 /* section 28, interface 32 */

/* Comment of an item; returns its length. */
size_t comment_write(const struct atr_quarantine_item *item, char *out, size_t size);
/* Audit lines of an item: one for the datagram and one for each named event. packet is the number
 * of its block in file, from 1. Returns the length, 0 if they do not fit. */
size_t audit_write(const struct atr_quarantine_item *item, const char *file, uint64_t packet,
		   char *out, size_t size);

struct producer {
	struct rte_ring *ring;
	_Atomic uint64_t dropped;
} __rte_cache_aligned;

struct atr_quarantine {
	unsigned int producer_count;
	uint64_t file_bytes;
	uint64_t rate;
	uint64_t tokens, refill_ns; /* token bucket: whole packets, and the time they reach to */
	_Atomic uint64_t retry_after_ns; /* pause after a failed write */
	uint64_t failed_ns;              /* last failed write */
	uint64_t flush_ns;               /* last flush */
	uint64_t pending;                /* packets in the buffers */
	uint64_t packet;                 /* packets in the open pcapng file */
	uint64_t written, dropped_rate, dropped_disk;
	bool disk_stopped;
	struct series pcapng, audit;
	int directory;
	char path[128];
	pthread_t thread;
	atomic_bool stop;
	pthread_mutex_t lock; /* of shown */
	struct atr_quarantine_stats shown;
	struct producer producers[];
};

/* The thread. */
void *quarantine_writer(void *argument);
/* Puts the drops, sizes and names where atr_quarantine_stats finds them. */
void quarantine_publish(struct atr_quarantine *quarantine);
uint64_t quarantine_now(void);

#endif
