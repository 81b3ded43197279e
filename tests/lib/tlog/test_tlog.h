/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ATR_TEST_TLOG_H
#define ATR_TEST_TLOG_H

void checkpoint_exact(void **state);
void checkpoint_round_trip(void **state);
void checkpoint_tampered(void **state);
void checkpoint_malformed(void **state);
void checkpoint_names(void **state);

#endif
