/* SPDX-License-Identifier: BSD-3-Clause */
/* Class D on one data lcore: every gate, the log written and synced before a message is published
 * or acknowledged, roots verified and acknowledgements signed by the control lcore meanwhile.
 * Beside it, in the same run, the disk alone with the same write size. Then, at half the measured
 * rate, the time from a frame's reception to the datagram that acknowledges it. Needs 3 GiB in the
 * directory for temporary files. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_lcore.h>

#include "../../lib/ack/format.h"
#include "disk_alone.h"
#include "pace.h"
#include "result.h"
#include "rig.h"

#define GROUP_BYTES    1000000u
#define DISK_WRITE     (1u << 20)
#define DISK_BYTES     (UINT64_C(512) << 20)
#define SEGMENT_BYTES  (UINT64_C(1) << 30)
#define QUICK_BYTES    (UINT64_C(64) << 20)
#define BUFFERS        32u
#define READY_TURNS    20000
#define FRAMES_FACTOR  6 /* passes long enough for many syncs */
#define LATENCY_PASSES 9
/* As app/atr/durable.c. */
#define LOG_IDLE_TURNS 8
#define LOG_SLEEP_US   50

static struct atr_storage *storage;
static struct atr_log *log_of_shard;
static bool stop_log; /* writer: main; reader: log thread */
static pthread_t log_thread;

static uint64_t published(unsigned int shard)
{
	return rig.lane[shard].shard->commit.stats.events;
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

static void open_log(bool quick)
{
	static const struct atr_log_end end;
	char error[512] = "", path[sizeof(rig.directory) + 8];
	struct atr_log_params params = {.name = "bench",
					.realm = TRAFFIC_REALM,
					.shards = 1,
					.segment_bytes = quick ? QUICK_BYTES : SEGMENT_BYTES,
					.buffers = BUFFERS,
					.epoch = 1,
					.socket = SOCKET_ID_ANY};

	snprintf(path, sizeof(path), "%s/log", rig.directory);
	storage = atr_storage_open(path, NULL, error, sizeof(error));
	if (!storage)
		bench_die(error);
	params.storage = storage;
	params.signer = atr_signer_generate();
	log_of_shard = atr_log_open(&params, &end, error, sizeof(error));
	if (!log_of_shard)
		bench_die(error);
	/* The segment behind the first one is made ready before the clock runs, as it is on an
	 * appliance that has run for a while. */
	for (unsigned int idle = 0; idle < READY_TURNS;)
		idle = atr_log_work(log_of_shard) ? 0 : idle + 1;
	if (rte_ctrl_thread_create(&log_thread, "atr-log", NULL, log_main, NULL) != 0)
		bench_die("no thread");
}

static void close_log(void)
{
	__atomic_store_n(&stop_log, true, __ATOMIC_RELEASE);
	pthread_join(log_thread, NULL);
	atr_log_close(log_of_shard);
}

/* One acknowledged frame counts once: by its first event. */
static void look_for_acks(const struct rte_mbuf *m)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	struct atr_frame frame;
	uint64_t now = rte_rdtsc();
	uint32_t length;

	if (m->data_len < TRAFFIC_UDP_HDRS || (p[36] << 8 | p[37]) != TRAFFIC_ACK_PORT ||
	    atr_frame_parse(p + TRAFFIC_UDP_HDRS, m->data_len - TRAFFIC_UDP_HDRS, &frame) != ATR_OK)
		return;
	for (unsigned int i = 0; i < frame.packet_count; i++) {
		const struct atr_ack_body *acks =
			(const struct atr_ack_body *)atr_frame_payload(&frame, i, &length);
		const struct atr_ack_wire_entry *entry =
			(const struct atr_ack_wire_entry *)(acks + 1);

		for (uint32_t e = 0; e < acks->count; e++) {
			if (entry[e].result != ATR_OK)
				bench_die("a frame was refused");
			pace_answered(acks->source, entry[e].first_sequence, now);
		}
	}
}

static void turn(void)
{
	pace_turn();
	rig_drain(look_for_acks);
}

static void latency_pass(double frames_per_second, double *out)
{
	uint64_t until;

	rig_drain(NULL);
	rig_make();
	pace_begin(frames_per_second, false);
	rig_pass(RIG_PATH, (uint64_t)rig.config->frames * rig.traffic.events, turn);
	until = rte_rdtsc() + rte_get_tsc_hz();
	while (pace_count() < rig.config->frames && rte_rdtsc() < until) {
		if (!atr_control_run(rig.control))
			rte_delay_us_sleep(LOG_SLEEP_US);
		rig_drain(look_for_acks);
	}
	if (pace_count() != rig.config->frames)
		bench_die("frames were not acknowledged");
	pace_pass_quantiles(out);
}

