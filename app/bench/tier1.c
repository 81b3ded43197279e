/* SPDX-License-Identifier: BSD-3-Clause */
/* Tier 1: signed JSON envelopes from ring to ring, each through schema, canonical form, signature,
 * ruleset and identity on the control lcore; and beside it, pass by pass, Ed25519 verification of
 * the same signed bytes alone on the same lcore. And roots: heads of trees of one frame, as fast as
 * the control lcore and its verifiers check them. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>

#include "result.h"
#include "rig.h"

#define ENVELOPES      2000 /* a pass */
#define ENVELOPES_FEW  100
#define TEXT_MAX       8192
#define SIGNED_MAX     8192
#define UNDER_WAY      256
#define MS_A_SECOND    1000
#define NS_A_MS        1000000
#define PADDING_AROUND 12 /* {"n":1,"s":""} without the padding */

struct signed_bytes {
	uint8_t bytes[SIGNED_MAX], signature[ATR_SIG_SIZE];
	size_t length;
};

static struct signed_bytes sample[ENVELOPES];
static struct rte_mbuf *made[ENVELOPES];
static unsigned int count, given;
static uint64_t base; /* events admitted before this pass */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * MS_A_SECOND + (uint64_t)now.tv_nsec / NS_A_MS;
}

/* One envelope whose payload has about that many bytes, and what its signature covers. */
static void envelope(unsigned int i, const char *payload, struct atr_json_parser *parser)
{
	struct atr_envelope_spec spec = {.timestamp_ns = now_ms() * NS_A_MS,
					 .source = "s1",
					 .topic = "t1",
					 .type = "t",
					 .payload = payload};
	static char text[TEXT_MAX];
	struct atr_envelope parsed;
	int length, bytes;

	atr_uuid7_new(now_ms(), spec.uuid);
	length =
		atr_envelope_build(&spec, TRAFFIC_REALM, rig.traffic.envelopes, text, sizeof(text));
	if (length <= 0 || atr_envelope_parse(parser, text, (size_t)length, &parsed) != ATR_OK)
		bench_die("an envelope cannot be built");
	bytes = atr_envelope_signed_bytes(&parsed, TRAFFIC_REALM, sample[i].bytes, SIGNED_MAX);
	if (bytes < 0)
		bench_die("an envelope is too long");
	sample[i].length = (size_t)bytes;
	memcpy(sample[i].signature, parsed.signature, ATR_SIG_SIZE);
	made[i] = traffic_packet(&rig.traffic, (const uint8_t *)text, (size_t)length);
}

static void make(unsigned int payload_bytes)
{
	static char payload[TEXT_MAX];
	struct atr_json_parser *parser = atr_json_parser_create();
	unsigned int padding = payload_bytes > PADDING_AROUND ? payload_bytes - PADDING_AROUND : 0;
	int at = snprintf(payload, sizeof(payload), "{\"n\":1,\"s\":\"");

	memset(payload + at, 'x', padding);
	snprintf(payload + at + padding, sizeof(payload) - (size_t)at - padding, "\"}");
	for (unsigned int i = 0; i < count; i++)
		envelope(i, payload, parser);
	atr_json_parser_destroy(parser);
	given = 0;
	base = rig_admitted(0);
}

/* Producers that wait for replies: never more under way than the identity memory of the shard
 * takes. */
static void offer(void)
{
	uint64_t settled = rig_admitted(0) - base;

	while (given < count && given - settled < UNDER_WAY &&
	       rte_ring_enqueue(rig.lane[0].in, made[given]) == 0)
		given++;
	rig_drain(NULL);
}

static double ed25519_alone(void)
{
	uint8_t public[ATR_PUBLIC_KEY_SIZE];
	uint64_t begin;

	atr_signer_public(rig.traffic.envelopes, public);
	begin = rte_rdtsc();
	for (unsigned int i = 0; i < count; i++)
		if (!atr_verify(public, sample[i].bytes, sample[i].length, sample[i].signature))
			bench_die("a signature does not verify");
	return (double)(rte_rdtsc() - begin) / (double)rte_get_tsc_hz();
}

void bench_tier1(struct bench_config *config, json_t *results)
{
	static struct atr_commit_config none = {.durability = ATR_DURABILITY_NONE};
	double rate[BENCH_PASSES_MAX], alone[BENCH_PASSES_MAX];
	char name[64], reference[96];
	json_t *result, *beside;

	count = config->quick ? ENVELOPES_FEW : ENVELOPES;
	bench_progress("tier1: %u-byte payloads, %u passes of %u envelopes", config->payload,
		       config->passes, count);
	rig_start(config, "none", &none);
	rig.completes = false;
	rig_launch();
	for (unsigned int p = 0; p < config->passes; p++) {
		make(config->payload);
		rate[p] = count / rig_pass(RIG_PATH, count, offer);
		alone[p] = count / ed25519_alone();
		if (rig_admitted(0) != (uint64_t)count * (p + 1)) {
			rig_tell_refusals();
			bench_die("an envelope was refused");
		}
	}
	rig_join();
	snprintf(name, sizeof(name), "tier1.%u", config->payload);
	snprintf(reference, sizeof(reference), "%s.ed25519", name);
	result = result_add(results,
			    &(struct result_spec){"tier1", name, "signed JSON envelopes, all gates",
						  "tier1", "msg/s"},
			    rate, config->passes, config);
	json_object_set_new(json_object_get(result, "parameters"), "payload",
			    json_integer(config->payload));
	beside = result_add(results,
			    &(struct result_spec){"tier1", reference,
						  "Ed25519 of the same bytes alone", "reference",
						  "msg/s"},
			    alone, config->passes, config);
	result_ratio(result, "Ed25519 alone", reference,
		     json_number_value(json_object_get(result, "median")) /
			     json_number_value(json_object_get(beside, "median")));
	rig_end();
}
