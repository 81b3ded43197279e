/* SPDX-License-Identifier: BSD-3-Clause */
#include "test_schema.h"

static const struct {
	const char *document, *path;
} refused[] = {
	{"true", "t: "},
	{"[]", "t: "},
	{"{\"$ref\":\"#\"}", "t.$ref: "},
	{"{\"$defs\":{}}", "t.$defs: "},
	{"{\"$schema\":\"x\"}", "t.$schema: "},
	{"{\"oneOf\":[{}]}", "t.oneOf: "},
	{"{\"anyOf\":[{}]}", "t.anyOf: "},
	{"{\"allOf\":[{}]}", "t.allOf: "},
	{"{\"not\":{}}", "t.not: "},
	{"{\"if\":{}}", "t.if: "},
	{"{\"format\":\"date\"}", "t.format: "},
	{"{\"default\":1}", "t.default: "},
	{"{\"prefixItems\":[]}", "t.prefixItems: "},
	{"{\"contains\":{}}", "t.contains: "},
	{"{\"patternProperties\":{}}", "t.patternProperties: "},
	{"{\"propertyNames\":{}}", "t.propertyNames: "},
	{"{\"dependentRequired\":{}}", "t.dependentRequired: "},
	{"{\"unevaluatedProperties\":false}", "t.unevaluatedProperties: "},
	{"{\"Minimum\":1}", "t.Minimum: "},
	{"{\"type\":\"float\"}", "t.type: "},
	{"{\"type\":[]}", "t.type: "},
	{"{\"type\":[\"null\",\"null\"]}", "t.type[1]: "},
	{"{\"type\":[\"null\",1]}", "t.type[1]: "},
	{"{\"type\":null}", "t.type: "},
	{"{\"type\":\"string\",\"minimum\":1}", "t.minimum: "},
	{"{\"type\":\"string\",\"multipleOf\":1}", "t.multipleOf: "},
	{"{\"type\":\"number\",\"minLength\":1}", "t.minLength: "},
	{"{\"type\":[\"number\",\"null\"],\"pattern\":\"a\"}", "t.pattern: "},
	{"{\"type\":\"object\",\"items\":{}}", "t.items: "},
	{"{\"type\":\"object\",\"uniqueItems\":true}", "t.uniqueItems: "},
	{"{\"type\":\"array\",\"properties\":{}}", "t.properties: "},
	{"{\"type\":\"array\",\"required\":[]}", "t.required: "},
	{"{\"type\":\"array\",\"additionalProperties\":false}", "t.additionalProperties: "},
	{"{\"minimum\":\"1\"}", "t.minimum: "},
	{"{\"minimum\":9007199254740992}", "t.minimum: "},
	{"{\"minimum\":2,\"maximum\":1}", "t.minimum: "},
	{"{\"minimum\":1,\"exclusiveMaximum\":1}", "t.minimum: "},
	{"{\"exclusiveMinimum\":1,\"maximum\":1}", "t.exclusiveMinimum: "},
	{"{\"exclusiveMinimum\":1,\"exclusiveMaximum\":1}", "t.exclusiveMinimum: "},
	{"{\"exclusiveMinimum\":true}", "t.exclusiveMinimum: "},
	{"{\"multipleOf\":0}", "t.multipleOf: "},
	{"{\"multipleOf\":-1}", "t.multipleOf: "},
	{"{\"minLength\":-1}", "t.minLength: "},
	{"{\"minLength\":1.5}", "t.minLength: "},
	{"{\"minLength\":\"1\"}", "t.minLength: "},
	{"{\"minLength\":2,\"maxLength\":1}", "t.minLength: "},
	{"{\"minItems\":2,\"maxItems\":1}", "t.minItems: "},
	{"{\"minProperties\":2,\"maxProperties\":1}", "t.minProperties: "},
	{"{\"maxItems\":9007199254740992}", "t.maxItems: "},
	{"{\"pattern\":\"(\"}", "t.pattern: "},
	{"{\"pattern\":\"a\\\\C\"}", "t.pattern: "},
	{"{\"pattern\":1}", "t.pattern: "},
	{"{\"enum\":[]}", "t.enum: "},
	{"{\"enum\":1}", "t.enum: "},
	{"{\"enum\":[1,2,1.0]}", "t.enum: "},
	{"{\"enum\":[1,9007199254740993]}", "t.enum[1]: "},
	{"{\"type\":\"string\",\"enum\":[\"a\",1]}", "t.enum[1]: "},
	{"{\"type\":\"integer\",\"const\":1.5}", "t.const: "},
	{"{\"uniqueItems\":1}", "t.uniqueItems: "},
	{"{\"items\":[{}]}", "t.items: "},
	{"{\"items\":false}", "t.items: "},
	{"{\"properties\":[]}", "t.properties: "},
	{"{\"properties\":{\"a\":true}}", "t.properties.a: "},
	{"{\"properties\":{\"a\":{\"items\":{\"minimum\":null}}}}",
	 "t.properties.a.items.minimum: "},
	{"{\"properties\":{\"a\\u001b\\u009b\":1}}", "t.properties.a???: "},
	{"{\"required\":\"a\"}", "t.required: "},
	{"{\"required\":[1]}", "t.required[0]: "},
	{"{\"required\":[\"a\",\"a\"]}", "t.required: "},
	{"{\"properties\":{\"a\":{}},\"required\":[\"a\",\"a\"]}", "t.required[1]: "},
	{"{\"required\":[\"a\"],\"additionalProperties\":false}", "t.required.a: "},
	{"{\"required\":[\"a\",\"b\"],\"maxProperties\":1}", "t.maxProperties: "},
	{"{\"additionalProperties\":1}", "t.additionalProperties: "},
	{"{\"title\":1}", "t.title: "},
	{"{\"description\":{}}", "t.description: "},
	{"{\"$comment\":[]}", "t.$comment: "},
};

