/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "../reason/reason.h"
#include "envelope.h"

#define UUID_TEXT_SIZE      37 /* with terminator */
#define TIME_TEXT_SIZE      31
#define SIGNATURE_TEXT_SIZE (2 * ATR_SIG_SIZE + 1)
#define HEADER_COUNT        6
#define ROOT_COUNT          4

/* An envelope under construction as a tree of values. */
struct draft {
	struct atr_json root;
	struct atr_json header, meta, payload, signature;
	struct atr_json fields[HEADER_COUNT];
	char uuid[UUID_TEXT_SIZE];
	char timestamp[TIME_TEXT_SIZE];
	char hex[SIGNATURE_TEXT_SIZE];
};

static void set_name(struct atr_json *value, const char *name)
{
	value->name = name;
	value->name_length = (uint32_t)strlen(name);
}

static void set_string(struct atr_json *value, const char *name, const char *text)
{
	size_t length = strlen(text);

	set_name(value, name);
	value->type = ATR_JSON_STRING;
	value->string = text;
	/* Longer texts are refused when the result is parsed. */
	value->string_length = length < ATR_JSON_BYTES_MAX ? (uint32_t)length : ATR_JSON_BYTES_MAX;
}

/* Members in RFC 8785 order. */
static void fill(struct draft *draft, const struct atr_envelope_spec *spec,
		 const struct atr_json *payload, const struct atr_json *meta)
{
	struct atr_json *f = draft->fields;

	memset(draft, 0, sizeof(*draft));
	atr_uuid_format(spec->uuid, draft->uuid);
	atr_time_format(spec->timestamp_ns, draft->timestamp);
	set_string(&f[0], "id", draft->uuid);
	set_string(&f[1], "source", spec->source);
	set_string(&f[2], "timestamp", draft->timestamp);
	set_string(&f[3], "topic", spec->topic);
	set_string(&f[4], "type", spec->type);
	set_name(&f[5], "version");
	f[5].type = ATR_JSON_NUMBER;
	f[5].number = ATR_ENVELOPE_VERSION;
	for (int i = 1; i < HEADER_COUNT; i++)
		f[i - 1].next = &f[i];
	draft->payload = *payload;
	set_name(&draft->payload, "payload");
	set_string(&draft->signature, "signature", draft->hex);
	set_name(&draft->header, "header");
	draft->header.type = ATR_JSON_OBJECT;
	draft->header.child = &f[0];
	draft->header.count = HEADER_COUNT;
	draft->header.next = &draft->payload;
	if (meta) {
		draft->meta = *meta;
		set_name(&draft->meta, "meta");
		draft->header.next = &draft->meta;
		draft->meta.next = &draft->payload;
	}
	draft->payload.next = &draft->signature;
	draft->root.type = ATR_JSON_OBJECT;
	draft->root.child = &draft->header;
	draft->root.count = meta ? ROOT_COUNT : ROOT_COUNT - 1;
}

/* Writes the signed envelope. The signed bytes are shorter than the envelope, so out holds them
 * before. */
static int sign_and_write(struct draft *draft, uint64_t realm, const struct atr_signer *signer,
			  char *out, size_t capacity)
{
	struct atr_envelope envelope = {.root = &draft->root};
	uint8_t signature[ATR_SIG_SIZE];
	int length = atr_envelope_signed_bytes(&envelope, realm, (uint8_t *)out, capacity);

	if (length < 0)
		return length;
	atr_signer_sign(signer, (const uint8_t *)out, (size_t)length, signature);
	atr_hex_encode(signature, ATR_SIG_SIZE, draft->hex);
	draft->signature.string_length = SIGNATURE_TEXT_SIZE - 1;
	length = atr_json_canonical(&draft->root, NULL, out, capacity - 1);
	if (length >= 0)
		out[length] = '\0';
	return length;
}

static int build(const struct atr_envelope_spec *spec, uint64_t realm,
		 const struct atr_signer *signer, struct atr_json_parser *parser,
		 struct atr_json_parser *meta_parser, char *out, size_t capacity)
{
	const struct atr_json *payload, *meta = NULL;
	struct atr_envelope envelope;
	struct draft draft;
	int length;

	if (atr_json_parse(parser, spec->payload, strlen(spec->payload), &payload, NULL) != ATR_OK)
		return -EINVAL;
	if (spec->meta &&
	    atr_json_parse(meta_parser, spec->meta, strlen(spec->meta), &meta, NULL) != ATR_OK)
		return -EINVAL;
	fill(&draft, spec, payload, meta);
	length = sign_and_write(&draft, realm, signer, out, capacity);
	/* Names, depth and size are judged by the same rules as on the other side. */
	if (length >= 0 && atr_envelope_parse(parser, out, (size_t)length, &envelope) != ATR_OK)
		return -EINVAL;
	return length;
}

int atr_envelope_build(const struct atr_envelope_spec *spec, uint64_t realm,
		       const struct atr_signer *signer, char *out, size_t capacity)
{
	struct atr_json_parser *parser, *meta_parser;
	int result = -ENOMEM;

	if (capacity == 0)
		return -EMSGSIZE;
	parser = atr_json_parser_create();
	meta_parser = atr_json_parser_create();
	if (parser && meta_parser)
		result = build(spec, realm, signer, parser, meta_parser, out, capacity);
	atr_json_parser_destroy(meta_parser);
	atr_json_parser_destroy(parser);
	return result;
}
