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

#include "../../../lib/tlog/tlog.h"
#include "test_tlog.h"

#define B64 sodium_base64_VARIANT_ORIGINAL

/* The key of the signed note specification's example: its id is c74f20a3. */
static const char example_seed[] = "gQoUAtUUbI2E8kQzMPVAgOv5juF9nHT2JS/F1ccoMXM=";
static const char example_key[] = "GlzZBxQ8OExB6DDFvOEqqIF+xWSaqr8sMTiLNbLXRNY=";

static struct atr_signer *example_signer(uint8_t key[ATR_PUBLIC_KEY_SIZE])
{
	uint8_t seed[ATR_SEED_SIZE], expected[ATR_PUBLIC_KEY_SIZE];
	struct atr_signer *signer;
	size_t got;

	assert_int_equal(sodium_base642bin(seed, sizeof(seed), example_seed, strlen(example_seed),
					   NULL, &got, NULL, B64),
			 0);
	assert_int_equal(sodium_base642bin(expected, sizeof(expected), example_key,
					   strlen(example_key), NULL, &got, NULL, B64),
			 0);
	signer = atr_signer_from_seed(seed);
	assert_non_null(signer);
	atr_signer_public(signer, key);
	assert_memory_equal(key, expected, sizeof(expected));
	return signer;
}

static struct atr_checkpoint sample(const char *origin)
{
	struct atr_checkpoint c = {.size = 20852163};

	snprintf(c.origin, sizeof(c.origin), "%s", origin);
	for (int i = 0; i < ATR_MERKLE_HASH; i++)
		c.root[i] = (uint8_t)(i * 7);
	return c;
}

/* Invariant: the note is, byte for byte, three lines, an empty one, and one signature line whose
 * key id is the specification's own for its example key, and whose signature covers the text. */
void checkpoint_exact(void **state)
{
	uint8_t key[ATR_PUBLIC_KEY_SIZE], secret[64], signature[64], blob[68], seed[32];
	struct atr_signer *signer = example_signer(key);
	struct atr_checkpoint c = sample("PeterNeumann");
	char expected[ATR_CHECKPOINT_MAX], out[ATR_CHECKPOINT_MAX], root[64], sig[128];
	int text, all, got;
	size_t n;

	(void)state;
	sodium_bin2base64(root, sizeof(root), c.root, sizeof(c.root), B64);
	text = snprintf(expected, sizeof(expected), "PeterNeumann\n20852163\n%s\n", root);
	sodium_base642bin(seed, sizeof(seed), example_seed, strlen(example_seed), NULL, &n, NULL,
			  B64);
	crypto_sign_seed_keypair(key, secret, seed);
	crypto_sign_detached(signature, NULL, (const uint8_t *)expected, (size_t)text, secret);
	memcpy(blob, "\xc7\x4f\x20\xa3", 4);
	memcpy(blob + 4, signature, sizeof(signature));
	sodium_bin2base64(sig, sizeof(sig), blob, sizeof(blob), B64);
	all = text + snprintf(expected + text, sizeof(expected) - (size_t)text,
			      "\n\xe2\x80\x94 PeterNeumann %s\n", sig);
	got = atr_checkpoint_sign(&c, signer, out, sizeof(out));
	assert_int_equal(got, all);
	assert_memory_equal(out, expected, (size_t)all);
	assert_int_equal(atr_checkpoint_sign(&c, signer, out, (size_t)all), all);
	assert_int_equal(atr_checkpoint_sign(&c, signer, out, (size_t)all - 1), -EMSGSIZE);
	atr_signer_free(signer);
}

/* Invariant: what is signed verifies and reads back the same; sizes at the ends included; another
 * key's signature beside it disturbs nothing. */
