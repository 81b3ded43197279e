/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to lib/schema. */
#ifndef ATR_SCHEMA_INTERNAL_H
#define ATR_SCHEMA_INTERNAL_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "schema.h"

#define SCHEMA_PATH_MAX       512  /* bytes of the path in a load error */
#define SCHEMA_PATTERN_MAX    4096 /* bytes of a pattern */
#define SCHEMA_PATTERN_NEST   32   /* parentheses inside each other */
#define SCHEMA_PATTERN_REPEAT 1000 /* largest count in braces */
#define SCHEMA_PATTERN_HEAP   2048 /* KiB that matching may take */
#define SCHEMA_PAIRWISE_MAX   8    /* items compared each with each; above, they are sorted */

/* Sets of types: what a schema declares, what a keyword applies to, what a value is. */
enum schema_types {
	TYPES_NULL = 1 << 0,
	TYPES_BOOLEAN = 1 << 1,
	TYPES_INTEGER = 1 << 2,
	TYPES_NUMBER = 1 << 3,
	TYPES_STRING = 1 << 4,
	TYPES_ARRAY = 1 << 5,
	TYPES_OBJECT = 1 << 6,
	TYPES_ALL = (1 << 7) - 1
};

/* A positive number as digits * 10^exponent, the shortest that reads back as the double. */
struct schema_decimal {
	uint64_t digits; /* at most 17 of them */
	int exponent;
};

struct schema_node;

/* A name that a schema declares or requires; sorted in RFC 8785 order. */
struct schema_property {
	const char *name;
	size_t length;
	const struct schema_node *node; /* NULL: required, but not declared */
	bool required;
};

struct schema_node {
	uint8_t types;
	bool closed; /* additionalProperties: false */
	bool unique;
	bool has_minimum, has_maximum, has_above, has_below;
	double minimum, maximum, above, below; /* the last two are exclusive */
	struct schema_decimal multiple;        /* digits 0: none */
	uint64_t min_length, max_length, min_items, max_items, min_properties, max_properties;
	const pcre2_code *pattern;
	const struct atr_json *constant;
	const struct atr_json **values; /* enum, sorted */
	size_t value_count;
	struct schema_property *properties;
	size_t property_count;
	const struct schema_node *additional; /* NULL: anything, unless closed */
	const struct schema_node *items;
};

/* Memory of a schema: blocks and patterns in lists, freed together. */
struct schema_block;
struct schema_code {
	struct schema_code *next;
	pcre2_code *code;
};

struct atr_schema {
	struct schema_block *blocks;
	struct schema_code *codes;
	pcre2_match_context *match_context;
	pcre2_match_data *match_data;
	const struct schema_node *root;
	const struct atr_json *scratch[ATR_JSON_NODES_MAX]; /* items being sorted */
};

struct schema_compiler {
	struct atr_schema *schema;
	struct atr_json_parser *parser;
	unsigned int depth;
	char path[SCHEMA_PATH_MAX];
	size_t path_length;
	char *error;
	size_t error_size;
};

/* memory.c: zeroed memory that lives as long as the schema; NULL when out of memory. */
void *schema_alloc(struct atr_schema *schema, size_t count, size_t size);
void schema_release(struct atr_schema *schema);

/* compile.c: writes the sentence behind the path; returns false. */
bool schema_fail(struct schema_compiler *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
bool schema_fail_memory(struct schema_compiler *c);
/* Appends ".name" or "[index]" to the path; both return what schema_leave wants back. */
size_t schema_enter(struct schema_compiler *c, const char *name);
size_t schema_enter_index(struct schema_compiler *c, size_t index);
void schema_leave(struct schema_compiler *c, size_t length);
/* Compiles the schema object document; NULL after an error. */
struct schema_node *schema_compile_node(struct schema_compiler *c, const json_t *document);

/* keywords.c: all keywords of one schema object into node. */
bool schema_read_keywords(struct schema_compiler *c, struct schema_node *node,
			  const json_t *document);

/* properties.c */
bool schema_read_properties(struct schema_compiler *c, struct schema_node *node,
			    const json_t *value);
bool schema_read_required(struct schema_compiler *c, struct schema_node *node, const json_t *value);
bool schema_read_additional(struct schema_compiler *c, struct schema_node *node,
			    const json_t *value);
bool schema_check_properties(struct schema_compiler *c, const struct schema_node *node);

/* literal.c */
bool schema_read_const(struct schema_compiler *c, struct schema_node *node, const json_t *value);
bool schema_read_enum(struct schema_compiler *c, struct schema_node *node, const json_t *value);

/* pattern.c */
bool schema_read_pattern(struct schema_compiler *c, struct schema_node *node, const json_t *value);
bool schema_pattern_init(struct schema_compiler *c);
/* *used: steps that this validation has taken so far. */
uint8_t schema_match(const struct atr_schema *schema, const pcre2_code *code,
		     const struct atr_json *value, size_t *used);

/* decimal.c */
struct schema_decimal schema_decimal_of(double value);
bool schema_is_multiple(double value, struct schema_decimal divisor);

/* order.c: a total order over values, 0 exactly if they are equal. */
int schema_compare(const struct atr_json *a, const struct atr_json *b);
void schema_sort(const struct atr_json **values, size_t count);
bool schema_unique(const struct atr_json *array, const struct atr_json **scratch);

/* Set of types that value belongs to. */
uint8_t schema_types_of(const struct atr_json *value);

#endif
