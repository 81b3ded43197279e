/* SPDX-License-Identifier: BSD-3-Clause */
/* What a disk syncs by itself: the reference for the log. */
#ifndef ATR_DISK_ALONE_H
#define ATR_DISK_ALONE_H

#include "../../lib/storage/storage.h"

#define DISK_DEPTH 16 /* writes under way at most */

struct disk_result {
	double seconds;
	uint64_t bytes, syncs;
};

/* Writes bytes in writes of size, random bytes that nothing can make shorter, a sync after its
 * writes and writes going on meanwhile, to a file written once before (bytes of room). Errors end
 * the program. */
struct disk_result disk_alone(struct atr_storage *storage, uint32_t size, uint64_t bytes);

double disk_now(void);

#endif
