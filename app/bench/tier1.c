/* SPDX-License-Identifier: BSD-3-Clause */
/* Tier 1: signed JSON envelopes from ring to ring, each through schema, canonical form, signature,
 * ruleset and identity on the control lcore; and beside it, pass by pass, Ed25519 verification of
 * the same signed bytes alone on the same lcore. Each envelope must be delivered and answered,
 * once; in a pass before the measured ones the first is forged, and must be refused for that. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>

#include "../../lib/wire/moldudp64.h"
#include "books.h"
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
#define DRAIN_S        5  /* for the last replies to leave */
#define ADMITTED       "\"result\":\"admitted\""
#define FORGED         "\"reason\":\"bad_signature\""

struct signed_bytes {
	uint8_t bytes[SIGNED_MAX], signature[ATR_SIG_SIZE];
	size_t length;
};

static struct signed_bytes sample[ENVELOPES];
static struct rte_mbuf *made[ENVELOPES];
static unsigned int count, given;
static uint64_t base; /* envelopes settled before this pass */

/* What left, by where to and what it says. */
static struct left {
	uint64_t delivered, admitted, refused, other;
} left;

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * MS_A_SECOND + (uint64_t)now.tv_nsec / NS_A_MS;
}

/* One envelope whose payload has about that many bytes, and what its signature covers. */
static void envelope(unsigned int i, const char *payload, struct atr_json_parser *parser,
		     const struct atr_signer *signer)
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
	length = atr_envelope_build(&spec, TRAFFIC_REALM, signer, text, sizeof(text));
	if (length <= 0 || atr_envelope_parse(parser, text, (size_t)length, &parsed) != ATR_OK)
		bench_die("an envelope cannot be built");
	bytes = atr_envelope_signed_bytes(&parsed, TRAFFIC_REALM, sample[i].bytes, SIGNED_MAX);
	if (bytes < 0)
		bench_die("an envelope is too long");
	sample[i].length = (size_t)bytes;
	memcpy(sample[i].signature, parsed.signature, ATR_SIG_SIZE);
	made[i] = traffic_packet(&rig.traffic, (const uint8_t *)text, (size_t)length);
}

static uint64_t settled(void)
{
	return rig_admitted(0) + books_refused_for(ATR_REASON_BAD_SIGNATURE);
}

/* forge: the first one is signed with another key. */
static void make(unsigned int payload_bytes, bool forge)
{
	static char payload[TEXT_MAX];
	struct atr_json_parser *parser = atr_json_parser_create();
	unsigned int padding = payload_bytes > PADDING_AROUND ? payload_bytes - PADDING_AROUND : 0;
	int at = snprintf(payload, sizeof(payload), "{\"n\":1,\"s\":\"");

	memset(payload + at, 'x', padding);
	snprintf(payload + at + padding, sizeof(payload) - (size_t)at - padding, "\"}");
	for (unsigned int i = 0; i < count; i++)
		envelope(i, payload, parser,
			 forge && i == 0 ? rig.traffic.frames : rig.traffic.envelopes);
	atr_json_parser_destroy(parser);
	given = 0;
	base = settled();
	memset(&left, 0, sizeof(left));
}

static void look(const struct rte_mbuf *m)
{
	static uint8_t bytes[ATR_DATAGRAM_MAX + TRAFFIC_UDP_HDRS];
	const uint8_t *data = rte_pktmbuf_read(m, 0, m->pkt_len, bytes);
	struct atr_mold_packet packet;
	size_t length = m->pkt_len - TRAFFIC_UDP_HDRS;

	if (!data || m->pkt_len <= TRAFFIC_UDP_HDRS)
		bench_die("a packet left that is no feed's and no reply");
	data += TRAFFIC_UDP_HDRS;
	if (*data != '{')
		left.delivered += atr_mold_parse(data, length, &packet) == 0 ? packet.count : 0;
	else if (memmem(data, length, ADMITTED, strlen(ADMITTED)))
		left.admitted++;
	else if (memmem(data, length, FORGED, strlen(FORGED)))
		left.refused++;
	else
		left.other++;
}

/* Producers that wait for replies: never more under way than the identity memory of the shard
 * takes. */
static void offer(void)
{
	uint64_t done = settled() - base;

	if (given == 0 && rig_break(BREAK_LOSE))
		rte_pktmbuf_free(made[given++]);
	while (given < count && given - done < UNDER_WAY &&
	       rte_ring_enqueue(rig.lane[0].in, made[given]) == 0)
		given++;
	rig_drain(look);
}

/* All but forged envelopes have been admitted, delivered and answered, and these refused. */
static void check(unsigned int forged)
{
	uint64_t until = rte_rdtsc() + DRAIN_S * rte_get_tsc_hz();
	char text[256];

	while ((left.delivered < count - forged || left.admitted + left.refused < count) &&
	       rte_rdtsc() < until) {
		atr_control_run(rig.control);
		rig_drain(look);
	}
	if (left.delivered == count - forged && left.admitted == count - forged &&
	    left.refused == forged && left.other == 0 && settled() - base == count &&
	    books_delivered() == books_admitted())
		return;
	books_tell_refusals();
	snprintf(
		text, sizeof(text),
		"an envelope was lost or misjudged: of %u, %u of them forged, %llu were delivered, "
		"%llu answered admitted, %llu bad_signature, %llu otherwise",
		count, forged, (unsigned long long)left.delivered,
		(unsigned long long)left.admitted, (unsigned long long)left.refused,
		(unsigned long long)left.other);
	bench_die(text);
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

/* Data lcore. */
static uint64_t settled_of(unsigned int shard)
{
	(void)shard;
	return settled();
}

void bench_tier1(struct bench_config *config, json_t *results)
{
	static struct atr_commit_config none = {.durability = ATR_DURABILITY_NONE};
	double rate[BENCH_PASSES_MAX], alone[BENCH_PASSES_MAX];
	char name[64], reference[96];
	struct books sent = {0};
	json_t *result, *beside;

	count = config->quick ? ENVELOPES_FEW : ENVELOPES;
	bench_progress("tier1: %u-byte payloads, %u passes of %u envelopes", config->payload,
		       config->passes, count);
	rig_start(config, "none", &none);
	rig.completes = false;
	rig_launch();
	rig.finished = settled_of;
	make(config->payload, true);
	rig_pass(RIG_PATH, count, offer);
	check(1);
	rig.measuring = true;
	for (unsigned int p = 0; p < config->passes; p++) {
		make(config->payload, rig_break(BREAK_FORGE));
		rate[p] = count / rig_pass(RIG_PATH, count, offer);
		check(0);
		alone[p] = count / ed25519_alone();
	}
	rig_join();
	sent.admitted = (uint64_t)count * (config->passes + 1) - 1;
	sent.refused = 1;
	snprintf(name, sizeof(name), "tier1.%u", config->payload);
	snprintf(reference, sizeof(reference), "%s.ed25519", name);
	result = result_add(results,
			    &(struct result_spec){"tier1", name, "signed JSON envelopes, all gates",
						  "tier1", "msg/s"},
			    rate, config->passes, config);
	books_result(result, &sent);
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
