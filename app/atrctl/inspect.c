/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "command.h"
#include "event_line.h"
#include "explain.h"
#include "option.h"
#include "term.h"
#include "../../lib/sign/sign.h"
#include "../../lib/wire/moldudp64.h"

#define PORT_MAX 65535
#define ROOT_HEX (2 * ATR_HASH_SIZE + 1)

static const struct usage usage = {
	"inspect FILE [--plan FILE] [--port N] [--feed-port N] [--json]",
	"Explains a capture (pcap or pcapng) datagram by datagram: fields, events, and\n"
	"which gate would refuse it and why, by the appliance's own checks: structure,\n"
	"schema, canonical form, signature (inclusion proof and Ed25519), ruleset, and\n"
	"identity within the file. Without --plan only structure and canonical form can be\n"
	"judged. Key times and UUID windows are judged by the packets' capture times; rates\n"
	"and load are not judged. Exit status 1 when anything would be refused.",
	"  atrctl inspect in.pcap --plan plan.json\n"
	"  atrctl inspect tap.pcap --feed-port 26501 --plan plan.json --json",
};

struct inspect {
	const char *path, *plan_path;
	struct option_u64 port, feed_port;
	bool json;
	struct atr_plan *plan;
	struct judge *judge;
	uint64_t packet, datagrams, admitted, duplicates, refused, events, feed_packets, other;
	uint64_t reasons[ATR_REASON_SPACE];
};

static void show_flow(const struct capture_flow *flow)
{
	struct in_addr a = {.s_addr = htonl(flow->src_ip)}, b = {.s_addr = htonl(flow->dst_ip)};
	char from[INET_ADDRSTRLEN], to[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &a, from, sizeof(from));
	inet_ntop(AF_INET, &b, to, sizeof(to));
	printf("%s:%u > %s:%u", from, flow->src_port, to, flow->dst_port);
}

static json_t *flow_json(const struct inspect *in, const struct capture_flow *flow)
{
	struct in_addr a = {.s_addr = htonl(flow->src_ip)}, b = {.s_addr = htonl(flow->dst_ip)};
	char from[INET_ADDRSTRLEN], to[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &a, from, sizeof(from));
	inet_ntop(AF_INET, &b, to, sizeof(to));
	return json_pack("{s:I,s:s,s:i,s:s,s:i}", "packet", (json_int_t)in->packet, "from", from,
			 "from_port", flow->src_port, "to", to, "to_port", flow->dst_port);
}

static void show_frame(const struct inspect *in, const struct verdict *v)
{
	const struct atr_frame_hdr *h = v->frame.hdr;
	const struct atr_source *source = in->plan ? atr_plan_source(in->plan, h->source) : NULL;
	uint64_t last = h->first_sequence + v->events - 1;
	char root[ROOT_HEX];

	atr_hex_encode(v->root, ATR_HASH_SIZE, root);
	printf("  source %u", h->source);
	if (source)
		printf(" (%s)", source->name);
	printf(", key %u, realm %016llx, sequences %llu..%llu\n"
	       "  leaf %u of %u, proof of %u nodes, root %.16s..., arena %u bytes, body %u bytes\n"
	       "  signature %s\n",
	       h->key, (unsigned long long)h->realm, (unsigned long long)h->first_sequence,
	       (unsigned long long)last, h->leaf_index, h->leaf_count, v->frame.proof_nodes, root,
	       h->arena_length, v->frame.leaf_size,
	       v->signature_checked ? "checked" : "not checked (no plan, or refused before)");
	for (unsigned int i = 0; i < v->events; i++) {
		uint32_t length;
		const uint8_t *payload = atr_frame_payload(&v->frame, i, &length);
		uint64_t sequence = h->first_sequence + i;

		printf("  event %u seq=%llu ", i, (unsigned long long)sequence);
		explain_event(stdout, in->plan, &v->frame.packets[i], payload, length);
		printf(": ");
		explain_reason(stdout, v->event[i], NULL);
		putchar('\n');
	}
}

static void frame_json(const struct inspect *in, const struct verdict *v, json_t *o)
{
	const struct atr_frame_hdr *h = v->frame.hdr;
	json_t *events = json_array();
	char root[ROOT_HEX], realm[20];

	atr_hex_encode(v->root, ATR_HASH_SIZE, root);
	snprintf(realm, sizeof(realm), "%016llx", (unsigned long long)h->realm);
	for (unsigned int i = 0; i < v->events; i++) {
		uint32_t length;
		const uint8_t *payload = atr_frame_payload(&v->frame, i, &length);
		json_t *event = explain_event_json(in->plan, &v->frame.packets[i], payload, length);
		json_t *judged = explain_reason_json(v->event[i], NULL);
		uint64_t sequence = h->first_sequence + i;

		json_object_set_new(event, "sequence", json_integer((json_int_t)sequence));
		json_object_update(event, judged);
		json_decref(judged);
		json_array_append_new(events, event);
	}
	json_object_set_new(o, "frame",
			    json_pack("{s:I,s:I,s:s,s:I,s:I,s:I,s:i,s:s,s:I,s:b}", "source",
				      (json_int_t)h->source, "key", (json_int_t)h->key, "realm",
				      realm, "first_sequence", (json_int_t)h->first_sequence,
				      "leaf_index", (json_int_t)h->leaf_index, "leaf_count",
				      (json_int_t)h->leaf_count, "proof_nodes",
				      (int)v->frame.proof_nodes, "root", root, "arena_length",
				      (json_int_t)h->arena_length, "signature_checked",
				      (int)v->signature_checked));
	json_object_set_new(o, "events", events);
}

