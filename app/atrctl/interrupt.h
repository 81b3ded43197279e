/* SPDX-License-Identifier: BSD-3-Clause */
/* SIGINT and SIGTERM, for commands that end what is under way in order and report. */
#ifndef ATRCTL_INTERRUPT_H
#define ATRCTL_INTERRUPT_H

#include <signal.h>

/* Set by the first signal; the second ends the program at once. */
extern volatile sig_atomic_t interrupt_seen;

void interrupt_catch(void);

#endif
