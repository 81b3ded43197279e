/* SPDX-License-Identifier: BSD-3-Clause */
/* Proposal files of any bytes: refused with a sentence, or read in bounds; a document is whole only
 * if its chunks are, and files that belong together agree. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../app/atrctl/event_line.h"
#include "../../app/atrctl/proposal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct proposal *p)
{
	const struct proposal_item *change = proposal_change(p);
	char error[ERROR_SIZE] = "";
	struct atr_plan *plan;

	if (p->count != p->chunks + p->approvals + p->changes || p->have > p->total ||
	    (p->chunks > 0) != (p->have > 0) || (change != NULL) != (p->changes > 0))
		abort();
	if (proposal_check(p, error) == 0 && change) {
		for (size_t i = 0; i < p->count; i++)
			if (memcmp(p->item[i].motion.digest, change->motion.digest,
				   PROPOSAL_DIGEST) != 0)
				abort();
	}
	error[0] = '\0';
	plan = proposal_plan(p, NULL, error);
	if ((plan == NULL) != (error[0] != '\0') ||
	    (plan && (p->have != p->total || plan->document_length != p->total)))
		abort();
	atr_plan_free(plan);
}

/* Two files, parted by the first byte FF. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *part = memchr(data, 0xFF, size);
	size_t first = part ? (size_t)(part - text) : size;
	char error[ERROR_SIZE] = "";
	struct proposal proposal = {0};
	int err = proposal_take(&proposal, "a", text, first, error);

	if (!err && part)
		err = proposal_take(&proposal, "b", part + 1, size - first - 1, error);
	if (err && !error[0])
		abort();
	if (!err)
		check(&proposal);
	proposal_free(&proposal);
	return 0;
}
