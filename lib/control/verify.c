/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <rte_cycles.h>

#include "control.h"

#define ANSWERS_PER_TURN 32

/* The very key that the shard has asked for, if a plan still has it. */
static const struct atr_key *key_in(const struct atr_plan *plan,
				    const struct atr_root_request *request)
{
	const struct atr_source *source = atr_plan_source(plan, request->head.source);
	const struct atr_key *key = source ? atr_source_key(source, request->head.key) : NULL;

	return key && key->use == ATR_KEY_FRAMES && key->serial == request->key_serial ? key : NULL;
}

/* The key that a root must be signed with, or NULL and why there is none. While programs change a
 * shard may ask under the old one: that is the one to answer by. */
static const struct atr_key *key_of(const struct atr_control *control,
				    const struct atr_root_request *request, uint8_t *reason)
{
	const struct atr_plan *plan = (*control->program_slot)->plan;
	const struct atr_program *old = control->swap.old;
	const struct atr_key *key;

	if (!plan) {
		*reason = ATR_REASON_NO_PLAN;
		return NULL;
	}
	if (request->head.realm != plan->realm) {
		*reason = ATR_REASON_REALM;
		return NULL;
	}
	key = key_in(plan, request);
	if (!key && old && old->plan)
		key = key_in(old->plan, request);
	if (!key)
		*reason = ATR_REASON_UNKNOWN_KEY;
	return key;
}

static void answer(struct atr_control *control, struct atr_root_request *request, uint8_t verdict,
		   uint64_t cycles)
{
	request->verdict = verdict;
	control->stats.verify_cycles += cycles;
	if (verdict == ATR_OK)
		control->stats.roots_verified++;
	else
		control->stats.roots_refused++;
	atr_control_down(control, request->shard, ATR_MSG_VERDICT, 0, request);
}

/* Whose turn it is: the control lcore takes its share, too. */
static struct atr_verifier *verifier_of(const struct atr_control *control, uint32_t source)
{
	uint32_t turn = source % (control->verifiers + 1);

	return turn < control->verifiers ? control->verifier[turn] : NULL;
}

void atr_control_root(struct atr_control *control, struct atr_root_request *request)
{
	struct atr_verify_job job = {.request = request};
	struct atr_verifier *verifier = verifier_of(control, request->head.source);
	uint64_t begin = rte_rdtsc();
	uint8_t reason = ATR_REASON_BAD_SIGNATURE;
	const struct atr_key *key = key_of(control, request, &reason);

	if (key && verifier) {
		memcpy(job.public_key, key->public_key, sizeof(job.public_key));
		if (atr_verifier_ask(verifier, &job))
			return;
	}
	if (key && atr_verify(key->public_key, (const uint8_t *)&request->head,
			      sizeof(request->head), request->signature))
		reason = ATR_OK;
	answer(control, request, reason, rte_rdtsc() - begin);
}

/* The plan may have changed meanwhile: what was verified must still be the source's key. */
static uint8_t verdict_of(const struct atr_control *control, const struct atr_verify_job *job)
{
	uint8_t reason = ATR_REASON_UNKNOWN_KEY;
	const struct atr_key *key = key_of(control, job->request, &reason);

	if (!key || memcmp(key->public_key, job->public_key, sizeof(job->public_key)) != 0)
		return reason;
	return job->good ? ATR_OK : ATR_REASON_BAD_SIGNATURE;
}

unsigned int atr_control_verified(struct atr_control *control)
{
	unsigned int done = 0;

	for (unsigned int v = 0; v < control->verifiers; v++) {
		struct atr_verify_job job[ANSWERS_PER_TURN];
		unsigned int n = atr_verifier_answers(control->verifier[v], job, ANSWERS_PER_TURN);

		for (unsigned int i = 0; i < n; i++)
			answer(control, job[i].request, verdict_of(control, &job[i]),
			       job[i].cycles);
		control->stats.roots_by_verifiers += n;
		done += n;
	}
	return done;
}
