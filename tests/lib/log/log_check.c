/* SPDX-License-Identifier: BSD-3-Clause */
#include "log_check.h"

#include <nmmintrin.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAVES_MAX 65536

struct reading {
	const struct model *model;
	uint8_t (*leaf)[32];
	uint64_t leaves;
	uint64_t group;
	uint64_t epoch;
	const char *wrong;
};

static uint16_t u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}
static uint32_t u32(const uint8_t *p)
{
	return u16(p) | (uint32_t)u16(p + 2) << 16;
}
static uint64_t u64(const uint8_t *p)
{
	return u32(p) | (uint64_t)u32(p + 4) << 32;
}

__attribute__((target("sse4.2"))) static uint32_t crc32c(const uint8_t *p, size_t n, size_t hole)
{
	uint64_t crc = 0xFFFFFFFF, word;
	size_t i = 0;

	for (; i < hole + 4; i++)
		crc = _mm_crc32_u8((uint32_t)crc, i < hole ? p[i] : 0);
	for (; i + 8 <= n; i += 8) {
		memcpy(&word, p + i, 8);
		crc = _mm_crc32_u64(crc, word);
	}
	for (; i < n; i++)
		crc = _mm_crc32_u8((uint32_t)crc, p[i]);
	return ~(uint32_t)crc;
}

