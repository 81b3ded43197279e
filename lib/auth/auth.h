/* SPDX-License-Identifier: BSD-3-Clause */
/* Frame authentication: proven trees, root requests to the control lcore, and the hold.
 *
 * A frame is authentic when its inclusion proof leads to a root whose head is signed by the
 * source's key. Signatures are verified by the control lcore; here, per shard, live
 *   - proven trees, found by (source, key, leaf_count, signature), each with the nodes already
 *     proven, so that a path is hashed only up to the first proven node; the proof nodes above
 *     that one are compared with the proven ones, so that no byte of a frame is left unchecked
 *     (where a node above is no longer cached, hashing goes on to the root);
 *   - pending roots, keyed by (source, key, leaf_count, root, signature), with the frames that
 *     wait for each;
 *   - refused roots by the same key, so that a bad signature says nothing about the root and
 *     cannot make a good frame wait.
 * Keys are told apart by serial, too (atr_plan_number_keys): once a plan revokes or replaces one,
 * nothing that was proven, refused or asked under it is found any more.
 * Budgets are by source and by sender, the address that a frame came from. A sender whose root was
 * proven within the last minute may use all of a source's budget of pending roots and of the hold;
 * any other half of it, so that frames forged in a source's name leave the other half to the source
 * itself. A root whose signature fails counts against the sender that brought it: beyond
 * ATR_AUTH_FAILS a second it gets no new roots, or, if one of its roots was proven within the last
 * minute, the half. Senders share a table by a keyed hash; two that meet in it share their
 * standing.
 *
 * All tables are bounded and allocated at creation; the least recently used entry goes first. A
 * pending root is never evicted.
 *
 * Layer 2: lib/hash, lib/wire, lib/reason. One object belongs to one shard; every function below
 * except create and free is called by that shard's lcore and is hot path.
 */
#ifndef ATR_AUTH_H
#define ATR_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../hash/hash.h"
#include "../wire/frame.h"

#define ATR_AUTH_FAILS   64 /* roots a second of one sender whose signature is refused */
#define ATR_AUTH_KNOWN_S 60 /* a sender is known so long after its last proven root */

/* Result of atr_auth_frame beside ATR_OK and reasons: the frame is in the hold. */
#define ATR_AUTH_HELD 254

struct atr_auth_params {
	unsigned int trees;          /* proven trees remembered */
	unsigned int nodes_per_tree; /* proven nodes a tree caches; a power of two. Half of them are
				      * leaves: twice the leaf count keeps a whole tree */
	unsigned int pending_roots;  /* root requests under way */
	unsigned int pending_per_source; /* of these, for any one source */
	unsigned int refused_roots;      /* refused roots remembered */
	unsigned int hold_frames;        /* frames that wait, all roots together */
	unsigned int hold_per_source;    /* of these, for any one source */
	uint64_t tsc_hz;                 /* of atr_auth_now; 0: all senders are alike */
};

/* A question for the control lcore. Memory belongs to the shard. The shard writes all but verdict
 * before it enqueues the request on the bridge; the control lcore writes verdict before it sends
 * the request back; the rings order both. */
struct atr_root_request {
	struct atr_tree_head head;
	uint8_t signature[ATR_SIGNATURE_SIZE];
	uint32_t shard;
	uint32_t key_serial; /* of the key that the head must be signed with */
	uint8_t verdict;     /* ATR_OK or a reason */
} __attribute__((aligned(64)));

/* Nodes above a frame's leaf, hashed before its turn. */
#define ATR_AUTH_AHEAD 3
struct atr_auth_ahead {
	uint8_t node[ATR_AUTH_AHEAD][ATR_HASH_SIZE]; /* from the leaf's parent upwards */
	unsigned int known;                          /* of them */
};

struct atr_auth;

/* NULL with a sentence in error (out of memory, parameter out of range). Control lcore. */
struct atr_auth *atr_auth_create(const struct atr_auth_params *params, uint32_t shard, int socket,
				 char *error, size_t size);
void atr_auth_free(struct atr_auth *auth);

