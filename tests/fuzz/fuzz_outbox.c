/* SPDX-License-Identifier: BSD-3-Clause */
/* libatr's outbox over any bytes: in bounds, the frames it names are frames of its source in
 * ascending order, and what it keeps reads the same when it is cut to what it says holds. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../libatr/crc32c.h"
#include "../../libatr/outbox.h"
#include "../../libatr/outbox_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Makes checksums right, so that what lies behind them is reached: odd inputs only. */
static void mend(uint8_t *bytes, size_t size)
{
	struct outbox_hdr *header = (struct outbox_hdr *)bytes;
	size_t at = sizeof(*header);

	if (size < at)
		return;
	header->crc = crc32c(header, offsetof(struct outbox_hdr, crc));
	while (size - at >= sizeof(struct outbox_record)) {
		struct outbox_record *r = (struct outbox_record *)(bytes + at);
		size_t padded = (size_t)r->length + OUTBOX_ALIGN - 1;

		padded -= padded % OUTBOX_ALIGN;

		if (padded > size - at - sizeof(*r))
			return;
		r->body_crc = crc32c(r + 1, padded);
		r->crc = crc32c((const uint8_t *)r + OUTBOX_RECORD_CRC_FROM,
				sizeof(*r) - OUTBOX_RECORD_CRC_FROM);
		at += sizeof(*r) + padded;
	}
}

static void check(const uint8_t *bytes, size_t size, const struct outbox_image *image)
{
	uint64_t unused = 0;

	if (image->end > size)
		abort();
	for (size_t i = 0; i < image->frames; i++) {
		const struct outbox_frame *f = &image->frame[i];
		struct atr_frame frame;

		if (f->offset + f->length > image->end || f->first < unused ||
		    atr_frame_parse(bytes + f->offset, f->length, &frame) != 0 ||
		    frame.hdr->source != image->source || frame.packet_count != f->events)
			abort();
		unused = f->first + f->events;
		if (image->next < unused)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outbox_image image, again;
	char error[256] = "";
	uint8_t *bytes;
	int err;

	if (size < 1)
		return 0;
	bytes = malloc(size);
	if (!bytes)
		abort();
	memcpy(bytes, data + 1, --size);
	if (data[0] & 1)
		mend(bytes, size);
	err = outbox_parse(bytes, size, &image, error, sizeof(error));
	if (err && (err != -EBADMSG || !error[0]))
		abort();
	if (!err) {
		check(bytes, size, &image);
		if (outbox_parse(bytes, image.end, &again, error, sizeof(error)) ||
		    again.frames != image.frames || again.next != image.next ||
		    again.end != image.end)
			abort();
		outbox_image_free(&again);
	}
	outbox_image_free(&image);
	free(bytes);
	return 0;
}
