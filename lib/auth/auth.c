/* SPDX-License-Identifier: BSD-3-Clause */
#include "auth.h"

#include <string.h>

#include "../reason/reason.h"
#include "auth_internal.h"

#define TIGHT_PARTS 4 /* of its pending roots a source has one under overload */

static void key_of_frame(struct auth_key *key, const struct atr_frame *frame)
{
	key->realm = frame->hdr->realm;
	key->source = frame->hdr->source;
	key->key = frame->hdr->key;
	key->leaf_count = frame->hdr->leaf_count;
	key->serial = frame->key_serial;
	memcpy(key->signature, frame->signature, ATR_SIGNATURE_SIZE);
}

static uint32_t tree_of_key(struct atr_auth *auth, const struct auth_key *key)
{
	const struct auth_tree *recent = &auth->tree[auth->recent];
	uint32_t i;

	if (recent->by_tree && memcmp(&recent->key, key, AUTH_TREE_SIZE) == 0)
		return auth->recent;
	i = auth_find_tree(auth, key, auth_key_hash(auth, key, AUTH_TREE_SIZE));
	if (i != AUTH_NONE)
		auth->recent = i;
	return i;
}

static bool hold_has_room(const struct atr_auth *auth, uint32_t source, uint16_t sender)
{
	enum auth_standing standing = auth_sender_standing(auth, sender);

	/* Whoever has not proven anything waits for a verdict that he may not want to come. */
	if (standing == AUTH_NOTHING)
		standing = AUTH_HALF;
	return auth->held_free != AUTH_NONE &&
	       auth->source[source].held < auth_share(auth->params.hold_per_source, standing);
}

/* Keeps a frame for which hold_has_room. */
static uint8_t hold(struct atr_auth *auth, uint32_t tree, void *cookie)
{
	struct auth_tree *t = &auth->tree[tree];
	uint32_t i = auth->held_free;
	struct auth_held *held = &auth->held[i];

	auth->held_free = held->next;
	held->cookie = cookie;
	held->next = AUTH_NONE;
	held->source = (uint16_t)t->key.source;
	held->starts = false;
	if (t->hold_first == AUTH_NONE)
		t->hold_first = i;
	else
		auth->held[t->hold_last].next = i;
	t->hold_last = i;
	auth->source[t->key.source].held++;
	auth->stats.held_frames++;
	return ATR_AUTH_HELD;
}

static void request_fill(struct atr_auth *auth, uint32_t tree)
{
	const struct auth_key *key = &auth->tree[tree].key;
	struct atr_root_request *request = &auth->request[tree];

	atr_tree_head_init(&request->head, key->realm, key->source, key->key, key->leaf_count,
			   key->root);
	memcpy(request->signature, key->signature, ATR_SIGNATURE_SIZE);
	request->key_serial = key->serial;
	request->shard = auth->shard;
	/* A request that came back without an answer must not pass for a proof. */
	request->verdict = ATR_REASON_BAD_SIGNATURE;
}

/* Makes a pending root; AUTH_NONE if budgets forbid it. */
static uint32_t ask(struct atr_auth *auth, const struct auth_key *key, uint32_t root_hash,
		    uint16_t sender)
{
	struct auth_source *source = &auth->source[key->source];
	enum auth_standing standing = auth_sender_standing(auth, sender);
	uint32_t i;

	if (source->pending >= auth_share(auth->per_source, standing) ||
	    auth->stats.pending_roots >= auth_share(auth->params.pending_roots, standing))
		return AUTH_NONE;
	i = auth_tree_take(auth);
	if (i == AUTH_NONE)
		return AUTH_NONE;
	auth->tree[i].key = *key;
	auth->tree[i].sender = sender;
	auth->tree[i].state = AUTH_QUEUED;
	auth_index_add(&auth->by_root, i, root_hash);
	request_fill(auth, i);
	if (auth->unsent.first == AUTH_NONE)
		auth->unsent.first = i;
	else
		auth->tree[auth->unsent.last].queue_next = i;
	auth->unsent.last = i;
	source->pending++;
	auth->stats.pending_roots++;
	auth->stats.roots_asked++;
	return i;
}

