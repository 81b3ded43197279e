/* SPDX-License-Identifier: BSD-3-Clause */
#include "proposal.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../lib/envelope/envelope.h"
#include "../../lib/wire/frame.h"
#include "event_line.h"

#define BITS        8
#define ITEMS_FIRST 256

static int fail(char *error, const char *path, unsigned long line, const char *why)
{
	snprintf(error, ERROR_SIZE, "%.200s: line %lu: %s", path, line, why);
	return -EINVAL;
}

static bool read_digest(const struct atr_json *payload, const char *name,
			uint8_t digest[PROPOSAL_DIGEST])
{
	const struct atr_json *text = atr_json_member(payload, name);

	return text && text->type == ATR_JSON_STRING &&
	       atr_hex_decode(text->string, text->string_length, digest, PROPOSAL_DIGEST) == 0;
}

/* A whole number up to max. */
static bool read_number(const struct atr_json *payload, const char *name, uint64_t max,
			uint64_t *value)
{
	const struct atr_json *number = atr_json_member(payload, name);

	if (!number || number->type != ATR_JSON_NUMBER || !(number->number >= 0) ||
	    number->number > (double)max)
		return false;
	*value = (uint64_t)number->number;
	return (double)*value == number->number;
}

enum atr_governance_use proposal_use(const struct atr_envelope *envelope,
				     struct proposal_motion *motion)
{
	const struct atr_json *payload = envelope->payload;
	uint64_t version = 0;

	memset(motion, 0, sizeof(*motion));
	if (payload->type != ATR_JSON_OBJECT || !read_digest(payload, "digest", motion->digest))
		return ATR_GOVERNANCE_NONE;
	if (atr_json_member(payload, "bytes"))
		return ATR_GOVERNANCE_CHUNK;
	if (!read_digest(payload, "replaces", motion->replaces) ||
	    !read_number(payload, "version", UINT32_MAX, &version) || version == 0)
		return ATR_GOVERNANCE_NONE;
	motion->version = (uint32_t)version;
	return atr_json_member(payload, "why") ? ATR_GOVERNANCE_CHANGE : ATR_GOVERNANCE_APPROVAL;
}

static const char *begin_document(struct proposal *p, const uint8_t digest[PROPOSAL_DIGEST],
				  uint64_t total)
{
	memcpy(p->digest, digest, PROPOSAL_DIGEST);
	p->total = total;
	p->document = calloc(1, total);
	p->known = calloc(1, total / BITS + 1);
	return p->document && p->known ? NULL : "out of memory for the document";
}

/* Puts a chunk into its place; NULL, or why it does not fit. */
static const char *take_chunk(struct proposal *p, const struct atr_json *payload,
			      const uint8_t digest[PROPOSAL_DIGEST])
{
	const struct atr_json *text = atr_json_member(payload, "bytes");
	uint8_t bytes[ATR_GOVERNANCE_CHUNK_MAX];
	uint64_t offset, total;
	const char *end, *wrong = NULL;
	size_t length;

	if (text->type != ATR_JSON_STRING ||
	    !read_number(payload, "offset", ATR_GOVERNANCE_DOCUMENT_MAX, &offset) ||
	    !read_number(payload, "total", ATR_GOVERNANCE_DOCUMENT_MAX, &total) || total == 0 ||
	    sodium_base642bin(bytes, sizeof(bytes), text->string, text->string_length, NULL,
			      &length, &end, sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    end != text->string + text->string_length || length == 0)
		return "the chunk's bytes, offset or total are malformed";
	if (offset > total || length > total - offset)
		return "the chunk reaches beyond its total";
	if (!p->document)
		wrong = begin_document(p, digest, total);
	else if (memcmp(p->digest, digest, PROPOSAL_DIGEST) != 0 || p->total != total)
		wrong = "the chunk is of another document than those before; one at a time";
	for (size_t i = 0; i < length && !wrong; i++) {
		uint64_t at = offset + i;
		uint8_t bit = (uint8_t)(1u << at % BITS);

		if (!(p->known[at / BITS] & bit)) {
			p->document[at] = (char)bytes[i];
			p->known[at / BITS] |= bit;
			p->have++;
		} else if ((uint8_t)p->document[at] != bytes[i]) {
			wrong = "the chunk contradicts one before";
		}
	}
	return wrong;
}

static struct proposal_item *room(struct proposal *p)
{
	if (p->count == p->room) {
		size_t more = p->room ? 2 * p->room : ITEMS_FIRST;
		struct proposal_item *larger = reallocarray(p->item, more, sizeof(*larger));

		if (!larger)
			return NULL;
		p->item = larger;
		p->room = more;
	}
	memset(&p->item[p->count], 0, sizeof(p->item[0]));
	return &p->item[p->count];
}

static const char *take_envelope(struct proposal *p, const struct atr_envelope *envelope,
				 struct proposal_item *item)
{
	const struct atr_json *source = envelope->source;
	const char *wrong = NULL;

	item->use = proposal_use(envelope, &item->motion);
	if (item->use == ATR_GOVERNANCE_NONE)
		return "neither a chunk nor an approval nor a change of a plan";
	if (name_copy(source, item->source))
		return "the source is no name of a plan";
	memcpy(item->uuid, envelope->uuid, sizeof(item->uuid));
	item->uuid_ms = envelope->uuid_ms;
	if (item->use == ATR_GOVERNANCE_CHUNK)
		wrong = take_chunk(p, envelope->payload, item->motion.digest);
	return wrong;
}

static const char *take_line(struct proposal *p, struct atr_json_parser *parser, const char *text,
			     size_t length, unsigned long line)
{
	struct proposal_item *item = room(p);
	struct atr_envelope envelope;
	const char *wrong;

	if (!item)
		return "out of memory";
	if (length > ATR_DATAGRAM_MAX ||
	    atr_envelope_parse(parser, text, length, &envelope) != ATR_OK ||
	    atr_envelope_canonical(&envelope, text, length) != ATR_OK)
		return "no envelope in canonical form, as 'atrctl governance' writes them";
	wrong = take_envelope(p, &envelope, item);
	if (wrong)
		return wrong;
	item->text = malloc(length);
	if (!item->text)
		return "out of memory";
	memcpy(item->text, text, length);
	item->length = length;
	item->file = p->files;
	item->line = line;
	p->chunks += item->use == ATR_GOVERNANCE_CHUNK;
	p->approvals += item->use == ATR_GOVERNANCE_APPROVAL;
	p->changes += item->use == ATR_GOVERNANCE_CHANGE;
	p->count++;
	return NULL;
}

int proposal_take(struct proposal *p, const char *path, const char *text, size_t length,
		  char *error)
{
	struct atr_json_parser *parser = atr_json_parser_create();
	const char *wrong = parser ? NULL : "out of memory", *end = text + length;
	unsigned long line = 0;

	while (text < end && !wrong) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t n = stop ? (size_t)(stop - text) : (size_t)(end - text);

		line++;
		if (n)
			wrong = take_line(p, parser, text, n, line);
		text += stop ? n + 1 : n;
	}
	p->files++;
	if (parser)
		atr_json_parser_destroy(parser);
	return wrong ? fail(error, path, line, wrong) : 0;
}

