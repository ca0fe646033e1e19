/* SPDX-License-Identifier: ISC */
#include "milter/protocol.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* --- Postfix policy delegation: name=value lines, an empty line ends --- */

static void
take_context(const char *context, struct protocol_request *req)
{
	static const char *const lists[] = { [LIST_CLIENT] = "client",
		[LIST_HELO] = "helo",
		[LIST_SENDER] = "sender",
		[LIST_RECIPIENT] = "recipient",
		[LIST_RELAY] = "relay" };
	size_t n = strlen(PROTOCOL_ASKED_AT_DATA),
	       later = strlen(PROTOCOL_ASKED_LATER);

	if (strncmp(context, PROTOCOL_ASKED_AT_DATA, n) == 0 &&
	    (context[n] == '\0' || context[n] == '/')) {
		req->asked_at_data = true;
		context += n + (context[n] == '/');
	} else if (strncmp(context, PROTOCOL_ASKED_LATER, later) == 0 &&
	    context[later] == '/') {
		req->asked_later = true;
		context += later + 1;
	}
	for (unsigned i = LIST_CLIENT; i < sizeof(lists) / sizeof(*lists);
	     i++) {
		size_t len = strlen(lists[i]);

		if (strncmp(context, lists[i], len) != 0)
			continue;
		req->asked_again =
		    req->asked_at_data && strcmp(context + len, "/again") == 0;
		if (context[len] == '\0' || req->asked_again)
			req->list = (enum protocol_list)i;
	}
	/* where relaying is decided, the answer is left to nobody */
	if (req->list == LIST_RELAY)
		req->asked_later = false;
}

/* Most attributes differ in their length: no two need be compared. */
#define NAMED(name, value)                      \
	{                                       \
		name, sizeof(name) - 1, (value) \
	}

struct attribute {
	const char *name;
	size_t len;
	const char **value;
};

/* Take a value, unless its name is none of these. false: it was there before,
 * which no request of Postfix's does, and nobody would know which one is
 * true. */
static bool
take_attribute(const struct attribute *v, unsigned n, const char *name,
    const char *value, unsigned *seen)
{
	size_t len = (size_t)(value - 1 - name);

	for (unsigned i = 0; i < n; i++) {
		if (v[i].len != len || memcmp(v[i].name, name, len) != 0)
			continue;
		if (*seen & 1U << i)
			return false;
		*seen |= 1U << i;
		*v[i].value = value;
		return true;
	}
	return true;
}

static enum protocol_result
parse_policy(char *buf, size_t len, struct protocol_request *req, size_t *used,
    const char **why)
{
	const char *context = "";
	const struct attribute attributes[] = {
		NAMED("client_address", &req->client),
		NAMED("client_port", &req->client_port),
		NAMED("client_name", &req->client_name),
		NAMED("helo_name", &req->helo),
		NAMED("sender", &req->sender),
		NAMED("recipient", &req->recipient),
		NAMED("sasl_method", &req->auth_type),
		NAMED("sasl_username", &req->auth_user),
		NAMED("queue_id", &req->queue_id),
		NAMED("ccert_subject", &req->cert_subject),
		NAMED("ccert_issuer", &req->cert_issuer),
		NAMED("ccert_fingerprint", &req->cert_digest),
		NAMED("ccert_pubkey_fingerprint", &req->cert_key),
		NAMED("instance", &req->session),
		NAMED("protocol_state", &req->state),
		NAMED("policy_context", &context),
		NAMED("popgate_mta", &req->mta),
		NAMED("popgate_permitted", &req->permitted),
	};
	enum { N = sizeof(attributes) / sizeof(*attributes) };
	const char *request = "";
	unsigned seen = 0;

	char *last = memmem(buf, len, "\n\n", 2);

	if (last == NULL && (len == 0 || *buf != '\n'))
		return PROTOCOL_MORE;
	/* the line feed that ends it; an empty request has no other */
	char *end = last == NULL ? buf : last + 1;

	*used = (size_t)(end + 1 - buf);
	if (memchr(buf, '\0', *used) != NULL) {
		*why = "policy request with a NUL byte";
		return PROTOCOL_BAD;
	}
	for (char *line = buf; line < end;) {
		char *newline = memchr(line, '\n', (size_t)(end - line));
		assert(newline != NULL); /* end[-1] is one */
		char *equals = memchr(line, '=', (size_t)(newline - line));

		if (equals == NULL) {
			*why =
			    "policy request with a line that is no name=value";
			return PROTOCOL_BAD;
		}
		*equals = *newline = '\0';
		if (strcmp(line, "request") == 0)
			request = equals + 1;
		if (!take_attribute(attributes, N, line, equals + 1, &seen)) {
			*why = "policy request with an attribute given twice";
			return PROTOCOL_BAD;
		}
		req->has_sender |= strcmp(line, "sender") == 0;
		req->has_recipient |= strcmp(line, "recipient") == 0;
		line = newline + 1;
	}
	if (strcmp(request, "smtpd_access_policy") != 0) {
		*why =
		    "policy request of another kind than smtpd_access_policy";
		return PROTOCOL_BAD;
	}
	take_context(context, req);
	return PROTOCOL_REQUEST;
}

