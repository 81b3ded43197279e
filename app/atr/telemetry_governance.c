/* SPDX-License-Identifier: BSD-3-Clause */
/* What an operator asks before, while and after a plan changes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>

#include "telemetry.h"

#include "../../lib/sign/sign.h"

#define DIGEST_TEXT 65
#define US_A_SECOND 1000000
#define NUMBER_TEXT 12
#define PIECE       100

static void add_digest(struct rte_tel_data *d, const char *name, const uint8_t digest[32])
{
	char text[DIGEST_TEXT];

	atr_hex_encode(digest, sizeof(text) / 2, text);
	rte_tel_data_add_dict_string(d, name, text);
}

/* In pieces, which are to be joined: a value holds no more. */
static int add_sentence(struct rte_tel_data *d, const char *name, const char *sentence)
{
	struct rte_tel_data *pieces = rte_tel_data_alloc();
	size_t length = strlen(sentence);

	if (!pieces)
		return -ENOMEM;
	rte_tel_data_start_array(pieces, RTE_TEL_STRING_VAL);
	for (size_t at = 0; at < length; at += PIECE) {
		char piece[PIECE + 1];

		snprintf(piece, sizeof(piece), "%s", sentence + at);
		rte_tel_data_add_array_string(pieces, piece);
	}
	return rte_tel_data_add_dict_container(d, name, pieces, 0);
}

static const char *name_of(const struct atr_plan *plan, uint32_t source)
{
	const struct atr_source *s = atr_plan_source(plan, source);

	return s ? s->name : "";
}

/* Names of the operators in set, a bit an index. */
static int add_operators(struct rte_tel_data *d, const char *name, const struct atr_plan *plan,
			 uint64_t set)
{
	struct rte_tel_data *names = rte_tel_data_alloc();

	if (!names)
		return -ENOMEM;
	rte_tel_data_start_array(names, RTE_TEL_STRING_VAL);
	for (uint32_t o = 0; o < plan->governance.operator_count; o++)
		if (set >> o & 1)
			rte_tel_data_add_array_string(names,
						      name_of(plan, plan->governance.operators[o]));
	return rte_tel_data_add_dict_container(d, name, names, 0);
}

static int add_document(struct rte_tel_data *list, const struct atr_plan *plan, unsigned int number,
			const struct atr_governor_document *document)
{
	struct rte_tel_data *one = rte_tel_data_alloc();
	char name[NUMBER_TEXT];
	int rc;

	if (!one)
		return -ENOMEM;
	rte_tel_data_start_dict(one);
	add_digest(one, "digest", document->digest);
	rte_tel_data_add_dict_u64(one, "bytes", document->have);
	rte_tel_data_add_dict_u64(one, "total", document->total);
	rte_tel_data_add_dict_string(one, "from", name_of(plan, document->owner));
	rte_tel_data_add_dict_u64(one, "ready", document->ready);
	rc = add_sentence(one, "why_not", document->why);
	if (rc == 0)
		rc = add_operators(one, "approvals", plan, document->operators);
	snprintf(name, sizeof(name), "%u", number);
	return rc ? rc : rte_tel_data_add_dict_container(list, name, one, 0);
}

static int add_documents(struct appliance *a, const struct atr_plan *plan, struct rte_tel_data *d)
{
	struct atr_governor_document document[ATR_GOVERNOR_DOCUMENTS];
	unsigned int n = atr_governor_documents(a->control->governor, plan, document,
						ATR_GOVERNOR_DOCUMENTS);
	struct rte_tel_data *list = rte_tel_data_alloc();
	int rc = 0;

	if (!list)
		return -ENOMEM;
	rte_tel_data_start_dict(list);
	for (unsigned int i = 0; rc == 0 && i < n; i++)
		rc = add_document(list, plan, i, &document[i]);
	return rc ? rc : rte_tel_data_add_dict_container(d, "documents", list, 0);
}

static int add_plan(struct appliance *a, struct rte_tel_data *d)
{
	const struct atr_program *program = __atomic_load_n(&a->program, __ATOMIC_ACQUIRE);
	const struct atr_plan *plan = program->plan;
	int rc;

	rte_tel_data_add_dict_u64(d, "generation", program->generation);
	if (!plan)
		return 0;
	rte_tel_data_add_dict_u64(d, "version", plan->version);
	add_digest(d, "digest", plan->digest);
	rte_tel_data_add_dict_u64(d, "approvals", plan->governance.approvals);
	rc = add_operators(d, "operators", plan, UINT64_MAX);
	return rc ? rc : add_documents(a, plan, d);
}

int telemetry_governance(struct appliance *a, const char *params, struct rte_tel_data *d)
{
	const struct atr_swap_state *swap = &a->control->swap;
	int rc;

	(void)params;
	rte_tel_data_start_dict(d);
	pthread_mutex_lock(&a->control->readers);
	rc = add_plan(a, d);
	if (rc == 0)
		rc = add_sentence(d, "refusal", atr_governor_refusal(a->control->governor));
	pthread_mutex_unlock(&a->control->readers);
	rte_tel_data_add_dict_u64(d, "swaps", swap->done);
	rte_tel_data_add_dict_u64(d, "under_way", swap->step != ATR_SWAP_NONE);
	rte_tel_data_add_dict_u64(d, "last_swap_us", swap->cycles * US_A_SECOND / rte_get_tsc_hz());
	rte_tel_data_add_dict_u64(d, "longest_swap_us",
				  swap->cycles_max * US_A_SECOND / rte_get_tsc_hz());
	return rc;
}
