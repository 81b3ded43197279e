/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes a naive log of two shards into a directory, with signed checkpoints, for the tools' tests.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../../lib/tlog/tlog.h"
#include "naive_log.h"

#define GROUPS  30
#define OLD_AT  11
#define SEGMENT (64u << 10)

static void write_file(const char *path, const void *bytes, size_t length)
{
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(bytes, 1, length, f) != length || fclose(f) != 0)
		abort();
}

static void write_checkpoint(const struct naive_log *log, const char *directory, const char *name,
			     const struct atr_signer *signer)
{
	struct atr_checkpoint cp = {.size = log->leaves};
	char path[4096], note[ATR_CHECKPOINT_MAX];
	int length;

	snprintf(cp.origin, sizeof(cp.origin), "test/shard/%u", log->shard);
	atr_merkle_root(log->leaf[0], log->leaves, cp.root);
	length = atr_checkpoint_sign(&cp, signer, note, sizeof(note));
	if (length < 0)
		abort();
	snprintf(path, sizeof(path), "%s/%s-%u", directory, name, log->shard);
	write_file(path, note, (size_t)length);
}

static void write_shard(const char *directory, uint32_t shard, const struct atr_signer *signer)
{
	const struct naive_group shape = {.frames = 5, .packets = 13, .envelopes = 1, .feeds = 2};
	struct memory_storage disk;
	struct naive_log log;
	char path[4096];

	memory_init(&disk);
	naive_init(&log, &disk, SEGMENT);
	log.shard = shard;
	for (unsigned int i = 0; i < GROUPS; i++) {
		naive_group(&log, &shape);
		if (i == OLD_AT)
			write_checkpoint(&log, directory, "old", signer);
	}
	write_checkpoint(&log, directory, "new", signer);
	snprintf(path, sizeof(path), "%s/shard-%u", directory, shard);
	mkdir(path, 0755);
	for (unsigned int i = 0; i < disk.files; i++) {
		snprintf(path, sizeof(path), "%s/shard-%u/%s", directory, shard,
			 disk.file[i]->name);
		write_file(path, disk.file[i]->bytes, disk.file[i]->size);
	}
	naive_free(&log);
	memory_clear(&disk);
}

int main(int argc, char **argv)
{
	uint8_t seed[ATR_SEED_SIZE] = {7}, key[ATR_PUBLIC_KEY_SIZE];
	char hex[2 * ATR_PUBLIC_KEY_SIZE + 1];
	struct atr_signer *signer;

	if (argc != 2 || atr_sign_init())
		return 2;
	signer = atr_signer_from_seed(seed);
	if (!signer)
		return 1;
	write_shard(argv[1], 0, signer);
	write_shard(argv[1], 1, signer);
	atr_signer_public(signer, key);
	atr_hex_encode(key, sizeof(key), hex);
	puts(hex);
	atr_signer_free(signer);
	return 0;
}
