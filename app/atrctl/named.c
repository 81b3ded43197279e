/* SPDX-License-Identifier: BSD-3-Clause */
#include "named.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/plan/plan.h"
#include "command.h"
#include "event_line.h"
#include "option.h"

enum kind { KIND_SOURCE, KIND_TYPE };

/* 0 with the id, or -1 if the plan has no such name. */
static int find(const struct atr_plan *plan, enum kind kind, const char *name, uint32_t *id)
{
	const struct atr_source *source = NULL;
	const struct atr_type *type = NULL;

	if (kind == KIND_SOURCE)
		source = atr_plan_source_named(plan, name, strlen(name));
	else
		type = atr_plan_type_named(plan, name, strlen(name));
	if (!source && !type)
		return -1;
	*id = source ? source->id : type->id;
	return 0;
}

static int id_of(const char *command, const char *path, enum kind kind, const char *text,
		 uint32_t *id)
{
	const char *what = kind == KIND_SOURCE ? "source" : "type";
	char error[ERROR_SIZE];
	struct atr_plan *plan;
	uint64_t number;
	int missing;

	if (parse_u64(text, 0, UINT32_MAX, &number) == 0) {
		*id = (uint32_t)number;
		return 0;
	}
	if (!path)
		return usage_error(command,
				   "'%s' is no number: give the %s's id, or --plan FILE for names",
				   text, what);
	plan = atr_plan_load_file(path, error, sizeof(error));
	if (!plan)
		return usage_error(command, "%s", error);
	missing = find(plan, kind, text, id);
	atr_plan_free(plan);
	return missing ? usage_error(command, "%s has no %s '%s'", path, what, text) : 0;
}

int named_source(const char *command, const char *plan, const char *text, uint32_t *id)
{
	return id_of(command, plan, KIND_SOURCE, text, id);
}

int named_type(const char *command, const char *plan, const char *text, uint32_t *id)
{
	return id_of(command, plan, KIND_TYPE, text, id);
}

int named_event(const char *command, const char *plan, const char *text, struct atr_query_key *key,
		char identity[NAMED_SIZE])
{
	const char *colon = text ? strrchr(text, ':') : NULL;
	char name[NAME_SIZE];
	uint32_t source;
	int status, n;

	if (!colon || colon == text || (size_t)(colon - text) >= sizeof(name))
		return usage_error(command, "name an event: SOURCE:SEQUENCE or SOURCE:UUID");
	memcpy(name, text, (size_t)(colon - text));
	name[colon - text] = '\0';
	status = named_source(command, plan, name, &source);
	if (status)
		return status;
	n = snprintf(identity, NAMED_SIZE, "%" PRIu32 "%s", source, colon);
	if (n < 0 || n >= NAMED_SIZE || atr_query_identity(identity, (size_t)n, key))
		return usage_error(command, "'%s' is neither SOURCE:SEQUENCE nor SOURCE:UUID",
				   text);
	return 0;
}
