/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/sign/sign.h"

#define KEY  ATR_PUBLIC_KEY_SIZE
#define SIG  ATR_SIG_SIZE
#define SIGN 0x80 /* of x, in an encoded point's last byte */

/* RFC 8032, 7.1. */
static const struct {
	const char *seed, *key, *message, *signature;
} rfc8032[] = {
	{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
	 "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
	 "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
	 "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
	{"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
	 "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
	 "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
	 "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
	{"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
	 "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
	 "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
	 "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
	{"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
	 "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
	 "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
	 "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
	 "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
	 "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"},
};

/* y coordinates (sign bit clear) of the eight points of small order: 0 (order 4, twice), 1, p-1
 * (order 2) and two of order 8 with either sign. */
static const char *const small_order[] = {
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
};
#define SMALL_ORDER (sizeof(small_order) / sizeof(small_order[0]))

/* L, little-endian. */
static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
				  0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
				  0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};

static const uint8_t message[] = "one kind of thing";

static void from_hex(const char *hex, uint8_t *out, size_t size)
{
	assert_int_equal(atr_hex_decode(hex, strlen(hex), out, size), 0);
}

static struct atr_signer *fixed_signer(uint8_t key[KEY], uint8_t signature[SIG])
{
	uint8_t seed[ATR_SEED_SIZE];
	struct atr_signer *signer;

	from_hex(rfc8032[0].seed, seed, sizeof(seed));
	signer = atr_signer_from_seed(seed);
	assert_non_null(signer);
	atr_signer_public(signer, key);
	atr_signer_sign(signer, message, sizeof(message), signature);
	return signer;
}

/* Invariant: keys and signatures are those of RFC 8032. */
static void rfc8032_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rfc8032) / sizeof(rfc8032[0]); i++) {
		uint8_t seed[ATR_SEED_SIZE], key[KEY], got_key[KEY], sig[SIG], got[SIG], text[64];
		size_t length = strlen(rfc8032[i].message) / 2;
		struct atr_signer *signer;

		from_hex(rfc8032[i].seed, seed, sizeof(seed));
		from_hex(rfc8032[i].key, key, sizeof(key));
		from_hex(rfc8032[i].message, text, length);
		from_hex(rfc8032[i].signature, sig, sizeof(sig));
		signer = atr_signer_from_seed(seed);
		assert_non_null(signer);
		atr_signer_public(signer, got_key);
		assert_memory_equal(got_key, key, KEY);
		atr_signer_sign(signer, text, length, got);
		assert_memory_equal(got, sig, SIG);
		assert_true(atr_public_key_ok(key));
		assert_true(atr_verify(key, text, length, sig));
		atr_signer_free(signer);
	}
}

