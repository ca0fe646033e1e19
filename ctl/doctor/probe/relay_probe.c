/* SPDX-License-Identifier: ISC */
#include "ctl/doctor/probe/relay_probe.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "ctl/smtp/probe_net.h"
#include "ctl/smtp/smtp_talk.h"

enum {
	/* Postfix slows down after 10 errors in a session and hangs up at 20
	 * (smtpd_soft_error_limit, smtpd_hard_error_limit); Sendmail after
	 * BadRcptThrottle, and at 25 bad commands */
	SESSION_ERRORS_MAX = 8,
	/* a session that grows for ever is what a server's limits are for */
	SESSION_QUESTIONS_MAX = 60,
	/* in a row; then the server has said that it will not talk */
	FAILURES_MAX = 3,
	/* of domains, for every form that holds one */
	FORM_DOMAINS_MAX = 4
};

struct probe {
	const struct relay_options *o;
	struct relay_result *r;
	struct form_values values;
	char host[256], ip[ADDR_TEXT_MAX + 8], source[ADDR_TEXT_MAX + 16];
	char random[24]; /* a local part that nobody has */
	struct smtp_talk *talk;
	char helo[RELAY_WORDS_MAX]; /* of this session */
	unsigned errors, questions, failures;
	bool xclient; /* offered in this session */
};

/* One question and its answer. */
struct answer {
	enum smtp_verdict verdict;
	bool answered;
	struct smtp_reply reply;
};

static void
keep(char to[RELAY_WORDS_MAX], const char *text, size_t n)
{
	size_t at = 0;

	for (size_t i = 0; i < n && at < RELAY_WORDS_MAX - 1; i++)
		to[at++] = text[i] == '\0' ? '?' : text[i];
	to[at] = '\0';
}

static void
keep_reply(char to[RELAY_WORDS_MAX], const struct smtp_reply *reply)
{
	(void)snprintf(
	    to, RELAY_WORDS_MAX, "%d %.280s", reply->code, reply->text);
}

static void
hang_up(struct probe *p)
{
	smtp_talk_close(&p->talk);
	p->errors = p->questions = 0;
}

static void
leave(struct probe *p)
{
	struct smtp_reply reply;

	if (p->talk != NULL)
		(void)smtp_talk_say(p->talk, SMTP_QUIT, NULL, 0, &reply);
	hang_up(p);
}

static bool
stopped(const struct probe *p)
{
	return p->r->stopped[0] != '\0';
}

/* No answer: why, and whether to go on. */
static void
failed(struct probe *p, enum talk_result result, const struct smtp_reply *reply)
{
	int error = errno;

	hang_up(p);
	if (++p->failures < FAILURES_MAX && result != TALK_NO_CONNECTION)
		return;
	if (result == TALK_REPLY)
		keep_reply(p->r->stopped, reply);
	else
		(void)snprintf(p->r->stopped, RELAY_WORDS_MAX, "%s%s%s",
		    talk_words(result),
		    result == TALK_NO_CONNECTION ? ": " : "",
		    result == TALK_NO_CONNECTION ? strerror(error) : "");
}

