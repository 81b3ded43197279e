/* SPDX-License-Identifier: BSD-3-Clause */
/* Class D on one data lcore: every gate, the log written and synced before a message is published
 * or acknowledged, roots verified and acknowledgements signed by the control lcore meanwhile.
 * Beside it, in the same run, the disk alone with the same write size. Then, at half the measured
 * rate, the time from a frame's reception to the datagram that acknowledges it.
 * Scope: class-d. A run that lost or misjudged one message fails.
 *
 *   bench_classd EAL... -- [-n FRAMES] [-m MTU] [-p PASSES]
 *
 * Needs 3 GiB in the directory for temporary files. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_lcore.h>

#include "../../lib/ack/format.h"
#include "disk_alone.h"
#include "path_rig.h"

#define GROUP_BYTES   1000000u
#define DISK_WRITE    (1u << 20)
#define DISK_BYTES    (UINT64_C(512) << 20)
#define SEGMENT_BYTES (UINT64_C(1) << 30)
#define BUFFERS       32u
#define IDLE_TURNS    20000
#define IDLE_SLEEP_US 20
/* As app/atr/durable.c. */
#define LOG_IDLE_TURNS 8
#define LOG_SLEEP_US   50
#define PACE_BURST     8
#define ACK_PORT       4000
#define TIMES_MAX      (1u << 20)
#define LATENCY_PASSES 9
#define QUANTILES      4

static const unsigned int quantile[QUANTILES] = {500, 990, 999, 1000}; /* per mille */
static double quantile_us[QUANTILES][LATENCY_PASSES];
static struct atr_storage *storage;
static struct atr_log *log_of_shard;
static struct rte_ring *stock; /* frames that wait for their time */
static bool stop_log;
static pthread_t log_thread;
static uint64_t *sent_tsc;
static double *latency_us;
static unsigned int latencies, first_frame;
static double pace; /* frames a cycle of the TSC */
static uint64_t pace_begin, paced;

static uint64_t published(void)
{
	return path_rig.shard->commit.stats.events;
}

/* Producers with a window: so much is under way that they wait. */
static bool window_full(void)
{
	return atr_log_under_way(log_of_shard) >= BUFFERS / 2;
}

static void *log_main(void *arg)
{
	unsigned int idle = 0;

	(void)arg;
	while (!__atomic_load_n(&stop_log, __ATOMIC_ACQUIRE)) {
		idle = atr_log_work(log_of_shard) ? 0 : idle + 1;
		if (idle > LOG_IDLE_TURNS)
			rte_delay_us_sleep(LOG_SLEEP_US);
	}
	return NULL;
}

static void open_log(const char *directory)
{
	static const struct atr_log_end end;
	char error[512] = "";
	struct atr_log_params params = {.name = "bench",
					.realm = PATH_REALM,
					.shards = 1,
					.segment_bytes = SEGMENT_BYTES,
					.buffers = BUFFERS,
					.epoch = 1,
					.socket = SOCKET_ID_ANY};

	char path[256];

	snprintf(path, sizeof(path), "%s/log", directory);
	storage = atr_storage_open(path, NULL, error, sizeof(error));
	if (!storage)
		path_die(error);
	params.storage = storage;
	params.signer = atr_signer_generate();
	log_of_shard = atr_log_open(&params, &end, error, sizeof(error));
	if (!log_of_shard)
		path_die(error);
	/* The segment behind the first one is made ready before the clock runs, as it is on an
	 * appliance that has run for a while. */
	for (unsigned int idle = 0; idle < IDLE_TURNS;)
		idle = atr_log_work(log_of_shard) ? 0 : idle + 1;
	if (rte_ctrl_thread_create(&log_thread, "atr-log", NULL, log_main, NULL) != 0)
		path_die("no thread");
}