static void account(struct inspect *in, const struct verdict *v)
{
	in->datagrams++;
	in->events += v->parsed ? v->events : 0;
	in->reasons[v->reason]++;
	if (v->reason == ATR_OK)
		in->admitted++;
	else if (v->reason == ATR_DUPLICATE)
		in->duplicates++;
	else
		in->refused++;
}

static void show_ingress(struct inspect *in, const struct capture_flow *flow, const uint8_t *data,
			 size_t length, const struct verdict *v)
{
	static const char *const kinds[] = {"datagram", "frame", "envelope"};
	json_t *o;

	if (!in->json) {
		printf("%llu: ", (unsigned long long)in->packet);
		show_flow(flow);
		printf(" %s, %zu bytes: ", kinds[v->kind], length);
		explain_reason(stdout, v->reason, v->detail);
		putchar('\n');
		if (v->kind == DATAGRAM_FRAME && v->parsed)
			show_frame(in, v);
		if (v->kind == DATAGRAM_ENVELOPE) {
			fputs("  ", stdout);
			term_text(stdout, data, length);
			putchar('\n');
		}
		return;
	}
	o = flow_json(in, flow);
	json_object_set_new(o, "kind", json_string(kinds[v->kind]));
	json_object_set_new(o, "bytes", json_integer((json_int_t)length));
	json_object_update_new(o, explain_reason_json(v->reason, v->detail));
	if (v->kind == DATAGRAM_FRAME && v->parsed)
		frame_json(in, v, o);
	if (v->kind == DATAGRAM_ENVELOPE)
		json_object_set_new(o, "envelope", explain_bytes_json(data, length));
	explain_print_json(o);
}

static void show_feed(struct inspect *in, const struct capture_flow *flow, const uint8_t *data,
		      size_t length)
{
	struct atr_mold_packet p;
	struct atr_mold_event event;
	json_t *o = in->json ? flow_json(in, flow) : NULL, *events = NULL;
	uint64_t number;
	size_t cursor = 0;
	int more;

	in->feed_packets++;
	if (!o) {
		printf("%llu: ", (unsigned long long)in->packet);
		show_flow(flow);
	}
	if (atr_mold_parse(data, length, &p)) {
		in->refused++;
		if (!o) {
			puts(" malformed MoldUDP64 packet");
			return;
		}
		json_object_set_new(o, "kind", json_string("malformed feed packet"));
		explain_print_json(o);
		return;
	}
	number = p.sequence;
	if (o) {
		json_object_set_new(o, "kind", json_string("feed"));
		json_object_set_new(o, "session", explain_bytes_json(p.session, sizeof(p.session)));
		json_object_set_new(o, "sequence", json_integer((json_int_t)p.sequence));
		json_object_set_new(o, "count", json_integer(p.count));
		json_object_set_new(o, "events", events = json_array());
	} else {
		fputs(" feed, session ", stdout);
		term_text(stdout, p.session, sizeof(p.session));
		printf(", %s, next or first message %llu\n",
		       p.count == 0                    ? "heartbeat"
		       : p.count == ATR_MOLD_COUNT_END ? "end of session"
						       : "messages",
		       (unsigned long long)p.sequence);
	}
	while (p.count != ATR_MOLD_COUNT_END && (more = atr_mold_next(&p, &cursor, &event)) != 0) {
		const uint8_t *payload = event.payload ? event.payload : event.packet->payload;
		uint32_t n = event.payload ? event.payload_length : ATR_INLINE_MAX;

		if (more < 0) {
			in->refused++;
			break;
		}
		if (o) {
			json_t *e = explain_event_json(in->plan, event.packet, payload, n);

			json_object_set_new(e, "sequence",
					    json_integer((json_int_t)event.sequence));
			json_array_append_new(events, e);
			continue;
		}
		printf("  message %llu seq=%llu ", (unsigned long long)number++,
		       (unsigned long long)event.sequence);
		explain_event(stdout, in->plan, event.packet, payload, n);
		putchar('\n');
	}
	if (o)
		explain_print_json(o);
}

static uint64_t ingress_port(const struct inspect *in)
{
	return in->port.given ? in->port.value : in->plan ? in->plan->udp_port : 0;
}