/* The frame leads to a root that is not proven: key is complete, path too. */
static uint8_t wait_for_root(struct atr_auth *auth, const struct auth_key *key,
			     const struct atr_frame *frame, const struct auth_path *path,
			     uint16_t sender, void *cookie)
{
	uint32_t hash = auth_key_hash(auth, key, AUTH_KEY_SIZE);
	uint32_t tree = auth_find_pending(auth, key, hash);
	bool known = tree != AUTH_NONE;

	if (!known) {
		uint32_t refused = auth_find_refused(auth, key, hash);

		if (refused != AUTH_NONE) {
			auth_lru_touch(&auth->refused_lru, refused);
			return auth->refused[refused].reason;
		}
	}
	if (!hold_has_room(auth, key->source, sender))
		return ATR_REASON_HOLD_FULL;
	if (!known)
		tree = ask(auth, key, hash, sender);
	if (tree == AUTH_NONE)
		return ATR_REASON_ROOT_BUDGET;
	auth_path_keep(auth, tree, frame, path);
	auth_tree_represent(auth, tree);
	return hold(auth, tree, cookie);
}

uint8_t atr_auth_frame(struct atr_auth *auth, struct atr_hash *hash, const struct atr_frame *frame,
		       const uint8_t leaf[ATR_HASH_SIZE], const struct atr_auth_ahead *ahead,
		       uint32_t address, void *cookie)
{
	struct auth_path path;
	struct auth_key key;
	uint32_t tree;
	uint16_t sender;

	if (frame->hdr->source >= AUTH_SOURCES)
		return ATR_REASON_UNKNOWN_SOURCE;
	key_of_frame(&key, frame);
	/* cppcheck-suppress uninitvar; written here, not read */
	memcpy(path.node[0], leaf, ATR_HASH_SIZE);
	path.known = ahead ? ahead->known : 0;
	if (path.known > 0)
		memcpy(path.node[1], ahead->node, path.known * sizeof(ahead->node[0]));
	tree = tree_of_key(auth, &key);
	if (tree != AUTH_NONE) {
		enum auth_climb climb = auth_climb(auth, hash, tree, frame, &path);
		bool proven = auth->tree[tree].state == AUTH_PROVEN;

		if (climb == AUTH_CLIMB_OK && proven) {
			auth_lru_touch(&auth->proven, tree);
			auth->stats.proven_frames++;
			return ATR_OK;
		}
		if (climb == AUTH_CLIMB_INVALID || proven)
			return ATR_REASON_BAD_PROOF;
		if (climb == AUTH_CLIMB_OK) {
			sender = auth_sender_slot(auth, address);
			if (!hold_has_room(auth, key.source, sender))
				return ATR_REASON_HOLD_FULL;
			return hold(auth, tree, cookie);
		}
	}
	if (!auth_climb_all(auth, hash, frame, &path))
		return ATR_REASON_BAD_PROOF;
	memcpy(key.root, path.node[frame->proof_nodes], ATR_HASH_SIZE);
	sender = auth_sender_slot(auth, address);
	return wait_for_root(auth, &key, frame, &path, sender, cookie);
}

void atr_auth_now(struct atr_auth *auth, uint64_t now_tsc)
{
	auth->now_tsc = now_tsc;
}

void atr_auth_proven(struct atr_auth *auth)
{
	auth->stats.proven_frames++;
}

const struct atr_auth_stats *atr_auth_stats(const struct atr_auth *auth)
{
	return &auth->stats;
}

void atr_auth_tighten(struct atr_auth *auth, bool tight)
{
	unsigned int all = auth->params.pending_per_source;
	unsigned int few = all / TIGHT_PARTS;

	auth->per_source = !tight ? all : few > 0 ? few : 1;
}

unsigned int atr_auth_hold_frames(const struct atr_auth *auth)
{
	return auth->params.hold_frames;
}
