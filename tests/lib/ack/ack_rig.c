/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ack_rig.h"

#define NET_10   0x0A000000u
#define PORT     1000
#define POSITION 500 /* added to sequences */

struct rig *rig_create(uint32_t datagram_max, uint32_t sources)
{
	const uint8_t seed[ATR_SEED_SIZE] = {9};
	struct rig *rig = calloc(1, sizeof(*rig));
	struct atr_acker_params params = {.realm = RIG_REALM,
					  .epoch = RIG_EPOCH,
					  .sources = sources,
					  .shards = RIG_SHARDS,
					  .datagram_max = datagram_max};
	char error[256] = "";

	assert_non_null(rig);
	assert_int_equal(atr_sign_init(), 0);
	rig->signer = atr_signer_from_seed(seed);
	assert_non_null(rig->signer);
	params.signer = rig->signer;
	rig->acker = atr_acker_create(&params, error, sizeof(error));
	assert_string_equal(error, "");
	assert_non_null(rig->acker);
	rig->reader.realm = RIG_REALM;
	rig->reader.key = ATR_ACK_KEY;
	atr_signer_public(rig->signer, rig->reader.public_key);
	return rig;
}

void rig_free(struct rig *rig)
{
	atr_acker_free(rig->acker);
	atr_signer_free(rig->signer);
	free(rig);
}

void rig_address(struct rig *rig, uint32_t source)
{
	struct atr_ack_item item = {.kind = ATR_ACK_ADDRESS};

	item.address.source = source;
	item.address.to = (struct atr_ack_address){.ip = NET_10 + source,
						   .port = (uint16_t)(PORT + source % PORT),
						   .mac = {2, 0, 0, 0, 0, (uint8_t)source}};
	atr_acker_take(rig->acker, 0, &item, 1);
}

struct atr_ack_item rig_frame(uint32_t source, uint64_t sequence, uint16_t events, uint8_t reason)
{
	struct atr_ack_item item = {.kind = ATR_ACK_FRAME};

	for (unsigned int i = 0; i < ATR_HASH_SIZE; i++)
		item.frame.leaf[i] = (uint8_t)(sequence * 31 + i);
	item.frame.first_sequence = sequence;
	item.frame.position = sequence + POSITION;
	item.frame.floor = sequence / 2;
	item.frame.source = source;
	item.frame.events = events;
	item.frame.reason = reason;
	return item;
}

void rig_mixed(struct rig *rig, unsigned int shard, struct atr_ack_item frame,
	       const uint8_t *reasons)
{
	unsigned int events = frame.frame.events, n = atr_ack_items(events, true);
	struct atr_ack_item items[1 + ATR_FRAME_PACKETS_MAX / ATR_ACK_ITEM_RESULTS + 1];

	frame.kind = ATR_ACK_FRAME | ATR_ACK_MIXED;
	items[0] = frame;
	for (unsigned int i = 1; i < n; i++) {
		unsigned int from = (i - 1) * ATR_ACK_ITEM_RESULTS, left = events - from;

		/* Bytes behind the last result are whatever was there. */
		memset(&items[i], 0xEE, sizeof(items[i]));
		items[i].kind = ATR_ACK_MORE;
		memcpy(items[i].reasons, reasons + from,
		       left < ATR_ACK_ITEM_RESULTS ? left : ATR_ACK_ITEM_RESULTS);
	}
	atr_acker_take(rig->acker, shard, items, n);
}

static void keep(void *ctx, const struct atr_ack_address *to, const uint8_t *payload, size_t length)
{
	struct rig *rig = ctx;
	struct rig_datagram *d = &rig->datagram[rig->datagrams];

	assert_true(rig->datagrams < RIG_DATAGRAMS);
	assert_true(length <= sizeof(d->bytes));
	d->to = *to;
	d->length = length;
	memcpy(d->bytes, payload, length);
	rig->datagrams++;
}

unsigned int rig_flush(struct rig *rig)
{
	unsigned int told;

	rig->datagrams = 0;
	told = atr_acker_flush(rig->acker, RIG_NOW, keep, rig);
	assert_int_equal(told, rig->datagrams);
	return rig->datagrams;
}

static void note(void *ctx, const struct atr_ack_notice *notice, const struct atr_ack_entry *entry)
{
	struct rig *rig = ctx;

	assert_true(rig->entries < RIG_ENTRIES);
	rig->entry[rig->entries++] = (struct rig_entry){*notice, *entry};
}

void rig_read(struct rig *rig)
{
	const struct atr_ack_visitor visitor = {note, rig};

	rig->entries = 0;
	for (unsigned int i = 0; i < rig->datagrams; i++)
		assert_int_equal(atr_ack_parse(&rig->reader, rig->datagram[i].bytes,
					       rig->datagram[i].length, &visitor),
				 ATR_OK);
}