void checkpoint_round_trip(void **state)
{
	static const uint64_t sizes[] = {0, 1, 9, 10, UINT64_MAX};
	uint8_t key[ATR_PUBLIC_KEY_SIZE];
	struct atr_signer *signer = example_signer(key), *other = atr_signer_generate();

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct atr_checkpoint c = sample("atr.example/shard/0"), got;
		char note[2 * ATR_CHECKPOINT_MAX], second[ATR_CHECKPOINT_MAX], *line;
		int n, m;

		c.size = sizes[i];
		n = atr_checkpoint_sign(&c, signer, note, ATR_CHECKPOINT_MAX);
		assert_true(n > 0);
		assert_int_equal(atr_checkpoint_verify(note, (size_t)n, key, &got), 0);
		assert_memory_equal(&got, &c, sizeof(c));
		m = atr_checkpoint_sign(&c, other, second, sizeof(second) - 1);
		assert_int_equal(atr_checkpoint_verify(second, (size_t)m, key, &got),
				 -EKEYREJECTED);
		second[m] = 0;
		line = strstr(second, "\n\n") + 2;
		memcpy(note + n, line, strlen(line));
		assert_int_equal(atr_checkpoint_verify(note, (size_t)n + strlen(line), key, &got),
				 0);
	}
	atr_signer_free(signer);
	atr_signer_free(other);
}

/* Invariant: a note with any one bit flipped, or cut anywhere, does not verify. */
void checkpoint_tampered(void **state)
{
	uint8_t key[ATR_PUBLIC_KEY_SIZE];
	struct atr_signer *signer = example_signer(key);
	struct atr_checkpoint c = sample("atr/shard/3"), got;
	char note[ATR_CHECKPOINT_MAX];
	int n = atr_checkpoint_sign(&c, signer, note, sizeof(note));

	(void)state;
	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		for (int bit = 0; bit < 8; bit++) {
			note[i] ^= (char)(1 << bit);
			assert_true(atr_checkpoint_verify(note, (size_t)n, key, &got) < 0);
			note[i] ^= (char)(1 << bit);
		}
		assert_true(atr_checkpoint_verify(note, (size_t)i, key, &got) < 0);
	}
	assert_int_equal(atr_checkpoint_verify(note, (size_t)n, key, &got), 0);
	atr_signer_free(signer);
}

/* Invariant: other spellings of the same checkpoint are refused as malformed. */
void checkpoint_malformed(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		"a\n1\n",
		"a\n01\nAAAA\n\n",
		"a\n+1\nAAAA\n\n",
		"a\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n\n",
		"a\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
		"a\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n\n\xe2\x80\x94 a AAAA\n",
		"a\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n",
		"a\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nextra\n\n\xe2\x80\x94 a "
		"AAAA\n",
		"a\n18446744073709551616\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n"
		"\xe2\x80\x94 a AAAA\n",
		"a\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n- a AAAA\n",
		"a\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94 a\n",
	};
	uint8_t key[ATR_PUBLIC_KEY_SIZE];
	struct atr_signer *signer = example_signer(key);
	struct atr_checkpoint got;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(atr_checkpoint_verify(texts[i], strlen(texts[i]), key, &got),
				 -EBADMSG);
	atr_signer_free(signer);
}

/* Invariant: an origin that is no key name in the signed note format is never signed. */
void checkpoint_names(void **state)
{
	static const char *const bad[] = {
		"",     "a b",      "a\nb",         "a+b",       "a\tb",         "\x7f",
		"\xff", "\xc0\x80", "\xed\xa0\x80", "a\xc2\xa0", "\xe2\x80\xa8", "\xe2\x82"};
	uint8_t key[ATR_PUBLIC_KEY_SIZE];
	struct atr_signer *signer = example_signer(key);
	char out[ATR_CHECKPOINT_MAX];
	struct atr_checkpoint c, got;
	int n;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		c = sample(bad[i]);
		assert_int_equal(atr_checkpoint_sign(&c, signer, out, sizeof(out)), -EINVAL);
	}
	c = sample("");
	memset(c.origin, 'x', ATR_ORIGIN_MAX);
	n = atr_checkpoint_sign(&c, signer, out, sizeof(out));
	assert_true(n > 0);
	assert_int_equal(atr_checkpoint_verify(out, (size_t)n, key, &got), 0);
	memset(c.origin, 'x', sizeof(c.origin));
	assert_int_equal(atr_checkpoint_sign(&c, signer, out, sizeof(out)), -EINVAL);
	c = sample("\xc3\xa9/shard/0");
	assert_true(atr_checkpoint_sign(&c, signer, out, sizeof(out)) > 0);
	atr_signer_free(signer);
}
