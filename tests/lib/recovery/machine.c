/* SPDX-License-Identifier: BSD-3-Clause */
#include "machine.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../../lib/replay/follower.h"
#include "../replay/replay_log.h"

#define LOG_NAME    "example.org/machine"
#define ORIGIN      LOG_NAME "/shard/0"
#define RECORD_BIG  100000
#define RECORDS_BIG 9
#define EVENTS_FEW  5
#define IDLE_MAX    100000
#define SIMD_BITS   512

#define WRONG(machine, ...)                                                                \
	do {                                                                               \
		if (!(machine)->wrong[0] && !(machine)->power_off)                         \
			snprintf((machine)->wrong, sizeof((machine)->wrong), __VA_ARGS__); \
	} while (0)

/* Made once for all machines. */
static struct atr_signer *signer;
static struct atr_hash *hash;
static struct atr_plan *plan;

static unsigned int pick(struct machine *machine, unsigned int n)
{
	return (unsigned int)(sim_random(&machine->random) >> 20) % n;
}

static bool well(const struct machine *machine)
{
	return !machine->power_off && !machine->wrong[0];
}

void machine_init(struct machine *machine, uint64_t seed)
{
	static const uint8_t key[ATR_SEED_SIZE] = {'m'};

	memset(machine, 0, sizeof(*machine));
	if (!plan) {
		signer = atr_signer_from_seed(key);
		hash = atr_hash_create(-1, SIMD_BITS, machine->wrong, sizeof(machine->wrong));
		plan = atr_plan_load(replay_plan_text, strlen(replay_plan_text), machine->wrong,
				     sizeof(machine->wrong));
	}
	machine->random = seed;
	simdisk_init(&machine->disk, sim_random(&machine->random));
	machine->disk.power_off = &machine->power_off;
	machine->disk.slowness = pick(machine, 4);
	crash_files_init(sim_random(&machine->random), &machine->power_off);
	strcpy(machine->directory, "machine-XXXXXX");
	if (!plan || !hash || !signer || !mkdtemp(machine->directory))
		abort();
	snprintf(machine->snapshots, sizeof(machine->snapshots), "%s/snapshots",
		 machine->directory);
	snprintf(machine->anchors, sizeof(machine->anchors), "%s/anchors", machine->directory);
	if (mkdir(machine->snapshots, S_IRWXU) < 0 || mkdir(machine->anchors, S_IRWXU) < 0)
		abort();
	crash_files_watch(machine->snapshots);
	crash_files_watch(machine->anchors);
	reference_init(&machine->reference);
	machine->keep_snapshots = 1 + pick(machine, 2);
	machine->keep_bytes = 1 + (uint64_t)pick(machine, 2) * MACHINE_SEGMENT;
}

void machine_free(struct machine *machine)
{
	char command[96];

	reference_free(&machine->reference);
	simdisk_free(&machine->disk);
	snprintf(command, sizeof(command), "rm -r %s", machine->directory);
	if (system(command) != 0)
		abort();
}

/* --- Starting --- */

/* Every snapshot under its name is whole here, for it is put there by renaming. */
static void passed_over(void *context, const char *sentence)
{
	struct machine *machine = context;

	WRONG(machine, "%s", sentence);
}

static int recover(struct machine *machine, struct atr_storage *storage,
		   const struct atr_checkpoint *anchored, struct atr_recovery *recovery)
{
	const struct atr_recovery_params params = {.name = "disk",
						   .storage = storage,
						   .shards = 1,
						   .snapshots = machine->snapshots,
						   .anchored = anchored,
						   .anchor_name = "the anchor",
						   .hash = hash,
						   .context = machine,
						   .passed_over = passed_over};
	char error[512] = "";
	int rc = atr_recovery_read(recovery, &params, error, sizeof(error));

	if (rc < 0)
		WRONG(machine, "no start: %s", error);
	return rc;
}

/* What was anchored is a state of this log, and covers all that came back. */
static void check_anchor(struct machine *machine, const struct reference *reference,
			 const struct atr_checkpoint *anchored)
{
	const uint8_t *root = reference_root(reference, anchored->size);
	uint64_t promised = reference->after[machine->released].leaves;

	if (anchored->size == 0 && machine->released == 0)
		return;
	machine->counts.anchored++;
	if (!root || memcmp(root, anchored->root, ATR_HASH_SIZE) != 0)
		WRONG(machine, "the anchor's checkpoint of size %llu contradicts the log",
		      (unsigned long long)anchored->size);
	if (anchored->size < promised)
		WRONG(machine, "groups came back that the anchor does not cover");
}

