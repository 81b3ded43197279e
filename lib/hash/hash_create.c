/* SPDX-License-Identifier: BSD-3-Clause */
#include "hash.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../memory/memory.h"
#include "hash_internal.h"

#define MEASURE_REPEATS 5
#define X16_BITS        512 /* width of its vectors */

const char *const hash_manager_name[HASH_MANAGERS] = {"sse",    "avx",    "avx2",
						      "avx512", "sha_ni", "x16"};

static const struct {
	void (*init)(IMB_MGR *manager);
	uint64_t features;
	unsigned int bits;
} managers[HASH_SHANI] = {
	{init_mb_mgr_sse, IMB_CPUFLAGS_SSE, 128},
	{init_mb_mgr_avx, IMB_CPUFLAGS_AVX, 128},
	{init_mb_mgr_avx2, IMB_CPUFLAGS_AVX2, 256},
	{init_mb_mgr_avx512, IMB_CPUFLAGS_AVX512, 512},
};

static const uint32_t class_bytes[HASH_CLASSES] = {
	[HASH_SHORT] = HASH_NODE_BYTES,
	[HASH_LONG] = HASH_LEAF_BYTES,
};

/* A manager takes part if the CPU has what it is built on, and if it hashes "abc" rightly. */
static bool manager_works(struct atr_hash *hash, unsigned int m)
{
	static const uint8_t expected[ATR_HASH_BYTES] = {
		0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
		0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
		0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
	const uint8_t *data[] = {(const uint8_t *)"abc", (const uint8_t *)"abc"};
	const uint32_t length[] = {3, 3};
	uint8_t out[2][ATR_HASH_BYTES] = {{0}};

	hash_with(hash, m, data, length, out, 2);
	if (memcmp(out[0], expected, sizeof(expected)) != 0 ||
	    memcmp(out[1], expected, sizeof(expected)) != 0)
		return false;
	memset(out, 0, sizeof(out));
	hash_with(hash, m, data, length, out, 1);
	return memcmp(out[0], expected, sizeof(expected)) == 0;
}

/* Asked of a manager: imb_get_feature_flags() tells of the library, not of the CPU. */
static bool cpu_has_shani(void)
{
	IMB_MGR *manager = alloc_mb_mgr(0);
	bool has = manager && (manager->features & IMB_FEATURE_SHANI);

	if (manager)
		free_mb_mgr(manager);
	return has;
}

static bool managers_start(struct atr_hash *hash, unsigned int max_bits)
{
	bool any = false;

	for (unsigned int m = 0; m < HASH_SHANI; m++) {
		IMB_MGR *manager;

		/* 128-bit managers are the floor: nothing narrower exists. */
		if (managers[m].bits > max_bits && managers[m].bits > 128)
			continue;
		manager = alloc_mb_mgr(0);
		if (!manager)
			continue;
		if ((manager->features & managers[m].features) != managers[m].features) {
			free_mb_mgr(manager);
			continue;
		}
		managers[m].init(manager);
		hash->manager[m] = manager;
		if (imb_get_errno(manager) != 0 || !manager_works(hash, m)) {
			free_mb_mgr(manager);
			hash->manager[m] = NULL;
			continue;
		}
		hash->present[m] = true;
		any = true;
	}
	hash->present[HASH_SHANI] = cpu_has_shani() && manager_works(hash, HASH_SHANI);
	__builtin_cpu_init();
	hash->present[HASH_X16] = max_bits >= X16_BITS && __builtin_cpu_supports("avx512f") &&
				  __builtin_cpu_supports("avx512bw") &&
				  manager_works(hash, HASH_X16);
	return any || hash->present[HASH_SHANI];
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Buffers to measure on: one block each, so that lanes meet different cache lines. */
struct measure {
	const uint8_t *data[ATR_HASH_BURST_MAX];
	uint32_t length[ATR_HASH_BURST_MAX];
	uint8_t out[ATR_HASH_BURST_MAX][ATR_HASH_BYTES];
	uint8_t bytes[ATR_HASH_BURST_MAX][HASH_LEAF_BYTES];
};

static double measure_one(struct atr_hash *hash, struct measure *m, unsigned int manager,
			  unsigned int burst)
{
	double sample[MEASURE_REPEATS];

	/* Small bursts are repeated within a sample: the clock is coarser than one lone hash. */
	unsigned int rounds = burst < 8 ? 8 / burst : 1;

	hash_with(hash, manager, m->data, m->length, m->out, burst);
	for (unsigned int s = 0; s < MEASURE_REPEATS; s++) {
		double begin = now_ns();

		for (unsigned int r = 0; r < rounds; r++)
			hash_with(hash, manager, m->data, m->length, m->out, burst);
		sample[s] = (now_ns() - begin) / (rounds * burst);
	}
	qsort(sample, MEASURE_REPEATS, sizeof(sample[0]), compare_double);
	return sample[MEASURE_REPEATS / 2];
}

static bool measure_all(struct atr_hash *hash, int socket)
{
	struct measure *m = atr_memory_alloc(sizeof(*m), socket);

	if (!m)
		return false;
	for (unsigned int c = 0; c < HASH_CLASSES; c++) {
		for (unsigned int i = 0; i < ATR_HASH_BURST_MAX; i++) {
			m->data[i] = m->bytes[i];
			m->length[i] = class_bytes[c];
		}
		for (unsigned int i = 0; i < HASH_MANAGERS; i++)
			for (unsigned int s = 0; hash->present[i] && s < HASH_SIZES; s++)
				hash->ns[c][i][s] = measure_one(hash, m, i, 1u << s);
	}
	atr_memory_free(m);
	return true;
}

static unsigned int fastest(const struct atr_hash *hash, unsigned int class, unsigned int size)
{
	unsigned int best = HASH_MANAGERS;

	for (unsigned int m = 0; m < HASH_MANAGERS; m++) {
		if (!hash->present[m])
			continue;
		if (best == HASH_MANAGERS || hash->ns[class][m][size] < hash->ns[class][best][size])
			best = m;
	}
	return best;
}

/* The cheapest way to hash n buffers is either one burst of n, which costs as much as the next
 * power of two, or a burst of a smaller power of two and the cheapest way for the rest. */
void hash_choose(struct atr_hash *hash)
{
	for (unsigned int c = 0; c < HASH_CLASSES; c++) {
		double cost[ATR_HASH_BURST_MAX + 1] = {0};

		hash->lone[c] = (uint8_t)fastest(hash, c, 0);
		for (unsigned int n = 1; n <= ATR_HASH_BURST_MAX; n++) {
			cost[n] = -1;
			for (unsigned int s = 0; s < HASH_SIZES; s++) {
				unsigned int m = fastest(hash, c, s), take = 1u << s;
				double ns = hash->ns[c][m][s] * take;

				if (take < n)
					ns += cost[n - take];
				if (cost[n] < 0 || ns < cost[n]) {
					cost[n] = ns;
					hash->step[c][n] = (struct hash_step){
						(uint8_t)m, (uint8_t)((take < n ? take : n) - 1)};
				}
				if (take >= n)
					break;
			}
		}
		for (unsigned int s = 0; c == HASH_LONG && s < HASH_SIZES; s++)
			hash->chosen_ns[s] = cost[1u << s] / (1u << s);
	}
}

void hash_force(struct atr_hash *hash, unsigned int manager)
{
	for (unsigned int c = 0; c < HASH_CLASSES; c++) {
		hash->lone[c] = (uint8_t)manager;
		for (unsigned int n = 1; n <= ATR_HASH_BURST_MAX; n++)
			hash->step[c][n] = (struct hash_step){(uint8_t)manager, (uint8_t)(n - 1)};
	}
}

struct atr_hash *atr_hash_create(int socket, unsigned int max_bits, char *error, size_t size)
{
	struct atr_hash *hash = atr_memory_alloc(sizeof(*hash), socket);

	if (!hash) {
		snprintf(error, size, "hash engine: out of memory; free %zu bytes", sizeof(*hash));
		return NULL;
	}
	if (!managers_start(hash, max_bits)) {
		snprintf(error, size,
			 "hash engine: no way to hash works here; a CPU with SSE4.2, AES-NI and "
			 "PCLMULQDQ, or with SHA extensions, is needed");
		atr_hash_free(hash);
		return NULL;
	}
	if (!measure_all(hash, socket)) {
		snprintf(error, size, "hash engine: out of memory; free %zu bytes",
			 sizeof(struct measure));
		atr_hash_free(hash);
		return NULL;
	}
	hash_choose(hash);
	return hash;
}

void atr_hash_free(struct atr_hash *hash)
{
	if (!hash)
		return;
	for (unsigned int m = 0; m < HASH_MANAGERS; m++)
		if (hash->manager[m])
			free_mb_mgr(hash->manager[m]);
	atr_memory_free(hash);
}

unsigned int atr_hash_choices(const struct atr_hash *hash, struct atr_hash_choice *out,
			      unsigned int capacity)
{
	unsigned int n = capacity < HASH_SIZES ? capacity : HASH_SIZES;

	for (unsigned int s = 0; s < n; s++) {
		unsigned int m = hash->step[HASH_LONG][1u << s].manager;

		out[s].burst = 1u << s;
		out[s].manager = hash_manager_name[m];
		out[s].ns_per_buffer = hash->chosen_ns[s];
	}
	return n;
}
