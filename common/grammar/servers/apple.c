/* SPDX-License-Identifier: ISC */
/* AppleMailServer of old Mac OS X Server. Known from pop-before-smtp's
 * pattern.
 *
 *   IMAP User "U" log on successful from A
 */
#include "common/grammar/grammar.h"

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	(void)program;
	m->service = SERVICE_IMAP;
	if (!SPAN_TAKE(&s, "IMAP User \""))
		return FATE_NOT_A_LOGIN;
	if (!SPAN_UNTIL(&s, "\"", &m->user))
		return FATE_TRUNCATED;
	if (span_has_char(s, '"'))
		return FATE_AMBIGUOUS;
	if (SPAN_STARTS(s, " log on failed"))
		return FATE_FAILED_LOGIN;
	if (!SPAN_TAKE(&s, " log on successful from "))
		return FATE_UNKNOWN_SHAPE;
	m->addr = s;
	return FATE_LOGIN;
}

static const char *const programs[] = { "AppleMailServer", NULL };

const struct grammar grammar_apple = {
	.name = "apple",
	.programs = programs,
	.match = match,
};
