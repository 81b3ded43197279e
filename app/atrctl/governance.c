/* SPDX-License-Identifier: BSD-3-Clause */
#include "governance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../lib/wire/frame.h"
#include "command.h"
#include "event_line.h"
#include "plan_diff.h"
#include "term.h"

#define IP_UDP_BYTES 28
#define MTU_DEFAULT  1500
#define FILE_MODE    0644

static const char *use_name(enum atr_governance_use use)
{
	static const char *const names[] = {"", "chunk", "change", "approval"};

	return names[use];
}

static uint32_t type_of(const struct atr_plan *plan, enum atr_governance_use use)
{
	switch (use) {
	case ATR_GOVERNANCE_CHUNK: return plan->governance.chunk_type;
	case ATR_GOVERNANCE_CHANGE: return plan->governance.change_type;
	default: return plan->governance.approval_type;
	}
}

/* The first topic, or the one asked for, that the plan lets this operator use for it. */
static const struct atr_topic *topic_for(const struct govern *g, enum atr_governance_use use)
{
	const struct atr_source *source = g->producer->source;

	for (uint32_t id = 1; id < g->plan->topic_slots; id++) {
		const struct atr_topic *topic = atr_plan_topic(g->plan, id);

		if (topic && (!g->topic_name || strcmp(topic->name, g->topic_name) == 0) &&
		    source->level >= topic->level &&
		    atr_plan_action(g->plan, source, id, type_of(g->plan, use)))
			return topic;
	}
	return NULL;
}

/* May the source govern, by this plan? */
static int check_operator(const struct govern *g)
{
	const struct atr_source *source = g->producer->source;

	if (atr_plan_operator(g->plan, source->id) < 0)
		return usage_error(g->command,
				   "source '%s' is no operator of plan '%s': its envelopes would "
				   "be refused (gov_operator); an operator must sign",
				   source->name, g->plan->name);
	for (int use = ATR_GOVERNANCE_CHUNK; use <= ATR_GOVERNANCE_APPROVAL; use++)
		if (!topic_for(g, (enum atr_governance_use)use))
			return usage_error(
				g->command,
				"no rule of plan '%s' lets source '%s' send its %s on %s%s; name "
				"another topic, or start anew with a plan that has such a rule",
				g->plan->name, source->name, use_name((enum atr_governance_use)use),
				g->topic_name ? "topic " : "any topic",
				g->topic_name ? g->topic_name : "");
	return 0;
}

int govern_open(struct govern *g)
{
	struct producer *producer;
	char error[ERROR_SIZE];

	g->plan = g->old ? g->old : g->new;
	if (!g->plan->governance.present)
		return usage_error(g->command,
				   "plan '%s' has no member \"governance\": nobody can change it "
				   "in flight; start with an empty log to change it",
				   g->plan->name);
	if (!g->ring.only || !g->ring.key)
		return usage_error(g->command,
				   "--source NAME and --key FILE are needed: who signs");
	g->ring.plan = g->plan;
	g->ring.use = ATR_KEY_ENVELOPES;
	if (keyring_open(&g->ring, error) || keyring_find(&g->ring, NULL, &producer, error))
		return usage_error(g->command, "%s", error);
	g->producer = producer;
	g->judge = judge_create(g->plan);
	if (!g->judge)
		return usage_error(g->command, "out of memory");
	return check_operator(g);
}

void govern_close(struct govern *g)
{
	judge_free(g->judge);
	if (g->ring.plan)
		keyring_close(&g->ring);
	atr_plan_free(g->old);
	atr_plan_free(g->new);
}

size_t govern_limit(const struct govern *g)
{
	size_t path = (size_t)(g->mtu ? g->mtu : MTU_DEFAULT) - IP_UDP_BYTES;

	return path < g->plan->envelope_bytes ? path : g->plan->envelope_bytes;
}

