/* SPDX-License-Identifier: BSD-3-Clause */
#include "keyring.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event_line.h"

/* The plan tells which of the source's keys this is. With --key-id the user says so and may be
 * wrong on purpose. */
static int identify(struct keyring *ring, struct producer *p, const char *path, char *error)
{
	uint8_t public[ATR_PUBLIC_KEY_SIZE];

	if (ring->key_id.given) {
		p->key_id = (uint32_t)ring->key_id.value;
		return 0;
	}
	atr_signer_public(p->signer, public);
	for (unsigned int i = 0; i < p->source->key_count; i++) {
		const struct atr_key *key = &p->source->keys[i];

		if (memcmp(key->public_key, public, sizeof(public)) != 0)
			continue;
		p->key_id = key->id;
		if (key->use == ring->use)
			return 0;
		snprintf(error, ERROR_SIZE,
			 "%.300s is the key with which source '%s' signs %s; use the one for %s",
			 path, p->source->name, key->use == ATR_KEY_FRAMES ? "frames" : "envelopes",
			 key->use == ATR_KEY_FRAMES ? "envelopes" : "frames");
		return -EINVAL;
	}
	snprintf(error, ERROR_SIZE,
		 "%.300s is no key of source '%s' in the plan; add its public key to the plan "
		 "('atrctl keygen --public FILE'), or use the right file",
		 path, p->source->name);
	return -EINVAL;
}

static int load(struct keyring *ring, struct producer *p, char *error)
{
	char path[PATH_MAX];
	int n;

	if (ring->key)
		n = snprintf(path, sizeof(path), "%s", ring->key);
	else
		n = snprintf(path, sizeof(path), "%s/%s.key", ring->directory, p->source->name);
	if (n < 0 || (size_t)n >= sizeof(path)) {
		snprintf(error, ERROR_SIZE, "path of the key file is too long");
		return -EINVAL;
	}
	p->signer = atr_signer_load(path, error, ERROR_SIZE);
	if (!p->signer)
		return -EINVAL;
	p->key_path = strdup(path);
	if (!p->key_path) {
		snprintf(error, ERROR_SIZE, "out of memory");
		return -ENOMEM;
	}
	return identify(ring, p, path, error);
}

static int find_named(struct keyring *ring, const char *name, size_t length, struct producer **out,
		      char *error)
{
	const struct atr_source *source = atr_plan_source_named(ring->plan, name, length);
	struct producer *p;

	if (!source) {
		snprintf(error, ERROR_SIZE, "source '%.*s' is not in the plan",
			 (int)(length > ATR_NAME_MAX ? ATR_NAME_MAX : length), name);
		return -EINVAL;
	}
	p = &ring->producers[source->id];
	p->source = source;
	*out = p;
	return p->signer ? 0 : load(ring, p, error);
}

int keyring_open(struct keyring *ring, char *error)
{
	struct producer *p;

	if (!ring->key == !ring->directory) {
		snprintf(error, ERROR_SIZE, "give either --key FILE or --key-dir DIR");
		return -EINVAL;
	}
	if (ring->key && !ring->only) {
		snprintf(error, ERROR_SIZE, "--key FILE needs --source NAME: one key, one source");
		return -EINVAL;
	}
	ring->producers = calloc(ring->plan->source_slots + 1u, sizeof(*ring->producers));
	if (!ring->producers) {
		snprintf(error, ERROR_SIZE, "out of memory");
		return -ENOMEM;
	}
	if (ring->only)
		return find_named(ring, ring->only, strlen(ring->only), &p, error);
	return 0;
}

void keyring_close(struct keyring *ring)
{
	for (uint32_t i = 0; ring->producers && i < ring->plan->source_slots; i++) {
		atr_signer_free(ring->producers[i].signer);
		free(ring->producers[i].key_path);
	}
	free(ring->producers);
	ring->producers = NULL;
}

int keyring_find(struct keyring *ring, const struct atr_json *source, struct producer **producer,
		 char *error)
{
	if (!source && !ring->only) {
		snprintf(error, ERROR_SIZE,
			 "the event names no source; add a member 'source' or give --source");
		return -EINVAL;
	}
	if (!source)
		return find_named(ring, ring->only, strlen(ring->only), producer, error);
	if (ring->only && !atr_json_string_is(source, ring->only))
		return 1;
	return find_named(ring, source->string, source->string_length, producer, error);
}
