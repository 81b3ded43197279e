/* SPDX-License-Identifier: BSD-3-Clause */
/* The loader's state and the compiled ruleset. Private to lib/plan.
 *
 * Every loader function returns 0, or a negative errno after it has written the error sentence.
 */
#ifndef ATR_PLAN_INTERNAL_H
#define ATR_PLAN_INTERNAL_H

#include <jansson.h>

#include "plan.h"

#define PLAN_FORMAT          1 /* value of "atr_plan" */
#define PLAN_PATH_MAX        512
#define PLAN_DEPTH_MAX       64                        /* of the document */
#define PLAN_INTEGER_MAX     INT64_C(9007199254740991) /* I-JSON: 2^53 - 1 */
#define PLAN_FILE_MAX        (64u << 20)
#define PLAN_TRIPLES_MAX     (4u << 20)   /* (who, topic, type) that all rules allow */
#define PLAN_CLAUSES_MAX     (256u << 10) /* conditional ways to feeds, all rules together */
#define PLAN_CLAUSES_ACTION  64           /* of these, for one triple; they are run per event */
#define PLAN_COMPARISONS_MAX (64u << 20)  /* of patterns with topics */
#define PLAN_GROUPS_MAX      64

/* --- plan_read.c: paths and typed members --- */

struct plan_names;
struct plan_entry;
struct plan_term;

struct plan_loader {
	struct atr_plan *plan;
	char *error;
	size_t error_size;
	size_t path_length;
	char path[PLAN_PATH_MAX];
	/* The rule under construction, and what all rules expand to. */
	struct plan_entry *entries;
	size_t entry_count, entry_space;
	struct plan_term *terms;
	size_t term_count, term_space;
	size_t comparisons;
	const struct atr_key *checked_key; /* the last one; checking takes a while */
	const struct atr_plan *old;        /* whose keys are checked; NULL: none */
	uint32_t *topics_by_name;          /* ids, in order of names */
};

/* Extends the path by a member or an index; the result restores it with plan_path_cut. Bytes that
 * a terminal might act on are replaced. */
size_t plan_path_member(struct plan_loader *loader, const char *name);
size_t plan_path_index(struct plan_loader *loader, size_t index);
void plan_path_cut(struct plan_loader *loader, size_t length);

/* Writes "path: sentence" and returns -EINVAL. The member variant names a member of the object at
 * the path; name may be NULL. */
