/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of a shard under load, and the fixed ladder of what it sheds.
 *
 * Once a millisecond the shard reads its signals (overload.def). A signal at or above a state's
 * value puts the shard into that state at once; it goes back one state at a time, after
 * ATR_OVERLOAD_CALM_MS in which every signal stayed below three quarters of that state's value.
 * What is done in a state is the table of measures, in their order; nothing else is ever shed on
 * purpose.
 *
 * Layer 1: lib/reason. One object belongs to one shard; every function is called by its lcore
 * and is hot path, except atr_overload_init and those that say otherwise.
 */
#ifndef ATR_OVERLOAD_H
#define ATR_OVERLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "../reason/reason.h"

enum atr_load { ATR_GREEN, ATR_YELLOW, ATR_ORANGE, ATR_RED, ATR_LOADS };

enum atr_signal {
#define ATR_SIGNAL(NAME, ...) ATR_SIGNAL_##NAME,
#include "overload.def"
	ATR_SIGNALS
};

enum atr_measure {
#define ATR_MEASURE(NAME, ...) ATR_MEASURE_##NAME,
#include "overload.def"
	ATR_MEASURES
};

struct atr_signal_info {
	const char *name, *unit, *what;
	uint32_t from[ATR_LOADS]; /* [ATR_GREEN] is 0 */
};

struct atr_measure_info {
	const char *name, *what;
	enum atr_load from;
	uint8_t reason; /* of what it sheds; ATR_OK: it sheds nothing */
};

extern const struct atr_signal_info atr_signal_info[ATR_SIGNALS];
extern const struct atr_measure_info atr_measure_info[ATR_MEASURES];

#define ATR_OVERLOAD_CALM_MS 500
#define ATR_LATENCY_READINGS 8
#define ATR_TRANSITIONS      64 /* the last so many are kept */

/* A change of state, and the signal that stood highest. */
struct atr_transition {
	uint64_t tsc;
	uint8_t from, to;
	uint8_t signal;
	uint32_t value; /* of the signal, in its unit */
};

struct atr_overload {
	uint32_t measures; /* in force, a bit each. Writer: the shard; readers: it and, racing, the
			      control lcore and telemetry */
	uint8_t state;     /* enum atr_load; the same */
	/* The shard's own. */
	bool full;              /* this turn found a full burst */
	uint8_t crossed;        /* signal that stood highest at the last reading */
	bool gap;               /* some turn since the last reading did not */
	uint32_t full_readings; /* in a row, without a gap */
	uint64_t busy_tsc;      /* begin of the running turn; 0: it had no work */
	uint64_t shortest;      /* turn with work since the last reading, TSC; UINT64_MAX: none */
	uint32_t turn_us[ATR_LATENCY_READINGS]; /* of the last readings; 0: no work */
	uint8_t reading;                        /* number of the next, modulo those */
	uint64_t read_tsc;                      /* next reading */
	uint64_t calm_tsc; /* since when the state below would do; 0: it would not */
	uint64_t ms_tsc, us_tsc;

	/* Writer: the shard; readers: telemetry and the control lcore, who may see one reading
	 * mixed with the next. */
	uint32_t value[ATR_SIGNALS];
	uint64_t since_tsc; /* of the state */
	struct atr_transition transition[ATR_TRANSITIONS];
	uint64_t transitions; /* ever made; written with release behind the entry */
};

/* GREEN, from now on. Control lcore, before the shard's lcore is launched. */
void atr_overload_init(struct atr_overload *overload, uint64_t now_tsc, uint64_t hz);

/* The turn that began at begin_tsc is over. worked: it had frames. True if signals are to be read
 * now and given to atr_overload_judge. */
bool atr_overload_turn(struct atr_overload *overload, uint64_t begin_tsc, uint64_t end_tsc,
		       bool worked);

/* Takes the reading of RINGS, HOLD, COMMIT and POOL (the others are its own) and changes state by
 * it. */
void atr_overload_judge(struct atr_overload *overload, const uint32_t value[ATR_SIGNALS],
			uint64_t now_tsc);

static inline bool atr_overload_takes(const struct atr_overload *overload, enum atr_measure measure)
{
	return overload->measures >> measure & 1;
}

/* Measures that shed, a bit each. */
enum {
	ATR_MEASURES_SHED = 0
#define ATR_MEASURE(NAME, name, state, reason, ...) | (ATR_##reason != ATR_OK) << ATR_MEASURE_##NAME
#include "overload.def"
};

/* The measure that sheds an event of this priority (0..3), or ATR_MEASURES if none in force does.
 * large: its payload is in the arena, or it is an envelope. Any lcore. */
static inline enum atr_measure atr_overload_sheds(uint32_t measures, unsigned int priority,
						  bool large)
{
	if (priority == 3 && measures >> ATR_MEASURE_P3 & 1)
		return ATR_MEASURE_P3;
	if (priority == 2 && measures >> ATR_MEASURE_P2 & 1)
		return ATR_MEASURE_P2;
	if (priority == 1 && large && measures >> ATR_MEASURE_LARGE & 1)
		return ATR_MEASURE_LARGE;
	if (priority > 0 && measures >> ATR_MEASURE_P1 & 1)
		return ATR_MEASURE_P1;
	return ATR_MEASURES;
}

/* Copies up to max transitions from number *from on (0: the first ever) and moves *from behind
 * them; those no longer kept are skipped. Any thread, one caller a cursor. */
unsigned int atr_overload_transitions(const struct atr_overload *overload, uint64_t *from,
				      struct atr_transition *out, unsigned int max);

/* "green", "yellow", "orange", "red"; "?" for none of them. Any thread. */
const char *atr_load_name(unsigned int state);

#endif
