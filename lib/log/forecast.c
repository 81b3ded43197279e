/* SPDX-License-Identifier: BSD-3-Clause */
#include "retain.h"

#define NS_PER_S UINT64_C(1000000000)

static uint32_t newest(const struct atr_log_forecast *f)
{
	return (f->next + ATR_FORECAST_SAMPLES - 1) % ATR_FORECAST_SAMPLES;
}

void atr_log_forecast_add(struct atr_log_forecast *f, uint64_t now_ns, uint64_t bytes)
{
	if (f->count && now_ns <= f->sample[newest(f)].ns)
		return;
	f->sample[f->next].ns = now_ns;
	f->sample[f->next].bytes = bytes;
	f->next = (f->next + 1) % ATR_FORECAST_SAMPLES;
	if (f->count < ATR_FORECAST_SAMPLES)
		f->count++;
}

void atr_log_forecast_read(const struct atr_log_forecast *f, uint64_t free_bytes,
			   uint64_t *bytes_per_s, uint64_t *seconds)
{
	uint32_t last = newest(f);
	uint32_t first = f->count < ATR_FORECAST_SAMPLES ? 0 : f->next;
	uint64_t written, span;

	*bytes_per_s = 0;
	*seconds = UINT64_MAX;
	if (f->count < 2 || f->sample[last].bytes <= f->sample[first].bytes)
		return;
	written = f->sample[last].bytes - f->sample[first].bytes;
	span = f->sample[last].ns - f->sample[first].ns;
	*bytes_per_s = (uint64_t)((unsigned __int128)written * NS_PER_S / span);
	if (*bytes_per_s)
		*seconds = free_bytes / *bytes_per_s;
}
