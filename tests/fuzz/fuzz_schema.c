/* SPDX-License-Identifier: BSD-3-Clause */
/* Input: a schema document, a zero byte, an instance. Whatever compiles can be validated against;
 * a verdict is ATR_OK or a reason of the schema gate, and the same when asked again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/reason/reason.h"
#include "../../lib/schema/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct atr_json_parser *parser;

static void require(int condition)
{
	if (!condition)
		abort();
}

static struct atr_schema *compile(const char *text, size_t length)
{
	char error[128];
	json_error_t where;
	json_t *document = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
	struct atr_schema *schema;

	if (!document)
		return NULL;
	memset(error, 'x', sizeof(error));
	schema = atr_schema_compile(document, "types[0].json", error, sizeof(error));
	if (!schema)
		require(memchr(error, '\0', sizeof(error)) != NULL &&
			strncmp(error, "types[0].json", 13) == 0);
	json_decref(document);
	return schema;
}

static void validate(const struct atr_schema *schema, const char *text, size_t size)
{
	char *copy = malloc(size ? size : 1);
	const struct atr_json *root;
	char path[16];
	uint8_t reason;

	require(copy != NULL);
	if (size > 0)
		memcpy(copy, text, size);
	if (atr_json_parse(parser, copy, size, &root, NULL) == ATR_OK) {
		reason = atr_schema_validate(schema, root, path, sizeof(path));
		require(memchr(path, '\0', sizeof(path)) != NULL);
		require(reason == ATR_OK || (reason >= ATR_REASON_PAYLOAD_TYPE &&
					     reason <= ATR_REASON_PAYLOAD_PROPERTIES));
		require(atr_schema_validate(schema, root, NULL, 0) == reason);
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
	struct atr_schema *schema;
	char *text;
	size_t length;

	if (!zero)
		return 0;
	if (!parser)
		parser = atr_json_parser_create();
	length = (size_t)(zero - data);
	text = malloc(length ? length : 1);
	require(parser && text);
	memcpy(text, data, length);
	schema = compile(text, length);
	free(text);
	if (schema)
		validate(schema, (const char *)zero + 1, size - length - 1);
	atr_schema_free(schema);
	return 0;
}
