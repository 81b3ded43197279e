/* SPDX-License-Identifier: BSD-3-Clause */
#include "pace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "result.h"
#include "rig.h"

#define ROOM_STEP  4 /* answers a frame for which there is room at first */
#define BINS       120
#define BINS_A_TWO 4    /* powers of two, in quarters */
#define FIRST_US   0.25 /* lower bound of the first bin */

static const double quantile[PACE_QUANTILES] = {0.5, 0.95, 0.99, 0.999, 1};
const char *const pace_quantile_names[PACE_QUANTILES] = {"p50", "p95", "p99", "p99.9", "max"};

/* Trees come from the sources in turn, of each in the order of its sequences. */
struct origin {
	uint64_t first_sequence; /* of a pass */
	uint32_t first_tree;
	bool known;
};

static struct origin *origin; /* by source */
static unsigned int sources;  /* that send */
static uint64_t *sent_tsc, begin_tsc;
static double frames_per_cycle, *answer_us;
static unsigned int given;
static size_t answers, before, room; /* of all passes, of those before this one */
static bool firsts;                  /* of every tree are sent */

static void find_origins(void)
{
	sources = 0;
	memset(origin, 0, (rig.config->sources + 2) * sizeof(*origin));
	for (unsigned int t = 0; t < rig.config->frames / rig.config->tree; t++) {
		const struct atr_frame_hdr *hdr =
			rte_pktmbuf_mtod_offset(rig.lane[0].stock[t * rig.config->tree],
						const struct atr_frame_hdr *, TRAFFIC_UDP_HDRS);

		if (origin[hdr->source].known)
			return;
		origin[hdr->source] = (struct origin){hdr->first_sequence, t, true};
		sources++;
	}
}

void pace_begin(double frames_per_second, bool firsts_sent)
{
	if (!sent_tsc) {
		sent_tsc = calloc(rig.config->frames, sizeof(*sent_tsc));
		origin = calloc(rig.config->sources + 2, sizeof(*origin));
		if (!sent_tsc || !origin)
			bench_die("out of memory");
	}
	/* Before the clock runs, so that no answer waits for memory. */
	before = answers;
	room = answers + (size_t)rig.config->frames * ROOM_STEP;
	answer_us = realloc(answer_us, room * sizeof(*answer_us));
	if (!answer_us)
		bench_die("out of memory");
	frames_per_cycle = frames_per_second / (double)rte_get_tsc_hz();
	find_origins();
	firsts = firsts_sent;
	given = 0;
	begin_tsc = rte_rdtsc();
}

unsigned int pace_frames(void)
{
	return rig.config->frames - (firsts ? rig.config->frames / rig.config->tree : 0);
}

static bool sent_before(uint64_t frame)
{
	return firsts && frame % rig.config->tree == 0;
}

void pace_turn(void)
{
	uint64_t now = rte_rdtsc();
	uint64_t due = (uint64_t)((double)(now - begin_tsc) * frames_per_cycle);

	due = RTE_MIN(due, (uint64_t)rig.config->frames);
	for (; given < due; given++) {
		sent_tsc[given] = now;
		if (sent_before(given))
			continue;
		if (rte_ring_enqueue(rig.lane[0].in, rig.lane[0].stock[given]) != 0)
			return; /* next turn then */
	}
}

/* The frame of the pass that brought an event, or UINT64_MAX. */
static uint64_t frame_of(uint32_t source, uint64_t sequence)
{
	const struct origin *from = &origin[source <= rig.config->sources ? source : 0];
	uint64_t nth;

	if (!from->known || sequence < from->first_sequence)
		return UINT64_MAX;
	nth = (sequence - from->first_sequence) / rig.traffic.events;
	return (from->first_tree + nth / rig.config->tree * sources) * rig.config->tree +
	       nth % rig.config->tree;
}

void pace_answered(uint32_t source, uint64_t sequence, uint64_t now_tsc)
{
	uint64_t frame = frame_of(source, sequence);

	if (frame >= given || sent_before(frame))
		return;
	if (now_tsc < sent_tsc[frame])
		bench_die("an answer came before its frame was sent");
	if (answers == room)
		bench_die("more answers than frames can have");
	answer_us[answers++] = (double)(now_tsc - sent_tsc[frame]) * 1e6 / (double)rte_get_tsc_hz();
}

unsigned int pace_count(void)
{
	return (unsigned int)(answers - before);
}

static void quantiles_of(double *us, size_t count, double out[PACE_QUANTILES])
{
	result_sort(us, (unsigned int)count);
	for (unsigned int q = 0; q < PACE_QUANTILES; q++)
		out[q] = count ? us[(size_t)((double)(count - 1) * quantile[q])] : 0;
}

void pace_pass_quantiles(double out[PACE_QUANTILES])
{
	quantiles_of(answer_us + before, answers - before, out);
}

static json_t *named(const double value[PACE_QUANTILES])
{
	json_t *object = json_object();

	for (unsigned int q = 0; q < PACE_QUANTILES; q++)
		json_object_set_new(object, pace_quantile_names[q], json_real(value[q]));
	return object;
}

static json_t *histogram(void)
{
	json_t *bounds = json_array(), *counts = json_array();
	uint64_t bin[BINS] = {0};
	unsigned int first = 0, last = BINS - 1;

	for (size_t i = 0; i < answers; i++) {
		double us = answer_us[i];
		int at = us > FIRST_US ? (int)(log2(us / FIRST_US) * BINS_A_TWO) : 0;

		bin[RTE_MIN(at, BINS - 1)]++;
	}
	while (first < last && bin[first] == 0)
		first++;
	while (last > first && bin[last] == 0)
		last--;
	for (unsigned int i = first; i <= last; i++) {
		json_array_append_new(bounds, json_real(FIRST_US * pow(2, (double)i / BINS_A_TWO)));
		json_array_append_new(counts, json_integer((json_int_t)bin[i]));
	}
	json_array_append_new(bounds, json_real(FIRST_US * pow(2, (last + 1.0) / BINS_A_TWO)));
	return json_pack("{s:s, s:o, s:o}", "unit", "us", "bounds", bounds, "counts", counts);
}

void pace_result(json_t *result, double (*of_pass)[BENCH_PASSES_MAX], unsigned int passes)
{
	double all[PACE_QUANTILES], median[PACE_QUANTILES];

	json_object_set_new(result, "histogram", histogram());
	json_object_set_new(result, "answers", json_integer((json_int_t)answers));
	quantiles_of(answer_us, answers, all);
	json_object_set_new(result, "quantiles", named(all));
	for (unsigned int q = 0; q < PACE_QUANTILES; q++) {
		result_sort(of_pass[q], passes);
		median[q] = result_median(of_pass[q], passes);
	}
	json_object_set_new(result, "pass_quantiles", named(median));
}
