/* SPDX-License-Identifier: BSD-3-Clause */
#include "verifier.h"

#include <stdio.h>

#include <rte_cycles.h>
#include <rte_malloc.h>
#include <rte_ring_elem.h>

#define PER_TURN  4
#define ROOTS_MAX (1u << 22)

struct atr_verifier {
	struct rte_ring *questions; /* control lcore to verifier */
	struct rte_ring *answers;   /* verifier to control lcore */
	unsigned int under_way;     /* both ways; the control lcore's */
};

static struct rte_ring *ring(const char *what, unsigned int id, unsigned int roots, int socket)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "atr_%s_%u", what, id);
	return rte_ring_create_elem(name, sizeof(struct atr_verify_job), roots, socket,
				    RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
}

struct atr_verifier *atr_verifier_create(unsigned int id, unsigned int roots, int socket,
					 char *error, size_t size)
{
	struct atr_verifier *verifier;

	if (roots < 1 || roots > ROOTS_MAX) {
		snprintf(error, size, "verifier %u: %u roots; choose 1 to %u", id, roots,
			 ROOTS_MAX);
		return NULL;
	}
	verifier =
		rte_zmalloc_socket("atr_verifier", sizeof(*verifier), RTE_CACHE_LINE_SIZE, socket);
	if (verifier) {
		verifier->questions = ring("asked", id, roots, socket);
		verifier->answers = ring("answered", id, roots, socket);
	}
	if (!verifier || !verifier->questions || !verifier->answers) {
		snprintf(error, size,
			 "verifier %u: out of memory; give EAL more (-m or hugepages), or lower "
			 "--roots",
			 id);
		atr_verifier_free(verifier);
		return NULL;
	}
	return verifier;
}

void atr_verifier_free(struct atr_verifier *verifier)
{
	if (!verifier)
		return;
	rte_ring_free(verifier->questions);
	rte_ring_free(verifier->answers);
	rte_free(verifier);
}

bool atr_verifier_ask(struct atr_verifier *verifier, struct atr_verify_job *job)
{
	/* So many fit either ring: the verifier never waits for room. */
	if (verifier->under_way == rte_ring_get_capacity(verifier->questions))
		return false;
	verifier->under_way++;
	return rte_ring_sp_enqueue_elem(verifier->questions, job, sizeof(*job)) == 0;
}

unsigned int atr_verifier_answers(struct atr_verifier *verifier, struct atr_verify_job *jobs,
				  unsigned int max)
{
	unsigned int n =
		rte_ring_sc_dequeue_burst_elem(verifier->answers, jobs, sizeof(*jobs), max, NULL);

	verifier->under_way -= n;
	return n;
}

unsigned int atr_verifier_busy(const struct atr_verifier *verifier)
{
	return __atomic_load_n(&verifier->under_way, __ATOMIC_RELAXED);
}

unsigned int atr_verifier_run(struct atr_verifier *verifier)
{
	struct atr_verify_job job[PER_TURN];
	unsigned int n = rte_ring_sc_dequeue_burst_elem(verifier->questions, job, sizeof(job[0]),
							PER_TURN, NULL);

	for (unsigned int i = 0; i < n; i++) {
		const struct atr_root_request *request = job[i].request;
		uint64_t begin = rte_rdtsc();

		job[i].good = atr_verify(job[i].public_key, (const uint8_t *)&request->head,
					 sizeof(request->head), request->signature);
		job[i].cycles = rte_rdtsc() - begin;
		rte_ring_sp_enqueue_elem(verifier->answers, &job[i], sizeof(job[i]));
	}
	return n;
}
