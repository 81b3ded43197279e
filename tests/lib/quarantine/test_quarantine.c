/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_eal.h>

#include "bench.h"

static const char *text_of(const json_t *line, const char *name)
{
	return json_string_value(json_object_get(line, name));
}

static json_int_t number_in(const json_t *line, const char *name)
{
	return json_integer_value(json_object_get(line, name));
}

/* Invariant: printable ASCII stays, every other byte becomes \xNN; never cut inside an escape. */
static void neutralised_text(void **state)
{
	const uint8_t hostile[] = {0x1B, '[',  '3',  '1',  'm', 0x00,
				   0x7F, 0x9B, 0xFF, '\n', ' ', '~'};
	uint8_t all[256];
	char out[1100];

	(void)state;
	assert_int_equal(atr_text_neutralise(hostile, sizeof(hostile), out, sizeof(out)), 30);
	assert_string_equal(out, "\\x1b[31m\\x00\\x7f\\x9b\\xff\\x0a ~");
	for (unsigned int i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	for (size_t size = 1; size < sizeof(out); size++) {
		size_t length = atr_text_neutralise(all, sizeof(all), out, size);

		assert_true(length < size);
		assert_int_equal(strlen(out), length);
		for (size_t i = 0; i < length; i++)
			assert_in_range(out[i], 0x20, 0x7E);
		if (length > 0 && length <= 4 * 32)
			assert_int_equal(length % 4, 0);
	}
	assert_int_equal(atr_text_neutralise(all, sizeof(all), out, sizeof(out)),
			 95 + 4 * (256 - 95));
	out[0] = 'x';
	assert_int_equal(atr_text_neutralise(all, sizeof(all), out, 0), 0);
	assert_int_equal(out[0], 'x');
}

/* Invariant: tshark opens the file and shows each packet whole, with its time and its reason. */
static void packets_carry_their_reason(void **state)
{
	struct atr_quarantine_params params = params_default();
	struct atr_quarantine *quarantine = start(&params);
	struct atr_quarantine_item item;
	char *text;

	(void)state;
	item = item_of((const uint8_t *)"hello", 5, ATR_REASON_NOT_ATR);
	put(quarantine, 0, &item);
	wait_for(quarantine, 1);
	item = item_of((const uint8_t *)"", 0, ATR_REASON_BAD_SIGNATURE);
	put(quarantine, 1, &item);
	wait_for(quarantine, 2);
	item = item_of((const uint8_t *)"{}", 2, ATR_REASON_ENVELOPE_MEMBER);
	item.is_envelope = 1;
	item.events = item.refused_events = item.named = 1;
	item.event[0].reason = ATR_REASON_ENVELOPE_MEMBER;
	put(quarantine, 0, &item);
	atr_quarantine_stop(quarantine);
	text = output_of("tshark -n -r %s/quarantine-000001.pcapng -T fields -E separator='|' "
			 "-e frame.len -e frame.time_epoch -e frame.comment -e udp.dstport "
			 "2>/dev/null",
			 directory);
	assert_string_equal(
		text,
		"47|1700000000.123456789|atr: not_atr (ingress): datagram begins neither a frame "
		"nor an envelope|5000\n"
		"42|1700000000.123456789|atr: bad_signature (signature): signature does not "
		"verify|5000\n"
		"44|1700000000.123456789|atr: envelope_member (schema): a member of the envelope "
		"is "
		"missing, unknown or of the wrong type|5000\n");
	free(text);
}

static struct atr_quarantine_item frame_with_refusals(unsigned int refused, unsigned int events)
{
	struct atr_quarantine_item item =
		item_of((const uint8_t *)"\0ATR", 4, ATR_REASON_FIELD_RANGE);

	item.source = 7;
	item.first_sequence = 1000;
	item.refused_events = (uint16_t)refused;
	item.events = (uint16_t)events;
	item.named = (uint8_t)RTE_MIN(refused, (unsigned int)ATR_QUARANTINE_EVENTS);
	for (unsigned int i = 0; i < item.named; i++) {
		item.event[i].index = (uint16_t)(4 + i);
		item.event[i].reason = ATR_REASON_FIELD_RANGE;
	}
	return item;
}

/* Invariant: refused events are named with index, sequence and reason, the rest is counted; the
 * audit has one line for the frame and one for each named event. */
static void refused_events_are_named(void **state)
{
	struct atr_quarantine_params params = params_default();
	struct atr_quarantine *quarantine = start(&params);
	struct atr_quarantine_item item = frame_with_refusals(2, 19);
	json_t *lines, *line;
	char *text;

	(void)state;
	put(quarantine, 0, &item);
	item = frame_with_refusals(14, 20);
	put(quarantine, 0, &item);
	atr_quarantine_stop(quarantine);
	text = output_of("tshark -n -r %s/quarantine-000001.pcapng -T fields -e frame.comment "
			 "2>/dev/null",
			 directory);
	assert_non_null(strstr(text, "atr: 2 of 19 events refused: event 4 seq 1004 field_range; "
				     "event 5 seq 1005 field_range\n"));
	assert_non_null(strstr(text, "atr: 14 of 20 events refused: event 4 seq 1004 "));
	assert_non_null(strstr(text, "event 15 seq 1015 field_range; ... and 2 more\n"));
	free(text);

	lines = audit_lines();
	assert_int_equal(json_array_size(lines), 1 + 2 + 1 + 12);
	line = json_array_get(lines, 0);
	assert_string_equal(text_of(line, "kind"), "datagram");
	assert_string_equal(text_of(line, "time"), "2023-11-14T22:13:20.123456789Z");
	assert_string_equal(text_of(line, "src"), "10.0.0.1");
	assert_string_equal(text_of(line, "dst"), "10.0.0.2");
	assert_int_equal(number_in(line, "src_port"), 40000);
	assert_int_equal(number_in(line, "dst_port"), 5000);
	assert_int_equal(number_in(line, "refused"), 2);
	assert_int_equal(number_in(line, "events"), 19);
	assert_int_equal(number_in(line, "plan"), 3);
	assert_string_equal(text_of(line, "head"), "\\x00ATR");
	line = json_array_get(lines, 2);
	assert_string_equal(text_of(line, "kind"), "event");
	assert_int_equal(number_in(line, "index"), 5);
	assert_string_equal(text_of(line, "sequence"), "1005");
	assert_int_equal(number_in(line, "source"), 7);
	assert_string_equal(text_of(line, "reason"), "field_range");
	assert_string_equal(text_of(line, "gate"), "schema");
	line = json_array_get(lines, 3);
	assert_int_equal(number_in(line, "packet"), 2);
	assert_string_equal(text_of(line, "pcapng"), "quarantine-000001.pcapng");
	json_decref(lines);
}

/* Invariant: whatever the bytes and the item's own numbers, files stay readable and every audit
 * line is printable ASCII and JSON. */
static void hostile_items_leave_readable_files(void **state)
{
	struct atr_quarantine_params params = params_default();
	struct atr_quarantine *quarantine = start(&params);
	const unsigned int count = 300;
	json_t *lines;
	char *text;

	(void)state;
	srandom(5);
	for (unsigned int i = 0; i < count; i++) {
		uint8_t payload[200];
		struct atr_quarantine_item item;

		for (unsigned int j = 0; j < sizeof(payload); j++)
			payload[j] =
				(uint8_t)(random() % 3 ? random() : "\"\\\x1b\n"[random() % 4]);
		item = item_of(payload, (uint16_t)(random() % 201), (uint8_t)random());
		for (long j = random() % 20; j > 0; j--)
			rte_pktmbuf_mtod(item.mbuf, uint8_t *)[random() % 42] = (uint8_t)random();
		rte_pktmbuf_trim(item.mbuf,
				 (uint16_t)(random() % 4 ? 0 : random() % item.mbuf->data_len));
		item.offset = random() % 2 ? item.offset : (uint16_t)random();
		item.length = random() % 2 ? item.length : (uint16_t)random();
		item.named = (uint8_t)random();
		item.refused_events = (uint16_t)random();
		item.events = (uint16_t)random();
		item.first_sequence = UINT64_MAX - (uint64_t)(random() % 3);
		for (unsigned int j = 0; j < ATR_QUARANTINE_EVENTS; j++) {
			item.event[j].index = (uint16_t)random();
			item.event[j].reason = (uint8_t)random();
		}
		put(quarantine, i % 2, &item);
	}
	atr_quarantine_stop(quarantine);
	lines = audit_lines();
	assert_true(json_array_size(lines) >= count);
	json_decref(lines);
	text = output_of("for f in %s/*.pcapng; do tshark -n -r $f -T fields -e frame.number "
			 "2>&1 | grep -v root; done",
			 directory);
	assert_int_equal(lines_in(text), count);
	free(text);
}

/* Invariant: a packet in several segments is written whole. */
static void segments_are_joined(void **state)
{
	struct atr_quarantine_params params = params_default();
	struct atr_quarantine *quarantine = start(&params);
	struct atr_quarantine_item item = item_of((const uint8_t *)"abc", 3, ATR_REASON_REALM);
	struct atr_quarantine_item tail = item_of((const uint8_t *)"", 0, ATR_REASON_REALM);
	char *text;

	(void)state;
	memcpy(rte_pktmbuf_mtod(tail.mbuf, char *), "defgh", 5);
	rte_pktmbuf_trim(tail.mbuf, 37);
	assert_int_equal(rte_pktmbuf_chain(item.mbuf, tail.mbuf), 0);
	put(quarantine, 0, &item);
	atr_quarantine_stop(quarantine);
	text = output_of("tshark -n -r %s/quarantine-000001.pcapng -x 2>/dev/null", directory);
	assert_non_null(strstr(text, "61 62 63 64 65 66"));
	assert_non_null(strstr(text, "67 68"));
	free(text);
}

/* Invariant: a full ring refuses, counts, and leaves the reference with the caller. */
static void full_ring_drops_and_counts(void **state)
{
	struct atr_quarantine_params params = params_default();
	struct atr_quarantine_stats stats;
	struct atr_quarantine *quarantine;
	uint64_t accepted = 0, refused = 0;

	(void)state;
	params.ring_size = 2;
	quarantine = start(&params);
	for (unsigned int i = 0; i < 5000; i++) {
		struct atr_quarantine_item item =
			item_of((const uint8_t *)"x", 1, ATR_REASON_REALM);

		if (atr_quarantine_put(quarantine, 1, &item)) {
			accepted++;
		} else {
			refused++;
			rte_pktmbuf_free(item.mbuf);
		}
	}
	stats = wait_for(quarantine, accepted);
	assert_true(refused > 0);
	assert_int_equal(stats.dropped_ring, refused);
	assert_int_equal(stats.written, accepted);
	atr_quarantine_stop(quarantine);
}

/* Invariant: over any stretch no more is written than the rate and one second's burst allow, and
 * everything that was put is counted once. */
static void rate_is_bounded(void **state)
{
	struct atr_quarantine_params params = params_default();
	struct atr_quarantine_stats stats;
	struct atr_quarantine *quarantine;
	uint64_t begin, seconds;

	(void)state;
	params.packets_per_second = 50;
	quarantine = start(&params);
	begin = quarantine_now();
	for (unsigned int i = 0; i < 1500; i++) {
		struct atr_quarantine_item item =
			item_of((const uint8_t *)"x", 1, ATR_REASON_REALM);

		put(quarantine, 0, &item);
		usleep(1000);
	}
	stats = wait_for(quarantine, 1500);
	seconds = (quarantine_now() - begin) / SECOND_NS + 1;
	assert_int_equal(stats.written + stats.dropped_rate, 1500);
	assert_true(stats.written <= 50 * (1 + seconds));
	assert_true(stats.written >= 50 + 50);
	atr_quarantine_stop(quarantine);
}

static void wrong_parameters_are_named(void **state)
{
	struct atr_quarantine_params p;
	char error[256] = "";

	(void)state;
#define REFUSED(change, part)                                                \
	do {                                                                 \
		p = params_default();                                        \
		change;                                                      \
		assert_null(atr_quarantine_start(&p, error, sizeof(error))); \
		assert_non_null(strstr(error, part));                        \
	} while (0)
	REFUSED(p.directory = "", "directory");
	REFUSED(p.directory = "/nonexistent/a/b", "/nonexistent/a/b");
	REFUSED(p.directory = "/dev/null", "/dev/null");
	REFUSED(p.file_bytes = 16383, "file_bytes");
	REFUSED(p.files = 0, "files");
	REFUSED(p.packets_per_second = 0, "packets_per_second");
	REFUSED(p.producers = 0, "producers");
	REFUSED(p.ring_size = 3, "ring_size");
#undef REFUSED
}

int main(void)
{
#define WITH_DIRECTORY(f) cmocka_unit_test_setup_teardown(f, directory_make, directory_remove)
	char words[][16] = {"test", "--no-huge", "--no-pci", "--no-telemetry", "--no-shconf", "-m",
			    "64",   "-l",        "0"};
	char *argv[RTE_DIM(words)];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neutralised_text),
		WITH_DIRECTORY(packets_carry_their_reason),
		WITH_DIRECTORY(refused_events_are_named),
		WITH_DIRECTORY(hostile_items_leave_readable_files),
		WITH_DIRECTORY(segments_are_joined),
		WITH_DIRECTORY(full_ring_drops_and_counts),
		WITH_DIRECTORY(rate_is_bounded),
		WITH_DIRECTORY(wrong_parameters_are_named),
	};
	int failed;

	for (unsigned int i = 0; i < RTE_DIM(words); i++)
		argv[i] = words[i];
	if (rte_eal_init(RTE_DIM(words), argv) < 0)
		return 1;
	pool = rte_pktmbuf_pool_create("test", 8191, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	failed = pool ? cmocka_run_group_tests(tests, NULL, NULL) + run_file_tests() : 1;
	rte_eal_cleanup();
	return failed;
}
