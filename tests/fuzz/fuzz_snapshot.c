/* SPDX-License-Identifier: BSD-3-Clause */
/* Snapshots of any bytes: in bounds, and what is taken makes the same bytes again (which the loader
 * asserts itself; here it is asserted of the loader). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/log/crc.h"
#include "../../lib/replay/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct atr_replay_params params = {.shard = 1, .shards = 2};
	struct atr_snapshot_hdr hdr;
	struct atr_snapshot again;
	struct atr_replay *replay;
	struct atr_log_end end;
	uint8_t *bytes = malloc(size + 1);
	char error[512] = "";

	if (!bytes)
		abort();
	memcpy(bytes, data, size);
	/* Size and CRC are made right, so that what lies behind them is reached. */
	if (size >= sizeof(hdr)) {
		memcpy(&hdr, bytes, sizeof(hdr));
		hdr.bytes = size;
		hdr.crc = 0;
		memcpy(bytes, &hdr, sizeof(hdr));
		hdr.crc = atr_log_crc_end(atr_log_crc_add(ATR_LOG_CRC_BEGIN, bytes, size));
		memcpy(bytes, &hdr, sizeof(hdr));
	}
	replay = atr_snapshot_load(&params, bytes, size, &end, error, sizeof(error));
	if (!replay && !error[0])
		abort();
	if (replay) {
		if (atr_snapshot_make(replay, &end, &again, error, sizeof(error)) < 0 ||
		    again.length != size || memcmp(again.bytes, bytes, size) != 0)
			abort();
		free(again.bytes);
		atr_replay_free(replay);
	}
	free(bytes);
	return 0;
}
