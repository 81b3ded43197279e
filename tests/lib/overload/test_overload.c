/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/overload/overload.h"

#define HZ         UINT64_C(1000000000) /* of the counter: a nanosecond a step */
#define MS         UINT64_C(1000000)
#define US         UINT64_C(1000)
#define PAGE_MAX   65536
#define PRIORITIES 4

static const char *page_path;

struct load {
	struct atr_overload o;
	uint64_t now;
};

static void begin(struct load *l)
{
	l->now = 5 * HZ;
	atr_overload_init(&l->o, l->now, HZ);
}

/* A reading a millisecond later. */
static void reading(struct load *l, enum atr_signal signal, uint32_t value)
{
	uint32_t v[ATR_SIGNALS] = {0};

	v[signal] = value;
	atr_overload_turn(&l->o, l->now, l->now, false);
	l->now += MS;
	atr_overload_judge(&l->o, v, l->now);
}

/* A millisecond of turns; each takes turn_us, full or not. */
static void turns(struct load *l, bool full, uint64_t turn_us)
{
	static const uint32_t none[ATR_SIGNALS];
	bool due = false;

	while (!due) {
		l->o.full = full;
		due = atr_overload_turn(&l->o, l->now, l->now + turn_us * US, true);
		l->now += turn_us * US;
	}
	atr_overload_judge(&l->o, none, l->now);
}

/* Invariant: each signal leads at once into the state whose value it reaches, one below it does
 * not, and the transition names signal and value. RX and LATENCY are measured, below. */
static void every_signal_at_its_value(void **state)
{
	static const enum atr_signal given[] = {ATR_SIGNAL_RINGS, ATR_SIGNAL_HOLD,
						ATR_SIGNAL_COMMIT, ATR_SIGNAL_POOL};

	(void)state;
	for (unsigned int g = 0; g < sizeof(given) / sizeof(given[0]); g++)
		for (unsigned int to = ATR_YELLOW; to < ATR_LOADS; to++) {
			uint32_t value = atr_signal_info[given[g]].from[to];
			struct atr_transition t;
			struct load l;
			uint64_t from = 0;

			begin(&l);
			reading(&l, given[g], value - 1);
			assert_int_equal(l.o.state, to - 1);
			begin(&l);
			reading(&l, given[g], value);
			assert_int_equal(l.o.state, to);
			assert_int_equal(atr_overload_transitions(&l.o, &from, &t, 1), 1);
			assert_int_equal(t.from, ATR_GREEN);
			assert_int_equal(t.to, to);
			assert_int_equal(t.signal, given[g]);
			assert_int_equal(t.value, value);
			assert_int_equal(t.tsc, l.now);
		}
}

/* Invariant: a port queue that is full turn after turn is overload after as many readings as the
 * table says, one turn that is not full begins anew, and a pause counts as one reading. */
static void full_bursts(void **state)
{
	const uint32_t *from = atr_signal_info[ATR_SIGNAL_RX].from;
	struct load l;

	(void)state;
	begin(&l);
	for (unsigned int n = 0; n < 10 * from[ATR_RED]; n++) {
		turns(&l, true, 100);
		l.o.full = false;
		atr_overload_turn(&l.o, l.now, l.now, true);
	}
	assert_int_equal(l.o.state, ATR_GREEN);
	turns(&l, true, 100);
	assert_int_equal(l.o.value[ATR_SIGNAL_RX], 0);
	l.now += 300 * MS;
	for (unsigned int n = 1; n <= from[ATR_RED]; n++) {
		unsigned int want = n < from[ATR_YELLOW]   ? ATR_GREEN
				    : n < from[ATR_ORANGE] ? ATR_YELLOW
				    : n < from[ATR_RED]    ? ATR_ORANGE
							   : ATR_RED;

		turns(&l, true, 100);
		assert_int_equal(l.o.value[ATR_SIGNAL_RX], n);
		assert_int_equal(l.o.state, want);
	}
	assert_int_equal(l.o.transitions, 3);
}

/* Invariant: slow turns are overload once no reading of the last eight saw a faster one, not
 * before: seven in a row are a pause. */
static void slow_turns(void **state)
{
	const uint32_t slow = atr_signal_info[ATR_SIGNAL_LATENCY].from[ATR_ORANGE];
	struct load l;

	(void)state;
	begin(&l);
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int n = 0; n < ATR_LATENCY_READINGS - 1; n++)
			turns(&l, false, slow);
		assert_int_equal(l.o.state, ATR_GREEN);
		turns(&l, false, 10);
		assert_int_equal(l.o.state, ATR_GREEN);
	}
	for (unsigned int n = 0; n < ATR_LATENCY_READINGS; n++)
		turns(&l, false, slow);
	assert_int_equal(l.o.state, ATR_ORANGE);
	assert_int_equal(l.o.transition[0].signal, ATR_SIGNAL_LATENCY);
}

/* Invariant: a state is left for the next better one, no earlier than ATR_OVERLOAD_CALM_MS after
 * every signal fell below three quarters of its value, and one reading above begins anew. */