/* Bytes that an object with these parameters takes. */
size_t atr_auth_footprint(const struct atr_auth_params *params);

/* Hashes nodes for a burst of frames side by side, which is faster than one by one as their turn
 * comes: those that the first frame of each pair, of four and of eight neighbours will need. count:
 * up to ATR_HASH_BURST_MAX frames, of any trees, and their leaf hashes. Says nothing about them. */
void atr_auth_look_ahead(struct atr_hash *hash, const struct atr_frame *const frame[],
			 const uint8_t *const leaf[], struct atr_auth_ahead ahead[],
			 unsigned int count);

/* What time it is, in cycles of tsc_hz a second; once a batch. */
void atr_auth_now(struct atr_auth *auth, uint64_t now_tsc);

/* Authenticates one frame with the given leaf hash, and what was hashed ahead of it, or NULL.
 * address: IPv4 address of the sender, host byte order.
 * ATR_OK: proven. A reason: BAD_PROOF (the path contradicts the proven tree that this signature
 * belongs to), the verdict of a refused root, HOLD_FULL, ROOT_BUDGET, or UNKNOWN_SOURCE for a
 * source id above 65535. ATR_AUTH_HELD: cookie is kept until released. A frame for which the hold
 * has no room asks for no root. The realm is part of every key, but whether it is ours is for the
 * caller to check before.
 *
 * A frame that carries the signature of a proven tree and leads to another root is BAD_PROOF: one
 * Ed25519 signature cannot be valid for two heads of the same key that this object would accept. */
uint8_t atr_auth_frame(struct atr_auth *auth, struct atr_hash *hash, const struct atr_frame *frame,
		       const uint8_t leaf[ATR_HASH_SIZE], const struct atr_auth_ahead *ahead,
		       uint32_t address, void *cookie);

/* Brings what atr_auth_frame will look at near the CPU, if the frame is of the tree that the last
 * one was of. */
void atr_auth_prefetch(const struct atr_auth *auth, const struct atr_frame *frame);

/* Counts a frame that came out of the hold with ATR_OK and is not shown to atr_auth_frame again:
 * its proof led to the root that is proven now. */
void atr_auth_proven(struct atr_auth *auth);

/* While tight is true a source may have only a quarter of its pending roots under way (at least
 * one); those beyond that finish. */
void atr_auth_tighten(struct atr_auth *auth, bool tight);

/* Frames that the hold takes, of all sources. */
unsigned int atr_auth_hold_frames(const struct atr_auth *auth);

/* Takes up to max new root requests that are to be put on the bridge, in order; those that do not
 * fit the ring are given back with atr_auth_unsent and will be offered again. */
unsigned int atr_auth_requests(struct atr_auth *auth, struct atr_root_request **requests,
			       unsigned int max);
void atr_auth_unsent(struct atr_auth *auth, struct atr_root_request *const *requests,
		     unsigned int count);

/* The control lcore has answered. A final reason is remembered for this root, any other (overload)
 * is not: the next frame asks again. The frames waiting for this root become releasable, in the
 * order in which they came. */
void atr_auth_verdict(struct atr_auth *auth, struct atr_root_request *request);

/* Takes up to max frames out of the hold. reasons[i] is ATR_OK (the root that the frame's
 * proof led to is now proven) or why its root was refused. */
unsigned int atr_auth_release(struct atr_auth *auth, void **cookies, uint8_t *reasons,
			      unsigned int max);

/* Takes every frame out of the hold, for shutdown; up to max a call, 0 when empty. */
unsigned int atr_auth_drain(struct atr_auth *auth, void **cookies, unsigned int max);

struct atr_auth_stats {
	uint64_t proven_frames;
	uint64_t node_hashes; /* computed and needed */
	uint64_t node_hits;   /* paths cut short at a proven node */
	uint64_t roots_asked;
	uint64_t roots_proven;
	uint64_t roots_refused;
	uint32_t held_frames;   /* now */
	uint32_t pending_roots; /* now */
};
/* Written by the shard's lcore; readers elsewhere may see a value that is one burst old. */
const struct atr_auth_stats *atr_auth_stats(const struct atr_auth *auth);

#endif
