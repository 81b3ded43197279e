/* SPDX-License-Identifier: BSD-3-Clause */
/* Gap requests answered from a log of any bytes: in bounds, what is answered is a packet of what
 * was asked for, and the same is answered twice. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/gapfill/gap_reader.h"
#include "../lib/gapfill/gap_plan.h"
#include "one_file.h"

#define BLOCKS_MAX 32
#define SHARD      3
#define INDEX      4
#define GROUPS     64 /* that are said to be durable */
#define DATAGRAM   1472
#define HEAD       4 /* bytes that say what is asked */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(struct atr_gap_reader *reader, const struct atr_gap_question *question)
{
	uint8_t out[DATAGRAM], again[DATAGRAM];
	struct atr_mold_packet packet;
	char error[512] = "";
	int length =
		atr_gap_reader_answer(reader, question, out, sizeof(out), error, sizeof(error));

	if (length < 0 && !error[0])
		abort();
	if (length <= 0)
		return;
	if (length > DATAGRAM || atr_mold_parse(out, (size_t)length, &packet) != 0 ||
	    packet.sequence != question->sequence || packet.count == 0 ||
	    packet.count > question->count)
		abort();
	if (atr_gap_reader_answer(reader, question, again, sizeof(again), error, sizeof(error)) !=
		    length ||
	    memcmp(out, again, (size_t)length) != 0)
		abort();
}

static const struct atr_plan *plan_of(void *context, uint64_t generation)
{
	return generation % 2 ? context : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct atr_plan *plan;
	struct one_file one = {.storage = {&one_file_ops}};
	struct atr_gap_question question = {0};
	struct atr_gap_reader *reader;
	char error[512] = "";

	if (size < HEAD || size > BLOCKS_MAX * ATR_LOG_BLOCK)
		return 0;
	if (!plan)
		plan = atr_plan_load(gap_plan_text, strlen(gap_plan_text), error, sizeof(error));
	if (!plan)
		abort();
	/* Whole blocks: what the input lacks is zeros, as on a disk. */
	one.size = (size - HEAD + ATR_LOG_BLOCK - 1) / ATR_LOG_BLOCK * ATR_LOG_BLOCK;
	one.bytes = calloc(1, one.size ? one.size : 1);
	reader = atr_gap_reader_create(&one.storage, SHARD, INDEX, error, sizeof(error));
	if (!one.bytes || !reader)
		abort();
	memcpy(one.bytes, data + HEAD, size - HEAD);
	if ((data[0] & 1) && one.size)
		one_file_mend(one.bytes, one.size);
	if (atr_gap_reader_follow(reader, GROUPS, GROUPS, error, sizeof(error)) < 0 && !error[0])
		abort();
	question.plan = plan_of;
	question.context = plan;
	question.count = (uint16_t)(1 + data[2]);
	atr_mold_session(question.session, 0, SHARD, 1);
	for (uint64_t i = 0; i < 2; i++) {
		question.feed = (uint32_t)(data[1] + i) % 2;
		question.sequence = data[3] + i;
		ask(reader, &question);
	}
	atr_gap_reader_free(reader);
	free(one.bytes);
	return 0;
}
