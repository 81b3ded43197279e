/* SPDX-License-Identifier: BSD-3-Clause */
/* Where published datagrams go: a UDP socket or a capture file; paced, and on request shuffled,
 * lost or repeated, as a bad network would. */
#ifndef ATRCTL_OUTPUT_H
#define ATRCTL_OUTPUT_H

#include <pcap/pcap.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "option.h"
#include "term.h"

#define MAC_SIZE 6

struct output_params {
	struct address to, from;
	const char *save;    /* capture file instead of a socket, or NULL */
	const char *eth_src; /* of the capture file: "02:00:00:00:00:01" */
	const char *eth_dst;
	struct option_u64 rate;    /* datagrams per second */
	struct option_u64 repeat;  /* times that every datagram is sent */
	struct option_u64 shuffle; /* seed */
	struct option_loss loss;
};

struct output_item {
	uint8_t *data;
	size_t length;
};

struct output {
	const struct output_params *params;
	int fd; /* -1 with a capture file */
	pcap_t *pcap;
	pcap_dumper_t *dumper;
	uint8_t mac_src[MAC_SIZE], mac_dst[MAC_SIZE];
	uint64_t interval_ns, next_ns;
	uint64_t loss_state;
	struct output_item *held; /* while shuffling */
	size_t held_count, held_capacity;
	struct progress *progress;
	/* What became of the datagrams. */
	uint64_t sent, bytes, lost, failed;
	uint64_t started_ns, ended_ns;
	char error[128]; /* of the first failure */
};

/* 0 or -EINVAL with a sentence in error (ERROR_SIZE bytes). */
int output_open(struct output *output, const struct output_params *params, char *error);

/* Sends one datagram, or keeps a copy until output_flush when shuffling. */
void output_put(struct output *output, const uint8_t *data, size_t length);

/* Sends one datagram now, without shuffling: for retransmissions. */
void output_send(struct output *output, const uint8_t *data, size_t length);

/* Takes a datagram that came back to where they are sent from: its length, or -1 with none. */
ssize_t output_receive(struct output *output, uint8_t *data, size_t size);

/* Sends what is kept, in the order that the seed gives. */
void output_flush(struct output *output);

/* Closes; 0, or negative errno when the capture file could not be written. */
int output_close(struct output *output);

/* Next number of a splitmix64 sequence. */
uint64_t random_next(uint64_t *state);

#endif
