/* SPDX-License-Identifier: BSD-3-Clause */
/* Tier 2: what a message costs between a data lcore and the control lcore. Both ends poll; bursts
 * go over a ring and come back.
 *   t_call      the round trip, shared by the messages of a burst: rings and cache lines alone
 *   t_marshal   a root request is written, carried over, read and answered
 *   t_copy      the payload is copied into a buffer of the sender's and read by the receiver
 * The rings are those of a bridge (lib/bridge) of one shard, and the far end takes as many messages
 * a turn as the control lcore does. */
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>

#include "../../lib/auth/auth.h"
#include "../../lib/bridge/bridge.h"
#include "bench.h"
#include "result.h"

#define RING     4096 /* as the appliance's, with its default depths */
#define DRAIN    8    /* messages a turn, as lib/control */
#define BURST    1024
#define MESSAGES 64000
#define FEW      50
#define COPY_MAX 8192
#define LINE     64

enum carried { CALL, MARSHAL, COPY };

static struct rte_ring *there, *back;
static struct atr_root_request *request;
static uint8_t *sent, *payload;
static enum carried carried;
static unsigned int size;
static bool stop;     /* writer: main; reader: the far end */
static uint64_t seen; /* writer: the far end; keeps its reads */

/* The far end: takes what is there, reads it, sends it back. */
static int far_end(void *arg)
{
	struct atr_msg msg[DRAIN];
	uint64_t sum = 0;

	(void)arg;
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		unsigned int n = atr_receive(there, msg, DRAIN);

		for (unsigned int i = 0; i < n; i++) {
			const uint8_t *bytes = msg[i].ptr;

			if (carried == MARSHAL) {
				struct atr_root_request *r = msg[i].ptr;

				sum += r->head.source + r->signature[0];
				r->verdict = 0;
			}
			for (unsigned int at = 0; carried == COPY && at < size; at += LINE)
				sum += bytes[at];
		}
		for (unsigned int i = 0; i < n;)
			i += atr_send_burst(back, msg + i, n - i);
	}
	seen = sum;
	return 0;
}

static void write_one(unsigned int i)
{
	static const uint8_t root[ATR_HASH_SIZE] = {1};

	if (carried == MARSHAL) {
		atr_tree_head_init(&request[i].head, 1, i, 1, 256, root);
		memset(request[i].signature, (int)i, sizeof(request[i].signature));
	} else if (carried == COPY) {
		memcpy(sent + (size_t)i * COPY_MAX, payload, size);
	}
}

/* Nanoseconds a message over rounds bursts. */
static double round_trips(unsigned int burst, unsigned int rounds)
{
	struct atr_msg msg[BURST];
	uint64_t begin = rte_rdtsc();

	for (unsigned int r = 0; r < rounds; r++) {
		for (unsigned int i = 0; i < burst; i++) {
			void *what = carried == COPY ? (void *)(sent + (size_t)i * COPY_MAX)
						     : (void *)&request[i];

			write_one(i);
			msg[i] = (struct atr_msg){.kind = ATR_MSG_ROOT, .ptr = what};
		}
		for (unsigned int i = 0; i < burst;)
			i += atr_send_burst(there, msg + i, burst - i);
		for (unsigned int got = 0; got < burst;)
			got += atr_receive(back, msg, burst - got);
	}
	return (double)(rte_rdtsc() - begin) * 1e9 / (double)rte_get_tsc_hz() / rounds / burst;
}

static int bytes_carried(void)
{
	static const size_t request_bytes = sizeof(struct atr_tree_head) + ATR_SIGNATURE_SIZE;

	if (carried == COPY)
		return (int)size;
	return carried == MARSHAL ? (int)request_bytes : 0;
}

static void measure(struct bench_config *config, json_t *results, unsigned int burst)
{
	static const char *const names[] = {"t_call", "t_marshal", "t_copy"};
	static const char *const whats[] = {"round trip over the rings",
					    "the same with a root request written and read",
					    "the same with a payload copied and read"};
	double ns[BENCH_PASSES_MAX];
	unsigned int rounds = (config->quick ? FEW : MESSAGES) / burst + 1;
	char name[64];
	json_t *result;

	for (unsigned int p = 0; p < config->passes; p++)
		ns[p] = round_trips(burst, rounds);
	if (carried == COPY)
		snprintf(name, sizeof(name), "bridge.t_copy.%u.%u", burst, size);
	else
		snprintf(name, sizeof(name), "bridge.%s.%u", names[carried], burst);
	result = result_add(
		results,
		&(struct result_spec){"bridge", name, whats[carried], "bridge", "ns a message"}, ns,
		config->passes, config);
	json_object_set_new(result, "parameters",
			    json_pack("{s:i, s:i}", "burst", (int)burst, "bytes", bytes_carried()));
}

void bench_bridge(struct bench_config *config, json_t *results)
{
	static const unsigned int copied[] = {64, 256, 1024, COPY_MAX};
	static const struct atr_bridge_sizes sizes = {.verify = RING,
						      .envelopes = RING,
						      .link = LINE,
						      .down = RING,
						      .handover = LINE,
						      .gaps = LINE};
	static struct atr_bridge bridge;
	unsigned int other = rte_get_next_lcore(-1, 1, 0);
	char error[512] = "";

	bench_progress("bridge: bursts of 1 to %u, payloads of 64 to %u bytes", BURST, COPY_MAX);
	if (other == RTE_MAX_LCORE)
		bench_die("two lcores are needed: -- -l 0,1");
	if (atr_bridge_create(&bridge, 1, &sizes, SOCKET_ID_ANY, error, sizeof(error)) < 0)
		bench_die(error);
	there = bridge.verify[0];
	back = bridge.down[0];
	request = rte_zmalloc(NULL, BURST * sizeof(*request), LINE);
	sent = rte_zmalloc(NULL, (size_t)BURST * COPY_MAX, LINE);
	payload = rte_zmalloc(NULL, COPY_MAX, LINE);
	if (!request || !sent || !payload)
		bench_die("not enough memory; give EAL more with -m behind `--`");
	rte_eal_remote_launch(far_end, NULL, other);
	for (unsigned int burst = 1; burst <= BURST; burst *= 2) {
		for (carried = CALL; carried <= MARSHAL; carried++)
			measure(config, results, burst);
		carried = COPY;
		for (size_t i = 0; i < RTE_DIM(copied); i++) {
			size = copied[i];
			measure(config, results, burst);
		}
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	rte_eal_wait_lcore(other);
}
