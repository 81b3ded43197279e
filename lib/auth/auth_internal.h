/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of one shard's authentication. Everything is one block of memory, carved at creation;
 * entries are named by index, lists run through indexes, AUTH_NONE ends them. */
#ifndef ATR_AUTH_INTERNAL_H
#define ATR_AUTH_INTERNAL_H

#include <stdbool.h>

#include "auth.h"

#define AUTH_NONE    UINT32_MAX
#define AUTH_SOURCES 65536 /* source ids are 1..65535 */
#define AUTH_LEVELS  32    /* of a tree whose leaf_count is a u32 */

/* What a proven tree is found by; with the root, what a pending or refused one is found by. */
struct auth_key {
	uint64_t realm;
	uint32_t source;
	uint32_t key;
	uint32_t leaf_count;
	uint32_t
		serial; /* of the key: what was proven under another of that id is not under this */
	uint8_t signature[ATR_SIGNATURE_SIZE];
	uint8_t root[ATR_HASH_SIZE];
};
#define AUTH_KEY_SIZE  sizeof(struct auth_key)
#define AUTH_TREE_SIZE offsetof(struct auth_key, root)
#define AUTH_KEY_WORDS (AUTH_KEY_SIZE / sizeof(uint32_t))
_Static_assert(sizeof(struct auth_key) == 24 + ATR_SIGNATURE_SIZE + ATR_HASH_SIZE, "no padding");
_Static_assert(AUTH_TREE_SIZE % 8 == 0 && AUTH_KEY_SIZE % 8 == 0, "hashed in pairs of words");

/* Hash table with chains: which entry has which hash. Links are arrays beside the entries. */
struct auth_index {
	uint32_t *bucket;
	uint32_t *next;
	uint32_t *hash;
	uint32_t mask;
};

/* Least recently used order. */
struct auth_lru {
	struct auth_link {
		uint32_t newer, older;
	} * link;
	uint32_t newest, oldest;
};

/* Two siblings known to lie under a tree's root. */
struct auth_pair {
	uint8_t node[2][ATR_HASH_SIZE]; /* left, right */
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct auth_pair) == 64, "a pair is one cache line");

enum auth_state { AUTH_FREE, AUTH_QUEUED, AUTH_SENT, AUTH_PROVEN };

/* A root, asked for or proven, and the place of its pairs. Nodes are cached from the first frame
 * on: they are tied to the root by hashes alone, whatever the verdict on the signature will be. */
struct auth_tree {
	struct auth_key key;
	enum auth_state state;
	uint32_t generation; /* pairs of another generation are not this tree's */
	bool by_tree;        /* is in the index of trees, by key without root */
	uint32_t queue_next; /* free list, or requests to be sent */
	uint32_t hold_first, hold_last;
	uint16_t sender; /* that asked for it */
} __attribute__((aligned(64)));

struct auth_refused {
	struct auth_key key;
	uint32_t free_next;
	uint8_t reason;
};

/* A frame that waits. In the queue of releasable frames, reason counts from a frame with starts
 * set to the next such one. */
struct auth_held {
	void *cookie;
	uint32_t next;
	uint16_t source;
	uint8_t reason;
	bool starts;
};

struct auth_source {
	uint32_t pending, held;
};

/* What senders of one slot have shown. */
struct auth_sender {
	uint64_t proven_tsc; /* last root that was proven; 0: none */
	uint64_t fails_tsc; /* when all of its failures so far would be paid off at the rate allowed
			     */
};
#define AUTH_SENDERS 4096
_Static_assert(AUTH_SENDERS <= UINT16_MAX + 1, "a slot is a u16");

/* What a sender may use of a source's budgets. */
enum auth_standing { AUTH_NOTHING, AUTH_HALF, AUTH_ALL };

struct auth_queue {
	uint32_t first, last;
};

struct atr_auth {
	struct atr_auth_params params;
	unsigned int per_source; /* pending roots of any one source, now */
	uint32_t shard;
	struct atr_auth_stats stats;

	struct auth_tree *tree;           /* trees + pending_roots of them */
	struct atr_root_request *request; /* one a tree */
	uint64_t *tag; /* pairs of them a tree: generation << 32 | pair's index in its level */
	struct auth_pair *pair; /* as many */
	uint32_t pairs;         /* a tree */
	uint32_t level_base[AUTH_LEVELS], level_mask[AUTH_LEVELS];
	struct auth_index by_tree; /* by key without root: a proven tree, or one pending */
	struct auth_index by_root; /* pending, by whole key */
	struct auth_lru proven;
	uint32_t proven_count;
	uint32_t tree_free;
	uint32_t recent; /* tree of the last frame: the next one is likely of the same */
	struct auth_queue unsent;

