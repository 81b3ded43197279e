/* SPDX-License-Identifier: BSD-3-Clause */
/* Plans: sources, topics, types, rules and feeds, compiled into an immutable generation.
 *
 * docs/pipeline.md describes the file. Layer 3: lib/schema, lib/envelope (times), lib/typecheck,
 * lib/sign, lib/json, lib/wire, lib/reason; jansson, libsodium. No DPDK. A plan is built by the
 * control lcore (or a tool), read by every lcore without locks, and freed by the control lcore
 * after all readers have moved on (RCU).
 * Ids are dense small integers: arrays here are indexed by id and may have holes (present ==
 * false).
 */
#ifndef ATR_PLAN_H
#define ATR_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../json/json.h"
#include "../reason/reason.h"
#include "../schema/schema.h"
#include "../typecheck/typecheck.h"

#define ATR_ID_MAX          65535 /* sources, topics, types; ids begin at 1 */
#define ATR_FEEDS_MAX       64    /* feed ids 0..63: a set of feeds is a uint64_t */
#define ATR_ROLES_MAX       64
#define ATR_KEYS_MAX        8  /* per source */
#define ATR_DESTS_MAX       64 /* per feed */
#define ATR_PREDICATES_MAX  8  /* per rule */
#define ATR_LEVEL_MAX       15 /* security levels 0..15 */
#define ATR_NAME_MAX        63 /* bytes of a name */
#define ATR_RULES_MAX       65536
#define ATR_STATE_KEY_MAX   4 /* fields of a key */
#define ATR_STATE_SCALE_MAX 9 /* decimal places of a sum of JSON numbers */
#define ATR_OPERATORS_MAX   16

struct atr_rate {
	uint64_t per_second; /* events; 0: unlimited */
	uint64_t burst;      /* events */
};

/* One key signs one kind of thing. */
enum atr_key_use { ATR_KEY_FRAMES, ATR_KEY_ENVELOPES };

struct atr_key {
	uint32_t id;
	enum atr_key_use use;
	uint8_t public_key[32];
	uint64_t not_before_ns; /* Unix time; 0 if not given */
	uint64_t not_after_ns;  /* UINT64_MAX if not given; valid while before <= now < after */
	/* Tells this key from any that had its place in an earlier plan: what was proven under one
	 * is not under another. 0 until atr_plan_number_keys. */
	uint32_t serial;
};

struct atr_source {
	bool present;
	uint8_t level;
	uint8_t priority; /* best priority its events may claim: 0..3 */
	uint8_t role;     /* index into plan->roles */
	uint8_t key_count;
	uint32_t id;
	uint32_t window;    /* sequences remembered; a power of two */
	uint32_t max_ahead; /* how far beyond the highest seen a sequence may lie */
	struct atr_rate rate;
	struct atr_key keys[ATR_KEYS_MAX];
	char name[ATR_NAME_MAX + 1];
};

struct atr_topic {
	bool present;
	uint8_t level;
	uint8_t priority;
	uint32_t id;
	struct atr_rate rate;
	char name[ATR_NAME_MAX + 1];
};

/* What a raw value of an enumeration is called, for people; not on the wire. */
struct atr_enum_name {
	uint16_t field; /* index into the type's fields */
	int64_t raw;
	char name[ATR_NAME_MAX + 1];
};

/* What is kept of a type's events by (source, type, key): docs/state.md. */
enum atr_state_op {
	ATR_STATE_NONE,
	ATR_STATE_LAST,
	ATR_STATE_SET,
	ATR_STATE_INCREMENT,
	ATR_STATE_MAXIMUM,
	ATR_STATE_DELETE
};

struct atr_state {
	enum atr_state_op op;
	uint8_t key_count; /* fields or properties that make the key */
	uint8_t scale;     /* of sums and maxima: that of the binary field, else the largest */
	uint32_t of;       /* DELETE: id of the type whose state goes */
	char key[ATR_STATE_KEY_MAX][ATR_NAME_MAX + 1];
	char value[ATR_NAME_MAX + 1]; /* SET, INCREMENT, MAXIMUM */
};

struct atr_type {
	bool present;
	uint32_t id;
	struct atr_typecheck *binary; /* NULL: not in frames */
	struct atr_schema *json;      /* NULL: not in envelopes */
	const struct atr_field *fields;
	uint32_t field_count;
	uint32_t fixed_size, tail_max; /* of the binary form */
	char name[ATR_NAME_MAX + 1];
	char tail_name[ATR_NAME_MAX + 1]; /* of the tail among the members; empty if no tail */
	const struct atr_enum_name *enum_names; /* all fields', by field and raw value */
	uint32_t enum_name_count;
	struct atr_state state;
};

struct atr_dest {
	uint32_t ip;   /* host byte order */
	uint16_t port; /* host byte order */
	uint8_t ttl;   /* 1..255; default 64, multicast 1 */
};

