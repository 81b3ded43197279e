/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcapng.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"

#define BLOCK_LEAST                                                                  \
	(sizeof(struct atr_pcapng_block) + sizeof(uint32_t)) /* and the length again \
							      */
#define WORD ATR_PCAPNG_WORD

struct atr_pcapng {
	FILE *file;
	uint64_t offset; /* of the next block */
	bool section;    /* one has begun */
	uint8_t body[ATR_PCAPNG_BLOCK_MAX];
};

struct atr_pcapng *atr_pcapng_create(FILE *file)
{
	struct atr_pcapng *reader = malloc(sizeof(*reader));

	if (!reader)
		return NULL;
	reader->file = file;
	reader->offset = 0;
	reader->section = false;
	return reader;
}

void atr_pcapng_free(struct atr_pcapng *reader)
{
	free(reader);
}

static int bad(const struct atr_pcapng *reader, const char *what, char *error, size_t size)
{
	snprintf(error, size, "block at byte %" PRIu64 " %s", reader->offset, what);
	return -EBADMSG;
}

/* Reads a block: 1, 0 at the end of the file, or -EBADMSG. length: of the body. */
static int read_block(struct atr_pcapng *reader, uint32_t *type, uint32_t *length, char *error,
		      size_t size)
{
	struct atr_pcapng_block head;
	uint32_t again;
	size_t n = fread(&head, 1, sizeof(head), reader->file);

	if (n == 0)
		return 0;
	if (n < sizeof(head))
		return bad(reader, "is cut off", error, size);
	if (!reader->section && head.type != ATR_PCAPNG_SECTION)
		return bad(reader, "is no section header: this is no pcapng file", error, size);
	if (head.length < BLOCK_LEAST || head.length % WORD != 0 ||
	    head.length - BLOCK_LEAST > sizeof(reader->body))
		return bad(reader, "has an impossible length, or another byte order", error, size);
	*type = head.type;
	*length = head.length - (uint32_t)BLOCK_LEAST;
	if (fread(reader->body, 1, *length, reader->file) < *length ||
	    fread(&again, 1, sizeof(again), reader->file) < sizeof(again))
		return bad(reader, "is cut off", error, size);
	if (again != head.length)
		return bad(reader, "does not end with its length", error, size);
	return 1;
}

static void find_comment(struct atr_pcapng_packet *packet, const uint8_t *at, size_t left)
{
	struct atr_pcapng_option option;

	packet->comment = NULL;
	packet->comment_length = 0;
	while (left >= sizeof(option)) {
		size_t padded;

		memcpy(&option, at, sizeof(option));
		at += sizeof(option);
		left -= sizeof(option);
		padded = ((size_t)option.length + WORD - 1) / WORD * WORD;
		if (option.code == ATR_PCAPNG_OPTION_END || padded > left)
			return;
		if (option.code == ATR_PCAPNG_OPTION_COMMENT) {
			packet->comment = (const char *)at;
			packet->comment_length = option.length;
			return;
		}
		at += padded;
		left -= padded;
	}
}

static bool open_packet(const uint8_t *body, uint32_t length, struct atr_pcapng_packet *packet)
{
	struct atr_pcapng_packet_body head;
	size_t padded;

	if (length < sizeof(head))
		return false;
	memcpy(&head, body, sizeof(head));
	padded = ((size_t)head.captured + WORD - 1) / WORD * WORD;
	if (padded > length - sizeof(head))
		return false;
	packet->data = body + sizeof(head);
	packet->length = head.captured;
	find_comment(packet, packet->data + padded, length - sizeof(head) - padded);
	return true;
}

int atr_pcapng_next(struct atr_pcapng *reader, struct atr_pcapng_packet *packet, char *error,
		    size_t size)
{
	uint32_t type, length, magic;
	int rc;

	while ((rc = read_block(reader, &type, &length, error, size)) == 1) {
		if (type == ATR_PCAPNG_SECTION) {
			memcpy(&magic, reader->body, length < sizeof(magic) ? 0 : sizeof(magic));
			if (length < sizeof(magic) || magic != ATR_PCAPNG_BYTE_ORDER_MAGIC)
				return bad(reader, "begins a section of another byte order", error,
					   size);
			reader->section = true;
		}
		if (type == ATR_PCAPNG_PACKET && !open_packet(reader->body, length, packet))
			return bad(reader, "is a packet larger than its block", error, size);
		reader->offset += length + BLOCK_LEAST;
		if (type == ATR_PCAPNG_PACKET)
			return 1;
	}
	return rc;
}
