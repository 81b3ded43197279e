/* SPDX-License-Identifier: BSD-3-Clause */
/* Conditions of rules: read once a rule, compiled once for each type it names. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan_internal.h"

#define FIRST_SPACE 64

enum op { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_IN, OP_BETWEEN, OP_COUNT };

static const char *const op_names[OP_COUNT] = {"==", "!=", "<", "<=", ">", ">=", "in", "between"};

static enum op op_of(const char *text)
{
	unsigned int i = 0;

	while (i < OP_COUNT && strcmp(op_names[i], text) != 0)
		i++;
	return (enum op)i;
}

static int check_value(struct plan_loader *l, const json_t *value, enum op op)
{
	size_t count = json_array_size(value);

	if (op != OP_IN && op != OP_BETWEEN)
		return json_is_number(value) ? 0 : plan_fail_member(l, "value", "must be a number");
	if (op == OP_BETWEEN && count != 2)
		return plan_fail_member(l, "value",
					"must be an array of two numbers, the lower "
					"first");
	if (op == OP_IN && (count == 0 || count > PLAN_CLAUSES_ACTION))
		return plan_fail_member(l, "value", "must be an array of 1 to %u numbers",
					PLAN_CLAUSES_ACTION);
	for (size_t i = 0; i < count; i++)
		if (!json_is_number(json_array_get(value, i)))
			return plan_fail_member(l, "value", "must hold numbers only");
	if (op == OP_BETWEEN && json_number_value(json_array_get(value, 0)) >
					json_number_value(json_array_get(value, 1)))
		return plan_fail_member(l, "value",
					"the first number must not be above the second");
	return 0;
}

static int read_condition(struct plan_loader *l, const json_t *value, struct plan_where *where)
{
	static const char *const known[] = {"field", "op", "value", NULL};
	struct plan_condition *c = &where->conditions[where->count];
	int ret = plan_members(l, value, known);

	if (ret == 0)
		ret = plan_read_string(l, value, "field", true, &c->field);
	if (ret == 0)
		ret = plan_read_string(l, value, "op", true, &c->op);
	if (ret < 0)
		return ret;
	if (op_of(c->op) == OP_COUNT)
		return plan_fail_member(l, "op",
					"must be one of ==, !=, <, <=, >, >=, in, between");
	c->value = json_object_get(value, "value");
	if (!c->value)
		return plan_fail_member(l, "value", "missing; give a number");
	where->count++;
	return check_value(l, c->value, op_of(c->op));
}

int plan_read_where(struct plan_loader *l, const json_t *rule, struct plan_where *where)
{
	const json_t *conditions;
	int ret = plan_read_array(l, rule, "where", false, ATR_PREDICATES_MAX, &conditions);
	size_t mark = plan_path_member(l, "where");

	where->count = 0;
	if (ret == 0 && conditions && json_array_size(conditions) == 0)
		return plan_fail(l, "must hold a condition; leave it out if there is none");
	for (size_t i = 0; ret == 0 && i < json_array_size(conditions); i++) {
		size_t element = plan_path_index(l, i);

		ret = read_condition(l, json_array_get(conditions, i), where);
		plan_path_cut(l, element);
	}
	plan_path_cut(l, mark);
	return ret;
}

static const struct atr_field *field_of(const struct atr_type *type, const char *name)
{
	for (uint32_t i = 0; i < type->field_count; i++)
		if (strcmp(type->fields[i].name, name) == 0)
			return &type->fields[i];
	return NULL;
}

static int check_field(struct plan_loader *l, const struct atr_type *type, const char *name)
{
	const struct atr_field *field = field_of(type, name);

	if (strlen(name) > ATR_NAME_MAX)
		return plan_fail_member(l, "field", "is longer than %u bytes", ATR_NAME_MAX);
	if (type->binary && !field)
		return plan_fail_member(
			l, "field",
			"type '%s' has no binary field '%.64s'; name one it has, or "
			"leave the type out of the rule",
			type->name, name);
	if (field && field->kind == ATR_FIELD_TEXT)
		return plan_fail_member(l, "field",
					"'%s' of type '%s' is a text; only numbers can "
					"be compared",
					name, type->name);
	if (type->json && !atr_schema_has_number(type->json, name))
		return plan_fail_member(l, "field",
					"the JSON schema of type '%s' declares no top-level number "
					"or integer '%.64s'",
					type->name, name);
	return 0;
}

/* The value that the nth way of a condition compares with; high is the upper one of "between". */
static const json_t *operand(const struct plan_condition *c, size_t nth, bool high)
{
	switch (op_of(c->op)) {
	case OP_IN: return json_array_get(c->value, nth);
	case OP_BETWEEN: return json_array_get(c->value, high);
	default: return c->value;
	}
}

