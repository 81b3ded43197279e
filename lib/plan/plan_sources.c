/* SPDX-License-Identifier: BSD-3-Clause */
/* Section "sources". */
#include <stdlib.h>
#include <string.h>

#include "plan_internal.h"

#include "../envelope/envelope.h"
#include "../sign/sign.h"

#define PRIORITY_MAX      3u
#define WINDOW_MIN        64u
#define WINDOW_MAX        (1u << 20)
#define WINDOW_DEFAULT    4096u
#define MAX_AHEAD_DEFAULT 65536u

_Static_assert(sizeof(((struct atr_key *)0)->public_key) == ATR_PUBLIC_KEY_SIZE, "key size");

static int load_time(struct plan_loader *l, const json_t *value, const char *name, uint64_t *ns)
{
	const char *text;
	int ret = plan_read_string(l, value, name, false, &text);

	if (ret < 0 || !text)
		return ret;
	if (atr_time_parse(text, strlen(text), ns) < 0)
		return plan_fail_member(l, name,
					"must be an RFC 3339 UTC time like "
					"\"2026-01-31T00:00:00Z\"");
	return 0;
}

/* A key that the source had in the plan before has been checked when that was loaded. */
static bool checked_before(const struct plan_loader *l, const struct atr_source *source,
			   const struct atr_key *key)
{
	const struct atr_source *before = l->old ? atr_plan_source(l->old, source->id) : NULL;

	if (l->checked_key &&
	    memcmp(l->checked_key->public_key, key->public_key, ATR_PUBLIC_KEY_SIZE) == 0)
		return true;
	for (unsigned int i = 0; before && i < before->key_count; i++)
		if (memcmp(before->keys[i].public_key, key->public_key, ATR_PUBLIC_KEY_SIZE) == 0)
			return true;
	return false;
}

static int load_public(struct plan_loader *l, const json_t *value, struct atr_source *source,
		       struct atr_key *key)
{
	const char *text;
	int ret = plan_read_string(l, value, "public", true, &text);

	if (ret < 0)
		return ret;
	if (atr_hex_decode(text, strlen(text), key->public_key, sizeof(key->public_key)) < 0)
		return plan_fail_member(l, "public", "must be 64 lowercase hex digits");
	if (!checked_before(l, source, key) && !atr_public_key_ok(key->public_key))
		return plan_fail_member(l, "public",
					"is no acceptable Ed25519 key (not canonical, not on the "
					"curve or not in the prime-order group); generate one with "
					"atrctl keygen");
	for (unsigned int i = 0; i < source->key_count; i++)
		if (memcmp(source->keys[i].public_key, key->public_key, ATR_PUBLIC_KEY_SIZE) == 0)
			return plan_fail_member(l, "public",
						"the source has this key twice; remove one");
	return 0;
}

static int load_use(struct plan_loader *l, const json_t *value, struct atr_key *key)
{
	const char *text;
	int ret = plan_read_string(l, value, "use", true, &text);

	if (ret < 0)
		return ret;
	if (strcmp(text, "frames") == 0)
		key->use = ATR_KEY_FRAMES;
	else if (strcmp(text, "envelopes") == 0)
		key->use = ATR_KEY_ENVELOPES;
	else
		return plan_fail_member(l, "use",
					"must be \"frames\" or \"envelopes\"; one key signs one "
					"kind of thing");
	return 0;
}

static int load_key(struct plan_loader *l, const json_t *value, struct atr_source *source)
{
	static const char *const known[] = {"id", "use", "public", "not_before", "not_after", NULL};
	struct atr_key key = {.not_after_ns = UINT64_MAX};
	uint64_t id = 0;
	int ret = plan_members(l, value, known);

	if (ret == 0)
		ret = plan_read_uint(l, value, (struct plan_uint){"id", 1, UINT32_MAX, true}, &id);
	if (ret == 0 && atr_source_key(source, (uint32_t)id))
		return plan_fail_member(l, "id", "another key of the source has this id");
	key.id = (uint32_t)id;
	if (ret == 0)
		ret = load_use(l, value, &key);
	if (ret == 0)
		ret = load_public(l, value, source, &key);
	if (ret == 0)
		ret = load_time(l, value, "not_before", &key.not_before_ns);
	if (ret == 0)
		ret = load_time(l, value, "not_after", &key.not_after_ns);
	if (ret == 0 && key.not_after_ns <= key.not_before_ns)
		return plan_fail_member(l, "not_after", "must be later than not_before");
	if (ret < 0)
		return ret;
	l->checked_key = &source->keys[source->key_count];
	source->keys[source->key_count++] = key;
	return 0;
}

