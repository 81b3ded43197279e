/* SPDX-License-Identifier: BSD-3-Clause */
/* 'atrctl log ...': a log read by somebody who changes nothing, also while an appliance writes it.
 */
#ifndef ATRCTL_LOG_TOOL_H
#define ATRCTL_LOG_TOOL_H

#include <jansson.h>

#include "../../lib/log/reader.h"

#define LOG_ERROR_SIZE  512
#define LOG_PROOF_NODES 64
#define LOG_SHARDS_MAX  4096

/* A directory that can only be read; nothing is locked. */
struct log_directory {
	struct atr_storage storage;
	int fd;
	char path[4096];
	char **name; /* sorted */
	unsigned int names;
};

/* Opens DIR/shard-<n>. 0 or negative errno with a sentence in error. */
int log_directory_open(struct log_directory *directory, const char *path, uint32_t shard,
		       char *error);
void log_directory_close(struct log_directory *directory);

/* Leaf hashes of a log, as many as a checkpoint covers. */
struct log_leaves {
	uint8_t (*leaf)[ATR_HASH_SIZE];
	uint64_t count, capacity, wanted;
};

int log_leaves_add(struct log_leaves *leaves, const uint8_t leaf[ATR_HASH_SIZE]);
int log_leaf(void *context, uint64_t index, uint8_t out[ATR_HASH_SIZE]);
/* Root of the first size leaves. */
void log_leaves_root(const struct log_leaves *leaves, uint64_t size, uint8_t root[ATR_HASH_SIZE]);

/* A checkpoint file, verified. */
struct log_note {
	struct atr_checkpoint checkpoint;
	char text[ATR_CHECKPOINT_MAX + 1];
	size_t length;
	uint32_t shard; /* at the end of its origin */
};

/* 64 hex digits to a key; 0, or EXIT_USAGE after a sentence. */
int log_key(const char *command, const char *hex, uint8_t key[ATR_PUBLIC_KEY_SIZE]);
/* Reads and verifies; 0, or an exit status after a sentence. */
int log_note_load(const char *command, const char *path, const uint8_t key[ATR_PUBLIC_KEY_SIZE],
		  struct log_note *note);
/* The same for text in memory. */
int log_note_check(const char *command, const uint8_t key[ATR_PUBLIC_KEY_SIZE],
		   struct log_note *note);
uint64_t log_clock_ns(void);

int log_verify(int argc, char **argv);
int log_prove(int argc, char **argv);
int log_check_proof(int argc, char **argv);
int log_consistency(int argc, char **argv);
int log_export(int argc, char **argv);

#endif
