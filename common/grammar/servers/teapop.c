/* SPDX-License-Identifier: ISC */
/* teapop. Source: teapop/pop_auth.c.
 *
 *   Successful login for U [LOCAL] from NAME [A]
 *
 * The first address is our own. U stands before both: hence exactly two
 * brackets. */
#include "common/grammar/grammar.h"

#include "common/base/addr.h"

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	struct span local, name;
	struct addr addr;

	(void)program;
	m->service = SERVICE_POP3;
	if (SPAN_STARTS(s, "Failed login") ||
	    SPAN_STARTS(s, "Three failed login"))
		return FATE_FAILED_LOGIN;
	if (!SPAN_TAKE(&s, "Successful login for "))
		return SPAN_STARTS(s, "Successful") ? FATE_UNKNOWN_SHAPE
						    : FATE_NOT_A_LOGIN;
	if (span_count(s, "[", 1, 3) != 2 || span_count(s, "]", 1, 3) != 2)
		return FATE_AMBIGUOUS;
	if (!SPAN_UNTIL(&s, " ", &m->user) || !span_bracketed(&s, &local) ||
	    !addr_parse_n(local.p, span_len(local), &addr) ||
	    !SPAN_TAKE(&s, " from ") || !SPAN_UNTIL(&s, " ", &name) ||
	    !span_bracketed(&s, &m->addr) || !span_done(s))
		return FATE_UNKNOWN_SHAPE;
	return FATE_LOGIN;
}

static const char *const programs[] = { "teapop", NULL };

const struct grammar grammar_teapop = {
	.name = "teapop",
	.programs = programs,
	.match = match,
};
