/* SPDX-License-Identifier: ISC */
#include "ctl/smtp/smtp_talk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/ssl_wants.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* Linux 5.14 */
#endif

enum { COMMAND_MAX = 2048, MORE_HOPS = 2 };
enum tls_call { TLS_CONNECT, TLS_READ, TLS_WRITE };

struct smtp_talk {
	int fd;
	SSL *tls; /* NULL: in the clear */
	int timeout_ms;
	unsigned code; /* of the last reply */
	bool private; /* with a copy: smtp_talk_private() */
	unsigned hops;
	struct smtp_parser parser;
	char buf[4096];
	size_t head, tail; /* of buf: received, not parsed */
};

/* The whole language of this module. */
static const struct {
	const char *before, *behind;
} verbs[] = {
	[SMTP_EHLO] = { "EHLO ", "\r\n" },
	[SMTP_HELO] = { "HELO ", "\r\n" },
	[SMTP_MAIL] = { "MAIL FROM:<", ">\r\n" },
	[SMTP_RCPT] = { "RCPT TO:", "\r\n" },
	[SMTP_XCLIENT] = { "XCLIENT ", "\r\n" },
	[SMTP_AUTH] = { "AUTH ", "\r\n" },
	[SMTP_ANSWER] = { "", "\r\n" },
	[SMTP_STARTTLS] = { "STARTTLS", "\r\n" },
	[SMTP_RSET] = { "RSET", "\r\n" },
	[SMTP_QUIT] = { "QUIT", "\r\n" },
};

const char *
talk_words(enum talk_result result)
{
	switch (result) {
	case TALK_REPLY:
		return "replied";
	case TALK_NO_CONNECTION:
		return "no connection";
	case TALK_TIMEOUT:
		return "no reply in time";
	case TALK_CLOSED:
		return "the connection was closed";
	case TALK_NONSENSE:
		return "the reply isn't SMTP";
	case TALK_NO_TLS:
		return "the TLS handshake failed";
	case TALK_BAD_ARGUMENT:
		return "can't be said in one command";
	}
	return "unknown";
}

/* 1 ready, 0 too late, -1 error */
static int
wait_for(int fd, short events, int64_t until_ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	for (;;) {
		int64_t left = until_ms - clock_monotonic_ms();
		int n = left <= 0 ? 0 : poll(&pfd, 1, (int)left);

		if (n != -1 || errno != EINTR)
			return n;
	}
}

/* OpenSSL writes by write(2), which raises SIGPIPE where the server has hung
 * up: hold it back, and let go of one that came. */
static void
hold_pipe(sigset_t *before)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGPIPE);
	(void)pthread_sigmask(SIG_BLOCK, &set, before);
}

static void
release_pipe(const sigset_t *before)
{
	const struct timespec now = { 0 };
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGPIPE);
	if (sigismember(before, SIGPIPE) == 0)
		while (sigtimedwait(&set, NULL, &now) == SIGPIPE)
			;
	(void)pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* A call of OpenSSL: what it returned, and what to wait for before it is made
 * again. */
static int
tls_call(struct smtp_talk *t, enum tls_call call, void *data, size_t len,
    short *wait_r)
{
	sigset_t before;
	int n;

	hold_pipe(&before);
	n = call == TLS_READ    ? SSL_read(t->tls, data, (int)len)
	    : call == TLS_WRITE ? SSL_write(t->tls, data, (int)len)
				: SSL_connect(t->tls);
	*wait_r = n > 0 ? 0 : ssl_wants(t->tls, n);
	release_pipe(&before);
	return n;
}

/* Bytes as recv(2) has them: 0 at the end, -1 with *wait_r: what to poll for
 * before trying again, or 0 after an error. */
