/* SPDX-License-Identifier: BSD-3-Clause */
#include "auth_internal.h"

#include <string.h>

/* Half of all paths end at the first pair, half of the others at the one above. */
#define PREFETCH_LEVELS 2

/* Fewer nodes are hashed as fast one by one. */
#define AHEAD_FEWEST 4

/* Where a path stands: node index at level among last + 1 nodes (RFC 9162, 2.1.3.2: fn and sn). A
 * node without sibling is the same as its parent; it is named where it has one. */
struct place {
	uint32_t index, last;
	unsigned int level;
};

static inline void place_settle(struct place *at)
{
	if (at->index == at->last && at->index != 0) {
		unsigned int skip = (unsigned int)__builtin_ctz(at->index);

		at->index >>= skip;
		at->last >>= skip;
		at->level += skip;
	}
}

static inline struct place place_of_leaf(const struct atr_frame_hdr *hdr)
{
	struct place at = {hdr->leaf_index, hdr->leaf_count - 1, 0};

	place_settle(&at);
	return at;
}

static inline void place_up(struct place *at)
{
	at->index >>= 1;
	at->last >>= 1;
	at->level++;
	place_settle(at);
}

static inline size_t pair_slot(const struct atr_auth *auth, uint32_t tree, const struct place *at)
{
	return (size_t)tree * auth->pairs + auth->level_base[at->level] +
	       ((at->index >> 1) & auth->level_mask[at->level]);
}

static inline uint64_t pair_tag(const struct atr_auth *auth, uint32_t tree, const struct place *at)
{
	return (uint64_t)auth->tree[tree].generation << 32 | at->index >> 1;
}

/* The pair of siblings at a place, or NULL if it is not cached. */
static inline const struct auth_pair *pair_find(const struct atr_auth *auth, uint32_t tree,
						const struct place *at)
{
	size_t slot = pair_slot(auth, tree, at);

	return auth->tag[slot] == pair_tag(auth, tree, at) ? &auth->pair[slot] : NULL;
}

static inline bool same(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, ATR_HASH_SIZE) == 0;
}

static inline const uint8_t *proof_node(const struct atr_frame *frame, unsigned int k)
{
	return frame->proof + (size_t)k * ATR_HASH_SIZE;
}

/* Computes node[k + 1] from node[k] and its sibling. */
static inline void path_step(struct atr_auth *auth, struct atr_hash *hash,
			     const struct atr_frame *frame, const struct place *at, unsigned int k,
			     struct auth_path *path)
{
	const uint8_t *sibling = proof_node(frame, k);

	if (at->index & 1)
		atr_hash_node(hash, sibling, path->node[k], path->node[k + 1]);
	else
		atr_hash_node(hash, path->node[k], sibling, path->node[k + 1]);
	path->known = k + 1;
	auth->stats.node_hashes++;
}

static bool path_length_ok(const struct atr_frame *frame)
{
	const struct atr_frame_hdr *hdr = frame->hdr;

	return hdr->leaf_index < hdr->leaf_count && frame->proof_nodes <= ATR_PROOF_MAX &&
	       frame->proof_nodes == atr_frame_proof_nodes(hdr->leaf_index, hdr->leaf_count);
}

static void path_keep(struct atr_auth *auth, uint32_t tree, const struct atr_frame *frame,
		      const struct auth_path *path, unsigned int nodes)
{
	struct place at = place_of_leaf(frame->hdr);

	for (unsigned int k = 0; k < nodes; k++, place_up(&at)) {
		size_t slot = pair_slot(auth, tree, &at);
		struct auth_pair *pair = &auth->pair[slot];

		auth->tag[slot] = pair_tag(auth, tree, &at);
		memcpy(pair->node[at.index & 1], path->node[k], ATR_HASH_SIZE);
		memcpy(pair->node[!(at.index & 1)], proof_node(frame, k), ATR_HASH_SIZE);
	}
}

void auth_path_keep(struct atr_auth *auth, uint32_t tree, const struct atr_frame *frame,
		    const struct auth_path *path)
{
	path_keep(auth, tree, frame, path, frame->proof_nodes);
}

/* Nodes below k are proven; compares the siblings from k on with cached ones. 1: all equal; 0: one
 * differs; -1: one is not cached, so hashing has to go on. */
static int siblings_above(const struct atr_auth *auth, uint32_t tree, const struct atr_frame *frame,
			  struct place at, unsigned int k)
{
	for (; k < frame->proof_nodes; k++, place_up(&at)) {
		const struct auth_pair *pair = pair_find(auth, tree, &at);

		if (!pair)
			return -1;
		if (!same(pair->node[!(at.index & 1)], proof_node(frame, k)))
			return 0;
	}
	return 1;
}

