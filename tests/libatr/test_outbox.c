/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../lib/merkle/merkle.h"
#include "../../libatr/crc32c.h"
#include "../../libatr/outbox_format.h"
#include "memory_files.h"

#define REALM     UINT64_C(0x0102030405060708)
#define SOURCE    7
#define SEQUENCES 4096
#define TREE      3
#define SEEDS     60
#define LIVES     12

/* Everything that was ever sent, by sequence. */
struct world {
	struct memory_files disk;
	struct atr_signer *signer;
	uint64_t random;
	uint8_t sent[SEQUENCES][ATR_HASH_SIZE]; /* leaf of the frame that used it; zeros: unused */
	bool settled[SEQUENCES];
	uint64_t highest; /* sequence sent, plus 1 */
	/* Of this life. */
	struct outbox *outbox;
	uint64_t kept[SEQUENCES];
	uint32_t kept_length[SEQUENCES];
	unsigned int kept_count;
	uint8_t *kept_bytes[SEQUENCES];
};

static void world_init(struct world *w, uint64_t seed)
{
	static const uint8_t key[ATR_SEED_SIZE] = {1};

	memset(w, 0, sizeof(*w));
	assert_int_equal(atr_sign_init(), 0);
	w->signer = atr_signer_from_seed(key);
	w->random = seed;
	memory_files_init(&w->disk);
	w->disk.random = seed;
}

static void forget_kept(struct world *w)
{
	for (unsigned int i = 0; i < w->kept_count; i++)
		free(w->kept_bytes[i]);
	w->kept_count = 0;
}

static void world_free(struct world *w)
{
	forget_kept(w);
	memory_files_free(&w->disk);
	atr_signer_free(w->signer);
}

static void leaf_of(const uint8_t *datagram, uint32_t length, uint8_t *leaf)
{
	struct atr_frame frame;

	assert_int_equal(atr_frame_parse(datagram, length, &frame), 0);
	atr_merkle_leaf(datagram + 1, frame.leaf_size - 1, leaf);
}

static void keep(struct world *w, const uint8_t *datagram, uint32_t length, uint64_t first)
{
	unsigned int i = w->kept_count++;

	w->kept[i] = first;
	w->kept_length[i] = length;
	w->kept_bytes[i] = malloc(length);
	memcpy(w->kept_bytes[i], datagram, length);
}

/* A frame in the outbox: if it, or another under its sequences, was sent, it must be the same. */
static int found(void *context, const uint8_t *datagram, const struct outbox_frame *f)
{
	static const uint8_t unused[ATR_HASH_SIZE];
	struct world *w = context;
	uint8_t leaf[ATR_HASH_SIZE];

	leaf_of(datagram, f->length, leaf);
	for (unsigned int i = 0; i < f->events; i++)
		if (memcmp(w->sent[f->first + i], unused, sizeof(unused)) != 0)
			assert_memory_equal(w->sent[f->first + i], leaf, sizeof(leaf));
	keep(w, datagram, f->length, f->first);
	return 0;
}

static void send_frame(struct world *w, const uint8_t *datagram, uint32_t length)
{
	static const uint8_t unused[ATR_HASH_SIZE];
	struct atr_frame frame;
	uint8_t leaf[ATR_HASH_SIZE];

	assert_int_equal(atr_frame_parse(datagram, length, &frame), 0);
	leaf_of(datagram, length, leaf);
	for (unsigned int i = 0; i < frame.packet_count; i++) {
		uint64_t sequence = frame.hdr->first_sequence + i;

		assert_true(sequence < SEQUENCES);
		if (memcmp(w->sent[sequence], unused, sizeof(unused)) != 0)
			assert_memory_equal(w->sent[sequence], leaf, sizeof(leaf));
		memcpy(w->sent[sequence], leaf, sizeof(leaf));
		if (sequence >= w->highest)
			w->highest = sequence + 1;
	}
}

static bool open_outbox(struct world *w)
{
	char error[256] = "";

	forget_kept(w);
	w->outbox = outbox_open(&w->disk.files, REALM, SOURCE, 1, found, w, error, sizeof(error));
	if (!w->outbox && !w->disk.crashed)
		fail_msg("an outbox after a crash is refused: %s", error);
	return w->outbox;
}

