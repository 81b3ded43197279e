/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_vect.h>

#include "../../lib/sign/sign.h"
#include "bench.h"
#include "traffic.h"

#define EVENT_MAX    4096
#define EVENT_LEAST  128 /* beyond a packet: what can be no inline payload */
#define MTU_MIN      600
#define MTU_MAX      9000
#define FRAMES_MAX   65536
#define NUMBER_MAX   24
#define WORD_MAX     32
#define WINDOW_MIN   2048
#define WINDOW_MAX   65536
#define PAGES_WANTED 512 /* of 2 MiB: what -m 1000 takes */
#define PAGES_FREE   "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"

enum option_code {
	OPT_FRAMES = 256,
	OPT_MTU,
	OPT_PASSES,
	OPT_TREE,
	OPT_TOPICS,
	OPT_RULES,
	OPT_SOURCES,
	OPT_FEEDS,
	OPT_FANOUT,
	OPT_EVENT,
	OPT_PAYLOAD,
	OPT_SHARDS,
	OPT_LOAD,
	OPT_VERIFIERS,
	OPT_WINDOW,
	OPT_DIRECTORY,
	OPT_BREAK,
	OPT_MIX,
	OPT_QUICK,
	OPT_JSON,
	OPT_ANY_BUILD,
	OPT_HELP,
};

