/* SPDX-License-Identifier: BSD-3-Clause */
/* At a batch boundary: the next program, when there is one. A batch is judged by one program, and
 * what waits from one batch to another (hold, reserved, deferred) is judged anew under another. */
#include <string.h>

#include "stages.h"

#define RECORDS_A_TURN 1 /* of a plan: some microseconds */
#define END_REPEAT     3 /* end of session is sent so often: nobody acknowledges it */

/* Brings the next plan into the log, piece by piece. True when it is there, or need not be. */
static bool logged(struct atr_shard *shard, const struct atr_program *next, uint64_t now_tsc)
{
	struct atr_commit *commit = &shard->commit;

	for (unsigned int n = 0; shard->plan_records < next->records; n++) {
		const struct atr_plan_record *record = &next->record[shard->plan_records];
		const struct atr_record_hdr header = {
			.kind = ATR_RECORD_PLAN,
			.body_length = record->length,
			.rx_ns = shard->batch->now_ns,
			.generation = next->generation,
		};

		if (n == RECORDS_A_TURN ||
		    atr_log_room(shard, now_tsc, record->length, 0) != ATR_OK)
			return false;
		commit->open->record[commit->open->records].feeds = 0;
		commit->open->record[commit->open->records].feeds_at = ATR_FEEDS_UNIFORM;
		atr_log_append(commit->open, &header, record->body, NULL, record->leaf);
		shard->plan_records++;
	}
	return true;
}

/* A feed that no program had: its session, which class D continues over restarts. One that comes
 * back goes on with the session that it had. */
static void begin_feed(struct atr_shard *shard, const struct atr_program *next, unsigned int f)
{
	struct atr_feed_out *out = &shard->feeds->feed[f];
	bool waits = next->waiting_feeds >> f & 1;

	shard->retiring &= ~(UINT64_C(1) << f);
	shard->ended &= ~(UINT64_C(1) << f);
	if (out->stats.messages > 0)
		return;
	atr_mold_session(out->session, f, shard->id,
			 waits ? shard->class_epoch : shard->feed_epoch);
	out->next_sequence = waits ? shard->commit.next[f] : 1;
}

static void adopt(struct atr_shard *shard, struct atr_program *next)
{
	uint64_t had = shard->program ? shard->program->feeds : next->feeds;
	uint64_t fresh = next->feeds & ~had, gone = had & ~next->feeds & ~shard->ended;

	for (uint64_t set = fresh; set; set &= set - 1)
		begin_feed(shard, next, (unsigned int)__builtin_ctzll(set));
	if (gone) {
		shard->retiring |= gone;
		shard->retire_group = shard->commit.opened;
	}
	shard->program = next;
	shard->plan_records = 0;
	__atomic_fetch_add(&next->adopted, 1, __ATOMIC_RELEASE);
}

/* Everything that the old plan sent to the feeds is out. */
static void end_retired(struct atr_shard *shard, uint64_t now_tsc)
{
	const struct atr_commit *commit = &shard->commit;

	if (commit->durability == ATR_DURABILITY_COMMIT &&
	    (commit->publishing || commit->durable < shard->retire_group))
		return;
	for (uint64_t set = shard->retiring; set; set &= set - 1)
		for (unsigned int i = 0; i < END_REPEAT; i++)
			atr_feeds_retire(shard->feeds, shard->program,
					 (unsigned int)__builtin_ctzll(set), now_tsc);
	shard->ended |= shard->retiring;
	shard->retiring = 0;
}

void atr_swap(struct atr_shard *shard, uint64_t now_tsc)
{
	struct atr_program *next = __atomic_load_n(shard->program_slot, __ATOMIC_ACQUIRE);

	if (unlikely(next != shard->program) && logged(shard, next, now_tsc))
		adopt(shard, next);
	if (unlikely(shard->retiring))
		end_retired(shard, now_tsc);
}
