/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model.h"

#define READABLE_BEHIND 7
#define RANDOM_TYPES    400
#define RANDOM_PAYLOADS 200

static const unsigned int simd_bits[] = {64, 256, 512};
static uint64_t seed = 0x9E3779B97F4A7C15;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static unsigned int below(unsigned int n)
{
	return (unsigned int)(rnd() % n);
}

/* --- Random types and payloads --- */

static int64_t random_in_kind(const struct atr_field *f)
{
	uint64_t v = rnd();

	if (below(3) == 0)
		v = below(70);
	if (f->width < 8) {
		v &= (UINT64_C(1) << (8 * f->width)) - 1;
		if (kind_signed(f->kind) && v >> (8 * f->width - 1))
			v |= UINT64_MAX << (8 * f->width);
	}
	return (int64_t)v;
}

static void random_enum(struct atr_field *f)
{
	unsigned int want = below(ATR_FIELD_ENUM_MAX + 1);

	if (below(2))
		return;
	for (unsigned int tries = 0; tries < 300 && f->enum_count < want; tries++) {
		int64_t v = below(2) ? below(64) : random_in_kind(f);
		bool known = (f->has_absent && v == f->absent_raw) || less(f, v, f->min_raw) ||
			     less(f, f->max_raw, v);

		for (unsigned int e = 0; e < f->enum_count; e++)
			known |= f->enum_raw[e] == v;
		if (!known)
			f->enum_raw[f->enum_count++] = v;
	}
}

static void random_model(struct model *m)
{
	static const uint16_t widths[] = {1, 2, 4, 8, 1, 2, 4, 8, 0};
	uint32_t at = 0;

	memset(m, 0, sizeof(*m));
	m->count = below(ATR_FIELDS_MAX + 1);
	if (below(2))
		m->count = below(6);
	for (unsigned int i = 0; i < m->count; i++) {
		struct atr_field *f = &m->fields[i];

		snprintf(f->name, sizeof(f->name), "f%u", i);
		f->kind = below(ATR_FIELD_TEXT + 1);
		f->width = f->kind == ATR_FIELD_TEXT ? (uint16_t)(1 + below(20)) : widths[f->kind];
		at += below(4) ? 0 : below(100);
		f->offset = (uint16_t)at;
		at += f->width;
		if (f->kind == ATR_FIELD_TEXT)
			continue;
		f->min_raw = random_in_kind(f);
		f->max_raw = random_in_kind(f);
		if (less(f, f->max_raw, f->min_raw)) {
			int64_t swap = f->min_raw;

			f->min_raw = f->max_raw;
			f->max_raw = swap;
		}
		f->has_absent = below(2);
		if (f->has_absent)
			f->absent_raw = random_in_kind(f);
		random_enum(f);
	}
	m->fixed = at + (below(3) ? 0 : below(70));
	m->tail = below(2) ? below(90) : 0;
}

static void put(const struct atr_field *f, uint8_t *p, int64_t v)
{
	for (unsigned int i = 0; i < f->width; i++)
		p[f->offset + i] = (uint8_t)((uint64_t)v >> (8 * i));
}

static void random_text(uint8_t *t, uint32_t n)
{
	static const char *const pieces[] = {
		"a",          "Z ",           "\xC3\xA9",    "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
		"long piece", "\xED\x9F\xBF", "\xEF\xBF\xBF"};
	uint32_t at = 0;

	while (at < n) {
		const char *piece = pieces[below(8)];
		size_t length = strlen(piece);

		if (at + length > n || below(12) == 0)
			return;
		memcpy(t + at, piece, length);
		at += (uint32_t)length;
	}
}

/* A payload that is mostly valid, with a few bytes disturbed now and then. */
static void random_payload(const struct model *m, uint8_t *p, uint32_t length, bool arena)
{
	uint32_t tail = length > m->fixed ? length - m->fixed : 0;

	memset(p, 0, length);
	if (length < m->fixed)
		return;
	for (unsigned int i = 0; i < m->count; i++) {
		const struct atr_field *f = &m->fields[i];
		uint64_t span = (uint64_t)f->max_raw - (uint64_t)f->min_raw + 1;

		if (f->kind == ATR_FIELD_TEXT)
			random_text(p + f->offset, f->width);
		else if (f->has_absent && below(4) == 0)
			put(f, p, f->absent_raw);
		else if (f->enum_count)
			put(f, p, f->enum_raw[below(f->enum_count)]);
		else
			put(f, p, (int64_t)((uint64_t)f->min_raw + (span ? rnd() % span : rnd())));
	}
	random_text(p + m->fixed, tail > m->tail ? m->tail : tail);
	if (arena)
		for (uint32_t i = m->fixed; i < length; i++)
			p[i] = p[i] ? p[i] : '-';
	if (length && below(2) == 0)
		p[below(length)] = (uint8_t)rnd();
}

