/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside lib/log's retention only: retain.c (which segments), retain_write.c (one pruned file). */
#ifndef ATR_LOG_RETAIN_INTERNAL_H
#define ATR_LOG_RETAIN_INTERNAL_H

#include "../hash/hash.h"
#include "retain.h"

#define LOG_PRUNING     "pruning" /* a pruned file in the making */
#define LOG_USED_LENGTH 32

/* Reads and checks a whole segment, which must end where the header of the next one says that that
 * one begins, and writes what it keeps to LOG_PRUNING, durable. *bytes: its size. 0 or negative
 * errno with a sentence. */
int retain_write(struct atr_storage *storage, struct atr_hash *hash, uint64_t segment,
		 const struct atr_segment_hdr *next, uint64_t *bytes, char *error, size_t size);

#endif
