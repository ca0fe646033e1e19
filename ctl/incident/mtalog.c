/* SPDX-License-Identifier: ISC */
#include "ctl/incident/mtalog.h"

#include <string.h>
#include <time.h>

enum { QUEUE_ID_MIN = 5, QUEUE_ID_MAX = 24 };

static bool
char_id(char c)
{
	return char_digit(c) || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z');
}

/* "4B3C2A1:" or Sendmail's "6ALENnKj000068:", and a space. Words that stand
 * in the same place (NOQUEUE, warning, fatal, statistics) hold no digit, and a
 * letter that isn't hexadecimal: "BBCAFBF" is a queue id. */
static bool
take_queue_id(struct span *s, struct span *id)
{
	struct span rest = *s;
	bool digit = false, hex = true;

	if (!span_run(&rest, char_id, id) || span_len(*id) < QUEUE_ID_MIN ||
	    span_len(*id) > QUEUE_ID_MAX || !SPAN_TAKE(&rest, ": "))
		return false;
	for (const char *p = id->p; p < id->end; p++) {
		digit |= char_digit(*p);
		hex &= char_digit(*p) || (*p >= 'A' && *p <= 'F');
	}
	if (!digit && !hex)
		return false;
	*s = rest;
	return true;
}

/* An address in brackets: quoted parts are stepped over, backslashes too.
 * What can't be an address ends nowhere. */
static bool
take_bracketed(struct span *s, struct span *inside)
{
	const char *p = s->p;
	bool quoted = false;

	if (p == s->end || *p != '<')
		return false;
	for (p++; p < s->end; p++) {
		if (*p == '\\' && p + 1 < s->end)
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (*p == '>' && !quoted)
			break;
	}
	if (p == s->end)
		return false;
	*inside = (struct span){ s->p + 1, p };
	s->p = p + 1;
	return true;
}

/* Does one of these two stand here? */
static bool
follows(struct span s, const char *one, const char *other)
{
	return span_starts(s, one, strlen(one)) ||
	    span_starts(s, other, strlen(other));
}

/* An address and what must stand behind it; one with a quote that isn't
 * closed ends where it can, one without brackets at the first. */
static bool
take_address(struct span *s, const char *one, const char *other, struct span *a)
{
	struct span rest = *s, before;

	if (take_bracketed(&rest, a) && follows(rest, one, other)) {
		s->p = rest.p;
		return true;
	}
	rest = *s;
	if (SPAN_STARTS(rest, "<")) {
		while (SPAN_UNTIL(&rest, ">", &before))
			if (follows(rest, one, other)) {
				*a = (struct span){ s->p + 1, rest.p - 1 };
				s->p = rest.p;
				return true;
			}
		return false;
	}
	if (!span_until(&rest, one, strlen(one), &before))
		return false;
	*a = before;
	s->p = before.end;
	return true;
}

static bool
take_number(struct span *s, unsigned *n_r)
{
	uint64_t n;

	if (!span_number(s, &n))
		return false;
	*n_r = n > UINT32_MAX ? UINT32_MAX : (unsigned)n;
	return true;
}

/* --- Postfix --- */

/* client=NAME[ADDRESS][:PORT], sasl_method=M, sasl_username=U, ... */
static bool
postfix_client(struct span s, struct mtalog *m)
{
	struct span name, word;

	if (!SPAN_TAKE(&s, "client=") || !SPAN_UNTIL(&s, "[", &name) ||
	    !SPAN_UNTIL(&s, "]", &m->client))
		return false;
	m->kind = MTALOG_CLIENT;
	if (SPAN_UNTIL(&s, ", sasl_username=", &word)) {
		struct span rest = s;

		m->user = s;
		/* what Postfix may write behind it */
		if (SPAN_UNTIL_LAST(&rest, ", sasl_sender=", &word) ||
		    SPAN_UNTIL_LAST(&rest, ", orig_queue_id=", &word))
			m->user = word;
	}
	return true;
}

/* from=<SENDER>, size=N, nrcpt=N (queue active) */
static bool
postfix_from(struct span s, struct mtalog *m)
{
	struct span sender;
	unsigned size;

	if (!SPAN_TAKE(&s, "from=<") ||
	    !SPAN_UNTIL_LAST(&s, ">, size=", &sender) ||
	    !take_number(&s, &size) || !SPAN_TAKE(&s, ", nrcpt=") ||
	    !take_number(&s, &m->n) || !SPAN_EQUALS(s, " (queue active)"))
		return false;
	m->kind = MTALOG_FROM;
	m->sender = sender;
	return true;
}

