/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "plan_internal.h"

#define MEMBER_SHOWN 64 /* bytes of a hostile name that a message repeats */
#define RATE_MAX     UINT64_C(1000000000)

static void path_append(struct plan_loader *l, const char *text, size_t length)
{
	for (size_t i = 0; i < length && l->path_length + 1 < sizeof(l->path); i++) {
		char c = text[i];

		l->path[l->path_length++] = c >= ' ' && c < 0x7F ? c : '?';
	}
	l->path[l->path_length] = '\0';
}

size_t plan_path_member(struct plan_loader *l, const char *name)
{
	size_t mark = l->path_length;

	if (mark)
		path_append(l, ".", 1);
	path_append(l, name, strnlen(name, MEMBER_SHOWN));
	return mark;
}

size_t plan_path_index(struct plan_loader *l, size_t index)
{
	size_t mark = l->path_length;
	char text[32];
	int n = snprintf(text, sizeof(text), "[%zu]", index);

	path_append(l, text, (size_t)n);
	return mark;
}

void plan_path_cut(struct plan_loader *l, size_t length)
{
	l->path_length = length;
	l->path[length] = '\0';
}

static void neutralise(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text >= 0x7F)
			*text = '?';
}

static void write_error(struct plan_loader *l, const char *format, va_list args)
{
	int n;

	if (l->error_size == 0)
		return;
	n = snprintf(l->error, l->error_size, "%s: ", l->path_length ? l->path : "plan");
	if (n >= 0 && (size_t)n < l->error_size)
		vsnprintf(l->error + n, l->error_size - (size_t)n, format, args);
	neutralise(l->error);
}

int plan_fail(struct plan_loader *l, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_error(l, format, args);
	va_end(args);
	return -EINVAL;
}

int plan_fail_member(struct plan_loader *l, const char *name, const char *format, ...)
{
	size_t mark = l->path_length;
	va_list args;

	if (name)
		plan_path_member(l, name);
	va_start(args, format);
	write_error(l, format, args);
	va_end(args);
	plan_path_cut(l, mark);
	return -EINVAL;
}

int plan_no_memory(struct plan_loader *l)
{
	plan_fail(l, "out of memory; give the process more, or make the plan smaller");
	return -ENOMEM;
}

int plan_members(struct plan_loader *l, const json_t *value, const char *const known[])
{
	const char *key;
	json_t *member;

	if (!json_is_object(value))
		return plan_fail(l, "must be an object");
	json_object_foreach((json_t *)(uintptr_t)value, key, member)
	{
		unsigned int i = 0;

		while (known[i] && strcmp(known[i], key) != 0)
			i++;
		if (!known[i])
			return plan_fail_member(l, key,
						"unknown member; remove it or correct its "
						"name (docs/pipeline.md lists all)");
	}
	return 0;
}

int plan_read_uint(struct plan_loader *l, const json_t *object, struct plan_uint spec,
		   uint64_t *out)
{
	const json_t *value = json_object_get(object, spec.name);

	if (!value) {
		if (spec.required)
			return plan_fail_member(
				l, spec.name, "missing; give an integer from %llu to %llu",
				(unsigned long long)spec.min, (unsigned long long)spec.max);
		return 0;
	}
	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
	    (uint64_t)json_integer_value(value) < spec.min ||
	    (uint64_t)json_integer_value(value) > spec.max)
		return plan_fail_member(l, spec.name, "must be an integer from %llu to %llu",
					(unsigned long long)spec.min, (unsigned long long)spec.max);
	*out = (uint64_t)json_integer_value(value);
	return 0;
}

int plan_read_string(struct plan_loader *l, const json_t *object, const char *name, bool required,
		     const char **out)
{
	const json_t *value = json_object_get(object, name);

	*out = NULL;
	if (!value)
		return required ? plan_fail_member(l, name, "missing; give a string") : 0;
	*out = json_string_value(value);
	return *out ? 0 : plan_fail_member(l, name, "must be a string");
}

int plan_read_array(struct plan_loader *l, const json_t *object, const char *name, bool required,
		    size_t max, const json_t **out)
{
	const json_t *value = json_object_get(object, name);

	*out = NULL;
	if (!value)
		return required ? plan_fail_member(l, name, "missing; give an array") : 0;
	if (!json_is_array(value))
		return plan_fail_member(l, name, "must be an array");
	if (json_array_size(value) > max)
		return plan_fail_member(l, name, "has %zu elements; at most %zu are allowed",
					json_array_size(value), max);
	*out = value;
	return 0;
}

