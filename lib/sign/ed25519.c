/* SPDX-License-Identifier: BSD-3-Clause */
#include "signer.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

_Static_assert(ATR_PUBLIC_KEY_SIZE == crypto_sign_PUBLICKEYBYTES, "public key");
_Static_assert(ATR_SIG_SIZE == crypto_sign_BYTES, "signature");
_Static_assert(ATR_SEED_SIZE == crypto_sign_SEEDBYTES, "seed");
_Static_assert(ATR_SECRET_KEY_SIZE == crypto_sign_SECRETKEYBYTES, "secret key");

#define SIGN_BIT 0x80 /* of x, in the last byte of an encoded point */

/* L - 1, little-endian; L is the order of the prime-order subgroup. */
static const uint8_t order_minus_one[crypto_core_ed25519_SCALARBYTES] = {
	0xec, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
	0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
	0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};

int atr_sign_init(void)
{
	return sodium_init() < 0 ? -EIO : 0;
}

/* [L-1]P == -P, which holds exactly in the prime-order subgroup. libsodium's own test has looked at
 * one coordinate of [L]P only, and let points through whose small-order part has order 2; not every
 * build has that corrected. */
static bool in_prime_order_subgroup(const uint8_t point[ATR_PUBLIC_KEY_SIZE])
{
	uint8_t negated[ATR_PUBLIC_KEY_SIZE], product[ATR_PUBLIC_KEY_SIZE];

	if (crypto_scalarmult_ed25519_noclamp(product, order_minus_one, point) != 0)
		return false;
	memcpy(negated, point, sizeof(negated));
	negated[ATR_PUBLIC_KEY_SIZE - 1] ^= SIGN_BIT;
	return memcmp(product, negated, sizeof(product)) == 0;
}

bool atr_public_key_ok(const uint8_t key[ATR_PUBLIC_KEY_SIZE])
{
	return crypto_core_ed25519_is_valid_point(key) == 1 && in_prime_order_subgroup(key);
}

bool atr_verify(const uint8_t key[ATR_PUBLIC_KEY_SIZE], const uint8_t *message, size_t length,
		const uint8_t signature[ATR_SIG_SIZE])
{
	/* libsodium checks S < L, refuses non-canonical and small-order keys and small-order R, and
	 * compares R as bytes, so that a non-canonical R never matches. */
	return crypto_sign_verify_detached(signature, message, length, key) == 0;
}

static struct atr_signer *signer_alloc(void)
{
	struct atr_signer *signer = sodium_malloc(sizeof(*signer));

	if (!signer && errno == 0)
		errno = ENOMEM;
	return signer;
}

struct atr_signer *atr_signer_generate(void)
{
	struct atr_signer *signer = signer_alloc();
	uint8_t public_key[ATR_PUBLIC_KEY_SIZE];

	if (!signer)
		return NULL;
	crypto_sign_keypair(public_key, signer->secret);
	sodium_mprotect_readonly(signer);
	return signer;
}

struct atr_signer *atr_signer_from_seed(const uint8_t seed[ATR_SEED_SIZE])
{
	struct atr_signer *signer = signer_alloc();
	uint8_t public_key[ATR_PUBLIC_KEY_SIZE];

	if (!signer)
		return NULL;
	crypto_sign_seed_keypair(public_key, signer->secret, seed);
	sodium_mprotect_readonly(signer);
	return signer;
}

void atr_signer_free(struct atr_signer *signer)
{
	sodium_free(signer);
}

void atr_signer_public(const struct atr_signer *signer, uint8_t out[ATR_PUBLIC_KEY_SIZE])
{
	crypto_sign_ed25519_sk_to_pk(out, signer->secret);
}

void atr_signer_sign(const struct atr_signer *signer, const uint8_t *message, size_t length,
		     uint8_t out[ATR_SIG_SIZE])
{
	crypto_sign_detached(out, NULL, message, length, signer->secret);
}
