/* SPDX-License-Identifier: BSD-3-Clause */
/* Sections "ingress", "identity" and "feeds". */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plan_internal.h"

#include "../wire/frame.h"

#define OCTETS             4
#define OCTET_MAX          255u
#define PORT_MAX           65535u
#define TTL_MAX            255u
#define TTL_UNICAST        64u
#define TTL_MULTICAST      1u
#define ENVELOPE_BYTES     1280u
#define ENVELOPE_BYTES_MIN 256u
#define UUID_PAST_MS       UINT64_C(600000)
#define UUID_FUTURE_MS     UINT64_C(10000)
#define UUID_SPAN_MAX_MS   UINT64_C(86400000) /* a day: every id within is remembered */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Decimal without leading zeros up to max; returns its length, or 0. */
static size_t parse_decimal(const char *text, size_t length, uint32_t max, uint32_t *out)
{
	uint32_t v = 0;
	size_t i = 0;

	for (; i < length && is_digit(text[i]); i++) {
		v = v * 10 + (uint32_t)(text[i] - '0');
		if (v > max || (i > 0 && text[0] == '0'))
			return 0;
	}
	*out = v;
	return i;
}

int plan_parse_ip(const char *text, size_t length, uint32_t *ip)
{
	size_t at = 0;

	*ip = 0;
	for (unsigned int octet = 0; octet < OCTETS; octet++) {
		uint32_t v;
		size_t n;

		if (octet) {
			if (at == length || text[at] != '.')
				return -EINVAL;
			at++;
		}
		n = parse_decimal(text + at, length - at, OCTET_MAX, &v);
		if (n == 0)
			return -EINVAL;
		at += n;
		*ip = *ip << 8 | v;
	}
	return at == length ? 0 : -EINVAL;
}

bool plan_ip_is_multicast(uint32_t ip)
{
	return ip >> 28 == 0xE;
}

/* Addresses that no datagram can be sent to: "this network", loopback, class E and broadcast. */
static bool unusable(uint32_t ip)
{
	return ip >> 24 == 0 || ip >> 24 == 127 || ip >> 28 == 0xF;
}

static int load_group(struct plan_loader *l, const json_t *value)
{
	struct atr_plan *plan = l->plan;
	const char *text = json_string_value(value);
	uint32_t ip;

	if (!text || plan_parse_ip(text, strlen(text), &ip) < 0 || !plan_ip_is_multicast(ip))
		return plan_fail(l, "must be an IPv4 multicast address like \"239.1.2.3\"");
	for (uint32_t i = 0; i < plan->group_count; i++)
		if (plan->groups[i] == ip)
			return plan_fail(l, "group is listed twice; remove one");
	plan->groups[plan->group_count++] = ip;
	return 0;
}

static int load_groups(struct plan_loader *l, const json_t *ingress)
{
	const json_t *groups;
	int ret = plan_read_array(l, ingress, "groups", false, PLAN_GROUPS_MAX, &groups);
	size_t mark;

	l->plan->groups = calloc(PLAN_GROUPS_MAX, sizeof(*l->plan->groups));
	if (!l->plan->groups)
		return plan_no_memory(l);
	if (ret < 0 || !groups)
		return ret;
	mark = plan_path_member(l, "groups");
	for (size_t i = 0; i < json_array_size(groups) && ret == 0; i++) {
		size_t element = plan_path_index(l, i);

		ret = load_group(l, json_array_get(groups, i));
		plan_path_cut(l, element);
	}
	plan_path_cut(l, mark);
	return ret;
}

int plan_load_ingress(struct plan_loader *l, const json_t *document)
{
	static const char *const known[] = {"udp_port", "groups", "envelope_bytes", NULL};
	const json_t *ingress = json_object_get(document, "ingress");
	size_t mark = plan_path_member(l, "ingress");
	uint64_t port = 0, envelope = ENVELOPE_BYTES;
	int ret = plan_members(l, ingress, known);

	if (ret == 0)
		ret = plan_read_uint(l, ingress, (struct plan_uint){"udp_port", 1, PORT_MAX, true},
				     &port);
	if (ret == 0)
		ret = plan_read_uint(l, ingress,
				     (struct plan_uint){"envelope_bytes", ENVELOPE_BYTES_MIN,
							ATR_DATAGRAM_MAX, false},
				     &envelope);
	if (ret == 0)
		ret = load_groups(l, ingress);
	l->plan->udp_port = (uint16_t)port;
	l->plan->envelope_bytes = (uint32_t)envelope;
	plan_path_cut(l, mark);
	return ret;
}

int plan_load_identity(struct plan_loader *l, const json_t *document)
{
	static const char *const known[] = {"uuid_past_ms", "uuid_future_ms", NULL};
	const json_t *identity = json_object_get(document, "identity");
	struct atr_plan *plan = l->plan;
	size_t mark;
	int ret;

	plan->uuid_past_ms = UUID_PAST_MS;
	plan->uuid_future_ms = UUID_FUTURE_MS;
	if (!identity)
		return 0;
	mark = plan_path_member(l, "identity");
	ret = plan_members(l, identity, known);
	if (ret == 0)
		ret = plan_read_uint(l, identity,
				     (struct plan_uint){"uuid_past_ms", 1, UUID_SPAN_MAX_MS, false},
				     &plan->uuid_past_ms);
	if (ret == 0)
		ret = plan_read_uint(
			l, identity,
			(struct plan_uint){"uuid_future_ms", 0, UUID_SPAN_MAX_MS, false},
			&plan->uuid_future_ms);
	plan_path_cut(l, mark);
	return ret;
}

