/* SPDX-License-Identifier: ISC */
#include "ctl/stage/standin.h"

#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/stage/stage.h"

/* libmilter/docs and sendmail's mfdef.h */
enum { MILTER_VERSION = 6, MILTER_PACKET_MAX = 1 << 20, MILTER_HEAD = 5 };

/* The result of one step of a protocol. */
enum step { STEP_MORE, STEP_DONE, STEP_CLOSE };

struct out {
	char *text;
	size_t len;
};

static void
say_bytes(struct out *o, const void *bytes, size_t len)
{
	if (len > STANDIN_OUT_MAX - o->len)
		return;
	memcpy(o->text + o->len, bytes, len);
	o->len += len;
}

static void
say(struct out *o, const char *text)
{
	say_bytes(o, text, strlen(text));
}

/* The first n bytes of the input are done with. */
static void
drop(struct standin *s, size_t n)
{
	memmove(s->in, s->in + n, s->len - n);
	s->len -= n;
}

const char *
standin_greeting(enum standin_kind kind)
{
	switch (kind) {
	case STANDIN_AUTH:
		return "VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\n"
		       "CUID\t1\nCOOKIE\t00000000000000000000000000000001\n"
		       "DONE\n";
	case STANDIN_SMTP:
		return "220 stage.invalid ESMTP\r\n";
	case STANDIN_MILTER:
	case STANDIN_POLICY:
	case STANDIN_SASLAUTHD:
	case STANDIN_SOCKETMAP:
		break;
	}
	return "";
}

static uint32_t
number(const char *bytes)
{
	const unsigned char *b = (const unsigned char *)bytes;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
	    (uint32_t)b[2] << 8 | b[3];
}

/* No action, no step left out. */
static void
milter_negotiate(struct out *o, uint32_t version)
{
	char packet[17] = { 0, 0, 0, 13, 'O' };

	packet[8] = (char)(version < MILTER_VERSION ? version : MILTER_VERSION);
	say_bytes(o, packet, sizeof(packet));
}

static enum step
milter_step(struct standin *s, struct out *o)
{
	static const char go_on[] = { 0, 0, 0, 1, 'c' };
	size_t len;
	char command;

	if (s->len < MILTER_HEAD)
		return STEP_MORE;
	len = number(s->in);
	command = s->in[4];
	if (len == 0 || len > MILTER_PACKET_MAX)
		return STEP_CLOSE;
	if (command == 'O' && s->len < MILTER_HEAD + 4)
		return STEP_MORE;
	if (command == 'O')
		milter_negotiate(o, number(s->in + MILTER_HEAD));
	else if (memchr("CHMRTLNBEU", command, 10) != NULL)
		say_bytes(o, go_on, sizeof(go_on));
	s->skip = len + 4;
	return command == 'Q' ? STEP_CLOSE : STEP_DONE;
}

static enum step
policy_step(struct standin *s, struct out *o)
{
	const char *end = memmem(s->in, s->len, "\n\n", 2);

	if (end == NULL)
		return STEP_MORE;
	say(o, "action=DUNNO\n\n");
	drop(s, (size_t)(end - s->in) + 2);
	return STEP_DONE;
}

static enum step
socketmap_step(struct standin *s, struct out *o)
{
	char *end;
	size_t digits = 0, len;

	while (digits < s->len && digits < 6 && s->in[digits] >= '0' &&
	    s->in[digits] <= '9')
		digits++;
	if (digits == s->len)
		return STEP_MORE;
	if (digits == 0 || s->in[digits] != ':')
		return STEP_CLOSE;
	len = strtoul(s->in, &end, 10);
	say(o, "9:NOTFOUND ,");
	s->skip = digits + 1 + len + 1;
	return STEP_DONE;
}

/* Is this base64 of "\0user\0password" with the password of the stage? */
static bool
lets_in(const char *word, size_t len, char *user, size_t user_size)
{
	unsigned char plain[768];
	int n;

	if (len == 0 || len > 1000 || len % 4 != 0)
		return false;
	n = EVP_DecodeBlock(plain, (const unsigned char *)word, (int)len);
	while (n > 0 && len > 0 && word[len - 1] == '=') {
		n--;
		len--;
	}
	const unsigned char *first =
	    n <= 0 ? NULL : memchr(plain, '\0', (size_t)n);
	const unsigned char *second = first == NULL
	    ? NULL
	    : memchr(first + 1, '\0', (size_t)(plain + n - first - 1));

	if (second == NULL)
		return false;
	(void)snprintf(user, user_size, "%s", (const char *)first + 1);
	size_t rest = (size_t)(plain + n - second - 1);

	return rest == strlen(STAGE_PASSWORD) &&
	    memcmp(second + 1, STAGE_PASSWORD, rest) == 0;
}