static bool zeros(const uint8_t *p, uint64_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* RFC 6962, section 2.1, by the letter. */
static void tree(const uint8_t (*leaf)[32], uint64_t n, uint8_t out[32])
{
	uint8_t node[65] = {1};
	uint64_t k = 1;

	if (n == 0) {
		crypto_hash_sha256(out, NULL, 0);
		return;
	}
	if (n == 1) {
		memcpy(out, leaf[0], 32);
		return;
	}
	while (2 * k < n)
		k *= 2;
	tree(leaf, k, node + 1);
	tree(leaf + k, n - k, node + 33);
	crypto_hash_sha256(out, node, sizeof(node));
}

/* Length of a group that is complete here, padding included, or 0. */
static uint64_t complete(const struct model *m, const struct atr_file *file, uint64_t segment,
			 uint64_t at)
{
	const uint8_t *p = file->durable + at;
	uint64_t length;

	if (u32(p) != 0x50524741 || memcmp(p + 16, m->log_id, 16) != 0 || u32(p + 32) != m->shard)
		return 0;
	length = u32(p + 8);
	if (length < 120 || length > file->size - at || length > (1u << 20) ||
	    u64(p + 40) != segment || u64(p + 48) != at || crc32c(p, length, 4) != u32(p + 4))
		return 0;
	return (length + 4095) / 4096 * 4096;
}

#define WRONG_IF(condition, sentence)    \
	do {                             \
		if (condition)           \
			return sentence; \
	} while (0)

static const char *check_commit(struct reading *r, const uint8_t *group, const uint8_t *p,
				const struct model_group *g, const uint8_t digest[32])
{
	const uint8_t *body = p + 64;
	uint32_t feeds = u32(body + 4), at = 0;

	WRONG_IF(p[10] != 3 || u16(p + 8) != 0 || u16(p + 12) != 0, "commit: record header");
	WRONG_IF(u32(p + 4) != 112 + 16 * feeds || !zeros(p + 40, 24), "commit: length");
	WRONG_IF(memcmp(body, "\0ATC", 4) != 0 || u64(body + 8) != r->group, "commit: group");
	WRONG_IF(u64(body + 16) != u64(group + 64) || u64(body + 24) != g->records,
		 "commit: leaves");
	WRONG_IF(u64(body + 32) != u64(group + 72) || u64(p + 24) != u64(group + 72),
		 "commit: time");
	WRONG_IF(u64(body + 40) != g->generation || u64(p + 32) != g->generation,
		 "commit: generation");
	WRONG_IF(memcmp(body + 48, g->plan_digest, 32) != 0, "commit: plan");
	WRONG_IF(memcmp(body + 80, digest, 32) != 0, "commit: digest of decisions");
	for (unsigned int feed = 0; feed < 64; feed++) {
		const uint8_t *position = body + 112 + (size_t)at * 16;

		if (!(g->feed_set >> feed & 1))
			continue;
		WRONG_IF(at == feeds || u32(position) != feed || u32(position + 4) != 0 ||
				 u64(position + 8) != g->feed_next[feed],
			 "commit: feed position");
		at++;
	}
	WRONG_IF(at != feeds, "commit: number of feeds");
	crypto_hash_sha256(r->leaf[r->leaves++], body, u32(p + 4));
	return NULL;
}

static const char *check_records(struct reading *r, const uint8_t *group)
{
	const struct model_group *g = &r->model->group[r->group];
	const uint8_t *p = group + 120, *end = group + u32(group + 8), *was = g->bytes;
	crypto_hash_sha256_state state;
	uint8_t digest[32];

	crypto_hash_sha256_init(&state);
	for (uint32_t i = 0; i <= g->records; i++) {
		uint64_t body, decisions, padded;

		WRONG_IF(end - p < 64, "record: beyond the group");
		body = u32(p + 4);
		decisions = u16(p + 8);
		padded = (64 + body + decisions + 7) / 8 * 8;
		WRONG_IF(padded > (uint64_t)(end - p), "record: longer than the group");
		WRONG_IF(crc32c(p, 64 + body + decisions, 0) != u32(p), "record: CRC");
		WRONG_IF(u64(p + 16) != r->leaves, "record: leaf");
		WRONG_IF(p[11] != 0 || u16(p + 14) != 0, "record: zero fields");
		WRONG_IF(!zeros(p + 64 + body + decisions, padded - 64 - body - decisions),
			 "record: padding");
		if (i == g->records) {
			crypto_hash_sha256_final(&state, digest);
			r->wrong = check_commit(r, group, p, g, digest);
			WRONG_IF(r->wrong, r->wrong);
		} else {
			WRONG_IF(memcmp(p + 4, was + 4, 7) != 0 || u16(p + 12) != u16(was + 12) ||
					 memcmp(p + 24, was + 24, padded - 24) != 0,
				 "record: not as it was appended");
			crypto_hash_sha256_update(&state, p, 64);
			crypto_hash_sha256_update(&state, p + 64 + body, decisions);
			memcpy(r->leaf[r->leaves++], g->leaf[i], 32);
			was += padded;
		}
		p += padded;
	}
	WRONG_IF(p != end, "group: length");
	return NULL;
}

static const char *check_group(struct reading *r, const uint8_t *p, uint64_t padded)
{
	WRONG_IF(r->group >= r->model->sealed, "a group that was never sealed");
	WRONG_IF(u64(p + 56) != r->group || u64(p + 64) != r->leaves, "group: number or leaf");
	WRONG_IF(u32(p + 12) != r->model->group[r->group].records + 1, "group: records");
	WRONG_IF(u32(p + 36) > r->group, "group: unsynced");
	WRONG_IF(u64(p + 80) < r->epoch || !zeros(p + 88, 32), "group: epoch or zeros");
	WRONG_IF(!zeros(p + u32(p + 8), padded - u32(p + 8)), "group: padding");
	r->epoch = u64(p + 80);
	r->wrong = check_records(r, p);
	r->group++;
	return r->wrong;
}

static const char *check_header(struct reading *r, const struct atr_file *file, uint64_t segment)
{
	const uint8_t *p = file->durable;
	uint8_t root[32];

	WRONG_IF(memcmp(p, "\0ATRLOG1", 8) != 0 || u32(p + 8) != 1, "segment: magic or version");
	WRONG_IF(crc32c(p, 4096, 12) != u32(p + 12), "segment: CRC");
	WRONG_IF(memcmp(p + 16, r->model->log_id, 16) != 0 || u64(p + 32) != r->model->realm ||
			 u32(p + 40) != r->model->shard || u32(p + 44) != r->model->shards,
		 "segment: log, realm or shard");
	WRONG_IF(u64(p + 48) != segment || u64(p + 56) != file->size, "segment: number or size");
	WRONG_IF(u64(p + 64) != r->leaves || u64(p + 72) != r->group, "segment: does not join");
	tree((const uint8_t(*)[32])r->leaf, r->leaves, root);
	WRONG_IF(memcmp(p + 80, root, 32) != 0, "segment: root");
	WRONG_IF(!zeros(p + 112, 4096 - 112), "segment: zeros");
	return NULL;
}

/* Behind the last intact group: complete groups only if they say that the first one missing was not
 * durable, and nothing at all beyond what was sealed. */
static const char *check_tail(struct reading *r, const struct atr_file *file, uint64_t segment,
			      uint64_t at, bool last, struct finding *finding)
{
	uint64_t reach = at;

	if (zeros(file->durable + at, file->size - at))
		return NULL;
	finding->torn = true;
	WRONG_IF(!last, "a torn tail in a segment that is not the last");
	for (unsigned int g = (unsigned int)r->group; g < r->model->sealed; g++)
		reach += (120 + (uint64_t)r->model->group[g].length + 64 + 112 +
			  16 * (uint64_t)__builtin_popcountll(r->model->group[g].feed_set) + 4095) /
			 4096 * 4096;
	if (reach > file->size)
		reach = file->size;
	WRONG_IF(!zeros(file->durable + reach, file->size - reach),
		 "bytes where no group was ever sealed");
	for (; at < file->size; at += 4096) {
		if (!complete(r->model, file, segment, at))
			continue;
		finding->behind++;
		WRONG_IF(u64(file->durable + at + 56) - u32(file->durable + at + 36) > r->group,
			 "a group that calls a missing one durable");
	}
	return NULL;
}

static const char *check_segments(struct reading *r, struct simdisk *disk, struct finding *finding)
{
	struct atr_file *file;
	char name[SIM_NAME_MAX];

	for (uint64_t segment = 0;; segment++) {
		struct atr_file *following;
		uint64_t at = 4096, length;

		snprintf(name, sizeof(name), "segment-%016llx.atr", (unsigned long long)segment);
		file = simdisk_file(disk, name);
		if (!file)
			return NULL;
		r->wrong = check_header(r, file, segment);
		while (!r->wrong && at < file->size &&
		       (length = complete(r->model, file, segment, at)) != 0 &&
		       u64(file->durable + at + 56) == r->group) {
			r->wrong = check_group(r, file->durable + at, length);
			at += length;
		}
		WRONG_IF(r->wrong, r->wrong);
		snprintf(name, sizeof(name), "segment-%016llx.atr",
			 (unsigned long long)segment + 1);
		following = simdisk_file(disk, name);
		r->wrong = check_tail(r, file, segment, at, !following, finding);
		WRONG_IF(r->wrong, r->wrong);
		finding->end.segment = segment;
		finding->end.offset = at;
	}
}

const char *check_log(struct simdisk *disk, const struct model *model, unsigned int released,
		      struct finding *finding)
{
	struct reading r = {.model = model};
	const char *wrong;

	memset(finding, 0, sizeof(*finding));
	r.leaf = malloc(LEAVES_MAX * sizeof(*r.leaf));
	wrong = check_segments(&r, disk, finding);
	if (!wrong && r.group < released)
		wrong = "a group that was released as durable is not there";
	finding->groups = (unsigned int)r.group;
	finding->end.group = r.group;
	tree((const uint8_t(*)[32])r.leaf, r.leaves, finding->root);
	for (uint64_t i = 0; i < r.leaves; i++)
		atr_frontier_add(&finding->end.frontier, r.leaf[i]);
	free(r.leaf);
	return wrong;
}

void model_cut(struct model *model, unsigned int from)
{
	for (unsigned int g = from; g < model->sealed; g++) {
		free(model->group[g].bytes);
		free(model->group[g].leaf);
	}
	if (from < model->sealed)
		model->sealed = from;
}
