/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON payload schemas: a compiled subset of JSON Schema 2020-12 (docs/schema.md).
 *
 * Layer 2: lib/json, lib/reason; jansson for the schema document, PCRE2 for 'pattern'.
 * Compiled on the control lcore when a plan loads; immutable afterwards, and validated against by
 * one thread at a time (match data is inside). Not for data lcores.
 */
#ifndef ATR_SCHEMA_H
#define ATR_SCHEMA_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "../json/json.h"

struct atr_schema;

/* Steps that all matching of 'pattern' in one validation may take before PAYLOAD_PATTERN_LIMIT. */
#define ATR_SCHEMA_PATTERN_STEPS 10000

/* Compiles a schema. NULL on failure with a sentence in error that begins with the JSON path of
 * the culprit below path ("types[2].json.properties.mag.minimum: ..."). Any keyword that is not in
 * the supported set is refused, and so are keywords that cannot apply to the declared type, and
 * values out of range (minLength above maxLength, an empty enum, a pattern that does not compile,
 * ...). Supported: type, properties, required, additionalProperties (boolean or schema), enum,
 * const, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, minLength, maxLength,
 * pattern, minItems, maxItems, items, uniqueItems, minProperties, maxProperties; title,
 * description and $comment are annotations. Nesting is limited to ATR_JSON_DEPTH_MAX. */
struct atr_schema *atr_schema_compile(const json_t *document, const char *path, char *error,
				      size_t size);
void atr_schema_free(struct atr_schema *schema);

/* Validates value; ATR_OK or the PAYLOAD_* reason of the first keyword that is violated.
 * path (size bytes, may be NULL) receives the JSON pointer of the offending value. Lengths of
 * strings count code points; multipleOf is decided exactly on the shortest decimal forms. */
uint8_t atr_schema_validate(const struct atr_schema *schema, const struct atr_json *value,
			    char *path, size_t size);

/* True if the schema's top level declares a property of this name with type number or integer. */
int atr_schema_has_number(const struct atr_schema *schema, const char *property);

#endif
