/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>

#include "../../../lib/port/port_internal.h"

static struct rte_mempool *pool;

static struct atr_port_config config_default(void)
{
	return (struct atr_port_config){.queues = 1,
					.vlan = ATR_VLAN_NONE,
					.ip = 0x0A000002,
					.gateway = 0x0A000001,
					.prefix_length = 24,
					.pool = pool};
}

/* Makes a virtual device and returns its port. */
static uint16_t plug(const char *name, const char *args)
{
	uint16_t port = UINT16_MAX;

	assert_int_equal(rte_eal_hotplug_add("vdev", name, args ? args : ""), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name(name, &port), 0);
	return port;
}

/* Invariant: a start that fails says which port and what is wrong. */
static void expect_refusal(uint16_t port, const struct atr_port_config *config, int code,
			   const char *part)
{
	struct atr_iface iface;
	char error[256] = "";

	assert_int_equal(atr_port_start(port, config, &iface, error, sizeof(error)), code);
	assert_non_null(strstr(error, "port "));
	assert_non_null(strstr(error, part));
}

/* Invariant: what is started passes packets, with the queues and the MTU that were asked for. */
static void null_port_runs(void **state)
{
	uint16_t port = plug("net_null0", "size=64");
	const uint32_t groups[] = {0xEF010101, 0xEF810101}; /* one MAC */
	struct atr_port_config config = config_default();
	struct rte_eth_dev_info info;
	struct rte_mbuf *burst[4];
	struct atr_iface iface;
	char text[256];
	uint16_t got;

	(void)state;
	config.mtu = 1400;
	config.vlan = 7;
	config.groups = groups;
	config.group_count = 2;
	assert_int_equal(atr_port_start(port, &config, &iface, text, sizeof(text)), 0);
	assert_int_equal(iface.port_id, port);
	assert_int_equal(iface.mtu, 1400);
	assert_int_equal(iface.vlan, 7);
	assert_int_equal(iface.ip, config.ip);
	assert_int_equal(iface.gateway, config.gateway);
	rte_eth_dev_info_get(port, &info);
	assert_int_equal(info.nb_rx_queues, 1);
	assert_int_equal(info.nb_tx_queues, 1);
	assert_true(atr_port_describe(&iface, text, sizeof(text)) < (int)sizeof(text));
	assert_non_null(strstr(text, "net_null"));
	assert_non_null(strstr(text, "mtu 1400 vlan 7 queues 1 spread none"));
	got = rte_eth_rx_burst(port, 0, burst, 4);
	assert_int_equal(got, 4);
	assert_int_equal(rte_eth_tx_burst(port, 0, burst, got), got);
	atr_port_stop(port);
	assert_false(rte_eth_dev_is_valid_port(port));
	atr_port_stop(port);
}

/* Invariant: the port never frees mbufs as if it owned the only reference. */
static void fast_free_is_never_enabled(void **state)
{
	struct rte_eth_dev_info info = {.driver_name = "net_any",
					.max_rx_queues = 8,
					.max_tx_queues = 8,
					.max_mtu = 9000,
					.rx_offload_capa = UINT64_MAX,
					.tx_offload_capa = UINT64_MAX};
	struct atr_port_config config = config_default();
	struct atr_iface iface = {0};
	struct rte_eth_conf conf;
	char error[256];

	(void)state;
	assert_int_equal(
		atr_port_negotiate(0, &info, &config, 1500, &conf, &iface, error, sizeof(error)),
		0);
	assert_false(conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);
	assert_true(iface.rx_checksum && iface.tx_ip_checksum && iface.tx_udp_checksum &&
		    iface.tx_multi_seg);
	assert_false(conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_SCATTER);
	assert_int_equal(
		atr_port_negotiate(0, &info, &config, 9000, &conf, &iface, error, sizeof(error)),
		0);
	assert_true(conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_SCATTER);
	info.rx_offload_capa = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
	info.tx_offload_capa = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
	assert_int_equal(
		atr_port_negotiate(0, &info, &config, 1500, &conf, &iface, error, sizeof(error)),
		0);
	assert_false(iface.rx_checksum || iface.tx_udp_checksum || iface.tx_multi_seg);
	assert_true(iface.tx_ip_checksum);
	assert_int_equal(conf.rxmode.offloads, 0);
}

