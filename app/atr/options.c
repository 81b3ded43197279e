/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include "../../lib/bridge/bridge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLUSH_US_MAX 1000000
#define MTU_MIN      576
#define MTU_MAX      9000
#define HOLD_MAX     (1u << 20)
#define VLAN_ID_MAX  4094
#define DRAIN_MS_MAX 60000

/* A start finds twice as many groups that may be unpublished. */
#define LOG_BUFFERS_MAX 32
#define SEGMENT_MIN     (UINT64_C(4) << 20)
#define COMMIT_BYTES_MAX                                                         \
	1000000 /* a group of more has no room for the next frame and its commit \
		 */
#define COMMIT_US_MAX 1000000

enum {
	OPT_PIPELINE = 256,
	OPT_CHECK,
	OPT_ADDR,
	OPT_NEIGH,
	OPT_SHARDS,
	OPT_VERIFIERS,
	OPT_STATE,
	OPT_DURABILITY,
	OPT_LOG,
	OPT_LOG_ENGINE,
	OPT_SEGMENT,
	OPT_LOG_BUFFERS,
	OPT_COMMIT_BYTES,
	OPT_COMMIT_US,
	OPT_ANCHOR,
	OPT_SNAPSHOT_EVENTS,
	OPT_STATE_KEYS,
	OPT_RETAIN,
	OPT_QUARANTINE,
	OPT_QUARANTINE_BYTES,
	OPT_QUARANTINE_FILES,
	OPT_QUARANTINE_RATE,
	OPT_FLUSH,
	OPT_MTU,
	OPT_HOLD,
	OPT_ROOTS,
	OPT_IDENTITIES,
	OPT_FEED_PORT,
	OPT_DRAIN,
	OPT_HELP,
	OPT_VERSION
};

static const struct option long_options[] = {
	{"pipeline", required_argument, NULL, OPT_PIPELINE},
	{"check", no_argument, NULL, OPT_CHECK},
	{"addr", required_argument, NULL, OPT_ADDR},
	{"neigh", required_argument, NULL, OPT_NEIGH},
	{"shards", required_argument, NULL, OPT_SHARDS},
	{"verifiers", required_argument, NULL, OPT_VERIFIERS},
	{"state", required_argument, NULL, OPT_STATE},
	{"durability", required_argument, NULL, OPT_DURABILITY},
	{"log", required_argument, NULL, OPT_LOG},
	{"log-engine", required_argument, NULL, OPT_LOG_ENGINE},
	{"log-segment-bytes", required_argument, NULL, OPT_SEGMENT},
	{"log-buffers", required_argument, NULL, OPT_LOG_BUFFERS},
	{"commit-bytes", required_argument, NULL, OPT_COMMIT_BYTES},
	{"commit-us", required_argument, NULL, OPT_COMMIT_US},
	{"anchor", required_argument, NULL, OPT_ANCHOR},
	{"snapshot-events", required_argument, NULL, OPT_SNAPSHOT_EVENTS},
	{"state-keys", required_argument, NULL, OPT_STATE_KEYS},
	{"retain-bytes", required_argument, NULL, OPT_RETAIN},
	{"quarantine", required_argument, NULL, OPT_QUARANTINE},
	{"quarantine-bytes", required_argument, NULL, OPT_QUARANTINE_BYTES},
	{"quarantine-files", required_argument, NULL, OPT_QUARANTINE_FILES},
	{"quarantine-rate", required_argument, NULL, OPT_QUARANTINE_RATE},
	{"flush-us", required_argument, NULL, OPT_FLUSH},
	{"mtu", required_argument, NULL, OPT_MTU},
	{"hold", required_argument, NULL, OPT_HOLD},
	{"roots", required_argument, NULL, OPT_ROOTS},
	{"identities", required_argument, NULL, OPT_IDENTITIES},
	{"feed-port", required_argument, NULL, OPT_FEED_PORT},
	{"drain-ms", required_argument, NULL, OPT_DRAIN},
	{"help", no_argument, NULL, OPT_HELP},
	{"version", no_argument, NULL, OPT_VERSION},
	{NULL, 0, NULL, 0},
};