static ssize_t
take(struct smtp_talk *t, char *buf, size_t size, short *wait_r)
{
	ssize_t n;

	if (t->tls != NULL) {
		int got = tls_call(t, TLS_READ, buf, size, wait_r);

		return got > 0 ? got : -1;
	}
	n = recv(t->fd, buf, size, MSG_DONTWAIT);
	*wait_r = n == -1 && (errno == EAGAIN || errno == EINTR) ? POLLIN : 0;
	return n;
}

static ssize_t
put(struct smtp_talk *t, const char *data, size_t len, short *wait_r)
{
	ssize_t n;

	if (t->tls != NULL) {
		int said = tls_call(
		    t, TLS_WRITE, (void *)(uintptr_t)data, len, wait_r);

		return said > 0 ? said : -1;
	}
	n = send(t->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	*wait_r = n == -1 && (errno == EAGAIN || errno == EINTR) ? POLLOUT : 0;
	return n;
}

static enum talk_result
read_reply(struct smtp_talk *t, struct smtp_reply *reply)
{
	int64_t until_ms = clock_monotonic_ms() + t->timeout_ms;

	smtp_parser_begin(&t->parser);
	for (;;) {
		size_t used;
		ssize_t n;

		switch (smtp_parser_feed(
		    &t->parser, t->buf + t->head, t->tail - t->head, &used)) {
		case SMTP_REPLY:
			t->head += used;
			*reply = t->parser.reply;
			t->code = (unsigned)reply->code;
			return TALK_REPLY;
		case SMTP_BAD:
			return TALK_NONSENSE;
		case SMTP_MORE:
			break;
		}
		t->head = t->tail = 0;
		short wait;

		n = take(t, t->buf, sizeof(t->buf), &wait);
		if (n == -1 && wait != 0) {
			if (wait_for(t->fd, wait, until_ms) == 0)
				return TALK_TIMEOUT;
			continue;
		}
		if (n <= 0)
			return TALK_CLOSED;
		t->tail = (size_t)n;
	}
}

int
smtp_connect(int fd, const struct addr *to, unsigned port, int timeout_ms)
{
	struct sockaddr_in6 sin6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)port),
	};
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
	};
	bool six = to->family == ADDR_IPV6;
	int error = 0;
	socklen_t len = sizeof(error);

	memcpy(&sin6.sin6_addr, to->bytes, 16);
	memcpy(&sin.sin_addr, to->bytes, 4);
	if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
		return -1;
	if (connect(fd,
		six ? (const struct sockaddr *)&sin6
		    : (const struct sockaddr *)&sin,
		six ? sizeof(sin6) : sizeof(sin)) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -1;
	if (wait_for(fd, POLLOUT, clock_monotonic_ms() + timeout_ms) <= 0) {
		errno = ETIMEDOUT;
		return -1;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		return -1;
	errno = error;
	return error == 0 ? 0 : -1;
}

/* A key and a certificate that it signed itself. */
static bool
certify(SSL_CTX *ctx)
{
	enum { DAY_S = 86400 };
	static const unsigned char name[] = "client";
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	bool ok = key != NULL && x != NULL && X509_set_version(x, 2) == 1 &&
	    ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1 &&
	    X509_gmtime_adj(X509_getm_notBefore(x), -DAY_S) != NULL &&
	    X509_gmtime_adj(X509_getm_notAfter(x), DAY_S) != NULL &&
	    X509_set_pubkey(x, key) == 1 &&
	    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN",
		MBSTRING_ASC, name, -1, -1, 0) == 1 &&
	    X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
	    X509_sign(x, key, EVP_sha256()) > 0 &&
	    SSL_CTX_use_certificate(ctx, x) == 1 &&
	    SSL_CTX_use_PrivateKey(ctx, key) == 1;

	X509_free(x);
	EVP_PKEY_free(key);
	return ok;
}

