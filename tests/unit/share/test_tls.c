/* SPDX-License-Identifier: ISC */
/* A TLS server of our own at the other end of a socket pair: whom tls_open()
 * believes, and that nobody makes it wait. */
#include "tests/unit/unit.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/share/tls.h"

enum { DAY_S = 86400, LONG_MS = 60000, SHORT_MS = 200, BIG = 300000 };

/* Two certificates, each signed by itself and with its key. */
static const char *ours, *theirs;

static void
make_certificate(const char *file, const char *names, long from_s)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_EXTENSION *san =
	    X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
	FILE *out = fopen(file, "w");

	assert_non_null(key);
	assert_non_null(x);
	assert_non_null(san);
	assert_non_null(out);
	assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	(void)X509_gmtime_adj(X509_getm_notBefore(x), from_s);
	(void)X509_gmtime_adj(X509_getm_notAfter(x), from_s + DAY_S);
	assert_int_equal(
	    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN",
		MBSTRING_ASC, (const unsigned char *)"a test", -1, -1, 0),
	    1);
	assert_int_equal(X509_set_issuer_name(x, X509_get_subject_name(x)), 1);
	assert_int_equal(X509_set_pubkey(x, key), 1);
	assert_int_equal(X509_add_ext(x, san, -1), 1);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_X509(out, x), 1);
	assert_int_equal(
	    PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
	(void)fclose(out);
	X509_EXTENSION_free(san);
	X509_free(x);
	EVP_PKEY_free(key);
}

struct server {
	pthread_t thread;
	int fd;
	const char *certificate; /* PEM file */
	const char *clients; /* who must sign theirs; NULL: none is asked for */
	const char *instead; /* not TLS: this, and then silence */
	bool old; /* TLS 1.1 at most */
};

