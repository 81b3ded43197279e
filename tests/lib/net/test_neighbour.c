/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../../lib/net/neighbour.h"

#define SECOND UINT64_C(1000000000)
#define START  (1000 * SECOND)

static const struct rte_ether_addr mac_a = {{2, 1, 2, 3, 4, 5}}, mac_b = {{2, 9, 8, 7, 6, 5}};

static struct atr_iface iface_of(uint16_t port, uint8_t prefix)
{
	return (struct atr_iface){
		.port_id = port, .prefix_length = prefix, .ip = 0x0A000002, .gateway = 0x0A0000FE};
}

/* Invariant: on link directly, off link by the gateway, groups as they are, broadcasts never. */
static void next_hops(void **state)
{
	struct atr_iface iface = iface_of(0, 24);

	(void)state;
	assert_int_equal(atr_next_hop(&iface, 0x0A000001), 0x0A000001);
	assert_int_equal(atr_next_hop(&iface, 0x0A000101), 0x0A0000FE);
	assert_int_equal(atr_next_hop(&iface, 0xEF000001), 0xEF000001);
	assert_int_equal(atr_next_hop(&iface, 0), 0);
	assert_int_equal(atr_next_hop(&iface, UINT32_MAX), 0);
	assert_int_equal(atr_next_hop(&iface, 0x0A0000FF), 0);
	assert_int_equal(atr_next_hop(&iface, 0x0A000000), 0);
	assert_int_equal(atr_next_hop(&iface, iface.ip), 0);
	iface.gateway = 0;
	assert_int_equal(atr_next_hop(&iface, 0x0A000101), 0);
	iface = iface_of(0, 0);
	assert_int_equal(atr_next_hop(&iface, 0xC0A80001), 0xC0A80001);
	iface = iface_of(0, 31);
	assert_int_equal(atr_next_hop(&iface, 0x0A000003), 0x0A000003);
	iface = iface_of(0, 32);
	assert_int_equal(atr_next_hop(&iface, 0x0A000003), 0x0A0000FE);
}

/* Invariant: an entry has one index for ever, is found by port and address, and the table is
 * bounded. */
static void entries_are_stable_and_bounded(void **state)
{
	const unsigned int capacity = 1000;
	struct atr_neighbours *table = atr_neighbours_create(capacity);
	struct atr_iface even = iface_of(0, 8), odd = iface_of(1, 8);
	struct atr_neighbour_info info;

	(void)state;
	assert_non_null(table);
	assert_int_equal(atr_neighbour_add(table, &even, 0), -EINVAL);
	for (int round = 0; round < 2; round++)
		for (unsigned int i = 0; i < capacity; i++)
			assert_int_equal(
				atr_neighbour_add(table, i % 2 ? &odd : &even, 0x0A000100 + i / 2),
				i);
	assert_int_equal(atr_neighbour_add(table, &even, 0x0B000000), -ENOSPC);
	assert_int_equal(atr_neighbour_add_static(table, &even, 0x0B000000, &mac_a), -ENOSPC);
	atr_neighbour_learn(table, 0, 0x0B000000, &mac_a, START);
	for (unsigned int i = 0; i < capacity; i++) {
		assert_true(atr_neighbour_info(table, i, &info));
		assert_int_equal(info.port_id, i % 2);
		assert_int_equal(info.ip, 0x0A000100 + i / 2);
		assert_false(info.resolved);
	}
	assert_false(atr_neighbour_info(table, capacity, &info));
	atr_neighbours_free(table);
	assert_null(atr_neighbours_create(0));
}

