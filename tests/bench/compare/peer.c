/* SPDX-License-Identifier: BSD-3-Clause */
/* Publishes numbered messages, or receives them and checks number, order, length and content. The
 * subscriber says "ready" when it has subscribed; the publisher says so when it has connected, and
 * begins with a line on standard input. Both end with one JSON object. */
#include "peer.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S  UINT64_C(1000000000)
#define IDLE_NS   (10 * NS_PER_S) /* without a message: what is missing is lost */
#define START_NS  (60 * NS_PER_S) /* until the first one */
#define MARK      UINT64_C(0x9e3779b97f4a7c15)
#define LETTERS   26
#define HEAD      16 /* number and mark; letters follow */
#define PACE_MASK 31 /* messages between two looks at the clock */

static const struct peer_system *const systems[] = {
	&peer_atr,
#ifdef COMPARE_HAS_NATS
	&peer_nats,   &peer_jetstream,
#endif
#ifdef COMPARE_HAS_REDIS
	&peer_redis,
#endif
#ifdef COMPARE_HAS_ZEROMQ
	&peer_zeromq,
#endif
};

static const struct peer_system *used;
static struct peer_options options;
static unsigned int payload;

/* Of a subscriber. */
static uint64_t taken, next, lost, disordered, damaged, first_ns, last_ns;

void peer_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "%s: ", options.system ? options.system : "compare_peer");
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

uint64_t peer_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint8_t letter(uint64_t number)
{
	return (uint8_t)('a' + number % LETTERS);
}

static void make(uint8_t *message, uint64_t number)
{
	uint64_t mark = number * MARK;

	memcpy(message, &number, sizeof(number));
	memcpy(message + sizeof(number), &mark, sizeof(mark));
	memset(message + HEAD, letter(number), payload - HEAD);
}

void peer_take(const void *message, size_t length)
{
	const uint8_t *bytes = message;
	uint64_t number, mark;

	if (length != payload) {
		damaged++;
		return;
	}
	memcpy(&number, bytes, sizeof(number));
	memcpy(&mark, bytes + sizeof(number), sizeof(mark));
	if (mark != number * MARK || bytes[HEAD] != letter(number) ||
	    bytes[payload - 1] != letter(number)) {
		damaged++;
		return;
	}
	if (number < next) {
		disordered++;
		return;
	}
	lost += number - next;
	next = number + 1;
	if (taken++ == 0)
		first_ns = peer_now_ns();
	if (next >= options.count)
		last_ns = peer_now_ns();
}

int peer_complete(void)
{
	return next >= options.count;
}

static void publish(void)
{
	uint8_t message[PEER_MESSAGE_MAX];
	uint64_t begin, sent;
	char line[8];

	used->publisher(&options);
	puts("ready");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		peer_die("nobody said when to begin");
	begin = peer_now_ns();
	for (uint64_t n = 0; n < options.count; n++) {
		if (options.rate && (n & PACE_MASK) == 0) {
			uint64_t due = begin + n * NS_PER_S / options.rate;

			for (uint64_t now; (now = peer_now_ns()) < due;)
				usleep((useconds_t)((due - now) / 1000));
		}
		make(message, n);
		used->publish(message, payload);
	}
	sent = peer_now_ns();
	used->settle();
	printf("{\"begin_ns\": %" PRIu64 ", \"sent_ns\": %" PRIu64 ", \"settled_ns\": %" PRIu64
	       "}\n",
	       begin, sent, peer_now_ns());
}

static void subscribe(void)
{
	uint64_t seen = 0, since = peer_now_ns();

	used->subscriber(&options);
	puts("ready");
	fflush(stdout);
	while (!peer_complete()) {
		used->receive();
		if (taken != seen) {
			seen = taken;
			since = peer_now_ns();
		} else if (peer_now_ns() - since > (taken ? IDLE_NS : START_NS)) {
			break;
		}
	}
	if (!peer_complete()) {
		lost += options.count - next;
		last_ns = peer_now_ns();
	}
	printf("{\"taken\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"disordered\": %" PRIu64
	       ", \"damaged\": %" PRIu64 ", \"first_ns\": %" PRIu64 ", \"last_ns\": %" PRIu64 "}\n",
	       taken, lost, disordered, damaged, first_ns, last_ns);
}

static void usage(void)
{
	fputs("usage: compare_peer publish|subscribe --system NAME --count N --size BYTES "
	      "--address HOST:PORT ...\n"
	      "One client of tests/bench/compare/compare, which starts it. Systems:",
	      stderr);
	for (size_t s = 0; s < sizeof(systems) / sizeof(*systems); s++)
		fprintf(stderr, " %s", systems[s]->name);
	fputc('\n', stderr);
	exit(2);
}

static uint64_t number(const char *text, uint64_t low, uint64_t high)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value < low || value > high)
		peer_die("%s is no number from %" PRIu64 " to %" PRIu64, text, low, high);
	return value;
}

static void parse(int argc, char **argv)
{
	static const struct option names[] = {{"system", required_argument, NULL, 's'},
					      {"address", required_argument, NULL, 'a'},
					      {"count", required_argument, NULL, 'n'},
					      {"size", required_argument, NULL, 'b'},
					      {"subscribers", required_argument, NULL, 'o'},
					      {"key", required_argument, NULL, 'k'},
					      {"acks-key", required_argument, NULL, 'q'},
					      {"outbox", required_argument, NULL, 'd'},
					      {"bind", required_argument, NULL, 'l'},
					      {"rate", required_argument, NULL, 'r'},
					      {0}};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 's': options.system = optarg; break;
		case 'a': options.address = optarg; break;
		case 'n': options.count = number(optarg, 1, UINT32_MAX); break;
		case 'b': options.size = (unsigned int)number(optarg, 64, PEER_MESSAGE_MAX); break;
		case 'o': options.others = (unsigned int)number(optarg, 1, 64); break;
		case 'k': options.key_file = optarg; break;
		case 'q': options.acks_key = optarg; break;
		case 'd': options.directory = optarg; break;
		case 'l': options.bind = optarg; break;
		case 'r': options.rate = (unsigned int)number(optarg, 0, UINT32_MAX); break;
		default: usage();
		}
	}
	if (!options.system || !options.address || !options.count || !options.size)
		usage();
}

int main(int argc, char **argv)
{
	if (argc < 2 || (strcmp(argv[1], "publish") != 0 && strcmp(argv[1], "subscribe") != 0))
		usage();
	parse(argc - 1, argv + 1);
	for (size_t s = 0; s < sizeof(systems) / sizeof(*systems); s++)
		if (strcmp(systems[s]->name, options.system) == 0)
			used = systems[s];
	if (!used)
		usage();
	payload = used->payload ? used->payload(options.size) : options.size;
	if (strcmp(argv[1], "publish") == 0)
		publish();
	else
		subscribe();
	return 0;
}
