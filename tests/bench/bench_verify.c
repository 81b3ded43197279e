/* SPDX-License-Identifier: BSD-3-Clause */
/* Ed25519 verification by libsodium, as the appliance does it, and by OpenSSL's libcrypto, over the
 * same messages and signatures, pass by pass in turn. OpenSSL accepts encodings that the rule of
 * lib/sign refuses, so that it could not stand in alone. Medians over the passes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "../../lib/sign/sign.h"

#define SIGNATURES  1000
#define PASSES      31
#define MESSAGE_MAX 1024

enum library { LIBSODIUM, OPENSSL, LIBRARIES };

static uint8_t message[SIGNATURES][MESSAGE_MAX], signature[SIGNATURES][ATR_SIG_SIZE];
static uint8_t public_key[ATR_PUBLIC_KEY_SIZE];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void fail(const char *what)
{
	fprintf(stderr, "bench_verify: %s\n", what);
	exit(1);
}

static double by_libsodium(size_t length)
{
	double begin = now();

	for (unsigned int i = 0; i < SIGNATURES; i++)
		if (!atr_verify(public_key, message[i], length, signature[i]))
			fail("libsodium refuses a good signature");
	return now() - begin;
}

/* The key is made once, as a plan's would be. */
static double by_openssl(EVP_PKEY *key, size_t length)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	double begin = now();

	for (unsigned int i = 0; i < SIGNATURES; i++)
		if (!context || EVP_MD_CTX_reset(context) != 1 ||
		    EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) != 1 ||
		    EVP_DigestVerify(context, signature[i], ATR_SIG_SIZE, message[i], length) != 1)
			fail("OpenSSL refuses a good signature");
	begin = now() - begin;
	EVP_MD_CTX_free(context);
	return begin;
}

static int by_value(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;

	return (a > b) - (a < b);
}

static void measure(const struct atr_signer *signer, EVP_PKEY *key, size_t length)
{
	static const char *const names[LIBRARIES] = {"libsodium", "OpenSSL"};
	double us[LIBRARIES][PASSES];

	for (unsigned int i = 0; i < SIGNATURES; i++) {
		memcpy(message[i], &i, sizeof(i));
		atr_signer_sign(signer, message[i], length, signature[i]);
	}
	for (unsigned int p = 0; p < PASSES; p++) {
		us[LIBSODIUM][p] = by_libsodium(length) * 1e6 / SIGNATURES;
		us[OPENSSL][p] = by_openssl(key, length) * 1e6 / SIGNATURES;
	}
	for (unsigned int l = 0; l < LIBRARIES; l++) {
		qsort(us[l], PASSES, sizeof(us[l][0]), by_value);
		printf("%-9s %4zu bytes: %.1f us (%.1f to %.1f, %d passes)\n", names[l], length,
		       us[l][PASSES / 2], us[l][0], us[l][PASSES - 1], PASSES);
	}
}

int main(void)
{
	static const size_t lengths[] = {64, 256, MESSAGE_MAX};
	struct atr_signer *signer;
	EVP_PKEY *key;

	if (atr_sign_init() < 0 || !(signer = atr_signer_generate()))
		fail("libsodium does not start");
	atr_signer_public(signer, public_key);
	key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, sizeof(public_key));
	if (!key)
		fail("OpenSSL refuses the key");
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		measure(signer, key, lengths[i]);
	EVP_PKEY_free(key);
	atr_signer_free(signer);
	return 0;
}
