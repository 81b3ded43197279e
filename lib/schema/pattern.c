/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "../reason/reason.h"
#include "schema_internal.h"

#define BYTES_PER_STEP 16 /* characters that one item runs over are charged too */

/* PCRE2's own limits start anew at every position of the text. Its automatic callouts come before
 * every item of the pattern wherever it is tried, so counting them bounds the whole search. */
struct step_budget {
	size_t *used;
	size_t position;
};

static int count_step(pcre2_callout_block *block, void *data)
{
	struct step_budget *budget = data;
	size_t at = block->current_position;

	if (at > budget->position)
		*budget->used += (at - budget->position) / BYTES_PER_STEP;
	budget->position = at;
	return ++*budget->used > ATR_SCHEMA_PATTERN_STEPS ? PCRE2_ERROR_CALLOUT : 0;
}

bool schema_pattern_init(struct schema_compiler *c)
{
	pcre2_match_context *context = pcre2_match_context_create(NULL);

	c->schema->match_context = context;
	c->schema->match_data = pcre2_match_data_create(1, NULL);
	if (!context || !c->schema->match_data)
		return schema_fail_memory(c);
	pcre2_set_match_limit(context, ATR_SCHEMA_PATTERN_STEPS);
	pcre2_set_depth_limit(context, ATR_SCHEMA_PATTERN_STEPS);
	pcre2_set_heap_limit(context, SCHEMA_PATTERN_HEAP);
	return true;
}

static pcre2_code *compile(const char *pattern, size_t length, int *error, PCRE2_SIZE *offset)
{
	/* As ECMAScript has it, where PCRE2 can: \uXXXX, [], $ only at the very end. */
	const uint32_t options = PCRE2_UTF | PCRE2_ALT_BSUX | PCRE2_ALLOW_EMPTY_CLASS |
				 PCRE2_MATCH_UNSET_BACKREF | PCRE2_DOLLAR_ENDONLY |
				 PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT;
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	pcre2_code *code;

	if (!context) {
		*error = PCRE2_ERROR_NOMEMORY;
		*offset = 0;
		return NULL;
	}
	pcre2_set_newline(context, PCRE2_NEWLINE_ANYCRLF);
	pcre2_set_parens_nest_limit(context, SCHEMA_PATTERN_NEST);
	pcre2_set_max_pattern_length(context, SCHEMA_PATTERN_MAX);
	code = pcre2_compile((PCRE2_SPTR)pattern, length, options, error, offset, context);
	pcre2_compile_context_free(context);
	return code;
}

/* True if a count in braces is above the limit. What a repetition of one character passes over
 * before its least count is reached is charged to nobody, so that count must be small. */
static bool repeats_too_often(const char *pattern)
{
	bool in_braces = false;
	unsigned int count = 0;

	for (; *pattern; pattern++) {
		if (*pattern >= '0' && *pattern <= '9') {
			count = count * 10 + (unsigned int)(*pattern - '0');
			if (in_braces && count > SCHEMA_PATTERN_REPEAT)
				return true;
			if (!in_braces)
				count = 0;
			continue;
		}
		count = 0;
		in_braces = *pattern == '{' || (in_braces && *pattern == ',');
	}
	return false;
}

bool schema_read_pattern(struct schema_compiler *c, struct schema_node *node, const json_t *value)
{
	struct schema_code *owner = schema_alloc(c->schema, 1, sizeof(*owner));
	PCRE2_UCHAR message[128];
	PCRE2_SIZE offset;
	int error;

	if (!json_is_string(value))
		return schema_fail(c, "must be a string");
	if (repeats_too_often(json_string_value(value)))
		return schema_fail(c, "repeats more than %d times; use maxLength instead",
				   SCHEMA_PATTERN_REPEAT);
	if (!owner)
		return schema_fail_memory(c);
	owner->code = compile(json_string_value(value), json_string_length(value), &error, &offset);
	if (!owner->code) {
		pcre2_get_error_message(error, message, sizeof(message));
		return schema_fail(c, "does not compile at byte %zu: %s", (size_t)offset,
				   (const char *)message);
	}
	owner->next = c->schema->codes;
	c->schema->codes = owner;
	node->pattern = owner->code;
	return true;
}

uint8_t schema_match(const struct atr_schema *schema, const pcre2_code *code,
		     const struct atr_json *value, size_t *used)
{
	struct step_budget budget = {.used = used};
	int result;

	pcre2_set_callout(schema->match_context, count_step, &budget);
	/* The parser has checked the text's UTF-8. */
	result = pcre2_match(code, (PCRE2_SPTR)value->string, value->string_length, 0,
			     PCRE2_NO_UTF_CHECK, schema->match_data, schema->match_context);
	if (result >= 0)
		return ATR_OK;
	return result == PCRE2_ERROR_NOMATCH ? ATR_REASON_PAYLOAD_PATTERN
					     : ATR_REASON_PAYLOAD_PATTERN_LIMIT;
}
