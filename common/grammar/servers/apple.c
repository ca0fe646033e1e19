/* AppleMailServer of old Mac OS X Server. Known from pop-before-smtp's
 * pattern.
 *
 *   IMAP User "U" log on successful from A
 */
#include "common/grammar/grammar.h"

static enum parse_reason
match(struct span s, struct span program, struct grammar_match *m)
{
	(void)program;
	m->service = SERVICE_IMAP;
	if (!SPAN_TAKE(&s, "IMAP User \""))
		return PARSE_NOT_A_LOGIN;
	if (!SPAN_UNTIL(&s, "\"", &m->user))
		return PARSE_TRUNCATED;
	if (span_has_char(s, '"'))
		return PARSE_AMBIGUOUS;
	if (SPAN_STARTS(s, " log on failed"))
		return PARSE_FAILED_LOGIN;
	if (!SPAN_TAKE(&s, " log on successful from "))
		return PARSE_UNKNOWN_SHAPE;
	m->addr = s;
	return PARSE_REASON_LOGIN;
}

static const char *const programs[] = { "AppleMailServer", NULL };

const struct grammar grammar_apple = {
	.name = "apple",
	.programs = programs,
	.match = match,
};
