/* SPDX-License-Identifier: BSD-3-Clause */
/* Ed25519 with ATR's acceptance rule, and key files.
 *
 * Acceptance rule (docs/wire-format.md): RFC 8032 verification without cofactor, and in addition
 *   - S < L (no malleated signatures),
 *   - R and the public key are canonically encoded and not of small order,
 *   - public keys in plans lie in the prime-order subgroup.
 *
 * Layer 1: libsodium. Called from the control lcore and tools, never from data lcores. Secrets
 * live in memory from sodium_malloc and are wiped when freed; no function prints them.
 */
#ifndef ATR_SIGN_H
#define ATR_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ATR_PUBLIC_KEY_SIZE 32
#define ATR_SIG_SIZE        64
#define ATR_SEED_SIZE       32

/* Initialises libsodium; call once before anything else here. -EIO if it fails. */
int atr_sign_init(void);

/* True if bytes may be a plan's key: canonical, on the curve, of the prime-order subgroup. */
bool atr_public_key_ok(const uint8_t key[ATR_PUBLIC_KEY_SIZE]);

/* True if signature is valid for message under key, by the acceptance rule. */
bool atr_verify(const uint8_t key[ATR_PUBLIC_KEY_SIZE], const uint8_t *message, size_t length,
		const uint8_t signature[ATR_SIG_SIZE]);

/* A private key; opaque so that nothing copies it by accident. */
struct atr_signer;

/* New random key. NULL when memory cannot be locked away; errno says why. Free with
 * atr_signer_free. */
struct atr_signer *atr_signer_generate(void);

/* Key from a 32-byte seed (test vectors). The caller wipes its own copy. NULL as above. */
struct atr_signer *atr_signer_from_seed(const uint8_t seed[ATR_SEED_SIZE]);

/* Reads a key file: JSON {"atr_key":1,"seed":"<64 hex>"}; regular file owned by the caller, mode
 * without any bit for group or others. NULL on failure, with one sentence naming file and remedy
 * in error (size bytes). Unknown members are refused. */
struct atr_signer *atr_signer_load(const char *path, char *error, size_t size);

/* Writes the key to a new file of mode 0600 (O_EXCL; an existing file is never overwritten), and
 * syncs it. 0 or negative errno with a sentence in error. */
int atr_signer_save(const struct atr_signer *signer, const char *path, char *error, size_t size);

/* Wipes and frees; NULL is allowed. */
void atr_signer_free(struct atr_signer *signer);

/* Copies the public key out. */
void atr_signer_public(const struct atr_signer *signer, uint8_t out[ATR_PUBLIC_KEY_SIZE]);

/* Signs message. */
void atr_signer_sign(const struct atr_signer *signer, const uint8_t *message, size_t length,
		     uint8_t out[ATR_SIG_SIZE]);

/* Lowercase hex of size bytes to out (2 * size + 1 bytes, terminated). */
void atr_hex_encode(const uint8_t *bytes, size_t size, char *out);

/* Exactly 2 * size lowercase hex digits at hex (hex_length of them) to bytes; -EINVAL if not. */
int atr_hex_decode(const char *hex, size_t hex_length, uint8_t *bytes, size_t size);

#endif
