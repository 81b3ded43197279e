/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests to the control lcore, its verdicts, and the frames that waited for them. */
#include "auth.h"

#include <string.h>

#include "../reason/reason.h"
#include "auth_internal.h"

unsigned int atr_auth_requests(struct atr_auth *auth, struct atr_root_request **requests,
			       unsigned int max)
{
	unsigned int n = 0;

	while (n < max && auth->unsent.first != AUTH_NONE) {
		uint32_t i = auth->unsent.first;

		auth->unsent.first = auth->tree[i].queue_next;
		auth->tree[i].queue_next = AUTH_NONE;
		auth->tree[i].state = AUTH_SENT;
		requests[n++] = &auth->request[i];
	}
	return n;
}

void atr_auth_unsent(struct atr_auth *auth, struct atr_root_request *const *requests,
		     unsigned int count)
{
	while (count-- > 0) {
		uint32_t i = (uint32_t)(requests[count] - auth->request);

		if (auth->tree[i].state != AUTH_SENT)
			continue;
		auth->tree[i].state = AUTH_QUEUED;
		auth->tree[i].queue_next = auth->unsent.first;
		if (auth->unsent.first == AUTH_NONE)
			auth->unsent.last = i;
		auth->unsent.first = i;
	}
}

/* Moves the frames that wait for tree behind those already releasable. */
static void make_releasable(struct atr_auth *auth, struct auth_tree *tree, uint8_t reason)
{
	if (tree->hold_first == AUTH_NONE)
		return;
	auth->held[tree->hold_first].starts = true;
	auth->held[tree->hold_first].reason = reason;
	if (auth->ready.first == AUTH_NONE)
		auth->ready.first = tree->hold_first;
	else
		auth->held[auth->ready.last].next = tree->hold_first;
	auth->ready.last = tree->hold_last;
	tree->hold_first = tree->hold_last = AUTH_NONE;
}

static void become_proven(struct atr_auth *auth, uint32_t i)
{
	auth_index_remove(&auth->by_root, i);
	auth_tree_represent(auth, i);
	auth->tree[i].state = AUTH_PROVEN;
	auth_lru_add(&auth->proven, i);
	if (++auth->proven_count > auth->params.trees)
		auth_tree_drop(auth, auth->proven.oldest);
}

void atr_auth_verdict(struct atr_auth *auth, struct atr_root_request *request)
{
	uint32_t i = (uint32_t)(request - auth->request);
	struct auth_tree *tree = &auth->tree[i];
	uint8_t verdict = request->verdict;

	if (tree->state != AUTH_SENT)
		return;
	/* Codes of our own mean something else to the caller of release. */
	if (verdict == ATR_DUPLICATE || verdict == ATR_AUTH_HELD)
		verdict = ATR_REASON_BAD_SIGNATURE;
	make_releasable(auth, tree, verdict);
	auth->source[tree->key.source].pending--;
	auth->stats.pending_roots--;
	if (verdict == ATR_OK) {
		auth->stats.roots_proven++;
		auth_sender_proven(auth, tree->sender);
		become_proven(auth, i);
		return;
	}
	auth->stats.roots_refused++;
	/* What was refused for want of room may be asked again. */
	if (atr_reason_is_final(verdict)) {
		auth_refused_remember(auth, &tree->key, verdict);
		auth_sender_failed(auth, tree->sender);
	}
	auth_tree_drop(auth, i);
}

/* Takes a frame off the hold and returns its cookie and successor. */
static void *let_go(struct atr_auth *auth, uint32_t i, uint32_t *next)
{
	struct auth_held *held = &auth->held[i];
	void *cookie = held->cookie;

	*next = held->next;
	auth->source[held->source].held--;
	auth->stats.held_frames--;
	held->cookie = NULL;
	held->next = auth->held_free;
	auth->held_free = i;
	return cookie;
}

unsigned int atr_auth_release(struct atr_auth *auth, void **cookies, uint8_t *reasons,
			      unsigned int max)
{
	unsigned int n = 0;

	while (n < max && auth->ready.first != AUTH_NONE) {
		const struct auth_held *held = &auth->held[auth->ready.first];

		if (held->starts)
			auth->ready_reason = held->reason;
		reasons[n] = auth->ready_reason;
		cookies[n++] = let_go(auth, auth->ready.first, &auth->ready.first);
	}
	return n;
}

unsigned int atr_auth_drain(struct atr_auth *auth, void **cookies, unsigned int max)
{
	uint32_t trees = auth->params.trees + auth->params.pending_roots;
	unsigned int n = 0;

	while (n < max && auth->ready.first != AUTH_NONE)
		cookies[n++] = let_go(auth, auth->ready.first, &auth->ready.first);
	for (uint32_t i = 0; i < trees && n < max && auth->stats.held_frames > 0; i++) {
		struct auth_tree *tree = &auth->tree[i];

		while (n < max && tree->hold_first != AUTH_NONE)
			cookies[n++] = let_go(auth, tree->hold_first, &tree->hold_first);
	}
	return n;
}