/* Invariant: every variant gives the naive model's verdict, and none reads more than seven bytes
 * behind the payload (the block is exactly that large, so that sanitizers see it). */
static void variants_equal_the_model(void **state)
{
	unsigned int verdicts[ATR_REASON_SPACE] = {0};

	(void)state;
	for (unsigned int t = 0; t < RANDOM_TYPES; t++) {
		char error[256] = "";
		struct atr_typecheck *type;
		struct model m;

		random_model(&m);
		type = atr_typecheck_compile(m.fields, m.count, m.fixed, m.tail, error,
					     sizeof(error));
		if (!type)
			fail_msg("%s", error);
		assert_int_equal(atr_typecheck_max_size(type), m.fixed + m.tail);
		for (unsigned int n = 0; n < RANDOM_PAYLOADS; n++) {
			bool arena = m.fixed > ATR_INLINE_MAX || below(2);
			uint32_t length = arena ? m.fixed + below(m.tail + 1) : ATR_INLINE_MAX;
			uint8_t *p, schema, canonical = 0;

			if (arena && below(20) == 0)
				length = below(m.fixed + m.tail + 10);
			p = malloc(length + READABLE_BEHIND);
			assert_non_null(p);
			memset(p + length, 0xFF, READABLE_BEHIND);
			random_payload(&m, p, length, arena);
			schema = naive_schema(&m, p, length, arena);
			verdicts[schema]++;
			if (schema == ATR_OK) {
				canonical = naive_canonical(&m, p, length, arena);
				verdicts[canonical]++;
			}
			for (unsigned int s = 0; s < 3; s++) {
				atr_typecheck_select(simd_bits[s]);
				assert_int_equal(atr_typecheck_schema(type, p, length, arena),
						 schema);
				if (schema == ATR_OK)
					assert_int_equal(
						atr_typecheck_canonical(type, p, length, arena),
						canonical);
			}
			free(p);
		}
		atr_typecheck_free(type);
	}
	/* The run is worth nothing unless it met each verdict often. */
	assert_true(verdicts[ATR_OK] > 1000);
	assert_true(verdicts[ATR_REASON_PAYLOAD_LENGTH] > 100);
	assert_true(verdicts[ATR_REASON_FIELD_RANGE] > 100);
	assert_true(verdicts[ATR_REASON_FIELD_ENUM] > 100);
	assert_true(verdicts[ATR_REASON_FIELD_TEXT] > 100);
	assert_true(verdicts[ATR_REASON_PAYLOAD_PADDING] > 100);
}

/* A type that a run of packets can be checked for: few numeric fields, no tail. */
static void inline_model(struct model *m)
{
	do {
		random_model(m);
		m->tail = 0;
		for (unsigned int i = 0; i < m->count; i++)
			for (unsigned int e = 0; e < m->fields[i].enum_count; e++)
				if (m->fields[i].enum_raw[e] < 0 || m->fields[i].enum_raw[e] > 63)
					m->fields[i].enum_count = 0;
	} while (m->fixed > ATR_INLINE_MAX);
}

static bool has_text(const struct model *m)
{
	for (unsigned int i = 0; i < m->count; i++)
		if (m->fields[i].kind == ATR_FIELD_TEXT)
			return true;
	return false;
}

static void random_packet(const struct model *m, struct atr_packet *p)
{
	memset(p, 0, sizeof(*p));
	p->flags = ATR_FLAG_INLINE | (uint64_t)below(4) << ATR_FLAG_PRIORITY_SHIFT;
	p->topic_id = (uint32_t)rnd();
	p->sender_id = 7;
	p->timestamp_ns = rnd();
	p->type_id = 3;
	random_payload(m, p->payload, ATR_INLINE_MAX, false);
	if (below(8) == 0)
		((uint8_t *)p)[below(sizeof(*p))] ^= (uint8_t)(1u << below(8));
}

static uint8_t exact_packet(const struct atr_typecheck *type, const struct atr_packet *p)
{
	uint8_t reason;

	if (p->type_id != 3 || p->flags & ATR_FLAG_ARENA)
		return ATR_REASON_UNKNOWN_TYPE;
	reason = atr_packet_canonical(p, 7);
	if (reason == ATR_OK)
		reason = atr_typecheck_schema(type, p->payload, ATR_INLINE_MAX, false);
	return reason ? reason : atr_typecheck_canonical(type, p->payload, ATR_INLINE_MAX, false);
}

/* Invariant: a packet passes in a run exactly if it passes both gates by itself, in every variant;
 * what a run cannot check it never passes. */
