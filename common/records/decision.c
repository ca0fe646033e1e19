/* SPDX-License-Identifier: ISC */
#include "common/records/decision.h"

#include <assert.h>
#include <string.h>

enum verdict
verdict_monitored(enum verdict verdict)
{
	assert(verdict != VERDICT_ASK_STORE);
	return verdict == VERDICT_REJECT  ? VERDICT_WOULD_REJECT
	    : verdict == VERDICT_TEMPFAIL ? VERDICT_WOULD_TEMPFAIL
					  : verdict;
}

const char *
verdict_name(enum verdict verdict)
{
	static const char *const names[] = {
		[VERDICT_ACCEPT] = "accept",
		[VERDICT_REJECT] = "reject",
		[VERDICT_TEMPFAIL] = "tempfail",
		[VERDICT_WOULD_REJECT] = "would-reject",
		[VERDICT_WOULD_TEMPFAIL] = "would-tempfail",
		[VERDICT_WOULD_ACCEPT] = "would-accept",
		[VERDICT_ASK_STORE] = "ask-store",
	};

	assert(verdict <= VERDICT_ASK_STORE);
	return names[verdict];
}

const char *
reason_name(enum reason reason)
{
	static const char *const names[REASONS] = {
#define REASON(reason, name) [REASON_##reason] = (name),
		REASONS_EACH(REASON)
#undef REASON
	};

	assert(reason < REASONS);
	return names[reason];
}

enum reason
reason_find(const char *name)
{
	int r = 0;

	while (r < REASONS && strcmp(reason_name((enum reason)r), name) != 0)
		r++;
	return (enum reason)r;
}
