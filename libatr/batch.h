/* SPDX-License-Identifier: BSD-3-Clause */
/* Events into frames, frames into a signed tree. One thread; no clock, socket or file. */
#ifndef LIBATR_BATCH_H
#define LIBATR_BATCH_H

#include <stdint.h>

#include "../lib/sign/sign.h"
#include "../lib/wire/frame.h"

#define BATCH_TREE_MAX 65536
#define BATCH_MTU_MAX  9000

struct batch_params {
	uint64_t realm;
	uint32_t source, key;
	const struct atr_signer *signer; /* outlives the batch */
	uint32_t mtu;                    /* of the IP packet */
	uint32_t tree;                   /* frames at most, 1..BATCH_TREE_MAX */
	uint32_t events;                 /* of a frame at most, 1..ATR_FRAME_PACKETS_MAX */
	uint64_t next;                   /* first sequence */
};

/* A finished datagram. */
struct batch_frame {
	uint8_t *datagram; /* from malloc */
	uint32_t length;
	uint16_t events;
	uint64_t first;
	uint8_t leaf[ATR_HASH_SIZE];
};

struct batch;

/* NULL with a sentence in error: no memory, or an MTU that holds no event beside the largest proof
 * of the tree. */
struct batch *batch_create(const struct batch_params *params, char *error, size_t size);
void batch_free(struct batch *batch);

/* Appends an event (its payload is copied) and fills *sequence. now_ns is the Unix time for the
 * header of a frame that this closes. 0; 1 if the tree is full and must be closed first; -EMSGSIZE
 * if it fits no frame; -EINVAL for a priority above 3; -ERANGE without sequences left; -ENOMEM. */
int batch_add(struct batch *batch, const struct atr_event *event, uint64_t now_ns,
	      uint64_t *sequence);

/* Events and frames in the open tree; the frame under construction counts. */
uint32_t batch_frames(const struct batch *batch);
uint64_t batch_next(const struct batch *batch);

/* Closes and signs the tree. Returns the number of frames, with *frames pointing to them; frames
 * and their datagrams are valid until the next call with this batch, unless the caller takes a
 * datagram over by setting its pointer to NULL. 0 if there is nothing. -ENOMEM: nothing changed. */
int batch_close(struct batch *batch, uint64_t now_ns, struct batch_frame **frames);

#endif
