/* SPDX-License-Identifier: BSD-3-Clause */
/* Passes that are not measured, of which everything is looked at. */
#ifndef ATR_BENCH_CHECKED_H
#define ATR_BENCH_CHECKED_H

#include "books.h"
#include "delivered.h"

/* A pass of the stock in which the first event of every tree is out of its enumeration; then trees
 * that are wrong in one thing each: a value, a form, the root's signature, a proof, what the
 * ruleset allows, and a frame that came before. What is wrong must be refused for that reason and
 * nothing else, and every other message must be delivered as delivered_check wants it. Adds all of
 * it to sent. Ends the process otherwise. look is shown every packet, and shows delivered_check
 * those of feeds. Main lcore, between passes. */
void checked_pass(struct books *sent, void (*look)(const struct rte_mbuf *mbuf));

#endif
