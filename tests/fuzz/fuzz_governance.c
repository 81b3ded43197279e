/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines of "<source 1..4><type 2..4><payload>": what an operator, or nobody, says. What is judged
 * ATR_OK and passes its schema is taken; bounds hold whatever comes, and a plan is given only after
 * a change that may be. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/governance/governance.h"
#include "governed_plan.h"

#define SOURCES 4
#define TYPES   3
#define HEAD    2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
	if (!holds)
		abort();
}

static void check_documents(const struct atr_governor *governor, const struct atr_plan *plan)
{
	struct atr_governor_document document[ATR_GOVERNOR_DOCUMENTS + 1];
	unsigned int n =
		atr_governor_documents(governor, plan, document, ATR_GOVERNOR_DOCUMENTS + 1);
	uint64_t bytes = 0;

	check(n <= ATR_GOVERNOR_DOCUMENTS);
	for (unsigned int i = 0; i < n; i++) {
		check(document[i].have > 0 && document[i].have <= document[i].total);
		check(!document[i].ready || document[i].have == document[i].total);
		check((document[i].operators >> plan->governance.operator_count) == 0);
		bytes += document[i].total;
	}
	check(bytes <= ATR_GOVERNANCE_DOCUMENT_MAX);
}

static void say(struct atr_governor *governor, const struct atr_plan *plan,
		struct atr_json_parser *parser, const char *line, size_t length)
{
	uint32_t source = 1 + (uint8_t)line[0] % SOURCES, type = 2 + (uint8_t)line[1] % TYPES;
	const struct atr_json *payload;
	uint8_t reason;

	if (atr_json_parse(parser, line + HEAD, length - HEAD, &payload, NULL) != ATR_OK ||
	    atr_schema_validate(plan->types[type].json, payload, NULL, 0) != ATR_OK)
		return;
	reason = atr_governor_judge(governor, plan, source, type, payload);
	check(reason == ATR_OK || atr_governor_refusal(governor)[0] != '\0');
	check(reason == ATR_OK ||
	      (reason >= ATR_REASON_GOV_OPERATOR && reason <= ATR_REASON_GOV_APPROVALS));
	if (reason == ATR_OK)
		atr_governor_take(governor, plan, source, type, payload);
	if (reason == ATR_OK && atr_plan_governs(plan, type) == ATR_GOVERNANCE_CHANGE) {
		struct atr_plan *next = atr_governor_give(governor, payload);

		check(next && next->version > plan->version);
		atr_governor_give_back(governor, next);
	}
	check_documents(governor, plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct atr_json_parser *parser;
	static struct atr_plan *plan;
	struct atr_governor *governor = atr_governor_create();
	char error[256] = "";

	if (!plan) {
		plan = atr_plan_load(governed_plan, strlen(governed_plan), error, sizeof(error));
		parser = atr_json_parser_create();
	}
	check(plan && parser && governor);
	while (size > HEAD) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t length = end ? (size_t)(end - data) : size;

		if (length > HEAD)
			say(governor, plan, parser, (const char *)data, length);
		data += end ? length + 1 : length;
		size -= end ? length + 1 : length;
	}
	atr_governor_free(governor);
	return 0;
}
