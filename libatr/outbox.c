/* SPDX-License-Identifier: BSD-3-Clause */
#include "outbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "outbox_format.h"

#define COMPACT_BYTES (4 << 20) /* of settled frames, before a file is rewritten */
#define CLOSE_BYTES   4096      /* smaller files are left as they are when all is settled */
/* Largest record: the buffer of a tree is never grown by less. */
#define RECORD_MAX (sizeof(struct outbox_record) + ATR_DATAGRAM_MAX + OUTBOX_ALIGN)

struct outbox {
	struct outbox_files *files;
	uint64_t realm, next;
	uint32_t source;
	uint64_t end, synced; /* of the file */
	uint64_t settled;     /* bytes of settled frames */
	uint64_t kept;        /* frames that are not settled */
	int broken;           /* errno of what broke it, negative; 0 */
	uint8_t *buffer;
	size_t used, capacity;
};

static int broke(struct outbox *o, int err)
{
	o->broken = err;
	return err;
}

static int put(struct outbox *o, enum outbox_type type, const void *body, uint32_t length,
	       uint64_t synced)
{
	size_t padded = ((size_t)length + OUTBOX_ALIGN - 1) / OUTBOX_ALIGN * OUTBOX_ALIGN;
	struct outbox_record h = {.magic = OUTBOX_RECORD_MAGIC,
				  .synced = synced,
				  .type = (uint32_t)type,
				  .length = length};
	uint8_t *at;

	if (o->capacity - o->used < RECORD_MAX) {
		size_t capacity = 2 * o->capacity + RECORD_MAX;
		uint8_t *larger = realloc(o->buffer, capacity);

		if (!larger)
			return -ENOMEM;
		o->buffer = larger;
		o->capacity = capacity;
	}
	at = o->buffer + o->used + sizeof(h);
	memset(at, 0, padded);
	if (length)
		memcpy(at, body, length);
	h.body_crc = crc32c(at, padded);
	h.crc = crc32c((const uint8_t *)&h + OUTBOX_RECORD_CRC_FROM,
		       sizeof(h) - OUTBOX_RECORD_CRC_FROM);
	memcpy(o->buffer + o->used, &h, sizeof(h));
	o->used += sizeof(h) + padded;
	return 0;
}

/* Writes what was put since. */
static int write_out(struct outbox *o)
{
	int err = o->files->write(o->files, o->buffer, o->used);

	if (err)
		return broke(o, err);
	o->end += o->used;
	o->used = 0;
	return 0;
}

static int sync_out(struct outbox *o)
{
	int err = o->files->sync(o->files);

	if (err)
		return broke(o, err);
	o->synced = o->end;
	return 0;
}

static void fill_header(const struct outbox *o, struct outbox_hdr *h)
{
	memset(h, 0, sizeof(*h));
	memcpy(h->magic, OUTBOX_MAGIC, sizeof(h->magic));
	h->version = OUTBOX_VERSION;
	h->source = o->source;
	h->realm = o->realm;
	h->next = o->next;
	h->crc = crc32c(h, offsetof(struct outbox_hdr, crc));
}

/* The frames that stay, and a mark: the file gets its name only when all of it is synced. */
static int write_frames(struct outbox *o, bool (*next_frame)(void *, struct batch_frame *),
			void *context, uint64_t *kept)
{
	struct batch_frame f;
	int err;

	while (next_frame && next_frame(context, &f)) {
		err = put(o, OUTBOX_FRAME, f.datagram, f.length, 0);
		if (!err && o->used > COMPACT_BYTES)
			err = write_out(o);
		if (err)
			return err;
		(*kept)++;
	}
	err = put(o, OUTBOX_MARK, NULL, 0, o->end + o->used);
	return err ? err : write_out(o);
}

int outbox_compact(struct outbox *o, bool (*next_frame)(void *, struct batch_frame *),
		   void *context)
{
	struct outbox_hdr header;
	uint64_t kept = 0;
	int err = o->broken;

	if (err)
		return err;
	fill_header(o, &header);
	err = o->files->open(o->files, OUTBOX_NEW_NAME, true, 0);
	if (!err)
		err = o->files->write(o->files, &header, sizeof(header));
	if (err)
		return broke(o, err);
	o->end = sizeof(header);
	err = write_frames(o, next_frame, context, &kept);
	if (!err)
		err = sync_out(o);
	if (!err)
		err = o->files->rename(o->files, OUTBOX_NEW_NAME, OUTBOX_NAME);
	if (err)
		return broke(o, err);
	o->settled = 0;
	o->kept = kept;
	return 0;
}