/* --- socketmap: a netstring of "name key" --- */

/* client SEP auth_type SEP auth_authen SEP sender SEP recipient SEP, and by
 * rules that know of certificates: verify SEP subject SEP issuer SEP
 * fingerprint SEP. SEP is quote, line feed, quote: a line feed can't be in an
 * SMTP argument, so no field can end early or begin late. Sendmail cuts a long
 * key; then the last SEP is missing, or the certificate. */
static bool
parse_sendmail_key(char *key, size_t len, struct protocol_request *req)
{
	const char **const fields[] = { &req->client, &req->auth_type,
		&req->auth_user, &req->sender, &req->recipient, &req->verify,
		&req->cert_subject, &req->cert_issuer, &req->cert_digest };
	enum { OLD = 5, N = sizeof(fields) / sizeof(*fields) };
	char *p = key, *end = key + len;

	for (unsigned i = 0; i < N && (i != OLD || p != end); i++) {
		char *lf = memchr(p, '\n', (size_t)(end - p));

		if (lf == NULL || lf == p || lf[-1] != '"' || lf + 1 == end ||
		    lf[1] != '"')
			return false;
		lf[-1] = '\0';
		*fields[i] = p;
		p = lf + 2;
	}
	/* as $f has it: <sender>, or without */
	size_t n = strlen(req->sender);

	if (n >= 2 && req->sender[0] == '<' && req->sender[n - 1] == '>') {
		((char *)(uintptr_t)req->sender)[n - 1] = '\0';
		req->sender++;
	}
	req->has_sender = req->has_recipient = true;
	return p == end;
}

static enum protocol_result
parse_socketmap(char *buf, size_t len, struct protocol_request *req,
    size_t *used, const char **why)
{
	size_t digits = 0, n = 0;

	while (digits < len && buf[digits] >= '0' && buf[digits] <= '9' &&
	    digits < 5)
		n = n * 10 + (size_t)(buf[digits++] - '0');
	if (digits == len && digits < 5)
		return PROTOCOL_MORE;
	if (digits == 0 || digits == 5 || buf[digits] != ':' ||
	    (digits > 1 && *buf == '0') || n > PROTOCOL_FRAME_MAX - 8) {
		*why =
		    "socketmap request that is no netstring of at most 8184 bytes";
		return PROTOCOL_BAD;
	}
	if (len < digits + 1 + n + 1)
		return PROTOCOL_MORE;
	char *text = buf + digits + 1;

	*used = digits + 1 + n + 1;
	if (text[n] != ',') {
		*why = "socketmap netstring without a comma at its end";
		return PROTOCOL_BAD;
	}
	text[n] = '\0';
	char *space = memchr(text, ' ', n);

	if (space == NULL || memchr(text, '\0', n) != NULL) {
		*why = "socketmap request without a key, or with a NUL byte";
		return PROTOCOL_BAD;
	}
	*space = '\0';
	char *key = space + 1;
	size_t key_len = (size_t)(text + n - key);

	if (strcmp(text, "popgate") == 0) {
		req->map = PROTOCOL_MAP_CLIENT;
		req->client = key;
	} else if (strcmp(text, "sendmail") == 0) {
		req->map = PROTOCOL_MAP_SENDMAIL;
		if (!parse_sendmail_key(key, key_len, req)) {
			*why =
			    "socketmap key for Sendmail that is cut or malformed";
			return PROTOCOL_BAD;
		}
	} else if (strcmp(text, "sendmail_client") == 0) {
		req->map = PROTOCOL_MAP_KNOWN;
		req->client = key;
	} else {
		*why =
		    "socketmap request for a map that is none of popgate, sendmail, sendmail_client";
		return PROTOCOL_BAD;
	}
	return PROTOCOL_REQUEST;
}

