/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a plan: a plan that loads answers every question; one that does not says why. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/plan/plan.h"
#include "../../lib/wire/frame.h"

#define IDS_TRIED      8
#define READABLE_AFTER 7

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
	if (!holds)
		abort();
}

static void ask(const struct atr_plan *plan, const struct atr_source *source, uint32_t topic,
		const struct atr_type *type)
{
	const struct atr_action *action = atr_plan_action(plan, source, topic, type->id);
	uint32_t size = type->binary ? atr_typecheck_max_size(type->binary) : 0;
	uint8_t *payload;
	uint64_t known = 0;

	if (!action)
		return;
	if (size < ATR_INLINE_MAX)
		size = ATR_INLINE_MAX;
	payload = calloc(1, size + READABLE_AFTER);
	for (uint32_t i = 0; i < plan->feed_slots; i++)
		known |= (uint64_t)plan->feeds[i].present << i;
	check((atr_action_feeds(action, payload) & ~known) == 0);
	if (type->binary && atr_typecheck_schema(type->binary, payload, ATR_INLINE_MAX, false) == 0)
		check(atr_typecheck_canonical(type->binary, payload, ATR_INLINE_MAX, false) == 0);
	free(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size ? size : 1), error[256] = "";
	struct atr_plan *plan;

	if (size)
		memcpy(text, data, size);
	plan = atr_plan_load(text, size, error, sizeof(error));
	free(text);
	check(plan ? error[0] == '\0' : error[0] != '\0');
	for (const char *p = error; *p; p++)
		check(*p >= ' ' && *p < 0x7F);
	for (uint32_t s = 0; plan && s < IDS_TRIED; s++)
		for (uint32_t t = 0; t < IDS_TRIED; t++)
			for (uint32_t y = 0; y < IDS_TRIED; y++)
				if (atr_plan_source(plan, s) && atr_plan_topic(plan, t) &&
				    atr_plan_type(plan, y))
					ask(plan, &plan->sources[s], t, &plan->types[y]);
	atr_plan_free(plan);
	return 0;
}
