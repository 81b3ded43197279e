/* SPDX-License-Identifier: BSD-3-Clause */
/* Input: a datagram. Whatever parses as JSON has a canonical form that parses to an equal value and
 * is its own canonical form; whatever parses as an envelope can be signed over. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/envelope/envelope.h"
#include "../../lib/reason/reason.h"

/* A number's canonical text may be twelve times as long as what was read ("1e20"). */
#define CANONICAL_SIZE (16 * ATR_JSON_BYTES_MAX)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct atr_json_parser *parsers[2];
static char canonical[CANONICAL_SIZE], again[CANONICAL_SIZE];
static uint8_t signed_bytes[CANONICAL_SIZE];

static void require(int condition)
{
	if (!condition)
		abort();
}

static void check_json(const struct atr_json *root, const char *text, size_t size)
{
	const struct atr_json *twin;
	int length = atr_json_canonical(root, NULL, canonical, sizeof(canonical));
	uint8_t reason;

	require(length > 0);
	require(atr_json_is_canonical(root, canonical, (size_t)length));
	require(atr_json_is_canonical(root, text, size) ==
		((size_t)length == size && memcmp(text, canonical, size) == 0));
	reason = atr_json_parse(parsers[1], canonical, (size_t)length, &twin, NULL);
	/* 1e20 is I-JSON, the same integer written out is beyond 2^53-1; and it may be too long. */
	if (reason == ATR_REASON_JSON_NUMBER || reason == ATR_REASON_JSON_SIZE)
		return;
	require(reason == ATR_OK);
	require(atr_json_equal(root, twin));
	require(atr_json_canonical(twin, NULL, again, sizeof(again)) == length);
	require(memcmp(canonical, again, (size_t)length) == 0);
}

static void check_envelope(const struct atr_envelope *envelope, const char *text, size_t size)
{
	uint8_t reason = atr_envelope_canonical(envelope, text, size);
	int length = atr_envelope_signed_bytes(envelope, 1, signed_bytes, sizeof(signed_bytes));
	char id[37], time[32];
	uint64_t ns;
	uint8_t uuid[16];

	require(reason == ATR_OK || reason == ATR_REASON_ENVELOPE_NOT_CANONICAL);
	require(length > ATR_ENVELOPE_PREFIX_SIZE);
	/* Prefix and realm come to less than the signature member that is left out. */
	if (reason == ATR_OK)
		require((size_t)length < size);
	atr_uuid_format(envelope->uuid, id);
	require(atr_uuid7_parse(id, strlen(id), uuid) == 0);
	require(memcmp(uuid, envelope->uuid, sizeof(uuid)) == 0);
	require(atr_time_parse(time, (size_t)atr_time_format(envelope->timestamp_ns, time), &ns) ==
		0);
	require(ns == envelope->timestamp_ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct atr_envelope envelope;
	const struct atr_json *root;
	char *text = malloc(size ? size : 1);
	size_t offset = 0;

	for (int i = 0; i < 2; i++)
		if (!parsers[i])
			parsers[i] = atr_json_parser_create();
	require(text && parsers[0] && parsers[1]);
	if (size > 0)
		memcpy(text, data, size);
	if (atr_json_parse(parsers[0], text, size, &root, &offset) == ATR_OK)
		check_json(root, text, size);
	else
		require(offset <= size);
	if (atr_envelope_parse(parsers[0], text, size, &envelope) == ATR_OK)
		check_envelope(&envelope, text, size);
	free(text);
	return 0;
}