/* What has no entries any more is covered by a snapshot that is still there. */
static void check_retention(struct machine *machine)
{
	const struct atr_recovery *recovery = &machine->recovery;
	uint64_t newest;

	machine->counts.from_snapshot += recovery->snapshot_group > 0;
	if (recovery->scan.pruned_leaves > recovery->snapshot_leaves)
		WRONG(machine, "entries are gone that no snapshot covers");
	if (atr_snapshot_list(machine->snapshots, &newest, 1) == 1 &&
	    recovery->snapshot_group != newest)
		WRONG(machine, "the newest snapshot was not used");
}

/* The state that the recovery has found is that of the log alone. */
static void check_state(struct machine *machine, struct reference *reference)
{
	struct atr_recovery *recovery = &machine->recovery;
	struct atr_snapshot found = {0}, right = {0};
	char error[256];

	if (atr_snapshot_make(recovery->replay, &recovery->scan.end, &found, error, sizeof(error)) <
		    0 ||
	    !reference_snapshot(reference, &right))
		WRONG(machine, "no snapshot of what was recovered");
	else if (found.length != right.length ||
		 memcmp(found.digest, right.digest, sizeof(found.digest)) != 0)
		WRONG(machine, "the state recovered is not that of the log from its beginning");
	free(found.bytes);
	free(right.bytes);
}

/* Until the log is open again, groups that never came back may still be lost. */
static void check_found(struct machine *machine, const struct atr_checkpoint *anchored)
{
	struct atr_recovery *recovery = &machine->recovery;
	struct reference reference;

	if (recovery->scan.end.group < machine->released)
		WRONG(machine, "%llu groups came back as durable, %llu are in the log",
		      (unsigned long long)machine->released,
		      (unsigned long long)recovery->scan.end.group);
	machine->counts.beyond += recovery->scan.end.group > machine->released;
	machine->counts.torn += recovery->scan.torn;
	if (!reference_fork(&reference, &machine->reference) ||
	    !reference_take(&reference, &machine->disk, recovery->scan.end.group))
		WRONG(machine, "%s", reference.wrong);
	if (!machine->wrong[0] && recovery->scan.end.group > 0)
		check_state(machine, &reference);
	if (!machine->wrong[0])
		check_anchor(machine, &reference, anchored);
	reference_free(&reference);
}

static int work(void *context)
{
	struct machine *machine = context;

	atr_log_work(machine->log);
	return machine->power_off ? -EIO : 0;
}

static void open_log(struct machine *machine)
{
	const struct atr_log_params params = {.storage = &machine->disk.base,
					      .signer = signer,
					      .anchor = machine->anchor,
					      .name = LOG_NAME,
					      .realm = plan->realm,
					      .log_id = "a machine's log",
					      .shards = 1,
					      .segment_bytes = MACHINE_SEGMENT,
					      .buffers = MACHINE_BUFFERS,
					      .epoch = ++machine->epoch,
					      .socket = -1,
					      .hash = hash};
	char error[512] = "";

	machine->log = atr_log_open(&params, &machine->recovery.scan.end, error, sizeof(error));
	if (!machine->log)
		WRONG(machine, "the log is not opened: %s", error);
	machine->durable = machine->recovery.scan.end.group;
	/* From here on what was found counts: it is published, and resends are duplicates. */
	if (well(machine))
		machine->released = machine->durable;
	if (well(machine) && !reference_take(&machine->reference, &machine->disk, machine->durable))
		WRONG(machine, "%s", machine->reference.wrong);
	for (unsigned int f = 0; f < MACHINE_FEEDS; f++)
		machine->next[f] = atr_replay_feed_next(machine->recovery.replay, f);
	if (!well(machine) || atr_replay_plan(machine->recovery.replay))
		return;
	if (atr_genesis(machine->log, plan, work, machine, error, sizeof(error)) < 0)
		WRONG(machine, "no genesis: %s", error);
	else
		machine->released = ++machine->durable;
}

bool machine_start(struct machine *machine)
{
	struct atr_checkpoint anchored;
	uint8_t key[ATR_PUBLIC_KEY_SIZE];
	char error[512] = "";

	machine->record_waits = false;
	machine->anchor = atr_anchor_open(machine->anchors, error, sizeof(error));
	atr_signer_public(signer, key);
	if (!machine->anchor ||
	    atr_anchor_load(machine->anchor, 0, ORIGIN, key, &anchored, error, sizeof(error)) < 0)
		WRONG(machine, "%s", error);
	else if (recover(machine, &machine->disk.base, &anchored, &machine->recovery) == 0) {
		check_found(machine, &anchored);
		check_retention(machine);
	}
	if (well(machine))
		open_log(machine);
	return well(machine);
}

