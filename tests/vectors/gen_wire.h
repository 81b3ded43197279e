/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside the generator of wire.json only. */
#ifndef ATR_GEN_WIRE_H
#define ATR_GEN_WIRE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "../../lib/sign/sign.h"
#include "../../lib/wire/frame.h"
#include "../../lib/wire/moldudp64.h"

#define GEN_REALM        UINT64_C(0x0102030405060708)
#define GEN_SOURCE       3
#define GEN_KEY          1
#define GEN_TOPIC        2
#define GEN_TYPE         9
#define GEN_ENVELOPE_NS  UINT64_C(1767323045678000000)
#define GEN_ENVELOPE_MAX 16384

/* What every part of the file is made with. */
struct gen {
	struct atr_signer *signer;
	uint8_t public_key[ATR_PUBLIC_KEY_SIZE];
	struct atr_frame frame; /* 1 of the tree; the bytes belong to gen_frames.c */
	char envelope[GEN_ENVELOPE_MAX];
	size_t envelope_length;
};

/* Lowercase hex and decimal text as JSON strings. */
json_t *gen_hex(const void *bytes, size_t size);
json_t *gen_u64(uint64_t value);

/* Stops the program with a sentence. */
_Noreturn void gen_fail(const char *what, const char *why);

/* The members "tree", "single", "frame_refusals" and "frame_sequences" of root. */
void gen_frames(struct gen *gen, json_t *root);

/* The members "envelope", "envelope_refusals" and "payload_refusals" of root. */
void gen_envelopes(struct gen *gen, json_t *root);

/* The member "mold" of root; after the two above. */
void gen_mold(struct gen *gen, json_t *root);

/* The member "acks" of root. */
void gen_acks(json_t *root);

#endif
