/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plan_internal.h"

#include "../sign/sign.h"

#define REALM_DIGITS 16
#define REALM_BYTES  8
#define REASON_SIZE  512

static int load_realm(struct plan_loader *l, const json_t *document)
{
	uint8_t bytes[REALM_BYTES];
	const char *text;
	int ret = plan_read_string(l, document, "realm", true, &text);

	if (ret < 0)
		return ret;
	if (atr_hex_decode(text, strlen(text), bytes, sizeof(bytes)) < 0)
		return plan_fail_member(l, "realm", "must be %u lowercase hex digits",
					REALM_DIGITS);
	for (unsigned int i = 0; i < REALM_BYTES; i++)
		l->plan->realm = l->plan->realm << 8 | bytes[i];
	return 0;
}

static int load_head(struct plan_loader *l, const json_t *document)
{
	static const char *const known[] = {
		"atr_plan", "name",   "version", "realm", "ingress",    "identity", "sources",
		"types",    "topics", "rules",   "feeds", "governance", NULL};
	uint64_t format, version = 0;
	int ret = plan_members(l, document, known);

	if (ret == 0)
		ret = plan_read_uint(l, document,
				     (struct plan_uint){"atr_plan", PLAN_FORMAT, PLAN_FORMAT, true},
				     &format);
	if (ret == 0)
		ret = plan_read_name(l, document, "name", PLAN_NAME_IDENTIFIER, l->plan->name);
	if (ret == 0)
		ret = plan_read_uint(l, document,
				     (struct plan_uint){"version", 1, UINT32_MAX, true}, &version);
	l->plan->version = (uint32_t)version;
	if (ret == 0)
		ret = load_realm(l, document);
	return ret < 0 ? ret : plan_canonical(l, document);
}

static int load_document(struct plan_loader *l, const json_t *document)
{
	static int (*const sections[])(struct plan_loader *, const json_t *) = {
		load_head,       plan_load_ingress, plan_load_identity,
		plan_load_feeds, plan_load_sources, plan_load_topics,
		plan_load_types, plan_load_rules,   plan_load_governance,
	};
	int ret = 0;

	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]) && ret == 0; i++)
		ret = sections[i](l, document);
	free(l->entries);
	free(l->terms);
	free(l->topics_by_name);
	return ret;
}

struct atr_plan *atr_plan_load_behind(const char *text, size_t length, const struct atr_plan *old,
				      char *error, size_t size)
{
	struct plan_loader l = {.error = error, .error_size = size, .old = old};
	json_error_t json_error;
	json_t *document;
	int ret;

	if (size)
		error[0] = '\0';
	if (length > PLAN_FILE_MAX) {
		plan_fail(&l, "is larger than %u bytes; make it smaller", PLAN_FILE_MAX);
		return NULL;
	}
	l.plan = calloc(1, sizeof(*l.plan));
	if (l.plan)
		l.plan->rules = calloc(1, sizeof(*l.plan->rules));
	if (!l.plan || !l.plan->rules || atr_sign_init() < 0) {
		plan_fail(&l, "out of memory or no random source");
		atr_plan_free(l.plan);
		return NULL;
	}
	document = json_loadb(text, length, JSON_REJECT_DUPLICATES, &json_error);
	if (!document) {
		plan_fail(&l, "line %d, column %d: %s", json_error.line, json_error.column,
			  json_error.text);
		atr_plan_free(l.plan);
		return NULL;
	}
	ret = load_document(&l, document);
	json_decref(document);
	if (ret == 0)
		return l.plan;
	atr_plan_free(l.plan);
	return NULL;
}

struct atr_plan *atr_plan_load(const char *text, size_t length, char *error, size_t size)
{
	return atr_plan_load_behind(text, length, NULL, error, size);
}

static int read_file(struct plan_loader *l, const char *path, char **text, size_t *length)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int ret = 0;

	*text = NULL;
	*length = 0;
	if (fd < 0)
		return plan_fail(l, "cannot be opened (%s); check the path", strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		ret = plan_fail(l, "is no regular file");
	} else if (st.st_size > PLAN_FILE_MAX) {
		ret = plan_fail(l, "is larger than %u bytes; make it smaller", PLAN_FILE_MAX);
	} else {
		*text = malloc((size_t)st.st_size + 1);
		ret = *text ? 0 : plan_no_memory(l);
	}
	while (ret == 0 && *length < (size_t)st.st_size) {
		ssize_t n = read(fd, *text + *length, (size_t)st.st_size - *length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			ret = plan_fail(l, "cannot be read (%s)",
					n < 0 ? strerror(errno) : "it became shorter");
		else
			*length += (size_t)n;
	}
	close(fd);
	return ret;
}

/* Puts the file's name before a refusal of what is in it. */
static void name_file(const char *path, char *error, size_t size)
{
	char reason[REASON_SIZE];

	snprintf(reason, sizeof(reason), "%s", error);
	snprintf(error, size, "%s: %s", path, reason);
}

struct atr_plan *atr_plan_load_file(const char *path, char *error, size_t size)
{
	struct plan_loader l = {.error = error, .error_size = size};
	struct atr_plan *plan = NULL;
	size_t length;
	char *text;

	plan_path_member(&l, path);
	if (read_file(&l, path, &text, &length) == 0) {
		plan = atr_plan_load(text, length, error, size);
		if (!plan && size)
			name_file(path, error, size);
	}
	free(text);
	return plan;
}

void atr_plan_free(struct atr_plan *plan)
{
	if (!plan)
		return;
	for (uint32_t i = 0; plan->types && i < plan->type_slots; i++) {
		struct atr_type *type = &plan->types[i];

		atr_typecheck_free(type->binary);
		atr_schema_free(type->json);
		free((void *)(uintptr_t)type->fields);
		free((void *)(uintptr_t)type->enum_names);
	}
	plan_rules_free(plan->rules);
	free(plan->sources);
	free(plan->topics);
	free(plan->types);
	free(plan->feeds);
	free(plan->roles);
	free(plan->groups);
	free(plan->document);
	free(plan);
}

const struct atr_source *atr_plan_source_named(const struct atr_plan *plan, const char *name,
					       size_t length)
{
	uint32_t id;

	return plan_names_find(&plan->rules->source_names, name, length, &id) ? &plan->sources[id]
									      : NULL;
}

const struct atr_topic *atr_plan_topic_named(const struct atr_plan *plan, const char *name,
					     size_t length)
{
	uint32_t id;

	return plan_names_find(&plan->rules->topic_names, name, length, &id) ? &plan->topics[id]
									     : NULL;
}

const struct atr_type *atr_plan_type_named(const struct atr_plan *plan, const char *name,
					   size_t length)
{
	uint32_t id;

	return plan_names_find(&plan->rules->type_names, name, length, &id) ? &plan->types[id]
									    : NULL;
}
