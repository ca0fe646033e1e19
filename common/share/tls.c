/* SPDX-License-Identifier: ISC */
#include "common/share/tls.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/ssl_wants.h"

struct tls {
	SSL_CTX *context;
	SSL *ssl;
};

const char *
tls_words(char buf[TLS_WORDS])
{
	unsigned long code = ERR_peek_error();
	const char *reason = code == 0 ? NULL
	    : ERR_SYSTEM_ERROR(code)   ? strerror(ERR_GET_REASON(code))
				       : ERR_reason_error_string(code);

	(void)snprintf(buf, TLS_WORDS, "%s",
	    reason != NULL   ? reason
		: errno != 0 ? strerror(errno)
			     : "the server broke off");
	return buf;
}

static int
fail(const char *what, struct err *err)
{
	char reason[TLS_WORDS];

	err_set(err, ERR_IO, "TLS: %s: %s", what, tls_words(reason));
	return -1;
}

/* A key that wants a pass phrase is none for a daemon. */
static int
no_pass_phrase(char *buf, int size, int writes, void *arg)
{
	(void)buf;
	(void)size;
	(void)writes;
	(void)arg;
	return -1;
}

/* Load the certificates that we trust, and our own. */
static int
set_files(
    SSL_CTX *context, const char *ca, const char *certificate, struct err *err)
{
	if (*ca == '\0') {
		if (SSL_CTX_set_default_verify_paths(context) != 1)
			return fail("the system's certificates", err);
	} else if (SSL_CTX_load_verify_locations(context, ca, NULL) != 1) {
		return fail(ca, err);
	}
	if (*certificate == '\0')
		return 0;
	SSL_CTX_set_default_passwd_cb(context, no_pass_phrase);
	if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey_file(
		context, certificate, SSL_FILETYPE_PEM) != 1)
		return fail(certificate, err);
	return 0;
}

/* The certificate must be for this name or address. */
static bool
set_host(SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	if (X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1)
		return true;
	X509_VERIFY_PARAM_set_hostflags(
	    param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 &&
	    SSL_set_tlsext_host_name(ssl, host) == 1;
}

static bool
set_up(struct tls *tls, int fd, const char *host)
{
	int flags = fcntl(fd, F_GETFL);

	SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
	(void)SSL_CTX_set_options(tls->context, SSL_OP_NO_RENEGOTIATION);
	(void)SSL_CTX_set_mode(tls->context,
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	(void)SSL_CTX_clear_mode(tls->context, SSL_MODE_AUTO_RETRY);
	tls->ssl = SSL_new(tls->context);
	return tls->ssl != NULL && set_host(tls->ssl, host) &&
	    SSL_set_fd(tls->ssl, fd) == 1 && flags != -1 &&
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static int
shake_hands(struct tls *tls, int64_t until_ms, struct err *err)
{
	for (;;) {
		ERR_clear_error();
		errno = 0;
		int rc = SSL_connect(tls->ssl);

		if (rc == 1)
			return 0;
		struct pollfd p = {
			.fd = SSL_get_fd(tls->ssl),
			.events = ssl_wants(tls->ssl, rc),
		};
		int64_t left_ms = until_ms - clock_monotonic_ms();
		long verified = SSL_get_verify_result(tls->ssl);

		if (p.events == 0)
			return fail(verified == X509_V_OK
				? "the handshake"
				: X509_verify_cert_error_string(verified),
			    err);
		if (left_ms <= 0) {
			err_set(err, ERR_IO, "TLS: no answer in time");
			return -1;
		}
		(void)poll(&p, 1, (int)left_ms);
	}
}

int
tls_open(int fd, const char *host, const char *ca, const char *certificate,
    int64_t until_ms, struct tls **tls_r, struct err *err)
{
	struct tls *tls = calloc(1, sizeof(*tls));
	int rc = -1;

	assert(fd >= 0 && *host != '\0');
	*tls_r = NULL;
	ERR_clear_error();
	errno = 0;
	if (tls != NULL)
		tls->context = SSL_CTX_new(TLS_client_method());
	if (tls == NULL || tls->context == NULL ||
	    SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION) != 1)
		err_set(err, ERR_NOMEM, "out of memory");
	else if (set_files(tls->context, ca, certificate, err) == 0)
		rc = set_up(tls, fd, host) ? shake_hands(tls, until_ms, err)
					   : fail("setting up", err);
	if (rc == -1)
		tls_close(&tls);
	*tls_r = tls;
	return rc;
}

void
tls_close(struct tls **tls)
{
	if (*tls == NULL)
		return;
	SSL_free((*tls)->ssl);
	SSL_CTX_free((*tls)->context);
	free(*tls);
	*tls = NULL;
}

static ssize_t
result(const struct tls *tls, int rc)
{
	if (rc > 0)
		return rc;
	return ssl_wants(tls->ssl, rc) != 0 ? 0 : -1;
}

ssize_t
tls_read(struct tls *tls, char *buf, size_t size)
{
	ERR_clear_error();
	errno = 0;
	return result(
	    tls, SSL_read(tls->ssl, buf, size > INT_MAX ? INT_MAX : (int)size));
}

ssize_t
tls_write(struct tls *tls, const char *buf, size_t size)
{
	assert(size > 0);
	ERR_clear_error();
	errno = 0;
	return result(tls,
	    SSL_write(tls->ssl, buf, size > INT_MAX ? INT_MAX : (int)size));
}

bool
tls_pending(const struct tls *tls)
{
	return tls != NULL && SSL_pending(tls->ssl) > 0;
}