void machine_end(struct machine *machine)
{
	atr_log_close(machine->log);
	machine->log = NULL;
	atr_recovery_free(&machine->recovery);
	atr_anchor_close(machine->anchor);
	machine->anchor = NULL;
	if (!machine->power_off)
		return;
	simdisk_restart(&machine->disk);
	crash_files_restart();
	machine->power_off = false;
}

/* --- Writing --- */

static void put_frame(struct machine *machine, struct atr_group_buf *group)
{
	struct atr_frame_spec spec = {.realm = 42, .key = 1, .leaf_count = 1};
	unsigned int count = 1 + pick(machine, EVENTS_FEW);
	uint8_t payload[EVENTS_FEW][8] = {0}, body[ATR_DATAGRAM_MAX], leaf[ATR_HASH_SIZE];
	struct atr_event event[EVENTS_FEW];
	struct atr_record_hdr header = {.kind = ATR_RECORD_FRAME, .events = (uint16_t)count};
	uint8_t admitted = (uint8_t)(1 + pick(machine, (1u << count) - 1));
	int length;

	header.source = spec.source = 1 + pick(machine, MACHINE_SOURCES);
	spec.first_sequence = machine->sequence[spec.source] + 1 + pick(machine, 3);
	machine->sequence[spec.source] = spec.first_sequence + count - 1;
	for (unsigned int i = 0; i < count; i++) {
		int32_t value = (int32_t)pick(machine, 200);

		memcpy(payload[i], &value, sizeof(value));
		event[i] = (struct atr_event){
			.topic_id = 1, .type_id = 1, .payload = payload[i], .payload_length = 8};
		if (!(admitted >> i & 1))
			continue;
		machine->next[0]++;
		machine->next[1] += value >= 100;
	}
	length = atr_frame_build_body(&spec, event, count, body, sizeof(body));
	if (length < 0)
		abort();
	crypto_hash_sha256(leaf, body, (size_t)length);
	memset(body + length, 0x5A, ATR_SIGNATURE_SIZE);
	header.body_length = (uint32_t)length + ATR_SIGNATURE_SIZE;
	header.decision_length = 1;
	header.generation = ATR_GENESIS_GENERATION;
	atr_log_append(group, &header, body, &admitted, leaf);
}

/* Of a type of which state is kept, or one that is only large. */
static void put_envelope(struct machine *machine, struct atr_group_buf *group, uint32_t type)
{
	static char body[RECORD_BIG];
	unsigned long long at = START_MS;
	struct atr_record_hdr header = {.kind = ATR_RECORD_ENVELOPE,
					.events = 1,
					.source = 1,
					.topic = 1,
					.type = type,
					.generation = ATR_GENESIS_GENERATION};
	uint8_t leaf[ATR_HASH_SIZE];
	int length = snprintf(body, sizeof(body),
			      "{\"header\":{\"id\":\"%08llx-%04llx-7000-8000-0000%08x\","
			      "\"source\":\"one\"},\"payload\":{\"label\":\"%c\",\"room\":1,"
			      "\"value\":%u}}",
			      at >> 16, at & 0xFFFF, ++machine->serial, 'a' + pick(machine, 5),
			      pick(machine, 100));

	header.body_length = (uint32_t)length;
	if (type == 1) {
		memset(body + length, ' ', sizeof(body) - (size_t)length);
		header.body_length = sizeof(body);
		header.feeds = 1;
		machine->next[0]++;
	}
	atr_merkle_leaf((const uint8_t *)body, header.body_length, leaf);
	atr_log_append(group, &header, (const uint8_t *)body, NULL, leaf);
}

static void seal(struct machine *machine)
{
	struct atr_group_buf *group = atr_log_begin(machine->log, 0);
	unsigned int big = pick(machine, 2) ? RECORDS_BIG : 0;

	if (!group)
		return;
	for (unsigned int i = 1 + pick(machine, 4); i > 0; i--) {
		put_frame(machine, group);
		put_envelope(machine, group, 2 + pick(machine, 5));
	}
	for (; big > 0; big--)
		put_envelope(machine, group, 1);
	group->feed_set = (1u << MACHINE_FEEDS) - 1;
	memcpy(group->feed_next, machine->next, sizeof(machine->next));
	group->generation = ATR_GENESIS_GENERATION;
	memcpy(group->plan_digest, plan->digest, sizeof(group->plan_digest));
	atr_log_seal(machine->log, group);
}

static void take(struct machine *machine)
{
	struct atr_group_buf *group;

	while ((group = atr_log_durable(machine->log))) {
		if (group->number < machine->released)
			WRONG(machine, "groups came back out of order");
		machine->released = machine->durable = group->number + 1;
		atr_log_release(machine->log, group);
	}
}

