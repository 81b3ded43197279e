/* SPDX-License-Identifier: BSD-3-Clause */
/* pcapng (draft-ietf-opsawg-pcapng): DPDK 22.11's own library writes no packet comments, so the
 * three blocks that are needed are written here, in host byte order as the format allows. */
#include <string.h>

#include "../pcapng/format.h"
#include "quarantine_internal.h"

#define NANOSECONDS 9 /* ten to the minus ninth */

struct section_block {
	uint32_t type, length, magic;
	uint16_t major, minor;
	uint64_t section_length; /* all ones: not given */
	uint32_t length_again;
} __attribute__((packed));

struct interface_block {
	uint32_t type, length;
	uint16_t link, reserved;
	uint32_t snap; /* 0: no limit */
	struct atr_pcapng_option tsresol;
	uint8_t resolution, pad[3];
	struct atr_pcapng_option end;
	uint32_t length_again;
} __attribute__((packed));

struct packet_block {
	struct atr_pcapng_block block;
	struct atr_pcapng_packet_body body;
} __attribute__((packed));

_Static_assert(sizeof(struct section_block) == 28, "section header block is 28 bytes");
_Static_assert(sizeof(struct interface_block) == 32, "interface block is 32 bytes");
_Static_assert(sizeof(struct packet_block) == 28, "packet block begins with 28 bytes");
_Static_assert(offsetof(struct section_block, section_length) == 16, "section length at 16");
_Static_assert(offsetof(struct interface_block, tsresol) == 16, "options at 16");
_Static_assert(PCAPNG_HEADER_SIZE == sizeof(struct section_block) + sizeof(struct interface_block),
	       "a file begins with both");

size_t pcapng_header(uint8_t *out)
{
	const struct section_block section = {.type = ATR_PCAPNG_SECTION,
					      .length = sizeof(section),
					      .magic = ATR_PCAPNG_BYTE_ORDER_MAGIC,
					      .major = 1,
					      .section_length = UINT64_MAX,
					      .length_again = sizeof(section)};
	const struct interface_block interface = {.type = ATR_PCAPNG_INTERFACE,
						  .length = sizeof(interface),
						  .link = ATR_PCAPNG_ETHERNET,
						  .tsresol = {ATR_PCAPNG_OPTION_TSRESOL, 1},
						  .resolution = NANOSECONDS,
						  .end = {ATR_PCAPNG_OPTION_END, 0},
						  .length_again = sizeof(interface)};

	memcpy(out, &section, sizeof(section));
	memcpy(out + sizeof(section), &interface, sizeof(interface));
	return PCAPNG_HEADER_SIZE;
}

size_t pcapng_block_size(uint32_t captured, size_t comment)
{
	return sizeof(struct packet_block) + RTE_ALIGN_CEIL((size_t)captured, ATR_PCAPNG_WORD) +
	       sizeof(struct atr_pcapng_option) + RTE_ALIGN_CEIL(comment, ATR_PCAPNG_WORD) +
	       sizeof(struct atr_pcapng_option) + sizeof(uint32_t);
}

static void add_padding(struct series *series, size_t length)
{
	static const uint8_t zeros[3];

	series_add(series, zeros, RTE_ALIGN_CEIL(length, ATR_PCAPNG_WORD) - length);
}

void pcapng_block(struct series *series, const struct rte_mbuf *mbuf, uint32_t captured,
		  uint64_t time_ns, const char *comment, size_t comment_length)
{
	const uint32_t length = (uint32_t)pcapng_block_size(captured, comment_length);
	const struct packet_block block = {
		.block = {.type = ATR_PCAPNG_PACKET, .length = length},
		.body = {.time_high = (uint32_t)(time_ns >> 32),
			 .time_low = (uint32_t)time_ns,
			 .captured = captured,
			 .original = mbuf->pkt_len},
	};
	const struct atr_pcapng_option text = {ATR_PCAPNG_OPTION_COMMENT, (uint16_t)comment_length};
	const struct atr_pcapng_option end = {ATR_PCAPNG_OPTION_END, 0};
	uint32_t left = captured;

	series_add(series, &block, sizeof(block));
	for (const struct rte_mbuf *part = mbuf; part && left > 0; part = part->next) {
		uint32_t piece = RTE_MIN(left, (uint32_t)part->data_len);

		series_add(series, rte_pktmbuf_mtod(part, const void *), piece);
		left -= piece;
	}
	add_padding(series, captured);
	series_add(series, &text, sizeof(text));
	series_add(series, comment, comment_length);
	add_padding(series, comment_length);
	series_add(series, &end, sizeof(end));
	series_add(series, &length, sizeof(length));
}
