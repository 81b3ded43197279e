/* SPDX-License-Identifier: BSD-3-Clause */
#include "recall.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/envelope/envelope.h"
#include "../../lib/reason/reason.h"

#define FIRST_SPACE 64

struct recalled {
	uint64_t rx_ns, leaf;
	uint32_t shard, source, type, length;
	char *text;
};

static void forget(struct recall *recall)
{
	while (recall->count > 0)
		free(recall->item[--recall->count].text);
}

void recall_free(struct recall *recall)
{
	forget(recall);
	free(recall->item);
	memset(recall, 0, sizeof(*recall));
}

int recall_keep(struct recall *recall, unsigned int shard, const struct atr_record_hdr *record,
		const uint8_t *body)
{
	struct recalled *one;

	if (record->generation < recall->generation)
		return 0;
	if (record->generation > recall->generation)
		forget(recall);
	recall->generation = record->generation;
	if (recall->count == recall->space) {
		size_t space = recall->space ? 2 * recall->space : FIRST_SPACE;

		one = realloc(recall->item, space * sizeof(*one));
		if (!one)
			return -ENOMEM;
		recall->item = one;
		recall->space = space;
	}
	one = &recall->item[recall->count];
	*one = (struct recalled){.rx_ns = record->rx_ns,
				 .leaf = record->leaf,
				 .shard = shard,
				 .source = record->source,
				 .type = record->type,
				 .length = record->body_length};
	one->text = malloc(record->body_length);
	if (!one->text)
		return -ENOMEM;
	memcpy(one->text, body, record->body_length);
	recall->count++;
	return 0;
}

/* As they came. */
static int by_time(const void *a, const void *b)
{
	const struct recalled *x = a, *y = b;

	if (x->rx_ns != y->rx_ns)
		return x->rx_ns < y->rx_ns ? -1 : 1;
	if (x->shard != y->shard)
		return x->shard < y->shard ? -1 : 1;
	return (x->leaf > y->leaf) - (x->leaf < y->leaf);
}

/* The change comes last, whatever the clocks of shards said. */
static void put_in_force(const struct recalled *change, const struct atr_plan *plan,
			 struct atr_governor *governor, struct atr_json_parser *parser,
			 struct atr_plan **next, char *sentence, size_t size)
{
	struct atr_envelope envelope;

	if (atr_envelope_parse(parser, change->text, change->length, &envelope) != ATR_OK)
		return;
	if (atr_governor_judge(governor, plan, change->source, change->type, envelope.payload) ==
	    ATR_OK)
		*next = atr_governor_give(governor, envelope.payload);
	else
		snprintf(sentence, size,
			 "a change of plan is in the log and cannot be put in force: %s",
			 atr_governor_refusal(governor));
}

int recall_rebuild(struct recall *recall, const struct atr_plan *plan,
		   struct atr_governor *governor, struct atr_plan **next, char *sentence,
		   size_t size)
{
	struct atr_json_parser *parser = atr_json_parser_create();
	const struct recalled *change = NULL;

	*next = NULL;
	sentence[0] = '\0';
	if (!parser)
		return -ENOMEM;
	if (recall->count && recall->generation == plan->generation)
		qsort(recall->item, recall->count, sizeof(*recall->item), by_time);
	else
		forget(recall);
	for (size_t i = 0; i < recall->count; i++) {
		const struct recalled *one = &recall->item[i];
		struct atr_envelope envelope;

		if (atr_plan_governs(plan, one->type) == ATR_GOVERNANCE_CHANGE)
			change = one;
		else if (atr_envelope_parse(parser, one->text, one->length, &envelope) == ATR_OK)
			atr_governor_take(governor, plan, one->source, one->type, envelope.payload);
	}
	if (change)
		put_in_force(change, plan, governor, parser, next, sentence, size);
	atr_json_parser_destroy(parser);
	return 0;
}