static const char help[] =
	"atr - admits signed events off NIC rings through five gates, and publishes feeds\n"
	"\n"
	"usage: atr [EAL options] -- --pipeline FILE --addr PORT=IP/LENGTH ... [options]\n"
	"       atr --check --pipeline FILE\n"
	"\n"
	"EAL options choose lcores, memory and ports (`atr -h` would be EAL's; see DPDK's guide).\n"
	"The main lcore is the control lcore, every other lcore a data lcore (--verifiers takes "
	"some\n"
	"away): -l 0,1 is the least.\n"
	"\n"
	"plan\n"
	"  --pipeline FILE       the plan: sources, types, topics, rules, feeds "
	"(docs/pipeline.md).\n"
	"                        It begins an empty log; afterwards the plan comes from the log,\n"
	"                        and another FILE is refused. With neither everything is refused\n"
	"                        with no_plan.\n"
	"  --check               load the plan, say what it holds or what is wrong, and end\n"
	"\n"
	"ports\n"
	"  --addr PORT=IP/LENGTH[@VLAN][,gw=IP]\n"
	"                        address of a port (its number or name); one for every port\n"
	"  --neigh IP=MAC        a next hop that is not to be asked for by ARP; repeatable\n"
	"  --mtu N               MTU of all ports, 576..9000 (default: the port's own)\n"
	"\n"
	"data path\n"
	"  --shards N            shards (default: one a data lcore)\n"
	"  --verifiers N         the last N lcores verify roots beside the control lcore, which\n"
	"                        alone does about 20,000 a second (default 0)\n"
	"  --flush-us N          longest time a feed packet waits for more messages (default 50)\n"
	"  --hold N              frames a shard holds for unproven roots (default 4096)\n"
	"  --roots N             unproven roots a shard has under way (default 1024)\n"
	"  --identities N        envelopes remembered (default 262144)\n"
	"  --feed-port N         UDP source port of feeds (default 26401)\n"
	"  --drain-ms N          longest time given to what is under way when stopped; what is "
	"left\n"
	"                        over is refused with shutdown (default 2000)\n"
	"\n"
	"log\n"
	"  --durability CLASS    commit (default): written and synced before it is published or\n"
	"                        acknowledged; async: logged, nobody waits; none: no log. Only\n"
	"                        commit acknowledges; a feed's class is the weaker of this and of\n"
	"                        the plan's\n"
	"  --log DIR             the event log, one directory a shard (default STATE/log)\n"
	"  --anchor DIR          on another file system: the newest checkpoint is kept there "
	"before\n"
	"                        what it covers is published or acknowledged; a start refuses a "
	"log\n"
	"                        that contradicts it\n"
	"  --commit-us N         longest time a group waits for more while others are under way\n"
	"                        (default 1000); with none under way it never waits, and with "
	"half\n"
	"                        of the buffers under way until it is full\n"
	"  --commit-bytes N      a group of so many bytes is written at once (default 1000000)\n"
	"  --log-buffers N       groups a shard can have under way, a power of two (default 32)\n"
	"  --log-segment-bytes N size of a log file (default 268435456)\n"
	"  --log-engine NAME     io_uring or pwritev2 (default: the best that works)\n"
	"  --snapshot-events N   a shard's state is saved each N events, and at a clean stop; a\n"
	"                        start reads the log from the newest snapshot on (at least 1000,\n"
	"                        default 50000000)\n"
	"  --state-keys N        keys of state that a shard keeps (default 1000000)\n"
	"  --retain-bytes N      log that a shard keeps whole; older segments below two snapshots\n"
	"                        give up their entries and keep the hashes (default 0: all)\n"
	"\n"
	"files\n"
	"  --state DIR           keys, epoch and sequence high-waters (default /var/lib/atr)\n"
	"  --quarantine DIR      pcapng and audit of what was refused (default STATE/quarantine)\n"
	"  --quarantine-bytes N  largest file, in bytes (default 67108864)\n"
	"  --quarantine-files N  files kept of each kind (default 8)\n"
	"  --quarantine-rate N   packets written a second (default 10000)\n"
	"\n"
	"  --help, --version\n"
	"\n"
	"example, without hugepages, on a TAP port:\n"
	"  atr -l 0,1 --no-huge -m 512 --no-pci --vdev net_tap0,iface=atr0 -- \\\n"
	"      --pipeline pipelines/minimal.json --addr 0=10.77.0.1/24 --state ./state\n"
	"\n"
	"The running appliance is asked with atrctl, or dpdk-telemetry.py: /atr/status, ...\n";

static int wrong(const char *option, const char *value, const char *remedy)
{
	fprintf(stderr, "atr: --%s %s: %s\n", option, value, remedy);
	return -EINVAL;
}

static int number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || *out < min || *out > max) {
		fprintf(stderr, "atr: --%s %s: give a number from %llu to %llu\n", option, text,
			(unsigned long long)min, (unsigned long long)max);
		return -EINVAL;
	}
	return 0;
}

