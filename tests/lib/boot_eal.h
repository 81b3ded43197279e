/* SPDX-License-Identifier: BSD-3-Clause */
/* EAL for a test: one lcore, ordinary memory, nothing that another process could meet. */
#ifndef ATR_TEST_BOOT_EAL_H
#define ATR_TEST_BOOT_EAL_H

#include <string.h>

#include <rte_eal.h>

#define BOOT_EAL "test --no-huge --no-pci --no-telemetry --no-shconf -l 0 -m "

/* words: BOOT_EAL and the megabytes, with more words if need be; taken apart. Negative if it fails.
 */
static inline int boot_eal(char *words)
{
	char *args[16];
	int count = 0;

	for (char *arg = strtok(words, " "); arg; arg = strtok(NULL, " "))
		args[count++] = arg;
	return rte_eal_init(count, args);
}

#endif