static void runs_equal_single_packets(void **state)
{
	enum { RUN = 23 };
	unsigned int met[2] = {0};

	(void)state;
	for (unsigned int t = 0; t < 2 * RANDOM_TYPES; t++) {
		struct atr_packet packet[RUN + 1]; /* a frame goes on behind its packets */
		uint8_t expect[RUN], passed[RUN];
		struct atr_typecheck *type;
		char error[256] = "";
		struct model m;

		inline_model(&m);
		type = atr_typecheck_compile(m.fields, m.count, m.fixed, 0, error, sizeof(error));
		if (!type)
			fail_msg("%s", error);
		for (unsigned int i = 0; i < RUN; i++) {
			random_packet(&m, &packet[i]);
			expect[i] = exact_packet(type, &packet[i]) == ATR_OK && !has_text(&m);
			met[expect[i]]++;
		}
		for (unsigned int s = 0; s < 3; s++) {
			unsigned int all = 0, n;

			atr_typecheck_select(simd_bits[s]);
			memset(passed, 0xAA, sizeof(passed));
			n = atr_typecheck_packets(type, 3, 7, packet, RUN, passed);
			for (unsigned int i = 0; i < RUN; i++) {
				/* More fields than a run compares: it may pass none. */
				if (m.count > 8 && n == 0)
					expect[i] = 0;
				assert_int_equal(passed[i], expect[i]);
				all += passed[i];
			}
			assert_int_equal(n, all);
		}
		atr_typecheck_free(type);
	}
	assert_true(met[0] > 1000 && met[1] > 1000);
}

/* Invariant: the widest variant that max_bits allows is chosen, never a wider one. */
static void select_obeys_the_limit(void **state)
{
	(void)state;
	assert_int_equal(atr_typecheck_select(64), ATR_SIMD_SCALAR);
	assert_int_equal(atr_typecheck_select(128), ATR_SIMD_SCALAR);
	assert_true(atr_typecheck_select(256) <= ATR_SIMD_AVX2);
	assert_int_equal(atr_typecheck_select(256) == ATR_SIMD_AVX2,
			 !!__builtin_cpu_supports("avx2"));
	assert_int_equal(atr_typecheck_select(512) == ATR_SIMD_AVX512,
			 __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
				 __builtin_cpu_supports("avx512vl") &&
				 __builtin_cpu_supports("avx512dq"));
}

static const struct atr_field base = {
	.name = "mag", .kind = ATR_FIELD_I16, .offset = 2, .width = 2, .min_raw = -5, .max_raw = 9};

static void refused(struct atr_field a, const struct atr_field *b, uint32_t fixed, uint32_t tail,
		    const char *says)
{
	struct atr_field fields[2] = {a};
	char error[256] = "";

	if (b)
		fields[1] = *b;
	assert_null(atr_typecheck_compile(fields, b ? 2 : 1, fixed, tail, error, sizeof(error)));
	if (!strstr(error, says))
		fail_msg("'%s' does not say '%s'", error, says);
}

/* Invariant: what cannot be checked is refused when compiled, naming the field. */
static void compile_refuses(void **state)
{
	struct atr_field f = base, g = base;

	(void)state;
	refused(base, &g, 8, 0, "'mag' overlaps another field at byte 2");
	refused(base, NULL, 3, 0, "'mag' ends at byte 4, beyond");
	f.offset = UINT16_MAX;
	refused(f, NULL, ATR_BINARY_SIZE_MAX, 0, "'mag' ends at byte 65537, beyond");
	f = base;
	f.width = 4;
	refused(f, NULL, 8, 0, "'mag' has a width of 4 bytes; its kind takes 2");
	f = base;
	f.min_raw = 10;
	refused(f, NULL, 8, 0, "'mag' has an empty range");
	f = base;
	f.max_raw = 32768;
	refused(f, NULL, 8, 0, "'mag' has a range or absent value that its kind cannot hold");
	f = base;
	f.has_absent = true;
	f.absent_raw = -32769;
	refused(f, NULL, 8, 0, "'mag' has a range or absent value that its kind cannot hold");
	f = base;
	f.enum_count = 1;
	f.enum_raw[0] = 10;
	refused(f, NULL, 8, 0, "'mag' enumerates raw value 10 outside its range");
	f.enum_count = 2;
	f.enum_raw[0] = f.enum_raw[1] = 3;
	refused(f, NULL, 8, 0, "'mag' enumerates a value twice");
	f.enum_count = ATR_FIELD_ENUM_MAX + 1;
	refused(f, NULL, 8, 0, "'mag' enumerates more than 64 values");
	f = base;
	f.kind = ATR_FIELD_TEXT;
	f.has_absent = true;
	refused(f, NULL, 8, 0, "'mag' is a text");
	f = base;
	f.kind = ATR_FIELD_TEXT;
	f.width = 0;
	refused(f, NULL, 8, 0, "'mag' has a width of 0 bytes");
	refused(base, NULL, ATR_BINARY_SIZE_MAX, 1, "exceed 8192 bytes");
	refused(base, NULL, UINT32_MAX, 0, "exceed 8192 bytes");
	refused(base, NULL, 8, UINT32_MAX, "exceed 8192 bytes");
}

