/* SPDX-License-Identifier: BSD-3-Clause */
#include "gap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "appliance.h"

#define IDLE_SLEEP_US 500
#define SENTENCE_S    10 /* one on stderr at most so often */
#define RING_BURST    32

/* What a reader cannot read is said once in a while; the numbers are in telemetry. */
static void complain(struct atr_gap_server *server, uint64_t *next_tsc)
{
	uint64_t now = rte_rdtsc();

	if (server->error[0] == '\0' || now < *next_tsc)
		return;
	*next_tsc = now + SENTENCE_S * rte_get_tsc_hz();
	fprintf(stderr, "atr: gap requests: %s\n", server->error);
	server->error[0] = '\0';
}

static void *gap_main(void *argument)
{
	struct gaps *gaps = argument;
	uint64_t next_tsc = 0;

	while (!__atomic_load_n(&gaps->stop, __ATOMIC_ACQUIRE)) {
		if (atr_gap_server_turn(&gaps->server) == 0)
			rte_delay_us_sleep(IDLE_SLEEP_US);
		complain(&gaps->server, &next_tsc);
	}
	return NULL;
}

static uint16_t datagram_max(const struct appliance *a)
{
	uint16_t mtu = UINT16_MAX;

	for (unsigned int i = 0; i < a->iface_count; i++)
		mtu = RTE_MIN(mtu, a->iface[i].mtu);
	return (uint16_t)(mtu - sizeof(struct rte_ipv4_hdr) - sizeof(struct rte_udp_hdr));
}

static int open_reader(struct appliance *a, unsigned int shard, char *error, size_t size)
{
	struct gaps *gaps = &a->gaps;

	gaps->storage[shard] =
		atr_storage_open(a->durable.shard[shard].directory, "read", error, size);
	if (!gaps->storage[shard])
		return -EIO;
	gaps->server.reader[shard] = atr_gap_reader_create(gaps->storage[shard], shard,
							   ATR_GAP_INDEX_DEFAULT, error, size);
	if (!gaps->server.reader[shard])
		return -ENOMEM;
	gaps->server.durable[shard] = &a->shard[shard]->commit.group_end;
	return 0;
}

static const struct atr_plan *plan_of(void *context, uint64_t generation)
{
	const struct appliance *a = context;

	return atr_control_plan(a->control, generation);
}

static void hold(void *context)
{
	struct appliance *a = context;

	pthread_mutex_lock(&a->control->past_lock);
}

static void release(void *context)
{
	struct appliance *a = context;

	pthread_mutex_unlock(&a->control->past_lock);
}

int gaps_start(struct appliance *a, char *error, size_t size)
{
	struct gaps *gaps = &a->gaps;
	int rc = 0;

	if (!a->durable.running || a->options.durability != ATR_DURABILITY_COMMIT)
		return 0;
	gaps->server.bridge = &a->bridge;
	gaps->server.plan = plan_of;
	gaps->server.hold = hold;
	gaps->server.release = release;
	gaps->server.context = a;
	gaps->server.ifaces = a->iface;
	gaps->server.feed_port = (uint16_t)a->options.feed_port;
	gaps->server.datagram_max = datagram_max(a);
	for (unsigned int s = 0; rc == 0 && s < a->shard_count; s++)
		rc = open_reader(a, s, error, size);
	if (rc < 0)
		return rc;
	if (rte_ctrl_thread_create(&gaps->thread, "atr-gap", NULL, gap_main, gaps) != 0) {
		snprintf(error, size,
			 "no thread for gap requests; raise the limit of processes (ulimit -u)");
		return -EAGAIN;
	}
	gaps->running = true;
	return 0;
}

static void give_back(struct rte_ring *ring)
{
	struct atr_msg msg[RING_BURST];
	unsigned int n;

	while (ring && (n = atr_receive(ring, msg, RING_BURST)) > 0)
		for (unsigned int i = 0; i < n; i++)
			rte_pktmbuf_free(msg[i].ptr);
}

void gaps_stop(struct appliance *a)
{
	struct gaps *gaps = &a->gaps;

	if (gaps->running) {
		__atomic_store_n(&gaps->stop, true, __ATOMIC_RELEASE);
		pthread_join(gaps->thread, NULL);
		gaps->running = false;
	}
	for (unsigned int s = 0; s < a->shard_count; s++) {
		give_back(a->bridge.requests[s]);
		give_back(a->bridge.answers[s]);
	}
}

void gaps_free(struct appliance *a)
{
	struct gaps *gaps = &a->gaps;

	gaps_stop(a);
	for (unsigned int s = 0; s < a->shard_count; s++) {
		atr_gap_reader_free(gaps->server.reader[s]);
		gaps->server.reader[s] = NULL;
		if (gaps->storage[s])
			gaps->storage[s]->ops->destroy(gaps->storage[s]);
		gaps->storage[s] = NULL;
	}
}
