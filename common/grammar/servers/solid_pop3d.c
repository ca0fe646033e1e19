/* SPDX-License-Identifier: ISC */
/* solid-pop3d. Source: src/main.c. The address is there when it was built
 * with --enable-logextend; otherwise "connect from" of the same process has
 * it.
 *
 *   [mapped ]user U authenticated[ through APOP][ - {A|NAME (A)}]
 */
#include "common/grammar/grammar.h"

enum { USER_CUT = 40 }; /* %.40s */

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	struct span name;

	(void)program;
	m->service = SERVICE_POP3;
	if (SPAN_TAKE(&s, "connect from ")) {
		m->pair = PAIR_OPEN;
		m->addr = s;
		if (SPAN_UNTIL(&s, " (", &name) && SPAN_CHOP(&s, ")"))
			m->addr = s;
		return FATE_PAIR_OPENED;
	}
	if (SPAN_STARTS(s, "pam_") || SPAN_STARTS(s, "config file: ") ||
	    SPAN_STARTS(s, "open: "))
		m->pair = PAIR_KEEP;
	if (SPAN_STARTS(s, "authentication failed"))
		return FATE_FAILED_LOGIN;
	(void)SPAN_TAKE(&s, "mapped ");
	if (!SPAN_TAKE(&s, "user "))
		return FATE_NOT_A_LOGIN;
	if (SPAN_COUNT(s, " authenticated") != 1)
		return SPAN_HAS(s, " authenticated") ? FATE_AMBIGUOUS
						     : FATE_UNKNOWN_SHAPE;
	if (!SPAN_UNTIL(&s, " ", &m->user) || !SPAN_TAKE(&s, "authenticated"))
		return FATE_AMBIGUOUS;
	m->user_cut = span_len(m->user) >= USER_CUT;
	(void)SPAN_TAKE(&s, " through APOP");
	if (span_done(s)) {
		m->pair = PAIR_CLOSE;
		return FATE_PAIR_MISSING;
	}
	if (!SPAN_TAKE(&s, " - "))
		return FATE_UNKNOWN_SHAPE;
	m->addr = s;
	if (SPAN_UNTIL(&s, " (", &name)) {
		if (!SPAN_CHOP(&s, ")") || span_has_char(name, ' '))
			return FATE_TRUNCATED;
		m->addr = s;
	}
	return FATE_LOGIN;
}

static const char *const programs[] = { "solid-pop3d", "spop3d", NULL };
static const char *const processes[] = { "solid-pop3d", "spop3d", NULL };

const struct grammar grammar_solid_pop3d = {
	.name = "solid-pop3d",
	.alias = "spop3d",
	.programs = programs,
	.processes = processes,
	.two_lines = true,
	.match = match,
};