static int small(const char *option, const char *text, unsigned int min, unsigned int max,
		 unsigned int *out)
{
	uint64_t value;
	int rc = number(option, text, min, max, &value);

	if (rc == 0)
		*out = (unsigned int)value;
	return rc;
}

static bool address(const char *text, uint32_t *ip)
{
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) != 1)
		return false;
	*ip = ntohl(in.s_addr);
	return true;
}

static int addr(struct options *options, const char *value)
{
	static const char form[] = "give PORT=IP/LENGTH[@VLAN][,gw=IP], such as 0=10.0.0.1/24";
	struct port_option *port = &options->port[options->port_count];
	char text[128], *ip, *length, *gw, *vlan, *end;
	unsigned long n;

	if (options->port_count == ATR_PORTS_MAX)
		return wrong("addr", value, "at most 8 ports are served");
	if (strlen(value) >= sizeof(text))
		return wrong("addr", value, form);
	strcpy(text, value);
	*port = (struct port_option){.vlan = ATR_VLAN_NONE};
	ip = strchr(text, '=');
	if (!ip || ip == text || (size_t)(ip - text) >= sizeof(port->port))
		return wrong("addr", value, form);
	*ip++ = '\0';
	strcpy(port->port, text);
	gw = strstr(ip, ",gw=");
	if (gw) {
		*gw = '\0';
		if (!address(gw + 4, &port->gateway))
			return wrong("addr", value, form);
	}
	vlan = strchr(ip, '@');
	if (vlan) {
		*vlan++ = '\0';
		n = strtoul(vlan, &end, 10);
		if (end == vlan || *end || n < 1 || n > VLAN_ID_MAX)
			return wrong("addr", value, "VLAN ids are 1 to 4094");
		port->vlan = (uint16_t)n;
	}
	length = strchr(ip, '/');
	if (!length)
		return wrong("addr", value, form);
	*length++ = '\0';
	n = strtoul(length, &end, 10);
	if (end == length || *end || n < 1 || n > 32 || !address(ip, &port->ip) || port->ip == 0 ||
	    atr_net_is_multicast(port->ip))
		return wrong("addr", value, form);
	port->prefix_length = (uint8_t)n;
	options->port_count++;
	return 0;
}

static int neigh(struct options *options, const char *value)
{
	static const char form[] = "give IP=MAC, such as 10.0.0.2=02:00:00:00:00:02";
	struct neighbour_option *n = &options->neighbour[options->neighbour_count];
	char text[64], *mac;

	if (options->neighbour_count == OPTIONS_NEIGHBOURS_MAX)
		return wrong("neigh", value, "at most 64 fixed neighbours");
	if (strlen(value) >= sizeof(text))
		return wrong("neigh", value, form);
	strcpy(text, value);
	mac = strchr(text, '=');
	if (!mac)
		return wrong("neigh", value, form);
	*mac++ = '\0';
	if (!address(text, &n->ip) || rte_ether_unformat_addr(mac, &n->mac) < 0)
		return wrong("neigh", value, form);
	options->neighbour_count++;
	return 0;
}

static int durability(const char *value, enum atr_durability *out)
{
	for (unsigned int d = ATR_DURABILITY_NONE; d <= ATR_DURABILITY_COMMIT; d++) {
		*out = d;
		if (strcmp(value, atr_durability_name(d)) == 0)
			return 0;
	}
	return wrong("durability", value, "give none, async or commit");
}

static int engine(const char *value, const char **out)
{
	*out = value;
	if (strcmp(value, "io_uring") == 0 || strcmp(value, "pwritev2") == 0)
		return 0;
	return wrong("log-engine", value, "give io_uring or pwritev2");
}

static int buffers(const char *value, unsigned int *out)
{
	int rc = small("log-buffers", value, 2, LOG_BUFFERS_MAX, out);

	if (rc == 0 && (*out & (*out - 1)) != 0)
		rc = wrong("log-buffers", value, "give a power of two");
	return rc;
}

static int log_option(struct options *o, int c, const char *v)
{
	switch (c) {
	case OPT_DURABILITY: return durability(v, &o->durability);
	case OPT_LOG: o->log = v; return 0;
	case OPT_LOG_ENGINE: return engine(v, &o->log_engine);
	case OPT_SEGMENT:
		return number("log-segment-bytes", v, SEGMENT_MIN, UINT64_C(1) << 40,
			      &o->segment_bytes);
	case OPT_LOG_BUFFERS: return buffers(v, &o->log_buffers);
	case OPT_COMMIT_BYTES:
		return small("commit-bytes", v, 4096, COMMIT_BYTES_MAX, &o->commit_bytes);
	case OPT_COMMIT_US: return small("commit-us", v, 0, COMMIT_US_MAX, &o->commit_us);
	case OPT_ANCHOR: o->anchor = v; return 0;
	case OPT_SNAPSHOT_EVENTS:
		return number("snapshot-events", v, 1000, UINT64_C(1) << 48, &o->snapshot_events);
	case OPT_STATE_KEYS: return number("state-keys", v, 1, UINT64_C(1) << 32, &o->state_keys);
	case OPT_RETAIN: return number("retain-bytes", v, 0, UINT64_C(1) << 60, &o->retain_bytes);
	default: return -EINVAL;
	}
}