static int load_keys(struct plan_loader *l, const json_t *value, struct atr_source *source)
{
	const json_t *keys;
	int ret = plan_read_array(l, value, "keys", true, ATR_KEYS_MAX, &keys);
	size_t mark = plan_path_member(l, "keys");

	if (ret == 0 && json_array_size(keys) == 0)
		return plan_fail(l, "a source needs at least one key");
	for (size_t i = 0; ret == 0 && i < json_array_size(keys); i++) {
		size_t element = plan_path_index(l, i);

		ret = load_key(l, json_array_get(keys, i), source);
		plan_path_cut(l, element);
	}
	plan_path_cut(l, mark);
	return ret;
}

static int load_role(struct plan_loader *l, const json_t *value, struct atr_source *source)
{
	struct atr_plan *plan = l->plan;
	char role[ATR_NAME_MAX + 1];
	uint32_t i;
	int ret = plan_read_name(l, value, "role", PLAN_NAME_IDENTIFIER, role);

	if (ret < 0)
		return ret;
	for (i = 0; i < plan->role_count && strcmp(plan->roles[i], role) != 0; i++)
		;
	if (i == ATR_ROLES_MAX)
		return plan_fail_member(l, "role", "more than %u roles", ATR_ROLES_MAX);
	if (i == plan->role_count)
		memcpy(plan->roles[plan->role_count++], role, sizeof(role));
	source->role = (uint8_t)i;
	return 0;
}

static int load_window(struct plan_loader *l, const json_t *value, struct atr_source *source)
{
	uint64_t window = WINDOW_DEFAULT, ahead = MAX_AHEAD_DEFAULT;
	int ret = plan_read_uint(
		l, value, (struct plan_uint){"window", WINDOW_MIN, WINDOW_MAX, false}, &window);

	if (ret == 0 && (window & (window - 1)) != 0)
		return plan_fail_member(l, "window", "must be a power of two from %u to %u",
					WINDOW_MIN, WINDOW_MAX);
	if (ret == 0)
		ret = plan_read_uint(l, value,
				     (struct plan_uint){"max_ahead", 1, UINT32_MAX, false}, &ahead);
	source->window = (uint32_t)window;
	source->max_ahead = (uint32_t)ahead;
	return ret;
}

static int load_source(struct plan_loader *l, const json_t *value)
{
	static const char *const known[] = {"id",     "name",      "role", "level", "priority",
					    "window", "max_ahead", "rate", "keys",  NULL};
	uint64_t id = 0, level = 0, priority = 0;
	struct atr_source *source;
	int ret = plan_members(l, value, known);

	if (ret == 0)
		ret = plan_read_uint(l, value, (struct plan_uint){"id", 1, ATR_ID_MAX, true}, &id);
	if (ret < 0)
		return ret;
	source = &l->plan->sources[id];
	if (source->present)
		return plan_fail_member(l, "id", "another source has this id; ids are unique");
	source->present = true;
	source->id = (uint32_t)id;
	ret = plan_read_name(l, value, "name", PLAN_NAME_IDENTIFIER, source->name);
	if (ret == 0 && plan_names_add(&l->plan->rules->source_names, source->name, source->id) < 0)
		return plan_fail_member(l, "name",
					"another source has this name; names are unique");
	if (ret == 0)
		ret = load_role(l, value, source);
	if (ret == 0)
		ret = plan_read_uint(l, value, (struct plan_uint){"level", 0, ATR_LEVEL_MAX, false},
				     &level);
	if (ret == 0)
		ret = plan_read_uint(l, value,
				     (struct plan_uint){"priority", 0, PRIORITY_MAX, false},
				     &priority);
	source->level = (uint8_t)level;
	source->priority = (uint8_t)priority;
	if (ret == 0)
		ret = load_window(l, value, source);
	if (ret == 0)
		ret = plan_read_rate(l, value, &source->rate);
	if (ret == 0)
		ret = load_keys(l, value, source);
	return ret;
}

