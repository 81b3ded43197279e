/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <rte_cycles.h>

#include "../../../lib/bridge/bridge.h"
#include "../../../lib/ledger/ledger.h"
#include "../boot_eal.h"

#define NODES    3
#define READINGS 2000
#define BURST    16

static struct atr_ledger ledger;
static struct atr_ledger_node node[NODES];
static struct rte_ring *ring[NODES][NODES];
static int stop, go[NODES];

static int boot(void **state)
{
	char text[] = BOOT_EAL "64";
	char name[16] = "r__";

	(void)state;
	if (boot_eal(text) < 0)
		return -1;
	ledger.nodes = NODES;
	for (unsigned int i = 0; i < NODES; i++) {
		ledger.node[i] = &node[i];
		for (unsigned int k = 0; k < NODES; k++) {
			name[1] = (char)('0' + i);
			name[2] = (char)('0' + k);
			ring[i][k] = rte_ring_create_elem(name, sizeof(struct atr_msg), 64, 0,
							  RING_F_SP_ENQ | RING_F_SC_DEQ);
			if (!ring[i][k])
				return -1;
		}
	}
	return 0;
}

static void settle(struct atr_tally *t, unsigned int *seed)
{
	*seed = *seed * 1103515245 + 12345;
	switch (*seed >> 16 & 7) {
	case 0: t->refused[*seed >> 20 & 255]++; break;
	case 1: t->duplicate++; break;
	case 2:
	case 3: t->held++; break;
	default: t->admitted++;
	}
}

static void turn(unsigned int id, unsigned int *seed)
{
	struct atr_tally *t = &node[id].book.datagrams;
	struct atr_msg msg[BURST];

	atr_ledger_poll(&ledger, &node[id]);
	for (unsigned int from = 0; from < NODES; from++) {
		unsigned int n = atr_receive(ring[from][id], msg, BURST);

		if (n > 0)
			atr_ledger_meet(&ledger, &node[id], msg[n - 1].epoch);
		for (unsigned int i = 0; i < n; i++) {
			t->handover_in++;
			settle(t, seed);
		}
	}
	for (unsigned int i = 0; i < BURST; i++) {
		unsigned int to = (id + 1 + i % (NODES - 1)) % NODES;

		t->received++;
		if (atr_send(ring[id][to], ATR_MSG_FRAME, (uint16_t)node[id].epoch, 0, NULL))
			t->handover_out++;
		else
			settle(t, seed);
	}
	if (t->held > 4) {
		t->held -= 3;
		t->admitted += 3;
	}
}

static void *run(void *arg)
{
	unsigned int id = (unsigned int)(uintptr_t)arg, seed = id;

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		if (__atomic_load_n(&go[id], __ATOMIC_ACQUIRE))
			turn(id, &seed);
		if (seed % 64 == 0)
			sched_yield();
	}
	return NULL;
}

/* Invariant: while items move between threads over rings, every reading adds up, counts never go
 * back, and what is in flight is what rings and waiting places can hold. */
static void every_reading_adds_up(void **state)
{
	pthread_t thread[NODES];
	uint64_t received = 0, admitted = 0;

	(void)state;
	for (unsigned int i = 0; i < NODES; i++) {
		go[i] = 1;
		pthread_create(&thread[i], NULL, run, (void *)(uintptr_t)i);
	}
	for (unsigned int i = 0; i < READINGS; i++) {
		struct atr_ledger_reading r;
		const struct atr_ledger_total *t = &r.datagrams;

		assert_int_equal(atr_ledger_read(&ledger, 5000000, &r), 0);
		assert_true(t->received == t->admitted + t->duplicate + t->refused_total +
						   t->in_hold + t->in_handover + t->in_bridge);
		assert_true(t->in_handover <= NODES * NODES * 64);
		assert_true(t->received >= received && t->admitted >= admitted);
		received = t->received;
		admitted = t->admitted;
	}
	assert_true(received > READINGS);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < NODES; i++)
		pthread_join(thread[i], NULL);
}

/* Invariant: a node that does not answer ends the reading in time, and the next one is whole. */
static void a_silent_node_times_out(void **state)
{
	struct atr_ledger_reading r;
	uint64_t begin = rte_rdtsc();

	(void)state;
	assert_int_equal(atr_ledger_read(&ledger, 20000, &r), -ETIMEDOUT);
	assert_true(rte_rdtsc() - begin >= rte_get_tsc_hz() / 50);
	for (unsigned int i = 0; i < NODES; i++)
		atr_ledger_snapshot(&node[i], ledger.requested + 1);
	assert_int_equal(atr_ledger_read(&ledger, 0, &r), 0);
	assert_true(r.datagrams.received > 0);
}

/* Invariant: an item that overtakes the question about it is on neither side counted twice. The
 * order is forced: the receiver has begun its turn when the reader asks and the sender answers.
 * Without colour (no atr_ledger_meet) the item would be in handover_in but not in handover_out. */
static void an_item_ahead_of_the_cut(void **state)
{
	struct atr_ledger_reading before, r;
	struct atr_msg msg;

	(void)state;
	while (atr_receive(ring[0][1], &msg, 1) > 0)
		node[1].book.datagrams.handover_in++, node[1].book.datagrams.admitted++;
	for (unsigned int i = 0; i < NODES; i++)
		atr_ledger_snapshot(&node[i], ledger.requested + 1);
	assert_int_equal(atr_ledger_read(&ledger, 0, &before), 0);
	ledger.requested++; /* the reader's first step, by hand */
	atr_ledger_poll(&ledger, &node[0]);
	node[0].book.datagrams.received++;
	node[0].book.datagrams.handover_out++;
	assert_true(atr_send(ring[0][1], ATR_MSG_FRAME, (uint16_t)node[0].epoch, 0, NULL));
	assert_int_equal(atr_receive(ring[0][1], &msg, 1), 1);
	atr_ledger_meet(&ledger, &node[1], msg.epoch);
	node[1].book.datagrams.handover_in++;
	node[1].book.datagrams.admitted++;
	atr_ledger_poll(&ledger, &node[1]);
	atr_ledger_poll(&ledger, &node[2]);
	ledger.requested--;
	assert_int_equal(atr_ledger_read(&ledger, 0, &r), 0);
	assert_memory_equal(&r.datagrams, &before.datagrams, sizeof(r.datagrams));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reading_adds_up),
		cmocka_unit_test(a_silent_node_times_out),
		cmocka_unit_test(an_item_ahead_of_the_cut),
	};

	return cmocka_run_group_tests(tests, boot, NULL);
}
