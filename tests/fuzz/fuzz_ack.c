/* SPDX-License-Identifier: BSD-3-Clause */
/* Acknowledgements as producers read them: in bounds, nothing visited of what is refused, and what
 * is visited lies in the datagram and is as much as it says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/ack/ack.h"
#include "../../lib/merkle/merkle.h"

#define REALM UINT64_C(0x0102030405060708)

struct seen {
	const uint8_t *data;
	size_t size;
	uint64_t entries, left; /* left of the current notice */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void visit(void *ctx, const struct atr_ack_notice *notice, const struct atr_ack_entry *entry)
{
	struct seen *seen = ctx;
	const uint8_t *end = seen->data + seen->size;
	uint8_t reason;

	if (seen->left == 0)
		seen->left = notice->count;
	seen->left--;
	seen->entries++;
	if (entry->leaf < seen->data || entry->leaf + ATR_HASH_SIZE > end || entry->events == 0)
		abort();
	if (!entry->results)
		return;
	if ((const uint8_t *)(entry->results + entry->events) > end)
		abort();
	for (unsigned int i = 0; i < entry->events; i++) {
		reason = entry->results[i].reason;
		if (entry->final && !entry->results[i].final)
			abort();
		if (entry->result == ATR_OK && reason != ATR_OK && reason != ATR_DUPLICATE)
			abort();
	}
}

/* Signs whatever it is, alone in its tree, so that what lies behind the signature is reached. */
static void mend(const struct atr_signer *signer, uint8_t *data, size_t size)
{
	struct atr_frame_hdr *hdr = (struct atr_frame_hdr *)data;
	uint8_t leaf[ATR_MERKLE_HASH];
	struct atr_tree_head head;
	struct atr_frame frame;

	if (size < sizeof(*hdr))
		return;
	hdr->leaf_index = 0;
	hdr->leaf_count = 1;
	hdr->realm = REALM;
	hdr->key = ATR_ACK_KEY;
	hdr->source = ATR_ACK_SOURCE;
	if (atr_frame_parse(data, size, &frame) != ATR_OK)
		return;
	atr_merkle_leaf(data + 1, frame.leaf_size - 1, leaf);
	atr_tree_head_init(&head, REALM, ATR_ACK_SOURCE, ATR_ACK_KEY, 1, leaf);
	memcpy(head.prefix, ATR_ACK_HEAD_PREFIX, sizeof(head.prefix));
	atr_signer_sign(signer, (const uint8_t *)&head, sizeof(head), data + frame.leaf_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t seed[ATR_SEED_SIZE] = {1};
	static struct atr_signer *signer;
	static struct atr_ack_reader reader = {.realm = REALM, .key = ATR_ACK_KEY};
	uint8_t *exact = malloc(size ? size : 1), reason;
	struct seen seen = {.data = exact, .size = size};
	const struct atr_ack_visitor visitor = {visit, &seen};

	if (!signer) {
		if (atr_sign_init() < 0)
			abort();
		signer = atr_signer_from_seed(seed);
		atr_signer_public(signer, reader.public_key);
	}
	if (!exact)
		abort();
	if (size)
		memcpy(exact, data, size);
	for (unsigned int pass = 0; pass < 2; pass++) {
		seen.entries = seen.left = 0;
		reason = atr_ack_parse(&reader, exact, size, &visitor);
		if ((reason == ATR_OK) != (seen.entries > 0) || seen.left != 0)
			abort();
		mend(signer, exact, size);
	}
	free(exact);
	return 0;
}
