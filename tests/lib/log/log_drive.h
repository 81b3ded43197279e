/* SPDX-License-Identifier: BSD-3-Clause */
/* Plays shard and log thread at once, and remembers what it sealed. */
#ifndef LOG_DRIVE_H
#define LOG_DRIVE_H

#include "log_check.h"

#define DRIVE_BUFFERS       4
#define DRIVE_SEGMENT_BYTES (4096 + 2 * ATR_GROUP_BYTES_MAX)

struct drive {
	struct simdisk disk;
	struct model model;
	struct atr_log_params params;
	struct atr_log *log;
	uint64_t random;
	bool readable;         /* records are such that the appliance's reader takes them */
	unsigned int released; /* groups that came back, ever */
	struct atr_group_buf *kept[DRIVE_BUFFERS]; /* not given back yet */
	unsigned int kept_count;
	const char *wrong;
};

void drive_init(struct drive *drive, uint64_t seed);
bool drive_open(struct drive *drive, const struct atr_log_end *end);
void drive_close(struct drive *drive);
void drive_free(struct drive *drive);
/* Fills one group of a random size and seals it; false if no buffer is free. */
bool drive_seal(struct drive *drive);
/* Takes back what is durable; gives buffers back at random times. */
void drive_take(struct drive *drive);
/* Until groups many have come back, or the disk has crashed, or the log is broken or full. */
void drive_run(struct drive *drive, unsigned int groups);

#endif
