/* SPDX-License-Identifier: ISC */
/* certificate - TLS client certificates as MTAs tell of them, against the list
 * of those that may relay. Pure. */
#ifndef POPGATE_CERTIFICATE_H
#define POPGATE_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>

enum {
	CERTIFICATE_NAME_MAX = 512, /* bytes of a name with its NUL */
	CERTIFICATE_DIGEST_MAX = 129 /* hexadecimal digits of SHA-512 */
};

/* One that may relay. The other members are NULL. Owned by the
 * configuration. */
struct certificate_entry {
	char *subject, *issuer; /* both, as the MTA gives them, decoded */
	char *fingerprint; /* digits: certificate_digest() */
	char *public_key;
};

/* The parts that count of a certificate that a session presented; "": none. */
struct certificate {
	/* of a chain that the MTA trusts, and only then */
	char subject[CERTIFICATE_NAME_MAX], issuer[CERTIFICATE_NAME_MAX];
	/* of the certificate, and of its key, which the client has */
	char fingerprint[CERTIFICATE_DIGEST_MAX];
	char public_key[CERTIFICATE_DIGEST_MAX];
};

/* Fill c from what an MTA says; NULL or "" is nothing. What is malformed
 * counts as nothing. Return false when nothing is left.
 *   Sendmail: {verify}, {cert_subject}, {cert_issuer}, {cert_fp}. The names
 *     are there for untrusted certificates too: they count when verify is OK;
 *     the fingerprint also when it is FAIL, a chain that isn't trusted.
 *   Postfix: names only of a trusted chain, and of each the CN. encoded: as
 *     the policy service writes them; its milter macros are plain. */
bool certificate_from_sendmail(struct certificate *c, const char *verify,
    const char *subject, const char *issuer, const char *fingerprint);
bool certificate_from_postfix(struct certificate *c, bool encoded,
    const char *subject, const char *issuer, const char *fingerprint,
    const char *public_key);

/* Its name in a record: the subject, else a digest. */
const char *certificate_name(const struct certificate *c);

/* Is it one of v? A subject counts with its issuer only, compared byte by
 * byte; a digest that the client has the key for says all by itself. */
bool certificate_listed(
    const struct certificate_entry *v, size_t n, const struct certificate *c);

/* "AB:CD:..." or "abcd..." to lower-case digits. False, and out is "", when
 * it is no SHA-1 or longer digest: MD5 is none to trust a certificate by. */
bool certificate_digest(const char *text, char out[CERTIFICATE_DIGEST_MAX]);

/* Undo "+XX" (xtext, RFC 3461 section 4; both MTAs). False, and out is "",
 * when it is malformed, doesn't fit, or holds a control byte. */
bool certificate_decode(const char *text, char out[CERTIFICATE_NAME_MAX]);

#endif