int govern_sign(struct govern *g, enum atr_governance_use use, const char *payload, char *out,
		char *error)
{
	struct atr_envelope_spec spec = {
		.timestamp_ns = now_unix_ns(),
		.source = g->producer->source->name,
		.topic = topic_for(g, use)->name,
		.type = g->plan->types[type_of(g->plan, use)].name,
		.payload = payload,
	};
	struct verdict verdict;
	int n;

	atr_uuid7_new(spec.timestamp_ns / NS_PER_MS, spec.uuid);
	n = atr_envelope_build(&spec, g->plan->realm, g->producer->signer, out,
			       ATR_DATAGRAM_MAX + 1);
	if (n < 0 || (size_t)n > govern_limit(g)) {
		snprintf(error, ERROR_SIZE,
			 "the %s is larger than an envelope may be (%zu bytes); raise --mtu, or "
			 "ingress.envelope_bytes of the plan",
			 use_name(use), govern_limit(g));
		return -EINVAL;
	}
	judge_datagram(g->judge, (const uint8_t *)out, (size_t)n, spec.timestamp_ns, &verdict);
	if (verdict.reason == ATR_OK)
		return n;
	snprintf(error, ERROR_SIZE, "plan '%s' would refuse the %s: %s: %s%s%s", g->plan->name,
		 use_name(use), atr_reason_name(verdict.reason), atr_reason_text(verdict.reason),
		 verdict.detail[0] ? ", " : "", verdict.detail);
	return -EINVAL;
}

FILE *govern_create(const char *command, const char *path)
{
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE) : -1;
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	if (!path)
		usage_error(command, "--out FILE is needed: where the envelopes go");
	else if (fd < 0)
		usage_error(command, "%s: %s%s", path, strerror(errno),
			    errno == EEXIST ? "; name another, nothing is overwritten" : "");
	else if (!file)
		close(fd);
	return file;
}

int govern_finish(const char *command, const char *path, FILE *file)
{
	bool bad = ferror(file) || fflush(file) != 0 || fsync(fileno(file)) != 0;

	bad = fclose(file) != 0 || bad;
	if (!bad)
		return 0;
	unlink(path);
	return failure(command, "%s could not be written; is the disk full?", path);
}

json_t *govern_document(const struct atr_plan *plan)
{
	return json_loadb(plan->document, plan->document_length, 0, NULL);
}

json_t *govern_diff(const struct atr_plan *old, const struct atr_plan *new)
{
	json_t *before = govern_document(old), *after = govern_document(new);
	json_t *changes = before && after ? plan_diff(before, after) : NULL;

	json_decref(before);
	json_decref(after);
	return changes;
}

int govern_may_follow(const struct atr_plan *old, const struct atr_plan *new, char *error)
{
	if (new->version <= old->version) {
		snprintf(error, ERROR_SIZE,
			 "version: is %u, not above %u of the plan in force; count it up",
			 new->version, old->version);
		return -EINVAL;
	}
	return atr_plan_compatible(old, new, error, ERROR_SIZE);
}

void govern_print_plan(const char *lead, const struct atr_plan *plan)
{
	char hex[GOVERN_HEX];

	atr_hex_encode(plan->digest, sizeof(plan->digest), hex);
	printf("%-12s%s version %u, digest %s\n", lead, plan->name, plan->version, hex);
}

json_t *govern_plan_json(const struct atr_plan *plan)
{
	char hex[GOVERN_HEX];

	atr_hex_encode(plan->digest, sizeof(plan->digest), hex);
	return json_pack("{s:s, s:I, s:s}", "name", plan->name, "version",
			 (json_int_t)plan->version, "digest", hex);
}

int govern_digest(const char *text, uint8_t digest[PROPOSAL_DIGEST])
{
	return atr_hex_decode(text, strlen(text), digest, PROPOSAL_DIGEST);
}

static const struct command commands[] = {
	{"propose", "sign a new plan as chunks and a change", governance_propose},
	{"approve", "look at a proposal and sign an approval", governance_approve},
	{"push", "send chunks, approvals and the change to the appliance", governance_push},
	{"diff", "what differs between two plans, by name", governance_diff},
	{"log", "every plan that was in force: when, who, why, approved by whom", governance_log},
	{"show", "the document of a plan that was in force", governance_show},
	{"rehearse", "which logged events a plan would judge or route otherwise",
	 governance_rehearse},
	{NULL, NULL, NULL},
};

int cmd_governance(int argc, char **argv)
{
	static const struct command_group group = {
		"governance",
		"Changes the plan of a running appliance by signed envelopes of its operators, "
		"and\n"
		"tells from the log what was changed:\n\n"
		"  propose  one operator signs the new plan            -> a proposal file\n"
		"  approve  each of the others looks at it and signs   -> an approval file\n"
		"  push     somebody sends all files: it is in force, or it is said why not\n\n"
		"The plan in force says who its operators are and how many must approve\n"
		"(docs/governance.md).",
		commands,
	};

	return command_group_run(&group, argc, argv);
}
