/* SPDX-License-Identifier: BSD-3-Clause */
#include "appliance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_vect.h>

#include "memory.h"

#define LEDGER_TIMEOUT_US 2000000

/* Everything that outlives the process: state file, keys, logs; and with them the plan. */
static int past(struct appliance *a, char *error, size_t size)
{
	int rc;

	a->state = atr_state_open(a->options.state, error, size);
	if (!a->state)
		return -EIO;
	rc = durable_open(&a->durable, &a->options, a->shard_count, atr_state_epoch(a->state),
			  error, size);
	return rc ? rc : durable_plan(&a->durable, &a->options, &a->plan, error, size);
}

/* The last of the lcores verify. */
static int verifier_lcores(struct appliance *a, char *error, size_t size)
{
	if (a->options.verifiers >= a->lcore_count) {
		snprintf(error, size,
			 "--verifiers %u leaves no data lcore: beside the main lcore there are %u; "
			 "give more with -l or --lcores",
			 a->options.verifiers, a->lcore_count);
		return -EINVAL;
	}
	while (a->verifier_count < a->options.verifiers) {
		struct verifier_lcore *v = &a->verifier_lcore[a->verifier_count++];

		v->lcore_id = a->lcore[--a->lcore_count].lcore_id;
		v->appliance = a;
	}
	return 0;
}

/* Shards are dealt to the data lcores in turn. */
static int lcores(struct appliance *a, char *error, size_t size)
{
	unsigned int id;

	RTE_LCORE_FOREACH_WORKER(id)
	{
		if (a->lcore_count == APPLIANCE_LCORES_MAX)
			break;
		a->lcore[a->lcore_count].lcore_id = id;
		a->lcore[a->lcore_count++].appliance = a;
	}
	if (a->lcore_count == 0) {
		snprintf(error, size,
			 "one lcore is not enough: the main lcore is the control lcore and data "
			 "lcores come beside it; start with -l 0,1 or --lcores");
		return -EINVAL;
	}
	if (verifier_lcores(a, error, size) < 0)
		return -EINVAL;
	a->shard_count = a->options.shards ? a->options.shards : a->lcore_count;
	if (a->shard_count < a->lcore_count) {
		snprintf(error, size,
			 "%u shards leave some of the %u data lcores idle; give fewer lcores, or "
			 "--shards of at least %u",
			 a->shard_count, a->lcore_count, a->lcore_count);
		return -EINVAL;
	}
	return 0;
}

static int port_by_text(const char *text, uint16_t *port_id)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end == '\0' && end != text && n < RTE_MAX_ETHPORTS &&
	    rte_eth_dev_is_valid_port((uint16_t)n)) {
		*port_id = (uint16_t)n;
		return 0;
	}
	return rte_eth_dev_get_port_by_name(text, port_id);
}

static const struct port_option *option_of(const struct appliance *a, uint16_t port_id)
{
	for (unsigned int i = 0; i < a->options.port_count; i++) {
		uint16_t id;

		if (port_by_text(a->options.port[i].port, &id) == 0 && id == port_id)
			return &a->options.port[i];
	}
	return NULL;
}

static int one_port(struct appliance *a, uint16_t port_id, char *error, size_t size)
{
	const struct port_option *option = option_of(a, port_id);
	struct atr_port_config config = {
		.queues = (uint16_t)a->shard_count,
		.mtu = (uint16_t)a->options.mtu,
		.groups = a->plan ? a->plan->groups : NULL,
		.group_count = a->plan ? a->plan->group_count : 0,
		.pool = a->rx_pool,
	};
	char name[RTE_ETH_NAME_MAX_LEN] = "?";
	int rc;

	if (!option) {
		rte_eth_dev_get_name_by_port(port_id, name);
		snprintf(error, size,
			 "port %u (%s) has no address; add --addr %u=IP/LENGTH, or keep EAL from "
			 "it (-a, -b, --no-pci)",
			 port_id, name, port_id);
		return -EINVAL;
	}
	if (a->iface_count == ATR_PORTS_MAX) {
		snprintf(error, size, "more than %d ports; keep EAL from some (-a, -b)",
			 ATR_PORTS_MAX);
		return -EINVAL;
	}
	config.vlan = option->vlan;
	config.ip = option->ip;
	config.gateway = option->gateway;
	config.prefix_length = option->prefix_length;
	rc = atr_port_start(port_id, &config, &a->iface[a->iface_count], error, size);
	if (rc < 0)
		return rc;
	atr_port_describe(&a->iface[a->iface_count], a->port_line[a->iface_count],
			  sizeof(a->port_line[0]));
	a->iface_count++;
	return 0;
}