/* Invariant: any one bit changed in message, key or signature is refused. */
static void tampering_is_refused(void **state)
{
	uint8_t key[KEY], sig[SIG], text[sizeof(message)];
	struct atr_signer *signer = fixed_signer(key, sig);

	(void)state;
	memcpy(text, message, sizeof(text));
	assert_true(atr_verify(key, text, sizeof(text), sig));
	for (size_t bit = 0; bit < 8 * sizeof(text); bit++) {
		text[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_false(atr_verify(key, text, sizeof(text), sig));
		text[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * sizeof(sig); bit++) {
		sig[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_false(atr_verify(key, text, sizeof(text), sig));
		sig[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * sizeof(key); bit++) {
		key[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_false(atr_verify(key, text, sizeof(text), sig));
		key[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	assert_false(atr_verify(key, text, sizeof(text) - 1, sig));
	assert_true(atr_verify(key, text, sizeof(text), sig));
	atr_signer_free(signer);
}

/* Invariant: S is below L; S + L, which satisfies the same equation, is refused. */
static void malleated_signature_is_refused(void **state)
{
	uint8_t key[KEY], sig[SIG];
	struct atr_signer *signer = fixed_signer(key, sig);

	(void)state;
	for (unsigned int times = 1; times < 8; times++) {
		unsigned int carry = 0;

		for (size_t i = 0; i < 32; i++) {
			carry += (unsigned int)sig[32 + i] + order[i];
			sig[32 + i] = (uint8_t)carry;
			carry >>= 8;
		}
		assert_false(atr_verify(key, message, sizeof(message), sig));
	}
	atr_signer_free(signer);
}

/* h = SHA-512(R || A || M) mod L */
static void challenge(const uint8_t *r, const uint8_t *a, const uint8_t *text, size_t length,
		      uint8_t h[32])
{
	crypto_hash_sha512_state hash;
	uint8_t wide[64];

	crypto_hash_sha512_init(&hash);
	crypto_hash_sha512_update(&hash, r, 32);
	crypto_hash_sha512_update(&hash, a, 32);
	crypto_hash_sha512_update(&hash, text, length);
	crypto_hash_sha512_final(&hash, wide);
	crypto_core_ed25519_scalar_reduce(h, wide);
}

/* Invariant: a key of small order is refused by both functions, although signatures that satisfy
 * the equation exist for it: with A the neutral element, R = [S]B fits every message. */
static void small_order_keys_are_refused(void **state)
{
	uint8_t one[32] = {1}, sig[SIG] = {0};

	(void)state;
	crypto_scalarmult_ed25519_base_noclamp(sig, one);
	sig[32] = 1;
	for (size_t i = 0; i < SMALL_ORDER; i++) {
		for (unsigned int sign = 0; sign < 2; sign++) {
			uint8_t key[KEY];

			from_hex(small_order[i], key, KEY);
			key[KEY - 1] |= (uint8_t)(sign * SIGN);
			assert_false(atr_public_key_ok(key));
			assert_false(atr_verify(key, message, sizeof(message), sig));
		}
	}
}

/* Invariant: an R of small order is refused, although S can be made to fit it: with R the neutral
 * element, S = h * a satisfies [S]B = R + [h]A. */
static void small_order_r_is_refused(void **state)
{
	uint8_t seed[ATR_SEED_SIZE], key[KEY], own[SIG], expanded[64], a[32], wide[64] = {0};
	struct atr_signer *signer = fixed_signer(key, own);

	(void)state;
	from_hex(rfc8032[0].seed, seed, sizeof(seed));
	crypto_hash_sha512(expanded, seed, sizeof(seed));
	expanded[0] &= 248;
	expanded[31] = (expanded[31] & 127) | 64;
	memcpy(wide, expanded, 32);
	crypto_core_ed25519_scalar_reduce(a, wide);
	for (size_t i = 0; i < SMALL_ORDER; i++) {
		for (unsigned int sign = 0; sign < 2; sign++) {
			uint8_t sig[SIG], h[32], left[32], right[32];

			from_hex(small_order[i], sig, 32);
			sig[31] |= (uint8_t)(sign * SIGN);
			challenge(sig, key, message, sizeof(message), h);
			crypto_core_ed25519_scalar_mul(sig + 32, h, a);
			assert_false(atr_verify(key, message, sizeof(message), sig));
			/* For the neutral element the equation does hold: [S]B == [h]A. */
			crypto_scalarmult_ed25519_base_noclamp(left, sig + 32);
			assert_int_equal(crypto_scalarmult_ed25519_noclamp(right, h, key), 0);
			assert_memory_equal(left, right, 32);
		}
	}
	atr_signer_free(signer);
}

/* Invariant: y >= p is no encoding, neither of keys nor of R. There are 19 such y, each with two
 * signs. */
static void non_canonical_encodings_are_refused(void **state)
{
	uint8_t key[KEY], sig[SIG], bytes[32];
	struct atr_signer *signer = fixed_signer(key, sig);

	(void)state;
	for (unsigned int low = 0xed; low <= 0xff; low++) {
		for (unsigned int sign = 0; sign < 2; sign++) {
			uint8_t forged[SIG];

			memset(bytes, 0xff, sizeof(bytes));
			bytes[0] = (uint8_t)low;
			bytes[31] = sign ? 0xff : 0x7f;
			assert_false(atr_public_key_ok(bytes));
			assert_false(atr_verify(bytes, message, sizeof(message), sig));
			memcpy(forged, sig, sizeof(forged));
			memcpy(forged, bytes, sizeof(bytes));
			assert_false(atr_verify(key, message, sizeof(message), forged));
		}
	}
	atr_signer_free(signer);
}

/* Invariant: keys with a small-order part are no plan keys: A + T for every T of small order but
 * the neutral element, order 2 included, for many A. */
static void mixed_order_keys_are_refused(void **state)
{
	unsigned int mixed = 0;

	(void)state;
	for (unsigned int round = 0; round < 20; round++) {
		struct atr_signer *signer = atr_signer_generate();
		uint8_t key[KEY];

		assert_non_null(signer);
		atr_signer_public(signer, key);
		assert_true(atr_public_key_ok(key));
		for (size_t i = 0; i < SMALL_ORDER; i++) {
			for (unsigned int sign = 0; sign < 2; sign++) {
				uint8_t torsion[32], sum[32];

				from_hex(small_order[i], torsion, 32);
				torsion[31] |= (uint8_t)(sign * SIGN);
				if (crypto_core_ed25519_add(sum, key, torsion) != 0 ||
				    memcmp(sum, key, sizeof(sum)) == 0)
					continue;
				mixed++;
				assert_false(atr_public_key_ok(sum));
			}
		}
		atr_signer_free(signer);
	}
	/* At least the points of orders 2, 4 and 8 must have been met, or nothing was tested. */
	assert_true(mixed >= 20 * 7);
}

/* Invariant: bytes that are no point are no key. About half of all y have no x. */
static void points_off_the_curve_are_refused(void **state)
{
	unsigned int refused = 0;

	(void)state;
	for (unsigned int y = 2; y < 200; y++) {
		uint8_t key[KEY] = {0};

		key[0] = (uint8_t)y;
		refused += !atr_public_key_ok(key);
	}
	assert_true(refused > 100);
}

/* Invariant: generated keys differ, and each verifies its own signatures only. */
static void generated_keys(void **state)
{
	struct atr_signer *a = atr_signer_generate(), *b = atr_signer_generate();
	uint8_t key_a[KEY], key_b[KEY], sig[SIG];

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	atr_signer_public(a, key_a);
	atr_signer_public(b, key_b);
	assert_memory_not_equal(key_a, key_b, KEY);
	atr_signer_sign(a, NULL, 0, sig);
	assert_true(atr_verify(key_a, NULL, 0, sig));
	assert_false(atr_verify(key_b, NULL, 0, sig));
	atr_signer_free(a);
	atr_signer_free(b);
	atr_signer_free(NULL);
}

/* Invariant: hex is lowercase, of exact length, and reads back. */
static void hex_round_trips(void **state)
{
	char text[2 * 256 + 1];
	uint8_t bytes[256], back[256], one;

	(void)state;
	for (unsigned int i = 0; i < 256; i++)
		bytes[i] = (uint8_t)i;
	atr_hex_encode(bytes, sizeof(bytes), text);
	assert_int_equal(strlen(text), 512);
	assert_memory_equal(text, "000102030405060708090a0b0c0d0e0f10", 34);
	assert_int_equal(atr_hex_decode(text, 512, back, 256), 0);
	assert_memory_equal(back, bytes, 256);
	assert_int_equal(atr_hex_decode(text, 511, back, 256), -EINVAL);
	assert_int_equal(atr_hex_decode(text, 510, back, 256), -EINVAL);
	assert_int_equal(atr_hex_decode(text, 512, back, 255), -EINVAL);
	assert_int_equal(atr_hex_decode(text, 0, back, 0), 0);
	for (int c = 0; c < 256; c++) {
		char high[2] = {(char)c, '0'}, low[2] = {'0', (char)c};
		int ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ? 0 : -EINVAL;

		assert_int_equal(atr_hex_decode(high, 2, &one, 1), ok);
		assert_int_equal(atr_hex_decode(low, 2, &one, 1), ok);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc8032_vectors),
		cmocka_unit_test(tampering_is_refused),
		cmocka_unit_test(malleated_signature_is_refused),
		cmocka_unit_test(small_order_keys_are_refused),
		cmocka_unit_test(small_order_r_is_refused),
		cmocka_unit_test(non_canonical_encodings_are_refused),
		cmocka_unit_test(mixed_order_keys_are_refused),
		cmocka_unit_test(points_off_the_curve_are_refused),
		cmocka_unit_test(generated_keys),
		cmocka_unit_test(hex_round_trips),
	};

	if (atr_sign_init() < 0) {
		fprintf(stderr, "libsodium does not start\n");
		return 2;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
