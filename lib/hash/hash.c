/* SPDX-License-Identifier: BSD-3-Clause */
#include "hash.h"

#include <string.h>

#include "hash_internal.h"

_Static_assert(ATR_HASH_BYTES == IMB_SHA256_DIGEST_SIZE_IN_BYTES, "SHA-256");

/* ipsec-mb's synchronous hash burst knows no plain SHA-256, and its direct IMB_SHA256 does without
 * SHA-NI; so everything that is its part goes through job bursts that are flushed at once. */
static void hash_jobs(IMB_MGR *manager, const uint8_t *const data[], const uint32_t length[],
		      uint8_t (*out)[ATR_HASH_BYTES], unsigned int count)
{
	IMB_JOB *jobs[IMB_MAX_BURST_SIZE];
	uint32_t done, flushed;

	if (IMB_GET_NEXT_BURST(manager, count, jobs) != count) {
		memset(out, 0, (size_t)count * ATR_HASH_BYTES);
		return;
	}
	for (unsigned int i = 0; i < count; i++) {
		IMB_JOB *job = jobs[i];

		job->cipher_mode = IMB_CIPHER_NULL;
		job->cipher_direction = IMB_DIR_ENCRYPT;
		job->chain_order = IMB_ORDER_HASH_CIPHER;
		job->hash_alg = IMB_AUTH_SHA_256;
		job->src = data[i];
		job->hash_start_src_offset_in_bytes = 0;
		job->msg_len_to_hash_in_bytes = length[i];
		job->auth_tag_output = out[i];
		job->auth_tag_output_len_in_bytes = ATR_HASH_BYTES;
	}
	done = IMB_SUBMIT_BURST_NOCHECK(manager, count, jobs);
	while (done < count) {
		flushed = IMB_FLUSH_BURST(manager, count - done, jobs);
		if (flushed == 0) {
			/* Never seen; no digest may survive that nobody computed. */
			memset(out, 0, (size_t)count * ATR_HASH_BYTES);
			return;
		}
		done += flushed;
	}
}

void hash_with(struct atr_hash *hash, unsigned int manager, const uint8_t *const data[],
	       const uint32_t length[], uint8_t (*out)[ATR_HASH_BYTES], unsigned int count)
{
	if (manager == HASH_SHANI) {
		for (unsigned int i = 0, n; i < count; i += n) {
			n = i + 1 < count && length[i] == length[i + 1] ? 2 : 1;
			if (n == 2)
				hash_shani_two(data + i, length[i], out + i);
			else
				hash_shani(data[i], length[i], out[i]);
		}
		return;
	}
	for (unsigned int done = 0; done < count;) {
		unsigned int most = manager == HASH_X16 ? 2 * HASH_LANES : IMB_MAX_BURST_SIZE;
		unsigned int n = count - done < most ? count - done : most;

		if (manager != HASH_X16)
			hash_jobs(hash->manager[manager], data + done, length + done, out + done,
				  n);
		else if (n > HASH_LANES)
			hash_x32(data + done, length + done, out + done, n);
		else
			hash_x16(data + done, length + done, out + done, n);
		done += n;
	}
}

void atr_hash_burst(struct atr_hash *hash, const uint8_t *const data[], const uint32_t length[],
		    uint8_t (*out)[ATR_HASH_BYTES], unsigned int count)
{
	uint64_t total = 0;
	enum hash_class class;

	for (unsigned int i = 0; i < count; i++)
		total += length[i];
	class = total < (uint64_t)count * HASH_SHORT_BELOW ? HASH_SHORT : HASH_LONG;
	for (unsigned int done = 0; done < count;) {
		struct hash_step step = hash->step[class][count - done];
		unsigned int n = step.take_less_1 + 1u;

		hash_with(hash, step.manager, data + done, length + done, out + done, n);
		done += n;
	}
}

static void node_bytes(uint8_t node[HASH_NODE_BYTES], const uint8_t *left, const uint8_t *right)
{
	node[0] = 0x01;
	memcpy(node + 1, left, ATR_HASH_BYTES);
	memcpy(node + 1 + ATR_HASH_BYTES, right, ATR_HASH_BYTES);
}

void atr_hash_nodes(struct atr_hash *hash, const uint8_t *const left[],
		    const uint8_t *const right[], uint8_t (*out)[ATR_HASH_BYTES],
		    unsigned int count)
{
	uint8_t node[ATR_HASH_BURST_MAX][HASH_NODE_BYTES];
	const uint8_t *data[ATR_HASH_BURST_MAX];
	uint32_t length[ATR_HASH_BURST_MAX];

	for (unsigned int i = 0; i < count; i++) {
		node_bytes(node[i], left[i], right[i]);
		data[i] = node[i];
		length[i] = HASH_NODE_BYTES;
	}
	atr_hash_burst(hash, data, length, out, count);
}

void atr_hash_node(struct atr_hash *hash, const uint8_t *left, const uint8_t *right, uint8_t *out)
{
	uint8_t node[HASH_NODE_BYTES];
	const uint8_t *data = node;
	uint32_t length = sizeof(node);

	node_bytes(node, left, right);
	hash_with(hash, hash->lone[HASH_SHORT], &data, &length, (uint8_t(*)[ATR_HASH_BYTES])out, 1);
}
