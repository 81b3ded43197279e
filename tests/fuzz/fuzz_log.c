/* SPDX-License-Identifier: BSD-3-Clause */
/* The log's reader over one segment of any bytes, whole or pruned: in bounds, and the same answer
 * twice. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/log/reader_internal.h"
#include "one_file.h"

#define BLOCKS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	static struct atr_hash *hash;
	struct one_file one = {.storage = {&one_file_ops}, .strict = true};
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
		one_file_mend(one.bytes, one.size);
	first = reader_scan(&one.storage, NULL, NULL, &a, hash, error, sizeof(error));
	if (first && (first != -EBADMSG || !error[0]))
		abort();
	if ((data[0] & 2) &&
	    reader_scan(&one.storage, NULL, NULL, &b, hash, error, sizeof(error)) != first)
		abort();
	free(one.bytes);
	return 0;
}
