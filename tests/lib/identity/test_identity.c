/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <sodium.h>

#include "../../../lib/identity/identity.h"
#include "../boot_eal.h"

#define WINDOW_MS 20000
#define CAPACITY  256
#define IDS       2000
#define STEPS     60000

static int boot(void **state)
{
	char text[] = BOOT_EAL "64";

	(void)state;
	return boot_eal(text) < 0 || sodium_init() < 0;
}

static void uuid_of(uint32_t id, uint8_t uuid[16])
{
	memset(uuid, 0, 16);
	memcpy(uuid + 8, &id, sizeof(id));
}

static void digest_of(uint32_t bytes, uint8_t digest[16])
{
	memset(digest, 0, 16);
	memcpy(digest, &bytes, sizeof(bytes));
}

/* What is known about one identity; a list of all of them is the model. */
struct known {
	bool taken, pending;
	uint32_t entry, bytes;
	uint64_t ms, position;
};

static struct known known[IDS];

static void expect(const struct atr_identity *m, uint32_t id, uint32_t bytes)
{
	const struct known *k = &known[id];
	enum atr_identity_state state = ATR_IDENTITY_NEW;
	uint8_t uuid[16], digest[16];
	uint32_t entry = UINT32_MAX, shard;
	uint64_t position;

	uuid_of(id, uuid);
	digest_of(bytes, digest);
	if (k->taken)
		state = k->bytes != bytes ? ATR_IDENTITY_CONFLICT
			: k->pending      ? ATR_IDENTITY_PENDING
					  : ATR_IDENTITY_LOGGED;
	assert_int_equal(atr_identity_find(m, 1 + id % 3, uuid, digest, &entry), state);
	/* The same uuid of another source is another identity. */
	assert_int_equal(atr_identity_find(m, 9, uuid, digest, &shard), ATR_IDENTITY_NEW);
	if (!k->taken)
		return;
	assert_int_equal(entry, k->entry);
	if (!k->pending) {
		atr_identity_position(m, entry, &shard, &position);
		assert_int_equal(shard, id % 5);
		assert_true(position == k->position);
	}
}

static void take(struct atr_identity *m, uint32_t id, uint32_t bytes, uint64_t ms, uint32_t *count)
{
	uint8_t uuid[16], digest[16];
	int entry;

	uuid_of(id, uuid);
	digest_of(bytes, digest);
	entry = atr_identity_take(m, 1 + id % 3, uuid, digest, ms);
	if (*count == CAPACITY) {
		assert_int_equal(entry, -ENOSPC);
		return;
	}
	assert_in_range(entry, 0, CAPACITY - 1);
	assert_null(atr_identity_waiting(m, (uint32_t)entry));
	known[id] = (struct known){
		.taken = true, .pending = true, .entry = (uint32_t)entry, .bytes = bytes, .ms = ms};
	++*count;
}

/* Expiry is in whole seconds: what is older than the given time may stay for one, and for another
 * round of the window if it was pending then. What is in the window, or pending, must stay. */
static void after_expiry(struct atr_identity *m, uint64_t oldest, uint32_t *count)
{
	for (uint32_t id = 0; id < IDS; id++) {
		struct known *k = &known[id];
		uint8_t uuid[16], digest[16];
		uint32_t entry;

		if (!k->taken)
			continue;
		uuid_of(id, uuid);
		digest_of(k->bytes, digest);
		if (atr_identity_find(m, 1 + id % 3, uuid, digest, &entry) != ATR_IDENTITY_NEW)
			continue;
		assert_false(k->pending);
		assert_true(k->ms < oldest);
		k->taken = false;
		--*count;
	}
}

