/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench.h"

struct rte_mempool *pool;
char directory[64];

int directory_make(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/test_quarantine.XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

int directory_remove(void **state)
{
	(void)state;
	free(output_of("rm -r %s", directory));
	/* Invariant of every test: each mbuf that was put has been freed. */
	return rte_mempool_in_use_count(pool) == 0 ? 0 : -1;
}

struct atr_quarantine_params params_default(void)
{
	return (struct atr_quarantine_params){.directory = directory,
					      .file_bytes = 1 << 20,
					      .files = 4,
					      .packets_per_second = 1000000,
					      .producers = 2,
					      .ring_size = 256};
}

struct atr_quarantine *start(const struct atr_quarantine_params *params)
{
	char error[256] = "";
	struct atr_quarantine *quarantine = atr_quarantine_start(params, error, sizeof(error));

	if (!quarantine)
		fail_msg("%s", error);
	return quarantine;
}

struct atr_quarantine_item item_of(const uint8_t *payload, uint16_t length, uint8_t reason)
{
	static const uint8_t headers[42] = {2,  0,    0, 0, 0,  1, 2, 0, 0,    0,    0,    2,   8,
					    0,  0x45, 0, 0, 0,  0, 0, 0, 0,    64,   17,   0,   0,
					    10, 0,    0, 1, 10, 0, 0, 2, 0x9C, 0x40, 0x13, 0x88};
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);
	uint8_t *data;

	assert_non_null(mbuf);
	data = (uint8_t *)rte_pktmbuf_append(mbuf, (uint16_t)(sizeof(headers) + length));
	assert_non_null(data);
	memcpy(data, headers, sizeof(headers));
	data[16] = (uint8_t)((28 + length) >> 8);
	data[17] = (uint8_t)(28 + length);
	data[38] = (uint8_t)((8 + length) >> 8);
	data[39] = (uint8_t)(8 + length);
	memcpy(data + sizeof(headers), payload, length);
	return (struct atr_quarantine_item){.mbuf = mbuf,
					    .time_ns = UINT64_C(1700000000123456789),
					    .generation = 3,
					    .offset = sizeof(headers),
					    .length = length,
					    .reason = reason,
					    .shard = 1};
}

void put(struct atr_quarantine *quarantine, unsigned int producer,
	 const struct atr_quarantine_item *item)
{
	while (!atr_quarantine_put(quarantine, producer, item))
		usleep(100);
}

struct atr_quarantine_stats wait_for(struct atr_quarantine *quarantine, uint64_t count)
{
	struct atr_quarantine_stats stats;

	for (unsigned int i = 0; i < 5000; i++) {
		atr_quarantine_stats(quarantine, &stats);
		if (stats.written + stats.dropped_rate + stats.dropped_disk >= count)
			return stats;
		usleep(1000);
	}
	fail_msg("writer did not get through %lu packets in time", count);
	return stats;
}

char *output_of(const char *format, ...)
{
	char command[512], *out = calloc(1, 1 << 20);
	va_list arguments;
	size_t length;
	FILE *pipe;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	length = fread(out, 1, (1 << 20) - 1, pipe);
	out[length] = '\0';
	if (pclose(pipe) != 0)
		fail_msg("failed: %s", command);
	return out;
}

json_t *audit_lines(void)
{
	char *text = output_of("cat %s/audit-*.jsonl", directory), *save = NULL;
	json_t *lines = json_array();

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		json_error_t error;
		json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &error);

		if (!json_is_object(object))
			fail_msg("not a JSON object (%s): %s", error.text, line);
		for (const char *c = line; *c; c++)
			assert_in_range(*c, 0x20, 0x7E);
		json_array_append_new(lines, object);
	}
	free(text);
	return lines;
}

unsigned int lines_in(const char *text)
{
	unsigned int lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}
