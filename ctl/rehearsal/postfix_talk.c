/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/postfix_talk.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/addr.h"
#include "common/base/err.h"
#include "ctl/smtp/smtp_talk.h"
#include "ctl/stage/stage.h"

/* A client that nobody has written of. */
#define STRANGER "host77.popgate-stranger.com"

enum { TIMEOUT_MS = 10000, NAMES = 200, WORD = 600 };

struct talk {
	const struct postfix_client *client;
	struct smtp_talk *smtp;
	struct smtp_reply reply;
	enum talk_result result;
	bool offers_tls;
};

static bool
say(struct talk *t, enum smtp_verb verb, const char *argument)
{
	t->result = smtp_talk_say(t->smtp, verb, argument,
	    argument == NULL ? 0 : strlen(argument), &t->reply);
	return t->result == TALK_REPLY && t->reply.code / 100 == 2;
}

static bool
hello(struct talk *t)
{
	if (t->client->helo == NULL)
		return true;
	if (!say(t, SMTP_EHLO, t->client->helo))
		return say(t, SMTP_HELO, t->client->helo);
	t->offers_tls = strstr(t->reply.text, "STARTTLS") != NULL;
	return true;
}

static bool
start_tls(struct talk *t)
{
	if (!say(t, SMTP_STARTTLS, NULL))
		return false;
	t->result = smtp_talk_tls_certified(t->smtp);
	return t->result == TALK_REPLY && hello(t);
}

static bool
log_in(struct talk *t)
{
	static const unsigned char plain[] = "\0someone\0" STAGE_PASSWORD;
	char word[WORD] = "PLAIN ";

	(void)EVP_EncodeBlock((unsigned char *)word + strlen(word), plain,
	    (int)sizeof(plain) - 1);
	if (t->offers_tls && !start_tls(t))
		return false;
	return say(t, SMTP_AUTH, word);
}

static const char *
claimed(const struct postfix_client *c)
{
	return c->as == NULL ? "127.0.0.1" : c->as;
}

static bool
play(struct talk *t)
{
	char words[WORD];

	switch (t->client->trick) {
	case TRICK_TLS:
		return t->offers_tls && start_tls(t);
	case TRICK_ANONYMOUS:
		if (t->offers_tls && !start_tls(t))
			return false;
		return say(t, SMTP_AUTH, "ANONYMOUS c3BhbQ==");
	case TRICK_XCLIENT:
		(void)snprintf(words, sizeof(words), "ADDR=%s%s NAME=localhost",
		    strchr(claimed(t->client), ':') == NULL ? "" : "IPV6:",
		    claimed(t->client));
		return say(t, SMTP_XCLIENT, words) && hello(t);
	case TRICK_LOGIN:
		return log_in(t);
	case TRICK_NONE:
	case TRICK_PROXY:
		break;
	}
	return true;
}

static void
add_name(const char **names, size_t *n, const char *name)
{
	for (size_t i = 0; i < *n; i++)
		if (strcmp(names[i], name) == 0)
			return;
	if (*n < NAMES && *name != '\0')
		names[(*n)++] = name;
}

static void
add_domain(const char **names, size_t *n, const char *address, char buf[256])
{
	const char *at = strrchr(address, '@');

	if (at == NULL)
		return;
	(void)snprintf(buf, 256, "%s", at + 1);
	buf[strcspn(buf, ">")] = '\0';
	add_name(names, n, buf);
}

static int
dial(struct stage *stage, const struct postfix_client *c,
    const struct postfix_mail *v, size_t n, bool *tls, unsigned *hops,
    struct err *err)
{
	static const char *names[NAMES];
	static char domains[2 * NAMES][256];
	size_t used = 0;
	struct addr from;

	if (!addr_parse_loose(c->from, &from)) {
		err_set(err, ERR_INVALID, "%s is no address", c->from);
		return -1;
	}
	if (c->helo != NULL)
		add_name(names, &used, c->helo);
	for (size_t i = 0; i < n && i < NAMES; i++) {
		add_domain(names, &used, v[i].sender, domains[2 * i]);
		add_domain(names, &used, v[i].recipient, domains[2 * i + 1]);
	}
	return stage_connect(stage, &from, c->name == NULL ? STRANGER : c->name,
	    c->service, names, used, tls, hops, err);
}