/* uid=33 from=<www-data> */
static bool
postfix_pickup(struct span s, struct mtalog *m)
{
	struct span user = s;
	unsigned uid;

	if (!SPAN_TAKE(&s, "uid=") || !take_number(&s, &uid) ||
	    !SPAN_STARTS(s, " from=<"))
		return false;
	m->kind = MTALOG_LOCAL;
	m->user = (struct span){ user.p, s.p };
	return true;
}

/* to=<A>, [orig_to=<B>, ]relay=R, [conn_use=N, ]delay=..., dsn=..., status=W
 * (TEXT) */
static bool
postfix_to(struct span s, bool outside, struct mtalog *m)
{
	struct span before;

	if (!SPAN_TAKE(&s, "to=") ||
	    !take_address(&s, ", relay=", ", orig_to=", &m->recipient))
		return false;
	if (SPAN_TAKE(&s, ", orig_to=") &&
	    !take_address(&s, ", relay=", ", relay=", &m->orig_to))
		return false;
	if (!SPAN_UNTIL(&s, ", status=", &before))
		return false;
	m->kind = MTALOG_TO;
	m->n = 1;
	m->typed = true;
	m->list = (struct span){ m->recipient.p - 1, m->recipient.end + 1 };
	if (*m->list.p != '<')
		m->list = m->recipient;
	m->sent = SPAN_STARTS(s, "sent (");
	m->outside = outside;
	if (m->sent && SPAN_TAKE(&s, "sent (forwarded as ") &&
	    SPAN_CHOP(&s, ")") && span_run(&s, char_id, &m->child) &&
	    span_empty(s)) {
		m->kind = MTALOG_CHILD;
		m->child_kind = CHILD_FORWARD;
	}
	return true;
}

static bool
postfix_bounce(struct span s, struct mtalog *m)
{
	struct span before;

	if (!SPAN_UNTIL(&s, " notification: ", &before) ||
	    !span_run(&s, char_id, &m->child) || !span_empty(s) ||
	    (!SPAN_EQUALS(before, "sender non-delivery") &&
		!SPAN_EQUALS(before, "sender delay") &&
		!SPAN_EQUALS(before, "sender delivery status") &&
		!SPAN_EQUALS(before, "postmaster non-delivery")))
		return false;
	m->kind = MTALOG_CHILD;
	m->child_kind = CHILD_BOUNCE;
	return true;
}

/* message-id=ID, and nothing behind it */
static bool
postfix_message_id(struct span s, struct mtalog *m)
{
	if (!SPAN_TAKE(&s, "message-id=") || span_empty(s))
		return false;
	m->kind = MTALOG_ID;
	m->message_id = s;
	return true;
}

static bool
postfix(struct span program, struct span s, struct mtalog *m)
{
	struct span before;

	(void)SPAN_UNTIL_LAST(&program, "/", &before);
	if (!take_queue_id(&s, &m->queue_id))
		return false;
	if (SPAN_EQUALS(program, "smtpd"))
		return postfix_client(s, m);
	if (SPAN_EQUALS(program, "pickup"))
		return postfix_pickup(s, m);
	if (SPAN_EQUALS(program, "bounce"))
		return postfix_bounce(s, m);
	if (SPAN_EQUALS(program, "cleanup"))
		return postfix_message_id(s, m);
	if (SPAN_EQUALS(program, "qmgr") || SPAN_EQUALS(program, "oqmgr")) {
		if (SPAN_EQUALS(s, "removed")) {
			m->kind = MTALOG_END;
			return true;
		}
		return postfix_from(s, m);
	}
	/* LMTP goes to a mailbox, wherever it is */
	return postfix_to(s, SPAN_EQUALS(program, "smtp"), m);
}

/* --- Sendmail --- */

/* [name ][ADDRESS][ (may be forged)], or user@localhost */
static void
sendmail_relay(struct span s, struct mtalog *m)
{
	struct span before;

	if (!SPAN_UNTIL_LAST(&s, "[", &before)) {
		if (SPAN_CHOP(&s, "@localhost")) {
			m->kind = MTALOG_LOCAL;
			m->user = s;
		}
		return;
	}
	if (!SPAN_UNTIL(&s, "]", &m->client))
		return;
	(void)SPAN_TAKE(&m->client, "IPv6:");
}