/* --- The other things --- */

static bool turn(struct machine *machine)
{
	const char *sentence;
	bool busy = atr_log_work(machine->log) > 0;

	if (!machine->power_off)
		take(machine);
	if (atr_log_state(machine->log, &sentence) != ATR_LOG_OK)
		WRONG(machine, "%s", sentence);
	return busy;
}

static bool under_way(const struct machine *machine)
{
	struct atr_log_stats stats;

	atr_log_stats(machine->log, &stats);
	return stats.groups_under_way > 0 || atr_log_under_way(machine->log) > 0;
}

void machine_settle(struct machine *machine)
{
	for (unsigned int idle = 0; well(machine) && under_way(machine);) {
		idle = turn(machine) ? 0 : idle + 1;
		if (idle > IDLE_MAX)
			WRONG(machine, "the log does nothing any more");
	}
}

static void on_snapshot(void *context, unsigned int shard, const struct atr_snapshot *snapshot)
{
	struct machine *machine = context;

	(void)shard;
	machine->record =
		(struct atr_snapshot_body){.group = snapshot->groups, .leaves = snapshot->leaves};
	memcpy(machine->record.digest, snapshot->digest, sizeof(machine->record.digest));
	machine->record_waits = true;
	machine->counts.snapshots++;
}

/* What is durable now becomes a snapshot, by the appliance's own thread, which ends with it. */
static void follow(struct machine *machine)
{
	struct atr_recovery recovery = {0};
	struct atr_follower_shard shard = {.storage = &machine->disk.beside.base,
					   .directory = machine->snapshots,
					   .durable = &machine->durable};
	const struct atr_follower_params params = {.shard = &shard,
						   .shards = 1,
						   .keep = machine->keep_snapshots,
						   .snapshot = on_snapshot,
						   .ctx = machine};
	struct atr_follower *follower = NULL;
	char error[512] = "";

	machine_settle(machine);
	if (well(machine) && recover(machine, shard.storage, NULL, &recovery) == 0) {
		/* A group of the log's own may be behind the last one that came back. */
		machine->durable = recovery.scan.end.group;
		shard.replay = recovery.replay;
		shard.at = recovery.scan.end;
		follower = atr_follower_start(&params, error, sizeof(error));
		if (!follower)
			WRONG(machine, "%s", error);
		else
			recovery.replay = NULL;
	}
	atr_follower_stop(follower, true);
	atr_recovery_free(&recovery);
}

static void put_record(struct machine *machine)
{
	struct atr_log_stats stats;
	int rc;

	atr_log_stats(machine->log, &stats);
	if (!machine->record_waits || stats.groups == 0)
		return;
	rc = atr_log_snapshot(machine->log, &machine->record);
	machine->record_waits = rc == -EBUSY;
	if (rc < 0 && rc != -EBUSY)
		WRONG(machine, "the log does not take a snapshot's record: %d", rc);
}

static void retain(struct machine *machine)
{
	struct atr_log_retain_params params = {.keep_bytes = machine->keep_bytes, .hash = hash};
	struct atr_log_retained done = {0};
	struct atr_log_stats stats;
	char used[SIM_NAME_MAX], error[512] = "";

	/* What goes must have been taken into the model. */
	if (!reference_take(&machine->reference, &machine->disk, machine->durable))
		WRONG(machine, "%s", machine->reference.wrong);
	atr_log_stats(machine->log, &stats);
	params.snapshot_leaves = stats.snapshot_leaves;
	params.segment = stats.segment;
	if (atr_log_retain(&machine->disk.beside.base, &params, 1 + pick(machine, 2), &done, error,
			   sizeof(error)) < 0)
		WRONG(machine, "retention: %s", error);
	machine->counts.pruned += (unsigned int)done.segments;
	snprintf(used, sizeof(used), ATR_USED_NAME, (uint64_t)MACHINE_SEGMENT);
	machine->counts.recycled += simdisk_file(&machine->disk, used) != NULL;
	if (stats.segment > machine->counts.segments)
		machine->counts.segments = (unsigned int)stats.segment;
}

void machine_act(struct machine *machine)
{
	unsigned int what = pick(machine, 12);

	if (what < 6)
		seal(machine);
	else if (what == 6)
		machine_settle(machine);
	else if (what < 9)
		follow(machine);
	else if (what < 11)
		retain(machine);
	if (well(machine))
		put_record(machine);
	for (unsigned int turns = pick(machine, 12); turns > 0 && well(machine); turns--)
		turn(machine);
}
