/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "../reason/reason.h"
#include "json_internal.h"

/* An array or object that is open. */
struct open_container {
	struct atr_json *node;
	struct atr_json *last;
	const char *name; /* of the member whose value comes next */
	uint32_t name_length;
	bool sorted; /* so far */
};

struct parse_state {
	struct atr_json_parser *parser;
	struct json_cursor cursor;
	unsigned int depth;
	struct open_container open[ATR_JSON_DEPTH_MAX];
};

struct atr_json_parser *atr_json_parser_create(void)
{
	return malloc(sizeof(struct atr_json_parser));
}

void atr_json_parser_destroy(struct atr_json_parser *parser)
{
	free(parser);
}

static void skip_space(struct json_cursor *c)
{
	while (c->at < c->end &&
	       (*c->at == ' ' || *c->at == '\n' || *c->at == '\t' || *c->at == '\r'))
		c->at++;
}

static bool at_byte(const struct json_cursor *c, char byte)
{
	return c->at < c->end && *c->at == byte;
}

static int compare_members(const struct atr_json *a, const struct atr_json *b)
{
	return atr_json_compare_names(a->name, a->name_length, b->name, b->name_length);
}

static struct atr_json *merge(struct atr_json *a, struct atr_json *b)
{
	struct atr_json *head = NULL, **tail = &head;

	while (a && b) {
		struct atr_json **least = compare_members(a, b) <= 0 ? &a : &b;

		*tail = *least;
		tail = (struct atr_json **)&(*least)->next;
		*least = (struct atr_json *)*tail;
	}
	*tail = a ? a : b;
	return head;
}

/* Stable bottom-up merge sort: run[i] holds 2^i members or none. */
static struct atr_json *sort_members(struct atr_json *list)
{
	enum { RUNS = 13 };
	struct atr_json *run[RUNS] = {0};
	struct atr_json *sorted = NULL;

	_Static_assert(1 << (RUNS - 1) >= ATR_JSON_NODES_MAX, "runs hold every member");
	while (list) {
		struct atr_json *one = list;
		unsigned int i = 0;

		list = (struct atr_json *)list->next;
		one->next = NULL;
		for (; i < RUNS - 1 && run[i]; i++) {
			one = merge(run[i], one);
			run[i] = NULL;
		}
		run[i] = run[i] ? merge(run[i], one) : one;
	}
	for (unsigned int i = 0; i < RUNS; i++)
		sorted = merge(run[i], sorted);
	return sorted;
}

static uint8_t close_container(struct parse_state *s)
{
	struct open_container *top = &s->open[--s->depth];

	if (top->sorted)
		return ATR_OK;
	top->node->child = sort_members((struct atr_json *)top->node->child);
	for (const struct atr_json *m = top->node->child; m->next; m = m->next) {
		if (compare_members(m, m->next) != 0)
			continue;
		s->cursor.at = s->cursor.text + m->next->offset;
		return ATR_REASON_JSON_DUPLICATE_NAME;
	}
	return ATR_OK;
}

static void append(struct open_container *top, struct atr_json *node)
{
	if (top->node->type == ATR_JSON_OBJECT) {
		node->name = top->name;
		node->name_length = top->name_length;
		if (top->last && compare_members(top->last, node) >= 0)
			top->sorted = false;
	}
	if (top->last)
		top->last->next = node;
	else
		top->node->child = node;
	top->last = node;
	top->node->count++;
}

static uint8_t read_name(struct parse_state *s)
{
	struct open_container *top = &s->open[s->depth - 1];
	struct json_cursor *c = &s->cursor;
	uint32_t points;
	uint8_t reason;

	skip_space(c);
	if (!at_byte(c, '"'))
		return ATR_REASON_JSON_SYNTAX;
	c->at++;
	reason = json_read_string(c, &top->name, &top->name_length, &points);
	if (reason != ATR_OK)
		return reason;
	skip_space(c);
	if (!at_byte(c, ':'))
		return ATR_REASON_JSON_SYNTAX;
	c->at++;
	return ATR_OK;
}

static uint8_t read_literal(struct json_cursor *c, const char *text, size_t length)
{
	if ((size_t)(c->end - c->at) < length || memcmp(c->at, text, length) != 0)
		return ATR_REASON_JSON_SYNTAX;
	c->at += length;
	return ATR_OK;
}

