/* SPDX-License-Identifier: BSD-3-Clause */
#include "tlog.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define KEY_ID_SIZE    4
#define ALGORITHM      0x01            /* Ed25519, in signed notes */
#define SIGNATURE_LEAD "\xe2\x80\x94 " /* em dash and a space begin a signature line */
#define LEAD_SIZE      (sizeof(SIGNATURE_LEAD) - 1)
#define DECIMAL_MAX    20 /* digits of a uint64_t */
#define BASE64_SIZE(n) (((n) + 2) / 3 * 4)
#define BASE64_KIND    sodium_base64_VARIANT_ORIGINAL
#define SIGNED_SIZE    (KEY_ID_SIZE + ATR_SIG_SIZE)

/* Bytes of the UTF-8 sequence at text, which begins no shorter, overlong or surrogate one; else 0.
 */
static size_t utf8_length(const uint8_t *text, size_t left)
{
	size_t n = text[0] < 0x80             ? 1
		   : (text[0] & 0xe0) == 0xc0 ? 2
		   : (text[0] & 0xf0) == 0xe0 ? 3
		   : (text[0] & 0xf8) == 0xf0 ? 4
					      : 0;
	uint32_t point = n == 1 ? text[0] : text[0] & (0x7fu >> n);
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

	if (n == 0 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (text[i] & 0x3f);
	}
	if (point < least[n] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return 0;
	/* C1 controls, and Unicode's spaces, which signed notes forbid in key names. */
	if ((point >= 0x80 && point <= 0xa0) || point == 0x1680 ||
	    (point >= 0x2000 && point <= 0x200a) || point == 0x2028 || point == 0x2029 ||
	    point == 0x202f || point == 0x205f || point == 0x3000)
		return 0;
	return n;
}

/* May be the name of a key: not empty, UTF-8, no space, no plus, no control character. */
static bool name_ok(const char *name, size_t length)
{
	const uint8_t *at = (const uint8_t *)name;

	if (length == 0 || length > ATR_ORIGIN_MAX)
		return false;
	while (length) {
		size_t n = utf8_length(at, length);

		if (n == 0 || at[0] <= ' ' || at[0] == '+' || at[0] == 0x7f)
			return false;
		at += n;
		length -= n;
	}
	return true;
}

static void key_id(const char *name, const uint8_t key[ATR_PUBLIC_KEY_SIZE],
		   uint8_t id[KEY_ID_SIZE])
{
	const uint8_t mark[] = {'\n', ALGORITHM};
	uint8_t digest[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, (const uint8_t *)name, strlen(name));
	crypto_hash_sha256_update(&state, mark, sizeof(mark));
	crypto_hash_sha256_update(&state, key, ATR_PUBLIC_KEY_SIZE);
	crypto_hash_sha256_final(&state, digest);
	memcpy(id, digest, KEY_ID_SIZE);
}

int atr_checkpoint_sign(const struct atr_checkpoint *checkpoint, const struct atr_signer *signer,
			char *out, size_t capacity)
{
	size_t origin = strnlen(checkpoint->origin, sizeof(checkpoint->origin));
	char base64[BASE64_SIZE(SIGNED_SIZE) + 1], note[ATR_CHECKPOINT_MAX + 1];
	uint8_t key[ATR_PUBLIC_KEY_SIZE], blob[SIGNED_SIZE];
	size_t length;
	int body, tail;

	if (!name_ok(checkpoint->origin, origin))
		return -EINVAL;
	sodium_bin2base64(base64, sizeof(base64), checkpoint->root, ATR_MERKLE_HASH, BASE64_KIND);
	body = snprintf(note, sizeof(note), "%s\n%" PRIu64 "\n%s\n", checkpoint->origin,
			checkpoint->size, base64);
	atr_signer_public(signer, key);
	key_id(checkpoint->origin, key, blob);
	atr_signer_sign(signer, (const uint8_t *)note, (size_t)body, blob + KEY_ID_SIZE);
	sodium_bin2base64(base64, sizeof(base64), blob, sizeof(blob), BASE64_KIND);
	tail = snprintf(note + body, sizeof(note) - (size_t)body, "\n" SIGNATURE_LEAD "%s %s\n",
			checkpoint->origin, base64);
	length = (size_t)body + (size_t)tail;
	if (length >= sizeof(note) || length > capacity)
		return -EMSGSIZE;
	memcpy(out, note, length);
	return body + tail;
}

/* The line at *at, without its line feed; NULL if there is none that ends. */
static const char *next_line(const char **at, const char *end, size_t *length)
{
	const char *line = *at;
	const char *feed = memchr(line, '\n', (size_t)(end - line));

	if (!feed)
		return NULL;
	*length = (size_t)(feed - line);
	*at = feed + 1;
	return line;
}

static int read_size(const char *text, size_t length, uint64_t *size)
{
	*size = 0;
	if (length == 0 || length > DECIMAL_MAX || (length > 1 && text[0] == '0'))
		return -EBADMSG;
	for (size_t i = 0; i < length; i++)
		if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(*size, 10, size) ||
		    __builtin_add_overflow(*size, (uint64_t)(text[i] - '0'), size))
			return -EBADMSG;
	return 0;
}

