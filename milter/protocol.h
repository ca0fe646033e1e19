/* SPDX-License-Identifier: ISC */
/* protocol - the permit channel's two protocols as text: requests out of a
 * buffer, replies into one. Pure.
 * Sources: Postfix SMTPD_POLICY_README, socketmap_table(5); for Sendmail's
 * key etc/sendmail/closed.m4. */
#ifndef POPGATE_PROTOCOL_H
#define POPGATE_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>

enum { PROTOCOL_FRAME_MAX = 8192, PROTOCOL_REPLY_MAX = 1024 };

/* The wiring's policy_context: "asked-at-data" promises that Postfix asks again
 * at DATA. "/client", "/helo", "/sender", "/recipient" or "/relay" behind it,
 * or alone without the "/", names the list of restrictions that asks.
 * "asked-later" in its place promises that another list asks about the same
 * recipient: it refuses, and this one only lets pass whoever may relay.
 * "/again" behind the list promises the same of that list itself, and that of
 * whoever passes it Postfix asks nothing more there. */
#define PROTOCOL_ASKED_AT_DATA "asked-at-data"
#define PROTOCOL_ASKED_LATER "asked-later"

enum protocol_list {
	LIST_UNKNOWN, /* the only one that asks, or another context */
	LIST_CLIENT,
	LIST_HELO,
	LIST_SENDER,
	LIST_RECIPIENT,
	LIST_RELAY
};

enum protocol_kind { PROTOCOL_POLICY, PROTOCOL_SOCKETMAP };

enum protocol_map {
	PROTOCOL_MAP_CLIENT, /* "popgate": the key is a client address */
	PROTOCOL_MAP_SENDMAIL, /* "sendmail": client, AUTH, sender, recipient */
	PROTOCOL_MAP_KNOWN /* "sendmail_client": a client address, before there
			    * is a recipient; nothing is recorded */
};

/* One request; strings point into the buffer that was parsed, and are ""
 * where they were absent. */
struct protocol_request {
	enum protocol_kind kind;
	enum protocol_map map; /* of a socketmap */
	const char *client, *client_port, *client_name, *helo, *sender,
	    *recipient;
	const char *auth_type, *auth_user, *queue_id, *session, *state;
	bool asked_at_data; /* policy_context promises so */
	bool asked_later; /* and this */
	bool asked_again; /* and "/again" */
	enum protocol_list list; /* of policy_context */
	/* The MTA's name and version, and how many recipients of this message
	 * were permitted before: asked by etc/exim/closed.conf, which connects
	 * anew for each recipient. */
	const char *mta, *permitted;
	/* of the client's certificate, encoded as they were sent */
	const char *verify; /* Sendmail's {verify} */
	const char *cert_subject, *cert_issuer, *cert_digest, *cert_key;
	bool has_sender, has_recipient; /* sender: without <> */
};

enum protocol_result {
	PROTOCOL_MORE, /* not a whole request yet */
	PROTOCOL_REQUEST, /* *req is filled, *used bytes are done with */
	PROTOCOL_BAD /* *why says what is wrong; close after it */
};

/* Look for a request in the len bytes at buf, which is changed in place (NULs
 * are put behind the strings). */
enum protocol_result protocol_parse(enum protocol_kind kind, char *buf,
    size_t len, struct protocol_request *req, size_t *used, const char **why);

enum protocol_answer {
	ANSWER_PERMIT, /* may relay */
	ANSWER_NONE, /* no opinion: the MTA goes on, closed as it is */
	ANSWER_REFUSE, /* code, status and text say how */
	ANSWER_BAD /* malformed request (socketmap only) */
};

/* Write the reply to req into buf of PROTOCOL_REPLY_MAX. Returns its length.
 *   code, status, text  for ANSWER_REFUSE: "550", "5.7.1", "..." */
size_t
protocol_reply(const struct protocol_request *req, enum protocol_answer answer,
    const char *code, const char *status, const char *text, char *buf);

#endif
