/* SPDX-License-Identifier: ISC */
#include "common/mta/certificate.h"

#include <assert.h>
#include <string.h>

#include "common/base/hex.h"

bool
certificate_digest(const char *text, char out[CERTIFICATE_DIGEST_MAX])
{
	size_t n = 0;

	for (const char *p = text; *p != '\0'; p++) {
		/* colons between pairs of digits only */
		if (*p == ':' && n > 0 && n % 2 == 0 && p[-1] != ':')
			continue;
		int v = hex_digit(*p);

		if (v == -1 || n == CERTIFICATE_DIGEST_MAX - 1) {
			out[0] = '\0';
			return false;
		}
		out[n++] = "0123456789abcdef"[v];
	}
	bool good = (n == 40 || n == 64 || n == 96 || n == 128) &&
	    text[strlen(text) - 1] != ':';

	out[good ? n : 0] = '\0';
	return good;
}

bool
certificate_decode(const char *text, char out[CERTIFICATE_NAME_MAX])
{
	size_t n = 0;

	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '+') {
			int high = hex_digit(text[1]);
			int low = high == -1 ? -1 : hex_digit(text[2]);

			if (low == -1)
				break;
			c = (unsigned char)(high * 16 + low);
			text += 2;
		}
		if (c < 0x20 || c == 0x7f || n == CERTIFICATE_NAME_MAX - 1)
			break;
		out[n++] = (char)c;
	}
	out[*text == '\0' ? n : 0] = '\0';
	return *text == '\0';
}

/* Copy the name as it is, if it may be a name at all. */
static void
plain(const char *text, char out[CERTIFICATE_NAME_MAX])
{
	size_t n = strlen(text);

	out[0] = '\0';
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return;
	if (n < CERTIFICATE_NAME_MAX)
		memcpy(out, text, n + 1);
}

static void
take(struct certificate *c, bool encoded, const char *subject,
    const char *issuer, const char *fingerprint, const char *public_key)
{
	if (subject != NULL && encoded)
		(void)certificate_decode(subject, c->subject);
	else if (subject != NULL)
		plain(subject, c->subject);
	if (issuer != NULL && encoded)
		(void)certificate_decode(issuer, c->issuer);
	else if (issuer != NULL)
		plain(issuer, c->issuer);
	if (fingerprint != NULL)
		(void)certificate_digest(fingerprint, c->fingerprint);
	if (public_key != NULL)
		(void)certificate_digest(public_key, c->public_key);
}

static void
clear(struct certificate *c)
{
	c->subject[0] = c->issuer[0] = '\0';
	c->fingerprint[0] = c->public_key[0] = '\0';
}

static bool
something(const struct certificate *c)
{
	return (*c->subject != '\0' && *c->issuer != '\0') ||
	    *c->fingerprint != '\0' || *c->public_key != '\0';
}

bool
certificate_from_sendmail(struct certificate *c, const char *verify,
    const char *subject, const char *issuer, const char *fingerprint)
{
	bool trusted = verify != NULL && strcmp(verify, "OK") == 0;
	bool known = trusted || (verify != NULL && strcmp(verify, "FAIL") == 0);

	clear(c);
	take(c, true, trusted ? subject : NULL, trusted ? issuer : NULL,
	    known ? fingerprint : NULL, NULL);
	return something(c);
}

bool
certificate_from_postfix(struct certificate *c, bool encoded,
    const char *subject, const char *issuer, const char *fingerprint,
    const char *public_key)
{
	clear(c);
	take(c, encoded, subject, issuer, fingerprint, public_key);
	return something(c);
}

const char *
certificate_name(const struct certificate *c)
{
	return *c->subject != '\0'    ? c->subject
	    : *c->fingerprint != '\0' ? c->fingerprint
				      : c->public_key;
}

bool
certificate_listed(
    const struct certificate_entry *v, size_t n, const struct certificate *c)
{
	assert(v != NULL || n == 0);
	for (size_t i = 0; i < n; i++) {
		if (v[i].subject != NULL && v[i].issuer != NULL &&
		    *c->subject != '\0' && *c->issuer != '\0' &&
		    strcmp(v[i].subject, c->subject) == 0 &&
		    strcmp(v[i].issuer, c->issuer) == 0)
			return true;
		if (v[i].fingerprint != NULL && *c->fingerprint != '\0' &&
		    strcmp(v[i].fingerprint, c->fingerprint) == 0)
			return true;
		if (v[i].public_key != NULL && *c->public_key != '\0' &&
		    strcmp(v[i].public_key, c->public_key) == 0)
			return true;
	}
	return false;
}
