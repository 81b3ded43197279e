/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../../app/atr/options.h"

#define ARGS_MAX 16

static struct options o;

static int split(const char *text, char **argv)
{
	static char copy[1024];
	int argc = 0;

	strcpy(copy, text);
	for (char *arg = strtok(copy, " "); arg && argc < ARGS_MAX - 1; arg = strtok(NULL, " "))
		argv[argc++] = arg;
	argv[argc] = NULL;
	return argc;
}

static int parse(const char *text)
{
	char *argv[ARGS_MAX];
	int argc = split(text, argv);

	return options_parse(argc, argv, &o);
}

static const char *misplaced(const char *text)
{
	char *argv[ARGS_MAX];
	int argc = split(text, argv);

	return options_before_separator(argc, argv);
}

/* Invariant: addresses, gateways and tags arrive as given. */
static void good(void **state)
{
	(void)state;
	assert_int_equal(parse("atr --addr 0=10.0.0.1/24 --addr tap=10.1.0.1/8@7,gw=10.1.0.9 "
			       "--neigh 10.0.0.2=02:00:00:00:00:05 --mtu 9000 --hold 64"),
			 0);
	assert_int_equal(o.port_count, 2);
	assert_true(o.port[0].ip == 0x0A000001 && o.port[0].prefix_length == 24);
	assert_true(o.port[0].vlan == ATR_VLAN_NONE && o.port[0].gateway == 0);
	assert_string_equal(o.port[1].port, "tap");
	assert_true(o.port[1].vlan == 7 && o.port[1].gateway == 0x0A010009);
	assert_true(o.neighbour_count == 1 && o.neighbour[0].mac.addr_bytes[5] == 5);
	assert_true(o.mtu == 9000 && o.hold == 64 && o.flush_us == 50);
	assert_int_equal(parse("atr"), 0);
	assert_int_equal(o.port_count, 0);
}

/* Invariant: anything else is refused. */
static void bad(void **state)
{
	static const char *const table[] = {"--addr 0",
					    "--addr =10.0.0.1/24",
					    "--addr 0=10.0.0.1",
					    "--addr 0=10.0.0.1/33",
					    "--addr 0=10.0.0.1/0",
					    "--addr 0=10.0.0/24",
					    "--addr 0=239.0.0.1/24",
					    "--addr 0=0.0.0.0/24",
					    "--addr 0=10.0.0.1/24@0",
					    "--addr 0=10.0.0.1/24@4095",
					    "--addr 0=10.0.0.1/24,gw=x",
					    "--neigh 10.0.0.1",
					    "--neigh 10.0.0.1=02:00",
					    "--mtu 575",
					    "--mtu 9001",
					    "--mtu -1",
					    "--mtu 1x",
					    "--mtu",
					    "--shards 0",
					    "--shards 65",
					    "--hold 63",
					    "--roots 15",
					    "--identities 1023",
					    "--feed-port 0",
					    "--feed-port 65536",
					    "--flush-us 1000001",
					    "--no-such",
					    "stray",
					    "--quarantine-files 0",
					    "--quarantine-rate 0",
					    "--quarantine-rate 99999999999999999999"};
	char text[200];

	(void)state;
	for (unsigned int i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		strcpy(text, "atr ");
		strcat(text, table[i]);
		if (parse(text) != -EINVAL)
			fail_msg("%s is taken", table[i]);
	}
	strcpy(text, "atr");
	for (unsigned int i = 0; i < 6; i++)
		strcat(text, " --addr 0=10.0.0.1/24");
	assert_int_equal(parse(text), 0);
	assert_int_equal(parse("atr --version"), 1);
}

/* Invariant: an option of ATR's before `--` is told from EAL's. */
static void before_separator(void **state)
{
	(void)state;
	assert_string_equal(misplaced("atr -l 0,1 --hold=64 -- --mtu 1500"), "hold");
	assert_string_equal(misplaced("atr --no-huge --addr 0=10.0.0.1/24"), "addr");
	assert_null(misplaced("atr --lcores 0,1 --file-prefix hold -- --hold 64"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(good), cmocka_unit_test(bad),
					   cmocka_unit_test(before_separator)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
