/* SPDX-License-Identifier: ISC */
/* cucipop. Known from pop-before-smtp's pattern and its sample.
 *
 *   U A N, N (N), N (N)
 *
 * No word says that this is a login, so every byte of the shape is needed,
 * and the two failures that begin alike are named. */
#include "common/grammar/grammar.h"

static bool
take_count_and_size(struct span *s)
{
	return SPAN_TAKE(s, ", ") && span_number(s, NULL) &&
	    SPAN_TAKE(s, " (") && span_number(s, NULL) && SPAN_TAKE(s, ")");
}

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	(void)program;
	m->service = SERVICE_POP3;
	if (SPAN_STARTS(s, "authentication failure "))
		return FATE_FAILED_LOGIN;
	if (SPAN_STARTS(s, "lost "))
		return FATE_NOT_A_LOGIN;
	if (!SPAN_UNTIL(&s, " ", &m->user) || !SPAN_UNTIL(&s, " ", &m->addr) ||
	    !span_number(&s, NULL) || !take_count_and_size(&s) ||
	    !take_count_and_size(&s) || !span_done(s))
		return FATE_NOT_A_LOGIN;
	return FATE_LOGIN;
}

static const char *const programs[] = { "cucipop", NULL };

const struct grammar grammar_cucipop = {
	.name = "cucipop",
	.programs = programs,
	.match = match,
};
