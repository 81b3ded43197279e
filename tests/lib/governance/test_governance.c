/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sodium.h>

#include "../../../lib/governance/governance.h"
#include "../../../lib/sign/sign.h"

#define SPACE    8192
#define OP_A     1
#define OP_B     2
#define OP_C     3
#define SENSOR   4
#define CHUNK    2
#define CHANGE   3
#define APPROVAL 4
#define HEX      65
#define ZEROS    "0000000000000000000000000000000000000000000000000000000000000000"

static char base[SPACE]; /* tests/fuzz/seeds/plan/governed, in RFC 8785 form */
static struct atr_plan *plan;
static struct atr_governor *governor;
static struct atr_json_parser *parser;

static int begin(void **state)
{
	(void)state;
	governor = atr_governor_create();
	return governor == NULL;
}

static int end(void **state)
{
	(void)state;
	atr_governor_free(governor);
	return 0;
}

/* The next version of the plan, with one text in the place of another; its RFC 8785 form. */
static struct atr_plan *next(const char *from, const char *to)
{
	char text[2 * SPACE], error[512];
	const char *version = "\"version\":1";
	char *at;
	struct atr_plan *made;
	int n;

	snprintf(text, sizeof(text), "%.*s", (int)plan->document_length, plan->document);
	at = strstr(text, version);
	assert_non_null(at);
	at[strlen(version) - 1] = '2';
	at = strstr(text, from);
	assert_non_null(at);
	memmove(at + strlen(to), at + strlen(from), strlen(at + strlen(from)) + 1);
	memcpy(at, to, strlen(to));
	n = (int)strlen(text);
	made = atr_plan_load(text, (size_t)n, error, sizeof(error));
	if (!made)
		fail_msg("%s", error);
	return made;
}

static const struct atr_json *json(const char *text)
{
	const struct atr_json *value;

	assert_int_equal(atr_json_parse(parser, text, strlen(text), &value, NULL), ATR_OK);
	return value;
}

static void chunk_text(const char *digest, const char *bytes, size_t length, size_t offset,
		       size_t total, char *out, size_t size)
{
	char base64[ATR_GOVERNANCE_CHUNK_TEXT_MAX + 1];
	int n;

	sodium_bin2base64(base64, sizeof(base64), (const uint8_t *)bytes, length,
			  sodium_base64_VARIANT_ORIGINAL);
	n = snprintf(out, size, "{\"bytes\":\"%s\",\"digest\":\"%s\",\"offset\":%zu,\"total\":%zu}",
		     base64, digest, offset, total);
	assert_true(n > 0 && (size_t)n < size);
}

/* Judged, and taken if it may be. */
static uint8_t say(uint32_t source, uint32_t type, const char *text)
{
	uint8_t reason = atr_governor_judge(governor, plan, source, type, json(text));

	if (reason == ATR_OK)
		atr_governor_take(governor, plan, source, type, json(text));
	return reason;
}

static uint8_t send_chunk(uint32_t source, const struct atr_plan *document, size_t offset,
			  size_t length)
{
	char text[2 * ATR_GOVERNANCE_CHUNK_TEXT_MAX], digest[HEX];

	atr_hex_encode(document->digest, sizeof(document->digest), digest);
	chunk_text(digest, document->document + offset, length, offset, document->document_length,
		   text, sizeof(text));
	return say(source, CHUNK, text);
}

/* In pieces, the last first. */
static void push(uint32_t source, const struct atr_plan *document)
{
	size_t piece = 300, offset = document->document_length / piece * piece;

	for (;; offset -= piece) {
		size_t left = document->document_length - offset;

		if (left > 0)
			assert_int_equal(
				send_chunk(source, document, offset, left < piece ? left : piece),
				ATR_OK);
		if (offset == 0)
			return;
	}
}

static const char *motion(const struct atr_plan *document, bool change)
{
	static char text[1024];
	char digest[HEX], replaces[HEX];

	atr_hex_encode(document->digest, sizeof(document->digest), digest);
	atr_hex_encode(plan->digest, sizeof(plan->digest), replaces);
	snprintf(text, sizeof(text), "{\"digest\":\"%s\",\"replaces\":\"%s\",\"version\":%u%s}",
		 digest, replaces, document->version, change ? ",\"why\":\"w\"" : "");
	return text;
}

/* Invariant: a change may be when its document is whole, in whatever order it came, and as many
 * different operators have approved as the plan asks; it leads to just that plan. */
