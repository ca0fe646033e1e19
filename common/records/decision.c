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
#define REASON(reason, name, basis, words) [REASON_##reason] = (name),
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

enum basis
reason_basis(enum reason reason)
{
	static const enum basis bases[REASONS + 1] = {
#define REASON(reason, name, basis, words) [REASON_##reason] = BASIS_##basis,
		REASONS_EACH(REASON)
#undef REASON
	};

	assert(reason <= REASONS);
	return bases[reason];
}

const char *
reason_words(enum reason reason)
{
	static const char *const said[REASONS] = {
#define REASON(reason, name, basis, words) [REASON_##reason] = (words),
		REASONS_EACH(REASON)
#undef REASON
	};

	assert(reason < REASONS);
	return said[reason];
}