/* Opens the container at cursor; *more tells whether a value comes next. */
static uint8_t open_container(struct parse_state *s, struct atr_json *node, bool *more)
{
	struct json_cursor *c = &s->cursor;
	bool object = *c->at == '{';

	if (s->depth == ATR_JSON_DEPTH_MAX)
		return ATR_REASON_JSON_DEPTH;
	node->type = object ? ATR_JSON_OBJECT : ATR_JSON_ARRAY;
	s->open[s->depth++] = (struct open_container){.node = node, .sorted = true};
	c->at++;
	skip_space(c);
	if (at_byte(c, object ? '}' : ']')) {
		c->at++;
		s->depth--;
		return ATR_OK;
	}
	*more = true;
	return object ? read_name(s) : ATR_OK;
}

/* Reads a scalar, or opens a container, at cursor. */
static uint8_t read_value(struct parse_state *s, bool *more)
{
	struct json_cursor *c = &s->cursor;
	struct atr_json *node;

	skip_space(c);
	if (c->at == c->end)
		return ATR_REASON_JSON_SYNTAX;
	if (s->parser->used == ATR_JSON_NODES_MAX)
		return ATR_REASON_JSON_SIZE;
	node = &s->parser->nodes[s->parser->used++];
	*node = (struct atr_json){.offset = (uint32_t)(c->at - c->text)};
	if (s->depth > 0)
		append(&s->open[s->depth - 1], node);
	switch (*c->at) {
	case '{':
	case '[': return open_container(s, node, more);
	case '"':
		c->at++;
		node->type = ATR_JSON_STRING;
		return json_read_string(c, &node->string, &node->string_length, &node->count);
	case 'n': node->type = ATR_JSON_NULL; return read_literal(c, "null", 4);
	case 't': node->type = ATR_JSON_TRUE; return read_literal(c, "true", 4);
	case 'f': node->type = ATR_JSON_FALSE; return read_literal(c, "false", 5);
	default:
		if (*c->at != '-' && (*c->at < '0' || *c->at > '9'))
			return ATR_REASON_JSON_SYNTAX;
		node->type = ATR_JSON_NUMBER;
		return json_read_number(c, &node->number);
	}
}

/* Behind a value: closes what ends here, up to the next value's first byte. */
static uint8_t read_separators(struct parse_state *s)
{
	struct json_cursor *c = &s->cursor;

	while (s->depth > 0) {
		bool object = s->open[s->depth - 1].node->type == ATR_JSON_OBJECT;
		uint8_t reason;

		skip_space(c);
		if (at_byte(c, ',')) {
			c->at++;
			return object ? read_name(s) : ATR_OK;
		}
		if (!at_byte(c, object ? '}' : ']'))
			return ATR_REASON_JSON_SYNTAX;
		c->at++;
		reason = close_container(s);
		if (reason != ATR_OK)
			return reason;
	}
	return ATR_OK;
}

static uint8_t parse_document(struct parse_state *s)
{
	uint8_t reason;

	do {
		bool more = false;

		reason = read_value(s, &more);
		if (reason == ATR_OK && !more)
			reason = read_separators(s);
	} while (reason == ATR_OK && s->depth > 0);
	if (reason != ATR_OK)
		return reason;
	skip_space(&s->cursor);
	return s->cursor.at == s->cursor.end ? ATR_OK : ATR_REASON_JSON_TRAILING;
}

uint8_t atr_json_parse(struct atr_json_parser *parser, const char *text, size_t length,
		       const struct atr_json **root, size_t *error_offset)
{
	struct parse_state s;
	uint8_t reason;

	if (length > ATR_JSON_BYTES_MAX) {
		if (error_offset)
			*error_offset = ATR_JSON_BYTES_MAX;
		return ATR_REASON_JSON_SIZE;
	}
	s.parser = parser;
	s.depth = 0;
	s.cursor = (struct json_cursor){text, text + length, text, parser->strings};
	parser->used = 0;
	reason = parse_document(&s);
	if (reason == ATR_OK)
		*root = &parser->nodes[0];
	else if (error_offset)
		*error_offset = (size_t)(s.cursor.at - text);
	return reason;
}
