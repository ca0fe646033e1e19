/* SPDX-License-Identifier: ISC */
/* nginx's mail proxy, through syslog. Source: src/mail/ngx_mail_handler.c.
 *
 *   2026/03/03 09:20:00 [info] 1402#0: *31 client logged in, client: A[ using
 *   starttls], server: B:P, login: "U"[, upstream: ...]
 *
 * The address stands before U. SMTP clients get the same words. */
#include "common/grammar/grammar.h"

static bool
take_digits(struct span *s, int n)
{
	for (int i = 0; i < n; i++) {
		if (s->p + i >= s->end || !char_digit(s->p[i]))
			return false;
	}
	s->p += n;
	return true;
}

/* nginx's own stamp, worker and connection. */
static bool
take_head(struct span *s, struct span *level_r)
{
	return take_digits(s, 4) && SPAN_TAKE(s, "/") && take_digits(s, 2) &&
	    SPAN_TAKE(s, "/") && take_digits(s, 2) && SPAN_TAKE(s, " ") &&
	    take_digits(s, 2) && SPAN_TAKE(s, ":") && take_digits(s, 2) &&
	    SPAN_TAKE(s, ":") && take_digits(s, 2) && SPAN_TAKE(s, " ") &&
	    span_bracketed(s, level_r) && SPAN_TAKE(s, " ") &&
	    span_number(s, NULL) && SPAN_TAKE(s, "#") && span_number(s, NULL) &&
	    SPAN_TAKE(s, ": ");
}

static enum fate
match_login(struct span s, struct grammar_match *m)
{
	struct span server, port, ignored;

	if (SPAN_COUNT(s, "client: ") != 1 || SPAN_COUNT(s, ", login: \"") != 1)
		return SPAN_HAS(s, ", login: \"") ? FATE_AMBIGUOUS
						  : FATE_TRUNCATED;
	if (!SPAN_TAKE(&s, ", client: ") ||
	    !SPAN_UNTIL(&s, ", server: ", &m->addr) ||
	    !SPAN_UNTIL(&s, ", login: \"", &server) ||
	    span_has_char(server, ',') || span_has_char(server, ' ') ||
	    !SPAN_UNTIL(&s, "\"", &m->user))
		return FATE_UNKNOWN_SHAPE;
	(void)SPAN_CHOP(&m->addr, " using starttls");
	if (span_has_char(s, '"'))
		return FATE_AMBIGUOUS;
	if (!span_done(s) && !SPAN_STARTS(s, ", upstream: "))
		return FATE_UNKNOWN_SHAPE;
	port = server;

	uint64_t number;

	if (!SPAN_UNTIL_LAST(&port, ":", &ignored) ||
	    !span_number(&port, &number) || !span_done(port))
		return FATE_OTHER_SERVICE;
	m->service = service_of_port(number);
	return m->service == SERVICE_NONE ? FATE_OTHER_SERVICE : FATE_LOGIN;
}

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	struct span level;

	(void)program;
	if (!take_head(&s, &level))
		return FATE_NOT_A_LOGIN;
	if (!SPAN_TAKE(&s, "*") || !span_number(&s, NULL) ||
	    !SPAN_TAKE(&s, " client "))
		return FATE_NOT_A_LOGIN;
	if (SPAN_STARTS(s, "login failed"))
		return FATE_FAILED_LOGIN;
	if (!SPAN_EQUALS(level, "info") || !SPAN_TAKE(&s, "logged in"))
		return FATE_NOT_A_LOGIN;
	return match_login(s, m);
}

static const char *const programs[] = { "nginx", NULL };

const struct grammar grammar_nginx = {
	.name = "nginx",
	.programs = programs,
	.long_lines = true,
	.match = match,
};
