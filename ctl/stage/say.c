/* SPDX-License-Identifier: ISC */
#include "ctl/stage/say.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "ctl/stage/front.h"

enum { LOOK_MS = 100, WORD_MAX = 1200 };

#define HELO "client.example"

/* One dialogue. */
struct dialogue {
	const struct stage_mail *mail;
	const char *helo;
	struct smtp_talk *talk;
	struct stage_reply *reply;
	enum talk_result result;
	bool offers_tls;
};

const char *
stage_step_name(enum stage_step step)
{
	static const char *const names[] = {
		[STAGE_CONNECT] = "connect",
		[STAGE_HELO] = "EHLO",
		[STAGE_STARTTLS] = "STARTTLS",
		[STAGE_AUTH] = "AUTH",
		[STAGE_MAIL] = "MAIL",
		[STAGE_RCPT] = "RCPT",
		[STAGE_DATA] = "DATA",
	};

	return names[step];
}

/* Say one command; true when the reply is positive. */
static bool
ask(struct dialogue *d, enum stage_step step, enum smtp_verb verb,
    const char *argument)
{
	d->reply->step = step;
	d->result = smtp_talk_say(d->talk, verb, argument,
	    argument == NULL ? 0 : strlen(argument), &d->reply->reply);
	return d->result == TALK_REPLY && d->reply->reply.code / 100 == 2;
}

static bool
hello(struct dialogue *d)
{
	if (!ask(d, STAGE_HELO, SMTP_EHLO, d->helo) &&
	    (d->result != TALK_REPLY || d->reply->reply.code / 100 != 5 ||
		!ask(d, STAGE_HELO, SMTP_HELO, d->helo)))
		return false;
	d->offers_tls = strstr(d->reply->reply.text, "STARTTLS") != NULL;
	return true;
}

static bool
start_tls(struct dialogue *d)
{
	if (!ask(d, STAGE_STARTTLS, SMTP_STARTTLS, NULL))
		return false;
	d->result = smtp_talk_tls(d->talk);
	if (d->result != TALK_REPLY)
		return false;
	d->reply->tls = true;
	return hello(d);
}

/* RFC 2195: the user's name, and the challenge's HMAC by the password. */
static bool
answer_challenge(struct dialogue *d, const char *password)
{
	unsigned char challenge[WORD_MAX], digest[EVP_MAX_MD_SIZE];
	const char *text = d->reply->reply.text;
	char plain[WORD_MAX / 2], word[WORD_MAX];
	size_t len = strcspn(text, " \r\n");
	unsigned digest_len = 0;
	int n = len >= WORD_MAX
	    ? -1
	    : EVP_DecodeBlock(challenge, (const unsigned char *)text, (int)len);

	for (; n > 0 && len > 0 && text[len - 1] == '='; len--)
		n--;
	if (n <= 0 ||
	    HMAC(EVP_md5(), password, (int)strlen(password), challenge,
		(size_t)n, digest, &digest_len) == NULL)
		return false;
	n = snprintf(plain, sizeof(plain), "%.200s ", d->mail->user);
	for (unsigned i = 0; i < digest_len; i++)
		n += snprintf(
		    plain + n, sizeof(plain) - (size_t)n, "%02x", digest[i]);
	(void)EVP_EncodeBlock(
	    (unsigned char *)word, (const unsigned char *)plain, n);
	return ask(d, STAGE_AUTH, SMTP_ANSWER, word);
}

static bool
log_in(struct dialogue *d)
{
	const char *password =
	    d->mail->password == NULL ? STAGE_PASSWORD : d->mail->password;
	unsigned char plain[WORD_MAX / 2];
	char word[WORD_MAX] = "PLAIN ";
	int n = snprintf((char *)plain, sizeof(plain), "%c%s%c%s", 0,
	    d->mail->user, 0, password);

	if (d->mail->cram) {
		(void)ask(d, STAGE_AUTH, SMTP_AUTH, "CRAM-MD5");
		return d->result == TALK_REPLY && d->reply->reply.code == 334 &&
		    answer_challenge(d, password);
	}
	if (n < 0 || (size_t)n >= sizeof(plain)) {
		d->result = TALK_BAD_ARGUMENT;
		return false;
	}
	(void)EVP_EncodeBlock((unsigned char *)word + strlen(word), plain, n);
	return ask(d, STAGE_AUTH, SMTP_AUTH, word);
}

/* From the greeting to MAIL. */
static bool
begin(struct dialogue *d)
{
	enum stage_tls tls = d->mail->tls;

	if (d->reply->reply.code / 100 != 2 || !hello(d))
		return false;
	if (!d->reply->tls &&
	    (tls == STAGE_TLS_START ||
		(tls == STAGE_TLS_AUTO && d->mail->user != NULL &&
		    d->offers_tls)) &&
	    !start_tls(d))
		return false;
	if (d->mail->user != NULL && !log_in(d))
		return false;
	if (ask(d, STAGE_MAIL, SMTP_MAIL, d->mail->sender))
		return true;
	/* RFC 3207 section 4: it wants STARTTLS first */
	return d->result == TALK_REPLY && d->reply->reply.code == 530 &&
	    tls == STAGE_TLS_AUTO && !d->reply->tls && d->offers_tls &&
	    start_tls(d) && ask(d, STAGE_MAIL, SMTP_MAIL, d->mail->sender);
}