/* Says whatever it hears, in small pieces; ends when the other side does. */
static void *
serve(void *arg)
{
	struct server *s = arg;
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	SSL *ssl;
	char buf[700];
	int n;

	assert_non_null(context);
	assert_int_equal(SSL_CTX_use_certificate_file(
			     context, s->certificate, SSL_FILETYPE_PEM),
	    1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(
			     context, s->certificate, SSL_FILETYPE_PEM),
	    1);
	if (s->old)
		(void)SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
	if (s->clients != NULL) {
		(void)SSL_CTX_load_verify_locations(context, s->clients, NULL);
		SSL_CTX_set_verify(context,
		    SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	ssl = SSL_new(context);
	(void)SSL_set_fd(ssl, s->fd);
	if (s->instead != NULL) {
		(void)send(s->fd, s->instead, strlen(s->instead), MSG_NOSIGNAL);
		while (recv(s->fd, buf, sizeof(buf), 0) > 0)
			continue;
	} else if (SSL_accept(ssl) == 1) {
		while ((n = SSL_read(ssl, buf, sizeof(buf))) > 0 &&
		    SSL_write(ssl, buf, n) > 0)
			continue;
	}
	SSL_free(ssl);
	SSL_CTX_free(context);
	(void)close(s->fd);
	return NULL;
}

/* Connect to it; returns what tls_open() does, and the socket. */
static int
meet(struct server *s, const char *host, const char *ca,
    const char *certificate, int *fd_r, struct tls **tls_r, struct err *err)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	s->fd = pair[0];
	*fd_r = pair[1];
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
	return tls_open(pair[1], host, ca, certificate,
	    clock_monotonic_ms() + (s->instead == NULL ? LONG_MS : SHORT_MS),
	    tls_r, err);
}

static void
part(struct server *s, int fd, struct tls **tls)
{
	tls_close(tls);
	(void)close(fd);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
}

static void
wait_for(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	assert_int_equal(poll(&p, 1, LONG_MS), 1);
}

/* Send n bytes and take them back at the same time, as a pipe that is full at
 * both ends must be; the same bytes come. */
static void
echo(struct tls *tls, int fd, size_t n)
{
	char *out = malloc(n), *in = malloc(n);
	size_t sent = 0, got = 0;

	assert_non_null(out);
	assert_non_null(in);
	for (size_t i = 0; i < n; i++)
		out[i] = (char)(i * 31);
	while (got < n) {
		ssize_t w = sent < n ? tls_write(tls, out + sent, n - sent) : 0;
		ssize_t r = tls_read(tls, in + got, n - got);

		assert_true(w >= 0 && r >= 0);
		sent += (size_t)w;
		got += (size_t)r;
		if (w == 0 && r == 0 && !tls_pending(tls))
			wait_for(fd, sent < n ? POLLIN | POLLOUT : POLLIN);
	}
	assert_memory_equal(in, out, n);
	free(out);
	free(in);
}

static void
whom_to_believe(void **state)
{
	static const struct {
		const char *name, *host;
		const char *const *ca, *const *certificate, *const *clients;
		bool old;
		const char *instead;
		const char *said; /* NULL: good */
	} rows[] = {
#define SERVER(what, whom, of, ...) \
	{ .name = what, .host = whom, .ca = of, __VA_ARGS__ }
		SERVER("name", "redis.lab.test", &ours, .said = NULL),
		SERVER("wildcard", "a.many.lab.test", &ours, .said = NULL),
		SERVER("IPv4", "192.0.2.7", &ours, .said = NULL),
		SERVER("IPv6", "2001:db8::7", &ours, .said = NULL),
		SERVER("other name", "other.lab.test", &ours,
		    .said = "ostname mismatch"),
		SERVER("CN isn't asked", "a test", &ours,
		    .said = "ostname mismatch"),
		SERVER("other address", "192.0.2.8", &ours,
		    .said = "IP address mismatch"),
		SERVER("signed by nobody we know", "redis.lab.test", NULL,
		    .said = "self"),
		SERVER("signed by another", "redis.lab.test", &theirs,
		    .said = "self"),
		SERVER("our certificate is asked for", "redis.lab.test", &ours,
		    .certificate = &theirs, .clients = &theirs),
		SERVER("TLS 1.1", "redis.lab.test", &ours, .old = true,
		    .said = ""),
		SERVER("no TLS", "redis.lab.test", &ours,
		    .instead = "-NOAUTH Authentication required.\r\n",
		    .said = "handshake"),
		SERVER("silence", "redis.lab.test", &ours, .instead = "",
		    .said = "no answer in time"),
#undef SERVER
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct server s = { .certificate = ours,
			.clients =
			    rows[i].clients == NULL ? NULL : *rows[i].clients,
			.old = rows[i].old,
			.instead = rows[i].instead };
		struct tls *tls;
		struct err err = { .text = "" };
		int fd;
		int rc = meet(&s, rows[i].host,
		    rows[i].ca == NULL ? "" : *rows[i].ca,
		    rows[i].certificate == NULL ? "" : *rows[i].certificate,
		    &fd, &tls, &err);

		if (rc != (rows[i].said == NULL ? 0 : -1))
			fail_msg("%s: %s", rows[i].name, err.text);
		if (rows[i].said == NULL) {
			echo(tls, fd, 5);
			echo(tls, fd, BIG);
		} else {
			assert_null(tls);
			assert_contains(err.text, rows[i].said);
			assert_contains(err.text, "TLS: ");
		}
		part(&s, fd, &tls);
	}
}

static void
files(void **state)
{
	static const char none[] = "/nowhere/at/all.pem";
	const char *text = unit_file(2, "no certificate\n");
	struct tls *tls;
	struct err err;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(
	    tls_open(pair[0], "h", none, "", LONG_MS, &tls, &err), -1);
	assert_contains(err.text, "No such file or directory");
	for (int i = 0; i < 4; i++) {
		const char *file = i % 2 == 0 ? none : text;

		assert_int_equal(tls_open(pair[0], "h", i < 2 ? file : ours,
				     i < 2 ? "" : file, LONG_MS, &tls, &err),
		    -1);
		assert_null(tls);
		assert_contains(err.text, file);
	}
	(void)close(pair[0]);
	(void)close(pair[1]);
	(void)unlink(text);
}

/* The other side goes away. */
static void
end(void **state)
{
	struct server s = { .certificate = ours };
	struct tls *tls;
	struct err err;
	int fd;
	char c;
	ssize_t n;

	(void)state;
	assert_int_equal(
	    meet(&s, "redis.lab.test", ours, "", &fd, &tls, &err), 0);
	assert_int_equal(tls_read(tls, &c, 1), 0);
	(void)shutdown(s.fd, SHUT_RDWR);
	while ((n = tls_read(tls, &c, 1)) == 0)
		wait_for(fd, POLLIN);
	assert_int_equal(n, -1);
	while ((n = tls_write(tls, "x", 1)) > 0)
		continue;
	assert_int_equal(n, -1);
	part(&s, fd, &tls);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whom_to_believe),
		cmocka_unit_test(files),
		cmocka_unit_test(end),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	ours = unit_file(0, "");
	theirs = unit_file(1, "");
	make_certificate(ours,
	    "DNS:redis.lab.test,DNS:*.many.lab.test,IP:192.0.2.7,IP:2001:db8::7",
	    -3600);
	make_certificate(theirs, "DNS:redis.lab.test", -3600);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	(void)unlink(ours);
	(void)unlink(theirs);
	return failed;
}