/* Adds a tree and sends it; false if the machine crashed. */
static bool add_tree(struct world *w)
{
	struct batch_params params = {.realm = REALM,
				      .source = SOURCE,
				      .key = 1,
				      .signer = w->signer,
				      .mtu = 576,
				      .tree = TREE,
				      .events = ATR_FRAME_PACKETS_MAX,
				      .next = outbox_next(w->outbox)};
	struct batch *batch = batch_create(&params, NULL, 0);
	unsigned int events = 1 + (unsigned int)(test_random(&w->random) % 9);
	struct batch_frame *frames;
	uint64_t payload, sequence;
	int n, err;

	for (unsigned int i = 0; i < events; i++) {
		struct atr_event event = {.topic_id = 1, .type_id = 1, .payload_length = 8};

		payload = test_random(&w->random);
		event.payload = (const uint8_t *)&payload;
		if (batch_add(batch, &event, 0, &sequence))
			break;
	}
	n = batch_close(batch, 0, &frames);
	assert_true(n > 0);
	err = outbox_add(w->outbox, frames, (unsigned int)n);
	for (int i = 0; !err && i < n; i++) {
		send_frame(w, frames[i].datagram, frames[i].length);
		keep(w, frames[i].datagram, frames[i].length, frames[i].first);
	}
	batch_free(batch);
	return !err;
}

static bool settle_one(struct world *w)
{
	unsigned int i = (unsigned int)(test_random(&w->random) % w->kept_count);

	if (outbox_settle(w->outbox, w->kept[i], w->kept_length[i], 0, 0))
		return false;
	w->settled[w->kept[i]] = true;
	free(w->kept_bytes[i]);
	w->kept_count--;
	memmove(w->kept + i, w->kept + i + 1, (w->kept_count - i) * sizeof(w->kept[0]));
	memmove(w->kept_length + i, w->kept_length + i + 1,
		(w->kept_count - i) * sizeof(w->kept_length[0]));
	memmove(w->kept_bytes + i, w->kept_bytes + i + 1,
		(w->kept_count - i) * sizeof(w->kept_bytes[0]));
	return true;
}

struct walk {
	struct world *world;
	unsigned int next;
};

static bool next_kept(void *context, struct batch_frame *frame)
{
	struct walk *walk = context;

	if (walk->next == walk->world->kept_count)
		return false;
	*frame = (struct batch_frame){.datagram = walk->world->kept_bytes[walk->next],
				      .length = walk->world->kept_length[walk->next]};
	walk->next++;
	return true;
}

/* Every frame that was sent and not settled is still there; sequences go on behind all of them. */
static void check(struct world *w)
{
	static const uint8_t unused[ATR_HASH_SIZE];

	assert_true(outbox_next(w->outbox) >= w->highest);
	for (uint64_t s = 0; s < w->highest;) {
		uint64_t end = s + 1;
		bool there = false;

		while (end < w->highest && memcmp(w->sent[s], w->sent[end], ATR_HASH_SIZE) == 0)
			end++;
		for (unsigned int i = 0; i < w->kept_count; i++)
			there |= w->kept[i] == s;
		if (memcmp(w->sent[s], unused, sizeof(unused)) != 0 && !w->settled[s])
			assert_true(there);
		s = end;
	}
}

/* One process: opens, resends, adds, settles, rewrites, until it ends or the machine crashes. */
static void live(struct world *w, unsigned int steps)
{
	if (!open_outbox(w))
		return;
	check(w);
	for (unsigned int i = 0; i < w->kept_count; i++)
		send_frame(w, w->kept_bytes[i], w->kept_length[i]);
	for (unsigned int i = 0; i < steps; i++) {
		struct walk walk = {.world = w};
		unsigned int what = (unsigned int)(test_random(&w->random) % 8);
		bool alive = what < 4                    ? add_tree(w)
			     : what < 7 && w->kept_count ? settle_one(w)
			     : what == 7 ? outbox_compact(w->outbox, next_kept, &walk) == 0
					 : true;

		if (!alive)
			break;
	}
	outbox_close(w->outbox);
}

/* Invariant: whatever operation a crash hits and whatever it leaves of what was not synced, the
 * outbox opens again, holds every frame that was sent and not settled, byte for byte, and gives no
 * sequence that was sent to other bytes. */
static void test_crash_at_every_operation(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct world *w = malloc(sizeof(*w));

		world_init(w, seed);
		for (unsigned int life = 0; life < LIVES; life++) {
			/* The first lives crash at every operation in turn. */
			w->disk.crash_at = life + 1 == LIVES ? NO_CRASH
					   : seed < LIVES
						   ? (uint32_t)(seed + life)
						   : (uint32_t)(test_random(&w->random) % 40);
			live(w, 12);
			memory_files_restart(&w->disk);
		}
		world_free(w);
		free(w);
	}
}

/* A file with trees, settled frames and marks. */
static void record(struct world *w)
{
	world_init(w, 4711);
	assert_true(open_outbox(w));
	for (unsigned int i = 0; i < 4; i++)
		assert_true(add_tree(w));
	assert_true(settle_one(w));
	assert_true(settle_one(w));
	assert_true(add_tree(w));
}

static size_t unsettled(const struct outbox_image *image)
{
	size_t n = 0;

	for (size_t i = 0; i < image->frames; i++)
		n += !image->frame[i].settled;
	return n;
}

/* Invariant: a file that ends anywhere reads as what is whole in it; only its header may not be
 * missing. */
