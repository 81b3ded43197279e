/* SPDX-License-Identifier: BSD-3-Clause */
/* Identities of any bytes, and the index over a log of one segment of any bytes: in bounds, and
 * what is said to be there can be found, counted and proven. */
#include "../../lib/query/query.h"
#include "one_file.h"

#define BLOCKS_MAX  16
#define IDENTITY    60 /* bytes of the input that are an identity */
#define RANGE_MAX   8
#define RANGE_PAGES 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(struct atr_query *query, const struct atr_query_key *key)
{
	uint8_t proof[ATR_QUERY_NODES][ATR_HASH_SIZE];
	struct atr_query_event event, page[RANGE_MAX];
	struct atr_query_cursor cursor = {0};
	char error[512] = "";
	int n = atr_query_find(query, key, &event, error, sizeof(error));

	if (n > 0 && (event.leaf >= atr_query_leaves(query) ||
		      event.commit_leaf >= atr_query_leaves(query) ||
		      atr_query_prove(query, event.leaf, atr_query_leaves(query), proof, error,
				      sizeof(error)) < 0))
		abort();
	for (unsigned int i = 0; !key->by_uuid && i < RANGE_PAGES; i++) {
		n = atr_query_range(query, key->source, key->sequence, UINT64_MAX, &cursor, page,
				    RANGE_MAX, error, sizeof(error));
		if (n < RANGE_MAX)
			break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t text = size < IDENTITY ? size : IDENTITY;
	struct one_file one = {.storage = {&one_file_ops}, .strict = true};
	struct atr_query_key key = {0};
	struct atr_query *query;
	char error[512];

	if (size > IDENTITY + BLOCKS_MAX * ATR_LOG_BLOCK)
		return 0;
	while (text > 0 && data[text - 1] == '\n')
		text--;
	if (atr_query_identity((const char *)data, text, &key) || size <= IDENTITY)
		return 0;
	/* Whole blocks: what the input lacks is zeros, as on a disk. */
	one.size = (size - IDENTITY + ATR_LOG_BLOCK - 1) / ATR_LOG_BLOCK * ATR_LOG_BLOCK;
	one.bytes = calloc(1, one.size);
	query = atr_query_create(&one.storage, error, sizeof(error));
	if (!one.bytes || !query)
		abort();
	memcpy(one.bytes, data + IDENTITY, size - IDENTITY);
	one_file_mend(one.bytes, one.size);
	atr_query_refresh(query, UINT64_MAX, UINT64_MAX, error, sizeof(error));
	ask(query, &key);
	atr_query_free(query);
	free(one.bytes);
	return 0;
}