static void take_packet(struct inspect *in, int link_type, const struct pcap_pkthdr *header,
			const uint8_t *bytes)
{
	uint64_t time = (uint64_t)header->ts.tv_sec * NS_PER_S + (uint64_t)header->ts.tv_usec;
	struct capture_flow flow;
	const uint8_t *data;
	struct verdict v;
	uint8_t *exact;
	size_t length;
	int found;

	in->packet++;
	found = capture_find(link_type, bytes, header->caplen, &flow, &data, &length);
	if (found > 0) {
		memset(&v, 0, sizeof(v));
		v.reason = (uint8_t)found;
		account(in, &v);
		show_ingress(in, &flow, bytes, 0, &v);
		return;
	}
	if (found < 0) {
		in->other++;
		return;
	}
	/* Unaligned and unpadded captures must not be read beyond their end: an own block. */
	exact = malloc(length ? length : 1);
	if (!exact)
		return;
	memcpy(exact, data, length);
	if (in->feed_port.given &&
	    (flow.dst_port == in->feed_port.value || flow.src_port == in->feed_port.value)) {
		show_feed(in, &flow, exact, length);
	} else if (ingress_port(in) && flow.dst_port != ingress_port(in)) {
		in->other++;
	} else {
		judge_datagram(in->judge, exact, length, time, &v);
		account(in, &v);
		show_ingress(in, &flow, exact, length, &v);
	}
	free(exact);
}

static void summarise(const struct inspect *in)
{
	if (in->json) {
		explain_print_json(json_pack(
			"{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "kind", "summary", "packets",
			(json_int_t)in->packet, "datagrams", (json_int_t)in->datagrams, "admitted",
			(json_int_t)in->admitted, "duplicate", (json_int_t)in->duplicates,
			"refused", (json_int_t)in->refused, "events", (json_int_t)in->events,
			"feed_packets", (json_int_t)in->feed_packets, "other",
			(json_int_t)in->other));
		return;
	}
	printf("inspect: packets=%llu datagrams=%llu admitted=%llu duplicate=%llu refused=%llu "
	       "events=%llu feed_packets=%llu other=%llu\n",
	       (unsigned long long)in->packet, (unsigned long long)in->datagrams,
	       (unsigned long long)in->admitted, (unsigned long long)in->duplicates,
	       (unsigned long long)in->refused, (unsigned long long)in->events,
	       (unsigned long long)in->feed_packets, (unsigned long long)in->other);
	for (unsigned int r = 1; r < ATR_DUPLICATE; r++)
		if (in->reasons[r])
			printf("  %-24s%10llu datagrams  %s\n", atr_reason_name((uint8_t)r),
			       (unsigned long long)in->reasons[r], atr_reason_text((uint8_t)r));
	if (!in->plan)
		puts("  Without --plan only structure and canonical form were judged.");
}

/* libpcap names the file in some of its sentences. */
static const char *open_failure(const char *path, const char *error)
{
	size_t length = strlen(path);

	return strncmp(error, path, length) == 0 && strncmp(error + length, ": ", 2) == 0
		       ? error + length + 2
		       : error;
}

static int read_file(struct inspect *in)
{
	char error[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	struct progress progress;
	const uint8_t *bytes;
	pcap_t *pcap = pcap_open_offline_with_tstamp_precision(in->path, PCAP_TSTAMP_PRECISION_NANO,
							       error);
	int more;

	if (!pcap)
		return usage_error("inspect", "%s: %s; give a pcap or pcapng file", in->path,
				   open_failure(in->path, error));
	progress_start(&progress, false);
	while ((more = pcap_next_ex(pcap, &header, &bytes)) == 1) {
		take_packet(in, pcap_datalink(pcap), header, bytes);
		if (progress_due(&progress))
			progress_show(&progress, "%llu packets", (unsigned long long)in->packet);
	}
	progress_end(&progress);
	summarise(in);
	if (more == PCAP_ERROR) {
		usage_error("inspect", "%s: %s", in->path, pcap_geterr(pcap));
		in->refused++;
	}
	pcap_close(pcap);
	return in->refused ? EXIT_NEGATIVE : EXIT_OK;
}

int cmd_inspect(int argc, char **argv)
{
	struct inspect in = {0};
	const struct option table[] = {
		{"", "FILE", "capture, pcap or pcapng", OPTION_STRING, &in.path, 0, 0},
		{"--plan", "FILE", "plan to judge by", OPTION_STRING, &in.plan_path, 0, 0},
		{"--port", "N", "ingress port (default: the plan's, or any)", OPTION_U64, &in.port,
		 1, PORT_MAX},
		{"--feed-port", "N", "UDP port of feeds in the capture", OPTION_U64, &in.feed_port,
		 1, PORT_MAX},
		{"--json", NULL, "one JSON object a datagram", OPTION_FLAG, &in.json, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	char error[ERROR_SIZE];
	int status, err = options_parse(&usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	if (!in.path)
		return usage_error("inspect", "a capture file is needed");
	if (in.plan_path) {
		in.plan = atr_plan_load_file(in.plan_path, error, sizeof(error));
		if (!in.plan)
			return usage_error("inspect", "%s", error);
	}
	in.judge = judge_create(in.plan);
	status = in.judge ? read_file(&in) : failure("inspect", "out of memory");
	judge_free(in.judge);
	atr_plan_free(in.plan);
	return status;
}