/* Invariant: what the subset cannot mean is refused at load, with the path to the culprit. */
static void refused_at_load(void **state)
{
	char error[ERROR_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct atr_schema *schema = compile(refused[i].document, error);

		if (schema || strncmp(error, refused[i].path, strlen(refused[i].path)) != 0)
			fail_msg("%s: '%s'", refused[i].document, error);
		/* A sentence follows the path. */
		assert_true(strlen(error) > strlen(refused[i].path) + 5);
	}
}

/* Invariant: keywords that can apply to one of several declared types, or to any, are accepted. */
static void accepted_at_load(void **state)
{
	static const char *const documents[] = {
		"{}",
		"{\"title\":\"a\",\"description\":\"b\",\"$comment\":\"c\"}",
		"{\"type\":[\"null\",\"number\",\"string\"],\"minimum\":1,\"minLength\":1}",
		"{\"minimum\":1,\"minLength\":1,\"minItems\":1,\"minProperties\":1}",
		"{\"minimum\":1,\"maximum\":1,\"minLength\":2.0,\"maxLength\":2}",
		"{\"type\":\"integer\",\"enum\":[1.0,2,1e2]}",
		"{\"required\":[]}",
		"{\"required\":[\"b\",\"a\"],\"properties\":{\"a\":{},\"c\":{}}}",
		"{\"properties\":{\"\":{}},\"additionalProperties\":{\"type\":\"null\"}}",
	};
	char error[ERROR_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
		struct atr_schema *schema = compile(documents[i], error);

		if (!schema)
			fail_msg("%s: %s", documents[i], error);
		atr_schema_free(schema);
	}
	atr_schema_free(NULL);
}

/* Invariant: nesting is bounded, and a short error buffer is not overrun. */
static void bounded(void **state)
{
	char error[ERROR_SIZE], tiny[8];
	char document[8192];

	(void)state;
	for (int depth = ATR_JSON_DEPTH_MAX; depth <= ATR_JSON_DEPTH_MAX + 1; depth++) {
		struct atr_schema *schema;
		size_t length = 0;

		for (int i = 1; i < depth; i++)
			length += (size_t)snprintf(document + length, sizeof(document) - length,
						   "{\"items\":");
		length += (size_t)snprintf(document + length, sizeof(document) - length, "{}");
		for (int i = 1; i < depth; i++)
			document[length++] = '}';
		document[length] = '\0';
		schema = compile(document, error);
		assert_int_equal(schema != NULL, depth <= ATR_JSON_DEPTH_MAX);
		atr_schema_free(schema);
	}
	for (size_t size = 0; size <= sizeof(tiny); size++) {
		memset(tiny, 'x', sizeof(tiny));
		assert_null(atr_schema_compile(NULL, "some.path", tiny, size));
		for (size_t i = size; i < sizeof(tiny); i++)
			assert_int_equal(tiny[i], 'x');
		if (size > 0)
			assert_true(memchr(tiny, '\0', size) != NULL);
	}
}

/* Invariant: a pattern above the limits of size, nesting or repetition is refused. */
static void pattern_limits(void **state)
{
	static const char *const often[] = {"a{1001}", "a{1,1001}", "a{1001,}",
					    "(ab{2}){99999999999}"};
	char error[ERROR_SIZE];
	char document[8192];

	(void)state;
	for (size_t i = 0; i < sizeof(often) / sizeof(often[0]); i++) {
		snprintf(document, sizeof(document), "{\"pattern\":\"%s\"}", often[i]);
		assert_null(compile(document, error));
		assert_non_null(strstr(error, "t.pattern: repeats"));
	}
	atr_schema_free(compile("{\"pattern\":\"a{1,1000}b{1000}10012{x}9999\"}", error));
	assert_string_equal(error, "");
	sprintf(document, "{\"pattern\":\"%0*d\"}", 4097, 0);
	assert_null(compile(document, error));
	sprintf(document, "{\"pattern\":\"%.*sa%.*s\"}", 40,
		"((((((((((((((((((((((((((((((((((((((((", 40,
		"))))))))))))))))))))))))))))))))))))))))");
	assert_null(compile(document, error));
}

/* Invariant: only a declared property whose type is a number counts as one. */
static void has_number(void **state)
{
	char error[ERROR_SIZE];
	struct atr_schema *schema =
		compile("{\"required\":[\"r\"],\"properties\":{\"n\":{\"type\":\"number\"},"
			"\"i\":{\"type\":[\"integer\",\"null\"]},\"s\":{\"type\":\"string\"},"
			"\"any\":{},\"o\":{\"properties\":{\"x\":{\"type\":\"number\"}}}}}",
			error);

	(void)state;
	assert_non_null(schema);
	assert_true(atr_schema_has_number(schema, "n"));
	assert_true(atr_schema_has_number(schema, "i"));
	assert_false(atr_schema_has_number(schema, "s"));
	assert_false(atr_schema_has_number(schema, "any"));
	assert_false(atr_schema_has_number(schema, "x"));
	assert_false(atr_schema_has_number(schema, "r"));
	assert_false(atr_schema_has_number(schema, ""));
	atr_schema_free(schema);
}

int run_load_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_at_load), cmocka_unit_test(accepted_at_load),
		cmocka_unit_test(bounded),         cmocka_unit_test(pattern_limits),
		cmocka_unit_test(has_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