	struct auth_refused *refused;
	struct auth_index by_refused;
	struct auth_lru refused_lru;
	uint32_t refused_free;

	struct auth_held *held;
	uint32_t held_free;
	struct auth_queue ready;
	uint8_t ready_reason;
	struct auth_source *source;
	struct auth_sender *sender;
	uint64_t now_tsc, fail_tsc, known_tsc; /* now; the price of a failure; how long known */

	uint64_t secret[AUTH_KEY_WORDS + 1]; /* of the hash tables */
};

/* --- auth_sender.c --- */

uint16_t auth_sender_slot(const struct atr_auth *auth, uint32_t address);
enum auth_standing auth_sender_standing(const struct atr_auth *auth, uint16_t slot);
void auth_sender_proven(struct atr_auth *auth, uint16_t slot);
void auth_sender_failed(struct atr_auth *auth, uint16_t slot);

/* What of a budget this standing leaves. */
static inline unsigned int auth_share(unsigned int budget, enum auth_standing standing)
{
	return standing == AUTH_ALL ? budget : standing == AUTH_HALF ? budget - budget / 2 : 0;
}

/* --- auth_table.c --- */

/* Keyed hash of the first size bytes of key (AUTH_TREE_SIZE or AUTH_KEY_SIZE). */
uint32_t auth_key_hash(const struct atr_auth *auth, const struct auth_key *key, size_t size);

void auth_index_add(struct auth_index *index, uint32_t entry, uint32_t hash);
void auth_index_remove(struct auth_index *index, uint32_t entry);
void auth_lru_add(struct auth_lru *lru, uint32_t entry);
void auth_lru_remove(struct auth_lru *lru, uint32_t entry);

static inline void auth_lru_touch(struct auth_lru *lru, uint32_t entry)
{
	if (lru->newest == entry)
		return;
	auth_lru_remove(lru, entry);
	auth_lru_add(lru, entry);
}

/* Entries by key, AUTH_NONE if there is none. */
uint32_t auth_find_tree(const struct atr_auth *auth, const struct auth_key *key, uint32_t hash);
uint32_t auth_find_pending(const struct atr_auth *auth, const struct auth_key *key, uint32_t hash);
uint32_t auth_find_refused(const struct atr_auth *auth, const struct auth_key *key, uint32_t hash);

/* A free tree entry with a fresh generation, or AUTH_NONE; and back. */
uint32_t auth_tree_take(struct atr_auth *auth);
void auth_tree_drop(struct atr_auth *auth, uint32_t tree);

/* Puts tree into the index of trees in the place of whatever was there under the same key. */
void auth_tree_represent(struct atr_auth *auth, uint32_t tree);

void auth_refused_remember(struct atr_auth *auth, const struct auth_key *key, uint8_t reason);
void auth_refused_drop(struct atr_auth *auth, uint32_t entry);

/* --- auth_path.c --- */

/* The nodes from a leaf upwards, as far as they were computed. */
struct auth_path {
	uint8_t node[ATR_PROOF_MAX + 1][ATR_HASH_SIZE];
	unsigned int known; /* node[0..known] are valid */
};

enum auth_climb {
	AUTH_CLIMB_OK,      /* leads to tree's root; every byte of the proof is checked */
	AUTH_CLIMB_ELSE,    /* leads to another root */
	AUTH_CLIMB_INVALID, /* proof has not the length that its place requires */
};

/* Follows the path of a frame under tree, computing only nodes not cached. */
enum auth_climb auth_climb(struct atr_auth *auth, struct atr_hash *hash, uint32_t tree,
			   const struct atr_frame *frame, struct auth_path *path);

/* Computes the rest of the path up to the root, path->node[proof_nodes]; false if the proof has
 * not the length that its place requires. */
bool auth_climb_all(struct atr_auth *auth, struct atr_hash *hash, const struct atr_frame *frame,
		    struct auth_path *path);

/* Caches a whole path that leads to tree's root. */
void auth_path_keep(struct atr_auth *auth, uint32_t tree, const struct atr_frame *frame,
		    const struct auth_path *path);

#endif