static int load_to(struct plan_loader *l, const json_t *value, struct atr_dest *dest)
{
	const char *text, *colon;
	uint32_t port;
	size_t n;
	int ret = plan_read_string(l, value, "to", true, &text);

	if (ret < 0)
		return ret;
	colon = strchr(text, ':');
	if (!colon || plan_parse_ip(text, (size_t)(colon - text), &dest->ip) < 0 ||
	    unusable(dest->ip))
		return plan_fail_member(l, "to",
					"must be a usable IPv4 address and a port like "
					"\"10.0.0.2:5000\"");
	n = parse_decimal(colon + 1, strlen(colon + 1), PORT_MAX, &port);
	if (n == 0 || port == 0 || colon[1 + n] != '\0')
		return plan_fail_member(l, "to", "must end in a port from 1 to 65535");
	dest->port = (uint16_t)port;
	return 0;
}

static int load_dest(struct plan_loader *l, const json_t *value, struct atr_feed *feed)
{
	static const char *const known[] = {"to", "ttl", NULL};
	struct atr_dest dest = {0};
	uint64_t ttl;
	int ret = plan_members(l, value, known);

	if (ret == 0)
		ret = load_to(l, value, &dest);
	if (ret < 0)
		return ret;
	ttl = plan_ip_is_multicast(dest.ip) ? TTL_MULTICAST : TTL_UNICAST;
	ret = plan_read_uint(l, value, (struct plan_uint){"ttl", 1, TTL_MAX, false}, &ttl);
	if (ret < 0)
		return ret;
	dest.ttl = (uint8_t)ttl;
	for (unsigned int i = 0; i < feed->dest_count; i++)
		if (feed->dests[i].ip == dest.ip && feed->dests[i].port == dest.port)
			return plan_fail_member(l, "to",
						"the feed has this destination twice; "
						"remove one");
	feed->dests[feed->dest_count++] = dest;
	return 0;
}

static int load_dests(struct plan_loader *l, const json_t *value, struct atr_feed *feed)
{
	const json_t *dests;
	int ret = plan_read_array(l, value, "destinations", true, ATR_DESTS_MAX, &dests);
	size_t mark = plan_path_member(l, "destinations");

	for (size_t i = 0; ret == 0 && i < json_array_size(dests); i++) {
		size_t element = plan_path_index(l, i);

		ret = load_dest(l, json_array_get(dests, i), feed);
		plan_path_cut(l, element);
	}
	plan_path_cut(l, mark);
	return ret;
}

const char *atr_durability_name(enum atr_durability durability)
{
	static const char *const names[] = {[ATR_DURABILITY_NONE] = "none",
					    [ATR_DURABILITY_ASYNC] = "async",
					    [ATR_DURABILITY_COMMIT] = "commit"};

	return names[durability];
}

static int load_durability(struct plan_loader *l, const json_t *value, struct atr_feed *feed)
{
	const char *text;
	int ret = plan_read_string(l, value, "durability", true, &text);
	unsigned int class = ATR_DURABILITY_NONE;

	if (ret < 0)
		return ret;
	while (class <= ATR_DURABILITY_COMMIT && strcmp(atr_durability_name(class), text) != 0)
		class ++;
	if (class > ATR_DURABILITY_COMMIT)
		return plan_fail_member(l, "durability",
					"must be \"none\", \"async\" or \"commit\"");
	feed->durability = class;
	if (class == ATR_DURABILITY_COMMIT)
		l->plan->commit_feeds |= UINT64_C(1) << feed->id;
	return 0;
}

static int load_feed(struct plan_loader *l, const json_t *value)
{
	static const char *const known[] = {"id",         "name",         "level",
					    "durability", "destinations", NULL};
	uint64_t id = 0, level = 0;
	struct atr_feed *feed;
	int ret = plan_members(l, value, known);

	if (ret == 0)
		ret = plan_read_uint(l, value, (struct plan_uint){"id", 0, ATR_FEEDS_MAX - 1, true},
				     &id);
	if (ret < 0)
		return ret;
	feed = &l->plan->feeds[id];
	if (feed->present)
		return plan_fail_member(l, "id", "another feed has this id; ids are unique");
	feed->present = true;
	feed->id = (uint8_t)id;
	ret = plan_read_name(l, value, "name", PLAN_NAME_IDENTIFIER, feed->name);
	if (ret == 0 && plan_names_add(&l->plan->rules->feed_names, feed->name, feed->id) < 0)
		return plan_fail_member(l, "name", "another feed has this name; names are unique");
	if (ret == 0)
		ret = plan_read_uint(l, value, (struct plan_uint){"level", 0, ATR_LEVEL_MAX, false},
				     &level);
	feed->level = (uint8_t)level;
	if (ret == 0)
		ret = load_durability(l, value, feed);
	if (ret == 0)
		ret = load_dests(l, value, feed);
	return ret;
}

int plan_load_feeds(struct plan_loader *l, const json_t *document)
{
	struct atr_plan *plan = l->plan;
	const json_t *feeds;
	int ret = plan_read_array(l, document, "feeds", true, ATR_FEEDS_MAX, &feeds);
	size_t mark = plan_path_member(l, "feeds");

	if (ret == 0)
		ret = plan_id_slots(l, feeds, 0, ATR_FEEDS_MAX - 1, &plan->feed_slots);
	if (ret < 0)
		return ret;
	plan->feeds = calloc(plan->feed_slots + 1, sizeof(*plan->feeds));
	if (!plan->feeds || plan_names_init(&plan->rules->feed_names, json_array_size(feeds)) < 0)
		return plan_no_memory(l);
	for (size_t i = 0; i < json_array_size(feeds) && ret == 0; i++) {
		size_t element = plan_path_index(l, i);

		ret = load_feed(l, json_array_get(feeds, i));
		plan->feed_count++;
		plan_path_cut(l, element);
	}
	plan_path_cut(l, mark);
	return ret;
}
