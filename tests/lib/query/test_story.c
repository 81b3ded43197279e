/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/query/query.h"
#include "../replay/replay_log.h"

static char error[512];

static struct atr_query *read_all(struct replay_log *log)
{
	struct atr_query *query = atr_query_create(&log->disk.storage, error, sizeof(error));

	assert_non_null(query);
	assert_int_equal(atr_query_refresh(query, UINT64_MAX, UINT64_MAX, error, sizeof(error)), 0);
	return query;
}

static struct atr_query_event find(struct atr_query *query, const char *identity)
{
	struct atr_query_event event;
	struct atr_query_key key;

	assert_int_equal(atr_query_identity(identity, strlen(identity), &key), 0);
	assert_int_equal(atr_query_find(query, &key, &event, error, sizeof(error)), 1);
	assert_true(event.feeds_known);
	return event;
}

static void expect(struct atr_query *query, const char *identity, uint64_t feeds, uint64_t all,
		   uint64_t strong)
{
	struct atr_query_event event = find(query, identity);

	assert_int_equal(event.feeds, feeds);
	if (feeds & 1)
		assert_int_equal(event.number[0], all);
	if (feeds & 2)
		assert_int_equal(event.number[1], strong);
}

/* Values from 100 on go to feed 1 too, refused events to none. */
static void write_log(struct replay_log *log)
{
	static const uint8_t some[] = {0x0D};

	replay_log_init(log);
	replay_log_plan(log);
	replay_log_begin(log);
	replay_log_all(log, 1, 1, 10, 95);
	replay_log_envelope(log, 10, 7);
	replay_log_frame(log, 2, 1, 4, 100, some);
	replay_log_finish(log, 20);
	replay_log_begin(log);
	replay_log_envelope(log, 30, 8);
	replay_log_all(log, 1, 11, 3, 99);
	replay_log_finish(log, 40);
}

/* Invariant: an event's number in each feed of class D is told, counted through the groups in front
 * of it and the events of its own, refused ones left out; feeds of other classes have none. */
static void feed_numbers(void **state)
{
	struct replay_log log;
	struct atr_query *query;
	struct atr_query_key key;
	struct atr_query_event event;

	(void)state;
	write_log(&log);
	query = read_all(&log);
	expect(query, "1:1", 1, 1, 0);
	expect(query, "1:6", 3, 6, 1);
	expect(query, "1:10", 3, 10, 5);
	expect(query, "2:1", 3, 12, 6);
	expect(query, "2:4", 3, 14, 8);
	expect(query, "1:11", 1, 16, 0);
	expect(query, "1:13", 3, 18, 10);
	assert_int_equal(atr_query_identity("2:2", 3, &key), 0);
	assert_int_equal(atr_query_find(query, &key, &event, error, sizeof(error)), 1);
	assert_false(event.admitted);
	assert_int_equal(event.feeds, 0);
	atr_query_free(query);
	replay_log_free(&log);
}

static void uuid_text(char out[64], uint64_t ms, uint32_t serial, unsigned int source)
{
	unsigned long long at = START_MS + ms;

	snprintf(out, 64, "%u:%08llx-%04llx-7000-8000-0000%08x", source, at >> 16, at & 0xFFFF,
		 serial);
}

/* Invariant: an envelope is found by source and UUID, with its position and feed numbers; not by
 * another source or UUID. */
static void by_uuid(void **state)
{
	struct atr_query_event event;
	struct atr_query_key key;
	struct replay_log log;
	struct atr_query *query;
	char text[64];

	(void)state;
	write_log(&log);
	query = read_all(&log);
	uuid_text(text, 10, 7, 1);
	expect(query, text, 1, 11, 0);
	event = find(query, text);
	assert_true(event.admitted);
	assert_true(event.key.by_uuid);
	assert_int_equal(event.group, 1);
	uuid_text(text, 30, 8, 1);
	expect(query, text, 1, 15, 0);
	assert_int_equal(find(query, text).group, 2);
	uuid_text(text, 10, 7, 2);
	assert_int_equal(atr_query_identity(text, strlen(text), &key), 0);
	assert_int_equal(atr_query_find(query, &key, &event, error, sizeof(error)), 0);
	uuid_text(text, 10, 8, 1);
	assert_int_equal(atr_query_identity(text, strlen(text), &key), 0);
	assert_int_equal(atr_query_find(query, &key, &event, error, sizeof(error)), 0);
	atr_query_free(query);
	replay_log_free(&log);
}

