/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/pcapng/pcapng.h"

#define FILE_MAX 1024

struct file {
	uint8_t bytes[FILE_MAX];
	size_t length;
};

static void put(struct file *f, const void *bytes, size_t length)
{
	assert_true(f->length + length <= FILE_MAX);
	memcpy(f->bytes + f->length, bytes, length);
	f->length += length;
}

static void put_u32(struct file *f, uint32_t value)
{
	put(f, &value, sizeof(value));
}

static void put_u16(struct file *f, uint16_t value)
{
	put(f, &value, sizeof(value));
}

static void section(struct file *f)
{
	put_u32(f, 0x0A0D0D0A);
	put_u32(f, 28);
	put_u32(f, 0x1A2B3C4D);
	put_u16(f, 1);
	put_u16(f, 0);
	put_u32(f, UINT32_MAX);
	put_u32(f, UINT32_MAX);
	put_u32(f, 28);
}

/* A packet of 5 bytes with a comment of 3. */
static void packet(struct file *f)
{
	put_u32(f, 6);
	put_u32(f, 52);
	put_u32(f, 0);
	put_u32(f, 0);
	put_u32(f, 0);
	put_u32(f, 5);
	put_u32(f, 5);
	put(f, "hello\0\0\0", 8);
	put_u16(f, 1);
	put_u16(f, 3);
	put(f, "why\0", 4);
	put_u32(f, 0);
	put_u32(f, 52);
}

/* Packets until the end or the first refusal; the last result. */
static int read_all(const struct file *f, unsigned int *packets, char error[256])
{
	FILE *file = fmemopen((void *)(uintptr_t)f->bytes, f->length, "r");
	struct atr_pcapng *reader = atr_pcapng_create(file);
	struct atr_pcapng_packet p;
	int rc;

	error[0] = '\0';
	assert_non_null(reader);
	for (*packets = 0; (rc = atr_pcapng_next(reader, &p, error, 256)) == 1; ++*packets) {
		assert_int_equal(p.length, 5);
		assert_memory_equal(p.data, "hello", 5);
		assert_int_equal(p.comment_length, 3);
		assert_memory_equal(p.comment, "why", 3);
	}
	atr_pcapng_free(reader);
	fclose(file);
	return rc;
}

/* Invariant: packets come in order with their comments; other blocks are stepped over. */
static void packets_and_comments(void **state)
{
	struct file f = {.length = 0};
	unsigned int n;
	char error[256];

	(void)state;
	section(&f);
	packet(&f);
	put_u32(&f, 5); /* interface statistics */
	put_u32(&f, 12);
	put_u32(&f, 12);
	packet(&f);
	assert_int_equal(read_all(&f, &n, error), 0);
	assert_int_equal(n, 2);
}

/* Invariant: a file cut off anywhere gives the packets in front of the cut, and says where it is;
 * cut between two blocks it is a shorter file. */
static void cut_off_anywhere(void **state)
{
	struct file whole = {.length = 0};
	char error[256];

	(void)state;
	section(&whole);
	packet(&whole);
	packet(&whole);
	for (size_t cut = 1; cut < whole.length; cut++) {
		struct file f = whole;
		unsigned int n;
		int rc;

		f.length = cut;
		rc = read_all(&f, &n, error);
		assert_int_equal(n, cut >= 80);
		assert_int_equal(rc, cut == 28 || cut == 80 ? 0 : -EBADMSG);
		assert_int_equal(rc < 0, strstr(error, "cut off") != NULL);
	}
}

/* Invariant: a length, a magic or a size that cannot be is refused, never believed. */
static void impossible(void **state)
{
	static const struct {
		size_t at;
		uint32_t value;
	} table[] = {{0, 7},   {4, 8},        {4, 30},  {4, UINT32_MAX},  {8, 0x4D3C2B1A},
		     {24, 32}, {32, 1 << 20}, {48, 21}, {48, UINT32_MAX}, {76, 60}};
	char error[256];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct file f = {.length = 0};
		unsigned int n;

		section(&f);
		packet(&f);
		memcpy(f.bytes + table[i].at, &table[i].value, sizeof(uint32_t));
		assert_int_equal(read_all(&f, &n, error), -EBADMSG);
		assert_int_equal(n, 0);
		assert_non_null(strstr(error, "block at byte"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_and_comments),
		cmocka_unit_test(cut_off_anywhere),
		cmocka_unit_test(impossible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