static bool
begin(struct talk *t, struct stage *stage, const struct postfix_mail *v,
    size_t n, struct err *err)
{
	const char *as = claimed(t->client);
	bool tls, six = strchr(as, ':') != NULL;
	char header[WORD];
	unsigned hops;
	int fd = dial(stage, t->client, v, n, &tls, &hops, err);

	if (fd == -1)
		return false;
	(void)snprintf(header, sizeof(header), "PROXY TCP%c %s %s 40000 25\r\n",
	    six ? '6' : '4', as, six ? "::1" : "127.0.0.1");
	if (t->client->trick == TRICK_PROXY &&
	    write(fd, header, strlen(header)) == -1) {
		(void)close(fd);
		err_set(err, ERR_IO, "the connection was closed");
		return false;
	}
	t->result = smtp_talk_begin(fd, tls, TIMEOUT_MS, &t->smtp, &t->reply);
	if (t->smtp != NULL)
		smtp_talk_private(t->smtp, hops);
	if (t->result == TALK_REPLY && t->reply.code / 100 == 2 && hello(t) &&
	    play(t))
		return true;
	err_set(err, t->result == TALK_REPLY ? ERR_INVALID : ERR_IO, "%s: %s",
	    talk_words(t->result), t->reply.text);
	return false;
}

/* MAIL, with TLS where the service insists (RFC 3207 section 4). */
static bool
mail_from(struct talk *t, const char *sender)
{
	if (say(t, SMTP_MAIL, sender))
		return true;
	return t->result == TALK_REPLY && t->reply.code == 530 &&
	    t->offers_tls && start_tls(t) && say(t, SMTP_MAIL, sender);
}

static void
ask(struct talk *t, struct postfix_mail *v, size_t n)
{
	const char *sender = NULL;
	bool open = false;

	for (size_t i = 0; i < n; i++) {
		if (sender == NULL || strcmp(sender, v[i].sender) != 0) {
			if (sender != NULL)
				(void)say(t, SMTP_RSET, NULL);
			sender = v[i].sender;
			open = t->result == TALK_REPLY && mail_from(t, sender);
		}
		if (t->result != TALK_REPLY)
			return;
		v[i].code = t->reply.code;
		if (!open)
			continue;
		v[i].accepted = say(t, SMTP_RCPT, v[i].recipient);
		if (t->result == TALK_BAD_ARGUMENT)
			t->result = TALK_REPLY;
		v[i].code = t->reply.code;
		if (v[i].message && v[i].accepted) {
			t->result = smtp_talk_message(
			    t->smtp, &v[i].accepted, &t->reply);
			v[i].code = t->reply.code;
			sender = NULL; /* the transaction is over */
		}
	}
	(void)say(t, SMTP_QUIT, NULL);
}

int
postfix_talk(struct stage *stage, const struct postfix_client *client,
    struct postfix_mail *v, size_t n, struct err *err)
{
	struct talk t = { .client = client };
	bool ok;

	for (size_t i = 0; i < n; i++) {
		v[i].accepted = false;
		v[i].code = 0;
	}
	ok = begin(&t, stage, v, n, err);
	if (ok)
		ask(&t, v, n);
	smtp_talk_close(&t.smtp);
	return ok ? 0 : -1;
}

char *
postfix_talk_words(
    const struct postfix_client *c, const struct postfix_mail *mail)
{
	static const char *const tricks[] = {
		[TRICK_NONE] = "",
		[TRICK_TLS] = "STARTTLS with a certificate of its own making, ",
		[TRICK_ANONYMOUS] = "AUTH ANONYMOUS, ",
		[TRICK_XCLIENT] = "XCLIENT ADDR=",
		[TRICK_PROXY] = "PROXY ",
		[TRICK_LOGIN] = "AUTH PLAIN, ",
	};
	char *text = NULL, name[NAMES] = "", as[NAMES] = "";

	if (c->name != NULL && strcmp(c->name, STAGE_NO_NAME) == 0)
		(void)snprintf(name, sizeof(name), " (without a PTR)");
	else if (c->name != NULL)
		(void)snprintf(name, sizeof(name), " (%s)", c->name);
	if (c->trick == TRICK_XCLIENT || c->trick == TRICK_PROXY)
		(void)snprintf(as, sizeof(as), "%s%s, ", claimed(c),
		    c->trick == TRICK_PROXY ? " before all" : "");
	if (asprintf(&text, "from %s%s: %s%s%s%s%sMAIL FROM:<%s>, RCPT TO:%s",
		c->from, name, c->helo == NULL ? "" : "EHLO ",
		c->helo == NULL ? "" : c->helo, c->helo == NULL ? "" : ", ",
		tricks[c->trick], as, mail->sender, mail->recipient) == -1)
		return NULL;
	return text;
}