static enum talk_result
begin_tls(struct smtp_talk *t, bool certified)
{
	int64_t until_ms = clock_monotonic_ms() + t->timeout_ms;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	assert(t->tls == NULL);
	if (ctx == NULL)
		return TALK_NO_TLS;
	/* an old server is asked as well as a new one */
	SSL_CTX_set_security_level(ctx, 0);
	if (certified && !certify(ctx)) {
		SSL_CTX_free(ctx);
		return TALK_NO_TLS;
	}
	t->tls = SSL_new(ctx);
	SSL_CTX_free(ctx); /* t->tls holds it */
	/* what came in the clear after STARTTLS answers nothing */
	t->head = t->tail = 0;
	if (t->tls == NULL || fcntl(t->fd, F_SETFL, O_NONBLOCK) == -1 ||
	    SSL_set_fd(t->tls, t->fd) != 1)
		return TALK_NO_TLS;
	for (;;) {
		short wait;

		if (tls_call(t, TLS_CONNECT, NULL, 0, &wait) == 1)
			return TALK_REPLY;
		if (wait == 0)
			return TALK_NO_TLS;
		if (wait_for(t->fd, wait, until_ms) == 0)
			return TALK_TIMEOUT;
	}
}

enum talk_result
smtp_talk_tls(struct smtp_talk *t)
{
	return begin_tls(t, false);
}

enum talk_result
smtp_talk_tls_certified(struct smtp_talk *t)
{
	return begin_tls(t, true);
}

static struct smtp_talk *
new_talk(int fd, int timeout_ms)
{
	struct smtp_talk *t = calloc(1, sizeof(*t));

	assert(timeout_ms > 0);
	if (t == NULL) {
		if (fd != -1)
			(void)close(fd);
		errno = ENOMEM;
		return NULL;
	}
	t->fd = fd;
	t->timeout_ms = timeout_ms;
	/* a message is written in pieces, of which each would wait 40 ms for
	 * the acknowledgement of the one before */
	if (fd != -1)
		(void)setsockopt(
		    fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	return t;
}

enum talk_result
smtp_talk_begin(int fd, bool tls, int timeout_ms, struct smtp_talk **t_r,
    struct smtp_reply *reply)
{
	struct smtp_talk *t = *t_r = new_talk(fd, timeout_ms);
	enum talk_result result = TALK_REPLY;

	if (t == NULL || fd == -1)
		return TALK_NO_CONNECTION;
	if (tls)
		result = smtp_talk_tls(t);
	return result == TALK_REPLY ? read_reply(t, reply) : result;
}

enum talk_result
smtp_talk_open(int fd, const struct addr *to, unsigned port, int timeout_ms,
    struct smtp_talk **t_r, struct smtp_reply *reply)
{
	struct smtp_talk *t = *t_r = new_talk(fd, timeout_ms);

	if (t == NULL || fd == -1 ||
	    smtp_connect(fd, to, port, timeout_ms) == -1)
		return TALK_NO_CONNECTION;
	return read_reply(t, reply);
}

static bool
one_line(const char *text, size_t len)
{
	return memchr(text, '\r', len) == NULL &&
	    memchr(text, '\n', len) == NULL;
}

static size_t
append(char *to, size_t n, const char *text, size_t len)
{
	memcpy(to + n, text, len);
	return n + len;
}

/* Send it. TALK_REPLY: done. */
static enum talk_result
tell(struct smtp_talk *t, const char *text, size_t len)
{
	int64_t until_ms = clock_monotonic_ms() + t->timeout_ms;
	size_t sent = 0;

	/* what came unasked answers nothing */
	t->head = t->tail = 0;
	while (sent < len) {
		short wait;
		ssize_t said = put(t, text + sent, len - sent, &wait);

		if (said >= 0)
			sent += (size_t)said;
		else if (wait == 0)
			return TALK_CLOSED;
		else if (wait_for(t->fd, wait, until_ms) <= 0)
			return TALK_TIMEOUT;
	}
	return TALK_REPLY;
}

static enum talk_result
ask(struct smtp_talk *t, const char *text, size_t len, struct smtp_reply *reply)
{
	enum talk_result result = tell(t, text, len);

	return result == TALK_REPLY ? read_reply(t, reply) : result;
}

enum talk_result
smtp_talk_say(struct smtp_talk *t, enum smtp_verb verb, const char *argument,
    size_t len, struct smtp_reply *reply)
{
	assert(t != NULL && (argument != NULL || len == 0));
	char command[COMMAND_MAX];
	size_t n;

	if (argument == NULL)
		len = 0;
	/* anywhere else it would be a command */
	if (verb == SMTP_ANSWER && t->code != 334)
		return TALK_BAD_ARGUMENT;
	if (len > COMMAND_MAX - 32 ||
	    !one_line(argument == NULL ? "" : argument, len))
		return TALK_BAD_ARGUMENT;
	n = append(command, 0, verbs[verb].before, strlen(verbs[verb].before));
	if (len > 0)
		n = append(command, n, argument, len);
	n = append(command, n, verbs[verb].behind, strlen(verbs[verb].behind));
	return ask(t, command, n, reply);
}

/* The namespace of a socket's network; 0: not known. */
static uint64_t
netns_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) == 0
	    ? cookie
	    : 0;
}

