/* SPDX-License-Identifier: ISC */
#include "common/grammar/guess.h"

#include <string.h>

#include "common/base/addr.h"
#include "common/grammar/grammar.h"
#include "common/grammar/programs.h"

enum { HEAD_MAX = 200 /* bytes before a login in a line of no known form */ };

/* POP or IMAP? The tag says so, or else the message, of a server whose tags say
 * nothing. Cyrus' lmtpd and Courier's webmail log logins in the same words. */
static bool
is_mailbox_service(
    struct span tag, struct span as, enum grammar_service service)
{
	static const char *const others[] = { "lmtp", "sieve", "smtp",
		"webmail", "http", "nntp", "sync" };

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (memmem(tag.p, span_len(tag), others[i],
			strlen(others[i])) != NULL)
			return false;
	return service_of_program(tag) != SERVICE_NONE ||
	    (service_of_program(as) == SERVICE_NONE && service != SERVICE_NONE);
}

const char *
guess_server(struct span tag, struct span msg)
{
	msg = span_trimmed(msg);
	for (size_t g = 0; g < GRAMMAR_N; g++) {
		struct grammar_match m = { .pair = PAIR_FORGET };
		const char *name = program_of_tag(g, tag);
		const struct span as = span_of(name, strlen(name));
		struct addr addr;

		if (!grammars[g]->two_lines &&
		    grammars[g]->match(msg, as, &m) == FATE_LOGIN &&
		    !span_empty(m.user) &&
		    addr_parse_n(m.addr.p, span_len(m.addr), &addr) &&
		    is_mailbox_service(tag, as, m.service))
			return grammars[g]->name;
	}
	return NULL;
}

/* Could a syslog daemon or a shipper of logs have written this in front of a
 * message? Text of a client's comes behind a mark like '=', '<' or '('. */
static bool
is_head(const char *line, const char *at)
{
	static const char marks[] = " :.,[]/-_+|@{}\"\\";
	size_t n = (size_t)(at - line);

	if (n > HEAD_MAX)
		return false;
	for (const char *p = line; p < at; p++)
		if (!char_digit(*p) &&
		    !((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') &&
		    (*p == '\0' || strchr(marks, *p) == NULL))
			return false;
	if (n < 2 || at[-1] == '"')
		return true;
	if (at[-1] != ' ')
		return false;
	while (at > line && at[-1] == ' ')
		at--;
	if (at == line)
		return true;
	/* RFC 5424 without its PRI ends in "- - ", a stamp in "11Z" */
	return at[-1] == ':' || at[-1] == ']' || at[-1] == '|' ||
	    char_digit(at[-1]) ||
	    (at - line > 1 &&
		((at[-1] == '-' && at[-2] == ' ') ||
		    (at[-1] == 'Z' && char_digit(at[-2]))));
}

bool
guess_words(struct span line)
{
	static const struct {
		const char *begin, *more; /* which stands behind, or NULL */
	} words[] = {
		{ "imap-login: Login: user=<", NULL },
		{ "pop3-login: Login: user=<", NULL },
		{ "imap-login: Logged in: user=<", NULL },
		{ "pop3-login: Logged in: user=<", NULL },
		{ "imap-login: Info: Log", " rip=" },
		{ "pop3-login: Info: Log", " rip=" },
		{ "LOGIN, user=", ", ip=[" },
		{ "INFO: LOGIN, user=", ", ip=[" },
		{ "login: ", " User logged in" },
		{ "event=login.good ", NULL },
		{ "Login user=", " host=" },
		{ "INFO  [Imap", " authenticated, mechanism=" },
		{ "INFO  [Pop3", " authenticated, mechanism=" },
		{ "INFO [Imap", " authenticated, mechanism=" },
		{ "INFO [Pop3", " authenticated, mechanism=" },
		{ "INFO Authentication successful (auth.success)", NULL },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const char *begin = words[i].begin, *more = words[i].more;
		const char *at =
		    memmem(line.p, span_len(line), begin, strlen(begin));

		if (at != NULL && is_head(line.p, at) &&
		    (more == NULL ||
			memmem(at, (size_t)(line.end - at), more,
			    strlen(more)) != NULL))
			return true;
	}
	return false;
}