/* A key and where the document has it. */
struct key_place {
	const struct atr_key *key;
	size_t source, index;
};

static int compare_places(const void *a, const void *b)
{
	const struct key_place *x = a, *y = b;
	int order = memcmp(x->key->public_key, y->key->public_key, ATR_PUBLIC_KEY_SIZE);

	if (order != 0)
		return order;
	if (x->source != y->source)
		return x->source < y->source ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

static int fail_use(struct plan_loader *l, const struct key_place *place)
{
	plan_path_index(l, place->source);
	plan_path_member(l, "keys");
	plan_path_index(l, place->index);
	return plan_fail_member(l, "use",
				"another source signs %s with this key; one key signs one kind of "
				"thing, so generate one for each",
				place->key->use == ATR_KEY_FRAMES ? "envelopes" : "frames");
}

/* Sources may share a key, but not for different uses. */
static int check_uses(struct plan_loader *l, const json_t *sources)
{
	size_t count = 0, space = json_array_size(sources) * ATR_KEYS_MAX;
	struct key_place *places = calloc(space + 1, sizeof(*places));
	int ret = 0;

	if (!places)
		return plan_no_memory(l);
	for (size_t i = 0; i < json_array_size(sources); i++) {
		const json_t *id = json_object_get(json_array_get(sources, i), "id");
		const struct atr_source *source = &l->plan->sources[json_integer_value(id)];

		for (size_t k = 0; k < source->key_count; k++)
			places[count++] = (struct key_place){&source->keys[k], i, k};
	}
	qsort(places, count, sizeof(*places), compare_places);
	for (size_t i = 1; i < count && ret == 0; i++)
		if (memcmp(places[i - 1].key->public_key, places[i].key->public_key,
			   ATR_PUBLIC_KEY_SIZE) == 0 &&
		    places[i - 1].key->use != places[i].key->use)
			ret = fail_use(l, &places[i]);
	free(places);
	return ret;
}

int plan_load_sources(struct plan_loader *l, const json_t *document)
{
	struct atr_plan *plan = l->plan;
	const json_t *sources;
	int ret = plan_read_array(l, document, "sources", true, ATR_ID_MAX, &sources);
	size_t mark = plan_path_member(l, "sources");

	if (ret == 0)
		ret = plan_id_slots(l, sources, 1, ATR_ID_MAX, &plan->source_slots);
	if (ret < 0)
		return ret;
	plan->sources = calloc(plan->source_slots + 1, sizeof(*plan->sources));
	plan->roles = calloc(ATR_ROLES_MAX, sizeof(*plan->roles));
	if (!plan->sources || !plan->roles ||
	    plan_names_init(&plan->rules->source_names, json_array_size(sources)) < 0)
		return plan_no_memory(l);
	for (size_t i = 0; i < json_array_size(sources) && ret == 0; i++) {
		size_t element = plan_path_index(l, i);

		ret = load_source(l, json_array_get(sources, i));
		plan->source_count++;
		plan_path_cut(l, element);
	}
	if (ret == 0)
		ret = check_uses(l, sources);
	plan_path_cut(l, mark);
	return ret;
}

static bool same_key(const struct atr_key *a, const struct atr_key *b)
{
	return a && a->use == b->use &&
	       memcmp(a->public_key, b->public_key, ATR_PUBLIC_KEY_SIZE) == 0;
}

void atr_plan_number_keys(const struct atr_plan *old, struct atr_plan *new)
{
	new->key_serials = old->key_serials;
	for (uint32_t s = 0; s < new->source_slots; s++) {
		const struct atr_source *before = atr_plan_source(old, s);

		for (unsigned int k = 0; k < new->sources[s].key_count; k++) {
			struct atr_key *key = &new->sources[s].keys[k];
			const struct atr_key *kept =
				before ? atr_source_key(before, key->id) : NULL;

			key->serial = same_key(kept, key) ? kept->serial : ++new->key_serials;
		}
	}
}
