/* SPDX-License-Identifier: BSD-3-Clause */
/* Retention: segments below a durable snapshot give up their entries and keep hashes, headers,
 * decisions, commits and plans (docs/log-format.md, "Pruned segment"); and when the disk is full.
 *
 * Layer 4: lib/log/format.h, lib/storage. Any thread but data lcores and the log thread, one at a
 * time for one log; functions wait for the disk.
 */
#ifndef ATR_LOG_RETAIN_H
#define ATR_LOG_RETAIN_H

#include "log.h"

struct atr_log_retain_params {
	uint64_t keep_bytes;      /* of the newest segments, which stay whole; 0: keep all */
	uint64_t snapshot_leaves; /* of a durable snapshot record (atr_log_stats, or a scan) */
	uint64_t segment;      /* that is being written (atr_log_stats): it and later ones stay */
	struct atr_hash *hash; /* to hash with; NULL: one is made where a segment is given up,
				* which takes milliseconds */
};

struct atr_log_retained {
	uint64_t segments; /* that gave up their entries in this call */
	uint64_t bytes;    /* of whole segments before less those of pruned ones after */
};

/* Replaces, oldest first, at most max whole segments that lie wholly below the snapshot and that
 * keep_bytes does not cover. storage: a second one on the same directory, "beside" the log's own.
 * What replaces a segment is written and durable before the segment goes. Segments that are given
 * up become the next ones that the log writes (their bytes are overwritten with zeros first) or are
 * removed. Each segment is read and checked before: -EBADMSG with a sentence where it is damaged,
 * and nothing is given up then; other negative errno with a sentence. A call that was cut short by
 * a stop is made good by the next one. */
int atr_log_retain(struct atr_storage *storage, const struct atr_log_retain_params *params,
		   unsigned int max, struct atr_log_retained *out, char *error, size_t size);

/* --- When is the disk full? --- */

#define ATR_FORECAST_SAMPLES 60

/* A sliding window over what was written; all zero at first. The caller's. */
struct atr_log_forecast {
	struct {
		uint64_t ns, bytes;
	} sample[ATR_FORECAST_SAMPLES];
	uint32_t count, next;
};

/* Adds a sample, once a second or so: bytes written since the log was opened, at a monotonic time.
 * Samples that do not grow in time are left out. */
void atr_log_forecast_add(struct atr_log_forecast *forecast, uint64_t now_ns, uint64_t bytes);

/* Bytes a second over the window, and seconds until free_bytes are used up at that rate; UINT64_MAX
 * if nothing is being written. */
void atr_log_forecast_read(const struct atr_log_forecast *forecast, uint64_t free_bytes,
			   uint64_t *bytes_per_s, uint64_t *seconds);

#endif