static const struct option long_options[] = {
	{"frames", required_argument, NULL, OPT_FRAMES},
	{"mtu", required_argument, NULL, OPT_MTU},
	{"passes", required_argument, NULL, OPT_PASSES},
	{"tree", required_argument, NULL, OPT_TREE},
	{"topics", required_argument, NULL, OPT_TOPICS},
	{"rules", required_argument, NULL, OPT_RULES},
	{"sources", required_argument, NULL, OPT_SOURCES},
	{"feeds", required_argument, NULL, OPT_FEEDS},
	{"fanout", required_argument, NULL, OPT_FANOUT},
	{"event", required_argument, NULL, OPT_EVENT},
	{"payload", required_argument, NULL, OPT_PAYLOAD},
	{"shards", required_argument, NULL, OPT_SHARDS},
	{"load", required_argument, NULL, OPT_LOAD},
	{"verifiers", required_argument, NULL, OPT_VERIFIERS},
	{"window", required_argument, NULL, OPT_WINDOW},
	{"directory", required_argument, NULL, OPT_DIRECTORY},
	{"break", required_argument, NULL, OPT_BREAK},
	{"mix", no_argument, NULL, OPT_MIX},
	{"quick", no_argument, NULL, OPT_QUICK},
	{"json", optional_argument, NULL, OPT_JSON},
	{"any-build", no_argument, NULL, OPT_ANY_BUILD},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static const char help[] =
	"options (defaults in brackets; a command refuses those that mean nothing to it)\n"
	"  --passes N      measured passes; median, minimum and maximum are told [9]\n"
	"  --frames N      frames a pass, in whole trees [4096; 1024 beyond an MTU of 1,500]\n"
	"  --mtu N         600..9000; a frame fills a packet [1500]\n"
	"  --tree N        frames that share a signature, 1..1024 [256]\n"
	"  --topics N --rules N --sources N --feeds N\n"
	"                  size of the plan; traffic is spread over all of it [1 each]\n"
	"  --fanout N      feeds that each message goes to [1]\n"
	"  --mix           topics change from event to event instead of from frame to frame\n"
	"  --event N       bytes of an event in a frame, its header included: 64, or 128 to 4096;\n"
	"                  beyond 64 the rest is text, which is checked (tier3, class-d) [64]\n"
	"  --payload N     bytes of a JSON payload (tier1) [64]\n"
	"  --load N        percent of the ceiling (latency) [50]\n"
	"  --window N      sequences that a source is remembered [65536; 2048 of many sources]\n"
	"  --shards N      data lcores [all that EAL has beside the main lcore]\n"
	"  --verifiers N   lcores that check signatures beside the control lcore [0]\n"
	"  --quick         as little as shows that it works: figures mean nothing\n"
	"  --json[=FILE]   results as JSON, to standard output or FILE\n"
	"  --directory D   where temporary files go; class-d needs 3 GiB on the disk that it is "
	"to\n"
	"                  measure [TMPDIR, or " P_tmpdir "]\n"
	"  --any-build     measure a debug or sanitizer build, too\n"
	"\n"
	"Behind `--`: EAL options. Without any: -l 0,1 --in-memory --no-pci -m 1000, in 2 MiB "
	"pages\n"
	"where 512 are free (echo 512 > /proc/sys/vm/nr_hugepages), else --no-huge, which the\n"
	"result names.\n";

void bench_die(const char *what)
{
	fprintf(stderr, "atr-bench: %s\n", what);
	exit(1);
}

void bench_progress(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("atr-bench: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

static int number(const char *name, const char *text, unsigned int low, unsigned int high,
		  unsigned int *out)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value < low || value > high) {
		fprintf(stderr, "atr-bench: --%s %s: choose %u to %u\n", name, text, low, high);
		return -1;
	}
	*out = (unsigned int)value;
	return 0;
}

/* One packet, or a packet and more payload than it holds. */
static int event_size(const char *text, unsigned int *out)
{
	if (number("event", text, ATR_PACKET_SIZE, EVENT_MAX, out) < 0)
		return -1;
	if (*out > ATR_PACKET_SIZE && *out < EVENT_LEAST) {
		fprintf(stderr, "atr-bench: --event %s: choose 64, or 128 to 4096\n", text);
		return -1;
	}
	return 0;
}

/* For tests: not in the help. */
static int break_kind(const char *text, enum bench_break *out)
{
	static const char *const names[] = {
		[BREAK_LOSE] = "lose", [BREAK_ALTER] = "alter", [BREAK_FORGE] = "forge"};

	for (unsigned int k = BREAK_LOSE; k <= BREAK_FORGE; k++)
		if (strcmp(text, names[k]) == 0) {
			*out = k;
			return 0;
		}
	fprintf(stderr, "atr-bench: --break %s: choose lose, alter or forge\n", text);
	return -1;
}

static int option(struct bench_config *c, int code, const char *v)
{
	switch (code) {
	case OPT_FRAMES: return number("frames", v, 1, FRAMES_MAX, &c->frames);
	case OPT_MTU: return number("mtu", v, MTU_MIN, MTU_MAX, &c->mtu);
	case OPT_PASSES: return number("passes", v, 1, BENCH_PASSES_MAX, &c->passes);
	case OPT_TREE: return number("tree", v, 1, BENCH_TREE_MAX, &c->tree);
	case OPT_TOPICS: return number("topics", v, 1, 65535, &c->topics);
	case OPT_RULES: return number("rules", v, 1, 65536, &c->rules);
	case OPT_SOURCES: return number("sources", v, 1, 65534, &c->sources);
	case OPT_FEEDS: return number("feeds", v, 1, 64, &c->feeds);
	case OPT_FANOUT: return number("fanout", v, 1, 64, &c->fanout);
	case OPT_EVENT: return event_size(v, &c->event);
	case OPT_PAYLOAD: return number("payload", v, 16, 4096, &c->payload);
	case OPT_SHARDS: return number("shards", v, 1, BENCH_SHARDS_MAX, &c->shards);
	case OPT_LOAD: return number("load", v, 1, 95, &c->load);
	case OPT_VERIFIERS: return number("verifiers", v, 0, 15, &c->verifiers);
	case OPT_WINDOW: return number("window", v, WINDOW_MIN, WINDOW_MAX, &c->window);
	case OPT_DIRECTORY: c->directory = v; return 0;
	case OPT_BREAK: return break_kind(v, &c->breaks);
	case OPT_MIX: c->mix = true; return 0;
	case OPT_QUICK: c->quick = true; return 0;
	case OPT_JSON:
		c->json = true;
		c->json_file = v;
		return 0;
	case OPT_ANY_BUILD: c->any_build = true; return 0;
	default: return -1;
	}
}

/* Defaults that depend on other options; whole trees. */
static int complete(struct bench_config *c)
{
	if (c->fanout > c->feeds) {
		fprintf(stderr, "atr-bench: --fanout %u: there are only %u feeds; raise --feeds\n",
			c->fanout, c->feeds);
		return -1;
	}
	if (traffic_events(c) == 0) {
		fprintf(stderr,
			"atr-bench: --event %u does not fit a frame of --mtu %u; raise --mtu\n",
			c->event, c->mtu);
		return -1;
	}
	if (c->frames == 0)
		c->frames = c->mtu > 1500 ? 1024 : 4096;
	if (c->quick)
		c->frames = c->frames < 512 ? c->frames : 512;
	if (c->frames < c->tree)
		c->frames = c->tree;
	c->frames -= c->frames % c->tree;
	if (c->passes == 0)
		c->passes = c->quick ? 2 : 9;
	if (c->rules < c->topics)
		c->rules = c->topics;
	if (!c->directory)
		c->directory = getenv("TMPDIR");
	if (!c->directory || !*c->directory)
		c->directory = P_tmpdir;
	return 0;
}

/* Beside those that all take. */
static const struct {
	const char *command, *options;
} own_options[] = {
	{"tier1", " payload mtu "},
	{"roots", " verifiers "},
	{"tier3",
	 " frames mtu tree topics rules sources feeds fanout mix event window shards verifiers "},
	{"class-d",
	 " frames mtu tree topics rules sources feeds fanout mix event window verifiers "},
	{"latency", " load mtu tree topics rules sources feeds fanout mix event window verifiers "},
	{"cores", " shards "},
};

static bool takes(const char *command, const char *name)
{
	static const char all[] = " passes quick json any-build directory break help ";
	char word[WORD_MAX];

	snprintf(word, sizeof(word), " %s ", name);
	if (strstr(all, word))
		return true;
	for (size_t i = 0; i < sizeof(own_options) / sizeof(own_options[0]); i++)
		if (strcmp(own_options[i].command, command) == 0)
			return strstr(own_options[i].options, word);
	return false;
}

int bench_config_parse(int argc, char **argv, const char *command, struct bench_config *config)
{
	int c, which = 0;

	*config = (struct bench_config){.mtu = 1500,
					.tree = 256,
					.topics = 1,
					.rules = 1,
					.sources = 1,
					.feeds = 1,
					.fanout = 1,
					.event = ATR_PACKET_SIZE,
					.payload = 64,
					.load = 50};
	optind = 1;
	while ((c = getopt_long(argc, argv, "+", long_options, &which)) != -1) {
		if (c == OPT_HELP) {
			printf("usage: atr-bench %s [options] [-- EAL options]\n\n%s", command,
			       help);
			return 1;
		}
		if (c == '?')
			return -1;
		if (!takes(command, long_options[which].name)) {
			fprintf(stderr,
				"atr-bench: %s takes no --%s, its rows have their own; give it to "
				"a "
				"command that does, as its --help says\n",
				command, long_options[which].name);
			return -1;
		}
		if (option(config, c, optarg) < 0)
			return -1;
	}
	if (optind < argc && strcmp(argv[optind - 1], "--") != 0) {
		fprintf(stderr,
			"atr-bench: %s is no option of %s; give a value as --option=VALUE, and EAL "
			"options behind `--`\n",
			argv[optind], command);
		return -1;
	}
	for (int i = optind; i < argc; i++) {
		if (config->eal_count == BENCH_EAL_MAX - 2) {
			fprintf(stderr, "atr-bench: too many EAL options\n");
			return -1;
		}
		config->eal[config->eal_count++] = argv[i];
	}
	return complete(config);
}

static unsigned int free_pages(void)
{
	FILE *file = fopen(PAGES_FREE, "r");
	char line[NUMBER_MAX] = "";

	if (!file)
		return 0;
	if (!fgets(line, sizeof(line), file))
		*line = '\0';
	fclose(file);
	return (unsigned int)strtoul(line, NULL, 10);
}

void bench_eal_defaults(struct bench_config *config, char *lcores)
{
	static char option[] = "--lcores", pci[] = "--no-pci", memory[] = "-m", mib[] = "1000";
	static char huge[] = "--in-memory", none[] = "--no-huge", alone[] = "--no-shconf",
		    telemetry[] = "--no-telemetry";
	static char widest[] = "--force-max-simd-bitwidth=512", log[] = "--log-level=lib.eal:error";

	config->no_huge = free_pages() < PAGES_WANTED;
	config->eal[config->eal_count++] = option;
	config->eal[config->eal_count++] = lcores;
	/* As --in-memory, beside other programs that run on EAL. */
	if (config->no_huge)
		config->eal[config->eal_count++] = alone;
	config->eal[config->eal_count++] = config->no_huge ? none : huge;
	config->eal[config->eal_count++] = pci;
	config->eal[config->eal_count++] = memory;
	config->eal[config->eal_count++] = mib;
	config->eal[config->eal_count++] = telemetry;
	config->eal[config->eal_count++] = widest;
	config->eal[config->eal_count++] = log;
}

void bench_eal_start(struct bench_config *config)
{
	static char name[] = "atr-bench", two[] = "0,1";
	char *args[BENCH_EAL_MAX + 2];
	int count = 0;

	if (config->eal_count == 0)
		bench_eal_defaults(config, two);
	args[count++] = name;
	for (int i = 0; i < config->eal_count; i++) {
		config->no_huge = config->no_huge || strcmp(config->eal[i], "--no-huge") == 0;
		args[count++] = config->eal[i];
	}
	args[count] = NULL;
	if (rte_eal_init(count, args) < 0 || atr_sign_init() < 0)
		bench_die("EAL does not start; its reason is above. Without 2 MiB pages: -- -l 0,1 "
			  "--no-huge --no-shconf --no-pci -m 1000");
	rte_vect_set_max_simd_bitwidth(512); /* unless EAL was told otherwise, as atr does */
}
