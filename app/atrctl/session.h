/* SPDX-License-Identifier: BSD-3-Clause */
/* A subscriber's account of MoldUDP64 sessions: what came, what is missing, what came twice. */
#ifndef ATRCTL_SESSION_H
#define ATRCTL_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "../../lib/wire/moldudp64.h"

#define SESSIONS_MAX 1024 /* known at once; more are counted as ignored */
#define GAPS_MAX     4096 /* open gaps remembered a session; older ones stay counted as missing */

struct gap {
	uint64_t first, end; /* sequences [first, end) */
};

struct session {
	char name[ATR_MOLD_SESSION_SIZE];
	bool started, ended;
	uint64_t expected; /* next sequence */
	uint64_t messages, duplicates, heartbeats, missing, recovered, gaps_seen;
	unsigned int gap_count;
	struct gap gaps[GAPS_MAX];
};

struct sessions {
	unsigned int count;
	struct session *session[SESSIONS_MAX];
	uint64_t ignored; /* packets of sessions beyond SESSIONS_MAX */
};

/* What one packet or message means for its session. */
enum arrival { ARRIVAL_NEW, ARRIVAL_LATE, ARRIVAL_DUPLICATE };

/* The session of this name, made if need be; NULL when there are too many. */
struct session *sessions_find(struct sessions *sessions, const char *name);
void sessions_free(struct sessions *sessions);

/* Notes that the stream has reached sequence (a packet's first message, or a heartbeat's next one).
 * Returns how many messages are newly missing before it. The first packet of a session sets the
 * start: what came earlier is not known to be missing. */
uint64_t session_reach(struct session *session, uint64_t sequence);

/* Notes the message with this number. */
enum arrival session_message(struct session *session, uint64_t sequence);

#endif