static void hysteresis(void **state)
{
	const uint32_t *from = atr_signal_info[ATR_SIGNAL_HOLD].from;
	struct load l;

	(void)state;
	begin(&l);
	reading(&l, ATR_SIGNAL_HOLD, from[ATR_RED]);
	for (unsigned int ms = 0; ms < 2 * ATR_OVERLOAD_CALM_MS; ms++)
		reading(&l, ATR_SIGNAL_HOLD, (from[ATR_RED] * 3 + 3) / 4);
	assert_int_equal(l.o.state, ATR_RED);
	for (unsigned int ms = 0; ms < ATR_OVERLOAD_CALM_MS; ms++)
		reading(&l, ATR_SIGNAL_HOLD, 0);
	reading(&l, ATR_SIGNAL_HOLD, from[ATR_RED]);
	for (unsigned int better = ATR_ORANGE; better < ATR_LOADS; better--) {
		for (unsigned int ms = 0; ms < ATR_OVERLOAD_CALM_MS; ms++)
			reading(&l, ATR_SIGNAL_HOLD, 0);
		assert_int_equal(l.o.state, better + 1);
		reading(&l, ATR_SIGNAL_HOLD, 0);
		assert_int_equal(l.o.state, better);
	}
	assert_int_equal(l.o.measures, 0);
	assert_int_equal(l.o.transitions, 4);
}

/* Invariant: the ladder: in each state exactly those events are shed that its measures and those
 * before it name; priority 0 never is. */
static void ladder(void **state)
{
	/* By state: a bit for each priority that is shed. */
	static const unsigned int small[ATR_LOADS] = {0x0, 0x8, 0xc, 0xe};
	static const unsigned int large[ATR_LOADS] = {0x0, 0x8, 0xe, 0xe};

	(void)state;
	for (unsigned int s = ATR_GREEN; s < ATR_LOADS; s++) {
		struct load l;

		begin(&l);
		reading(&l, ATR_SIGNAL_POOL, atr_signal_info[ATR_SIGNAL_POOL].from[s]);
		assert_int_equal(l.o.state, s);
		for (unsigned int p = 0; p < PRIORITIES; p++) {
			assert_int_equal(atr_overload_sheds(l.o.measures, p, false) < ATR_MEASURES,
					 small[s] >> p & 1);
			assert_int_equal(atr_overload_sheds(l.o.measures, p, true) < ATR_MEASURES,
					 large[s] >> p & 1);
		}
	}
	assert_true(atr_measure_info[ATR_MEASURE_P3].from < atr_measure_info[ATR_MEASURE_P2].from);
	assert_true(atr_measure_info[ATR_MEASURE_P2].from <= atr_measure_info[ATR_MEASURE_P1].from);
}

/* Invariant: a reader sees every transition once and in order while it keeps up, and the newest
 * ones where it does not. */
static void transitions_once(void **state)
{
	struct atr_transition t[ATR_TRANSITIONS];
	uint64_t from = 0;
	struct load l;

	(void)state;
	begin(&l);
	assert_int_equal(atr_overload_transitions(&l.o, &from, t, ATR_TRANSITIONS), 0);
	for (unsigned int n = 0; n < ATR_TRANSITIONS; n++) {
		reading(&l, ATR_SIGNAL_RINGS, atr_signal_info[ATR_SIGNAL_RINGS].from[ATR_YELLOW]);
		assert_int_equal(atr_overload_transitions(&l.o, &from, t, 8), 1);
		assert_int_equal(t[0].to, ATR_YELLOW);
		for (unsigned int ms = 0; ms <= ATR_OVERLOAD_CALM_MS; ms++)
			reading(&l, ATR_SIGNAL_RINGS, 0);
		assert_int_equal(atr_overload_transitions(&l.o, &from, t, 8), 1);
		assert_int_equal(t[0].to, ATR_GREEN);
	}
	from = 0;
	assert_int_equal(atr_overload_transitions(&l.o, &from, t, ATR_TRANSITIONS),
			 ATR_TRANSITIONS - 1);
	assert_int_equal(from, 2 * ATR_TRANSITIONS);
}

static const char *page(void)
{
	static char text[PAGE_MAX];
	FILE *file = fopen(page_path, "r");
	size_t n;

	assert_non_null(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = '\0';
	return text;
}

/* Invariant: the tables of docs/overload.md are those of the code, row by row and in order. */
static void page_tells_the_tables(void **state)
{
	static const char *const names[] = {"GREEN", "YELLOW", "ORANGE", "RED"};
	const char *at = page();
	char row[512];

	(void)state;
	for (unsigned int s = 0; s < ATR_SIGNALS; s++) {
		const struct atr_signal_info *i = &atr_signal_info[s];

		snprintf(row, sizeof(row), "| `%s` | %s | %u %s | %u %s | %u %s |\n", i->name,
			 i->what, i->from[ATR_YELLOW], i->unit, i->from[ATR_ORANGE], i->unit,
			 i->from[ATR_RED], i->unit);
		at = strstr(at, row);
		if (!at)
			fail_msg("docs/overload.md lacks, or has elsewhere: %s", row);
	}
	for (unsigned int m = 0; m < ATR_MEASURES; m++) {
		const struct atr_measure_info *i = &atr_measure_info[m];

		snprintf(row, sizeof(row), "| `%s` | %s | %s |\n", i->name, names[i->from],
			 i->what);
		at = strstr(at, row);
		if (!at)
			fail_msg("docs/overload.md lacks, or has elsewhere: %s", row);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_signal_at_its_value),
		cmocka_unit_test(full_bursts),
		cmocka_unit_test(slow_turns),
		cmocka_unit_test(hysteresis),
		cmocka_unit_test(ladder),
		cmocka_unit_test(transitions_once),
		cmocka_unit_test(page_tells_the_tables),
	};

	if (argc < 2)
		return EXIT_FAILURE;
	page_path = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
