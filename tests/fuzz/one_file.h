/* SPDX-License-Identifier: BSD-3-Clause */
/* A log of one segment of any bytes, for targets that read it. */
#ifndef ATR_FUZZ_ONE_FILE_H
#define ATR_FUZZ_ONE_FILE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/log/crc.h"
#include "../../lib/log/format.h"
#include "../../lib/storage/storage.h"

struct one_file {
	struct atr_storage storage;
	uint8_t *bytes;
	uint64_t size;
	bool pruned; /* the first segment has given up its entries; the second has the same bytes */
	bool strict; /* nobody reads behind the end */
};

static inline int file_open(struct atr_storage *storage, const char *name, bool create,
			    uint64_t *size, struct atr_file **file)
{
	(void)create;
	if (((struct one_file *)storage)->pruned &&
	    strcmp(name, "segment-0000000000000000.atr") == 0)
		return -ENOENT;
	*size = ((struct one_file *)storage)->size;
	*file = (struct atr_file *)storage;
	return 0;
}

static inline void file_close(struct atr_storage *storage, struct atr_file *file)
{
	(void)storage;
	(void)file;
}

static inline int file_read(struct atr_storage *storage, struct atr_file *file, void *buffer,
			    size_t length, uint64_t offset)
{
	const struct one_file *one = (const struct one_file *)storage;

	(void)file;
	if (offset > one->size || length > one->size - offset) {
		if (one->strict)
			abort();
		return -ENODATA;
	}
	memcpy(buffer, one->bytes + offset, length);
	return 0;
}

static inline int file_list(struct atr_storage *storage, unsigned int index, char *name,
			    size_t size)
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

static const struct atr_storage_ops one_file_ops = {
	.open = file_open, .close = file_close, .read = file_read, .list = file_list};

static inline uint32_t crc_of(const uint8_t *bytes, uint32_t length)
{
	return atr_log_crc_end(atr_log_crc_add(ATR_LOG_CRC_BEGIN, bytes, length));
}

/* Makes CRCs right, so that what lies behind them is reached: odd inputs only. */
static inline void one_file_mend(uint8_t *bytes, uint64_t size)
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

#endif
