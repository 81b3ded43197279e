/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ATR_TEST_SCHEMA_H
#define ATR_TEST_SCHEMA_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/reason/reason.h"
#include "../../../lib/schema/schema.h"

#define ERROR_SIZE 256

/* NULL with the sentence in error if the document does not compile. */
static inline struct atr_schema *compile(const char *document, char error[ERROR_SIZE])
{
	json_error_t where;
	json_t *json = json_loads(document, JSON_DECODE_ANY, &where);
	struct atr_schema *schema;

	if (!json)
		fail_msg("%s: %s", document, where.text);
	error[0] = '\0';
	schema = atr_schema_compile(json, "t", error, ERROR_SIZE);
	json_decref(json);
	return schema;
}

int run_load_tests(void);

#endif