/* from=SENDER, size=N, class=N, nrcpts=N, [msgid=M, ]proto=P, daemon=D,
 * ...relay=R: what stands before the message id and behind the last proto=
 * is Sendmail's own */
static bool
sendmail_from(struct span s, struct mtalog *m)
{
	struct span rest, word;

	if (!SPAN_TAKE(&s, "from=") ||
	    !take_address(&s, ", size=", ", size=", &m->sender) ||
	    !SPAN_UNTIL(&s, ", nrcpts=", &word) || !take_number(&s, &m->n))
		return false;
	m->kind = MTALOG_FROM;
	rest = s;
	if (SPAN_TAKE(&rest, ", msgid=") &&
	    (SPAN_UNTIL_LAST(&rest, ", proto=", &word) ||
		SPAN_UNTIL_LAST(&rest, ", relay=", &word))) {
		m->message_id = word;
		if (SPAN_UNTIL_LAST(&word, ", bodytype=", &rest))
			m->message_id = rest;
	}
	rest = s;
	if (SPAN_UNTIL_LAST(&rest, ", relay=", &word))
		sendmail_relay(rest, m);
	rest = s;
	if (SPAN_UNTIL_LAST(&rest, ", proto=", &word) &&
	    SPAN_UNTIL(&rest, ",", &word))
		m->auth = SPAN_CHOP(&word, "A");
	return true;
}

bool
mtalog_recipient(struct span *list, struct span *recipient, bool *typed)
{
	const char *p = list->p;

	if (span_empty(*list))
		return false;
	*typed = *p == '<';
	if (*typed) {
		if (!take_bracketed(list, recipient))
			return false;
	} else {
		while (p < list->end && *p != ',')
			p++;
		*recipient = (struct span){ list->p, p };
		list->p = p;
	}
	(void)SPAN_TAKE(list, ",");
	return true;
}

/* <a>,<b>,c and a field behind it: s steps behind the list. */
static bool
sendmail_list(struct span *s, struct mtalog *m)
{
	const char *begin = s->p;

	m->typed = true;
	for (;;) {
		struct span a;
		bool typed;

		if (!mtalog_recipient(s, &a, &typed))
			return false;
		m->typed &= typed;
		if (m->n++ == 0)
			m->recipient = a;
		/* a field begins with a space */
		if (SPAN_STARTS(*s, " "))
			break;
	}
	m->list = (struct span){ begin, s->p - 1 };
	s->p--; /* the comma belongs to the field */
	return true;
}

/* to=LIST, [ctladdr=C, ]delay=D, xdelay=D, mailer=M, pri=N, relay=R, dsn=D,
 * stat=TEXT */
static bool
sendmail_to(struct span s, struct mtalog *m)
{
	struct span mailer, word;

	if (!SPAN_TAKE(&s, "to=") || !sendmail_list(&s, m) ||
	    !SPAN_UNTIL(&s, ", mailer=", &word) ||
	    !SPAN_UNTIL(&s, ", ", &mailer) || !SPAN_UNTIL(&s, "stat=", &word))
		return false;
	m->kind = MTALOG_TO;
	m->sent = SPAN_STARTS(s, "Sent");
	m->outside = SPAN_EQUALS(mailer, "esmtp") ||
	    SPAN_EQUALS(mailer, "smtp") || SPAN_EQUALS(mailer, "smtp8") ||
	    SPAN_EQUALS(mailer, "dsmtp") || SPAN_EQUALS(mailer, "relay");
	return true;
}

/* AUTH=server, relay=R, authid=U, mech=M, bits=N: without a queue id; the
 * process is the session. */
static bool
sendmail_auth(struct span s, struct mtalog *m)
{
	struct span relay, user;

	if (!SPAN_TAKE(&s, "AUTH=server, relay=") ||
	    !SPAN_UNTIL(&s, ", authid=", &relay) ||
	    !SPAN_UNTIL_LAST(&s, ", mech=", &user))
		return false;
	m->kind = MTALOG_AUTH;
	sendmail_relay(relay, m);
	m->kind = MTALOG_AUTH;
	m->user = user;
	return true;
}

