/* SPDX-License-Identifier: BSD-3-Clause */
/* Who signs: one key for one source, or a directory of NAME.key files. */
#ifndef ATRCTL_KEYRING_H
#define ATRCTL_KEYRING_H

#include "../../lib/json/json.h"
#include "../../lib/plan/plan.h"
#include "../../lib/sign/sign.h"
#include "option.h"

/* A source of the plan that we may sign for. */
struct producer {
	const struct atr_source *source;
	struct atr_signer *signer;
	uint32_t key_id;
	char *key_path;
	void *frames; /* pub's state of this source while it publishes frames */
};

struct keyring {
	const struct atr_plan *plan;
	const char *only;           /* --source, or NULL */
	const char *key;            /* --key, or NULL */
	const char *directory;      /* --key-dir, or NULL */
	enum atr_key_use use;       /* what will be signed */
	struct option_u64 key_id;   /* --key-id */
	struct producer *producers; /* by source id, plan->source_slots of them */
};

/* Checks the combination of options, and loads --key at once. 0, or -EINVAL with a sentence in
 * error (ERROR_SIZE bytes). */
int keyring_open(struct keyring *ring, char *error);
void keyring_close(struct keyring *ring);

/* The producer for an event whose line names source (NULL: not given). 0; 1 if --source filters
 * the event out; -EINVAL with a sentence in error. */
int keyring_find(struct keyring *ring, const struct atr_json *source, struct producer **producer,
		 char *error);

#endif
