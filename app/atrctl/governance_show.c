/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "governance.h"
#include "log_walk.h"
#include "option.h"
#include "plan_diff.h"

#define NAME   "governance show"
#define INDENT 2

static const struct usage usage = {
	"governance show --log DIR [--generation N | --version N | --at SHARD:POSITION]\n"
	"           [--canonical]",
	"Prints the document of a plan that was in force, from the log: the newest, or the one\n"
	"of a generation, of a version, or that judged what lies at a position. It is laid out\n"
	"for people and may be used as any plan's file; --canonical prints the RFC 8785 form,\n"
	"whose SHA-256 is the digest. Checks all that it reads and changes nothing.",
	"  atrctl governance show --log /var/lib/atr/log > plan-in-force.json\n"
	"  atrctl governance show --log /var/lib/atr/log --at 0:1234567\n"
	"  atrctl governance show --log LOG --version 4 --canonical | sha256sum",
};

struct show {
	struct option_u64 generation, version;
	const char *at;
	bool canonical;
	uint32_t shard;
	uint64_t position;
	struct log_walk walk;
	char *document; /* the newest that fits; malloc'd */
	size_t length;
	uint64_t found; /* its generation */
};

static int keep(struct show *run)
{
	const struct atr_plan *plan = run->walk.track.plan;
	char *copy = malloc(plan->document_length);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, plan->document, plan->document_length);
	free(run->document);
	run->document = copy;
	run->length = plan->document_length;
	run->found = plan->generation;
	return 0;
}

static int see_plan(struct log_walk *walk)
{
	struct show *run = walk->ctx;
	const struct atr_plan *plan = walk->track.plan;

	if (run->at && walk->track.since > run->position)
		return -ECANCELED;
	if (run->generation.given && plan->generation != run->generation.value)
		return 0;
	if (run->version.given && plan->version != run->version.value)
		return 0;
	if (run->document && plan->generation <= run->found)
		return 0;
	return keep(run);
}

static int print(const struct show *run)
{
	json_t *document;
	char *text;

	if (run->canonical) {
		fwrite(run->document, 1, run->length, stdout);
		return EXIT_OK;
	}
	document = json_loadb(run->document, run->length, 0, NULL);
	text = document ? plan_diff_value(document, JSON_INDENT(INDENT) | JSON_ENSURE_ASCII) : NULL;
	json_decref(document);
	if (!text)
		return failure(NAME, "out of memory");
	puts(text);
	free(text);
	return EXIT_OK;
}

/* SHARD:POSITION; 0 or -EINVAL. */
static int parse_place(struct show *run)
{
	const char *colon = strchr(run->at, ':');
	char shard[sizeof("4294967295")];
	uint64_t number;

	if (!colon || (size_t)(colon - run->at) >= sizeof(shard))
		return -EINVAL;
	memcpy(shard, run->at, (size_t)(colon - run->at));
	shard[colon - run->at] = '\0';
	if (parse_u64(shard, 0, LOG_SHARDS_MAX - 1, &number))
		return -EINVAL;
	run->shard = (uint32_t)number;
	return parse_u64(colon + 1, 0, UINT64_MAX - 1, &run->position);
}

static int show(struct show *run)
{
	int status;

	if (run->at && parse_place(run))
		return usage_error(NAME, "--at takes SHARD:POSITION, such as 0:1234, not '%s'",
				   run->at);
	status = run->at ? log_walk_shard(&run->walk, run->shard) : log_walk_all(&run->walk);
	if (status && status != -ECANCELED)
		return status;
	if (run->at && status == 0 && run->walk.leaves <= run->position)
		return failure(NAME, "shard %u ends before position %" PRIu64, run->shard,
			       run->position);
	if (!run->document)
		return failure(NAME, "no such plan is in the log; 'atrctl governance log' lists "
				     "them");
	return print(run);
}

int governance_show(int argc, char **argv)
{
	struct progress progress;
	struct show run = {.walk = {.command = NAME, .plan = see_plan, .progress = &progress}};
	const struct option table[] = {
		{"--log", "DIR", "directory that holds shard-0", OPTION_STRING, &run.walk.path, 0,
		 0},
		{"--generation", "N", "the plan of this generation", OPTION_U64, &run.generation, 1,
		 UINT64_MAX},
		{"--version", "N", "the plan of this version", OPTION_U64, &run.version, 1,
		 UINT32_MAX},
		{"--at", "SHARD:POSITION", "the plan in force there", OPTION_STRING, &run.at, 0, 0},
		{"--canonical", NULL, "the RFC 8785 form, without line break", OPTION_FLAG,
		 &run.canonical, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	int status = options_parse(&usage, table, argc, argv);

	if (status)
		return status > 0 ? EXIT_OK : EXIT_USAGE;
	if (!run.walk.path)
		return usage_error(NAME, "--log DIR is needed: the directory that holds shard-0");
	if (run.generation.given + run.version.given + (run.at != NULL) > 1)
		return usage_error(NAME, "--generation, --version and --at exclude each other");
	run.walk.ctx = &run;
	progress_start(&progress, false);
	status = show(&run);
	progress_end(&progress);
	plan_track_free(&run.walk.track);
	free(run.document);
	return status;
}
