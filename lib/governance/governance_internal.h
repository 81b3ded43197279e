/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside lib/governance only. */
#ifndef ATR_GOVERNANCE_INTERNAL_H
#define ATR_GOVERNANCE_INTERNAL_H

#include "governance.h"

#define GOVERNOR_DIGEST 32

struct document {
	bool used;
	uint8_t digest[GOVERNOR_DIGEST];
	uint32_t owner;
	uint64_t order; /* of its first chunk */
	uint64_t total, have;
	uint8_t *bytes;
	uint8_t *known; /* a bit a byte */
	/* Once it is whole: */
	struct atr_plan *plan; /* NULL: it is none that may follow, or is given away */
	bool given;
	char why[ATR_GOVERNOR_SENTENCE];
};

struct approval {
	uint8_t digest[GOVERNOR_DIGEST];
	uint64_t version; /* 0: free */
	uint64_t order;
};

struct atr_governor {
	uint64_t order;
	struct document document[ATR_GOVERNOR_DOCUMENTS];
	struct approval approval[ATR_OPERATORS_MAX][ATR_GOVERNOR_APPROVALS];
	char refusal[ATR_GOVERNOR_SENTENCE];
};

/* A chunk, read from its payload. */
struct chunk {
	uint8_t digest[GOVERNOR_DIGEST];
	uint64_t offset, total;
	size_t length;
	uint8_t bytes[ATR_GOVERNANCE_CHUNK_MAX];
};

/* 32 bytes from a payload's member; the schema has checked that it is such a text. */
bool governor_digest(const struct atr_json *payload, const char *name,
		     uint8_t digest[GOVERNOR_DIGEST]);
/* An integer from 0 to 2^53-1, likewise. */
bool governor_integer(const struct atr_json *payload, const char *name, uint64_t *value);

/* NULL, or what is wrong with it. */
const char *chunk_read(const struct atr_json *payload, struct chunk *chunk);

/* NULL if the chunk can be taken from the operator source, else why not. */
const char *documents_fit(const struct atr_governor *governor, uint32_t source,
			  const struct chunk *chunk);
/* Takes a chunk that fits. False when out of memory. */
bool documents_take(struct atr_governor *governor, const struct atr_plan *plan, uint32_t source,
		    const struct chunk *chunk);

/* The document of a digest: a ready one if there is one, else the one that is nearest to it; NULL
 * if there is none. */
struct document *documents_find(struct atr_governor *governor,
				const uint8_t digest[GOVERNOR_DIGEST]);
void document_drop(struct document *document);

#endif
