/* SPDX-License-Identifier: BSD-3-Clause */
#include "test_json.h"

#define NAMES_MAX 40
#define UNITS_MAX 8

/* A name as UTF-16 code units, the form whose order RFC 8785 prescribes. */
struct name {
	uint16_t units[UNITS_MAX];
	unsigned int length;
};

static uint32_t seed = 2463534242;

static uint32_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

static void random_name(struct name *name)
{
	/* Both sides of every boundary at which UTF-8 and UTF-16 change their form. */
	static const uint32_t points[] = {0x0,     0x41,    0x7F,    0x80,     0x7FF,
					  0x800,   0xD7FF,  0xE000,  0xFB33,   0xFFFD,
					  0x10000, 0x1F600, 0xFFFFD, 0x100000, 0x10FFFD};
	unsigned int count = next_random() % 4;

	name->length = 0;
	for (unsigned int i = 0; i < count; i++) {
		uint32_t point = points[next_random() % (sizeof(points) / sizeof(points[0]))];

		if (point >= 0x10000) {
			point -= 0x10000;
			name->units[name->length++] = (uint16_t)(0xD800 + (point >> 10));
			point = 0xDC00 + (point & 0x3FF);
		}
		name->units[name->length++] = (uint16_t)point;
	}
}

static int compare_units(const struct name *a, const struct name *b)
{
	for (unsigned int i = 0; i < a->length && i < b->length; i++)
		if (a->units[i] != b->units[i])
			return a->units[i] < b->units[i] ? -1 : 1;
	return (a->length > b->length) - (a->length < b->length);
}

/* Invariant: on random objects, the parser's order of members is that of an insertion sort over
 * UTF-16 code units, and it finds a duplicate exactly if there is one. */
static void order_like_naive(void **state)
{
	struct atr_json_parser *parser = atr_json_parser_create();
	struct name names[NAMES_MAX];
	unsigned int order[NAMES_MAX];
	const struct atr_json *root, *member;
	char text[NAMES_MAX * (UNITS_MAX * 6 + 16)];
	unsigned int sorted = 0, duplicates = 0;

	(void)state;
	assert_non_null(parser);
	for (int round = 0; round < 20000; round++) {
		unsigned int count = 1 + next_random() % (round % 2 ? NAMES_MAX : 6);
		bool duplicate = false;
		size_t length = 0;

		for (unsigned int i = 0; i < count; i++) {
			unsigned int at = i;

			random_name(&names[i]);
			text[length++] = i == 0 ? '{' : ',';
			text[length++] = '"';
			for (unsigned int u = 0; u < names[i].length; u++)
				length += (size_t)sprintf(text + length, "\\u%04x",
							  names[i].units[u]);
			length += (size_t)sprintf(text + length, "\":%u", i);
			for (; at > 0 && compare_units(&names[order[at - 1]], &names[i]) >= 0;
			     at--) {
				duplicate |= compare_units(&names[order[at - 1]], &names[i]) == 0;
				order[at] = order[at - 1];
			}
			order[at] = i;
		}
		text[length++] = '}';
		text[length] = '\0';
		if (duplicate) {
			assert_int_equal(parse_text(parser, text, &root),
					 ATR_REASON_JSON_DUPLICATE_NAME);
			duplicates++;
			continue;
		}
		assert_int_equal(parse_text(parser, text, &root), ATR_OK);
		member = root->child;
		for (unsigned int i = 0; i < count; i++, member = member->next)
			assert_int_equal((unsigned int)member->number, order[i]);
		assert_null(member);
		sorted++;
	}
	assert_true(sorted > 1000 && duplicates > 1000);
	atr_json_parser_destroy(parser);
}

int run_order_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_like_naive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
