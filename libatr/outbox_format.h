/* SPDX-License-Identifier: BSD-3-Clause */
/* The outbox on disk. All integers are little-endian.
 *
 * A file is a header and records, each a record header and a body padded with zeros to a multiple
 * of 8. It is only appended to, and replaced as a whole (written anew, synced, renamed) when enough
 * of it is settled. `synced` of a record says how much of the file a sync had covered when the
 * record was written. So a reader knows which damage a crash can have made: what does not check at
 * offset X is a torn tail if no record behind it says that X had been synced, and is then cut. Any
 * other damage is refused.
 */
#ifndef LIBATR_OUTBOX_FORMAT_H
#define LIBATR_OUTBOX_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define OUTBOX_MAGIC        "ATROUTBX"
#define OUTBOX_VERSION      1
#define OUTBOX_RECORD_MAGIC UINT32_C(0x626F7461) /* "atob" */
#define OUTBOX_ALIGN        8

struct outbox_hdr {
	uint8_t magic[8];
	uint32_t version;
	uint32_t source;
	uint64_t realm;
	uint64_t next; /* sequences below are used or skipped, whatever the records say */
	uint8_t zero[28];
	uint32_t crc; /* CRC32C of the bytes before */
} __attribute__((packed));
_Static_assert(sizeof(struct outbox_hdr) == 64, "outbox header is 64 bytes");

enum outbox_type {
	OUTBOX_FRAME = 1, /* body: a datagram, as it is sent */
	OUTBOX_SETTLED,   /* body: struct outbox_settled */
	OUTBOX_MARK       /* no body: what lies before is synced, and may have been sent */
};

struct outbox_record {
	uint32_t magic;
	uint32_t crc; /* CRC32C of the rest of this header */
	uint64_t synced;
	uint32_t type;
	uint32_t length; /* of the body without padding */
	uint32_t body_crc;
	uint32_t zero;
} __attribute__((packed));
_Static_assert(sizeof(struct outbox_record) == 32, "outbox record header is 32 bytes");
_Static_assert(sizeof(struct outbox_record) % OUTBOX_ALIGN == 0, "records stay aligned");
_Static_assert(sizeof(struct outbox_hdr) % OUTBOX_ALIGN == 0, "records begin aligned");
#define OUTBOX_RECORD_CRC_FROM offsetof(struct outbox_record, synced)

/* A frame that needs not be sent any more. */
struct outbox_settled {
	uint64_t first_sequence;
	uint64_t position; /* as acknowledged */
	uint32_t reason;
	uint32_t zero;
} __attribute__((packed));
_Static_assert(sizeof(struct outbox_settled) == 24, "settled record is 24 bytes");

#endif