int proposal_read(struct proposal *p, const char *path, char *error)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	char *text = NULL;
	int err = 0;

	if (!f || fstat(fileno(f), &st) != 0) {
		snprintf(error, ERROR_SIZE, "%.300s: %s", path, strerror(errno));
		err = -EINVAL;
	} else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > PROPOSAL_BYTES_MAX - p->bytes) {
		snprintf(error, ERROR_SIZE,
			 "%.300s: is no file, or larger than what a plan's change can be", path);
		err = -EINVAL;
	} else {
		text = malloc((size_t)st.st_size + 1);
		if (!text || fread(text, 1, (size_t)st.st_size, f) != (size_t)st.st_size) {
			snprintf(error, ERROR_SIZE, "%.300s: cannot be read", path);
			err = -EINVAL;
		}
	}
	if (!err) {
		p->bytes += (uint64_t)st.st_size;
		err = proposal_take(p, path, text, (size_t)st.st_size, error);
	}
	free(text);
	if (f)
		fclose(f);
	return err;
}

void proposal_free(struct proposal *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->item[i].text);
	free(p->item);
	free(p->document);
	free(p->known);
	memset(p, 0, sizeof(*p));
}

const struct proposal_item *proposal_change(const struct proposal *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->item[i].use == ATR_GOVERNANCE_CHANGE)
			return &p->item[i];
	return NULL;
}

int proposal_check(const struct proposal *p, char *error)
{
	const struct proposal_item *change = proposal_change(p);

	for (size_t i = 0; i < p->count; i++) {
		const struct proposal_item *item = &p->item[i];
		const char *wrong = NULL;

		if (!change)
			break;
		if (item->use == ATR_GOVERNANCE_CHANGE && item != change)
			wrong = "a second change; one at a time";
		else if (item->use == ATR_GOVERNANCE_APPROVAL &&
			 memcmp(&item->motion, &change->motion, sizeof(item->motion)) != 0)
			wrong = "approves something else than the change that goes with it";
		else if (item->use == ATR_GOVERNANCE_CHUNK &&
			 memcmp(item->motion.digest, change->motion.digest, PROPOSAL_DIGEST) != 0)
			wrong = "a chunk of another document than the change names";
		if (wrong) {
			snprintf(error, ERROR_SIZE, "file %u, line %lu: %s", item->file + 1,
				 item->line, wrong);
			return -EINVAL;
		}
	}
	return 0;
}

struct atr_plan *proposal_plan(const struct proposal *p, const struct atr_plan *old, char *error)
{
	uint8_t digest[PROPOSAL_DIGEST];
	struct atr_plan *plan;

	if (p->have < p->total || !p->document) {
		snprintf(error, ERROR_SIZE, "the document is not whole: %llu of %llu bytes",
			 (unsigned long long)p->have, (unsigned long long)p->total);
		return NULL;
	}
	crypto_hash_sha256(digest, (const uint8_t *)p->document, p->total);
	if (memcmp(digest, p->digest, sizeof(digest)) != 0) {
		snprintf(error, ERROR_SIZE,
			 "the document's bytes have another digest than the "
			 "chunks say; it was tampered with, or made wrongly");
		return NULL;
	}
	plan = atr_plan_load_behind(p->document, p->total, old, error, ERROR_SIZE);
	if (!plan)
		return NULL;
	if (plan->document_length != p->total ||
	    memcmp(plan->document, p->document, p->total) != 0) {
		snprintf(error, ERROR_SIZE, "the document is not in RFC 8785 form");
		atr_plan_free(plan);
		return NULL;
	}
	if (old && atr_plan_compatible(old, plan, error, ERROR_SIZE) < 0) {
		atr_plan_free(plan);
		return NULL;
	}
	return plan;
}
