/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

#include "../../../app/atrctl/event_line.h"
#include "../../../app/atrctl/proposal.h"
#include "../../../lib/envelope/envelope.h"

#define TEXT_MAX 16384

static const char document[] = "{\"atr_plan\":1,\"name\":\"none\"}";
static char digest[2 * PROPOSAL_DIGEST + 1], other[2 * PROPOSAL_DIGEST + 1];
static struct atr_signer *signer;
static char text[TEXT_MAX], error[ERROR_SIZE];

/* Appends an envelope with this payload to text. */
static void add(const char *payload)
{
	struct atr_envelope_spec spec = {
		.timestamp_ns = 1, .source = "op", .topic = "t", .type = "any", .payload = payload};
	size_t used = strlen(text);
	int n;

	atr_uuid7_new(1, spec.uuid);
	n = atr_envelope_build(&spec, 1, signer, text + used, sizeof(text) - used - 1);
	assert_true(n > 0);
	strcat(text, "\n");
}

static void add_chunk(size_t offset, size_t length, size_t total, const char *of)
{
	char base64[256], payload[512];

	sodium_bin2base64(base64, sizeof(base64), (const uint8_t *)document + offset, length,
			  sodium_base64_VARIANT_ORIGINAL);
	snprintf(payload, sizeof(payload),
		 "{\"bytes\":\"%s\",\"digest\":\"%s\",\"offset\":%zu,\"total\":%zu}", base64, of,
		 offset, total);
	add(payload);
}

static void add_motion(const char *of, unsigned int version, const char *why)
{
	char payload[512];

	snprintf(payload, sizeof(payload),
		 "{\"digest\":\"%s\",\"replaces\":\"%s\",\"version\":%u%s%s%s}", of, other, version,
		 why ? ",\"why\":\"" : "", why ? why : "", why ? "\"" : "");
	add(payload);
}

static int take(struct proposal *p)
{
	memset(p, 0, sizeof(*p));
	error[0] = '\0';
	return proposal_take(p, "file", text, strlen(text), error);
}

static void assert_refused(const char *why)
{
	struct proposal p;
	int err = take(&p);

	if (err == 0)
		err = proposal_check(&p, error);
	assert_true(err < 0);
	if (!strstr(error, why))
		fail_msg("%s", error);
	proposal_free(&p);
	text[0] = '\0';
}

static int begin(void **state)
{
	(void)state;
	text[0] = '\0';
	return 0;
}

/* Invariant: chunks in any order, repeated, or overlapping with the same bytes make the document.
 */
static void test_any_order(void **state)
{
	size_t total = strlen(document);
	struct proposal p;

	(void)state;
	add_chunk(10, total - 10, total, digest);
	add_chunk(0, 12, total, digest);
	add_chunk(0, 5, total, digest);
	add_motion(digest, 2, "why");
	add_motion(digest, 2, NULL);
	assert_int_equal(take(&p), 0);
	assert_int_equal(proposal_check(&p, error), 0);
	assert_true(p.have == total && p.total == total && p.chunks == 3 && p.approvals == 1);
	assert_memory_equal(p.document, document, total);
	assert_ptr_equal(proposal_change(&p), &p.item[3]);
	assert_string_equal(p.item[3].source, "op");
	assert_int_equal(p.item[3].line, 4);
	/* Whole, of its digest, and no plan. */
	assert_null(proposal_plan(&p, NULL, error));
	assert_non_null(strstr(error, "version"));
	proposal_free(&p);
}

/* Invariant: a document that is not whole, or not of its digest, is never compiled. */
static void test_not_whole(void **state)
{
	size_t total = strlen(document);
	struct proposal p;

	(void)state;
	add_chunk(0, 10, total, digest);
	add_chunk(11, total - 11, total, digest);
	assert_int_equal(take(&p), 0);
	assert_null(proposal_plan(&p, NULL, error));
	assert_non_null(strstr(error, "not whole"));
	proposal_free(&p);
	text[0] = '\0';
	add_chunk(0, total, total, other);
	assert_int_equal(take(&p), 0);
	assert_null(proposal_plan(&p, NULL, error));
	assert_non_null(strstr(error, "another digest"));
	proposal_free(&p);
}

/* Invariant: what does not belong together is refused, with its line. */
static void test_refused(void **state)
{
	size_t total = strlen(document);

	(void)state;
	add_chunk(0, 5, total, digest);
	add_chunk(5, 5, total, other);
	assert_refused("line 2: the chunk is of another document");
	add_chunk(0, 5, total, digest);
	add_chunk(5, 5, total + 1, digest);
	assert_refused("line 2: the chunk is of another document");
	add_chunk(0, 5, 4, digest);
	assert_refused("reaches beyond");
	add_chunk(0, 5, 0, digest);
	assert_refused("malformed");
	add_motion(digest, 2, "a");
	add_motion(digest, 2, "b");
	assert_refused("second change");
	add_motion(digest, 2, "a");
	add_motion(digest, 3, NULL);
	assert_refused("approves something else");
	add_chunk(0, 5, total, other);
	add_motion(digest, 2, "a");
	assert_refused("another document than the change names");
	add("{\"celsius\":5}");
	assert_refused("neither");
	add_motion(digest, 0, NULL);
	assert_refused("neither");
	strcpy(text, "{}\n");
	assert_refused("line 1: no envelope");
	add_motion(digest, 2, NULL);
	text[1] = ' ';
	assert_refused("line 1: no envelope");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_any_order, begin),
		cmocka_unit_test_setup(test_not_whole, begin),
		cmocka_unit_test_setup(test_refused, begin),
	};
	uint8_t hash[PROPOSAL_DIGEST];

	if (atr_sign_init())
		return 1;
	signer = atr_signer_generate();
	crypto_hash_sha256(hash, (const uint8_t *)document, strlen(document));
	atr_hex_encode(hash, sizeof(hash), digest);
	memset(other, 'a', sizeof(other) - 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