/* What a feed promises at most, weakest first: the weaker of this and of the appliance's own class
 * counts. */
enum atr_durability {
	ATR_DURABILITY_NONE,  /* published once admitted; of an appliance: there is no log */
	ATR_DURABILITY_ASYNC, /* published once admitted; logged, and nobody waits for the disk */
	ATR_DURABILITY_COMMIT /* published once durable in the log */
};

/* "none", "async" or "commit"; static storage. */
const char *atr_durability_name(enum atr_durability durability);

struct atr_feed {
	bool present;
	uint8_t id;
	uint8_t level;
	uint8_t dest_count;
	enum atr_durability durability;
	uint32_t max_block; /* bytes of the largest message block that can reach it */
	struct atr_dest dests[ATR_DESTS_MAX];
	char name[ATR_NAME_MAX + 1];
};

/* What happens with an allowed (source, topic, type). */
struct atr_action;

/* What an envelope's type does to the plan itself: docs/governance.md. */
enum atr_governance_use {
	ATR_GOVERNANCE_NONE,
	ATR_GOVERNANCE_CHUNK,
	ATR_GOVERNANCE_CHANGE,
	ATR_GOVERNANCE_APPROVAL
};

/* A chunk carries at most so many characters of base64; a document is at most so long. */
#define ATR_GOVERNANCE_CHUNK_TEXT_MAX 6000
#define ATR_GOVERNANCE_CHUNK_MAX      (ATR_GOVERNANCE_CHUNK_TEXT_MAX / 4 * 3)
#define ATR_GOVERNANCE_DOCUMENT_MAX   (64u << 20)

/* Who may change the plan in flight. */
struct atr_governance {
	bool present; /* false: nobody, and what follows is zero */
	uint32_t operator_count;
	uint32_t operators[ATR_OPERATORS_MAX]; /* source ids, in the order of the document */
	uint32_t approvals;                    /* of different operators, that a change needs */
	uint32_t chunk_type, change_type, approval_type; /* ids */
};

struct atr_plan {
	uint64_t generation; /* set by the control lcore when it publishes */
	uint64_t realm;
	uint32_t version;       /* of the document */
	char *document;         /* its RFC 8785 form, not terminated; the plan's */
	size_t document_length; /* bytes */
	uint8_t digest[32];     /* SHA-256 of that */
	char name[ATR_NAME_MAX + 1];
	uint16_t udp_port;                     /* ingress */
	uint32_t envelope_bytes;               /* largest envelope */
	uint64_t uuid_past_ms, uuid_future_ms; /* window of UUIDv7 times around now */
	/* Array lengths: highest id + 1. */
	uint32_t source_slots, topic_slots, type_slots, feed_slots;
	uint32_t source_count, topic_count, type_count, feed_count, rule_count;
	struct atr_source *sources;
	struct atr_topic *topics;
	struct atr_type *types;
	struct atr_feed *feeds;
	uint64_t commit_feeds; /* those of durability commit, a bit per feed id */
	char (*roles)[ATR_NAME_MAX + 1];
	uint32_t role_count;
	uint32_t *groups; /* ingress multicast groups, host byte order */
	uint32_t group_count;
	struct atr_governance governance;
	uint32_t key_serials;         /* given so far, in this plan and those before it */
	struct atr_plan_rules *rules; /* opaque */
};

/* Loads and compiles a plan from JSON text. NULL on failure, with one sentence in error (size
 * bytes) that begins with the path of the culprit ("rules[3].topics[0]: no topic matches
 * 'quake.xx.>'; declare the topic or correct the pattern"). Unknown and duplicate members,
 * duplicate ids and names, dangling names and values out of range are refused. */
struct atr_plan *atr_plan_load(const char *text, size_t length, char *error, size_t size);

/* The same, where old is a plan that was loaded before: keys that it has are not checked again,
 * which takes most of the time that a plan of many sources needs. */
struct atr_plan *atr_plan_load_behind(const char *text, size_t length, const struct atr_plan *old,
				      char *error, size_t size);

/* atr_plan_load from a file of at most 64 MiB, whose name precedes the sentence in error. */
struct atr_plan *atr_plan_load_file(const char *path, char *error, size_t size);

void atr_plan_free(struct atr_plan *plan);

/* May new take the place of old in flight? 0; or -EINVAL with one sentence in error that begins
 * with the path of the culprit in new: an id of both plans has another name or another form (of a
 * source also another window or max_ahead, of a feed another durability, of a type other state), or
 * realm, port, multicast groups or identity differ. Control lcore and tools. */
int atr_plan_compatible(const struct atr_plan *old, const struct atr_plan *new, char *error,
			size_t size);

/* Gives the keys of new, which is to come behind old, their serials: a key that is in both, under
 * the same source, id and use, keeps its own, any other gets one that no key had before. Control
 * lcore, before new is published. */