static void
dialogue(struct dialogue *d)
{
	char recipient[WORD_MAX];
	struct smtp_reply rest;

	(void)snprintf(
	    recipient, sizeof(recipient), "<%s>", d->mail->recipient);
	if (begin(d))
		d->reply->accepted = ask(d, STAGE_RCPT, SMTP_RCPT, recipient);
	if (d->reply->accepted && d->mail->message) {
		d->reply->step = STAGE_DATA;
		d->result = smtp_talk_message(
		    d->talk, &d->reply->accepted, &d->reply->reply);
	}
	if (d->result != TALK_REPLY)
		return;
	if (smtp_talk_say(d->talk, SMTP_RSET, NULL, 0, &rest) == TALK_REPLY)
		(void)smtp_talk_say(d->talk, SMTP_QUIT, NULL, 0, &rest);
}

enum talk_result
say_mail(int fd, const struct stage_mail *mail, unsigned hops, int timeout_ms,
    struct stage_reply *reply)
{
	struct dialogue d = { .mail = mail,
		.helo = mail->helo == NULL ? HELO : mail->helo,
		.reply = reply };

	d.result =
	    smtp_talk_begin(fd, reply->tls, timeout_ms, &d.talk, &reply->reply);
	if (d.result == TALK_REPLY && mail->message)
		smtp_talk_private(d.talk, hops);
	if (d.result == TALK_REPLY)
		dialogue(&d);
	smtp_talk_close(&d.talk);
	return d.result;
}

/* The log's complaint after its first len bytes; false: none. */
static bool
complaint_since(struct stage *stage, size_t len, char *buf, size_t size)
{
	char *log = stage_log(stage, NULL);
	bool found = log != NULL && strlen(log) > len &&
	    stage_complaint(log + len, false, buf, size);

	free(log);
	return found;
}

/* A server that dies of its configuration before it greets leaves its client
 * waiting: wait for the greeting, or for the reason in its log. */
static bool
greets(struct stage *stage, int fd, size_t log_len)
{
	int64_t until_ms = clock_monotonic_ms() + stage->timeout_ms;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char why[300];

	while (clock_monotonic_ms() < until_ms) {
		if (poll(&p, 1, LOOK_MS) > 0)
			return true;
		if (complaint_since(stage, log_len, why, sizeof(why)))
			return false;
	}
	return false;
}

static size_t
log_length(struct stage *stage)
{
	char *log = stage_log(stage, NULL);
	size_t len = log == NULL ? 0 : strlen(log);

	free(log);
	return len;
}

/* The domains that the client speaks of exist. */
static bool
say_names(struct backstage_request *r, const struct stage_mail *mail)
{
	const char *sender = strrchr(mail->sender, '@');
	const char *recipient = strrchr(mail->recipient, '@');

	return front_word(r, mail->helo == NULL ? HELO : mail->helo) &&
	    (sender == NULL || front_word(r, sender + 1)) &&
	    (recipient == NULL || front_word(r, recipient + 1));
}

/* Say a mail once; the rest as stage_say().
 *   broken  set: the connection was closed, and no log says why */
static int
say_once(struct stage *stage, const struct addr *from, const char *service,
    const struct stage_mail *mail, struct stage_reply *reply, bool *broken,
    struct err *err)
{
	enum talk_result result = TALK_TIMEOUT;
	size_t log_len = log_length(stage);
	struct backstage_request *r = front_request(stage, BACKSTAGE_CONNECT);
	struct backstage_answer a;
	char why[300] = "";
	int fd;

	*reply = (struct stage_reply){ 0 };
	*broken = false;
	r->addr = *from;
	if (!front_word(r, service) || !front_word(r, "") ||
	    !say_names(r, mail)) {
		err_set(err, ERR_INVALID, "the names are too long");
		return -1;
	}
	if (front_ask(stage, r, &a, &fd, err) == -1)
		return -1;
	reply->tls = mail->tls == STAGE_TLS_IMPLICIT ||
	    (mail->tls == STAGE_TLS_AUTO && a.tls);
	if (reply->tls || greets(stage, fd, log_len))
		result = say_mail(fd, mail, a.hops, stage->timeout_ms, reply);
	else
		(void)close(fd);
	if (result == TALK_REPLY)
		return 0;
	(void)complaint_since(stage, log_len, why, sizeof(why));
	*broken = result == TALK_CLOSED && *why == '\0';
	err_set(err, ERR_IO, "%s: %s: %s%s%s", service,
	    stage_step_name(reply->step), talk_words(result),
	    *why == '\0' ? "" : ": ", why);
	return -1;
}

/* A connection that breaks off says nothing of the configuration: another one
 * does. Postfix under stress, with all processes of a service at work, closes
 * it at the first command that it refuses: the next one begins with STARTTLS,
 * for want of which MAIL was refused. */
int
stage_say(struct stage *stage, const struct addr *from, const char *service,
    const struct stage_mail *mail, struct stage_reply *reply, struct err *err)
{
	struct stage_mail again = *mail;
	bool broken;
	int rc = say_once(stage, from, service, mail, reply, &broken, err);

	/* RFC 5321 section 3.8: it closes */
	if (rc == 0 && reply->step == STAGE_STARTTLS)
		broken = reply->reply.code == 421;
	if (!broken)
		return rc;
	if (reply->step == STAGE_STARTTLS && mail->tls == STAGE_TLS_AUTO)
		again.tls = STAGE_TLS_START;
	return say_once(stage, from, service, &again, reply, &broken, err);
}