static void latency(const struct bench_config *config, json_t *results, double rate)
{
	unsigned int passes = config->quick ? 1 : LATENCY_PASSES;
	double q[PACE_QUANTILES][BENCH_PASSES_MAX], one[PACE_QUANTILES];
	json_t *result;

	bench_progress("class-d: acknowledgements at half of that rate, %u passes", passes);
	for (unsigned int p = 0; p < passes; p++) {
		latency_pass(rate / 2 / rig.traffic.events, one);
		for (unsigned int i = 0; i < PACE_QUANTILES; i++)
			q[i][p] = one[i];
	}
	result = result_add(results,
			    &(struct result_spec){"class-d", "classd.ack_latency",
						  "reception to acknowledgement at half rate; the "
						  "median frame",
						  "class-d", "us"},
			    q[0], passes, config);
	pace_result(result, q, passes);
}

static double disk_rate(bool quick)
{
	char path[sizeof(rig.directory) + 8], error[512] = "", command[sizeof(path) + 16];
	struct atr_storage *disk;
	struct disk_result r;

	snprintf(path, sizeof(path), "%s/disk", rig.directory);
	disk = atr_storage_open(path, NULL, error, sizeof(error));
	if (!disk)
		bench_die(error);
	r = disk_alone(disk, DISK_WRITE, quick ? QUICK_BYTES : DISK_BYTES);
	disk->ops->destroy(disk);
	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	if (system(command) != 0)
		bench_die("cannot remove the reference file");
	return (double)r.bytes / r.seconds;
}

/* Nothing was lost, shed or misjudged. */
static void books(uint64_t expected)
{
	const struct atr_shard *shard = rig.lane[0].shard;

	if (published(0) != expected || shard->feeds->feed[0].stats.messages != expected ||
	    shard->feeds->tx[0].dropped || shard->feeds->feed[0].stats.no_mbuf ||
	    shard->commit.stats.shed)
		bench_die("events were lost, shed or misjudged");
}

static double report(const struct bench_config *config, json_t *results, double *rate,
		     double disk[2])
{
	struct atr_log_stats s;
	json_t *result;
	double each, alone[2], median;

	atr_log_stats(log_of_shard, &s);
	each = (double)s.bytes / (double)published(0);
	result = result_add(results,
			    &(struct result_spec){"class-d", "classd",
						  "all gates, written and synced before it is "
						  "published or acknowledged",
						  "class-d", "msg/s"},
			    rate, config->passes, config);
	median = result_median(rate, config->passes);
	alone[0] = disk[0] / each;
	alone[1] = disk[1] / each;
	result_add(
		results,
		&(struct result_spec){"class-d", "classd.disk",
				      "what the disk alone syncs in writes of 1 MiB, in messages",
				      "reference", "msg/s"},
		alone, 2, config);
	result_ratio(result, "disk alone", "classd.disk", median / result_median(alone, 2));
	json_object_set_new(
		result, "log",
		json_pack("{s:f, s:I, s:f, s:f, s:s}", "bytes_per_message", each, "syncs",
			  (json_int_t)s.syncs, "sync_us_mean",
			  (double)s.sync_cycles * 1e6 / (double)rte_get_tsc_hz() / (double)s.syncs,
			  "sync_us_max", (double)s.sync_cycles_max * 1e6 / (double)rte_get_tsc_hz(),
			  "engine", atr_storage_engine(storage)));
	json_object_set_new(
		result, "checks",
		json_pack("{s:I, s:I, s:I, s:f}", "admitted", (json_int_t)published(0), "delivered",
			  (json_int_t)rig.lane[0].shard->feeds->feed[0].stats.messages,
			  "roots_verified", (json_int_t)rig.control->stats.roots_verified,
			  "roots_per_second", median / rig.traffic.events / config->tree));
	rig_stages(result, (double)published(0));
	return median;
}

void bench_class_d(struct bench_config *config, json_t *results)
{
	static struct atr_commit_config commit = {.durability = ATR_DURABILITY_COMMIT,
						  .seal_bytes = GROUP_BYTES,
						  .seal_us = 1000,
						  .seal_ahead = BUFFERS / 4,
						  .acks = 65536};
	double rate[BENCH_PASSES_MAX], disk[2], median;
	uint64_t events;

	config->shards = 1;
	config->frames *= config->quick ? 1 : FRAMES_FACTOR;
	bench_progress("class-d: %u passes of %u frames", config->passes, config->frames);
	rig_directory();
	disk[0] = disk_rate(config->quick);
	open_log(config->quick);
	commit.log = log_of_shard;
	rig_start(config, "commit", &commit);
	rig.completes = false;
	rig.finished = published;
	rig.window_full = window_full;
	rig_launch();
	events = (uint64_t)config->frames * rig.traffic.events;
	for (unsigned int p = 0; p < config->passes; p++) {
		rig_drain(NULL);
		rig_make();
		rig_fill();
		rate[p] = (double)events / rig_pass(RIG_PATH, events, NULL);
		books(events * (p + 1));
	}
	disk[1] = disk_rate(config->quick);
	median = report(config, results, rate, disk);
	latency(config, results, median);
	rig_join();
	close_log();
	rig_end();
}