/* The greeting's first word is the server's name (RFC 5321 section 4.2). */
static void
take_greeting(struct probe *p, const struct smtp_reply *reply)
{
	size_t n = strspn(reply->text,
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");

	if (p->r->connected)
		return;
	p->r->connected = true;
	keep_reply(p->r->server, reply);
	if (n > 0 && n < sizeof(p->host) &&
	    (reply->text[n] == ' ' || reply->text[n] == '\0')) {
		memcpy(p->host, reply->text, n);
		p->host[n] = '\0';
	}
}

/* A session that said this HELO. 1, 0: the name is refused, -1: none. */
static int
session(struct probe *p, const char *helo)
{
	struct smtp_reply reply;
	enum talk_result result;

	if (p->talk != NULL && strcmp(p->helo, helo) == 0 &&
	    p->errors < SESSION_ERRORS_MAX &&
	    p->questions < SESSION_QUESTIONS_MAX)
		return 1;
	leave(p);
	result = smtp_talk_open(probe_net_socket(p->o->net, p->o->to.family),
	    &p->o->to, p->o->port, p->o->timeout_ms, &p->talk, &reply);
	if (result != TALK_REPLY || reply.code != 220) {
		failed(p, result, &reply);
		return -1;
	}
	take_greeting(p, &reply);
	(void)snprintf(p->helo, sizeof(p->helo), "%s", helo);
	result = smtp_talk_say(p->talk, SMTP_EHLO, helo, strlen(helo), &reply);
	if (result == TALK_REPLY && reply.code / 100 == 5)
		result = smtp_talk_say(
		    p->talk, SMTP_HELO, helo, strlen(helo), &reply);
	if (result != TALK_REPLY || reply.code == 421) {
		failed(p, result, &reply);
		return -1;
	}
	p->xclient = strstr(reply.text, "XCLIENT ") != NULL;
	if (reply.code / 100 == 2)
		return 1;
	hang_up(p);
	return 0;
}

/* MAIL, RCPT, RSET. Returns false when there was no answer. */
static bool
transaction(struct probe *p, const char *sender, const char *form, size_t len,
    struct answer *a)
{
	enum talk_result result = smtp_talk_say(
	    p->talk, SMTP_MAIL, sender, strlen(sender), &a->reply);
	bool mail = result == TALK_REPLY && a->reply.code / 100 == 2;

	if (mail)
		result =
		    smtp_talk_say(p->talk, SMTP_RCPT, form, len, &a->reply);
	if (result == TALK_BAD_ARGUMENT) {
		a->verdict = SMTP_REFUSED;
		return true;
	}
	if (result != TALK_REPLY || a->reply.code == 421) {
		failed(p, result, &a->reply);
		return false;
	}
	p->failures = 0;
	p->questions++;
	p->errors += a->reply.code / 100 != 2;
	a->verdict = smtp_verdict(&a->reply);
	/* refused at MAIL: for who sends, whatever the reply says */
	if (!mail && a->verdict == SMTP_REFUSED)
		a->verdict = SMTP_REFUSED_SENDER;
	struct smtp_reply reset;

	if (smtp_talk_say(p->talk, SMTP_RSET, NULL, 0, &reset) != TALK_REPLY ||
	    reset.code / 100 != 2)
		hang_up(p);
	return true;
}

static void
ask(struct probe *p, const char *helo, const char *sender, const char *form,
    size_t len, struct answer *a)
{
	*a = (struct answer){ .verdict = SMTP_ODD };
	for (int tries = 0; tries < 2 && !a->answered && !stopped(p); tries++) {
		int s = session(p, helo);

		if (s == 0) {
			a->verdict = SMTP_REFUSED_SENDER;
			a->answered = true;
		} else if (s == 1) {
			a->answered = transaction(p, sender, form, len, a);
		}
	}
}

static void
count(struct probe *p, const struct answer *a)
{
	struct relay_result *r = p->r;

	r->asked++;
	if (!a->answered) {
		r->unanswered++;
		return;
	}
	switch (a->verdict) {
	case SMTP_ACCEPTED:
		r->accepted++;
		break;
	case SMTP_REFUSED:
		r->refused++;
		break;
	case SMTP_REFUSED_SENDER:
	case SMTP_REFUSED_DOMAIN:
		r->other++;
		keep_reply(r->other_reply, &a->reply);
		break;
	case SMTP_PUT_OFF:
		r->put_off++;
		keep_reply(r->put_off_reply, &a->reply);
		break;
	case SMTP_ODD:
		r->unanswered++;
		break;
	}
}

/* Is any name accepted in the domain in which this address is, when the server
 * doesn't follow the local part? That is the domain of ours in the form, or
 * what stands behind the last @, or none. */
static bool
takes_any_name(struct probe *p, const char *sender,
    const struct relay_form *form, const char *expanded, size_t len)
{
	char text[FORM_TEXT_MAX];
	const char *at = memrchr(expanded, '@', len);
	size_t domain = at == NULL ? 0 : len - (size_t)(at - expanded);
	struct answer a;
	int n;

	for (size_t i = 0; i < domain; i++)
		if (at[i] == '>' || at[i] == ' ')
			domain = i;
	if (form->domain)
		n = snprintf(
		    text, sizeof(text), "<%s@%s>", p->random, p->values.domain);
	else
		n = snprintf(text, sizeof(text), "<%s%.*s>", p->random,
		    (int)domain, at == NULL ? "" : at);
	if (n < 0 || n >= (int)sizeof(text))
		return true;
	ask(p, p->source, sender, text, (size_t)n, &a);
	return !a.answered || a.verdict == SMTP_ACCEPTED ||
	    a.verdict == SMTP_PUT_OFF;
}

static void
add_hit(struct probe *p, enum relay_key key, const char *kind, const char *helo,
    const char *sender, const char *form, size_t len, const struct answer *a)
{
	struct relay_result *r = p->r;
	struct relay_hit *hit;

	r->keys[key]++;
	if (r->n == RELAY_HITS_MAX)
		return;
	hit = &r->hits[r->n++];
	*hit = (struct relay_hit){ .key = key, .kind = kind };
	keep(hit->helo, helo, strlen(helo));
	keep(hit->sender, sender, strlen(sender));
	keep(hit->recipient, form, len);
	keep_reply(hit->reply, &a->reply);
}

/* One plain foreign recipient. */
static enum smtp_verdict
plain(struct probe *p, enum relay_key key, const char *kind, const char *helo,
    const char *sender)
{
	char form[FORM_TEXT_MAX];
	size_t len = form_expand("<popgate-probe@$f>", &p->values, form);
	struct answer a;

	ask(p, helo, sender, form, len, &a);
	count(p, &a);
	if (a.answered && a.verdict == SMTP_ACCEPTED)
		add_hit(p, key, kind, helo, sender, form, len, &a);
	if (a.answered &&
	    (a.verdict == SMTP_ACCEPTED || a.verdict == SMTP_REFUSED))
		p->r->plain_judged = true;
	return a.answered ? a.verdict : SMTP_ODD;
}

static void
try_form(struct probe *p, const struct relay_form *form, const char *sender)
{
	char text[FORM_TEXT_MAX];
	size_t len = form_expand(form->text, &p->values, text);
	enum relay_key key = RELAY_FORM;
	struct answer a;

	if (len == 0)
		return;
	ask(p, p->source, sender, text, len, &a);
	count(p, &a);
	if (!a.answered || a.verdict != SMTP_ACCEPTED)
		return;
	if (form->class == FORM_PROGRAM)
		key = RELAY_PROGRAM;
	if (form->class != FORM_FOREIGN &&
	    takes_any_name(p, sender, form, text, len)) {
		if (form->class != FORM_ROUTED)
			return;
		key = RELAY_UNSURE;
	}
	add_hit(p, key, form->kind, p->source, sender, text, len, &a);
}

static void
try_forms(struct probe *p, const char *sender)
{
	const struct string_list *domains = p->o->domains;

	for (const struct relay_form *f = relay_forms;
	     f->text != NULL && !stopped(p); f++) {
		if (!f->domain) {
			try_form(p, f, sender);
			continue;
		}
		for (size_t i = 0; i < domains->n && i < FORM_DOMAINS_MAX;
		     i++) {
			p->values.domain = domains->v[i];
			try_form(p, f, sender);
		}
		p->values.domain = domains->n == 0 ? p->host : domains->v[0];
	}
}

/* true: a plain recipient is taken whatever the sender is. */
static bool
try_senders(struct probe *p, const char **base_r, char base[FORM_TEXT_MAX])
{
	char sender[FORM_TEXT_MAX];
	bool open = false;

	*base_r = NULL;
	for (const struct relay_sender *s = relay_senders;
	     s->text != NULL && !stopped(p); s++) {
		bool first = *base_r == NULL;
		enum smtp_verdict v;

		if (form_expand(s->text, &p->values, sender) == 0 &&
		    *s->text != '\0')
			continue;
		v = plain(p, first || open ? RELAY_ANYBODY : RELAY_SENDER,
		    s->words, p->source, sender);
		/* the first that isn't refused for being what it is */
		if (first && v != SMTP_REFUSED_SENDER) {
			memcpy(base, sender, FORM_TEXT_MAX);
			*base_r = base;
			open = v == SMTP_ACCEPTED;
		}
	}
	for (const char *const *s = p->o->senders;
	     s != NULL && *s != NULL && !stopped(p); s++)
		(void)plain(p, open ? RELAY_ANYBODY : RELAY_SENDER,
		    "a sender that was given", p->source, *s);
	return open;
}

static void
try_helos(struct probe *p, const char *sender)
{
	const char *const names[] = {
		p->host,
		p->values.domain,
		"localhost",
		p->values.foreign,
		p->ip,
		"friend",
	};
	char literal[ADDR_TEXT_MAX + 16];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !stopped(p);
	     i++) {
		(void)snprintf(literal, sizeof(literal), "[%s]", p->ip);
		(void)plain(p, RELAY_HELO, "HELO",
		    names[i] == p->ip ? literal : names[i], sender);
	}
	for (const char *const *h = p->o->helos;
	     h != NULL && *h != NULL && !stopped(p); h++)
		(void)plain(p, RELAY_HELO, "a name that was given", *h, sender);
}