int plan_fail(struct plan_loader *loader, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
int plan_fail_member(struct plan_loader *loader, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int plan_no_memory(struct plan_loader *loader);

/* Refuses a value that is no object, and members not in the NULL-terminated list. */
int plan_members(struct plan_loader *loader, const json_t *value, const char *const known[]);

struct plan_uint {
	const char *name;
	uint64_t min, max;
	bool required; /* if not, *out keeps its value where the member is absent */
};
int plan_read_uint(struct plan_loader *loader, const json_t *object, struct plan_uint spec,
		   uint64_t *out);

/* NULL in *out where an optional member is absent. */
int plan_read_string(struct plan_loader *loader, const json_t *object, const char *name,
		     bool required, const char **out);
int plan_read_array(struct plan_loader *loader, const json_t *object, const char *name,
		    bool required, size_t max, const json_t **out);

enum plan_name_kind {
	PLAN_NAME_IDENTIFIER, /* letters, digits, '_', '-', '.'; no '-' or '.' first */
	PLAN_NAME_FIELD,      /* letters, digits, '_' */
	PLAN_NAME_TOPIC,      /* tokens of letters, digits, '_', '-' with dots between */
	PLAN_NAME_PATTERN,    /* the same, a token may be '*' and the last one '>' */
	PLAN_NAME_FREE        /* printable ASCII */
};
/* Checks text; out receives ATR_NAME_MAX + 1 bytes. The path already names the culprit. */
int plan_check_name(struct plan_loader *loader, const char *text, enum plan_name_kind kind,
		    char *out);
/* Required member that holds a name. */
int plan_read_name(struct plan_loader *loader, const json_t *object, const char *member,
		   enum plan_name_kind kind, char *out);
int plan_read_rate(struct plan_loader *loader, const json_t *object, struct atr_rate *rate);

/* Highest id + 1 of the elements of an array of objects with ids; refuses ids out of range. */
int plan_id_slots(struct plan_loader *loader, const json_t *array, uint64_t min, uint64_t max,
		  uint32_t *slots);

/* --- plan_decimal.c --- */

/* value * 10^scale as a raw value of the kind; -EDOM if it is no integer, -ERANGE if the kind
 * cannot hold it, -EINVAL if value is no number. Writes no error. */
int plan_decimal_raw(const json_t *value, unsigned int scale, enum atr_field_kind kind,
		     int64_t *raw);
/* Smallest and largest raw value of a numeric kind. */
void plan_kind_limits(enum atr_field_kind kind, int64_t *min, int64_t *max);
/* True if a < b as values of the kind. */
bool plan_kind_less(enum atr_field_kind kind, int64_t a, int64_t b);

/* --- plan_digest.c --- */

/* Sets the plan's document (RFC 8785 form) and digest; refuses what I-JSON does not allow, and deep
 * nesting. */
int plan_canonical(struct plan_loader *loader, const json_t *document);

/* --- plan_names.c: names to ids, open addressing --- */

struct plan_name_slot {
	const char *name; /* terminated, owned by the plan's arrays; NULL: free */
	uint32_t id;
};

struct plan_names {
	struct plan_name_slot *slots;
	uint32_t mask;
	uint8_t key[16];
};

int plan_names_init(struct plan_names *names, size_t count);
void plan_names_free(struct plan_names *names);
/* -EEXIST if the name is taken. */
int plan_names_add(struct plan_names *names, const char *name, uint32_t id);
/* False if there is no such name. */
bool plan_names_find(const struct plan_names *names, const char *name, size_t length, uint32_t *id);

/* --- Sections --- */

int plan_load_ingress(struct plan_loader *loader, const json_t *document);
int plan_load_identity(struct plan_loader *loader, const json_t *document);
int plan_load_feeds(struct plan_loader *loader, const json_t *document);
int plan_load_sources(struct plan_loader *loader, const json_t *document);
int plan_load_topics(struct plan_loader *loader, const json_t *document);
int plan_load_types(struct plan_loader *loader, const json_t *document);
int plan_load_rules(struct plan_loader *loader, const json_t *document);
int plan_load_governance(struct plan_loader *loader, const json_t *document);

/* Of one type: its member "governance", if it has it, makes its schema. */
int plan_load_use(struct plan_loader *loader, const json_t *value, struct atr_type *type);

/* Of one type, whose forms are loaded; and of all types, which name each other. */
int plan_load_state(struct plan_loader *loader, const json_t *value, struct atr_type *type);
int plan_link_states(struct plan_loader *loader, const json_t *types);

/* "a.b.c.d" to host byte order, without leading zeros; -EINVAL. */
int plan_parse_ip(const char *text, size_t length, uint32_t *ip);
bool plan_ip_is_multicast(uint32_t ip);

/* --- plan_where.c: one rule's conditions --- */

struct plan_condition {
	const char *field; /* in the document, as long as the loader runs */
	const json_t *value;
	const char *op;
};

struct plan_where {
	unsigned int count;
	struct plan_condition conditions[ATR_PREDICATES_MAX];
};

int plan_read_where(struct plan_loader *loader, const json_t *rule, struct plan_where *where);

/* A way to feeds under conditions that all hold; "in" makes one clause per value. */
struct plan_json_test {
	double low, high;
	bool negate;
	char field[ATR_NAME_MAX + 1];
};

struct plan_clause {
	uint64_t feeds;      /* if the lanes match; none where the type has no binary form */
	uint64_t json_feeds; /* if the tests match */
	uint32_t count;      /* of lanes and of tests */
	uint32_t id;
	struct plan_json_test *tests; /* behind the lanes, in the same allocation */
	struct atr_lane lanes[];
};

/* Adds to the plan the clauses by which events of a type reach feeds. */
int plan_add_clauses(struct plan_loader *loader, const struct plan_where *where,
		     const struct atr_type *type, uint64_t feeds);

/* --- plan_compile.c: the rule table --- */

/* What one rule does with one type. */
struct plan_term {
	uint64_t feeds; /* whatever the payload */
	uint32_t first_clause;
	uint32_t clause_count;
};

struct plan_entry {
	uint64_t key;
	uint32_t term;
	uint32_t rule;
};

struct atr_action {
	uint64_t feeds; /* whatever the payload */
	uint32_t count;
	const struct plan_clause *clauses[];
};

struct plan_slot {
	uint64_t key; /* 0: free */
	const struct atr_action *action;
};

struct atr_plan_rules {
	struct plan_slot *slots;
	uint64_t mask;
	struct plan_names source_names, topic_names, type_names, feed_names;
	struct plan_clause **clauses;
	size_t clause_count, clause_space;
	struct atr_action **actions;
	size_t action_count;
};

/* Keys: who is a source id, or PLAN_WHO_ROLE + role. Never 0, as ids begin at 1. */
#define PLAN_WHO_ROLE (ATR_ID_MAX + 1u)

static inline uint64_t plan_key(uint32_t who, uint32_t topic, uint32_t type)
{
	return (uint64_t)who << 32 | (uint64_t)topic << 16 | type;
}

static inline uint64_t plan_hash(uint64_t key)
{
	key ^= key >> 33;
	key *= UINT64_C(0xFF51AFD7ED558CCD);
	key ^= key >> 33;
	key *= UINT64_C(0xC4CEB9FE1A85EC53);
	return key ^ key >> 33;
}

_Static_assert(ATR_ID_MAX < 1u << 16, "topic and type take 16 bits of a key");
_Static_assert(sizeof(struct plan_slot) == 16, "four slots a cache line");

/* Turns the loader's entries into table and actions. */
int plan_compile(struct plan_loader *loader);
void plan_rules_free(struct atr_plan_rules *rules);

#endif
