/* SPDX-License-Identifier: ISC */
/* Qpopper 3 and 4. Source: pop_log.c, pop_updt.c, main.c (log-login).
 *
 *   (v4.0.9) POP login by user "U" at (NAME) A[ [pop_log.c:244]]
 *   Stats: U N N N N [NAME ]A[ [pop_updt.c:228]]
 *
 * The second is written when a session ends, and proves that it was one. U is
 * not escaped: hence exactly two quotes and one "at (". */
#include "common/grammar/grammar.h"

/* " [file:line]" that 4.x adds to every line. */
static void
chop_source(struct span *s)
{
	struct span rest = *s;
	struct span before, file;

	if (SPAN_UNTIL_LAST(&rest, " [", &before) &&
	    span_run(&rest, char_host, &file) && SPAN_TAKE(&rest, ":") &&
	    span_number(&rest, NULL) && SPAN_TAKE(&rest, "]") &&
	    span_done(rest))
		s->end = before.end;
}

static enum fate
match_login(struct span s, struct grammar_match *m)
{
	struct span name;

	/* the opening quote is behind us */
	if (SPAN_COUNT(s, "\"") != 1 || SPAN_COUNT(s, "at (") != 1)
		return FATE_AMBIGUOUS;
	if (!SPAN_UNTIL(&s, "\"", &m->user) || !SPAN_TAKE(&s, " at (") ||
	    !SPAN_UNTIL(&s, ") ", &name) || span_has_char(name, '(') ||
	    span_has_char(name, ' '))
		return FATE_UNKNOWN_SHAPE;
	m->addr = s;
	return FATE_LOGIN;
}

static enum fate
match_stats(struct span s, struct grammar_match *m)
{
	struct span name, addr;

	if (!SPAN_UNTIL(&s, " ", &m->user))
		return FATE_TRUNCATED;
	for (int i = 0; i < 4; i++) {
		if ((i > 0 && !SPAN_TAKE(&s, " ")) || !span_number(&s, NULL))
			return FATE_UNKNOWN_SHAPE;
	}
	if (!SPAN_TAKE(&s, " "))
		return FATE_NO_ADDRESS;
	addr = s;
	if (SPAN_UNTIL(&addr, " ", &name) && span_has_char(addr, ' '))
		return FATE_UNKNOWN_SHAPE;
	m->addr = addr;
	return FATE_LOGIN;
}

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	struct span version;
	struct span whole = s;

	(void)program;
	m->service = SERVICE_POP3;
	/* error replies begin with the client's name for itself */
	if (SPAN_STARTS(s, "[AUTH] Failed") || SPAN_HAS(s, "-ERR "))
		return FATE_FAILED_LOGIN;
	chop_source(&s);
	if (SPAN_TAKE(&s, "Stats: "))
		return match_stats(s, m);
	if (SPAN_TAKE(&s, "(") && SPAN_UNTIL(&s, ") ", &version) &&
	    SPAN_TAKE(&s, "POP login by user \""))
		return match_login(s, m);
	return SPAN_STARTS(whole, "POP login by user") ? FATE_UNKNOWN_SHAPE
						       : FATE_NOT_A_LOGIN;
}

static const char *const programs[] = { "popper", "qpopper", "in.qpopper",
	"in.popper", NULL };

const struct grammar grammar_qpopper = {
	.name = "qpopper",
	.programs = programs,
	.match = match,
};