/* Exactly size bytes in canonical base64. */
static int read_base64(const char *text, size_t length, uint8_t *out, size_t size)
{
	char again[BASE64_SIZE(SIGNED_SIZE) + 1];
	size_t got;

	if (length != BASE64_SIZE(size) || length >= sizeof(again) ||
	    sodium_base642bin(out, size, text, length, NULL, &got, NULL, BASE64_KIND) != 0 ||
	    got != size)
		return -EBADMSG;
	sodium_bin2base64(again, sizeof(again), out, size, BASE64_KIND);
	return memcmp(again, text, length) == 0 ? 0 : -EBADMSG;
}

/* Origin, size and root; *at goes behind the empty line that ends the text. */
static int read_text(const char **at, const char *end, struct atr_checkpoint *checkpoint)
{
	size_t length;
	const char *line = next_line(at, end, &length);

	if (!line || !name_ok(line, length))
		return -EBADMSG;
	memcpy(checkpoint->origin, line, length);
	line = next_line(at, end, &length);
	if (!line || read_size(line, length, &checkpoint->size))
		return -EBADMSG;
	line = next_line(at, end, &length);
	if (!line || read_base64(line, length, checkpoint->root, ATR_MERKLE_HASH))
		return -EBADMSG;
	line = next_line(at, end, &length);
	return line && length == 0 ? 0 : -EBADMSG;
}

/* 1 if the signature line is a valid one by key, 0 if it is another's, -EBADMSG if malformed,
 * -EKEYREJECTED if it claims to be by key and is not valid. */
static int check_signature(const char *line, size_t length, const char *note, size_t text,
			   const char *origin, const uint8_t *key)
{
	uint8_t id[KEY_ID_SIZE], blob[SIGNED_SIZE];
	const char *space;
	size_t name;

	if (length < LEAD_SIZE || memcmp(line, SIGNATURE_LEAD, LEAD_SIZE) != 0)
		return -EBADMSG;
	line += LEAD_SIZE;
	length -= LEAD_SIZE;
	space = memchr(line, ' ', length);
	if (!space || !name_ok(line, (size_t)(space - line)))
		return -EBADMSG;
	name = (size_t)(space - line);
	if (name != strlen(origin) || memcmp(line, origin, name) != 0)
		return 0;
	if (read_base64(space + 1, length - name - 1, blob, sizeof(blob)))
		return 0;
	key_id(origin, key, id);
	if (memcmp(id, blob, sizeof(id)) != 0)
		return 0;
	return atr_verify(key, (const uint8_t *)note, text, blob + KEY_ID_SIZE) ? 1 : -EKEYREJECTED;
}

int atr_checkpoint_verify(const char *note, size_t length, const uint8_t key[ATR_PUBLIC_KEY_SIZE],
			  struct atr_checkpoint *checkpoint)
{
	const char *at = note, *end = note + length, *line;
	size_t text, line_length;
	bool good = false;
	int err;

	memset(checkpoint, 0, sizeof(*checkpoint));
	if (length == 0 || length > ATR_CHECKPOINT_MAX)
		return -EBADMSG;
	err = read_text(&at, end, checkpoint);
	if (err)
		return err;
	text = (size_t)(at - note) - 1; /* what is signed ends before the empty line */
	if (at == end)
		return -EBADMSG;
	while (at < end) {
		line = next_line(&at, end, &line_length);
		if (!line)
			return -EBADMSG;
		err = check_signature(line, line_length, note, text, checkpoint->origin, key);
		if (err < 0)
			return err;
		good |= err == 1;
	}
	return good ? 0 : -EKEYREJECTED;
}
