/* SPDX-License-Identifier: BSD-3-Clause */
/* atrctl: the command table's types. One file per subcommand; main.c holds the table. */
#ifndef ATRCTL_COMMAND_H
#define ATRCTL_COMMAND_H

/* Exit status of every subcommand. */
enum exit_status {
	EXIT_OK = 0,
	EXIT_NEGATIVE = 1, /* it ran, and the answer is no: refused, unbalanced, not reachable */
	EXIT_USAGE = 2     /* it did not run: options, files or environment are wrong */
};

struct command {
	const char *name;
	const char *summary;
	/* argv[0] is the subcommand's name. Returns an exit_status. */
	int (*run)(int argc, char **argv);
};

int cmd_keygen(int argc, char **argv);
int cmd_sign(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_pub(int argc, char **argv);
int cmd_sub(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_path(int argc, char **argv);
int cmd_quarantine(int argc, char **argv);
int cmd_query(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_log(int argc, char **argv);
int cmd_snapshot(int argc, char **argv);

#endif