static void
auth_verdict(struct out *o, const char *id, const char *word, size_t len)
{
	char user[256] = "", line[400];
	bool in = lets_in(word, len, user, sizeof(user));

	(void)snprintf(line, sizeof(line), "%s\t%.23s%s%.255s\n",
	    in ? "OK" : "FAIL", id, *user == '\0' ? "" : "\tuser=", user);
	say(o, line);
}

static void
auth_line(struct standin *s, struct out *o, char *line)
{
	char *response = strstr(line, "\tresp=");
	char text[64];

	if (strncmp(line, "AUTH\t", 5) == 0) {
		(void)snprintf(s->id, sizeof(s->id), "%.*s",
		    (int)strcspn(line + 5, "\t"), line + 5);
		if (response != NULL) {
			response += 6;
			auth_verdict(
			    o, s->id, response, strcspn(response, "\t"));
			return;
		}
		(void)snprintf(text, sizeof(text), "CONT\t%s\t\n", s->id);
		say(o, text);
	} else if (strncmp(line, "CONT\t", 5) == 0) {
		response = strchr(line + 5, '\t');
		response = response == NULL ? line + 5 : response + 1;
		auth_verdict(o, s->id, response, strlen(response));
	}
}

static enum step
auth_step(struct standin *s, struct out *o)
{
	char *end = memchr(s->in, '\n', s->len);

	if (end == NULL)
		return STEP_MORE;
	*end = '\0';
	auth_line(s, o, s->in);
	drop(s, (size_t)(end - s->in) + 1);
	return STEP_DONE;
}

/* Four strings, each behind its length in two bytes; the second one is the
 * password. */
static enum step
saslauthd_step(struct standin *s, struct out *o)
{
	const char *password = "";
	size_t at = 0, password_len = 0;

	for (int i = 0; i < 4; i++) {
		if (s->len < at + 2)
			return STEP_MORE;
		size_t len = (size_t)(unsigned char)s->in[at] << 8 |
		    (unsigned char)s->in[at + 1];

		if (s->len < at + 2 + len)
			return STEP_MORE;
		if (i == 1) {
			password = s->in + at + 2;
			password_len = len;
		}
		at += 2 + len;
	}
	bool in = password_len == strlen(STAGE_PASSWORD) &&
	    memcmp(password, STAGE_PASSWORD, password_len) == 0;

	say_bytes(o, in ? "\0\2OK" : "\0\2NO", 4);
	return STEP_CLOSE;
}

static enum step
smtp_step(struct standin *s, struct out *o)
{
	char *end = memmem(s->in, s->len, "\r\n", 2);
	size_t len;
	bool quit;

	if (end == NULL)
		return STEP_MORE;
	len = (size_t)(end - s->in);
	quit = !s->data && len >= 4 && strncasecmp(s->in, "QUIT", 4) == 0;
	if (s->data) {
		if (len == 1 && s->in[0] == '.') {
			s->data = false;
			say(o, "250 2.0.0 Ok\r\n");
		}
	} else if (len >= 4 && strncasecmp(s->in, "DATA", 4) == 0) {
		s->data = true;
		say(o, "354 Go on\r\n");
	} else {
		say(o, quit ? "221 2.0.0 Bye\r\n" : "250 2.0.0 Ok\r\n");
	}
	drop(s, len + 2);
	return quit ? STEP_CLOSE : STEP_DONE;
}

static enum step
step(struct standin *s, struct out *o)
{
	switch (s->kind) {
	case STANDIN_MILTER:
		return milter_step(s, o);
	case STANDIN_POLICY:
		return policy_step(s, o);
	case STANDIN_AUTH:
		return auth_step(s, o);
	case STANDIN_SASLAUTHD:
		return saslauthd_step(s, o);
	case STANDIN_SOCKETMAP:
		return socketmap_step(s, o);
	case STANDIN_SMTP:
		return smtp_step(s, o);
	}
	return STEP_CLOSE;
}

/* Let go of what is to be skipped. */
static void
skip(struct standin *s)
{
	size_t n = s->skip < s->len ? s->skip : s->len;

	drop(s, n);
	s->skip -= n;
}

bool
standin_feed(struct standin *s, const char *data, size_t len, size_t *taken,
    char *out, size_t *out_len)
{
	struct out o = { .text = out };
	size_t room = sizeof(s->in) - s->len;
	enum step was = STEP_DONE;

	*taken = len < room ? len : room;
	memcpy(s->in + s->len, data, *taken);
	s->len += *taken;
	skip(s);
	/* the longest answer of one step must fit */
	while (
	    was == STEP_DONE && s->skip == 0 && o.len <= STANDIN_OUT_MAX / 2) {
		was = step(s, &o);
		skip(s);
	}
	*out_len = o.len;
	/* a request that is longer than any */
	return was != STEP_CLOSE &&
	    (was != STEP_MORE || s->len < sizeof(s->in));
}
