/* SPDX-License-Identifier: BSD-3-Clause */
#include "pace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "result.h"
#include "rig.h"

#define ANSWERS_MAX (1u << 22)
#define BINS        120
#define BINS_A_TWO  4    /* powers of two, in quarters */
#define FIRST_US    0.25 /* lower bound of the first bin */

static const double quantile[PACE_QUANTILES] = {0.5, 0.95, 0.99, 0.999, 1};

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
static unsigned int given, answers;
static bool firsts; /* of every tree are sent */
static uint64_t bin[BINS];

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
		answer_us = malloc(ANSWERS_MAX * sizeof(*answer_us));
		if (!sent_tsc || !origin || !answer_us)
			bench_die("out of memory");
	}
	frames_per_cycle = frames_per_second / (double)rte_get_tsc_hz();
	find_origins();
	firsts = firsts_sent;
	given = 0;
	answers = 0;
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

	if (frame >= given || sent_before(frame) || answers == ANSWERS_MAX)
		return;
	answer_us[answers++] = (double)(now_tsc - sent_tsc[frame]) * 1e6 / (double)rte_get_tsc_hz();
}

unsigned int pace_count(void)
{
	return answers;
}

void pace_quantiles(double out[PACE_QUANTILES])
{
	result_sort(answer_us, answers);
	for (unsigned int i = 0; i < answers; i++) {
		double us = answer_us[i];
		int at = us > FIRST_US ? (int)(log2(us / FIRST_US) * BINS_A_TWO) : 0;

		bin[RTE_MIN(at, BINS - 1)]++;
	}
	for (unsigned int q = 0; q < PACE_QUANTILES; q++)
		out[q] = answers ? answer_us[(size_t)((answers - 1) * quantile[q])] : 0;
}

json_t *pace_histogram(void)
{
	json_t *bounds = json_array(), *counts = json_array();
	unsigned int first = 0, last = BINS - 1;

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
