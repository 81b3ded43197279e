/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/clock/clock.h"
#include "../../../lib/program/program.h"
#include "../boot_eal.h"

static struct atr_feed feeds[3];
static struct atr_plan plan;
static struct atr_iface ifaces[2];
static struct atr_machine machine;

static int boot(void **state)
{
	char text[] = BOOT_EAL "64";

	(void)state;
	return boot_eal(text) < 0;
}

static int begin(void **state)
{
	(void)state;
	memset(feeds, 0, sizeof(feeds));
	feeds[2] = (struct atr_feed){.present = true, .id = 2, .dest_count = 1, .max_block = 1000};
	strcpy(feeds[2].name, "all");
	feeds[2].dests[0] = (struct atr_dest){.ip = 0x0A010009, .port = 5000, .ttl = 9};
	plan = (struct atr_plan){.feeds = feeds, .feed_slots = 3, .udp_port = 4242};
	for (unsigned int i = 0; i < 2; i++)
		ifaces[i] = (struct atr_iface){.port_id = (uint16_t)i,
					       .vlan = ATR_VLAN_NONE,
					       .mtu = 1500,
					       .prefix_length = 24,
					       .ip = 0x0A000001 + (i << 16)};
	machine = (struct atr_machine){.ifaces = ifaces,
				       .iface_count = 2,
				       .neighbours = atr_neighbours_create(8),
				       .shards = 2,
				       .feed_src_port = 26401};
	return machine.neighbours == NULL;
}

static int end(void **state)
{
	(void)state;
	atr_neighbours_free(machine.neighbours);
	return 0;
}

static struct atr_program *make(void)
{
	char error[400] = "";
	struct atr_program *p = atr_program_create(&plan, 1, &machine, error, sizeof(error));

	if (!p)
		fail_msg("%s", error);
	return p;
}

static void expect_refusal(const char *part)
{
	char error[400] = "";

	assert_null(atr_program_create(&plan, 1, &machine, error, sizeof(error)));
	if (!strstr(error, part))
		fail_msg("'%s' says nothing of '%s'", error, part);
	assert_non_null(strstr(error, "all"));
}

/* Invariant: a destination leaves by the port on whose subnet it lies, else by a gateway. */
static void routes(void **state)
{
	struct atr_program *p = make();
	const struct atr_route *r = &p->routes[2].route[0];

	(void)state;
	assert_int_equal(p->ports.ingress, 4242);
	assert_int_equal(p->ports.feed, 26401);
	assert_int_equal(p->routes[2].count, 1);
	assert_int_equal(r->iface, 1);
	assert_true(r->flow.dst_ip == 0x0A010009 && r->flow.dst_port == 5000);
	assert_true(r->flow.ttl == 9 && r->flow.src_port == 26401);
	atr_program_free(p);
	feeds[2].dests[0].ip = 0x0B000001;
	expect_refusal("no port reaches 11.0.0.1");
	ifaces[1].gateway = 0x0A010001;
	p = make();
	assert_int_equal(p->routes[2].route[0].iface, 1);
	atr_program_free(p);
	feeds[2].dests[0].ip = 0xEF010101;
	p = make();
	assert_int_equal(p->routes[2].route[0].iface, 0);
	atr_program_free(p);
}

/* Invariant: the largest event fits exactly into the MTU, or the plan is refused with the sizes. */
static void mtu(void **state)
{
	(void)state;
	feeds[2].max_block = 1500 - 28 - 20;
	atr_program_free(make());
	feeds[2].max_block++;
	expect_refusal("1501 bytes, port 1 has an MTU of 1500");
	ifaces[1].mtu = 1501;
	atr_program_free(make());
}

/* Invariant: without a plan there is a program, and it listens where one would by default. */
static void no_plan(void **state)
{
	char error[400];
	struct atr_program *p = atr_program_create(NULL, 0, &machine, error, sizeof(error));

	(void)state;
	assert_non_null(p);
	assert_null(p->plan);
	assert_int_equal(p->ports.ingress, ATR_UDP_PORT_DEFAULT);
	atr_program_free(p);
	atr_program_free(NULL);
}

/* Invariant: the clock reads what it was set to, runs with the TSC, and follows corrections. */
static void clock_follows(void **state)
{
	struct atr_clock clock = {0};
	struct timespec t = {.tv_sec = 1700000000, .tv_nsec = 999999999};
	const uint64_t hz = UINT64_C(3000000000), tsc = UINT64_C(1) << 60;
	uint64_t ns = UINT64_C(1700000000999999999), later;

	(void)state;
	atr_clock_set(&clock, tsc, hz, &t);
	assert_true(atr_clock_ns(&clock, tsc) == ns);
	later = atr_clock_ns(&clock, tsc + hz * 100) - ns;
	assert_true(later > UINT64_C(99999999000) && later < UINT64_C(100000001000));
	t.tv_sec -= 50;
	atr_clock_set(&clock, tsc + hz, hz, &t);
	assert_true(atr_clock_ns(&clock, tsc + hz) == ns - UINT64_C(50000000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(routes, begin, end),
		cmocka_unit_test_setup_teardown(mtu, begin, end),
		cmocka_unit_test_setup_teardown(no_plan, begin, end),
		cmocka_unit_test(clock_follows),
	};

	return cmocka_run_group_tests(tests, boot, NULL);
}
