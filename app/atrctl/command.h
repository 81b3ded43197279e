/* SPDX-License-Identifier: BSD-3-Clause */
/* atrctl: the command table's types. One file per subcommand; main.c holds the table. */
#ifndef ATRCTL_COMMAND_H
#define ATRCTL_COMMAND_H

/* Exit status of every subcommand (docs/appliance.md). */
enum exit_status {
	EXIT_OK = 0,
	EXIT_NEGATIVE = 1, /* it ran, and the answer is no, or it failed on the way */
	EXIT_USAGE = 2     /* it did not run: the command line is wrong, or a file that it names */
};

struct command {
	const char *name;
	const char *summary;
	/* argv[0] is the subcommand's name. Returns an exit_status. */
	int (*run)(int argc, char **argv);
};

/* Commands of a command, such as 'atrctl query event'. */
struct command_group {
	const char *name;               /* "query" */
	const char *about;              /* lines */
	const struct command *commands; /* ended by a NULL name */
};

/* Runs the one that argv[1] names; its argv[0] is then "query event". Returns an exit_status. */
int command_group_run(const struct command_group *group, int argc, char **argv);

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
int cmd_putback(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_log(int argc, char **argv);
int cmd_snapshot(int argc, char **argv);
int cmd_governance(int argc, char **argv);

#endif
