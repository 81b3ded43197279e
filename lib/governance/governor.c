/* SPDX-License-Identifier: BSD-3-Clause */
#include "governance.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../reason/reason.h"
#include "../sign/sign.h"
#include "governance_internal.h"

#define DIGEST_TEXT (2 * GOVERNOR_DIGEST + 1)

struct atr_governor *atr_governor_create(void)
{
	return calloc(1, sizeof(struct atr_governor));
}

void atr_governor_reset(struct atr_governor *governor)
{
	for (unsigned int i = 0; i < ATR_GOVERNOR_DOCUMENTS; i++)
		document_drop(&governor->document[i]);
	memset(governor->approval, 0, sizeof(governor->approval));
}

void atr_governor_free(struct atr_governor *governor)
{
	if (!governor)
		return;
	atr_governor_reset(governor);
	free(governor);
}

const char *atr_governor_refusal(const struct atr_governor *governor)
{
	return governor->refusal;
}

void atr_governor_refuse(struct atr_governor *governor, const char *sentence)
{
	snprintf(governor->refusal, sizeof(governor->refusal), "%s", sentence);
}

static uint8_t refuse(struct atr_governor *governor, uint8_t reason, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static uint8_t refuse(struct atr_governor *governor, uint8_t reason, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(governor->refusal, sizeof(governor->refusal), format, args);
	va_end(args);
	return reason;
}

/* What an approval and a change are over. */
struct motion {
	uint8_t digest[GOVERNOR_DIGEST], replaces[GOVERNOR_DIGEST];
	uint64_t version;
};

static bool read_motion(const struct atr_json *payload, struct motion *motion)
{
	return governor_digest(payload, "digest", motion->digest) &&
	       governor_digest(payload, "replaces", motion->replaces) &&
	       governor_integer(payload, "version", &motion->version) && motion->version > 0;
}

static bool is_stale(const struct atr_plan *plan, const struct motion *motion)
{
	return memcmp(motion->replaces, plan->digest, GOVERNOR_DIGEST) != 0 ||
	       motion->version <= plan->version;
}

static uint8_t judge_motion(struct atr_governor *governor, const struct atr_plan *plan,
			    const struct atr_json *payload, struct motion *motion)
{
	char digest[DIGEST_TEXT];

	if (!read_motion(payload, motion))
		return refuse(governor, ATR_REASON_GOV_STALE, "the envelope lacks a member");
	if (!is_stale(plan, motion))
		return ATR_OK;
	atr_hex_encode(plan->digest, GOVERNOR_DIGEST, digest);
	return refuse(
		governor, ATR_REASON_GOV_STALE,
		"the plan in force is version %u, digest %s: make the change against that one",
		plan->version, digest);
}

static uint64_t approvers(const struct atr_governor *governor, const struct atr_plan *plan,
			  const uint8_t digest[GOVERNOR_DIGEST], uint64_t version)
{
	uint64_t set = 0;

	for (uint32_t o = 0; o < plan->governance.operator_count; o++)
		for (unsigned int i = 0; i < ATR_GOVERNOR_APPROVALS; i++) {
			const struct approval *approval = &governor->approval[o][i];

			if (approval->version > 0 &&
			    (version == 0 || approval->version == version) &&
			    memcmp(approval->digest, digest, GOVERNOR_DIGEST) == 0)
				set |= UINT64_C(1) << o;
		}
	return set;
}

static uint8_t judge_document(struct atr_governor *governor, const struct motion *motion)
{
	const struct document *document = documents_find(governor, motion->digest);
	char digest[DIGEST_TEXT];

	atr_hex_encode(motion->digest, GOVERNOR_DIGEST, digest);
	if (!document)
		return refuse(governor, ATR_REASON_GOV_DOCUMENT,
			      "no chunk of document %s is here; push it first", digest);
	if (document->have < document->total)
		return refuse(governor, ATR_REASON_GOV_DOCUMENT,
			      "document %s is not whole: %" PRIu64 " of %" PRIu64 " bytes are here",
			      digest, document->have, document->total);
	if (!document->plan)
		return refuse(governor, ATR_REASON_GOV_DOCUMENT, "%s", document->why);
	if (document->plan->version != motion->version)
		return refuse(governor, ATR_REASON_GOV_DOCUMENT,
			      "version: is %u, and the change says %" PRIu64,
			      document->plan->version, motion->version);
	return ATR_OK;
}

static uint8_t judge_change(struct atr_governor *governor, const struct atr_plan *plan,
			    const struct atr_json *payload)
{
	struct motion motion;
	uint8_t reason = judge_motion(governor, plan, payload, &motion);
	unsigned int have;

	if (reason == ATR_OK)
		reason = judge_document(governor, &motion);
	if (reason != ATR_OK)
		return reason;
	have = (unsigned int)__builtin_popcountll(
		approvers(governor, plan, motion.digest, motion.version));
	if (have < plan->governance.approvals)
		return refuse(governor, ATR_REASON_GOV_APPROVALS,
			      "%u of %u approvals are here; the change can be sent again when the "
			      "others are",
			      have, plan->governance.approvals);
	return ATR_OK;
}

static uint8_t judge_chunk(struct atr_governor *governor, uint32_t source,
			   const struct atr_json *payload)
{
	struct chunk chunk;
	const char *wrong = chunk_read(payload, &chunk);

	if (!wrong)
		wrong = documents_fit(governor, source, &chunk);
	return wrong ? refuse(governor, ATR_REASON_GOV_CHUNK, "%s", wrong) : ATR_OK;
}

uint8_t atr_governor_judge(struct atr_governor *governor, const struct atr_plan *plan,
			   uint32_t source, uint32_t type, const struct atr_json *payload)
{
	struct motion motion;

	if (atr_plan_operator(plan, source) < 0)
		return refuse(governor, ATR_REASON_GOV_OPERATOR,
			      "source '%s' is no operator of the plan in force",
			      plan->sources[source].name);
	switch (atr_plan_governs(plan, type)) {
	case ATR_GOVERNANCE_CHUNK: return judge_chunk(governor, source, payload);
	case ATR_GOVERNANCE_CHANGE: return judge_change(governor, plan, payload);
	case ATR_GOVERNANCE_APPROVAL: return judge_motion(governor, plan, payload, &motion);
	case ATR_GOVERNANCE_NONE: break;
	}
	return ATR_OK;
}

static void take_approval(struct atr_governor *governor, int operator, const struct motion * motion)
{
	struct approval *oldest = &governor->approval[operator][0];

	for (unsigned int i = 0; i < ATR_GOVERNOR_APPROVALS; i++) {
		struct approval *approval = &governor->approval[operator][i];

		if (approval->version == motion->version &&
		    memcmp(approval->digest, motion->digest, GOVERNOR_DIGEST) == 0)
			return;
		if (approval->order < oldest->order)
			oldest = approval;
	}
	memcpy(oldest->digest, motion->digest, GOVERNOR_DIGEST);
	oldest->version = motion->version;
	oldest->order = ++governor->order;
}

void atr_governor_take(struct atr_governor *governor, const struct atr_plan *plan, uint32_t source,
		       uint32_t type, const struct atr_json *payload)
{
	int operator= atr_plan_operator(plan, source);
	struct motion motion;
	struct chunk chunk;

	if (operator<0)
		return;
	switch (atr_plan_governs(plan, type)) {
	case ATR_GOVERNANCE_CHUNK:
		if (!chunk_read(payload, &chunk) && !documents_fit(governor, source, &chunk) &&
		    !documents_take(governor, plan, source, &chunk))
			refuse(governor, ATR_REASON_GOV_CHUNK, "out of memory for a document");
		return;
	case ATR_GOVERNANCE_APPROVAL:
		if (read_motion(payload, &motion) && !is_stale(plan, &motion))
			take_approval(governor, operator, & motion);
		return;
	case ATR_GOVERNANCE_CHANGE:
	case ATR_GOVERNANCE_NONE: return;
	}
}

struct atr_plan *atr_governor_give(struct atr_governor *governor, const struct atr_json *payload)
{
	uint8_t digest[GOVERNOR_DIGEST];
	struct document *document;
	struct atr_plan *plan;

	if (!governor_digest(payload, "digest", digest))
		return NULL;
	document = documents_find(governor, digest);
	if (!document || !document->plan)
		return NULL;
	plan = document->plan;
	document->plan = NULL;
	document->given = true;
	return plan;
}

void atr_governor_give_back(struct atr_governor *governor, struct atr_plan *plan)
{
	for (unsigned int i = 0; i < ATR_GOVERNOR_DOCUMENTS; i++) {
		struct document *document = &governor->document[i];

		if (!document->given ||
		    memcmp(document->digest, plan->digest, GOVERNOR_DIGEST) != 0)
			continue;
		document->plan = plan;
		document->given = false;
		return;
	}
	atr_plan_free(plan);
}

unsigned int atr_governor_documents(const struct atr_governor *governor,
				    const struct atr_plan *plan, struct atr_governor_document *out,
				    unsigned int max)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < ATR_GOVERNOR_DOCUMENTS && n < max; i++) {
		const struct document *document = &governor->document[i];
		struct atr_governor_document *one = &out[n];

		if (!document->used)
			continue;
		*one = (struct atr_governor_document){
			.total = document->total,
			.have = document->have,
			.owner = document->owner,
			.ready = document->plan != NULL || document->given,
			.operators = approvers(governor, plan, document->digest, 0),
			.why = document->why,
		};
		memcpy(one->digest, document->digest, sizeof(one->digest));
		n++;
	}
	return n;
}