static bool is_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '_';
}

static bool tokens_ok(const char *text, bool wildcards)
{
	const char *p = text;

	for (;;) {
		size_t n = strcspn(p, ".");

		if (n == 0)
			return false;
		if (wildcards && n == 1 && (*p == '*' || (*p == '>' && p[1] == '\0'))) {
			p++;
		} else {
			for (const char *end = p + n; p < end; p++)
				if (!is_word(*p) && *p != '-')
					return false;
		}
		if (*p == '\0')
			return true;
		p++;
	}
}

static bool characters_ok(const char *text, enum plan_name_kind kind)
{
	if (kind == PLAN_NAME_TOPIC || kind == PLAN_NAME_PATTERN)
		return tokens_ok(text, kind == PLAN_NAME_PATTERN);
	if (kind == PLAN_NAME_IDENTIFIER && !is_word(text[0]))
		return false;
	for (const char *p = text; *p; p++) {
		bool ok = is_word(*p);

		if (kind == PLAN_NAME_IDENTIFIER)
			ok |= *p == '-' || *p == '.';
		else if (kind == PLAN_NAME_FREE)
			ok = *p >= ' ' && *p < 0x7F;
		if (!ok)
			return false;
	}
	return true;
}

int plan_check_name(struct plan_loader *l, const char *text, enum plan_name_kind kind, char *out)
{
	static const char *const rules[] = {
		[PLAN_NAME_IDENTIFIER] = "letters, digits, '_', '-' and '.', not beginning with "
					 "'-' or '.'",
		[PLAN_NAME_FIELD] = "letters, digits and '_'",
		[PLAN_NAME_TOPIC] = "tokens of letters, digits, '_' and '-' with dots between",
		[PLAN_NAME_PATTERN] = "tokens of letters, digits, '_' and '-' with dots between, "
				      "where a whole token may be '*' and the last one '>'",
		[PLAN_NAME_FREE] = "printable ASCII",
	};
	size_t length = strlen(text);

	if (length == 0 || length > ATR_NAME_MAX || !characters_ok(text, kind))
		return plan_fail(l, "must be 1 to %u bytes of %s", ATR_NAME_MAX, rules[kind]);
	memcpy(out, text, length + 1);
	return 0;
}

int plan_read_name(struct plan_loader *l, const json_t *object, const char *member,
		   enum plan_name_kind kind, char *out)
{
	const char *text;
	int ret = plan_read_string(l, object, member, true, &text);
	size_t mark;

	if (ret < 0)
		return ret;
	mark = plan_path_member(l, member);
	ret = plan_check_name(l, text, kind, out);
	plan_path_cut(l, mark);
	return ret;
}

int plan_read_rate(struct plan_loader *l, const json_t *object, struct atr_rate *rate)
{
	static const char *const known[] = {"per_second", "burst", NULL};
	const json_t *value = json_object_get(object, "rate");
	size_t mark;
	int ret;

	*rate = (struct atr_rate){0};
	if (!value)
		return 0;
	mark = plan_path_member(l, "rate");
	ret = plan_members(l, value, known);
	if (ret == 0)
		ret = plan_read_uint(l, value, (struct plan_uint){"per_second", 1, RATE_MAX, true},
				     &rate->per_second);
	if (ret == 0)
		ret = plan_read_uint(l, value, (struct plan_uint){"burst", 1, RATE_MAX, true},
				     &rate->burst);
	plan_path_cut(l, mark);
	return ret;
}

int plan_id_slots(struct plan_loader *l, const json_t *array, uint64_t min, uint64_t max,
		  uint32_t *slots)
{
	*slots = 0;
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *element = json_array_get(array, i);
		size_t mark = plan_path_index(l, i);
		uint64_t id = 0;
		int ret = json_is_object(element)
				  ? plan_read_uint(l, element,
						   (struct plan_uint){"id", min, max, true}, &id)
				  : plan_fail(l, "must be an object");

		if (ret < 0)
			return ret;
		if (id >= *slots)
			*slots = (uint32_t)id + 1;
		plan_path_cut(l, mark);
	}
	return 0;
}
