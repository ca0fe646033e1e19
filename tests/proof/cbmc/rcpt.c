/* SPDX-License-Identifier: ISC */
/* A recipient without a mailer of the MTA's own choice is ours only when it is
 * plain: no byte that an MTA takes as routing or quoting before the last @, and
 * after it nothing or a domain of ours. */
#include "proof.h"

#include "common/mta/address.c"
#include "common/policy/rcpt.c"

enum { LEN = 9 };

static const char *asked; /* where the domain that was folded stands */
static bool ours;

/* Any domain may be ours: whichever it is, it is the text behind the last @. */
bool
domain_fold(const char *text, size_t len, char *out)
{
	asked = text;
	out[0] = 'x';
	out[1] = '\0';
	return len > 0 && nondet_bool();
}

enum domain_answer
domains_ask(const struct domain_set *set, const char *folded, bool wait)
{
	(void)set;
	(void)folded;
	(void)wait;
	return ours ? DOMAIN_OURS : DOMAIN_FOREIGN;
}

static bool
is_routing(char c)
{
	switch (c) {
	case '%':
	case '!':
	case '@':
	case ':':
	case '"':
	case '\\':
	case '<':
	case '>':
	case '(':
	case ')':
	case '[':
	case ']':
	case ',':
	case ';':
		return true;
	default:
		return (c >= 0 && c <= ' ') || c == 0x7f;
	}
}

int
main(void)
{
	static char local[] = "local", lmtp[] = "lmtp";
	char *names[] = { local, lmtp };
	const struct string_list mailers = { .v = names, .n = 2 };
	const struct domain_set set = { .wildcards = false };
	char arg[LEN + 1], mailer[6];
	bool told = nondet_bool();

	any_string(arg, sizeof(arg));
	any_string(mailer, sizeof(mailer));
	ours = nondet_bool();
	if (rcpt_ask(arg, told ? mailer : NULL, &mailers, &set, true) !=
	    DOMAIN_OURS)
		return 0;
	if (told && strcmp(mailer, "local") == 0)
		return 0; /* the MTA has resolved all routing */
	const char *p = arg, *end = arg + strlen(arg), *at = NULL;

	if (end - p >= 2 && *p == '<' && end[-1] == '>') {
		p++;
		end--;
	}
	for (const char *q = p; q < end; q++)
		if (*q == '@')
			at = q;
	for (const char *q = p; q < (at == NULL ? end : at); q++)
		assert(!is_routing(*q));
	assert((at == NULL ? end : at) > p);
	assert(at == NULL || (told && strcmp(mailer, "lmtp") == 0) ||
	    (ours && asked == at + 1));
	return 0;
}