enum place { PLACE_HERE, PLACE_ELSEWHERE, PLACE_UNKNOWN };

static enum place
place_of(int fd)
{
	int here = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t own = netns_of(here), other = netns_of(fd);

	if (here != -1)
		(void)close(here);
	return own == 0 || other == 0 ? PLACE_UNKNOWN
	    : own == other            ? PLACE_HERE
				      : PLACE_ELSEWHERE;
}

void
smtp_talk_private(struct smtp_talk *t, unsigned hops)
{
	assert(t != NULL);
	t->private = true;
	t->hops = hops;
}

/* Was a message refused for its Received lines alone? The words are those of
 * Postfix and Sendmail, and of Exim. */
static bool
says_hops(const char *text)
{
	return strcasestr(text, "too many hops") != NULL ||
	    strcasestr(text, "too many \"Received\" headers") != NULL;
}

enum talk_result
smtp_talk_message(struct smtp_talk *t, bool *taken_r, struct smtp_reply *reply)
{
	static const char data[] = "DATA\r\n";
	static const char received[] =
	    "Received: from a.invalid by b.invalid; Thu, 01 Jan 2026 00:00:00 +0000\r\n";
	static const char rest[] =
	    "From: <someone@a.invalid>\r\nTo: <someone@b.invalid>\r\n"
	    "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n"
	    "Message-ID: <rehearsal@a.invalid>\r\nSubject: a rehearsal\r\n"
	    "\r\nNo message.\r\n.\r\n";
	enum talk_result result;

	assert(t != NULL);
	enum place place = place_of(t->fd);

	*taken_r = false;
	if (!t->private || place == PLACE_HERE)
		return TALK_BAD_ARGUMENT;
	if (place == PLACE_UNKNOWN || t->hops == 0) {
		*taken_r = true;
		return TALK_REPLY;
	}
	result = ask(t, data, sizeof(data) - 1, reply);
	if (result != TALK_REPLY || reply->code / 100 != 3)
		return result;
	for (unsigned i = 0; i < t->hops + MORE_HOPS && result == TALK_REPLY;
	     i++)
		result = tell(t, received, sizeof(received) - 1);
	if (result == TALK_REPLY)
		result = ask(t, rest, sizeof(rest) - 1, reply);
	*taken_r = result == TALK_REPLY &&
	    (reply->code / 100 == 2 || says_hops(reply->text));
	return result;
}

void
smtp_talk_close(struct smtp_talk **t)
{
	if (*t != NULL)
		SSL_free((*t)->tls);
	if (*t != NULL && (*t)->fd != -1)
		(void)close((*t)->fd);
	free(*t);
	*t = NULL;
}
