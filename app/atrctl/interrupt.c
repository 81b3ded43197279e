/* SPDX-License-Identifier: BSD-3-Clause */
#include "interrupt.h"

volatile sig_atomic_t interrupt_seen;

static void on_signal(int number)
{
	(void)number;
	interrupt_seen = 1;
}

void interrupt_catch(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}
