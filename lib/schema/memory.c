/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "schema_internal.h"

struct schema_block {
	struct schema_block *next;
	max_align_t data[];
};

void *schema_alloc(struct atr_schema *schema, size_t count, size_t size)
{
	struct schema_block *block;
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes) ||
	    __builtin_add_overflow(bytes, sizeof(*block), &bytes))
		return NULL;
	block = calloc(1, bytes);
	if (!block)
		return NULL;
	block->next = schema->blocks;
	schema->blocks = block;
	return block->data;
}

void schema_release(struct atr_schema *schema)
{
	for (struct schema_code *c = schema->codes; c; c = c->next)
		pcre2_code_free(c->code);
	while (schema->blocks) {
		struct schema_block *block = schema->blocks;

		schema->blocks = block->next;
		free(block);
	}
	pcre2_match_data_free(schema->match_data);
	pcre2_match_context_free(schema->match_context);
}