static bool
sendmail(struct span s, struct mtalog *m)
{
	struct span rest, child;

	m->sendmail = true;
	if (sendmail_auth(s, m))
		return true;
	if (!take_queue_id(&s, &m->queue_id))
		return false;
	rest = s;
	if (take_queue_id(&rest, &child)) {
		m->child = child;
		m->kind = MTALOG_CHILD;
		m->child_kind = CHILD_BOUNCE;
		return SPAN_STARTS(rest, "DSN: ") ||
		    SPAN_STARTS(rest, "return to sender: ") ||
		    SPAN_STARTS(rest, "postmaster notify: ") ||
		    SPAN_STARTS(rest, "sender notify: ");
	}
	if (SPAN_STARTS(s, "done; ")) {
		m->kind = MTALOG_END;
		return true;
	}
	return sendmail_from(s, m) || sendmail_to(s, m);
}

/* --- Exim --- */

static bool
char_exim_id(char c)
{
	return char_id(c) || c == '-';
}

/* "1xXuOd-0005Tz-0O", since 4.97 "1xXuOd-000000005Tz-0O12" */
static bool
take_exim_id(struct span *s, struct span *id)
{
	struct span rest = *s;
	size_t n;

	if (!span_run(&rest, char_exim_id, id))
		return false;
	n = span_len(*id);
	if ((n != 16 && n != 23) || id->p[6] != '-' ||
	    id->p[n == 16 ? 13 : 18] != '-')
		return false;
	*s = rest;
	return true;
}

/* "2026-11-30 05:57:51", perhaps ".123", " +0100", " [4711]", and a blank */
static bool
take_exim_time(struct span *s, int64_t *at_r)
{
	struct tm tm = { .tm_isdst = -1 };
	char text[20];
	struct span rest = *s, word;
	const char *end;
	bool has_zone = false;
	int zone = 0;

	if (span_len(rest) < 20)
		return false;
	memcpy(text, rest.p, 19);
	text[19] = '\0';
	end = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
	if (end == NULL || *end != '\0')
		return false;
	rest.p += 19;
	if (SPAN_TAKE(&rest, "."))
		(void)span_run(&rest, char_digit, &word);
	if (span_len(rest) > 6 &&
	    (SPAN_STARTS(rest, " +") || SPAN_STARTS(rest, " -")) &&
	    char_digit(rest.p[2]) && rest.p[6] == ' ') {
		zone = ((rest.p[2] - '0') * 10 + rest.p[3] - '0') * 3600 +
		    ((rest.p[4] - '0') * 10 + rest.p[5] - '0') * 60;
		if (rest.p[1] == '-')
			zone = -zone;
		has_zone = true;
		rest.p += 6;
	}
	if (SPAN_TAKE(&rest, " ["))
		(void)SPAN_UNTIL(&rest, "]", &word);
	if (!SPAN_TAKE(&rest, " "))
		return false;
	*at_r = has_zone ? (int64_t)timegm(&tm) - zone : (int64_t)mktime(&tm);
	*s = rest;
	return true;
}

bool
mtalog_exim_prefix(
    const char *line, size_t len, struct prefix *prefix, int64_t *at_r)
{
	struct span s = span_of(line, len), id;

	*prefix = (struct prefix){ .pid = -1, .program = span_of("exim", 4) };
	if (!take_exim_time(&s, at_r))
		return false;
	prefix->msg = s;
	return take_exim_id(&s, &id);
}

/* An address up to a blank; quoted parts are stepped over. */
static bool
take_exim_address(struct span *s, struct span *a)
{
	const char *p = s->p;
	bool quoted = false;

	for (; p < s->end && (quoted || *p != ' '); p++) {
		if (*p == '\\' && p + 1 < s->end)
			p++;
		else if (*p == '"')
			quoted = !quoted;
	}
	if (p == s->p || quoted || p > s->end)
		return false;
	*a = (struct span){ s->p, p };
	s->p = p;
	return true;
}

