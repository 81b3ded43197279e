/* SPDX-License-Identifier: BSD-3-Clause */
/* pcapng (draft-ietf-opsawg-pcapng): DPDK 22.11's own library writes no packet comments, so the
 * three blocks that are needed are written here, in host byte order as the format allows. */
#include <string.h>

#include "quarantine_internal.h"

#define BLOCK_SECTION     0x0A0D0D0A
#define BLOCK_INTERFACE   1
#define BLOCK_PACKET      6
#define BYTE_ORDER_MAGIC  0x1A2B3C4D
#define LINKTYPE_ETHERNET 1
#define OPTION_END        0
#define OPTION_COMMENT    1
#define OPTION_TSRESOL    9
#define NANOSECONDS       9 /* ten to the minus ninth */

struct option {
	uint16_t code, length;
};

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
	struct option tsresol;
	uint8_t resolution, pad[3];
	struct option end;
	uint32_t length_again;
} __attribute__((packed));

struct packet_block {
	uint32_t type, length, interface, time_high, time_low, captured, original;
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
	const struct section_block section = {.type = BLOCK_SECTION,
					      .length = sizeof(section),
					      .magic = BYTE_ORDER_MAGIC,
					      .major = 1,
					      .section_length = UINT64_MAX,
					      .length_again = sizeof(section)};
	const struct interface_block interface = {.type = BLOCK_INTERFACE,
						  .length = sizeof(interface),
						  .link = LINKTYPE_ETHERNET,
						  .tsresol = {OPTION_TSRESOL, 1},
						  .resolution = NANOSECONDS,
						  .end = {OPTION_END, 0},
						  .length_again = sizeof(interface)};

	memcpy(out, &section, sizeof(section));
	memcpy(out + sizeof(section), &interface, sizeof(interface));
	return PCAPNG_HEADER_SIZE;
}

size_t pcapng_block_size(uint32_t captured, size_t comment)
{
	return sizeof(struct packet_block) + RTE_ALIGN_CEIL((size_t)captured, 4) +
	       sizeof(struct option) + RTE_ALIGN_CEIL(comment, 4) + sizeof(struct option) +
	       sizeof(uint32_t);
}

static void add_padding(struct series *series, size_t length)
{
	static const uint8_t zeros[3];

	series_add(series, zeros, RTE_ALIGN_CEIL(length, 4) - length);
}

void pcapng_block(struct series *series, const struct rte_mbuf *mbuf, uint32_t captured,
		  uint64_t time_ns, const char *comment, size_t comment_length)
{
	const uint32_t length = (uint32_t)pcapng_block_size(captured, comment_length);
	const struct packet_block block = {.type = BLOCK_PACKET,
					   .length = length,
					   .time_high = (uint32_t)(time_ns >> 32),
					   .time_low = (uint32_t)time_ns,
					   .captured = captured,
					   .original = mbuf->pkt_len};
	const struct option text = {OPTION_COMMENT, (uint16_t)comment_length};
	const struct option end = {OPTION_END, 0};
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
