/* SPDX-License-Identifier: BSD-3-Clause */
/* Burst SHA-256 for the data path: ipsec-mb's managers, a plain SHA-NI loop and sixteen lanes
 * of AVX-512, the fastest at each burst size as measured at boot.
 *
 * Layer 1: libipsec-mb. One engine belongs to one lcore; its functions are hot path: no allocation,
 * no lock, no system call.
 */
#ifndef ATR_HASH_H
#define ATR_HASH_H

#include <stddef.h>
#include <stdint.h>

#define ATR_HASH_BURST_MAX 256
#define ATR_HASH_BYTES     32

struct atr_hash;

/* Creates an engine on a NUMA socket and measures its managers (a few milliseconds): one lone
 * buffer, and bursts of powers of two, each at 1,216 bytes and at 65. NULL with a sentence in
 * error. Control lcore, before the data lcore starts. max_bits limits the vector width
 * (rte_vect_get_max_simd_bitwidth()). */
struct atr_hash *atr_hash_create(int socket, unsigned int max_bits, char *error, size_t size);
void atr_hash_free(struct atr_hash *hash);

/* SHA-256 of count (up to ATR_HASH_BURST_MAX) byte strings. out[i] receives 32 bytes. */
void atr_hash_burst(struct atr_hash *hash, const uint8_t *const data[], const uint32_t length[],
		    uint8_t (*out)[ATR_HASH_BYTES], unsigned int count);

/* SHA-256(0x01 || left || right), RFC 6962's node hash. */
void atr_hash_node(struct atr_hash *hash, const uint8_t *left, const uint8_t *right, uint8_t *out);

/* The same for count (up to ATR_HASH_BURST_MAX) pairs at once. */
void atr_hash_nodes(struct atr_hash *hash, const uint8_t *const left[],
		    const uint8_t *const right[], uint8_t (*out)[ATR_HASH_BYTES],
		    unsigned int count);

/* What boot chose: for each power of two up to ATR_HASH_BURST_MAX the manager's name ("sse",
 * "avx", "avx2", "avx512", "sha_ni", "x16") and nanoseconds a buffer of 1,216 bytes. Control lcore.
 */
struct atr_hash_choice {
	unsigned int burst;
	const char *manager;
	double ns_per_buffer;
};
unsigned int atr_hash_choices(const struct atr_hash *hash, struct atr_hash_choice *out,
			      unsigned int capacity);

#endif