/* Invariant: only existing, unfixed entries learn, and only addresses that a host can have. */
static void learning(void **state)
{
	const struct rte_ether_addr group = {{1, 0, 0, 0, 0, 1}}, zero = {{0}};
	struct atr_neighbours *table = atr_neighbours_create(4);
	struct atr_iface iface = iface_of(7, 24);
	struct rte_ether_addr mac;
	int a, fixed, multicast;

	(void)state;
	atr_neighbour_learn(table, 7, 0x0A000001, &mac_a, START);
	a = atr_neighbour_add(table, &iface, 0x0A000001);
	assert_false(atr_neighbour_mac(table, a, &mac));
	atr_neighbour_learn(table, 6, 0x0A000001, &mac_a, START);
	atr_neighbour_learn(table, 7, 0x0A000001, &group, START);
	atr_neighbour_learn(table, 7, 0x0A000001, &zero, START);
	assert_false(atr_neighbour_mac(table, a, &mac));
	atr_neighbour_learn(table, 7, 0x0A000001, &mac_a, START);
	assert_true(atr_neighbour_mac(table, a, &mac));
	assert_memory_equal(&mac, &mac_a, 6);
	atr_neighbour_learn(table, 7, 0x0A000001, &mac_b, START);
	assert_true(atr_neighbour_mac(table, a, &mac));
	assert_memory_equal(&mac, &mac_b, 6);

	fixed = atr_neighbour_add_static(table, &iface, 0x0A000003, &mac_a);
	atr_neighbour_learn(table, 7, 0x0A000003, &mac_b, START);
	assert_true(atr_neighbour_mac(table, fixed, &mac));
	assert_memory_equal(&mac, &mac_a, 6);
	multicast = atr_neighbour_add(table, &iface, 0xEF000005);
	assert_true(atr_neighbour_mac(table, multicast, &mac));
	assert_memory_equal(&mac, "\x01\x00\x5E\x00\x00\x05", 6);
	assert_false(atr_neighbour_mac(table, -1, &mac));
	assert_false(atr_neighbour_mac(table, 3, &mac));
	assert_false(atr_neighbour_mac(table, 4, &mac));
	atr_neighbours_free(table);
}

/* Invariant: unresolved entries are asked for once a second each; resolved ones from 270 s without
 * confirmation on; at 300 s they are no longer used; fixed ones are never asked for. */
static void asking_and_expiry(void **state)
{
	struct atr_neighbours *table = atr_neighbours_create(8);
	struct atr_iface iface = iface_of(2, 24);
	struct rte_ether_addr mac;
	unsigned int asked[3] = {0};
	uint16_t port;
	uint32_t ip;
	int a;

	(void)state;
	assert_int_equal(atr_neighbour_due(table, START, &port, &ip), -ENOENT);
	a = atr_neighbour_add(table, &iface, 0x0A000001);
	atr_neighbour_add(table, &iface, 0x0A000003);
	atr_neighbour_add_static(table, &iface, 0x0A000004, &mac_a);
	atr_neighbour_add(table, &iface, 0xEF000001);
	for (uint64_t now = START; now < START + 10 * SECOND; now += SECOND / 100)
		while (atr_neighbour_due(table, now, &port, &ip) == 0) {
			assert_int_equal(port, 2);
			assert_true(ip == 0x0A000001 || ip == 0x0A000003);
			asked[ip - 0x0A000001]++;
		}
	assert_int_equal(asked[0], 10);
	assert_int_equal(asked[2], 10);

	atr_neighbour_learn(table, 2, 0x0A000001, &mac_a, START + 10 * SECOND);
	atr_neighbour_learn(table, 2, 0x0A000003, &mac_b, START + 10 * SECOND);
	assert_int_equal(atr_neighbour_due(table, START + 280 * SECOND - 1, &port, &ip), -ENOENT);
	assert_int_equal(atr_neighbour_due(table, START + 280 * SECOND, &port, &ip), 0);
	assert_int_equal(atr_neighbour_due(table, START + 280 * SECOND, &port, &ip), 0);
	assert_int_equal(atr_neighbour_due(table, START + 280 * SECOND, &port, &ip), -ENOENT);
	atr_neighbour_learn(table, 2, 0x0A000003, &mac_b, START + 280 * SECOND);
	assert_int_equal(atr_neighbour_due(table, START + 309 * SECOND, &port, &ip), 0);
	assert_int_equal(ip, 0x0A000001);
	assert_true(atr_neighbour_mac(table, a, &mac));
	assert_int_equal(atr_neighbour_due(table, START + 310 * SECOND, &port, &ip), 0);
	assert_false(atr_neighbour_mac(table, a, &mac));
	assert_true(atr_neighbour_mac(table, a + 1, &mac));
	atr_neighbours_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(next_hops),
		cmocka_unit_test(entries_are_stable_and_bounded),
		cmocka_unit_test(learning),
		cmocka_unit_test(asking_and_expiry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
