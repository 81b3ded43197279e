/* SPDX-License-Identifier: BSD-3-Clause */
#include "stages.h"

const struct atr_stage atr_stages[] = {
	{"rx", "datagrams", "take packets from port queues, other shards, the hold and the bridge",
	 atr_stage_rx},
	{"parse", "datagrams",
	 "Ethernet to UDP, frame structure; punt envelopes, ARP and ICMP; hand over to the owner",
	 atr_stage_parse},
	{"schema", "events", "ids known to the plan, typed fields within their ranges",
	 atr_stage_schema},
	{"canonical", "events", "the one encoding: flags, zeros, arena layout, padding",
	 atr_stage_canonical},
	{"shed", "events", "what the state of load says: priorities, large payloads",
	 atr_stage_shed},
	{"authenticate", "frames",
	 "leaf hash, inclusion proof up to a proven node, root signed by the source's key",
	 atr_stage_authenticate},
	{"ruleset", "events", "allowed source, topic and type; security level; feeds by content",
	 atr_stage_ruleset},
	{"dedup", "events", "identity: window of sequences, duplicates, conflicts, stale, ahead",
	 atr_stage_dedup},
	{"limit", "events", "token buckets of sources and topics", atr_stage_limit},
	{"log", "frames", "append to the log, take the identity, number the messages of class D",
	 atr_stage_log},
	{"commit", "groups", "publish, settle and acknowledge what a sync has made durable",
	 atr_stage_commit},
	{"fanout", "events",
	 "what need not wait into MoldUDP64 packets; flush by size and time, heartbeats",
	 atr_stage_fanout},
	{"quarantine", "datagrams", "ledgers; what was refused goes to the quarantine writer",
	 atr_stage_quarantine},
	{"tx", "packets", "hand packets to the port queues", atr_stage_tx},
};

const unsigned int atr_stage_count = sizeof(atr_stages) / sizeof(atr_stages[0]);
_Static_assert(sizeof(atr_stages) / sizeof(atr_stages[0]) <= ATR_STAGES_MAX,
	       "a shard counts for every stage");