static void accepted(void **state)
{
	struct atr_plan *document = next("\"approvals\":2", "\"approvals\":3"), *given;

	(void)state;
	assert_int_equal(say(OP_A, CHANGE, motion(document, true)), ATR_REASON_GOV_DOCUMENT);
	push(OP_A, document);
	assert_int_equal(say(OP_A, CHANGE, motion(document, true)), ATR_REASON_GOV_APPROVALS);
	assert_int_equal(say(OP_B, APPROVAL, motion(document, false)), ATR_OK);
	assert_int_equal(say(OP_B, APPROVAL, motion(document, false)), ATR_OK);
	assert_int_equal(say(OP_A, CHANGE, motion(document, true)), ATR_REASON_GOV_APPROVALS);
	assert_non_null(strstr(atr_governor_refusal(governor), "1 of 2"));
	assert_int_equal(say(SENSOR, APPROVAL, motion(document, false)), ATR_REASON_GOV_OPERATOR);
	assert_int_equal(say(OP_C, APPROVAL, motion(document, false)), ATR_OK);
	assert_int_equal(say(OP_A, CHANGE, motion(document, true)), ATR_OK);
	given = atr_governor_give(governor, json(motion(document, true)));
	assert_non_null(given);
	assert_memory_equal(given->digest, document->digest, sizeof(given->digest));
	atr_governor_give_back(governor, given);
	assert_int_equal(say(OP_A, CHANGE, motion(document, true)), ATR_OK);
	atr_governor_reset(governor);
	assert_int_equal(say(OP_A, CHANGE, motion(document, true)), ATR_REASON_GOV_DOCUMENT);
	atr_plan_free(document);
}

/* Invariant: approvals and changes of another plan than the one in force, or of no higher version,
 * are stale. */
static void stale(void **state)
{
	static const char other[] =
		"{\"digest\":\"" ZEROS "\",\"replaces\":\"" ZEROS "\",\"version\":9}";
	struct atr_plan *document = next("\"approvals\":2", "\"approvals\":1");
	char text[1024];

	(void)state;
	assert_int_equal(say(OP_A, APPROVAL, other), ATR_REASON_GOV_STALE);
	strcpy(text, motion(document, false));
	strstr(text, "\"version\":2")[strlen("\"version\":")] = '1';
	assert_int_equal(say(OP_A, APPROVAL, text), ATR_REASON_GOV_STALE);
	atr_plan_free(document);
}

/* Invariant: a chunk that reaches beyond its document, contradicts another, or is no base64 is
 * refused and changes nothing; the same bytes again are welcome. */
static void chunks(void **state)
{
	struct atr_governor_document document[ATR_GOVERNOR_DOCUMENTS];
	char text[1024];

	(void)state;
	chunk_text(ZEROS, "abcd", 4, 7, 10, text, sizeof(text));
	assert_int_equal(say(OP_A, CHUNK, text), ATR_REASON_GOV_CHUNK);
	chunk_text(ZEROS, "abcd", 4, 0, 10, text, sizeof(text));
	assert_int_equal(say(OP_A, CHUNK, text), ATR_OK);
	assert_int_equal(say(OP_A, CHUNK, text), ATR_OK);
	chunk_text(ZEROS, "dxy", 3, 3, 10, text, sizeof(text));
	assert_int_equal(say(OP_A, CHUNK, text), ATR_OK);
	chunk_text(ZEROS, "zz", 2, 5, 10, text, sizeof(text));
	assert_int_equal(say(OP_A, CHUNK, text), ATR_REASON_GOV_CHUNK);
	assert_non_null(strstr(atr_governor_refusal(governor), "overlaps"));
	chunk_text(ZEROS, "abcd", 4, 0, 11, text, sizeof(text));
	assert_int_equal(say(OP_A, CHUNK, text), ATR_REASON_GOV_CHUNK);
	snprintf(text, sizeof(text),
		 "{\"bytes\":\"AAA\",\"digest\":\"" ZEROS "\",\"offset\":0,\"total\":9}");
	assert_int_equal(say(OP_B, CHUNK, text), ATR_REASON_GOV_CHUNK);
	/* Another operator's of the same digest is a document of its own. */
	chunk_text(ZEROS, "other", 5, 0, 10, text, sizeof(text));
	assert_int_equal(say(OP_B, CHUNK, text), ATR_OK);
	assert_int_equal(atr_governor_documents(governor, plan, document, ATR_GOVERNOR_DOCUMENTS),
			 2);
	assert_int_equal(document[0].have, 6);
	assert_int_equal(document[1].have, 5);
}

static uint8_t piece_of(uint32_t source, char name, size_t total)
{
	char text[1024], digest[HEX];

	memset(digest, name, sizeof(digest) - 1);
	digest[HEX - 1] = '\0';
	chunk_text(digest, "x", 1, 0, total, text, sizeof(text));
	return say(source, CHUNK, text);
}

/* Invariant: four documents and 64 MiB are under way at most; only an operator's own gives way to
 * its new one. */
