/* SPDX-License-Identifier: BSD-3-Clause */
/* What is used of pcapng (draft-ietf-opsawg-pcapng), for the reader here and lib/quarantine's
 * writer. Integers are in host byte order, which a section's magic tells; a block's length stands
 * behind its body again; options and packets are padded to words. */
#ifndef ATR_PCAPNG_FORMAT_H
#define ATR_PCAPNG_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define ATR_PCAPNG_SECTION          UINT32_C(0x0A0D0D0A) /* types of blocks */
#define ATR_PCAPNG_INTERFACE        1
#define ATR_PCAPNG_PACKET           6
#define ATR_PCAPNG_BYTE_ORDER_MAGIC UINT32_C(0x1A2B3C4D)
#define ATR_PCAPNG_ETHERNET         1 /* a link type */
#define ATR_PCAPNG_OPTION_END       0
#define ATR_PCAPNG_OPTION_COMMENT   1
#define ATR_PCAPNG_OPTION_TSRESOL   9
#define ATR_PCAPNG_WORD             4

struct atr_pcapng_block {
	uint32_t type, length;
};

/* Body of an enhanced packet block, in front of the packet. */
struct atr_pcapng_packet_body {
	uint32_t interface, time_high, time_low, captured, original;
};

struct atr_pcapng_option {
	uint16_t code, length;
};

_Static_assert(sizeof(struct atr_pcapng_block) == 8, "a block begins with 8 bytes");
_Static_assert(sizeof(struct atr_pcapng_packet_body) == 20, "a packet's body begins with 20");
_Static_assert(sizeof(struct atr_pcapng_option) == ATR_PCAPNG_WORD, "an option begins with a word");

#endif
