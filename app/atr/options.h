/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line behind EAL's "--". */
#ifndef ATR_OPTIONS_H
#define ATR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_ether.h>

#include "../../lib/control/verifier.h"
#include "../../lib/program/program.h"

#define OPTIONS_NEIGHBOURS_MAX 64

struct port_option {
	char port[64]; /* id or name, as given */
	uint32_t ip, gateway;
	uint8_t prefix_length;
	uint16_t vlan;
};

struct neighbour_option {
	uint32_t ip;
	struct rte_ether_addr mac;
};

struct options {
	const char *pipeline;
	const char *state;
	const char *quarantine;
	const char *log; /* NULL: STATE/log */
	const char *log_engine;
	const char *anchor;
	uint64_t state_keys;      /* a shard; 0: as many as lib/replay says */
	uint64_t snapshot_events; /* a shard, from one snapshot to the next */
	uint64_t retain_bytes;    /* a shard; 0: all */
	enum atr_durability durability;
	uint64_t segment_bytes;
	unsigned int log_buffers;  /* a shard */
	unsigned int commit_bytes; /* a group of so many is sealed */
	unsigned int commit_us;    /* a group so old is sealed */
	struct port_option port[ATR_PORTS_MAX];
	unsigned int port_count;
	struct neighbour_option neighbour[OPTIONS_NEIGHBOURS_MAX];
	unsigned int neighbour_count;
	unsigned int shards;    /* 0: one a data lcore */
	unsigned int verifiers; /* lcores that verify roots beside the control lcore */
	unsigned int mtu;       /* 0: each port's own */
	unsigned int flush_us;
	unsigned int hold;
	unsigned int roots;      /* pending, per shard */
	unsigned int identities; /* envelopes remembered */
	unsigned int drain_ms;   /* at shutdown, for what is under way */
	unsigned int feed_port;  /* UDP source port of feeds */
	uint64_t quarantine_bytes;
	unsigned int quarantine_files;
	uint64_t quarantine_rate;
	bool check;
};

/* Parses argv (argv[0] is skipped). 0; 1 if help or version was printed and the program should end;
 * -EINVAL after a sentence on stderr. */
int options_parse(int argc, char **argv, struct options *options);

/* True if an argument list asks for --help, --version or --check, which need no EAL. */
bool options_without_eal(int argc, char **argv);

/* The first of ATR's options that stands before `--`, where EAL would take it for its own; NULL if
 * there is none. */
const char *options_before_separator(int argc, char **argv);

#endif