/* Invariant: with a bound on groups nothing behind them is read, and the rest is read later. */
static void bounded(void **state)
{
	struct atr_query_event event;
	struct atr_query_key key;
	struct replay_log log;
	struct atr_query *query;

	(void)state;
	write_log(&log);
	query = atr_query_create(&log.disk.storage, error, sizeof(error));
	assert_non_null(query);
	assert_int_equal(atr_query_refresh(query, 2, UINT64_MAX, error, sizeof(error)), 0);
	assert_int_equal(atr_query_identity("1:11", 4, &key), 0);
	assert_int_equal(atr_query_find(query, &key, &event, error, sizeof(error)), 0);
	expect(query, "1:10", 3, 10, 5);
	assert_int_equal(atr_query_refresh(query, 3, UINT64_MAX, error, sizeof(error)), 0);
	expect(query, "1:11", 1, 16, 0);
	atr_query_free(query);
	replay_log_free(&log);
}

/* Invariant: who says stop is heard: work ends with -EINTR and can be done anew. */
static void stopped(void **state)
{
	struct atr_query_event event;
	struct atr_query_key key;
	struct replay_log log;
	struct atr_query *query;
	bool stop = true;

	(void)state;
	write_log(&log);
	query = atr_query_create(&log.disk.storage, error, sizeof(error));
	assert_non_null(query);
	atr_query_watch(query, &stop);
	assert_int_equal(atr_query_refresh(query, UINT64_MAX, UINT64_MAX, error, sizeof(error)),
			 -EINTR);
	stop = false;
	assert_int_equal(atr_query_refresh(query, UINT64_MAX, UINT64_MAX, error, sizeof(error)), 0);
	stop = true;
	assert_int_equal(atr_query_identity("1:11", 4, &key), 0);
	assert_int_equal(atr_query_find(query, &key, &event, error, sizeof(error)), -EINTR);
	stop = false;
	expect(query, "1:11", 1, 16, 0);
	atr_query_free(query);
	replay_log_free(&log);
}

/* Invariant: exactly the two written forms are identities. */
static void identities(void **state)
{
	static const char *const wrong[] = {
		"",
		":",
		"1:",
		":1",
		"1",
		"1:1:1",
		"-1:1",
		"+1:1",
		" 1:1",
		"1:1 ",
		"4294967296:1",
		"1:18446744073709551616",
		"1:0x1",
		"1:01890a5d-ac96-774b-bcce-b302099a805",
		"1:01890a5d-ac96-774b-bcce-b302099a80577",
		"1:01890A5D-ac96-774b-bcce-b302099a8057",
		"1:01890a5d-ac96-474b-bcce-b302099a8057",
	};
	const char *uuid = "4294967295:01890a5d-ac96-774b-bcce-b302099a8057";
	struct atr_query_key key;

	(void)state;
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (atr_query_identity(wrong[i], strlen(wrong[i]), &key) != -EINVAL)
			fail_msg("'%s' is taken", wrong[i]);
	assert_int_equal(atr_query_identity("7:18446744073709551615", 22, &key), 0);
	assert_int_equal(key.source, 7);
	assert_false(key.by_uuid);
	assert_true(key.sequence == UINT64_MAX);
	assert_int_equal(atr_query_identity(uuid, strlen(uuid), &key), 0);
	assert_true(key.by_uuid);
	assert_int_equal(key.source, UINT32_MAX);
	assert_int_equal(key.uuid[0], 0x01);
	assert_int_equal(key.uuid[15], 0x57);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(feed_numbers), cmocka_unit_test(by_uuid),
		cmocka_unit_test(bounded),      cmocka_unit_test(stopped),
		cmocka_unit_test(identities),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