/* Invariant: an MTU is refused by name where the driver's largest frame would not hold it. */
static void mtu_is_bounded_by_the_largest_frame(void **state)
{
	struct rte_eth_dev_info info = {.driver_name = "net_any",
					.max_rx_queues = 1,
					.max_tx_queues = 1,
					.max_mtu = UINT16_MAX,
					.max_rx_pktlen = 1522};
	struct atr_port_config config = config_default();
	struct atr_iface iface = {0};
	struct rte_eth_conf conf;
	char error[256];

	(void)state;
	assert_int_equal(
		atr_port_negotiate(4, &info, &config, 1504, &conf, &iface, error, sizeof(error)),
		0);
	assert_int_equal(conf.rxmode.mtu, 1504);
	assert_int_equal(
		atr_port_negotiate(4, &info, &config, 1505, &conf, &iface, error, sizeof(error)),
		-EINVAL);
	assert_non_null(strstr(error, "port 4 (net_any): MTU 1505 is not in 576..1504"));
	info.max_mtu = 1400;
	info.max_rx_pktlen = 1440;
	assert_int_equal(
		atr_port_negotiate(4, &info, &config, 1401, &conf, &iface, error, sizeof(error)),
		-EINVAL);
	assert_non_null(strstr(error, "576..1400"));
}

/* Invariant: several queues are used only where somebody spreads packets over them. */
static void several_queues_need_a_spread(void **state)
{
	const uint64_t udp = RTE_ETH_RSS_NONFRAG_IPV4_UDP;
	uint64_t hf;

	(void)state;
	assert_int_equal(atr_port_spread("net_x", 1, 0, &hf), ATR_SPREAD_ONE);
	assert_int_equal(atr_port_spread("net_x", 2, 0, &hf), ATR_SPREAD_NONE);
	assert_int_equal(atr_port_spread(NULL, 2, 0, &hf), ATR_SPREAD_NONE);
	assert_int_equal(atr_port_spread("net_x", 2, RTE_ETH_RSS_IPV6, &hf), ATR_SPREAD_NONE);
	assert_int_equal(atr_port_spread("net_x", 2, UINT64_MAX, &hf), ATR_SPREAD_RSS);
	assert_true(hf == udp);
	assert_int_equal(atr_port_spread("net_x", 2, RTE_ETH_RSS_IPV4, &hf), ATR_SPREAD_RSS);
	assert_true(hf == RTE_ETH_RSS_IPV4);
	assert_int_equal(atr_port_spread("net_pcap", 2, 0, &hf), ATR_SPREAD_DRIVER);
	assert_int_equal(atr_port_spread("net_af_packet", 4, 0, &hf), ATR_SPREAD_DRIVER);
}

/* Invariant: a queue of net_ring is a ring; what is sent on one comes back on the same. */
static void ring_port_with_two_queues(void **state)
{
	struct atr_port_config config = config_default();
	uint16_t port = plug("net_ring0", NULL);
	struct rte_eth_dev_info info;
	struct atr_iface iface;
	char text[256];

	(void)state;
	rte_eth_dev_info_get(port, &info);
	config.queues = 2;
	if (info.max_rx_queues < 2) {
		expect_refusal(port, &config, -EINVAL, "2 queues asked");
		config.queues = 1;
	}
	assert_int_equal(atr_port_start(port, &config, &iface, text, sizeof(text)), 0);
	for (uint16_t queue = 0; queue < config.queues; queue++) {
		struct rte_mbuf *out = rte_pktmbuf_alloc(pool), *in = NULL;

		assert_int_equal(rte_eth_tx_burst(port, queue, &out, 1), 1);
		assert_int_equal(rte_eth_rx_burst(port, queue, &in, 1), 1);
		assert_ptr_equal(in, out);
		rte_pktmbuf_free(in);
	}
	assert_true(atr_port_describe(&iface, text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "net_ring"));
	atr_port_stop(port);
}

static void write_pcap(const char *path, unsigned int packets)
{
	const uint32_t header[6] = {0xA1B2C3D4, 0x00040002, 0, 0, 65535, 1};
	const uint32_t record[4] = {0, 0, 60, 60};
	const uint8_t bytes[60] = {2};
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	fwrite(header, sizeof(header), 1, file);
	for (unsigned int i = 0; i < packets; i++) {
		fwrite(record, sizeof(record), 1, file);
		fwrite(bytes, sizeof(bytes), 1, file);
	}
	fclose(file);
}

