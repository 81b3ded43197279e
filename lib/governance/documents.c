/* SPDX-License-Identifier: BSD-3-Clause */
/* Documents, put together from chunks. An operator's chunks make a document of its own: nobody can
 * spoil another's. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../sign/sign.h"
#include "governance_internal.h"

#define BITS        8
#define INTEGER_MAX 9007199254740991.0 /* 2^53 - 1 */

bool governor_digest(const struct atr_json *payload, const char *name,
		     uint8_t digest[GOVERNOR_DIGEST])
{
	const struct atr_json *text = atr_json_member(payload, name);

	return text && text->type == ATR_JSON_STRING &&
	       atr_hex_decode(text->string, text->string_length, digest, GOVERNOR_DIGEST) == 0;
}

bool governor_integer(const struct atr_json *payload, const char *name, uint64_t *value)
{
	const struct atr_json *number = atr_json_member(payload, name);

	if (!number || number->type != ATR_JSON_NUMBER || !(number->number >= 0) ||
	    number->number > INTEGER_MAX)
		return false;
	*value = (uint64_t)number->number;
	return true;
}

const char *chunk_read(const struct atr_json *payload, struct chunk *chunk)
{
	const struct atr_json *text = atr_json_member(payload, "bytes");
	const char *end;

	if (!text || text->type != ATR_JSON_STRING ||
	    !governor_digest(payload, "digest", chunk->digest) ||
	    !governor_integer(payload, "offset", &chunk->offset) ||
	    !governor_integer(payload, "total", &chunk->total))
		return "the chunk lacks a member";
	if (sodium_base642bin(chunk->bytes, sizeof(chunk->bytes), text->string, text->string_length,
			      NULL, &chunk->length, &end, sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    end != text->string + text->string_length || chunk->length == 0)
		return "bytes is no padded base64 of at least one byte";
	if (chunk->total == 0 || chunk->total > ATR_GOVERNANCE_DOCUMENT_MAX)
		return "total is not from 1 to 67108864";
	if (chunk->offset > chunk->total || chunk->length > chunk->total - chunk->offset)
		return "the chunk reaches beyond total";
	return NULL;
}

void document_drop(struct document *document)
{
	free(document->bytes);
	free(document->known);
	atr_plan_free(document->plan);
	memset(document, 0, sizeof(*document));
}

static const struct document *find_own(const struct atr_governor *governor, uint32_t source,
				       const uint8_t digest[GOVERNOR_DIGEST])
{
	for (unsigned int i = 0; i < ATR_GOVERNOR_DOCUMENTS; i++) {
		const struct document *document = &governor->document[i];

		if (document->used && document->owner == source &&
		    memcmp(document->digest, digest, GOVERNOR_DIGEST) == 0)
			return document;
	}
	return NULL;
}

static bool is_known(const struct document *document, uint64_t at)
{
	return document->known[at / BITS] >> (at % BITS) & 1;
}

static const char *contradicts(const struct document *document, const struct chunk *chunk)
{
	if (document->total != chunk->total)
		return "total differs from that of the document's other chunks";
	for (size_t i = 0; i < chunk->length; i++)
		if (is_known(document, chunk->offset + i) &&
		    document->bytes[chunk->offset + i] != chunk->bytes[i])
			return "the chunk overlaps other bytes";
	return NULL;
}

static bool is_whole(const struct document *document)
{
	return document->have == document->total;
}

/* The operator's document that makes room: its oldest that is not whole, else its oldest. */
static const struct document *give_way(const struct atr_governor *governor, uint32_t source)
{
	const struct document *oldest = NULL;

	for (unsigned int i = 0; i < ATR_GOVERNOR_DOCUMENTS; i++) {
		const struct document *document = &governor->document[i];

		if (!document->used || document->owner != source || document->given)
			continue;
		if (!oldest || (is_whole(oldest) && !is_whole(document)) ||
		    (is_whole(oldest) == is_whole(document) && document->order < oldest->order))
			oldest = document;
	}
	return oldest;
}

/* Where a new document of so many bytes can go: a free place, or that of one that gives way. NULL
 * if there is none. */
static const struct document *place_for(const struct atr_governor *governor, uint32_t source,
					uint64_t total)
{
	const struct document *leaving = give_way(governor, source), *empty = NULL;
	uint64_t bytes = total;

	for (unsigned int i = 0; i < ATR_GOVERNOR_DOCUMENTS; i++) {
		bytes += governor->document[i].total;
		if (!empty && !governor->document[i].used)
			empty = &governor->document[i];
	}
	if (empty && bytes <= ATR_GOVERNANCE_DOCUMENT_MAX)
		return empty;
	if (leaving && bytes - leaving->total <= ATR_GOVERNANCE_DOCUMENT_MAX)
		return leaving;
	return NULL;
}

const char *documents_fit(const struct atr_governor *governor, uint32_t source,
			  const struct chunk *chunk)
{
	const struct document *own = find_own(governor, source, chunk->digest);

	if (own)
		return contradicts(own, chunk);
	return place_for(governor, source, chunk->total)
		       ? NULL
		       : "no room for one more document beside those of other operators";
}

static void fail(struct document *document, const char *why)
{
	snprintf(document->why, sizeof(document->why), "%s", why);
}

/* Is it a plan that may come behind the one in force? */
static void compile(struct document *document, const struct atr_plan *plan)
{
	uint8_t digest[GOVERNOR_DIGEST];
	struct atr_plan *next;

	crypto_hash_sha256(digest, document->bytes, document->total);
	if (memcmp(digest, document->digest, sizeof(digest)) != 0) {
		fail(document, "the document's bytes have another digest");
		return;
	}
	next = atr_plan_load_behind((const char *)document->bytes, document->total, plan,
				    document->why, sizeof(document->why));
	if (next && (next->document_length != document->total ||
		     memcmp(next->digest, document->digest, sizeof(digest)) != 0)) {
		fail(document, "the document is not in RFC 8785 form");
		atr_plan_free(next);
		return;
	}
	if (next && atr_plan_compatible(plan, next, document->why, sizeof(document->why)) < 0) {
		atr_plan_free(next);
		return;
	}
	document->plan = next;
}

static struct document *begin(struct atr_governor *governor, uint32_t source,
			      const struct chunk *chunk)
{
	struct document *document =
		(struct document *)(uintptr_t)place_for(governor, source, chunk->total);

	if (!document)
		return NULL;
	document_drop(document);
	document->bytes = calloc(1, chunk->total);
	document->known = calloc(1, chunk->total / BITS + 1);
	if (!document->bytes || !document->known) {
		document_drop(document);
		return NULL;
	}
	document->used = true;
	memcpy(document->digest, chunk->digest, sizeof(document->digest));
	document->owner = source;
	document->order = ++governor->order;
	document->total = chunk->total;
	return document;
}

bool documents_take(struct atr_governor *governor, const struct atr_plan *plan, uint32_t source,
		    const struct chunk *chunk)
{
	struct document *document =
		(struct document *)(uintptr_t)find_own(governor, source, chunk->digest);

	if (!document)
		document = begin(governor, source, chunk);
	if (!document)
		return false;
	if (is_whole(document))
		return true;
	for (size_t i = 0; i < chunk->length; i++) {
		uint64_t at = chunk->offset + i;

		if (is_known(document, at))
			continue;
		document->bytes[at] = chunk->bytes[i];
		document->known[at / BITS] |= (uint8_t)(1u << at % BITS);
		document->have++;
	}
	if (is_whole(document))
		compile(document, plan);
	return true;
}

/* The more the better. */
static int nearness(const struct document *document)
{
	return (document->plan != NULL) * 2 + is_whole(document);
}

struct document *documents_find(struct atr_governor *governor,
				const uint8_t digest[GOVERNOR_DIGEST])
{
	struct document *found = NULL;

	for (unsigned int i = 0; i < ATR_GOVERNOR_DOCUMENTS; i++) {
		struct document *document = &governor->document[i];

		if (document->used && memcmp(document->digest, digest, GOVERNOR_DIGEST) == 0 &&
		    (!found || nearness(document) > nearness(found)))
			found = document;
	}
	return found;
}
