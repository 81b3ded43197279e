/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pcap/dlt.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/pcapng/pcapng.h"
#include "../../lib/reason/reason.h"
#include "capture.h"
#include "command.h"
#include "event_line.h"
#include "option.h"
#include "output.h"

#define RATE_DEFAULT 1000 /* datagrams a second */
#define RATE_MAX     100000000

static const struct usage usage = {
	"putback FILE --to IP:PORT [--reason NAME] [--rate N] [--dry-run] [--json]",
	"Sends what is in a quarantine file (pcapng) to the appliance again, the same bytes,\n"
	"through Ingress and every gate: what was refused for a cause that is gone (a plan that\n"
	"did not know the source yet, overload, a full disk) is admitted now, all else is\n"
	"refused once more, and what was admitted meanwhile is a duplicate. Nothing is signed\n"
	"anew and no gate is passed by. --reason chooses datagrams by the reason that their\n"
	"comment names; copy the file first where the appliance may rotate it away.",
	"  atrctl putback quarantine/quarantine-000001.pcapng --to 10.77.0.1:26400 --dry-run\n"
	"  atrctl putback q.pcapng --to 10.77.0.1:26400 --reason unknown_source",
};

struct putback {
	const char *path, *reason;
	struct output_params params;
	struct output output;
	bool dry_run, json;
	uint64_t packets, other, chosen, bytes;
};

/* The reason stands in the comment as a word of its own. */
static bool is_chosen(const struct putback *p, const struct atr_pcapng_packet *packet)
{
	size_t n;
	const char *at = packet->comment, *end = at ? at + packet->comment_length : NULL;

	if (!p->reason)
		return true;
	n = strlen(p->reason);
	while (at && (size_t)(end - at) >= n) {
		const char *found = memmem(at, (size_t)(end - at), p->reason, n);

		if (!found)
			return false;
		if (found > packet->comment && found[-1] == ' ' &&
		    (found + n == end || found[n] == ' ' || found[n] == ';'))
			return true;
		at = found + 1;
	}
	return false;
}

static void put_back(struct putback *p, const struct atr_pcapng_packet *packet)
{
	struct capture_flow flow;
	const uint8_t *data;
	size_t length;

	p->packets++;
	if (!is_chosen(p, packet))
		return;
	if (capture_find(DLT_EN10MB, packet->data, packet->length, &flow, &data, &length) != 0) {
		p->other++;
		return;
	}
	p->chosen++;
	p->bytes += length;
	if (!p->dry_run)
		output_put(&p->output, data, length);
}

static int read_file(struct putback *p, char *error, size_t size)
{
	FILE *file = fopen(p->path, "re");
	struct atr_pcapng *reader;
	struct atr_pcapng_packet packet;
	int rc;

	if (!file) {
		snprintf(error, size, "%s: %s; give a quarantine file", p->path, strerror(errno));
		return -errno;
	}
	reader = atr_pcapng_create(file);
	rc = reader ? 0 : -ENOMEM;
	if (!reader)
		snprintf(error, size, "out of memory");
	while (reader && (rc = atr_pcapng_next(reader, &packet, error, size)) == 1)
		put_back(p, &packet);
	atr_pcapng_free(reader);
	fclose(file);
	return rc;
}

static int report(const struct putback *p, int rc, const char *error)
{
	bool failed = p->output.failed > 0 || rc < 0;

	if (p->json) {
		printf("{\"packets\":%llu,\"chosen\":%llu,\"sent\":%llu,\"not_udp\":%llu,"
		       "\"failed\":%llu,\"whole\":%s}\n",
		       (unsigned long long)p->packets, (unsigned long long)p->chosen,
		       (unsigned long long)p->output.sent, (unsigned long long)p->other,
		       (unsigned long long)p->output.failed, rc < 0 ? "false" : "true");
	} else {
		printf("%llu packets, %llu chosen (%llu bytes), %s%llu; %llu chosen ones hold no "
		       "UDP datagram\n",
		       (unsigned long long)p->packets, (unsigned long long)p->chosen,
		       (unsigned long long)p->bytes, p->dry_run ? "would send " : "sent ",
		       (unsigned long long)(p->dry_run ? p->chosen : p->output.sent),
		       (unsigned long long)p->other);
	}
	if (rc < 0)
		return failure("putback", "%s: %s", p->path, error);
	if (p->output.failed > 0)
		return failure("putback", "%s", p->output.error);
	return failed ? EXIT_NEGATIVE : EXIT_OK;
}

static int check(const struct putback *p)
{
	if (!p->path)
		return usage_error("putback", "give a quarantine file");
	if (!p->params.to.given && !p->dry_run)
		return usage_error("putback",
				   "give --to IP:PORT, the appliance's ingress, or --dry-run");
	if (p->reason && atr_reason_by_name(p->reason) == ATR_OK)
		return usage_error("putback",
				   "--reason %s: no such reason; the quarantine's comments and "
				   "'atrctl stats' name them",
				   p->reason);
	return EXIT_OK;
}

int cmd_putback(int argc, char **argv)
{
	struct putback p = {.params = {.rate = {.value = RATE_DEFAULT, .given = true}}};
	const struct option table[] = {
		{"", "FILE", "a quarantine file (pcapng)", OPTION_STRING, &p.path, 0, 0},
		{"--to", "IP:PORT", "the appliance's ingress", OPTION_ADDRESS, &p.params.to, 0, 0},
		{"--reason", "NAME", "those alone that were refused for this reason", OPTION_STRING,
		 &p.reason, 0, 0},
		{"--rate", "N", "datagrams a second (default 1000)", OPTION_U64, &p.params.rate, 1,
		 RATE_MAX},
		{"--dry-run", NULL, "count, send nothing", OPTION_FLAG, &p.dry_run, 0, 0},
		{"--json", NULL, "the closing line as JSON", OPTION_FLAG, &p.json, 0, 0},
		{NULL, NULL, NULL, OPTION_FLAG, NULL, 0, 0},
	};
	char error[ERROR_SIZE] = "";
	int rc, err = options_parse(&usage, table, argc, argv);

	if (err)
		return err > 0 ? EXIT_OK : EXIT_USAGE;
	err = check(&p);
	if (err)
		return err;
	if (!p.dry_run && output_open(&p.output, &p.params, error) < 0)
		return failure("putback", "%s", error);
	rc = read_file(&p, error, sizeof(error));
	if (!p.dry_run) {
		output_flush(&p.output);
		output_close(&p.output);
	}
	return report(&p, rc, error);
}