static int compile_lane(struct plan_loader *l, const struct plan_condition *c, size_t nth,
			const struct atr_field *field, struct atr_lane *lane)
{
	int64_t low, high, kind_low, kind_high;
	enum op op = op_of(c->op);
	int ret = plan_decimal_raw(operand(c, nth, false), (unsigned int)field->scale, field->kind,
				   &low);

	if (ret == 0)
		ret = plan_decimal_raw(operand(c, nth, true), (unsigned int)field->scale,
				       field->kind, &high);
	if (ret < 0)
		return plan_fail_member(l, "value",
					"cannot be a value of field '%s': it must fit its kind and "
					"have at most %d decimal places",
					field->name, field->scale);
	plan_kind_limits(field->kind, &kind_low, &kind_high);
	if ((op == OP_LT && low == kind_low) || (op == OP_GT && high == kind_high))
		return plan_fail_member(l, "value", "no value of field '%s' lies beyond it",
					field->name);
	if (op == OP_LT || op == OP_LE) {
		high = op == OP_LT ? (int64_t)((uint64_t)high - 1) : high;
		low = kind_low;
	} else if (op == OP_GT || op == OP_GE) {
		low = op == OP_GT ? (int64_t)((uint64_t)low + 1) : low;
		high = kind_high;
	}
	return atr_lane_compile(field, low, high, op == OP_NE, lane);
}

static void compile_test(const struct plan_condition *c, size_t nth, struct plan_json_test *test)
{
	double low = json_number_value(operand(c, nth, false));
	double high = json_number_value(operand(c, nth, true));
	enum op op = op_of(c->op);

	if (op == OP_LT || op == OP_LE) {
		high = op == OP_LT ? nextafter(high, -INFINITY) : high;
		low = -INFINITY;
	} else if (op == OP_GT || op == OP_GE) {
		low = op == OP_GT ? nextafter(low, INFINITY) : low;
		high = INFINITY;
	}
	test->low = low;
	test->high = high;
	test->negate = op == OP_NE;
	strcpy(test->field, c->field);
}

static struct plan_clause *new_clause(struct plan_loader *l, unsigned int count)
{
	struct atr_plan_rules *rules = l->plan->rules;
	struct plan_clause *clause;

	if (rules->clause_count == PLAN_CLAUSES_MAX) {
		plan_fail(l, "the rules' conditions make more than %u clauses; split the plan",
			  PLAN_CLAUSES_MAX);
		return NULL;
	}
	if (rules->clause_count == rules->clause_space) {
		size_t space = rules->clause_space ? 2 * rules->clause_space : FIRST_SPACE;
		void *grown = realloc(rules->clauses, space * sizeof(struct plan_clause *));

		if (!grown) {
			plan_no_memory(l);
			return NULL;
		}
		rules->clauses = grown;
		rules->clause_space = space;
	}
	clause = calloc(1, sizeof(*clause) + count * (sizeof(struct atr_lane) +
						      sizeof(struct plan_json_test)));
	if (!clause) {
		plan_no_memory(l);
		return NULL;
	}
	clause->count = count;
	clause->tests = (struct plan_json_test *)&clause->lanes[count];
	clause->id = (uint32_t)rules->clause_count;
	rules->clauses[rules->clause_count++] = clause;
	return clause;
}

/* Clause number way: its digits, base each condition's count of ways, choose the values. */
static int add_clause(struct plan_loader *l, const struct plan_where *where,
		      const struct atr_type *type, uint64_t feeds, size_t way)
{
	struct plan_clause *clause = new_clause(l, where->count);

	if (!clause)
		return -ENOMEM;
	clause->feeds = type->binary ? feeds : 0;
	clause->json_feeds = type->json ? feeds : 0;
	for (unsigned int i = 0; i < where->count; i++) {
		const struct plan_condition *c = &where->conditions[i];
		size_t ways = op_of(c->op) == OP_IN ? json_array_size(c->value) : 1;
		size_t mark = plan_path_member(l, "where");

		plan_path_index(l, i);
		if (type->binary &&
		    compile_lane(l, c, way % ways, field_of(type, c->field), &clause->lanes[i]) < 0)
			return -EINVAL;
		compile_test(c, way % ways, &clause->tests[i]);
		way /= ways;
		plan_path_cut(l, mark);
	}
	return 0;
}

int plan_add_clauses(struct plan_loader *l, const struct plan_where *where,
		     const struct atr_type *type, uint64_t feeds)
{
	size_t ways = 1;
	int ret = 0;

	for (unsigned int i = 0; i < where->count; i++) {
		const struct plan_condition *c = &where->conditions[i];
		size_t mark = plan_path_member(l, "where");

		plan_path_index(l, i);
		if (check_field(l, type, c->field) < 0)
			return -EINVAL;
		if (op_of(c->op) == OP_IN)
			ways *= json_array_size(c->value);
		if (ways > PLAN_CLAUSES_ACTION)
			return plan_fail(l,
					 "the rule's lists of values combine in more than %u "
					 "ways; shorten them",
					 PLAN_CLAUSES_ACTION);
		plan_path_cut(l, mark);
	}
	for (size_t way = 0; way < ways && ret == 0; way++)
		ret = add_clause(l, where, type, feeds, way);
	return ret;
}
