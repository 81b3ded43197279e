/* SPDX-License-Identifier: BSD-3-Clause */
/* The three-tier timing model: what a batch of N messages under one signature takes.
 *
 * Lowest layer; pure arithmetic on doubles, off the hot path, callable from any thread. Times are
 * in seconds, rates in messages a second. docs/model.md says how each term is measured.
 *
 *   T_batch(N) = T_control + T_bridge(N) + N * T_data        R(N) = N / T_batch(N)
 *
 * T_bridge(N) is the cheaper of N calls and of one that carries the whole batch. With the reference
 * terms this is 0.5 us for one message and 50 us, payloads copied, for a thousand.
 */
#ifndef ATR_PERFMODEL_H
#define ATR_PERFMODEL_H

#include <stdbool.h>
#include <stddef.h>

struct atr_perf_terms {
	double control;      /* one signature, on the control lcore */
	double bridge_call;  /* one message over the bridge */
	double bridge_batch; /* a whole batch over the bridge */
	double data;         /* one message on a data lcore */
};

/* 5 us, 0.5 us, 50 us and 0.1 us. */
extern const struct atr_perf_terms atr_perf_reference;

/* Whether every term is finite, none is negative, and data is above zero. What follows takes terms
 * for which this holds, and n >= 1. */
bool atr_perf_terms_valid(const struct atr_perf_terms *terms);

/* T_batch(n), and R(n): control and data work follow each other, as the contract's sum has it. */
double atr_perf_batch(const struct atr_perf_terms *terms, double n);
double atr_perf_rate(const struct atr_perf_terms *terms, double n);

/* The same with control lcore and data lcore at work at once: the slower of the two sets the pace.
 * Never below atr_perf_rate, and never above twice of it. */
double atr_perf_rate_overlapped(const struct atr_perf_terms *terms, double n);

/* R(N) as N grows without end: the data plane owns the loop. */
double atr_perf_limit(const struct atr_perf_terms *terms);

/* Amdahl: how much faster a whole becomes if the share 0..1 of it becomes speed (> 0) times
 * faster. */
double atr_perf_amdahl(double share, double speed);

/* Against a control plane that needs tier1 seconds for each message by itself: the share of its
 * work that batches of n take away from it, and how much faster that share is done on the data
 * lcore. atr_perf_amdahl of the two is R(n) * tier1. The share is 0 where batches take away
 * nothing. tier1 > 0. */
double atr_perf_share(const struct atr_perf_terms *terms, double tier1, double n);
double atr_perf_speed(const struct atr_perf_terms *terms, double tier1, double n);

/* Seconds a message = data + batch / n, fitted to count measurements by least squares of the
 * relative error, so that slow rows do not outweigh fast ones. n and seconds above zero. 0, or
 * -EINVAL if fewer than two different n are given, or what is given is not finite and above
 * zero. */
int atr_perf_fit(const double *n, const double *seconds, size_t count, double *data, double *batch);

#endif
