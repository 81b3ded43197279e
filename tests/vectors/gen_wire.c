/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes wire.json, the test vectors of docs/wire-format.md. Deterministic: no time, no randomness.
 *
 *	gen_wire FILE		writes it
 *	gen_wire --check FILE	exit status 0 if FILE holds what would be written
 */
#include "gen_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *gen_hex(const void *bytes, size_t size)
{
	char *text = malloc(2 * size + 1);
	json_t *value;

	if (!text)
		gen_fail("memory", "none left");
	atr_hex_encode(bytes, size, text);
	value = json_string(text);
	free(text);
	return value;
}

json_t *gen_u64(uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return json_string(text);
}

_Noreturn void gen_fail(const char *what, const char *why)
{
	fprintf(stderr, "gen_wire: %s: %s\n", what, why);
	exit(1);
}

static json_t *generate(void)
{
	static struct gen gen;
	uint8_t seed[ATR_SEED_SIZE];
	json_t *root = json_object();

	for (unsigned int i = 0; i < sizeof(seed); i++)
		seed[i] = (uint8_t)i;
	gen.signer = atr_signer_from_seed(seed);
	if (!gen.signer)
		gen_fail("signer", "no memory");
	atr_signer_public(gen.signer, gen.public_key);
	json_object_set_new(
		root, "about",
		json_string("Test vectors of docs/wire-format.md, made by gen_wire. Bytes "
			    "are lowercase hex, 64-bit numbers decimal strings."));
	json_object_set_new(root, "realm", gen_u64(GEN_REALM));
	json_object_set_new(root, "source",
			    json_pack("{si ss si so so}", "id", GEN_SOURCE, "name", "ci", "key",
				      GEN_KEY, "seed", gen_hex(seed, sizeof(seed)), "public_key",
				      gen_hex(gen.public_key, sizeof(gen.public_key))));
	json_object_set_new(root, "topic",
			    json_pack("{si ss}", "id", GEN_TOPIC, "name", "quake.ci"));
	json_object_set_new(root, "type", json_pack("{si ss}", "id", GEN_TYPE, "name", "quake"));
	gen_frames(&gen, root);
	gen_envelopes(&gen, root);
	gen_mold(&gen, root);
	gen_acks(root);
	atr_signer_free(gen.signer);
	return root;
}

static int check(const char *path, const char *text)
{
	size_t length = strlen(text);
	char *old = malloc(length + 2);
	FILE *file = fopen(path, "r");
	size_t n;

	if (!old || !file)
		gen_fail(path, "cannot be read; make it with gen_wire FILE");
	n = fread(old, 1, length + 2, file);
	fclose(file);
	if (n != length + 1 || memcmp(old, text, length) != 0 || old[length] != '\n')
		gen_fail(path, "differs from what gen_wire makes; run it again and read the diff");
	free(old);
	return 0;
}

int main(int argc, char **argv)
{
	int is_check = argc == 3 && strcmp(argv[1], "--check") == 0;
	json_t *root;
	FILE *file;
	char *text;

	if (!is_check && argc != 2) {
		fprintf(stderr, "usage: gen_wire [--check] FILE\n");
		return 2;
	}
	if (atr_sign_init() < 0)
		gen_fail("libsodium", "does not start");
	root = generate();
	text = json_dumps(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII);
	if (!text)
		gen_fail("memory", "none left");
	if (is_check) {
		check(argv[2], text);
	} else {
		file = fopen(argv[1], "w");
		if (!file || fprintf(file, "%s\n", text) < 0 || fclose(file) != 0)
			gen_fail(argv[1], "cannot be written");
	}
	free(text);
	json_decref(root);
	return 0;
}