static void look_for_acks(const struct rte_mbuf *m)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	struct atr_frame frame;
	uint64_t now = rte_rdtsc();
	uint32_t length;

	if (m->data_len < PATH_UDP_HDRS || (p[36] << 8 | p[37]) != ACK_PORT ||
	    atr_frame_parse(p + PATH_UDP_HDRS, m->data_len - PATH_UDP_HDRS, &frame) != ATR_OK)
		return;
	for (unsigned int i = 0; i < frame.packet_count; i++) {
		const struct atr_ack_body *body =
			(const struct atr_ack_body *)atr_frame_payload(&frame, i, &length);
		const struct atr_ack_wire_entry *entry =
			(const struct atr_ack_wire_entry *)(body + 1);

		for (uint32_t e = 0; e < body->count; e++) {
			uint64_t f = entry[e].first_sequence / path_rig.events;

			if (entry[e].result != ATR_OK)
				path_die("a frame was refused");
			if (f >= first_frame && latencies < TIMES_MAX)
				latency_us[latencies++] = (double)(now - sent_tsc[f]) * 1e6 /
							  (double)rte_get_tsc_hz();
		}
	}
}

/* Frames come at their time, whatever the appliance does. */
static void pacing(void)
{
	struct rte_mbuf *m[PACE_BURST];
	uint64_t now = rte_rdtsc(), due = (uint64_t)((double)(now - pace_begin) * pace);

	while (paced < due) {
		unsigned int n = rte_ring_dequeue_burst(
			stock, (void **)m, RTE_MIN(due - paced, (uint64_t)PACE_BURST), NULL);

		if (n == 0)
			break;
		for (unsigned int i = 0; i < n; i++)
			sent_tsc[first_frame + paced + i] = now;
		if (rte_ring_enqueue_bulk(path_rig.in, (void **)m, n, NULL) != n)
			path_die("RX ring is full");
		paced += n;
	}
	path_rig_drain(look_for_acks);
}

static int by_value(const void *x, const void *y)
{
	double a = *(const double *)x, c = *(const double *)y;

	return (a > c) - (a < c);
}

static void measure_latency(double rate, unsigned int pass)
{
	struct rte_mbuf *m[PATH_TREE];
	unsigned int n;

	path_rig_drain(NULL);
	first_frame = path_rig.filled;
	path_rig_fill();
	while ((n = rte_ring_dequeue_burst(path_rig.in, (void **)m, PATH_TREE, NULL)) > 0)
		if (rte_ring_enqueue_bulk(stock, (void **)m, n, NULL) != n)
			path_die("stock is full");
	pace = rate * 1e6 / path_rig.events / (double)rte_get_tsc_hz();
	pace_begin = rte_rdtsc();
	path_rig_pass(path_rig.passes + pass, pacing);
	for (uint64_t until = rte_rdtsc() + rte_get_tsc_hz();
	     latencies < path_rig.frames && rte_rdtsc() < until;) {
		if (!atr_control_run(path_rig.control))
			rte_delay_us_sleep(IDLE_SLEEP_US);
		path_rig_drain(look_for_acks);
	}
	if (latencies != path_rig.frames) {
		fprintf(stderr, "acknowledged %u of %u frames\n", latencies, path_rig.frames);
		path_die("frames were not acknowledged");
	}
	qsort(latency_us, latencies, sizeof(latency_us[0]), by_value);
	for (unsigned int q = 0; q < QUANTILES; q++)
		quantile_us[q][pass] = latency_us[(uint64_t)(latencies - 1) * quantile[q] / 1000];
	paced = latencies = 0;
}

static void report_latency(double rate)
{
	printf("  reception to acknowledgement at %.2f M msg/s (half), %u passes, median (and "
	       "extremes) of their\n ",
	       rate, LATENCY_PASSES);
	for (unsigned int q = 0; q < QUANTILES; q++) {
		double *v = quantile_us[q];

		qsort(v, LATENCY_PASSES, sizeof(v[0]), by_value);
		printf(" p%g %.0f us (%.0f to %.0f)%s", quantile[q] / 10.0, v[LATENCY_PASSES / 2],
		       v[0], v[LATENCY_PASSES - 1], q + 1 < QUANTILES ? "," : "\n");
	}
}

static double disk_rate(const char *directory)
{
	char path[256], error[512] = "";
	struct atr_storage *disk;
	struct disk_result r;

	snprintf(path, sizeof(path), "%s/disk", directory);
	disk = atr_storage_open(path, NULL, error, sizeof(error));
	if (!disk)
		path_die(error);
	r = disk_alone(disk, DISK_WRITE, DISK_BYTES);
	disk->ops->destroy(disk);
	snprintf(path, sizeof(path), "rm -rf '%s/disk'", directory);
	if (system(path) != 0)
		path_die("cannot remove the reference file");
	return (double)r.bytes / r.seconds;
}

