/* SPDX-License-Identifier: BSD-3-Clause */
/* An acker with a known key, what it emitted, and what a producer reads in it. */
#ifndef ATR_TEST_ACK_RIG_H
#define ATR_TEST_ACK_RIG_H

#include "../../../lib/ack/ack.h"

#define RIG_REALM     UINT64_C(0x1122334455667788)
#define RIG_EPOCH     7
#define RIG_SHARDS    2
#define RIG_NOW       UINT64_C(1767323045000000000)
#define RIG_DATAGRAMS ATR_ACK_DATAGRAMS_MAX
#define RIG_ENTRIES   8192

struct rig_datagram {
	struct atr_ack_address to;
	size_t length;
	uint8_t bytes[ATR_DATAGRAM_MAX];
};

struct rig_entry {
	struct atr_ack_notice notice;
	struct atr_ack_entry entry; /* leaf and results point into the datagram */
};

struct rig {
	struct atr_signer *signer;
	struct atr_acker *acker;
	struct atr_ack_reader reader;
	unsigned int datagrams, entries;
	struct rig_datagram datagram[RIG_DATAGRAMS];
	struct rig_entry entry[RIG_ENTRIES];
};

/* Fails the test if anything is missing. sources: ids below are known. */
struct rig *rig_create(uint32_t datagram_max, uint32_t sources);
void rig_free(struct rig *rig);

/* Says where a source's acknowledgements go: 10.0.0.0 + source, port 1000 + source % 1000. */
void rig_address(struct rig *rig, uint32_t source);

/* A frame of a source with leaf bytes that depend on sequence. */
struct atr_ack_item rig_frame(uint32_t source, uint64_t sequence, uint16_t events, uint8_t reason);

/* Hands a mixed frame to the acker in its items, all at once. */
void rig_mixed(struct rig *rig, unsigned int shard, struct atr_ack_item frame,
	       const uint8_t *reasons);

/* Flushes into datagram[] and returns how many there are. */
unsigned int rig_flush(struct rig *rig);

/* Reads all of datagram[] into entry[]; every one must be right. */
void rig_read(struct rig *rig);

#endif