int outbox_add(struct outbox *o, const struct batch_frame *frames, unsigned int count)
{
	int err = o->broken;

	for (unsigned int i = 0; !err && i < count; i++)
		err = put(o, OUTBOX_FRAME, frames[i].datagram, frames[i].length, o->synced);
	if (err) {
		o->used = 0;
		return err;
	}
	err = write_out(o);
	if (!err)
		err = sync_out(o);
	/* The mark is not synced: it need only survive what lets the frames be sent. */
	if (!err)
		err = put(o, OUTBOX_MARK, NULL, 0, o->synced);
	if (!err)
		err = write_out(o);
	if (err)
		return broke(o, err);
	o->next = frames[count - 1].first + frames[count - 1].events;
	o->kept += count;
	return 0;
}

int outbox_settle(struct outbox *o, uint64_t first, uint32_t length, uint64_t position,
		  uint8_t reason)
{
	struct outbox_settled body = {
		.first_sequence = first, .position = position, .reason = reason};
	int err = o->broken;

	if (!err)
		err = put(o, OUTBOX_SETTLED, &body, sizeof(body), o->synced);
	if (!err)
		err = write_out(o);
	if (err)
		return err;
	o->settled += length;
	o->kept--;
	return 0;
}

uint64_t outbox_next(const struct outbox *o)
{
	return o->next;
}

bool outbox_wants_compaction(const struct outbox *o)
{
	return !o->broken && o->settled > COMPACT_BYTES &&
	       (o->kept == 0 || o->settled > o->end / 2);
}

/* What was in the file when it was opened. */
static int take_image(struct outbox *o, const uint8_t *bytes, const struct outbox_image *image,
		      int (*found)(void *, const uint8_t *, const struct outbox_frame *),
		      void *context)
{
	int err = 0;

	o->next = image->next;
	o->settled = image->settled;
	o->end = image->end;
	for (size_t i = 0; !err && i < image->frames; i++) {
		const struct outbox_frame *f = &image->frame[i];

		if (f->settled)
			continue;
		o->kept++;
		if (found)
			err = found(context, bytes + f->offset, f);
	}
	return err;
}

/* Cuts a torn tail, and makes durable what a crash may have left in memory only: it counts as
 * synced from now on. */
static int go_on(struct outbox *o)
{
	int err = o->files->open(o->files, OUTBOX_NAME, false, o->end);

	if (!err)
		err = sync_out(o);
	if (!err)
		err = put(o, OUTBOX_MARK, NULL, 0, o->synced);
	return err ? err : write_out(o);
}

static int read_existing(struct outbox *o, const uint8_t *bytes, size_t length,
			 int (*found)(void *, const uint8_t *, const struct outbox_frame *),
			 void *context, char *error, size_t size)
{
	struct outbox_image image;
	int err = outbox_parse(bytes, length, &image, error, size);

	if (!err && (image.source != o->source || image.realm != o->realm)) {
		snprintf(error, size,
			 "belongs to source %u of realm %llu; give every source an outbox of its "
			 "own",
			 image.source, (unsigned long long)image.realm);
		err = -EINVAL;
	}
	if (!err) {
		err = take_image(o, bytes, &image, found, context);
		if (err)
			snprintf(error, size, "cannot be taken up: %s", strerror(-err));
	}
	outbox_image_free(&image);
	return err;
}

static int start(struct outbox *o, uint64_t first_sequence,
		 int (*found)(void *, const uint8_t *, const struct outbox_frame *), void *context,
		 char *error, size_t size)
{
	uint8_t *bytes = NULL;
	size_t length = 0;
	int err = o->files->load(o->files, OUTBOX_NAME, &bytes, &length);

	if (err == 0) {
		err = read_existing(o, bytes, length, found, context, error, size);
		free(bytes);
		if (err)
			return err;
		err = go_on(o);
	} else if (err == -ENOENT) {
		o->next = first_sequence;
		err = outbox_compact(o, NULL, NULL);
	}
	if (o->next < first_sequence)
		o->next = first_sequence;
	if (err)
		snprintf(error, size, "%s", strerror(-err));
	return err;
}

struct outbox *outbox_open(struct outbox_files *files, uint64_t realm, uint32_t source,
			   uint64_t first_sequence,
			   int (*found)(void *, const uint8_t *, const struct outbox_frame *),
			   void *context, char *error, size_t size)
{
	struct outbox *o = calloc(1, sizeof(*o));

	if (!o) {
		snprintf(error, size, "out of memory");
		files->destroy(files);
		return NULL;
	}
	o->files = files;
	o->realm = realm;
	o->source = source;
	if (start(o, first_sequence, found, context, error, size) == 0)
		return o;
	o->broken = -EINVAL; /* nothing is written any more */
	outbox_close(o);
	return NULL;
}

void outbox_close(struct outbox *o)
{
	if (!o)
		return;
	if (!o->broken && o->kept == 0 && o->end > CLOSE_BYTES)
		outbox_compact(o, NULL, NULL);
	o->files->destroy(o->files);
	free(o->buffer);
	free(o);
}
