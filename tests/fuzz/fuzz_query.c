/* SPDX-License-Identifier: BSD-3-Clause */
/* Identities of any bytes, and the index over a log of one segment of any bytes: in bounds, and
 * what is said to be there can be found, counted and proven. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/log/crc.h"
#include "../../lib/query/query.h"

#define BLOCKS_MAX  16
#define IDENTITY    60 /* bytes of the input that are an identity */
#define RANGE_MAX   8
#define RANGE_PAGES 64

struct one_file {
	struct atr_storage storage;
	uint8_t *bytes;
	uint64_t size;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file_open(struct atr_storage *storage, const char *name, bool create, uint64_t *size,
		     struct atr_file **file)
{
	(void)create;
	if (strcmp(name, "segment-0000000000000000.atr") != 0)
		return -ENOENT;
	*size = ((struct one_file *)storage)->size;
	*file = (struct atr_file *)storage;
	return 0;
}

static void file_close(struct atr_storage *storage, struct atr_file *file)
{
	(void)storage;
	(void)file;
}

static int file_read(struct atr_storage *storage, struct atr_file *file, void *buffer,
		     size_t length, uint64_t offset)
{
	const struct one_file *one = (const struct one_file *)storage;

	(void)file;
	if (offset > one->size || length > one->size - offset)
		abort();
	memcpy(buffer, one->bytes + offset, length);
	return 0;
}

static int file_list(struct atr_storage *storage, unsigned int index, char *name, size_t size)
{
	(void)storage;
	if (index > 0)
		return -ENOENT;
	snprintf(name, size, ATR_SEGMENT_NAME, UINT64_C(0));
	return 0;
}

static uint32_t crc_of(const uint8_t *bytes, uint32_t length)
{
	return atr_log_crc_end(atr_log_crc_add(ATR_LOG_CRC_BEGIN, bytes, length));
}

/* Makes CRCs right, so that what lies behind them is reached. */
static void mend(uint8_t *bytes, uint64_t size)
{
	struct atr_segment_hdr *segment = (struct atr_segment_hdr *)bytes;
	struct atr_group_hdr *group = (struct atr_group_hdr *)(bytes + ATR_LOG_BLOCK);
	uint64_t at = sizeof(*group);

	segment->crc = 0;
	segment->crc = crc_of(bytes, ATR_LOG_BLOCK);
	if (size <= ATR_LOG_BLOCK || group->length > size - ATR_LOG_BLOCK)
		return;
	while (at + sizeof(struct atr_record_hdr) <= group->length) {
		struct atr_record_hdr *r = (struct atr_record_hdr *)((uint8_t *)group + at);
		uint64_t length = sizeof(*r) + (uint64_t)r->body_length + r->decision_length;

		if (length > group->length - at)
			break;
		r->crc = 0;
		r->crc = crc_of((uint8_t *)r, (uint32_t)length);
		at += (length + 7) / 8 * 8;
	}
	group->crc = 0;
	group->crc = crc_of((uint8_t *)group, group->length);
}

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
	static const struct atr_storage_ops ops = {
		.open = file_open, .close = file_close, .read = file_read, .list = file_list};
	size_t text = size < IDENTITY ? size : IDENTITY;
	struct one_file one = {.storage = {&ops}};
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
	mend(one.bytes, one.size);
	atr_query_refresh(query, UINT64_MAX, UINT64_MAX, error, sizeof(error));
	ask(query, &key);
	atr_query_free(query);
	free(one.bytes);
	return 0;
}
