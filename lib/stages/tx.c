/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 14: packets to the port queues. What the driver does not take now is offered again in the
 * next turn. */
#include "stages.h"

unsigned int atr_stage_tx(struct atr_shard *shard, struct atr_batch *batch)
{
	unsigned int packets = 0;

	(void)batch;
	for (unsigned int i = 0; i < shard->iface_count; i++) {
		packets += shard->feeds->tx[i].count;
		atr_tx_flush(&shard->feeds->tx[i]);
	}
	return packets;
}
