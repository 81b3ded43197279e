/* SPDX-License-Identifier: BSD-3-Clause */
/* The log's reader over one segment of any bytes, whole or pruned: in bounds, and the same answer
 * twice. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/log/crc.h"
#include "../../lib/log/reader_internal.h"

#define BLOCKS_MAX 64

struct one_file {
	struct atr_storage storage;
	uint8_t *bytes;
	uint64_t size;
	bool pruned; /* the first segment has given up its entries; the second has the same bytes */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file_open(struct atr_storage *storage, const char *name, bool create, uint64_t *size,
		     struct atr_file **file)
{
	(void)create;
	if (((struct one_file *)storage)->pruned &&
	    strcmp(name, "segment-0000000000000000.atr") == 0)
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
	bool pruned = ((struct one_file *)storage)->pruned;

	if (index > (pruned ? 1 : 0))
		return -ENOENT;
	if (pruned && index == 0)
		snprintf(name, size, ATR_PRUNED_NAME, UINT64_C(0));
	else
		snprintf(name, size, ATR_SEGMENT_NAME, (uint64_t)index);
	return 0;
}

static uint32_t crc_of(const uint8_t *bytes, uint32_t length)
{
	return atr_log_crc_end(atr_log_crc_add(ATR_LOG_CRC_BEGIN, bytes, length));
}

/* Makes CRCs right, so that what lies behind them is reached: odd inputs only. */
static void mend(uint8_t *bytes, uint64_t size)
{
	struct atr_segment_hdr *segment = (struct atr_segment_hdr *)bytes;
	struct atr_group_hdr *group = (struct atr_group_hdr *)(bytes + ATR_LOG_BLOCK);
	uint64_t left, at = sizeof(*group);

	segment->crc = 0;
	segment->crc = crc_of(bytes, ATR_LOG_BLOCK);
	if (size <= ATR_LOG_BLOCK || group->length > size - ATR_LOG_BLOCK)
		return;
	for (left = group->length; at + sizeof(struct atr_record_hdr) <= left;) {
		struct atr_record_hdr *r = (struct atr_record_hdr *)((uint8_t *)group + at);
		uint64_t length = sizeof(*r) + (uint64_t)r->body_length + r->decision_length;

		if (length > left - at)
			break;
		r->crc = 0;
		r->crc = crc_of((uint8_t *)r, (uint32_t)length);
		at += (length + 7) / 8 * 8;
	}
	group->crc = 0;
	group->crc = crc_of((uint8_t *)group, group->length);
}

/* The same of a pruned one. */
static void mend_pruned(uint8_t *bytes, uint64_t size)
{
	struct atr_pruned_hdr *hdr = (struct atr_pruned_hdr *)bytes;
	struct atr_segment_hdr *segment = (struct atr_segment_hdr *)(bytes + ATR_LOG_BLOCK);
	struct atr_pruned_group *group = (struct atr_pruned_group *)(bytes + 2 * ATR_LOG_BLOCK);

	if (size <= 2 * ATR_LOG_BLOCK)
		return;
	hdr->crc = 0;
	hdr->bytes = size;
	hdr->crc = crc_of(bytes, ATR_LOG_BLOCK);
	segment->crc = 0;
	segment->crc = crc_of(bytes + ATR_LOG_BLOCK, ATR_LOG_BLOCK);
	if (group->length > size - 2 * ATR_LOG_BLOCK || group->length < sizeof(*group))
		return;
	group->crc = 0;
	group->crc = crc_of((uint8_t *)group, group->length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct atr_storage_ops ops = {
		.open = file_open, .close = file_close, .read = file_read, .list = file_list};
	static struct atr_hash *hash;
	struct one_file one = {.storage = {&ops}};
	struct atr_log_scan a, b;
	char error[512];
	int first;

	if (size < 1 || size > BLOCKS_MAX * ATR_LOG_BLOCK)
		return 0;
	if (!hash)
		hash = atr_hash_create(-1, 512, error, sizeof(error));
	if (!hash)
		abort();
	/* Whole blocks: what the input lacks is zeros, as on a disk. */
	one.size = (size - 1 + ATR_LOG_BLOCK - 1) / ATR_LOG_BLOCK * ATR_LOG_BLOCK;
	one.bytes = calloc(1, one.size ? one.size : 1);
	if (!one.bytes)
		abort();
	memcpy(one.bytes, data + 1, size - 1);
	one.pruned = data[0] & 4;
	if ((data[0] & 1) && one.pruned)
		mend_pruned(one.bytes, one.size);
	else if ((data[0] & 1) && one.size)
		mend(one.bytes, one.size);
	first = reader_scan(&one.storage, NULL, NULL, &a, hash, error, sizeof(error));
	if (first && (first != -EBADMSG || !error[0]))
		abort();
	if ((data[0] & 2) &&
	    reader_scan(&one.storage, NULL, NULL, &b, hash, error, sizeof(error)) != first)
		abort();
	free(one.bytes);
	return 0;
}