static int option(struct options *o, int c, const char *v)
{
	switch (c) {
	case OPT_PIPELINE: o->pipeline = v; return 0;
	case OPT_CHECK: o->check = true; return 0;
	case OPT_ADDR: return addr(o, v);
	case OPT_NEIGH: return neigh(o, v);
	case OPT_SHARDS: return small("shards", v, 1, ATR_SHARDS_MAX, &o->shards);
	case OPT_VERIFIERS: return small("verifiers", v, 0, ATR_VERIFIERS_MAX, &o->verifiers);
	case OPT_STATE: o->state = v; return 0;
	case OPT_QUARANTINE: o->quarantine = v; return 0;
	case OPT_QUARANTINE_BYTES:
		return number("quarantine-bytes", v, 1 << 16, UINT64_C(1) << 40,
			      &o->quarantine_bytes);
	case OPT_QUARANTINE_FILES:
		return small("quarantine-files", v, 1, 1000, &o->quarantine_files);
	case OPT_QUARANTINE_RATE:
		return number("quarantine-rate", v, 1, 10000000, &o->quarantine_rate);
	case OPT_FLUSH: return small("flush-us", v, 0, FLUSH_US_MAX, &o->flush_us);
	case OPT_MTU: return small("mtu", v, MTU_MIN, MTU_MAX, &o->mtu);
	case OPT_HOLD: return small("hold", v, 64, HOLD_MAX, &o->hold);
	case OPT_ROOTS: return small("roots", v, 16, 4096, &o->roots);
	case OPT_IDENTITIES: return small("identities", v, 1024, 1u << 26, &o->identities);
	case OPT_DRAIN: return small("drain-ms", v, 0, DRAIN_MS_MAX, &o->drain_ms);
	case OPT_FEED_PORT: return small("feed-port", v, 1, UINT16_MAX, &o->feed_port);
	default: return log_option(o, c, v);
	}
}

static int misused(int c, const char *text)
{
	if (c == ':')
		fprintf(stderr, "atr: %s: needs a value; `atr --help` explains the options\n",
			text);
	else
		fprintf(stderr, "atr: %s: not an option; `atr --help` explains the options\n",
			text);
	return -EINVAL;
}

int options_parse(int argc, char **argv, struct options *options)
{
	int c, rc;

	*options = (struct options){
		.state = "/var/lib/atr",
		.flush_us = 50,
		.hold = 4096,
		.roots = 1024,
		.identities = 262144,
		.feed_port = 26401,
		.drain_ms = 2000,
		.durability = ATR_DURABILITY_COMMIT,
		.segment_bytes = UINT64_C(256) << 20,
		.log_buffers = 32,
		.commit_bytes = 1000000,
		.commit_us = 1000,
		.snapshot_events = 50000000,
		.quarantine_bytes = UINT64_C(64) << 20,
		.quarantine_files = 8,
		.quarantine_rate = 10000,
	};
	optind = 1;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (c == OPT_HELP) {
			fputs(help, stdout);
			return 1;
		}
		if (c == OPT_VERSION) {
			printf("atr %s\n", ATR_VERSION);
			return 1;
		}
		if (c == '?' || c == ':')
			return misused(c, argv[optind - 1]);
		rc = option(options, c, optarg);
		if (rc < 0) {
			fprintf(stderr, "atr: `atr --help` explains the options\n");
			return rc;
		}
	}
	if (optind < argc)
		return misused('?', argv[optind]);
	return 0;
}

const char *options_before_separator(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		size_t length = strncmp(argv[i], "--", 2) == 0 ? strcspn(argv[i] + 2, "=") : 0;

		for (const struct option *o = long_options; length > 0 && o->name; o++)
			if (strlen(o->name) == length && !strncmp(argv[i] + 2, o->name, length))
				return o->name;
	}
	return NULL;
}

bool options_without_eal(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "--version") == 0 ||
		    strcmp(argv[i], "--check") == 0)
			return true;
	return false;
}
