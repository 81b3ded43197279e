/* SPDX-License-Identifier: BSD-3-Clause */
/* The fifth gate: what was refused, kept for people. A pcapng file whose packets carry their reason
 * as comment, and a JSON Lines audit; both bounded in size and rate.
 *
 * Layer 2: DPDK's ring and mbuf, lib/reason, lib/net, lib/pcapng (the format). Data lcores and the
 * control lcore put items on rings of their own (single producer, single consumer); one control
 * thread, no lcore, writes the files. A full ring, disk or rate budget never holds anybody up: the
 * item is dropped, and the drop counted. Counters of refusals are kept elsewhere and are never
 * sampled.
 */
#ifndef ATR_QUARANTINE_H
#define ATR_QUARANTINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_mbuf.h>

#define ATR_QUARANTINE_EVENTS 12 /* refused events named per frame; the rest are counted */

struct atr_quarantine_item {
	/* A sentence for the audit beside the reason's, from malloc; the writer frees it. NULL:
	 * none */
	char *detail;
	struct rte_mbuf *mbuf;   /* whole packet as received; the writer frees this reference */
	uint64_t time_ns;        /* Unix time of reception */
	uint64_t generation;     /* of the plan that judged; 0: none */
	uint64_t first_sequence; /* frames that were parsed */
	uint32_t source;         /* id, 0 if not known */
	uint16_t offset, length; /* of the UDP payload */
	uint16_t refused_events; /* of a frame; 0 when refused as a whole before parse */
	uint16_t events;         /* in the frame */
	uint8_t reason;          /* of the datagram: its first refusal */
	uint8_t shard;
	uint8_t is_envelope;
	uint8_t named; /* entries of event[] in use */
	struct {
		uint16_t index;
		uint8_t reason;
		uint8_t pad;
	} event[ATR_QUARANTINE_EVENTS];
};
_Static_assert(sizeof(struct atr_quarantine_item) % 4 == 0, "ring elements are words");

struct atr_quarantine_params {
	const char *directory;       /* made if missing, mode 0750; up to 127 bytes */
	uint64_t file_bytes;         /* a file is closed before it grows beyond; at least 16384 */
	unsigned int files;          /* kept of each kind; the oldest is deleted */
	uint64_t packets_per_second; /* written at most, with bursts of one second's worth; more are
				      * dropped and counted; 1..10^9 */
	unsigned int producers;      /* shards + 1 (control) */
	unsigned int ring_size;      /* items a producer; a power of two */
};

struct atr_quarantine;

/* Opens quarantine-NNNNNN.pcapng and audit-NNNNNN.jsonl, numbered after the highest in the
 * directory, and starts the writer thread. Files of other names are never touched. What waits is
 * flushed when the rings are empty, and at least every second. A failed write leaves no partial
 * record. NULL with a sentence in error. Control lcore.
 *
 * Audit lines, all printable ASCII: one of kind "datagram" or "envelope" for each packet (time,
 * shard, plan, bytes of the packet, length of the payload, src, dst, src_port, dst_port where they
 * can be read; source, first_sequence, events, refused of parsed frames; reason, code, gate, text,
 * detail where there is more to say; head: the payload's first 32 bytes, neutralised; pcapng and
 * packet: where it is), and for frames one of kind "event" for each named event (source, sequence,
 * index, reason, ...). Sequences are decimal strings, since they may exceed what JSON readers take
 * as integers. */
struct atr_quarantine *atr_quarantine_start(const struct atr_quarantine_params *params, char *error,
					    size_t size);

/* Drains the rings, closes the files, joins the thread. Producers have stopped; NULL is allowed. */
void atr_quarantine_stop(struct atr_quarantine *quarantine);

/* Puts an item on a producer's ring (0..producers-1; each used by one lcore). False if it is full:
 * the caller keeps the mbuf reference. Hot path; counts the drop. */
bool atr_quarantine_put(struct atr_quarantine *quarantine, unsigned int producer,
			const struct atr_quarantine_item *item);

struct atr_quarantine_stats {
	uint64_t written;      /* packets in pcapng and audit */
	uint64_t dropped_ring; /* ring full */
	uint64_t dropped_rate; /* over packets_per_second */
	uint64_t dropped_disk; /* write failed */
	uint64_t bytes;        /* on disk now */
	bool disk_stopped;     /* a write failed (disk full); tried again every 10 s */
	char pcapng[256];      /* path of the file being written */
	char audit[256];
};
/* Any thread. */
void atr_quarantine_stats(struct atr_quarantine *quarantine, struct atr_quarantine_stats *out);

/* Text made safe for a terminal and for JSON: printable ASCII as it is, everything else as \xNN.
 * Returns the length written, always terminated. */
size_t atr_text_neutralise(const uint8_t *bytes, size_t length, char *out, size_t size);

#endif
