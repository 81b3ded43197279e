/* SPDX-License-Identifier: BSD-3-Clause */
#include "outbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/reason/reason.h"
#include "crc32c.h"
#include "outbox_format.h"

#define CAPACITY_FIRST 256

struct reader {
	const uint8_t *bytes;
	uint64_t length, at;
	uint64_t unused; /* first sequence after the frames read */
	struct outbox_image *image;
	char *error;
	size_t error_size;
};

static int refuse(struct reader *r, const char *why)
{
	snprintf(r->error, r->error_size, "is damaged at offset %llu: %s",
		 (unsigned long long)r->at, why);
	return -EBADMSG;
}

static int read_header(struct reader *r)
{
	const struct outbox_hdr *h = (const struct outbox_hdr *)r->bytes;

	if (r->length < sizeof(*h))
		return refuse(r, "it is shorter than its header");
	if (memcmp(h->magic, OUTBOX_MAGIC, sizeof(h->magic)) != 0)
		return refuse(r, "it is no outbox");
	if (h->crc != crc32c(h, offsetof(struct outbox_hdr, crc)))
		return refuse(r, "the header's checksum is wrong");
	if (h->version != OUTBOX_VERSION)
		return refuse(r, "its version is not known");
	r->image->realm = h->realm;
	r->image->source = h->source;
	r->image->next = h->next;
	r->at = sizeof(*h);
	return 0;
}

static bool header_ok(const uint8_t *at, uint64_t left)
{
	const struct outbox_record *h = (const struct outbox_record *)at;

	return left >= sizeof(*h) && h->magic == OUTBOX_RECORD_MAGIC &&
	       h->crc == crc32c(at + OUTBOX_RECORD_CRC_FROM, sizeof(*h) - OUTBOX_RECORD_CRC_FROM);
}

static uint64_t padded(uint32_t length)
{
	return ((uint64_t)length + OUTBOX_ALIGN - 1) / OUTBOX_ALIGN * OUTBOX_ALIGN;
}

/* NULL if there is no whole record at the reader's place. */
static const struct outbox_record *record_here(const struct reader *r)
{
	const struct outbox_record *h = (const struct outbox_record *)(r->bytes + r->at);
	uint64_t left = r->length - r->at;
	const uint8_t *body = (const uint8_t *)(h + 1);

	if (!header_ok((const uint8_t *)h, left) || padded(h->length) > left - sizeof(*h) ||
	    h->body_crc != crc32c(body, padded(h->length)))
		return NULL;
	return h;
}

/* A record behind the damage that was written when the damaged place had been synced already. */
static bool synced_later(const struct reader *r)
{
	for (uint64_t at = r->at + OUTBOX_ALIGN; at < r->length; at += OUTBOX_ALIGN) {
		const struct outbox_record *h = (const struct outbox_record *)(r->bytes + at);

		if (header_ok(r->bytes + at, r->length - at) && h->synced > r->at)
			return true;
	}
	return false;
}

static int take_frame(struct reader *r, const struct outbox_record *h)
{
	struct outbox_image *image = r->image;
	const uint8_t *datagram = (const uint8_t *)(h + 1);
	struct atr_frame frame;
	uint64_t last;

	if (h->length > ATR_DATAGRAM_MAX ||
	    atr_frame_parse(datagram, h->length, &frame) != ATR_OK ||
	    frame.hdr->source != image->source || frame.hdr->realm != image->realm)
		return refuse(r, "it holds no frame of this source");
	last = frame.hdr->first_sequence + (frame.packet_count - 1U);
	if (frame.hdr->first_sequence < r->unused || last == UINT64_MAX)
		return refuse(r, "a sequence is used twice");
	if (image->frames == image->capacity) {
		size_t capacity = image->capacity ? 2 * image->capacity : CAPACITY_FIRST;
		struct outbox_frame *larger =
			realloc(image->frame, capacity * sizeof(*image->frame));

		if (!larger) {
			snprintf(r->error, r->error_size, "out of memory");
			return -ENOMEM;
		}
		image->frame = larger;
		image->capacity = capacity;
	}
	image->frame[image->frames++] = (struct outbox_frame){
		.offset = (uint64_t)(datagram - r->bytes),
		.first = frame.hdr->first_sequence,
		.length = h->length,
		.events = frame.packet_count,
	};
	r->unused = last + 1;
	if (image->next <= last)
		image->next = last + 1;
	return 0;
}

static int by_first(const void *key, const void *element)
{
	uint64_t first = *(const uint64_t *)key;
	const struct outbox_frame *f = element;

	return first < f->first ? -1 : first > f->first;
}

static int take_settled(struct reader *r, const struct outbox_record *h)
{
	const struct outbox_settled *s = (const struct outbox_settled *)(h + 1);
	struct outbox_image *image = r->image;
	struct outbox_frame *f;
	uint64_t first;

	if (h->length != sizeof(*s))
		return refuse(r, "a settled record has another length");
	first = s->first_sequence;
	f = image->frames ? bsearch(&first, image->frame, image->frames, sizeof(*f), by_first)
			  : NULL;
	if (!f || f->settled)
		return refuse(r, "a frame is settled that is not kept");
	f->settled = true;
	image->settled += f->length;
	return 0;
}

static int take_record(struct reader *r, const struct outbox_record *h)
{
	if (h->synced > r->at)
		return refuse(r, "a record is not where it was written");
	switch (h->type) {
	case OUTBOX_FRAME: return take_frame(r, h);
	case OUTBOX_SETTLED: return take_settled(r, h);
	case OUTBOX_MARK: return h->length ? refuse(r, "a mark has a body") : 0;
	default: return refuse(r, "the type of a record is not known");
	}
}

int outbox_parse(const uint8_t *bytes, size_t length, struct outbox_image *image, char *error,
		 size_t size)
{
	struct reader r = {.bytes = bytes,
			   .length = length,
			   .image = image,
			   .error = error,
			   .error_size = size};
	int err;

	memset(image, 0, sizeof(*image));
	err = read_header(&r);
	while (!err && r.at < r.length) {
		const struct outbox_record *h = record_here(&r);

		if (!h && synced_later(&r))
			return refuse(&r, "a record's checksum is wrong, and it was synced before "
					  "later ones were written");
		if (!h)
			break;
		err = take_record(&r, h);
		r.at += sizeof(*h) + padded(h->length);
	}
	image->end = r.at;
	return err;
}

void outbox_image_free(struct outbox_image *image)
{
	free(image->frame);
	image->frame = NULL;
	image->frames = image->capacity = 0;
}
