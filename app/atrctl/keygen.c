/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/sign/sign.h"
#include "command.h"
#include "option.h"

#define ERROR_SIZE 512

static const struct usage usage = {
	"keygen (--out FILE [--from-phrase TEXT] | --public FILE)",
	"Makes a new Ed25519 key file of mode 0600 and prints its public key, which goes\n"
	"into the plan. An existing file is never overwritten. The private key is never\n"
	"printed; whoever has the file can sign in the source's name.",
	"  atrctl keygen --out ci.key          new random key; prints its public key\n"
	"  atrctl keygen --public ci.key       public key of an existing file\n"
	"  atrctl keygen --out demo.key --from-phrase 'atr demo source ci'",
};

static void print_public(const struct atr_signer *signer)
{
	uint8_t key[ATR_PUBLIC_KEY_SIZE];
	char hex[2 * ATR_PUBLIC_KEY_SIZE + 1];

	atr_signer_public(signer, key);
	atr_hex_encode(key, sizeof(key), hex);
	puts(hex);
}

static int show_public(const char *path)
{
	char error[ERROR_SIZE];
	struct atr_signer *signer = atr_signer_load(path, error, sizeof(error));

	if (!signer)
		return usage_error("keygen", "%s", error);
	print_public(signer);
	atr_signer_free(signer);
	return EXIT_OK;
}

static struct atr_signer *signer_from_phrase(const char *phrase)
{
	uint8_t seed[crypto_hash_sha256_BYTES];
	struct atr_signer *signer;

	_Static_assert(sizeof(seed) == ATR_SEED_SIZE, "a SHA-256 digest is a seed");
	crypto_hash_sha256(seed, (const uint8_t *)phrase, strlen(phrase));
	signer = atr_signer_from_seed(seed);
	sodium_memzero(seed, sizeof(seed));
	return signer;
}

int cmd_keygen(int argc, char **argv)
{
	const char *out = NULL, *public = NULL, *phrase = NULL;
	const struct option table[] = {
		{"--out", "FILE", "new key file to write (mode 0600)", OPTION_STRING, &out, 0, 0},
		{"--public", "FILE", "print the public key of this key file", OPTION_STRING,
		 &public, 0, 0},
		{"--from-phrase", "TEXT",
		 "seed = SHA-256 of TEXT: for demonstration only, as anybody\n"
		 "who knows the text has the key",
		 OPTION_STRING, &phrase, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	struct atr_signer *signer;
	char error[ERROR_SIZE];
	int err = options_parse(&usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (!out == !public || (public && phrase))
		return usage_error("keygen", "give either --out FILE or --public FILE");
	if (public)
		return show_public(public);
	signer = phrase ? signer_from_phrase(phrase) : atr_signer_generate();
	if (!signer)
		return usage_error("keygen", "no locked memory for the key: %s; raise 'ulimit -l'",
				   strerror(errno));
	err = atr_signer_save(signer, out, error, sizeof(error));
	if (err) {
		atr_signer_free(signer);
		return usage_error("keygen", "%s", error);
	}
	print_public(signer);
	if (phrase)
		fputs("atrctl keygen: this key is for demonstration only: whoever knows the phrase "
		      "has it\n",
		      stderr);
	atr_signer_free(signer);
	return EXIT_OK;
}