/* [name ][(helo) ][address]:port ... P=: a HELO name may hold what it likes. */
static void
exim_host(struct span s, struct mtalog *m)
{
	struct span host, word;

	if (!SPAN_UNTIL(&s, " P=", &host))
		return;
	if (!SPAN_STARTS(host, "(") && !SPAN_STARTS(host, "[") &&
	    !SPAN_UNTIL(&host, " ", &word))
		return;
	if (SPAN_TAKE(&host, "(")) {
		if (!SPAN_UNTIL_LAST(&host, ") [", &word))
			return;
	} else if (!SPAN_TAKE(&host, "[")) {
		return;
	}
	if (SPAN_UNTIL(&host, "]", &word))
		m->client = word;
}

/* SENDER [R=ID] [H=...] [U=user] P=protocol [X=...] [A=driver:user] S=size */
static bool
exim_from(struct span s, struct mtalog *m)
{
	struct span sender, head, rest, word;

	if (!take_exim_address(&s, &sender) || !SPAN_TAKE(&s, " "))
		return false;
	m->kind = MTALOG_FROM;
	m->sender = sender;
	if (SPAN_EQUALS(sender, "<>"))
		m->sender = span_of(sender.p, 0);
	rest = s;
	if (SPAN_TAKE(&rest, "R=") && take_exim_id(&rest, &word)) {
		m->child = m->queue_id;
		m->queue_id = word;
		m->kind = MTALOG_CHILD;
		m->child_kind = CHILD_BOUNCE;
		return true;
	}
	rest = s;
	if (SPAN_TAKE(&rest, "H="))
		exim_host(rest, m);
	/* what stands behind is the message's: T="subject" */
	if (!SPAN_UNTIL(&s, " S=", &head))
		return false;
	if (span_empty(m->client)) {
		rest = head;
		m->kind = MTALOG_LOCAL;
		if (SPAN_TAKE(&rest, "U=") && SPAN_UNTIL(&rest, " ", &word))
			m->user = word;
		return true;
	}
	if (SPAN_UNTIL_LAST(&head, " A=", &word)) {
		m->auth = true;
		if (!SPAN_UNTIL(&head, ":", &word) ||
		    !take_exim_address(&head, &m->user))
			m->user = word;
	}
	return true;
}

/* RECIPIENT [<original>] R=router T=transport [H=host [address]] ... */
static bool
exim_to(struct span s, bool sent, struct mtalog *m)
{
	struct span word;

	if (!take_exim_address(&s, &m->recipient))
		return false;
	m->list = m->recipient;
	if (SPAN_TAKE(&s, " <") && SPAN_UNTIL(&s, ">", &word) &&
	    !(span_len(word) == span_len(m->recipient) &&
		memcmp(word.p, m->recipient.p, span_len(word)) == 0))
		m->orig_to = word;
	m->kind = MTALOG_TO;
	m->n = 1;
	m->typed = true;
	m->sent = sent;
	m->outside = SPAN_UNTIL(&s, " R=", &word) &&
	    SPAN_UNTIL(&s, " T=", &word) && SPAN_UNTIL(&s, " H=", &word);
	return true;
}

static bool
exim(struct span s, struct mtalog *m)
{
	struct span rest = s;
	int64_t at;

	m->sendmail = true;
	/* syslog's lines have it twice */
	if (take_exim_time(&rest, &at))
		s = rest;
	if (!take_exim_id(&s, &m->queue_id))
		return false;
	if (SPAN_EQUALS(s, " Completed")) {
		m->kind = MTALOG_END;
		return true;
	}
	if (SPAN_TAKE(&s, " <= "))
		return exim_from(s, m);
	if (SPAN_TAKE(&s, " => ") || SPAN_TAKE(&s, " -> ") ||
	    SPAN_TAKE(&s, " >> "))
		return exim_to(s, true, m);
	return (SPAN_TAKE(&s, " ** ") || SPAN_TAKE(&s, " == ")) &&
	    exim_to(s, false, m);
}

bool
mtalog_parse(const struct prefix *prefix, struct mtalog *m)
{
	struct span program = prefix->program;
	bool found = false;

	*m = (struct mtalog){ .kind = MTALOG_OTHER };
	if (SPAN_STARTS(program, "postfix") && span_has_char(program, '/'))
		found = postfix(program, prefix->msg, m);
	else if (SPAN_STARTS(program, "sendmail") ||
	    SPAN_STARTS(program, "sm-"))
		found = sendmail(prefix->msg, m);
	else if (SPAN_STARTS(program, "exim"))
		found = exim(prefix->msg, m);
	if (!found)
		m->kind = MTALOG_OTHER;
	return found;
}
