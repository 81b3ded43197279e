/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

#include "../../../lib/hash/hash.h"
#include "../../../lib/hash/hash_internal.h"

#define LENGTH_MAX  9000
#define POOL_BYTES  (LENGTH_MAX + 64)
#define ALL_SHORT   301 /* lengths 0..300 */
#define SIMD_WIDEST 512

static struct atr_hash *new_engine(unsigned int max_bits)
{
	char error[256] = "";
	struct atr_hash *hash = atr_hash_create(0, max_bits, error, sizeof(error));

	if (!hash)
		fail_msg("%s", error);
	return hash;
}

struct burst {
	const uint8_t *data[ATR_HASH_BURST_MAX];
	uint32_t length[ATR_HASH_BURST_MAX];
	uint8_t out[ATR_HASH_BURST_MAX + 1][ATR_HASH_BYTES];
};

/* Hashes a burst and compares every digest with libsodium's; nothing is written behind the last. */
static void check_burst(struct atr_hash *hash, struct burst *b, unsigned int count)
{
	uint8_t expected[ATR_HASH_BYTES];

	memset(b->out, 0xA5, sizeof(b->out));
	atr_hash_burst(hash, b->data, b->length, b->out, count);
	for (unsigned int i = 0; i < count; i++) {
		crypto_hash_sha256(expected, b->data[i], b->length[i]);
		assert_memory_equal(b->out[i], expected, ATR_HASH_BYTES);
	}
	memset(expected, 0xA5, sizeof(expected));
	assert_memory_equal(b->out[count], expected, ATR_HASH_BYTES);
}

static void check_engine(struct atr_hash *hash)
{
	uint8_t *pool = malloc(POOL_BYTES);
	struct burst *b = malloc(sizeof(*b));

	assert_non_null(pool);
	assert_non_null(b);
	randombytes_buf(pool, POOL_BYTES);

	for (uint32_t length = 0; length < ALL_SHORT; length++) {
		b->data[0] = pool + length % 64;
		b->length[0] = length;
		check_burst(hash, b, 1);
	}
	/* Every burst size, lengths 0..300 running through, at every alignment. */
	for (unsigned int count = 1; count <= ATR_HASH_BURST_MAX; count++) {
		for (unsigned int i = 0; i < count; i++) {
			b->data[i] = pool + (i * 7 + count) % 64;
			b->length[i] = (count * 13 + i) % ALL_SHORT;
		}
		check_burst(hash, b, count);
	}
	for (unsigned int round = 0; round < 60; round++) {
		unsigned int count = 1 + randombytes_uniform(40);

		for (unsigned int i = 0; i < count; i++) {
			b->length[i] = randombytes_uniform(LENGTH_MAX + 1);
			b->data[i] = pool + randombytes_uniform(POOL_BYTES - b->length[i]);
		}
		check_burst(hash, b, count);
	}
	free(b);
	free(pool);
}

/* Invariant: the engine as measured is SHA-256, at every length, alignment and burst size. */
static void measured_engine_is_sha256(void **state)
{
	struct atr_hash *hash = new_engine(SIMD_WIDEST);

	(void)state;
	check_engine(hash);
	atr_hash_free(hash);
}

/* Invariant: so is every manager alone, whatever the measurement would have preferred. */
static void every_manager_is_sha256(void **state)
{
	struct atr_hash *hash = new_engine(SIMD_WIDEST);
	unsigned int forced = 0;

	(void)state;
	for (unsigned int m = 0; m < HASH_MANAGERS; m++) {
		if (!hash->manager[m])
			continue;
		hash_force(hash, m);
		check_engine(hash);
		forced++;
	}
	assert_true(forced >= 1);
	print_message("%u managers\n", forced);
	atr_hash_free(hash);
}

