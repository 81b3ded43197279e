/* SPDX-License-Identifier: BSD-3-Clause */
/* Anchor files of any bytes: refused with the file's name, unless this key has signed exactly that;
 * what it has signed is read back as it was. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../lib/anchor/anchor.h"

#define FILE_MODE 0600

enum how { AS_IT_IS, SIGNED, SIGNED_AND_CHANGED, HOWS };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char directory[] = "fuzz_anchor_XXXXXX";
static char file[ATR_ANCHOR_FILE_MAX];

static void clear_away(void)
{
	unlink(file);
	rmdir(directory);
}

static struct atr_anchor *begin(void)
{
	struct atr_anchor *anchor;
	char error[512];

	if (!mkdtemp(directory) || atr_sign_init() < 0)
		abort();
	anchor = atr_anchor_open(directory, error, sizeof(error));
	if (!anchor)
		abort();
	atr_anchor_file(anchor, 0, file, sizeof(file));
	atexit(clear_away);
	return anchor;
}

static void put(const void *bytes, size_t length)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);

	if (fd < 0 || write(fd, bytes, length) != (ssize_t)length)
		abort();
	close(fd);
}

/* A note of this key about what the input says; its length, or 0 if there can be none. */
static size_t note_of(const struct atr_signer *signer, const uint8_t *data, size_t size,
		      struct atr_checkpoint *checkpoint, char note[ATR_CHECKPOINT_MAX])
{
	size_t head = sizeof(checkpoint->size) + sizeof(checkpoint->root);
	int length;

	memset(checkpoint, 0, sizeof(*checkpoint));
	if (size < head || size - head > ATR_ORIGIN_MAX)
		return 0;
	memcpy(&checkpoint->size, data, sizeof(checkpoint->size));
	memcpy(checkpoint->root, data + sizeof(checkpoint->size), sizeof(checkpoint->root));
	memcpy(checkpoint->origin, data + head, size - head);
	length = atr_checkpoint_sign(checkpoint, signer, note, ATR_CHECKPOINT_MAX);
	return length > 0 ? (size_t)length : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t seed[ATR_SEED_SIZE] = {7};
	static struct atr_anchor *anchor;
	static struct atr_signer *signer;
	struct atr_checkpoint said, read;
	uint8_t key[ATR_PUBLIC_KEY_SIZE];
	char note[ATR_CHECKPOINT_MAX], error[1024] = "";
	size_t length = 0;
	enum how how;
	int rc;

	if (size < 2)
		return 0;
	if (!anchor) {
		anchor = begin();
		signer = atr_signer_from_seed(seed);
	}
	how = (enum how)(data[0] % HOWS);
	if (how == AS_IT_IS)
		put(data + 2, size - 2);
	else
		length = note_of(signer, data + 2, size - 2, &said, note);
	if (how != AS_IT_IS && length == 0)
		return 0;
	if (how == SIGNED_AND_CHANGED)
		note[data[1] % length] ^= 1;
	if (how != AS_IT_IS)
		put(note, length);
	atr_signer_public(signer, key);
	rc = atr_anchor_load(anchor, 0, NULL, key, &read, error, sizeof(error));
	if (rc < 0 && (rc != -EBADMSG || !strstr(error, file) || read.size != 0))
		abort();
	if ((rc == 0) != (how == SIGNED))
		abort();
	if (rc == 0 && (strcmp(read.origin, said.origin) != 0 || read.size != said.size ||
			memcmp(read.root, said.root, sizeof(read.root)) != 0))
		abort();
	return 0;
}
