/* SPDX-License-Identifier: BSD-3-Clause */
#include "moldudp64.h"

#include <errno.h>
#include <string.h>

#define SESSION_BASE         36
#define SESSION_FEED_DIGITS  2
#define SESSION_SHARD_DIGITS 2
#define SESSION_EPOCH_DIGITS 6
_Static_assert(SESSION_FEED_DIGITS + SESSION_SHARD_DIGITS + SESSION_EPOCH_DIGITS ==
		       ATR_MOLD_SESSION_SIZE,
	       "session digits fill the field");

/* What stands before the payload in a message block, behind its length field. */
struct block_event {
	uint64_t sequence;
	struct atr_packet packet;
} __attribute__((packed));
_Static_assert(sizeof(struct block_event) == ATR_MOLD_BLOCK_SIZE(0) - ATR_MOLD_LENGTH_SIZE,
	       "an event block is 72 bytes and its payload");

static const char session_digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

static char *put_digits(char *at, uint32_t value, unsigned int digits)
{
	for (unsigned int i = digits; i > 0; i--) {
		at[i - 1] = session_digits[value % SESSION_BASE];
		value /= SESSION_BASE;
	}
	return at + digits;
}

/* NULL if a character is no digit. The widest field, six digits, stays below 2^32. */
static const char *get_digits(const char *at, unsigned int digits, uint32_t *value)
{
	uint32_t v = 0;

	for (unsigned int i = 0; i < digits; i++) {
		char c = at[i];

		if (c >= '0' && c <= '9')
			v = v * SESSION_BASE + (uint32_t)(c - '0');
		else if (c >= 'A' && c <= 'Z')
			v = v * SESSION_BASE + (uint32_t)(c - 'A') + 10;
		else
			return NULL;
	}
	*value = v;
	return at + digits;
}

void atr_mold_session(char session[ATR_MOLD_SESSION_SIZE], uint32_t feed, uint32_t shard,
		      uint32_t epoch)
{
	char *at = put_digits(session, feed, SESSION_FEED_DIGITS);

	at = put_digits(at, shard, SESSION_SHARD_DIGITS);
	put_digits(at, epoch, SESSION_EPOCH_DIGITS);
}

int atr_mold_session_parse(const char session[ATR_MOLD_SESSION_SIZE], uint32_t *feed,
			   uint32_t *shard, uint32_t *epoch)
{
	uint32_t f, s, e;
	const char *at = get_digits(session, SESSION_FEED_DIGITS, &f);

	if (at)
		at = get_digits(at, SESSION_SHARD_DIGITS, &s);
	if (at)
		at = get_digits(at, SESSION_EPOCH_DIGITS, &e);
	if (!at)
		return -EINVAL;
	*feed = f;
	*shard = s;
	*epoch = e;
	return 0;
}

static uint16_t read_be16(const uint8_t *at)
{
	uint16_t v;

	memcpy(&v, at, sizeof(v));
	return __builtin_bswap16(v);
}

void atr_mold_hdr_write(uint8_t *out, const char session[ATR_MOLD_SESSION_SIZE], uint64_t sequence,
			uint16_t count)
{
	struct atr_mold_hdr *hdr = (struct atr_mold_hdr *)out;
	uint64_t sequence_be = __builtin_bswap64(sequence);
	uint16_t count_be = __builtin_bswap16(count);

	memcpy(hdr->session, session, sizeof(hdr->session));
	memcpy(hdr->sequence, &sequence_be, sizeof(hdr->sequence));
	memcpy(hdr->count, &count_be, sizeof(hdr->count));
}

void atr_mold_envelope_packet(struct atr_packet *packet, uint32_t topic, uint32_t type,
			      uint32_t source, uint64_t timestamp_ns, uint32_t length)
{
	memset(packet, 0, sizeof(*packet));
	packet->flags = ATR_FLAG_ARENA | ATR_FLAG_ENVELOPE;
	packet->topic_id = topic;
	packet->sender_id = source;
	packet->timestamp_ns = timestamp_ns;
	packet->type_id = type;
	packet->arena.length = length;
}

int atr_mold_parse(const uint8_t *data, size_t length, struct atr_mold_packet *packet)
{
	const struct atr_mold_hdr *hdr = (const struct atr_mold_hdr *)data;
	size_t at = ATR_MOLD_HDR_SIZE;
	uint64_t sequence_be;
	unsigned int blocks;
	uint16_t count;

	if (length < ATR_MOLD_HDR_SIZE)
		return -EBADMSG;
	count = read_be16(hdr->count);
	blocks = count == ATR_MOLD_COUNT_END ? 0 : count;
	for (unsigned int i = 0; i < blocks; i++) {
		if (length - at < ATR_MOLD_LENGTH_SIZE)
			return -EBADMSG;
		size_t block = read_be16(data + at);

		at += ATR_MOLD_LENGTH_SIZE;
		if (length - at < block)
			return -EBADMSG;
		at += block;
	}
	if (at != length)
		return -EBADMSG;

	memcpy(packet->session, hdr->session, sizeof(packet->session));
	memcpy(&sequence_be, hdr->sequence, sizeof(sequence_be));
	packet->sequence = __builtin_bswap64(sequence_be);
	packet->count = count;
	packet->blocks = data + ATR_MOLD_HDR_SIZE;
	packet->length = length - ATR_MOLD_HDR_SIZE;
	return 0;
}

static bool flags_have_meaning(uint64_t flags)
{
	bool in_arena = (flags & ATR_FLAG_ARENA) != 0;
	bool is_inline = (flags & ATR_FLAG_INLINE) != 0;

	if (flags & ~(ATR_FLAGS_INGRESS | ATR_FLAG_ENVELOPE))
		return false;
	if ((flags & ATR_FLAG_ENVELOPE) && !in_arena)
		return false;
	return in_arena != is_inline;
}

int atr_mold_next(const struct atr_mold_packet *packet, size_t *cursor,
		  struct atr_mold_event *event)
{
	const struct block_event *block;
	uint32_t payload_length, expected;
	size_t left, size;

	if (*cursor >= packet->length)
		return 0;
	left = packet->length - *cursor;
	if (left < ATR_MOLD_LENGTH_SIZE)
		return -EBADMSG;
	size = read_be16(packet->blocks + *cursor);
	if (size > left - ATR_MOLD_LENGTH_SIZE || size < sizeof(*block))
		return -EBADMSG;

	block = (const struct block_event *)(packet->blocks + *cursor + ATR_MOLD_LENGTH_SIZE);
	if (!flags_have_meaning(block->packet.flags))
		return -EBADMSG;
	payload_length = (uint32_t)(size - sizeof(*block));
	expected = block->packet.flags & ATR_FLAG_ARENA ? block->packet.arena.length : 0;
	if (payload_length != expected)
		return -EBADMSG;

	event->sequence = block->sequence;
	event->packet = &block->packet;
	event->payload = block->packet.flags & ATR_FLAG_ARENA ? (const uint8_t *)(block + 1) : NULL;
	event->payload_length = payload_length;
	*cursor += ATR_MOLD_LENGTH_SIZE + size;
	return 1;
}

int atr_mold_request_parse(const uint8_t *data, size_t length, struct atr_mold_hdr *request)
{
	uint16_t count;

	if (length != ATR_MOLD_HDR_SIZE)
		return -EBADMSG;
	memcpy(request, data, sizeof(*request));
	count = read_be16(request->count);
	return count >= 1 && count <= ATR_MOLD_COUNT_MAX ? 0 : -EBADMSG;
}
