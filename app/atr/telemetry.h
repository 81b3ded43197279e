/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside the Query gate: telemetry.c (most commands, and turns), telemetry_log.c (logs),
 * telemetry_state.c (state), telemetry_query.c (events), telemetry_overload.c (states of load),
 * telemetry_governance.c (changes of plan). */
#ifndef ATR_TELEMETRY_H
#define ATR_TELEMETRY_H

#include <rte_telemetry.h>

#include "appliance.h"

/* A dictionary for the next entry of a list: 1; 0 if the page is full (`next` is added then). */
int telemetry_next(struct rte_tel_data *list, uint64_t at, unsigned int *shown,
		   struct rte_tel_data **entry);

/* A parameter that says where a page begins; 0 if there is none. */
uint64_t telemetry_offset(const char *params);

int telemetry_log(struct appliance *a, const char *params, struct rte_tel_data *d);
int telemetry_overload(struct appliance *a, const char *params, struct rte_tel_data *d);
int telemetry_transitions(struct appliance *a, const char *params, struct rte_tel_data *d);
int telemetry_state(struct appliance *a, const char *params, struct rte_tel_data *d);
/* Types that the plan keeps state of. */
uint64_t telemetry_state_types(const struct atr_plan *plan);
int telemetry_sources(struct appliance *a, const char *params, struct rte_tel_data *d);
int telemetry_states(struct appliance *a, const char *params, struct rte_tel_data *d);
int telemetry_event(struct appliance *a, const char *params, struct rte_tel_data *d);
int telemetry_events(struct appliance *a, const char *params, struct rte_tel_data *d);
int telemetry_gaps(struct appliance *a, const char *params, struct rte_tel_data *d);
int telemetry_governance(struct appliance *a, const char *params, struct rte_tel_data *d);
int telemetry_checkpoint(struct appliance *a, const char *params, struct rte_tel_data *d);
/* Adds bytes as an array of pieces of hex, to be joined. 0 or -ENOMEM. */
int telemetry_hex(struct rte_tel_data *d, const char *name, const uint8_t *bytes, size_t length);
/* Adds what the control lcore did about acknowledgements. */
void telemetry_acks(const struct atr_acker_stats *acks, struct rte_tel_data *d);
/* Adds the public keys by which the appliance signs. */
/* What a shard or the control lcore (envelopes) has shed, by measure. */
void telemetry_shed(const struct atr_ledger_node *node, struct rte_tel_data *d);
void telemetry_keys(const struct appliance *a, struct rte_tel_data *d);

#endif
