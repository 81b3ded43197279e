/* SPDX-License-Identifier: BSD-3-Clause */
/* atrctl: the other side of ATR over ordinary kernel sockets: keys, publishers, subscribers,
 * captures, and what a running appliance tells. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/sign/sign.h"
#include "../../lib/typecheck/typecheck.h"
#include "command.h"
#include "option.h"

#define SCALAR_BITS 64

static const struct command commands[] = {
	{"keygen", "make a key file, or print the public key of one", cmd_keygen},
	{"sign", "JSON events in, signed canonical envelopes out", cmd_sign},
	{"verify", "say which gate refuses an envelope or a frame, and why", cmd_verify},
	{"pub", "publish JSON Lines, CSV or generated events as frames or envelopes", cmd_pub},
	{"sub", "receive a feed (MoldUDP64) as readable lines or JSON", cmd_sub},
	{"inspect", "explain a capture file datagram by datagram", cmd_inspect},
	{"status", "what a running appliance is and does", cmd_status},
	{"stats", "its ledgers, refusals and stages; says whether they balance", cmd_stats},
	{"path", "the path of a packet through it, as a diagram", cmd_path},
	{"quarantine", "what it refused", cmd_quarantine},
	{"putback", "send what is in a quarantine file again, through every gate", cmd_putback},
	{"query", "ask a running appliance about state and events", cmd_query},
	{"trace", "an event's whole story, from the log", cmd_trace},
	{"log", "verify, prove, export: the log as anybody can check it", cmd_log},
	{"snapshot", "show a snapshot of a log's state, or make it again from the log",
	 cmd_snapshot},
	{"governance", "change the plan of a running appliance; what was changed, and why",
	 cmd_governance},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void help(void)
{
	puts("usage: atrctl COMMAND [options]\n\n"
	     "The other side of ATR over ordinary sockets: makes keys, publishes signed events,\n"
	     "reads feeds and captures, and asks a running appliance how it is.\n\ncommands:");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-12s%s\n", commands[i].name, commands[i].summary);
	puts("\n'atrctl COMMAND --help' teaches each of them.\n\nexamples:\n"
	     "  atrctl keygen --out ci.key\n"
	     "  atrctl pub --plan plan.json --source ci --key ci.key --to 10.77.0.1:26400 \\\n"
	     "      --jsonl quakes.jsonl --as frames --sequence-file ci.seq\n"
	     "  atrctl sub --bind 10.77.0.2:26501 --plan plan.json\n"
	     "  atrctl stats\n\n"
	     "exit status: 0 yes, 1 no (refused, not found, not balanced) or failed, 2 wrong "
	     "usage");
}

int main(int argc, char **argv)
{
	/* Who reads the output and goes away ends this quietly; sockets are sent to without it. */
	signal(SIGPIPE, SIG_DFL);
	if (argc < 2) {
		help();
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		help();
		return EXIT_OK;
	}
	if (atr_sign_init()) {
		fputs("atrctl: libsodium does not start; reinstall libsodium23\n", stderr);
		return EXIT_USAGE;
	}
	atr_typecheck_select(SCALAR_BITS);
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(argv[1], commands[i].name) == 0) {
			int status = commands[i].run(argc - 1, argv + 1);

			/* A full disk behind stdout must not look like success. */
			if (fflush(stdout) != 0 && status == EXIT_OK) {
				perror("atrctl: stdout");
				return EXIT_NEGATIVE;
			}
			return status;
		}
	fprintf(stderr, "atrctl: no command '%s'; 'atrctl --help' lists them\n", argv[1]);
	return EXIT_USAGE;
}
