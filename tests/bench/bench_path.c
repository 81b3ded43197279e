/* SPDX-License-Identifier: BSD-3-Clause */
/* What one data lcore does with every gate on: the appliance's own stage table, shard and control
 * lcore, from a net_ring port to a net_ring port. Unique, really signed frames in 256-frame trees;
 * every root is verified by the control lcore during the run; a run that lost or misjudged one
 * event fails. Scope: tier3-ceiling, durability none.
 *
 *   bench_path [-n FRAMES] [-m MTU] [-p PASSES]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "path_rig.h"

static uint64_t admitted(void)
{
	return path_rig.shard->node->book.events.admitted;
}

static void report(void)
{
	double rate[PATH_PASSES_MAX];
	uint64_t expect = (uint64_t)path_rig.passes * path_rig.frames * path_rig.events;
	const struct atr_book *book = &path_rig.shard->node->book;

	path_rig_rates(rate);
	printf("tier3-ceiling, durability none, MTU %u: %u events a frame, %u-frame trees, 1 data "
	       "lcore, %u passes of %u frames\n",
	       path_rig.mtu, path_rig.events, PATH_TREE, path_rig.passes, path_rig.frames);
	printf("  median %.2f M msg/s, minimum %.2f, maximum %.2f; roots verified %" PRIu64 "\n",
	       rate[path_rig.passes / 2], rate[0], rate[path_rig.passes - 1],
	       path_rig.control->stats.roots_verified);
	path_rig_stages();
	if (book->events.admitted != expect ||
	    path_rig.shard->feeds->feed[0].stats.messages != expect ||
	    path_rig.shard->feeds->tx[0].dropped || path_rig.shard->feeds->feed[0].stats.no_mbuf)
		path_die("events were lost or misjudged");
}

int main(int argc, char **argv)
{
	static const struct atr_commit_config none = {.durability = ATR_DURABILITY_NONE};
	char directory[] = "/tmp/atr-bench-XXXXXX";

	path_rig.frames = 4096;
	path_rig.mtu = 1500;
	path_rig.passes = 9;
	path_rig.measure = admitted;
	path_rig.completes = true;
	path_rig_start(argc, argv);
	if (!mkdtemp(directory))
		path_die("no temporary directory");
	path_rig_plan("none");
	path_rig_wire(directory, &none);
	path_rig_launch();
	for (unsigned int p = 0; p < path_rig.passes; p++) {
		/* The feed's packets of one pass fit the ring; it is emptied between passes. */
		path_rig_drain(NULL);
		path_rig_fill();
		path_rig_pass(p, NULL);
	}
	path_rig_join();
	report();
	path_rig_end();
	return 0;
}
