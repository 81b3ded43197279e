/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../../lib/anchor/anchor.h"

#define ORIGIN "example.org/test/shard/3"

static char directory[64], error[512];
static struct atr_signer *signer;
static uint8_t key[ATR_PUBLIC_KEY_SIZE];

static int make_note(uint64_t size, char *note)
{
	struct atr_checkpoint checkpoint = {.origin = ORIGIN, .size = size, .root = {7}};

	return atr_checkpoint_sign(&checkpoint, signer, note, ATR_CHECKPOINT_MAX);
}

static struct atr_anchor *open_fresh(void)
{
	struct atr_anchor *anchor;

	snprintf(directory, sizeof(directory), "test_anchor_XXXXXX");
	assert_non_null(mkdtemp(directory));
	anchor = atr_anchor_open(directory, error, sizeof(error));
	assert_non_null(anchor);
	return anchor;
}

static void close_fresh(struct atr_anchor *anchor)
{
	char command[96];

	atr_anchor_close(anchor);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	assert_int_equal(system(command), 0);
}

/* Invariant: the newest note kept is the one that is loaded, nothing if none was kept. */
static void keeps(void **state)
{
	struct atr_anchor *anchor = open_fresh();
	struct atr_checkpoint got;
	char note[ATR_CHECKPOINT_MAX];

	(void)state;
	assert_int_equal(atr_anchor_load(anchor, 3, ORIGIN, key, &got, error, sizeof(error)), 0);
	assert_int_equal(got.size, 0);
	for (uint64_t size = 1; size < 20; size += 9) {
		int length = make_note(size, note);

		assert_int_equal(atr_anchor_keep(anchor, 3, note, (size_t)length), 0);
		assert_int_equal(
			atr_anchor_load(anchor, 3, ORIGIN, key, &got, error, sizeof(error)), 0);
		assert_int_equal(got.size, size);
		assert_int_equal(got.root[0], 7);
	}
	assert_false(atr_anchor_apart(anchor, directory));
	close_fresh(anchor);
}

/* Invariant: every flipped bit and every cut of the file is refused and named, as are another
 * shard's and another key's checkpoint, and a directory that is not there. */
static void damage(void **state)
{
	struct atr_anchor *anchor = open_fresh();
	struct atr_checkpoint got;
	char note[ATR_CHECKPOINT_MAX], changed[ATR_CHECKPOINT_MAX];
	int length = make_note(77, note);
	uint8_t other[ATR_PUBLIC_KEY_SIZE];

	(void)state;
	for (int bit = 0; bit < 8 * length; bit++) {
		memcpy(changed, note, sizeof(note));
		changed[bit / 8] = (char)(changed[bit / 8] ^ (1 << (bit % 8)));
		assert_int_equal(atr_anchor_keep(anchor, 3, changed, (size_t)length), 0);
		assert_int_equal(
			atr_anchor_load(anchor, 3, ORIGIN, key, &got, error, sizeof(error)),
			-EBADMSG);
		assert_non_null(strstr(error, "shard-3.checkpoint, byte"));
		assert_int_equal(got.size, 0);
	}
	for (int cut = 0; cut < length; cut++) {
		assert_int_equal(atr_anchor_keep(anchor, 3, note, (size_t)cut), 0);
		assert_int_equal(
			atr_anchor_load(anchor, 3, ORIGIN, key, &got, error, sizeof(error)),
			-EBADMSG);
	}
	assert_int_equal(atr_anchor_keep(anchor, 4, note, (size_t)length), 0);
	assert_int_equal(atr_anchor_load(anchor, 4, "example.org/test/shard/4", key, &got, error,
					 sizeof(error)),
			 -EBADMSG);
	assert_non_null(strstr(error, "another log or shard"));
	memcpy(other, key, sizeof(other));
	other[0] ^= 1;
	assert_int_equal(atr_anchor_load(anchor, 4, ORIGIN, other, &got, error, sizeof(error)),
			 -EBADMSG);
	close_fresh(anchor);
	assert_null(atr_anchor_open("not-there", error, sizeof(error)));
	assert_non_null(strstr(error, "not-there"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(keeps), cmocka_unit_test(damage)};
	int failed;

	if (atr_sign_init() < 0 || !(signer = atr_signer_generate()))
		return 1;
	atr_signer_public(signer, key);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	atr_signer_free(signer);
	return failed;
}
