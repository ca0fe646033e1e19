/* SPDX-License-Identifier: ISC */
/* relay_probe - ask a mail server, in every form of relay_forms.h, to relay
 * for a client that has no right to, and take note of what it says. MAIL, RCPT
 * and RSET only: smtp_talk.h has no word to send a message with. */
#ifndef POPGATE_RELAY_PROBE_H
#define POPGATE_RELAY_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/addr.h"
#include "common/config/config.h"
#include "ctl/smtp/relay_forms.h"
#include "ctl/smtp/smtp_reply.h"

struct probe_net;

enum { RELAY_HITS_MAX = 400, RELAY_WORDS_MAX = 300, RELAY_DOMAINS_MAX = 20 };

/* All borrowed. */
struct relay_options {
	const struct probe_net *net;
	struct addr to;
	unsigned port;
	int timeout_ms; /* of each reply */
	const struct string_list *domains; /* ours; may be empty */
	const char *foreign; /* a domain that isn't ours */
	const char *const *senders; /* besides relay_senders; ends NULL */
	const char *const *helos; /* names to say, too; ends NULL */
	/* only ask whether this client may relay, in one plain form */
	bool one;
};

/* The part of the dialogue that opened the relay. */
enum relay_key {
	RELAY_ANYBODY, /* nothing: a plain foreign recipient */
	RELAY_SENDER, /* the sender's address */
	RELAY_HELO, /* the name in EHLO */
	RELAY_XCLIENT, /* who the client says it speaks for */
	RELAY_FORM, /* how the recipient is written */
	RELAY_UNSURE, /* the same, but its domain takes any name */
	RELAY_PROGRAM, /* a program or file as recipient */
	RELAY_KEYS
};

/* One question that was answered by 2xx. Texts may hold anything. */
struct relay_hit {
	enum relay_key key;
	const char *kind; /* constant */
	char helo[RELAY_WORDS_MAX], sender[RELAY_WORDS_MAX];
	char recipient[RELAY_WORDS_MAX], reply[RELAY_WORDS_MAX];
};

/* How the server treats postmaster of a domain of ours. */
enum relay_own { OWN_ACCEPTED, OWN_REFUSED, OWN_PUT_OFF, OWN_NO_ANSWER };

struct relay_result {
	bool connected;
	char server[RELAY_WORDS_MAX]; /* its greeting */
	/* why it ended early or could not begin; "": it didn't */
	char stopped[RELAY_WORDS_MAX];
	unsigned asked, accepted, refused, put_off;
	unsigned other; /* refused, but not because of relaying */
	unsigned unanswered;
	char put_off_reply[RELAY_WORDS_MAX], other_reply[RELAY_WORDS_MAX];
	/* no plain form got a verdict about relaying */
	bool plain_judged;
	unsigned keys[RELAY_KEYS]; /* hits, also those that aren't kept */
	struct relay_hit hits[RELAY_HITS_MAX];
	size_t n;
	struct {
		const char *domain; /* the caller's */
		enum relay_own answer;
		char reply[RELAY_WORDS_MAX];
	} own[RELAY_DOMAINS_MAX];
	size_t own_n;
};

/* Takes minutes against a slow server. result is large: not on a stack. */
void
relay_probe(const struct relay_options *options, struct relay_result *result);

#endif