/* Invariant: a predicate lane agrees with comparing decoded values; absent never matches. */
static void lanes_match_like_integers(void **state)
{
	(void)state;
	for (unsigned int n = 0; n < 20000; n++) {
		struct atr_field f = {.kind = below(ATR_FIELD_TEXT), .offset = below(9)};
		uint8_t *p = malloc(16 + READABLE_BEHIND);
		int64_t low, high, v;
		bool negate = below(2), expect;
		struct atr_lane lane;

		f.width = (uint16_t)(1u << (f.kind % 4));
		f.has_absent = below(2);
		f.absent_raw = random_in_kind(&f);
		low = random_in_kind(&f);
		high = below(4) ? random_in_kind(&f) : low;
		v = below(3) ? random_in_kind(&f) : below(2) ? low : f.absent_raw;
		for (unsigned int i = 0; i < 16 + READABLE_BEHIND; i++)
			p[i] = (uint8_t)rnd();
		put(&f, p, v);
		assert_int_equal(atr_lane_compile(&f, low, high, negate, &lane), 0);
		expect = (!less(&f, v, low) && !less(&f, high, v)) != negate;
		if (f.has_absent && v == f.absent_raw)
			expect = false;
		assert_int_equal(atr_lane_match(&lane, p), expect);
		free(p);
	}
}

/* Invariant: texts have no predicates, and bounds must be values of the field's kind. */
static void lane_compile_refuses(void **state)
{
	struct atr_field f = {.kind = ATR_FIELD_TEXT, .width = 4};
	struct atr_lane lane;

	(void)state;
	assert_int_equal(atr_lane_compile(&f, 0, 1, false, &lane), -EINVAL);
	f = base;
	assert_int_equal(atr_lane_compile(&f, -32769, 1, false, &lane), -ERANGE);
	assert_int_equal(atr_lane_compile(&f, 0, 32768, false, &lane), -ERANGE);
	f.kind = ATR_FIELD_U8;
	f.width = 1;
	assert_int_equal(atr_lane_compile(&f, -1, 255, false, &lane), -ERANGE);
	assert_int_equal(atr_lane_compile(&f, 0, 255, false, &lane), 0);
}

/* Invariant: a type without fields and without bytes accepts exactly the empty arena payload and
 * the all-zero inline payload, and reads nothing of the former. */
static void empty_type(void **state)
{
	struct atr_typecheck *type = atr_typecheck_compile(NULL, 0, 0, 0, NULL, 0);
	uint8_t *inline_payload = calloc(1, ATR_INLINE_MAX + READABLE_BEHIND);
	uint8_t *nothing = malloc(1);

	(void)state;
	assert_non_null(type);
	for (unsigned int s = 0; s < 3; s++) {
		atr_typecheck_select(simd_bits[s]);
		assert_int_equal(atr_typecheck_schema(type, nothing + 1, 0, true), ATR_OK);
		assert_int_equal(atr_typecheck_canonical(type, nothing + 1, 0, true), ATR_OK);
		assert_int_equal(atr_typecheck_schema(type, nothing, 1, true),
				 ATR_REASON_PAYLOAD_LENGTH);
		inline_payload[ATR_INLINE_MAX - 1] = 0;
		assert_int_equal(
			atr_typecheck_canonical(type, inline_payload, ATR_INLINE_MAX, false),
			ATR_OK);
		inline_payload[ATR_INLINE_MAX - 1] = 1;
		assert_int_equal(atr_typecheck_schema(type, inline_payload, ATR_INLINE_MAX, false),
				 ATR_OK);
		assert_int_equal(
			atr_typecheck_canonical(type, inline_payload, ATR_INLINE_MAX, false),
			ATR_REASON_PAYLOAD_PADDING);
	}
	free(nothing);
	free(inline_payload);
	atr_typecheck_free(type);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(variants_equal_the_model),
		cmocka_unit_test(runs_equal_single_packets),
		cmocka_unit_test(select_obeys_the_limit),
		cmocka_unit_test(compile_refuses),
		cmocka_unit_test(lanes_match_like_integers),
		cmocka_unit_test(lane_compile_refuses),
		cmocka_unit_test(empty_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
