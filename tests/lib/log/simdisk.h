/* SPDX-License-Identifier: BSD-3-Clause */
/* A disk under test control: it keeps what is not synced in memory, and a crash drops it, or a
 * random subset of it, or tears it. Everything it does follows from its seed.
 *
 * A boundary is a moment at which a crash may come: before and after every operation is taken, and
 * before and after every completion takes effect. After a crash nothing is done any more until
 * simdisk_restart.
 */
#ifndef SIMDISK_H
#define SIMDISK_H

#include "../../../lib/storage/storage.h"

#define SIM_FILES_MAX 48
#define SIM_NAME_MAX  64

struct sim_write {
	uint64_t offset;
	size_t length;
	uint8_t *data;
	const uint8_t *source; /* must not change before completion */
	bool completed;
	uint64_t sync; /* that covers it; 0: none */
};

struct atr_file {
	char name[SIM_NAME_MAX]; /* "": removed, and nobody has it open */
	uint64_t size;
	uint8_t *durable; /* what a crash cannot take */
	uint8_t *current; /* what a read sees */
	struct sim_write *write;
	unsigned int writes, room;
	unsigned int opens;
};

struct sim_op {
	const struct atr_storage *owner; /* who asked, and will reap it */
	void *cookie;
	struct atr_file *file;
	uint64_t sync; /* number of a sync, or 0 */
	uint64_t write_offset;
	unsigned int not_before; /* reaps to come before it may finish */
};

/* A second storage on the same disk, as another thread of the appliance has one. */
struct sim_beside {
	struct atr_storage base;
	struct simdisk *disk;
};

struct simdisk {
	struct atr_storage base;
	struct sim_beside beside;
	uint64_t random;
	struct atr_file file[SIM_FILES_MAX];
	unsigned int files;
	struct sim_op op[ATR_STORAGE_QUEUE];
	unsigned int ops;
	uint64_t syncs;
	uint64_t boundary, crash_at; /* 0: never */
	bool crashed;
	bool *power_off; /* set by a crash, and one where it is set; NULL: this disk crashes alone
			  */
	uint64_t writes_seen, syncs_seen;
	uint64_t fail_write, fail_sync; /* the how-many-eth fails with EIO; 0: none */
	bool failed;                    /* it has */
	uint64_t room;                  /* bytes for new files */
	unsigned int slowness;          /* reaps that an operation takes, at most */
	unsigned int queue;             /* operations it takes at once */
};

void simdisk_init(struct simdisk *disk, uint64_t seed);
/* Power comes back: un-synced writes are dropped, kept or torn. */
void simdisk_restart(struct simdisk *disk);
void simdisk_free(struct simdisk *disk);
struct atr_file *simdisk_file(struct simdisk *disk, const char *name);
uint64_t sim_random(uint64_t *state);

#endif