/* Invariant: the memory answers as a list of everything taken would, through clock jumps. */
static void agrees_with_a_list(void **state)
{
	struct atr_identity *m = atr_identity_create(CAPACITY, WINDOW_MS, 0);
	uint64_t now = UINT64_C(1700000000000);
	uint32_t count = 0;

	(void)state;
	assert_non_null(m);
	assert_int_equal(atr_identity_capacity(m), CAPACITY);
	for (unsigned int i = 0; i < STEPS; i++) {
		uint32_t id = randombytes_uniform(IDS);
		struct known *k = &known[id];

		switch (randombytes_uniform(5)) {
		case 0:
			if (!k->taken)
				take(m, id, randombytes_uniform(3),
				     now - randombytes_uniform(WINDOW_MS), &count);
			break;
		case 1:
			if (!k->taken || !k->pending)
				break;
			if (randombytes_uniform(3) == 0) {
				atr_identity_shed(m, k->entry);
				k->taken = false;
				count--;
				break;
			}
			k->pending = false;
			k->position = i;
			atr_identity_logged(m, k->entry, id % 5, i);
			break;
		case 2:
			now += randombytes_uniform(200);
			if (randombytes_uniform(500) == 0)
				now += randombytes_uniform(10 * WINDOW_MS);
			if (randombytes_uniform(500) == 0)
				now -= randombytes_uniform(3 * WINDOW_MS);
			atr_identity_expire(m, now - WINDOW_MS);
			after_expiry(m, now - WINDOW_MS, &count);
			break;
		default: expect(m, id, randombytes_uniform(3));
		}
		assert_int_equal(atr_identity_count(m), count);
	}
	atr_identity_free(m);
	atr_identity_free(NULL);
}

/* Bug: a full table was declared when a bucket of the hash was, before capacity was reached. */
static void capacity_is_reached(void **state)
{
	static const uint32_t sizes[] = {8, 64, 1024, 20000};

	(void)state;
	for (unsigned int n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++) {
		struct atr_identity *m = atr_identity_create(sizes[n], WINDOW_MS, 0);
		uint8_t uuid[16], digest[16] = {0};
		uint32_t entry;

		assert_non_null(m);
		for (uint32_t i = 0; i < sizes[n]; i++) {
			uuid_of(i, uuid);
			assert_true(atr_identity_take(m, 1, uuid, digest, 5000) >= 0);
		}
		uuid_of(sizes[n], uuid);
		assert_int_equal(atr_identity_take(m, 1, uuid, digest, 5000), -ENOSPC);
		for (uint32_t i = 0; i < sizes[n]; i++) {
			uuid_of(i, uuid);
			assert_int_equal(atr_identity_find(m, 1, uuid, digest, &entry),
					 ATR_IDENTITY_PENDING);
			atr_identity_logged(m, entry, 0, i);
		}
		atr_identity_expire(m, 7000);
		assert_int_equal(atr_identity_count(m), 0);
		atr_identity_free(m);
	}
}

/* Invariant: pending entries outlive their time, with what waits for them; logged ones do not. */
static void pending_is_kept(void **state)
{
	struct atr_identity *m = atr_identity_create(8, WINDOW_MS, 0);
	uint8_t uuid[16], digest[16] = {0};
	uint32_t entry, same;
	int waiting;

	(void)state;
	uuid_of(1, uuid);
	entry = (uint32_t)atr_identity_take(m, 1, uuid, digest, 50000);
	atr_identity_set_waiting(m, entry, &waiting);
	atr_identity_expire(m, 50001);
	atr_identity_expire(m, 500000);
	assert_int_equal(atr_identity_find(m, 1, uuid, digest, &same), ATR_IDENTITY_PENDING);
	assert_int_equal(same, entry);
	assert_ptr_equal(atr_identity_waiting(m, entry), &waiting);
	atr_identity_logged(m, entry, 0, 1);
	atr_identity_expire(m, 600000);
	assert_int_equal(atr_identity_find(m, 1, uuid, digest, &same), ATR_IDENTITY_NEW);
	atr_identity_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_a_list),
		cmocka_unit_test(capacity_is_reached),
		cmocka_unit_test(pending_is_kept),
	};

	return cmocka_run_group_tests(tests, boot, NULL);
}
