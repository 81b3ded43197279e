/* SPDX-License-Identifier: BSD-3-Clause */
/* Decisions of bring-up apart from the calls that carry them out. */
#ifndef ATR_PORT_INTERNAL_H
#define ATR_PORT_INTERNAL_H

#include <rte_ethdev.h>

#include "port.h"

/* How packets reach several queues. */
enum atr_port_spread {
	ATR_SPREAD_ONE,    /* one queue: nothing to spread */
	ATR_SPREAD_RSS,    /* the port hashes; *rss_hf says over what */
	ATR_SPREAD_DRIVER, /* the driver, its kernel or its peer does */
	ATR_SPREAD_NONE    /* nobody does: refuse */
};
enum atr_port_spread atr_port_spread(const char *driver, uint16_t queues, uint64_t capability,
				     uint64_t *rss_hf);

/* Checks addresses of a configuration; 0 or -EINVAL with a sentence. */
int atr_port_check_addresses(uint16_t port_id, const struct atr_port_config *config, char *error,
			     size_t size);

/* Fills conf and the checksum and segment members of *iface from what the port offers. 0 or
 * negative errno with a sentence. mtu is the one to run with. */
int atr_port_negotiate(uint16_t port_id, const struct rte_eth_dev_info *info,
		       const struct atr_port_config *config, uint16_t mtu,
		       struct rte_eth_conf *conf, struct atr_iface *iface, char *error,
		       size_t size);

#endif