static enum auth_climb climb_to_root(struct atr_auth *auth, struct atr_hash *hash, uint32_t tree,
				     const struct atr_frame *frame, struct auth_path *path)
{
	auth_climb_all(auth, hash, frame, path);
	if (!same(path->node[frame->proof_nodes], auth->tree[tree].key.root))
		return AUTH_CLIMB_ELSE;
	auth_path_keep(auth, tree, frame, path);
	return AUTH_CLIMB_OK;
}

enum auth_climb auth_climb(struct atr_auth *auth, struct atr_hash *hash, uint32_t tree,
			   const struct atr_frame *frame, struct auth_path *path)
{
	struct place at;

	if (!path_length_ok(frame))
		return AUTH_CLIMB_INVALID;
	at = place_of_leaf(frame->hdr);
	for (unsigned int k = 0; k < frame->proof_nodes; k++) {
		const struct auth_pair *pair = pair_find(auth, tree, &at);
		int above;

		if (!pair) {
			if (k >= path->known)
				path_step(auth, hash, frame, &at, k, path);
			else
				auth->stats.node_hashes++;
			place_up(&at);
			continue;
		}
		if (!same(pair->node[at.index & 1], path->node[k]) ||
		    !same(pair->node[!(at.index & 1)], proof_node(frame, k)))
			return AUTH_CLIMB_ELSE;
		place_up(&at);
		above = siblings_above(auth, tree, frame, at, k + 1);
		if (above < 0)
			break;
		if (above == 0)
			return AUTH_CLIMB_ELSE;
		path_keep(auth, tree, frame, path, k);
		auth->stats.node_hits++;
		return AUTH_CLIMB_OK;
	}
	return climb_to_root(auth, hash, tree, frame, path);
}

/* At this level, is the frame on the left of a pair whose right one it brings? */
static bool leads_pair(const struct atr_frame *frame, unsigned int level)
{
	const struct atr_frame_hdr *hdr = frame->hdr;
	uint32_t place = hdr->leaf_index >> level;

	return level < frame->proof_nodes && place << level == hdr->leaf_index &&
	       (place & 1) == 0 && place < (hdr->leaf_count - 1) >> level;
}

void atr_auth_look_ahead(struct atr_hash *hash, const struct atr_frame *const frame[],
			 const uint8_t *const leaf[], struct atr_auth_ahead ahead[],
			 unsigned int count)
{
	uint8_t digest[ATR_HASH_BURST_MAX][ATR_HASH_SIZE];
	const uint8_t *left[ATR_HASH_BURST_MAX], *right[ATR_HASH_BURST_MAX];
	uint16_t of[ATR_HASH_BURST_MAX];

	for (unsigned int i = 0; i < count; i++)
		ahead[i].known = 0;
	for (unsigned int level = 0; level < ATR_AUTH_AHEAD; level++) {
		unsigned int n = 0;

		for (unsigned int i = 0; i < count; i++) {
			if (ahead[i].known != level || !leads_pair(frame[i], level))
				continue;
			left[n] = level > 0 ? ahead[i].node[level - 1] : leaf[i];
			right[n] = proof_node(frame[i], level);
			of[n++] = (uint16_t)i;
		}
		if (n < AHEAD_FEWEST)
			return;
		atr_hash_nodes(hash, left, right, digest, n);
		for (unsigned int j = 0; j < n; j++) {
			memcpy(ahead[of[j]].node[level], digest[j], ATR_HASH_SIZE);
			ahead[of[j]].known = level + 1;
		}
	}
}

void atr_auth_prefetch(const struct atr_auth *auth, const struct atr_frame *frame)
{
	struct place at = place_of_leaf(frame->hdr);

	for (unsigned int k = 0; k < PREFETCH_LEVELS && k < frame->proof_nodes; k++) {
		size_t slot = pair_slot(auth, auth->recent, &at);

		__builtin_prefetch(&auth->tag[slot]);
		__builtin_prefetch(&auth->pair[slot], 1);
		place_up(&at);
	}
}

bool auth_climb_all(struct atr_auth *auth, struct atr_hash *hash, const struct atr_frame *frame,
		    struct auth_path *path)
{
	struct place at;

	if (!path_length_ok(frame))
		return false;
	at = place_of_leaf(frame->hdr);
	for (unsigned int k = 0; k < frame->proof_nodes; k++, place_up(&at))
		if (k >= path->known)
			path_step(auth, hash, frame, &at, k, path);
	return true;
}