/* A server that lets everybody say for whom they speak (Postfix's
 * XCLIENT_README) is told that we speak for itself. */
static void
try_xclient(struct probe *p, const char *sender)
{
	static const char attributes[] = "ADDR=127.0.0.1 NAME=localhost";
	struct smtp_reply reply;

	if (session(p, p->source) != 1 || !p->xclient)
		return;
	if (smtp_talk_say(p->talk, SMTP_XCLIENT, attributes,
		sizeof(attributes) - 1, &reply) == TALK_REPLY &&
	    reply.code == 220 &&
	    smtp_talk_say(p->talk, SMTP_EHLO, "localhost", 9, &reply) ==
		TALK_REPLY) {
		(void)snprintf(p->helo, sizeof(p->helo), "%s", "localhost");
		(void)plain(p, RELAY_XCLIENT, attributes, p->helo, sender);
	}
	hang_up(p);
}

static void
try_own(struct probe *p, const char *sender)
{
	const struct string_list *domains = p->o->domains;
	struct relay_result *r = p->r;

	for (size_t i = 0;
	     i < domains->n && r->own_n < RELAY_DOMAINS_MAX && !stopped(p);
	     i++) {
		char text[FORM_TEXT_MAX];
		struct form_values values = p->values;
		struct answer a;
		size_t len;

		values.domain = domains->v[i];
		len = form_expand("<postmaster@$d>", &values, text);
		if (len == 0)
			continue;
		ask(p, p->source, sender, text, len, &a);
		r->own[r->own_n].domain = domains->v[i];
		r->own[r->own_n].answer = !a.answered ? OWN_NO_ANSWER
		    : a.verdict == SMTP_ACCEPTED || smtp_user_unknown(&a.reply)
		    ? OWN_ACCEPTED
		    : a.verdict == SMTP_PUT_OFF ? OWN_PUT_OFF
						: OWN_REFUSED;
		if (a.answered)
			keep_reply(r->own[r->own_n].reply, &a.reply);
		r->own_n++;
	}
}