void atr_plan_number_keys(const struct atr_plan *old, struct atr_plan *new);

/* What a type does to the plan; ATR_GOVERNANCE_NONE for all other types. Any lcore. */
static inline enum atr_governance_use atr_plan_governs(const struct atr_plan *plan, uint32_t type)
{
	if (!plan->governance.present)
		return ATR_GOVERNANCE_NONE;
	if (type == plan->governance.chunk_type)
		return ATR_GOVERNANCE_CHUNK;
	if (type == plan->governance.change_type)
		return ATR_GOVERNANCE_CHANGE;
	return type == plan->governance.approval_type ? ATR_GOVERNANCE_APPROVAL
						      : ATR_GOVERNANCE_NONE;
}

/* Index of a source among the operators; -ENOENT if it is none. Any lcore. */
int atr_plan_operator(const struct atr_plan *plan, uint32_t source);

/* Source, topic or type by id; NULL if it is not in the plan. Any lcore. */
static inline const struct atr_source *atr_plan_source(const struct atr_plan *plan, uint32_t id)
{
	return id < plan->source_slots && plan->sources[id].present ? &plan->sources[id] : NULL;
}
static inline const struct atr_topic *atr_plan_topic(const struct atr_plan *plan, uint32_t id)
{
	return id < plan->topic_slots && plan->topics[id].present ? &plan->topics[id] : NULL;
}
static inline const struct atr_type *atr_plan_type(const struct atr_plan *plan, uint32_t id)
{
	return id < plan->type_slots && plan->types[id].present ? &plan->types[id] : NULL;
}

/* By name (bytes, not terminated); NULL if not in the plan. Control lcore and tools. */
const struct atr_source *atr_plan_source_named(const struct atr_plan *plan, const char *name,
					       size_t length);
const struct atr_topic *atr_plan_topic_named(const struct atr_plan *plan, const char *name,
					     size_t length);
const struct atr_type *atr_plan_type_named(const struct atr_plan *plan, const char *name,
					   size_t length);

/* Key of a source by id; NULL if it has none. Any lcore. */
static inline const struct atr_key *atr_source_key(const struct atr_source *source, uint32_t id)
{
	for (unsigned int i = 0; i < source->key_count; i++)
		if (source->keys[i].id == id)
			return &source->keys[i];
	return NULL;
}

/* Gate signature, before any hashing: ATR_OK and *key if the source has this key, for frames, and
 * it is valid now; else UNKNOWN_KEY or KEY_TIME. Any lcore. */
static inline uint8_t atr_source_frame_key(const struct atr_source *source, uint32_t id,
					   uint64_t now_ns, const struct atr_key **key)
{
	*key = atr_source_key(source, id);
	if (!*key || (*key)->use != ATR_KEY_FRAMES)
		return ATR_REASON_UNKNOWN_KEY;
	if (now_ns < (*key)->not_before_ns || now_ns >= (*key)->not_after_ns)
		return ATR_REASON_KEY_TIME;
	return ATR_OK;
}

/* The best priority, 0..3, that an event of this source and topic has, whatever it claims; an
 * envelope, which claims nothing, has it. Any lcore. */
static inline uint8_t atr_plan_priority(const struct atr_source *source,
					const struct atr_topic *topic)
{
	return source->priority > topic->priority ? source->priority : topic->priority;
}

/* Action for a triple whose source, topic and type are in the plan; NULL if no rule allows it.
 * Levels are not looked at (see LEVEL in reason.def: compare source->level with topic->level).
 * Hot path: one or two probes of a flat hash table, no strings. Any lcore. */
const struct atr_action *atr_plan_action(const struct atr_plan *plan,
					 const struct atr_source *source, uint32_t topic,
					 uint32_t type);

/* Feeds that an allowed event goes to, as a bit per feed id; content predicates are evaluated on
 * the binary payload. Hot path, any lcore. */
uint64_t atr_action_feeds(const struct atr_action *action, const uint8_t *payload);

/* The same if no content can change the answer: true, and the feeds. Hot path, any lcore. */
bool atr_action_feeds_always(const struct atr_action *action, uint64_t *feeds);

/* The same for an envelope's payload. Control lcore. */
uint64_t atr_action_feeds_json(const struct atr_action *action, const struct atr_json *payload);

/* Name of a raw value of a type's field (index); NULL if its enumeration gives none. Tools. */
const char *atr_type_enum_name(const struct atr_type *type, unsigned int field, int64_t raw);

/* "last", "set", ..; "" for ATR_STATE_NONE. */
const char *atr_state_op_name(enum atr_state_op op);

/* True if name (terminated, dot-separated) matches pattern, where '*' stands for exactly one
 * token and a final '>' for one or more. */
bool atr_topic_match(const char *pattern, const char *name);

#endif
