/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads pcapng files (draft-ietf-opsawg-pcapng) with the comments of their packets, which libpcap
 * does not hand out. Meant for the quarantine's own files: host byte order alone.
 *
 * Layer 1: no other module, no DPDK. Tools; one thread a reader.
 */
#ifndef ATR_PCAPNG_H
#define ATR_PCAPNG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define ATR_PCAPNG_BLOCK_MAX (1u << 18) /* bytes; a packet of 64 KiB with its comments is less */

struct atr_pcapng_packet {
	const uint8_t *data; /* as captured, from Ethernet on; the reader's until the next call */
	size_t length;
	const char *comment; /* the first one, not terminated; NULL: there is none */
	size_t comment_length;
};

struct atr_pcapng;

/* Reads from file, which stays the caller's and open. NULL if out of memory. */
struct atr_pcapng *atr_pcapng_create(FILE *file);
void atr_pcapng_free(struct atr_pcapng *reader);

/* The next packet: 1; 0 at the end; -EBADMSG with one sentence in error where the file is no pcapng
 * file of this machine's byte order, or is damaged or cut off there. Blocks that hold no packet are
 * stepped over. */
int atr_pcapng_next(struct atr_pcapng *reader, struct atr_pcapng_packet *packet, char *error,
		    size_t size);

#endif