/* Invariant: a node is SHA-256(0x01 || left || right), and out may alias an input. */
static void node_is_rfc6962(void **state)
{
	struct atr_hash *hash = new_engine(SIMD_WIDEST);
	uint8_t bytes[65], out[32], expected[32];

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		randombytes_buf(bytes, sizeof(bytes));
		bytes[0] = 1;
		crypto_hash_sha256(expected, bytes, sizeof(bytes));
		atr_hash_node(hash, bytes + 1, bytes + 33, out);
		assert_memory_equal(out, expected, 32);
		atr_hash_node(hash, bytes + 1, bytes + 33, bytes + 33);
		assert_memory_equal(bytes + 33, expected, 32);
	}
	atr_hash_free(hash);
}

/* Invariant: a manager wider than max_bits is never there, so it can never be chosen. */
static void width_is_respected(void **state)
{
	static const unsigned int bits[] = {64, 128, 256, 512};

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		struct atr_hash *hash = new_engine(bits[i]);
		struct atr_hash_choice choice[16];

		assert_true(bits[i] >= 512 || !hash->manager[3]);
		assert_true(bits[i] >= 256 || !hash->manager[2]);
		assert_int_equal(atr_hash_choices(hash, choice, 16), HASH_SIZES);
		for (unsigned int s = 0; s < HASH_SIZES; s++) {
			assert_int_equal(choice[s].burst, 1u << s);
			assert_true(choice[s].ns_per_buffer > 0);
			if (bits[i] < 512)
				assert_string_not_equal(choice[s].manager, "avx512");
			if (bits[i] < 256)
				assert_string_not_equal(choice[s].manager, "avx2");
		}
		assert_int_equal(atr_hash_choices(hash, choice, 3), 3);
		atr_hash_free(hash);
	}
}

/* Invariant: the cheapest manager is chosen at each size, and a burst that would pay for empty
 * lanes is split instead. Costs are given, not measured, so that the outcome is known. */
static void choice_follows_the_costs(void **state)
{
	struct atr_hash *hash = new_engine(SIMD_WIDEST);
	unsigned int serial = HASH_MANAGERS, wide = HASH_MANAGERS;

	(void)state;
	for (unsigned int m = 0; m < HASH_MANAGERS; m++) {
		if (!hash->manager[m])
			continue;
		serial = serial == HASH_MANAGERS ? m : serial;
		wide = m;
		for (unsigned int s = 0; s < HASH_SIZES; s++)
			hash->ns[HASH_LONG][m][s] = 1e6;
	}
	if (wide == serial)
		skip();
	/* serial: 100 ns a buffer; wide: 16 lanes, 800 ns for as many or fewer. */
	for (unsigned int s = 0; s < HASH_SIZES; s++) {
		hash->ns[HASH_LONG][serial][s] = 100;
		hash->ns[HASH_LONG][wide][s] = s < 4 ? 800.0 / (1u << s) : 50;
	}
	hash_choose(hash);
	assert_int_equal(hash->lone[HASH_LONG], serial);
	assert_int_equal(hash->step[HASH_LONG][1].manager, serial);
	assert_int_equal(hash->step[HASH_LONG][4].manager, serial);
	assert_int_equal(hash->step[HASH_LONG][15].manager, wide);
	assert_int_equal(hash->step[HASH_LONG][15].take_less_1 + 1, 15);
	assert_int_equal(hash->step[HASH_LONG][16].manager, wide);
	/* 17 = 16 wide and 1 serial, in whichever order. */
	assert_int_not_equal(hash->step[HASH_LONG][17].take_less_1 + 1, 17);
	check_engine(hash);
	atr_hash_free(hash);
}

/* Invariant: engines do not share state: interleaved use gives the digests of separate use. */
static void engines_are_independent(void **state)
{
	struct atr_hash *a = new_engine(SIMD_WIDEST), *b = new_engine(256);

	(void)state;
	check_engine(a);
	check_engine(b);
	atr_hash_free(a);
	check_engine(b);
	atr_hash_free(b);
	atr_hash_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(measured_engine_is_sha256),
		cmocka_unit_test(every_manager_is_sha256),
		cmocka_unit_test(node_is_rfc6962),
		cmocka_unit_test(width_is_respected),
		cmocka_unit_test(choice_follows_the_costs),
		cmocka_unit_test(engines_are_independent),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
