/* SPDX-License-Identifier: ISC */
/* fate - what becomes of a log line, or of a login that a server tells: it lets
 * its client relay, or why it doesn't. The names are in tables, replies and
 * metrics: they never change. */
#ifndef POPGATE_FATE_H
#define POPGATE_FATE_H

enum fate {
	FATE_NONE = 0, /* not judged */
	FATE_LOGIN, /* a login that counts */

	/* No login, by what the line says. */
	FATE_OTHER_PROGRAM, /* not a POP or IMAP server's line */
	FATE_NO_PREFIX, /* no known time stamp, host and tag */
	FATE_TOO_LONG, /* the line, or the user name in it */
	FATE_FORGEABLE_FILE, /* nginx's own error_log */
	FATE_UNTRUSTED, /* journal: not that server's process */
	FATE_STREAM_PIECE, /* journal: a login, but in the output of a server
			    * that lets clients end lines there */
	FATE_CUT_PIECE, /* journal: cut off, or behind a cut */
	FATE_DROPPED, /* journald's word that it dropped a server's messages */
	FATE_NOT_A_LOGIN, /* known, but no login */
	FATE_FAILED_LOGIN,
	FATE_PROXIED, /* Dovecot passed the client on */
	FATE_OTHER_SERVICE, /* authenticated for SMTP, sieve, webmail */
	FATE_ANONYMOUS, /* also: without a password */
	FATE_AMBIGUOUS, /* can be read in two ways */
	FATE_BAD_ADDRESS,
	FATE_NO_ADDRESS, /* a login, but its line holds no address */
	FATE_NO_USER,
	FATE_BAD_USER, /* holds a NUL or a line end */
	FATE_TRUNCATED,
	FATE_BAD_TIME, /* a date that does not exist */
	FATE_PAIR_OPENED, /* first line of two */
	FATE_PAIR_MISSING, /* second line of two without its first */
	FATE_UNKNOWN_SHAPE, /* a mail server's, but of no known form */
	/* By its words a login of a known server, but by a tag that isn't read,
	 * or behind no known prefix. */
	FATE_UNKNOWN_TAG,
	FATE_UNKNOWN_PREFIX,

	/* A login, but it doesn't count. */
	FATE_FORGED, /* its sender may not speak for the server */
	FATE_TOO_OLD, /* older than logins.keep */
	FATE_LATE, /* it had expired when it came, though its line is new */
	FATE_NEVER_AUTHORIZE, /* the client is in relay.never_authorize */
	FATE_OWN_ADDRESS, /* the client is this machine, or its gateway */
	FATE_PROXY, /* the client is in relay.proxy_networks */

	FATE_N
};

/* "login", "too-old", ...; a constant. */
const char *fate_name(enum fate fate);

#endif