enum protocol_result
protocol_parse(enum protocol_kind kind, char *buf, size_t len,
    struct protocol_request *req, size_t *used, const char **why)
{
	*req = (struct protocol_request){ .kind = kind,
		.client = "",
		.client_port = "",
		.client_name = "",
		.helo = "",
		.sender = "",
		.recipient = "",
		.auth_type = "",
		.auth_user = "",
		.queue_id = "",
		.session = "",
		.state = "",
		.mta = "",
		.permitted = "",
		.verify = "",
		.cert_subject = "",
		.cert_issuer = "",
		.cert_digest = "",
		.cert_key = "" };
	assert(len <= PROTOCOL_FRAME_MAX);
	*used = 0;
	*why = NULL;
	return kind == PROTOCOL_POLICY
	    ? parse_policy(buf, len, req, used, why)
	    : parse_socketmap(buf, len, req, used, why);
}

static size_t
netstring(const char *text, char *buf)
{
	int n =
	    snprintf(buf, PROTOCOL_REPLY_MAX, "%zu:%s,", strlen(text), text);

	assert(n > 0 && n < PROTOCOL_REPLY_MAX);
	return (size_t)n;
}

/* Sendmail's rule set takes the text as tokens: one quoted string of at most
 * 200 bytes, without what ends it, and with each % doubled. */
static void
quote_for_sendmail(const char *code, const char *status, const char *text,
    char *buf, size_t size)
{
	size_t at = (size_t)snprintf(buf, size, "\"%s %s ", code, status);

	assert(at < 198 && size > 202);
	for (; *text != '\0' && at < 198; text++) {
		char c = *text;

		if (c < 0x20 || c > 0x7e)
			c = '?';
		else if (c == '"' || c == '\\')
			c = '\'';
		buf[at++] = c;
		if (c == '%')
			buf[at++] = c;
	}
	buf[at++] = '"';
	buf[at] = '\0';
}

static size_t
reply_socketmap(const struct protocol_request *req, enum protocol_answer answer,
    const char *code, const char *status, const char *text, char *buf)
{
	char reply[PROTOCOL_REPLY_MAX - 16], quoted[256];
	bool sendmail = req->map != PROTOCOL_MAP_CLIENT;

	switch (answer) {
	case ANSWER_PERMIT:
		return netstring(sendmail ? "OK <permit>" : "OK OK", buf);
	case ANSWER_NONE:
		return netstring("NOTFOUND ", buf);
	case ANSWER_BAD:
		return netstring("PERM malformed request", buf);
	case ANSWER_REFUSE:
		break;
	}
	if (sendmail) {
		quote_for_sendmail(code, status, text, quoted, sizeof(quoted));
		(void)snprintf(reply, sizeof(reply), "OK <%s> %s",
		    *code == '5' ? "refuse" : "tempfail", quoted);
	} else {
		/* an action of access(5) */
		(void)snprintf(
		    reply, sizeof(reply), "OK %s %s %s", code, status, text);
	}
	return netstring(reply, buf);
}

size_t
protocol_reply(const struct protocol_request *req, enum protocol_answer answer,
    const char *code, const char *status, const char *text, char *buf)
{
	int n = 0;

	if (req->kind == PROTOCOL_SOCKETMAP)
		return reply_socketmap(req, answer, code, status, text, buf);
	switch (answer) {
	case ANSWER_PERMIT:
		n = snprintf(buf, PROTOCOL_REPLY_MAX, "action=OK\n\n");
		break;
	case ANSWER_NONE:
		n = snprintf(buf, PROTOCOL_REPLY_MAX, "action=DUNNO\n\n");
		break;
	case ANSWER_REFUSE:
		n = snprintf(buf, PROTOCOL_REPLY_MAX, "action=%s %s %s\n\n",
		    code, status, text);
		break;
	case ANSWER_BAD: /* has no reply: the connection is closed */
		break;
	}
	assert(n >= 0 && n < PROTOCOL_REPLY_MAX);
	return (size_t)n;
}
