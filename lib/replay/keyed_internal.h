/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside lib/replay only: the table of keyed state, a skip list in the order of its keys. */
#ifndef ATR_KEYED_INTERNAL_H
#define ATR_KEYED_INTERNAL_H

#include "../json/json.h"
#include "keyed.h"

#define KEYED_LEVELS 20
#define KEYED_SEED   16 /* bytes */

struct keyed_node {
	struct atr_state_entry entry;
	uint8_t levels;
	struct keyed_node *next[];
};

struct keyed {
	struct keyed_node *first[KEYED_LEVELS];
	uint8_t seed[KEYED_SEED]; /* of levels: nobody can choose keys that make the list slow */
	struct atr_state_stats stats;
	struct atr_json_parser *parser; /* made when first needed */
	char *text;                     /* the same; ATR_JSON_BYTES_MAX */
};

void keyed_init(struct keyed *keyed, uint64_t limit);
void keyed_free(struct keyed *keyed);

/* The entry, or NULL. */
struct keyed_node *keyed_find(const struct keyed *keyed, uint32_t source, uint32_t type,
			      const char *key, uint32_t key_length);
/* Puts a copy of entry where none of its key is; the limit is not looked at. NULL when out of
 * memory. */
struct keyed_node *keyed_add(struct keyed *keyed, const struct atr_state_entry *entry);
/* Gives an entry another value; false when out of memory. */
bool keyed_set_value(struct keyed *keyed, struct keyed_node *node, const uint8_t *value,
		     uint32_t length);
void keyed_remove(struct keyed *keyed, const struct keyed_node *node);

/* One admitted event of a type of which state is kept. */
struct keyed_event {
	const struct atr_type *type;
	uint32_t source;
	uint16_t event;
	uint64_t position;
	const uint8_t *payload; /* binary form, or: */
	uint32_t length;
	const struct atr_json *json;
};

/* Applies it; 0 or -ENOMEM. */
int keyed_apply(struct keyed *keyed, const struct keyed_event *event);

/* The same for an envelope's canonical bytes; -EINVAL if they are none. */
int keyed_apply_envelope(struct keyed *keyed, struct keyed_event *event, const uint8_t *body,
			 uint32_t length);

#endif
