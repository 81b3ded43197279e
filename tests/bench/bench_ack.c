/* SPDX-License-Identifier: BSD-3-Clause */
/* How many frames the control lcore acknowledges in a second: atr_acker_take and _flush with one
 * signature a flush, on one core. Scope: tier1. The reference is 1M frames/s. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../lib/ack/ack.h"

#define RUNS      5
#define BURST     256
#define SECONDS   0.5
#define REFERENCE 1e6
#define SOURCES   65536
#define EVENTS    20 /* of a frame of 1,500 bytes */

static uint64_t bytes;

static void emit(void *ctx, const struct atr_ack_address *to, const uint8_t *payload, size_t length)
{
	(void)ctx;
	(void)to;
	bytes += length + payload[0];
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Frames a second with items of so many sources in turn; a flush when room runs out. */
static double rate(struct atr_acker *acker, struct atr_ack_item *items, unsigned int sources)
{
	uint64_t before = atr_acker_stats(acker)->frames, sequence = 0;
	double begin = now(), passed;

	do {
		/* As many as the control lcore takes of its rings before it flushes: what the
		 * datagrams hold, if each of them is filled. */
		for (unsigned int taken = 0; atr_acker_room(acker) >= BURST / 2 && taken < 2048;
		     taken += BURST) {
			for (unsigned int i = 0; i < BURST; i++) {
				items[i].frame.source = 1 + (uint32_t)(sequence % sources);
				items[i].frame.first_sequence = sequence++ * EVENTS;
			}
			atr_acker_take(acker, 0, items, BURST);
		}
		atr_acker_flush(acker, sequence, emit, NULL);
		passed = now() - begin;
	} while (passed < SECONDS);
	return (double)(atr_acker_stats(acker)->frames - before) / passed;
}

int main(void)
{
	static const unsigned int sources[] = {1, 16, 64, 128};
	static struct atr_ack_item items[BURST];
	struct atr_acker_params params = {
		.sources = SOURCES, .shards = 1, .datagram_max = ATR_ACK_DATAGRAM_DEFAULT};
	struct atr_signer *signer;
	struct atr_acker *acker;
	char error[256];

	if (atr_sign_init() < 0 || !(signer = atr_signer_generate()))
		return 1;
	params.signer = signer;
	acker = atr_acker_create(&params, error, sizeof(error));
	if (!acker) {
		fprintf(stderr, "bench_ack: %s\n", error);
		return 1;
	}
	for (unsigned int i = 0; i < BURST; i++) {
		items[i].kind = ATR_ACK_ADDRESS;
		items[i].address.source = i + 1;
	}
	atr_acker_take(acker, 0, items, BURST);
	memset(items, 0, sizeof(items));
	for (unsigned int i = 0; i < BURST; i++) {
		items[i].kind = ATR_ACK_FRAME;
		items[i].frame.events = EVENTS;
	}
	for (unsigned int s = 0; s < sizeof(sources) / sizeof(sources[0]); s++) {
		double runs[RUNS];

		for (unsigned int r = 0; r < RUNS; r++)
			runs[r] = rate(acker, items, sources[s]);
		qsort(runs, RUNS, sizeof(runs[0]), by_value);
		printf("tier1 acknowledgements %3u source(s): %6.2f M frames/s (median of %d, "
		       "%.2f to %.2f), %.1fx the reference of %.0f M\n",
		       sources[s], runs[RUNS / 2] * 1e-6, RUNS, runs[0] * 1e-6,
		       runs[RUNS - 1] * 1e-6, runs[RUNS / 2] / REFERENCE, REFERENCE * 1e-6);
	}
	if (atr_acker_stats(acker)->no_room || atr_acker_stats(acker)->no_address)
		printf("tier1 acknowledgements: dropped %llu\n",
		       (unsigned long long)(atr_acker_stats(acker)->no_room +
					    atr_acker_stats(acker)->no_address));
	atr_acker_free(acker);
	atr_signer_free(signer);
	return 0;
}
