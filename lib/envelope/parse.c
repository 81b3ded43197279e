/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "../reason/reason.h"
#include "envelope.h"

#define REALM_SIZE     sizeof(uint64_t)
#define UUID_TIME_SIZE 6

/* A member that an object may have. */
struct member {
	const char *name;
	size_t length;
	int type; /* enum atr_json_type, or ANY_TYPE */
	bool optional;
};
#define ANY_TYPE -1
#define MEMBER(text, type, optional)                   \
	{                                              \
		text, sizeof(text) - 1, type, optional \
	}

/* Both tables are in RFC 8785 order, as members are. */
enum { ROOT_HEADER, ROOT_META, ROOT_PAYLOAD, ROOT_SIGNATURE, ROOT_COUNT };
static const struct member root_members[ROOT_COUNT] = {
	[ROOT_HEADER] = MEMBER("header", ATR_JSON_OBJECT, false),
	[ROOT_META] = MEMBER("meta", ATR_JSON_OBJECT, true),
	[ROOT_PAYLOAD] = MEMBER("payload", ANY_TYPE, false),
	[ROOT_SIGNATURE] = MEMBER("signature", ATR_JSON_STRING, false),
};

enum { HEAD_ID, HEAD_SOURCE, HEAD_TIMESTAMP, HEAD_TOPIC, HEAD_TYPE, HEAD_VERSION, HEAD_COUNT };
static const struct member header_members[HEAD_COUNT] = {
	[HEAD_ID] = MEMBER("id", ATR_JSON_STRING, false),
	[HEAD_SOURCE] = MEMBER("source", ATR_JSON_STRING, false),
	[HEAD_TIMESTAMP] = MEMBER("timestamp", ATR_JSON_STRING, false),
	[HEAD_TOPIC] = MEMBER("topic", ATR_JSON_STRING, false),
	[HEAD_TYPE] = MEMBER("type", ATR_JSON_STRING, false),
	[HEAD_VERSION] = MEMBER("version", ATR_JSON_NUMBER, false),
};

/* Finds every member of the table in object, which must hold nothing else. */
static bool take_members(const struct atr_json *object, const struct member *table,
			 unsigned int count, const struct atr_json **found)
{
	const struct atr_json *at = object->child;

	for (unsigned int i = 0; i < count; i++) {
		const struct member *m = &table[i];

		found[i] = NULL;
		if (at && at->name_length == m->length &&
		    memcmp(at->name, m->name, m->length) == 0) {
			if (m->type != ANY_TYPE && (int)at->type != m->type)
				return false;
			found[i] = at;
			at = at->next;
		} else if (!m->optional) {
			return false;
		}
	}
	return !at;
}

static bool name_fits(const struct atr_json *name)
{
	return name->string_length <= ATR_ENVELOPE_NAME_MAX;
}

static uint64_t uuid_time(const uint8_t uuid[16])
{
	uint64_t ms = 0;

	for (int i = 0; i < UUID_TIME_SIZE; i++)
		ms = ms << 8 | uuid[i];
	return ms;
}

uint8_t atr_envelope_parse(struct atr_json_parser *parser, const char *text, size_t length,
			   struct atr_envelope *envelope)
{
	const struct atr_json *root_found[ROOT_COUNT], *found[HEAD_COUNT];
	const struct atr_json *root, *signature;
	uint8_t reason = atr_json_parse(parser, text, length, &root, NULL);

	if (reason != ATR_OK)
		return reason;
	if (root->type != ATR_JSON_OBJECT ||
	    !take_members(root, root_members, ROOT_COUNT, root_found) ||
	    !take_members(root_found[ROOT_HEADER], header_members, HEAD_COUNT, found) ||
	    !name_fits(found[HEAD_SOURCE]) || !name_fits(found[HEAD_TOPIC]) ||
	    !name_fits(found[HEAD_TYPE]))
		return ATR_REASON_ENVELOPE_MEMBER;
	if (atr_uuid7_parse(found[HEAD_ID]->string, found[HEAD_ID]->string_length, envelope->uuid))
		return ATR_REASON_ENVELOPE_ID;
	if (atr_time_parse(found[HEAD_TIMESTAMP]->string, found[HEAD_TIMESTAMP]->string_length,
			   &envelope->timestamp_ns))
		return ATR_REASON_ENVELOPE_TIMESTAMP;
	if (found[HEAD_VERSION]->number != ATR_ENVELOPE_VERSION)
		return ATR_REASON_ENVELOPE_VERSION;
	signature = root_found[ROOT_SIGNATURE];
	if (atr_hex_decode(signature->string, signature->string_length, envelope->signature,
			   ATR_SIG_SIZE))
		return ATR_REASON_ENVELOPE_SIGNATURE_FORM;
	envelope->uuid_ms = uuid_time(envelope->uuid);
	envelope->source = found[HEAD_SOURCE];
	envelope->topic = found[HEAD_TOPIC];
	envelope->type = found[HEAD_TYPE];
	envelope->meta = root_found[ROOT_META];
	envelope->payload = root_found[ROOT_PAYLOAD];
	envelope->root = root;
	return ATR_OK;
}

uint8_t atr_envelope_canonical(const struct atr_envelope *envelope, const char *text, size_t length)
{
	return atr_json_is_canonical(envelope->root, text, length)
		       ? ATR_OK
		       : ATR_REASON_ENVELOPE_NOT_CANONICAL;
}

int atr_envelope_signed_bytes(const struct atr_envelope *envelope, uint64_t realm, uint8_t *out,
			      size_t capacity)
{
	static const char prefix[ATR_ENVELOPE_PREFIX_SIZE] = ATR_ENVELOPE_PREFIX;
	const size_t head = sizeof(prefix) + REALM_SIZE;
	int length;

	if (capacity < head)
		return -EMSGSIZE;
	memcpy(out, prefix, sizeof(prefix));
	for (size_t i = 0; i < REALM_SIZE; i++)
		out[sizeof(prefix) + i] = (uint8_t)(realm >> 8 * i);
	length = atr_json_canonical(envelope->root, "signature", (char *)out + head,
				    capacity - head);
	if (length < 0 || length > INT_MAX - (int)head)
		return -EMSGSIZE;
	return length + (int)head;
}
