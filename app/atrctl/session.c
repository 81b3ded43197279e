/* SPDX-License-Identifier: BSD-3-Clause */
#include "session.h"

#include <stdlib.h>
#include <string.h>

struct session *sessions_find(struct sessions *sessions, const char *name)
{
	struct session *s;

	for (unsigned int i = 0; i < sessions->count; i++)
		if (memcmp(sessions->session[i]->name, name, ATR_MOLD_SESSION_SIZE) == 0)
			return sessions->session[i];
	s = sessions->count < SESSIONS_MAX ? calloc(1, sizeof(*s)) : NULL;
	if (!s) {
		sessions->ignored++;
		return NULL;
	}
	memcpy(s->name, name, ATR_MOLD_SESSION_SIZE);
	sessions->session[sessions->count++] = s;
	return s;
}

void sessions_free(struct sessions *sessions)
{
	for (unsigned int i = 0; i < sessions->count; i++)
		free(sessions->session[i]);
	sessions->count = 0;
}

uint64_t session_reach(struct session *s, uint64_t sequence)
{
	uint64_t lost;

	if (!s->started) {
		s->started = true;
		s->expected = sequence;
		return 0;
	}
	if (sequence <= s->expected)
		return 0;
	lost = sequence - s->expected;
	if (s->gap_count == GAPS_MAX)
		memmove(s->gaps, s->gaps + 1, --s->gap_count * sizeof(s->gaps[0]));
	s->gaps[s->gap_count++] = (struct gap){s->expected, sequence};
	s->gaps_seen++;
	s->missing += lost;
	s->expected = sequence;
	return lost;
}

/* Takes sequence out of the gap i, which holds it. */
static void fill(struct session *s, unsigned int i, uint64_t sequence)
{
	struct gap *g = &s->gaps[i];

	if (sequence == g->first) {
		g->first++;
	} else if (sequence + 1 == g->end) {
		g->end--;
	} else if (s->gap_count < GAPS_MAX) {
		memmove(g + 1, g, (s->gap_count - i) * sizeof(*g));
		s->gap_count++;
		g[0].end = sequence;
		g[1].first = sequence + 1;
	} else {
		g->first = sequence + 1; /* bounded memory: the rest of it stays missing */
	}
	if (g->first == g->end)
		memmove(g, g + 1, (--s->gap_count - i) * sizeof(*g));
}

enum arrival session_message(struct session *s, uint64_t sequence)
{
	if (sequence >= s->expected) {
		session_reach(s, sequence);
		s->expected = sequence + 1;
		s->messages++;
		return ARRIVAL_NEW;
	}
	for (unsigned int i = s->gap_count; i-- > 0;)
		if (sequence >= s->gaps[i].first && sequence < s->gaps[i].end) {
			fill(s, i, sequence);
			s->missing--;
			s->recovered++;
			s->messages++;
			return ARRIVAL_LATE;
		}
	s->duplicates++;
	return ARRIVAL_DUPLICATE;
}