/* Invariant: two queues of net_pcap are two files, and every packet of both arrives. */
static void pcap_port_with_two_queues(void **state)
{
	struct atr_port_config config = config_default();
	char directory[] = "/tmp/test_port.XXXXXX";
	char name[4][64], args[320], text[256];
	struct atr_iface iface;
	unsigned int seen[2] = {0};
	uint16_t port;

	(void)state;
	assert_non_null(mkdtemp(directory));
	for (unsigned int i = 0; i < 4; i++)
		snprintf(name[i], sizeof(name[i]), "%s/%u.pcap", directory, i);
	write_pcap(name[0], 3);
	write_pcap(name[1], 5);
	snprintf(args, sizeof(args), "rx_pcap=%s,rx_pcap=%s,tx_pcap=%s,tx_pcap=%s", name[0],
		 name[1], name[2], name[3]);
	port = plug("net_pcap0", args);
	config.queues = 3;
	expect_refusal(port, &config, -EINVAL, "3 queues asked");
	config.queues = 2;
	assert_int_equal(atr_port_start(port, &config, &iface, text, sizeof(text)), 0);
	for (uint16_t queue = 0; queue < 2; queue++) {
		struct rte_mbuf *burst[8];
		uint16_t got = rte_eth_rx_burst(port, queue, burst, 8);

		seen[queue] = got;
		rte_pktmbuf_free_bulk(burst, got);
	}
	assert_int_equal(seen[0], 3);
	assert_int_equal(seen[1], 5);
	assert_true(atr_port_describe(&iface, text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "queues 2 spread driver"));
	atr_port_stop(port);
	for (unsigned int i = 0; i < 4; i++)
		unlink(name[i]);
	rmdir(directory);
}

/* Invariant: everything wrong in a configuration is named with its port. */
static void wrong_wiring_is_named(void **state)
{
	uint16_t port = plug("net_null1", NULL);
	const uint32_t unicast = 0x0A000009;
	struct atr_port_config config = config_default();

	(void)state;
	expect_refusal(RTE_MAX_ETHPORTS, &config, -ENODEV, "does not exist");
	config.pool = NULL;
	expect_refusal(port, &config, -EINVAL, "pool");
	config = config_default();
	config.queues = 0;
	expect_refusal(port, &config, -EINVAL, "0 queues asked");
	config.queues = 1;
	config.ip = 0;
	expect_refusal(port, &config, -EINVAL, "0.0.0.0");
	config.ip = 0xEF000001;
	expect_refusal(port, &config, -EINVAL, "239.0.0.1");
	config = config_default();
	config.prefix_length = 33;
	expect_refusal(port, &config, -EINVAL, "prefix length 33");
	config = config_default();
	config.vlan = 4095;
	expect_refusal(port, &config, -EINVAL, "VLAN 4095");
	config.vlan = 0;
	expect_refusal(port, &config, -EINVAL, "VLAN 0");
	config = config_default();
	config.gateway = 0x0A000101;
	expect_refusal(port, &config, -EINVAL, "gateway 10.0.1.1");
	config.gateway = config.ip;
	expect_refusal(port, &config, -EINVAL, "gateway 10.0.0.2");
	config = config_default();
	config.groups = &unicast;
	config.group_count = 1;
	expect_refusal(port, &config, -EINVAL, "group 10.0.0.9");
	config = config_default();
	config.mtu = 575;
	expect_refusal(port, &config, -EINVAL, "MTU 575");
	config.mtu = 9000;
	expect_refusal(port, &config, -EINVAL, "mbuf");
	atr_port_stop(port);
}

int main(void)
{
	char *argv[] = {(char *)(uintptr_t) "test_port",   (char *)(uintptr_t) "--no-huge",
			(char *)(uintptr_t) "--no-pci",    (char *)(uintptr_t) "--no-telemetry",
			(char *)(uintptr_t) "--no-shconf", (char *)(uintptr_t) "-m",
			(char *)(uintptr_t) "64",          (char *)(uintptr_t) "-l",
			(char *)(uintptr_t) "0",           NULL};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_port_runs),
		cmocka_unit_test(fast_free_is_never_enabled),
		cmocka_unit_test(mtu_is_bounded_by_the_largest_frame),
		cmocka_unit_test(several_queues_need_a_spread),
		cmocka_unit_test(ring_port_with_two_queues),
		cmocka_unit_test(pcap_port_with_two_queues),
		cmocka_unit_test(wrong_wiring_is_named),
	};
	int failed;

	if (rte_eal_init(9, argv) < 0)
		return 1;
	pool = rte_pktmbuf_pool_create("test", 8191, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	failed = pool ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
	rte_eal_cleanup();
	return failed;
}