static bool address_is_second(const struct appliance *a, unsigned int option, uint16_t id,
			      char *error, size_t size)
{
	uint16_t other;

	for (unsigned int i = 0; i < option; i++) {
		if (port_by_text(a->options.port[i].port, &other) < 0 || other != id)
			continue;
		snprintf(error, size,
			 "--addr %s=...: port %u already has an address; give one --addr a port",
			 a->options.port[option].port, id);
		return true;
	}
	return false;
}

static int ports(struct appliance *a, char *error, size_t size)
{
	uint16_t id;

	if (rte_eth_dev_count_avail() == 0) {
		snprintf(error, size,
			 "EAL found no port; bind a NIC to vfio-pci (dpdk-devbind.py), or make a "
			 "virtual one such as --vdev net_tap0,iface=atr0, which needs root");
		return -ENODEV;
	}
	for (unsigned int i = 0; i < a->options.port_count; i++) {
		if (port_by_text(a->options.port[i].port, &id) == 0) {
			if (address_is_second(a, i, id, error, size))
				return -EINVAL;
			continue;
		}
		snprintf(error, size,
			 "--addr %s=...: EAL knows no such port; there are %u, numbered from 0 "
			 "(--vdev makes virtual ones, vfio-pci must hold physical ones)",
			 a->options.port[i].port, rte_eth_dev_count_avail());
		return -ENODEV;
	}
	RTE_ETH_FOREACH_DEV(id)
	{
		int rc = one_port(a, id, error, size);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int neighbours(struct appliance *a, char *error, size_t size)
{
	a->neighbours = atr_neighbours_create(ATR_FEEDS_MAX * ATR_DESTS_MAX);
	if (!a->neighbours) {
		snprintf(error, size, "out of memory for neighbours");
		return -ENOMEM;
	}
	for (unsigned int n = 0; n < a->options.neighbour_count; n++) {
		const struct neighbour_option *option = &a->options.neighbour[n];
		bool on_link = false;

		for (unsigned int i = 0; i < a->iface_count; i++) {
			if (atr_next_hop(&a->iface[i], option->ip) != option->ip)
				continue;
			on_link = true;
			atr_neighbour_add_static(a->neighbours, &a->iface[i], option->ip,
						 &option->mac);
		}
		if (on_link)
			continue;
		snprintf(error, size,
			 "--neigh %u.%u.%u.%u=...: on no port's subnet; only next hops on a link "
			 "have a MAC: correct it, or the LENGTH of --addr",
			 option->ip >> 24, option->ip >> 16 & 255, option->ip >> 8 & 255,
			 option->ip & 255);
		return -EINVAL;
	}
	return 0;
}

static int quarantine(struct appliance *a, char *error, size_t size)
{
	static char directory[4096];
	struct atr_quarantine_params params = {
		.file_bytes = a->options.quarantine_bytes,
		.files = a->options.quarantine_files,
		.packets_per_second = a->options.quarantine_rate,
		.producers = a->shard_count + 1,
		.ring_size = MEMORY_QUARANTINE_RING,
	};

	snprintf(directory, sizeof(directory), "%s/quarantine", a->options.state);
	params.directory = a->options.quarantine ? a->options.quarantine : directory;
	a->quarantine = atr_quarantine_start(&params, error, size);
	return a->quarantine ? 0 : -EIO;
}

static int rcu(struct appliance *a, char *error, size_t size)
{
	size_t bytes = rte_rcu_qsbr_get_memsize(a->shard_count);

	a->rcu = rte_zmalloc("atr_rcu", bytes, RTE_CACHE_LINE_SIZE);
	if (!a->rcu || rte_rcu_qsbr_init(a->rcu, a->shard_count) != 0) {
		snprintf(error, size, "out of memory for RCU");
		return -ENOMEM;
	}
	return 0;
}

static int shards(struct appliance *a, char *error, size_t size)
{
	struct atr_shard_config config = {
		.shards = a->shard_count,
		.ifaces = a->iface,
		.iface_count = a->iface_count,
		.neighbours = a->neighbours,
		.bridge = &a->bridge,
		.ledger = &a->ledger,
		.quarantine = a->quarantine,
		.program_slot = &a->program,
		.rcu = a->rcu,
		.clock = &a->clock,
		.rx_pool = a->rx_pool,
		.payloads = a->payload_pool,
		.headers = a->header_pool,
		.auth = memory_auth(&a->options),
		.queue_frames = MEMORY_QUEUE_FRAMES,
		.epoch = atr_state_epoch(a->state),
		.flush_us = a->options.flush_us,
		.simd_bits = rte_vect_get_max_simd_bitwidth(),
	};

	for (uint32_t f = 0; a->plan && f < a->plan->feed_slots; f++)
		config.recent_feeds |= (uint64_t)a->plan->feeds[f].present << f;
	config.recent_slots = atr_recent_slots(
		MEMORY_RECENT, (unsigned int)__builtin_popcountll(config.recent_feeds));
	durable_configure(&a->durable, &a->options, a->plan, &config);
	for (unsigned int s = 0; s < a->shard_count; s++) {
		struct data_lcore *lcore = &a->lcore[s % a->lcore_count];

		config.id = s;
		config.tag_key = a->tag_key;
		durable_shard(&a->durable, s, &config);
		config.socket = (int)rte_lcore_to_socket_id(lcore->lcore_id);
		a->shard[s] = atr_shard_create(&config, error, size);
		if (!a->shard[s])
			return -ENOMEM;
		lcore->shard[lcore->shard_count++] = a->shard[s];
		a->ledger.node[a->ledger.nodes++] = a->shard[s]->node;
	}
	return 0;
}

static int verifiers(struct appliance *a, char *error, size_t size)
{
	for (unsigned int v = 0; v < a->verifier_count; v++) {
		int socket = (int)rte_lcore_to_socket_id(a->verifier_lcore[v].lcore_id);

		/* All roots of all shards may be one verifier's sources'. */
		a->verifier[v] = atr_verifier_create(v, a->shard_count * a->options.roots, socket,
						     error, size);
		if (!a->verifier[v])
			return -ENOMEM;
	}
	return 0;
}

static struct atr_machine machine_of(struct appliance *a)
{
	return (struct atr_machine){
		.ifaces = a->iface,
		.iface_count = a->iface_count,
		.neighbours = a->neighbours,
		.state = a->state,
		.shards = a->shard_count,
		.class_d = a->options.durability == ATR_DURABILITY_COMMIT,
		.feed_src_port = (uint16_t)a->options.feed_port,
		.socket = SOCKET_ID_ANY,
	};
}

static int control(struct appliance *a, char *error, size_t size)
{
	struct atr_control_config config = {
		.bridge = &a->bridge,
		.ledger = &a->ledger,
		.quarantine = a->quarantine,
		.state = a->state,
		.clock = &a->clock,
		.neighbours = a->neighbours,
		.ifaces = a->iface,
		.iface_count = a->iface_count,
		.payloads = a->payload_pool,
		.rcu = a->rcu,
		.program_slot = &a->program,
		.governor = a->durable.governor,
		.durability = a->options.durability,
		.machine = machine_of(a),
		.acker = a->durable.acker,
		.verifier = a->verifier,
		.verifiers = a->verifier_count,
		.simd_bits = rte_vect_get_max_simd_bitwidth(),
		.socket = SOCKET_ID_ANY,
	};

	a->durable.governor = NULL;
	a->control = atr_control_create(&config, error, size);
	if (!a->control)
		return -ENOMEM;
	a->ledger.node[a->ledger.nodes++] = a->control->node;
	return 0;
}

static int publish(struct appliance *a, const struct atr_plan *plan, uint64_t generation,
		   char *error, size_t size)
{
	struct atr_machine machine = machine_of(a);
	struct atr_program *program;
	int rc;

	machine.before = a->program;
	program = atr_program_create(plan, generation, &machine, error, size);
	if (!program)
		return -EINVAL;
	durable_windows(&a->durable, program, &a->tag_key);
	rc = atr_control_publish(a->control, program, a->options.identities, error, size);
	if (rc < 0)
		atr_program_free(program);
	return rc;
}

static void start_clock(struct appliance *a)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	a->started_tsc = rte_rdtsc();
	atr_clock_set(&a->clock, a->started_tsc, rte_get_tsc_hz(), &now);
	a->started_ns = atr_clock_ns(&a->clock, a->started_tsc);
}

int appliance_create(struct appliance *a, char *error, size_t size)
{
	int rc;

	start_clock(a);
	atr_typecheck_select(rte_vect_get_max_simd_bitwidth());
	atr_net_select(rte_vect_get_max_simd_bitwidth());
	atr_tag_key_init(&a->tag_key);
	if ((rc = lcores(a, error, size)) < 0 || (rc = past(a, error, size)) < 0 ||
	    (rc = memory_pools(a, error, size)) < 0 || (rc = ports(a, error, size)) < 0 ||
	    (rc = neighbours(a, error, size)) < 0 || (rc = quarantine(a, error, size)) < 0 ||
	    (rc = rcu(a, error, size)) < 0 || (rc = memory_bridge(a, error, size)) < 0 ||
	    (rc = durable_start(&a->durable, &a->options, a->plan, error, size)) < 0 ||
	    (rc = shards(a, error, size)) < 0 || (rc = verifiers(a, error, size)) < 0 ||
	    (rc = control(a, error, size)) < 0)
		return rc;
	/* Generation 0 refuses everything; a plan follows it as it would on a running appliance. */
	rc = publish(a, NULL, 0, error, size);
	if (rc == 0 && a->plan)
		rc = publish(a, a->plan, a->plan->generation, error, size);
	/* From here on it goes when another is in force. */
	if (rc == 0 && a->plan) {
		a->program->owns_plan = true;
		a->plan = NULL;
	}
	if (rc == 0)
		rc = durable_identities(&a->durable, a->control->identity, error, size);
	if (rc == 0)
		rc = follow_start(&a->follow, &a->durable, &a->options, a->shard, error, size);
	if (rc == 0)
		rc = ask_start(&a->ask, &a->durable, error, size);
	return rc ? rc : gaps_start(a, error, size);
}

void appliance_destroy(struct appliance *a)
{
	gaps_free(a);
	if (a->quarantine)
		atr_quarantine_stop(a->quarantine);
	for (unsigned int i = 0; i < a->iface_count; i++)
		atr_port_stop(a->iface[i].port_id);
	ask_stop(&a->ask);
	follow_close(&a->follow);
	atr_control_free(a->control);
	for (unsigned int v = 0; v < a->verifier_count; v++)
		atr_verifier_free(a->verifier[v]);
	for (unsigned int s = 0; s < a->shard_count; s++)
		atr_shard_free(a->shard[s]);
	atr_program_free(a->program);
	atr_bridge_free(&a->bridge);
	durable_close(&a->durable);
	rte_free(a->rcu);
	atr_neighbours_free(a->neighbours);
	atr_state_close(a->state);
	atr_plan_free(a->plan);
	rte_mempool_free(a->rx_pool);
	rte_mempool_free(a->payload_pool);
	rte_mempool_free(a->header_pool);
}

int appliance_ledger(struct appliance *a, struct atr_ledger_reading *reading)
{
	return atr_ledger_read(&a->ledger, LEDGER_TIMEOUT_US, reading);
}