static void test_truncated_anywhere(void **state)
{
	struct world *w = malloc(sizeof(*w));
	struct outbox_image image;
	struct memory_file *f;
	size_t frames = 0;
	char error[256];

	(void)state;
	record(w);
	f = memory_files_find(&w->disk, OUTBOX_NAME);
	for (size_t length = 0; length <= f->length; length++) {
		int err = outbox_parse(f->bytes, length, &image, error, sizeof(error));

		assert_int_equal(err, length < sizeof(struct outbox_hdr) ? -EBADMSG : 0);
		assert_true(image.end <= length && image.frames >= frames);
		frames = image.frames;
		outbox_image_free(&image);
	}
	assert_int_equal(outbox_parse(f->bytes, f->length, &image, error, sizeof(error)), 0);
	assert_int_equal(image.end, f->length);
	assert_int_equal(unsettled(&image), w->kept_count);
	outbox_image_free(&image);
	outbox_close(w->outbox);
	world_free(w);
	free(w);
}

/* Invariant: no flipped bit in what was synced and sent goes unnoticed: the file is refused with an
 * offset, or nothing of what was sent is missing. */
static void test_flipped_bits(void **state)
{
	struct world *w = malloc(sizeof(*w));
	struct outbox_image image;
	struct memory_file *f;
	size_t refused = 0, frames;
	char error[256];

	(void)state;
	record(w);
	f = memory_files_find(&w->disk, OUTBOX_NAME);
	assert_int_equal(outbox_parse(f->bytes, f->length, &image, error, sizeof(error)), 0);
	frames = image.frames;
	outbox_image_free(&image);
	for (size_t at = 0; at < f->length; at++) {
		int err;

		f->bytes[at] ^= (uint8_t)(1u << at % 8);
		err = outbox_parse(f->bytes, f->length, &image, error, sizeof(error));
		if (err) {
			assert_int_equal(err, -EBADMSG);
			assert_non_null(strstr(error, "offset"));
			refused++;
		} else {
			assert_int_equal(image.frames, frames);
		}
		outbox_image_free(&image);
		f->bytes[at] ^= (uint8_t)(1u << at % 8);
	}
	/* All but the last mark. */
	assert_int_equal(refused, f->length - sizeof(struct outbox_record));
	outbox_close(w->outbox);
	world_free(w);
	free(w);
}

/* Invariant: an outbox of another source or realm is refused, and one that is not is taken. */
static void test_owner(void **state)
{
	struct world *w = malloc(sizeof(*w));
	char error[256];

	(void)state;
	record(w);
	outbox_close(w->outbox);
	assert_null(outbox_open(&w->disk.files, REALM, SOURCE + 1, 1, NULL, NULL, error,
				sizeof(error)));
	assert_non_null(strstr(error, "belongs to source 7"));
	assert_null(outbox_open(&w->disk.files, REALM + 1, SOURCE, 1, NULL, NULL, error,
				sizeof(error)));
	assert_true(open_outbox(w));
	outbox_close(w->outbox);
	world_free(w);
	free(w);
}

/* Invariant: after a failed sync nothing of the tree may be sent, and nothing is written again. */
static void test_failed_sync(void **state)
{
	struct world *w = malloc(sizeof(*w));
	uint64_t next;

	(void)state;
	record(w);
	next = outbox_next(w->outbox);
	w->disk.fail_sync = true;
	assert_false(add_tree(w));
	w->disk.fail_sync = false;
	assert_int_equal(outbox_next(w->outbox), next);
	assert_false(add_tree(w));
	outbox_close(w->outbox);
	assert_true(open_outbox(w));
	check(w);
	outbox_close(w->outbox);
	world_free(w);
	free(w);
}

/* Invariant: sequences below first_sequence are skipped, and a restart does not go back. */
static void test_first_sequence(void **state)
{
	struct world *w = malloc(sizeof(*w));
	char error[256];

	(void)state;
	world_init(w, 1);
	w->outbox = outbox_open(&w->disk.files, REALM, SOURCE, 500, found, w, error, sizeof(error));
	assert_int_equal(outbox_next(w->outbox), 500);
	assert_true(add_tree(w));
	outbox_close(w->outbox);
	assert_true(open_outbox(w));
	assert_true(outbox_next(w->outbox) > 500);
	outbox_close(w->outbox);
	world_free(w);
	free(w);
}

/* Invariant: the checksum is CRC32C, as its standard's test vector says. */
static void test_crc(void **state)
{
	(void)state;
	assert_int_equal(crc32c("123456789", 9), 0xE3069283);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crash_at_every_operation),
		cmocka_unit_test(test_truncated_anywhere),
		cmocka_unit_test(test_flipped_bits),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_failed_sync),
		cmocka_unit_test(test_first_sequence),
		cmocka_unit_test(test_crc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