static void
prepare(struct probe *p)
{
	const struct relay_options *o = p->o;
	char text[ADDR_TEXT_MAX];
	uint64_t random = 0;

	(void)snprintf(p->ip, sizeof(p->ip), "%s%s",
	    o->to.family == ADDR_IPV6 ? "IPv6:" : "",
	    addr_format(&o->to, text));
	(void)snprintf(p->host, sizeof(p->host), "[%s]", p->ip);
	/* a literal is a name that no rule about names can find fault with
	 * (RFC 5321 section 4.1.4) */
	if (o->net->source.family == ADDR_NONE)
		(void)snprintf(p->source, sizeof(p->source), "probe.invalid");
	else
		(void)snprintf(p->source, sizeof(p->source), "[%s%s]",
		    o->net->source.family == ADDR_IPV6 ? "IPv6:" : "",
		    addr_format(&o->net->source, text));
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (uint64_t)(uintptr_t)p;
	(void)snprintf(p->random, sizeof(p->random), "pg%016" PRIx64, random);
	p->values = (struct form_values){ .host = p->host,
		.ip = p->ip,
		.foreign = o->foreign,
		.domain = o->domains->n == 0 ? p->host : o->domains->v[0] };
}

void
relay_probe(const struct relay_options *options, struct relay_result *result)
{
	struct probe p = { .o = options, .r = result };
	char base[FORM_TEXT_MAX], at_ip[FORM_TEXT_MAX];
	const char *sender;
	bool open;

	assert(options->timeout_ms > 0 && options->foreign != NULL);
	assert(options->domains != NULL);
	memset(result, 0, sizeof(*result));
	prepare(&p);
	if (session(&p, p.source) == 0) /* takes no literal */
		(void)snprintf(p.source, sizeof(p.source), "probe.invalid");
	if (options->one) {
		(void)form_expand("popgate-probe@$d", &p.values, base);
		(void)plain(&p, RELAY_ANYBODY, "plain", p.source, base);
		leave(&p);
		return;
	}
	open = try_senders(&p, &sender, base);
	if (sender == NULL)
		sender = "";
	try_own(&p, sender);
	if (!open) {
		try_helos(&p, sender);
		try_xclient(&p, sender);
		try_forms(&p, sender);
		/* nmap's smtp-open-relay is somebody at the server's address */
		if (form_expand("antispam@[$i]", &p.values, at_ip) > 0)
			try_forms(&p, at_ip);
	}
	leave(&p);
}