static void room(void **state)
{
	const size_t half = ATR_GOVERNANCE_DOCUMENT_MAX / 2;

	(void)state;
	assert_int_equal(piece_of(OP_A, '1', 10), ATR_OK);
	assert_int_equal(piece_of(OP_A, '2', 10), ATR_OK);
	assert_int_equal(piece_of(OP_A, '3', 10), ATR_OK);
	assert_int_equal(piece_of(OP_A, '4', 10), ATR_OK);
	assert_int_equal(piece_of(OP_B, '5', 10), ATR_REASON_GOV_CHUNK);
	assert_int_equal(piece_of(OP_A, '5', 10), ATR_OK);
	/* The oldest went. */
	assert_int_equal(piece_of(OP_B, '1', 10), ATR_REASON_GOV_CHUNK);
	atr_governor_reset(governor);
	assert_int_equal(piece_of(OP_A, '1', half), ATR_OK);
	assert_int_equal(piece_of(OP_B, '2', half + 1), ATR_REASON_GOV_CHUNK);
	assert_int_equal(piece_of(OP_B, '2', half), ATR_OK);
}

/* Invariant: a document that is no plan, or gives an id a second meaning, is refused with the path
 * of the culprit; whose bytes have another digest, too. */
static void documents(void **state)
{
	static const char bad[] = "{\"digest\":\"" ZEROS "\",\"replaces\":\"%s\",\"version\":2,"
				  "\"why\":\"w\"}";
	struct atr_plan *document = next("\"udp_port\":26400", "\"udp_port\":26401");
	char text[1024], replaces[HEX];

	(void)state;
	push(OP_A, document);
	assert_int_equal(say(OP_A, APPROVAL, motion(document, false)), ATR_OK);
	assert_int_equal(say(OP_B, APPROVAL, motion(document, false)), ATR_OK);
	assert_int_equal(say(OP_A, CHANGE, motion(document, true)), ATR_REASON_GOV_DOCUMENT);
	assert_non_null(strstr(atr_governor_refusal(governor), "ingress.udp_port: is 26400"));
	chunk_text(ZEROS, "{}", 2, 0, 2, text, sizeof(text));
	assert_int_equal(say(OP_A, CHUNK, text), ATR_OK);
	atr_hex_encode(plan->digest, sizeof(plan->digest), replaces);
	snprintf(text, sizeof(text), bad, replaces);
	assert_int_equal(say(OP_A, CHANGE, text), ATR_REASON_GOV_DOCUMENT);
	assert_non_null(strstr(atr_governor_refusal(governor), "another digest"));
	atr_plan_free(document);
}

/* Invariant: an operator's approvals push out none of another's. */
static void approvals_of_one(void **state)
{
	struct atr_plan *document = next("\"approvals\":2", "\"approvals\":1");
	char text[1024], replaces[HEX];

	(void)state;
	push(OP_A, document);
	assert_int_equal(say(OP_A, APPROVAL, motion(document, false)), ATR_OK);
	assert_int_equal(say(OP_B, APPROVAL, motion(document, false)), ATR_OK);
	atr_hex_encode(plan->digest, sizeof(plan->digest), replaces);
	for (unsigned int i = 0; i < 2 * ATR_GOVERNOR_APPROVALS; i++) {
		snprintf(text, sizeof(text),
			 "{\"digest\":\"" ZEROS "\",\"replaces\":\"%s\",\"version\":%u}", replaces,
			 10 + i);
		assert_int_equal(say(OP_C, APPROVAL, text), ATR_OK);
	}
	assert_int_equal(say(OP_A, CHANGE, motion(document, true)), ATR_OK);
	atr_plan_free(document);
}

static int read_base(const char *root)
{
	char path[SPACE], error[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/tests/fuzz/seeds/plan/governed", root);
	file = fopen(path, "r");
	if (!file)
		return -1;
	base[fread(base, 1, sizeof(base) - 1, file)] = '\0';
	fclose(file);
	plan = atr_plan_load(base, strlen(base), error, sizeof(error));
	parser = atr_json_parser_create();
	return plan && parser ? 0 : -1;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(accepted, begin, end),
		cmocka_unit_test_setup_teardown(stale, begin, end),
		cmocka_unit_test_setup_teardown(chunks, begin, end),
		cmocka_unit_test_setup_teardown(room, begin, end),
		cmocka_unit_test_setup_teardown(documents, begin, end),
		cmocka_unit_test_setup_teardown(approvals_of_one, begin, end),
	};
	int failed;

	if (argc != 2 || read_base(argv[1]) < 0)
		return EXIT_FAILURE;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	atr_plan_free(plan);
	atr_json_parser_destroy(parser);
	return failed;
}
