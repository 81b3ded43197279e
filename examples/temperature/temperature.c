/* SPDX-License-Identifier: BSD-3-Clause */
/* Publishes temperatures: one reading every few milliseconds, for the source, topic and type of
 * pipelines/minimal.json. It may be killed at any time: what it has published stays in the outbox
 * until the appliance has acknowledged it, and the next run goes on.
 *
 *   temperature TO ACKS_KEY KEY_FILE OUTBOX READINGS [REALM SOURCE KEY]
 */
#include <atr/atr.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TOPIC       1 /* reading.cellar */
#define TYPE        1 /* reading */
#define EVERY_MS    2
#define LAST_MS     60000 /* at the end, wait so long for acknowledgements */
#define NS_PER_S    UINT64_C(1000000000)
#define MILLIDEGREE 1000

/* The type's record: i32 celsius with scale 3, then four bytes of zeros. */
struct reading {
	int32_t millicelsius;
	uint8_t zero[4];
};

static uint64_t unix_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* A cellar, warmer and colder by turns. */
static struct reading measure(uint64_t i)
{
	int32_t phase = (int32_t)(i % (2 * MILLIDEGREE));
	struct reading r = {.millicelsius = 12 * MILLIDEGREE};

	r.millicelsius += phase < MILLIDEGREE ? phase : 2 * MILLIDEGREE - phase;
	return r;
}

static void on_result(void *context, const struct atr_producer_result *r)
{
	(void)context;
	if (r->outcome == ATR_PRODUCER_SETTLED && r->reason != ATR_CLIENT_ADMITTED &&
	    r->reason != ATR_CLIENT_DUPLICATE)
		fprintf(stderr, "readings %" PRIu64 " to %" PRIu64 " refused: %s\n",
			r->first_sequence, r->first_sequence + r->events - 1,
			atr_client_reason_text(r->reason));
}

static int publish(struct atr_producer *producer, uint64_t i)
{
	struct reading r = measure(i);
	int err;

	do {
		err = atr_producer_publish(producer, TOPIC, TYPE, unix_ns(), 0, &r, sizeof(r),
					   NULL);
		if (err == -EAGAIN && atr_producer_poll(producer, LAST_MS) < 0)
			return -EIO;
	} while (err == -EAGAIN);
	return err;
}

static int run(struct atr_producer *producer, uint64_t readings)
{
	struct atr_producer_stats stats;

	for (uint64_t i = 0; i < readings; i++) {
		if (publish(producer, i) || atr_producer_poll(producer, EVERY_MS) < 0) {
			fprintf(stderr, "temperature: %s\n", atr_producer_error(producer));
			return EXIT_FAILURE;
		}
	}
	atr_producer_wait(producer, LAST_MS);
	atr_producer_stats(producer, &stats, sizeof(stats));
	printf("published %" PRIu64 ", acknowledged %" PRIu64 ", refused %" PRIu64
	       ", taken up from the outbox %" PRIu64 " frames, left in it %" PRIu64 "\n",
	       stats.events, stats.admitted + stats.duplicate, stats.refused, stats.recovered,
	       stats.unsettled);
	return stats.unsettled || stats.refused ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct atr_producer_config config = {
		.size = sizeof(config), .realm = 1, .source = 1, .key = 1, .result = on_result};
	char error[ATR_CLIENT_ERROR];
	struct atr_producer *producer;
	int status;

	if (argc != 6 && argc != 9) {
		fprintf(stderr, "usage: temperature TO ACKS_KEY KEY_FILE OUTBOX READINGS "
				"[REALM SOURCE KEY]\n");
		return EXIT_FAILURE;
	}
	config.to = argv[1];
	config.acks_key = argv[2];
	config.key_file = argv[3];
	config.outbox = argv[4];
	if (argc == 9) {
		config.realm = strtoull(argv[6], NULL, 0);
		config.source = (uint32_t)strtoul(argv[7], NULL, 0);
		config.key = (uint32_t)strtoul(argv[8], NULL, 0);
	}
	producer = atr_producer_open(&config, error, sizeof(error));
	if (!producer) {
		fprintf(stderr, "temperature: %s\n", error);
		return EXIT_FAILURE;
	}
	status = run(producer, strtoull(argv[5], NULL, 0));
	atr_producer_close(producer);
	return status;
}
