/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of any bytes: every packet and comment lies inside what was read, and the reader ends. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../lib/pcapng/pcapng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FILE *file = size ? fmemopen((void *)(uintptr_t)data, size, "r") : NULL;
	struct atr_pcapng *reader;
	struct atr_pcapng_packet packet;
	char error[256] = "";
	uint8_t sum = 0;
	int rc;

	if (!file)
		return 0;
	reader = atr_pcapng_create(file);
	if (!reader)
		abort();
	while ((rc = atr_pcapng_next(reader, &packet, error, sizeof(error))) == 1) {
		if (packet.length > size || packet.comment_length > size)
			abort();
		for (size_t i = 0; i < packet.length; i++)
			sum ^= packet.data[i];
		for (size_t i = 0; i < packet.comment_length; i++)
			sum ^= (uint8_t)packet.comment[i];
	}
	/* An error has its sentence; sum keeps the reads. */
	if (rc < 0 && error[0] == '\0')
		abort();
	if (rc > (int)sum + 1)
		abort();
	atr_pcapng_free(reader);
	fclose(file);
	return 0;
}
