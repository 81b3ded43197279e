/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes in on feed sockets: gap requests at the appliance, downstream packets at subscribers.
 * Parsing stays in bounds, reading blocks ends, and what was read writes back as it was. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/wire/moldudp64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_request(const uint8_t *data, size_t size)
{
	struct atr_mold_hdr request;

	if (atr_mold_request_parse(data, size, &request) == 0 &&
	    (size != sizeof(request) || memcmp(&request, data, size) != 0))
		abort();
}

static void check_session(const char *session)
{
	char again[ATR_MOLD_SESSION_SIZE];
	uint32_t feed, shard, epoch;

	if (atr_mold_session_parse(session, &feed, &shard, &epoch) != 0)
		return;
	atr_mold_session(again, feed, shard, epoch);
	if (memcmp(again, session, sizeof(again)) != 0)
		abort();
}

static uint8_t check_blocks(const struct atr_mold_packet *packet)
{
	struct atr_mold_event event;
	unsigned int blocks = 0;
	size_t cursor = 0;
	uint8_t sum = 0;
	int rc;

	while ((rc = atr_mold_next(packet, &cursor, &event)) == 1) {
		blocks++;
		sum ^= (uint8_t)(event.sequence ^ event.packet->topic_id);
		for (uint32_t b = 0; b < event.payload_length; b++)
			sum ^= event.payload[b];
	}
	if (cursor > packet->length)
		abort();
	if (rc == 0 && packet->count != ATR_MOLD_COUNT_END && blocks != packet->count)
		abort();
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1), header[ATR_MOLD_HDR_SIZE];
	struct atr_mold_packet packet;
	volatile uint8_t sum = 0;

	if (!exact)
		abort();
	if (size)
		memcpy(exact, data, size);
	check_request(exact, size);
	if (atr_mold_parse(exact, size, &packet) == 0) {
		atr_mold_hdr_write(header, packet.session, packet.sequence, packet.count);
		if (memcmp(header, exact, sizeof(header)) != 0)
			abort();
		check_session(packet.session);
		sum = check_blocks(&packet);
	}
	(void)sum;
	free(exact);
	return 0;
}