static void report(double disk, double *median)
{
	double rate[PATH_PASSES_MAX];
	uint64_t expect = (uint64_t)path_rig.passes * path_rig.frames * path_rig.events;
	const struct atr_shard *shard = path_rig.shard;
	struct atr_log_stats s;
	double each;

	path_rig_rates(rate);
	*median = rate[path_rig.passes / 2];
	atr_log_stats(log_of_shard, &s);
	each = (double)s.bytes / (double)published();
	printf("class-d, MTU %u: %u events a frame, %u-frame trees, 1 data lcore, %u passes of %u "
	       "frames, %s\n",
	       path_rig.mtu, path_rig.events, PATH_TREE, path_rig.passes, path_rig.frames,
	       atr_storage_engine(storage));
	printf("  median %.2f M msg/s, minimum %.2f, maximum %.2f; %.1f bytes of log a message; "
	       "roots verified %" PRIu64 "\n",
	       *median, rate[0], rate[path_rig.passes - 1], each,
	       path_rig.control->stats.roots_verified);
	printf("  the disk alone: %.3f GB/s in writes of %u KiB, %.2f M msg/s; class-d is %.0f%% "
	       "of "
	       "it; syncs %" PRIu64 ", mean %.0f us, longest %.0f us\n",
	       disk * 1e-9, DISK_WRITE >> 10, disk / each * 1e-6, 100 * *median * 1e6 * each / disk,
	       s.syncs, (double)s.sync_cycles * 1e6 / (double)rte_get_tsc_hz() / (double)s.syncs,
	       (double)s.sync_cycles_max * 1e6 / (double)rte_get_tsc_hz());
	path_rig_stages();
	if (published() != expect || shard->feeds->feed[0].stats.messages != expect ||
	    shard->feeds->tx[0].dropped || shard->feeds->feed[0].stats.no_mbuf ||
	    shard->commit.stats.shed)
		path_die("events were lost, shed or misjudged");
}

int main(int argc, char **argv)
{
	struct atr_commit_config commit = {.durability = ATR_DURABILITY_COMMIT,
					   .seal_bytes = GROUP_BYTES,
					   .seal_us = 1000,
					   .seal_ahead = BUFFERS / 4,
					   .acks = 65536};
	char directory[] = "/tmp/atr-bench-XXXXXX", command[64];
	double disk, median;

	path_rig.frames = 24576;
	path_rig.mtu = 1500;
	path_rig.passes = 7;
	path_rig.measure = published;
	path_rig.window_full = window_full;
	path_rig_start(argc, argv);
	sent_tsc = calloc(TIMES_MAX, sizeof(*sent_tsc));
	latency_us = calloc(TIMES_MAX, sizeof(*latency_us));
	stock = rte_ring_create("stock", rte_align32pow2(path_rig.frames + 1), SOCKET_ID_ANY, 0);
	if (!sent_tsc || !latency_us || !stock || !mkdtemp(directory) ||
	    (uint64_t)path_rig.frames * (path_rig.passes + LATENCY_PASSES) > TIMES_MAX)
		path_die("too many frames, or no temporary directory");
	disk = disk_rate(directory);
	open_log(directory);
	commit.log = log_of_shard;
	path_rig_plan("commit");
	path_rig_wire(directory, &commit);
	path_rig_launch();
	for (unsigned int p = 0; p < path_rig.passes; p++) {
		path_rig_drain(NULL);
		path_rig_fill();
		path_rig_pass(p, NULL);
	}
	disk = (disk + disk_rate(directory)) / 2;
	report(disk, &median);
	for (unsigned int p = 0; p < LATENCY_PASSES; p++)
		measure_latency(median / 2, p);
	report_latency(median / 2);
	path_rig_join();
	__atomic_store_n(&stop_log, true, __ATOMIC_RELEASE);
	pthread_join(log_thread, NULL);
	atr_log_close(log_of_shard);
	path_rig_end();
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	return system(command) != 0;
}
