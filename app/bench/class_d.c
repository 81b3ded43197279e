/* SPDX-License-Identifier: BSD-3-Clause */
/* Class D on one data lcore: every gate, the log written and synced before a message is published
 * or acknowledged, roots verified and acknowledgements signed by the control lcore meanwhile.
 * Before the measured passes and behind them is a checked one (checked.h). Beside it, between the
 * passes, the disk alone with the same write size. Then, at half the measured
 * rate, the time from a frame's reception to the datagram that acknowledges it. Needs 3 GiB in the
 * directory for temporary files. */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>

#include <rte_cycles.h>
#include <rte_lcore.h>

#include "../../lib/ack/format.h"
#include "checked.h"
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
#define US             1e6 /* a second */
#define FRAMES_FACTOR  6   /* passes long enough for many syncs */
#define LATENCY_PASSES 9
#define DISK_EVERY     3 /* passes between two measurements of the disk alone */
#define DISK_SAMPLES   (BENCH_PASSES_MAX / DISK_EVERY + 2)
#define UDP_DST_PORT   36 /* of an IPv4 packet without options, where its bytes begin */
/* As app/atr/durable.c. */
#define LOG_IDLE_TURNS 8
#define LOG_SLEEP_US   50

struct measured {
	double rate[BENCH_PASSES_MAX], seconds, messages;
	double disk[DISK_SAMPLES]; /* bytes, then messages a second */
	unsigned int disks;
	uint64_t roots; /* verified during the passes */
};

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

/* Acknowledgements go where frames come from, everything else to feeds. */
static bool is_acks(const struct rte_mbuf *m)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);

	return m->data_len >= TRAFFIC_UDP_HDRS &&
	       (p[UDP_DST_PORT] << CHAR_BIT | p[UDP_DST_PORT + 1]) == TRAFFIC_ACK_PORT;
}

static void look_at_feeds(const struct rte_mbuf *m)
{
	if (!is_acks(m))
		delivered_check(m);
}

/* One acknowledged frame counts once: by its first event. */
static void look_for_acks(const struct rte_mbuf *m)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	struct atr_frame frame;
	uint64_t now = rte_rdtsc();
	uint32_t length;

	if (!is_acks(m) ||
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

static void latency(const struct bench_config *config, json_t *results, double rate,
		    struct books *sent)
{
	unsigned int passes = config->quick ? 1 : LATENCY_PASSES;
	double q[PACE_QUANTILES][BENCH_PASSES_MAX], one[PACE_QUANTILES];
	json_t *result;

	bench_progress("class-d: acknowledgements at half of that rate, %u passes", passes);
	for (unsigned int p = 0; p < passes; p++) {
		latency_pass(rate / 2 / rig.traffic.events, one);
		books_pass(sent);
		books_check(sent);
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

/* Bytes a second. */
static double disk_rate(bool quick)
{
	char path[sizeof(rig.directory) + 8], error[512] = "";
	struct atr_storage *disk;
	struct disk_result r;

	snprintf(path, sizeof(path), "%s/disk", rig.directory);
	disk = atr_storage_open(path, NULL, error, sizeof(error));
	if (!disk)
		bench_die(error);
	r = disk_alone(disk, DISK_WRITE, quick ? QUICK_BYTES : DISK_BYTES);
	disk->ops->destroy(disk);
	rig_remove(path);
	return (double)r.bytes / r.seconds;
}

static json_t *log_facts(double each)
{
	struct atr_log_stats s;

	atr_log_stats(log_of_shard, &s);
	return json_pack("{s:f, s:I, s:f, s:f, s:s}", "bytes_per_message", each, "syncs",
			 (json_int_t)s.syncs, "sync_us_mean",
			 (double)s.sync_cycles * US / (double)rte_get_tsc_hz() / (double)s.syncs,
			 "sync_us_max", (double)s.sync_cycles_max * US / (double)rte_get_tsc_hz(),
			 "engine", atr_storage_engine(storage));
}

static double report(const struct bench_config *config, json_t *results, struct measured *measured,
		     const struct books *sent)
{
	struct atr_log_stats s;
	json_t *result, *checks;
	double each, median;

	atr_log_stats(log_of_shard, &s);
	each = (double)s.bytes / (double)published(0);
	result = result_add(results,
			    &(struct result_spec){"class-d", "classd",
						  "all gates, written and synced before it is "
						  "published or acknowledged",
						  "class-d", "msg/s"},
			    measured->rate, config->passes, config);
	median = result_median(measured->rate, config->passes);
	for (unsigned int i = 0; i < measured->disks; i++)
		measured->disk[i] /= each;
	result_add(results,
		   &(struct result_spec){"class-d", "classd.disk",
					 "what the disk alone syncs in writes of 1 MiB of random "
					 "bytes, in messages; measured between the passes",
					 "reference", "msg/s"},
		   measured->disk, measured->disks, config);
	result_ratio(result, "disk alone", "classd.disk",
		     median / result_median(measured->disk, measured->disks));
	json_object_set_new(result, "log", log_facts(each));
	checks = books_result(result, sent);
	json_object_set_new(checks, "roots_per_second",
			    json_real((double)measured->roots / measured->seconds));
	json_object_set_new(checks, "messages_per_root",
			    json_real(measured->messages / (double)measured->roots));
	rig_hash_engine(result);
	rig_stages(result, measured->messages);
	return median;
}

static void measure(const struct bench_config *config, struct measured *m, struct books *sent)
{
	uint64_t events = (uint64_t)config->frames * rig.traffic.events;

	rig_forget();
	m->roots = rig.control->stats.roots_verified;
	rig.measuring = true;
	for (unsigned int p = 0; p < config->passes; p++) {
		double seconds;

		if (p % DISK_EVERY == 0)
			m->disk[m->disks++] = disk_rate(config->quick);
		rig_drain(NULL);
		rig_make();
		rig_fill();
		seconds = rig_pass(RIG_PATH, events, NULL);
		m->rate[p] = (double)events / seconds;
		m->seconds += seconds;
		m->messages += (double)events;
		books_pass(sent);
		books_check(sent);
	}
	rig.measuring = false;
	m->roots = rig.control->stats.roots_verified - m->roots;
	m->disk[m->disks++] = disk_rate(config->quick);
}

void bench_class_d(struct bench_config *config, json_t *results)
{
	static struct atr_commit_config commit = {.durability = ATR_DURABILITY_COMMIT,
						  .seal_bytes = GROUP_BYTES,
						  .seal_us = 1000,
						  .seal_ahead = BUFFERS / 4,
						  .acks = 65536};
	static struct measured measured;
	static struct books sent;
	double median;

	config->shards = 1;
	config->frames *= config->quick ? 1 : FRAMES_FACTOR;
	bench_progress("class-d: %u passes of %u frames", config->passes, config->frames);
	rig_directory(config, true);
	open_log(config->quick);
	commit.log = log_of_shard;
	rig_start(config, "commit", &commit);
	rig.completes = false;
	rig.finished = published;
	rig.window_full = window_full;
	rig_launch();
	checked_pass(&sent, look_at_feeds);
	measure(config, &measured, &sent);
	median = report(config, results, &measured, &sent);
	latency(config, results, median, &sent);
	checked_pass(&sent, look_at_feeds);
	rig_join();
	close_log();
	rig_end();
}
