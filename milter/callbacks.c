/* SPDX-License-Identifier: ISC */
#include "milter/callbacks.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

/* mfapi.h defines bool itself unless it is told that there is one */
#define SM_CONF_STDBOOL_H 1
#include <libmilter/mfapi.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/mta/address.h"
#include "milter/gate.h"
#include "milter/handoff_audited.h"
#include "milter/handoff_certificate.h"
#include "milter/libmilter/nudge.h"
#include "milter/meter.h"
#include "milter/permit_pending.h"

enum { NAME_MAX_LEN = 256, MTA_MAX = 40, QUEUE_ID_MAX = 32 };

/* The accepted recipients of a message until DATA. All zero: none. */
struct accepted {
	struct audit_row *rows; /* of those that wait for DATA; owned */
	size_t n_rows;
	struct audit_receipt receipt; /* of those that couldn't wait */
	bool handed; /* some couldn't wait */
	bool relayed; /* a relay is among them */
	struct handoff_recipients relays;
};

/* One SMTP connection, as the MTA has told us of it; lives behind
 * smfi_setpriv(), used by one thread at a time. */
struct session {
	struct gate_config *gc; /* counted reference */
	unsigned long steps; /* negotiated SMFIP_* */
	bool over_limit; /* temporary failure for everything */
	bool lists; /* macros come with the commands that we asked for */
	bool marked; /* macro v is empty: on_connect() has seen it */
	bool other; /* another client, whose address we weren't told */
	struct addr client;
	uint16_t port; /* the client's */
	char id[32]; /* of the connection */
	uint64_t messages; /* begun */
	char client_name[NAME_MAX_LEN];
	char helo[NAME_MAX_LEN];
	char mta[MTA_MAX];
	/* of this message */
	char *sender; /* owned; NULL: none given yet */
	char auth_type[64];
	char auth_user[NAME_MAX_LEN];
	struct certificate *certificate; /* owned; NULL: none */
	char queue_id[QUEUE_ID_MAX];
	char message_id[PAIR_SESSION_MAX]; /* as the permit channel names the
					    * message, or the connection's id
					    * and a number */
	bool named; /* by the permit channel */
	struct accepted accepted;
	struct limiter_message message;
	struct gate_memo *memo; /* owned; NULL: no recipient yet */
};

enum { SAY_EVERY_MS = 10000 };

static atomic_uint sessions;
static atomic_uint sessions_max = UINT_MAX;
static atomic_uint_fast64_t over_limit;
static atomic_int_fast64_t said_ms; /* that there are too many */
static atomic_bool draining;
/* There was an MTA that can't be asked which macros to send. */
static atomic_bool own_lists;
static atomic_uint_fast64_t session_number;

/* Each list has a macro that always has a value: without one, libmilter
 * keeps the values of the message before, AUTH included (docs/
 * ARCHITECTURE.md "Macros"). */
static const struct {
	int stage;
	const char *macros;
} macro_lists[] = {
	{ SMFIM_CONNECT, "j v" },
	{ SMFIM_HELO, "j" },
	{ SMFIM_ENVFROM, "j i {auth_type} {auth_authen}" },
	{ SMFIM_ENVRCPT, "j i {rcpt_mailer}" },
	{ SMFIM_DATA, "j i" },
};
/* instead, where certificates count */
static const char certificate_macros[] =
    "j i {auth_type} {auth_authen} {verify} {cert_subject} {cert_issuer} {cert_fp}";

static void
copy(char *buf, size_t size, const char *text)
{
	assert(size > 0);
	size_t n = text == NULL ? 0 : strnlen(text, size - 1);

	if (n > 0)
		memcpy(buf, text, n);
	buf[n] = '\0';
}

static struct accepted
take_accepted(struct session *s)
{
	struct accepted accepted = s->accepted;

	assert((accepted.rows == NULL) == (accepted.n_rows == 0));
	s->accepted = (struct accepted){ .rows = NULL };
	return accepted;
}

static void
name_message(const struct session *s, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%s.%" PRIx64, s->id, (uint64_t)s->messages);
}

/* Rows of the message, which isn't relayed, are with the audit. */
static void
give_up(const struct session *s)
{
	char own[PAIR_SESSION_MAX];

	gate_give_up(&s->client, s->message_id);
	/* rows from before the permit channel named it */
	name_message(s, own, sizeof(own));
	if (s->named)
		gate_give_up(&s->client, own);
}

/* Submit the rows of accepted recipients whose message didn't come to DATA. The
 * rows of refused ones were submitted at once. */
static void
flush_accepted(struct session *s)
{
	struct accepted accepted = take_accepted(s);
	bool ok;

	if (accepted.relayed && s->named)
		permit_pending_give_up(s->message_id);
	meter_aborted(accepted.relays.n);
	audit_row_aborted(accepted.rows);
	if (accepted.rows != NULL)
		(void)gate_submit(s->gc, accepted.rows, false, &ok);
	if (accepted.handed)
		give_up(s);
}

/* Keep the row of an accepted recipient until DATA, when the message has a
 * queue id and the rows may go to disk together; but not more than a batch. */
static void
keep_row(struct session *s, struct audit_row *row)
{
	struct accepted *a = &s->accepted;

	if (row == NULL)
		return;
	assert(a->n_rows < gate_batch());
	a->rows = audit_row_chain(a->rows, row);
	if (++a->n_rows < gate_batch())
		return;
	row = a->rows;
	a->rows = NULL;
	a->n_rows = 0;
	/* Postfix has one from its second recipient on */
	if (s->queue_id[0] != '\0')
		audit_row_queue_id(row, s->queue_id);
	a->handed = true;
	gate_hand_over(s->gc, row, a->relayed, &a->receipt);
}

static void
end_message(struct session *s)
{
	flush_accepted(s);
	gate_settle(s->gc, &s->message, false);
	free(s->sender);
	s->sender = NULL;
	free(s->certificate);
	s->certificate = NULL;
	s->auth_type[0] = s->auth_user[0] = s->queue_id[0] = '\0';
	free(s->memo);
	s->memo = NULL;
	s->message = (struct limiter_message){ .counted = false };
}

static void
say_over_limit(void)
{
	atomic_fetch_add(&over_limit, 1);
	if (log_due(&said_ms, SAY_EVERY_MS))
		log_msg(LOG_WARNING,
		    "%u sessions are open, and %u may be: temporary failure for more: raise milter.max_sessions or LimitNOFILE=",
		    callbacks_sessions(), atomic_load(&sessions_max));
}

static struct session *
session_new(SMFICTX *ctx)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL || smfi_setpriv(ctx, s) != MI_SUCCESS) {
		free(s);
		return NULL;
	}
	s->gc = gate_config_take();
	s->over_limit =
	    atomic_fetch_add(&sessions, 1) >= atomic_load(&sessions_max);
	(void)snprintf(s->id, sizeof(s->id), "%" PRIx64 "-%" PRIx64,
	    (uint64_t)clock_now(),
	    (uint64_t)atomic_fetch_add(&session_number, 1));
	if (s->over_limit)
		say_over_limit();
	return s;
}

static void
ask_for_macros(SMFICTX *ctx, bool certificates)
{
	for (size_t i = 0; i < sizeof(macro_lists) / sizeof(*macro_lists);
	     i++) {
		int stage = macro_lists[i].stage;
		const char *macros = certificates && stage == SMFIM_ENVFROM
		    ? certificate_macros
		    : macro_lists[i].macros;

		if (smfi_setsymlist(ctx, stage, (char *)(uintptr_t)macros) !=
		    MI_SUCCESS)
			log_msg(LOG_WARNING,
			    "macro list of stage %d was refused by libmilter: SMTP AUTH and certificates may not be seen",
			    stage);
	}
}

static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps,
    unsigned long f2, unsigned long f3, unsigned long *actions_r,
    unsigned long *steps_r, unsigned long *f2_r, unsigned long *f3_r)
{
	/* The same in every session: libmilter's state table is global. */
	const unsigned long wanted = SMFIP_NOHDRS | SMFIP_NOEOH | SMFIP_NOBODY |
	    SMFIP_NOUNKNOWN | SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_MAIL;
	struct session *s = atomic_load(&draining) ? NULL : session_new(ctx);

	(void)f2;
	(void)f3;
	*f2_r = *f3_r = 0;
	*actions_r = actions & SMFIF_SETSYMLIST;
	*steps_r = steps & wanted;
	/* libmilter hangs up, and the MTA does what it does without us */
	if (s == NULL)
		return SMFIS_REJECT;
	/* refusing the connection needs a reply to CONNECT */
	if (s->over_limit)
		*steps_r &= ~(unsigned long)SMFIP_NR_CONN;
	s->steps = *steps_r;
	s->lists = *actions_r != 0;
	if (s->lists)
		ask_for_macros(ctx, s->gc->cfg->relay.n_certificates > 0);
	else
		atomic_store(&own_lists, true);
	return SMFIS_CONTINUE;
}

/* libmilter obeys QUIT_NC ("another client follows") in few places, and drops
 * it elsewhere together with the CONNECT behind it, but it keeps the macros
 * that came with that. So the macros of the first client are marked: v, which
 * no later macro list has, is made empty. */
static void
take_mta(SMFICTX *ctx, struct session *s)
{
	char *v = smfi_getsymval(ctx, (char[]){ "v" });

	copy(s->mta, sizeof(s->mta), v);
	s->marked = s->mta[0] != '\0' && s->lists;
	if (s->marked)
		*v = '\0';
}

static void
look_for_another_client(SMFICTX *ctx, struct session *s)
{
	static atomic_int_fast64_t said_other_ms;
	const char *v = smfi_getsymval(ctx, (char[]){ "v" });

	if (s->other || !s->marked || v == NULL || *v == '\0')
		return;
	s->other = true;
	if (log_due(&said_other_ms, SAY_EVERY_MS))
		log_msg(LOG_ERR,
		    "session %s: the MTA went on with another client (QUIT_NC, CONNECT) where libmilter ignores that: "
		    "temporary failure for all its recipients",
		    s->id);
}

static sfsistat
on_connect(SMFICTX *ctx, char *hostname, _SOCK_ADDR *hostaddr)
{
	struct session *s = smfi_getpriv(ctx);

	if (s == NULL) {
		/* after QUIT_NC there is no negotiation */
		if ((s = session_new(ctx)) == NULL)
			return SMFIS_TEMPFAIL;
		s->lists = !atomic_load(&own_lists);
	}
	meter_asked(CHANNEL_MILTER);
	if (s->over_limit)
		return SMFIS_TEMPFAIL;
	(void)addr_from_sockaddr(hostaddr, &s->client);
	s->port = addr_port(hostaddr);
	copy(s->client_name, sizeof(s->client_name), hostname);
	take_mta(ctx, s);
	return s->steps & SMFIP_NR_CONN ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

static sfsistat
on_helo(SMFICTX *ctx, char *helo)
{
	struct session *s = smfi_getpriv(ctx);

	nudge_note(s);
	if (s == NULL)
		return SMFIS_TEMPFAIL;
	copy(s->helo, sizeof(s->helo), helo);
	return s->steps & SMFIP_NR_HELO ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

/* Take the MTA's word on the session's certificate, for this message. Only
 * Sendmail has {verify}; Postfix gives names of trusted chains only. */
static void
take_certificate(SMFICTX *ctx, struct session *s)
{
	const char *verify = smfi_getsymval(ctx, (char[]){ "{verify}" });
	const char *subject = smfi_getsymval(ctx, (char[]){ "{cert_subject}" });
	const char *issuer = smfi_getsymval(ctx, (char[]){ "{cert_issuer}" });
	const char *digest = smfi_getsymval(ctx, (char[]){ "{cert_fp}" });
	struct certificate *c = malloc(sizeof(*c));
	bool good = false;

	if (c != NULL && verify != NULL)
		good = certificate_from_sendmail(
		    c, verify, subject, issuer, digest);
	else if (c != NULL && strncmp(s->mta, "Postfix", 7) == 0)
		good = certificate_from_postfix(
		    c, false, subject, issuer, NULL, NULL);
	if (!good) {
		free(c);
		c = NULL;
	}
	s->certificate = c;
}

/* Did the permit channel just find the session's certificate on the list? */
static bool
is_vouched(const struct session *s, const char *rcpt)
{
	char recipient[400];
	size_t len = strnlen(rcpt, sizeof(recipient));

	if (s->gc->cfg->relay.n_certificates == 0 || len >= sizeof(recipient))
		return false;
	rcpt = address_inside(rcpt, &len);
	copy(recipient, len + 1, rcpt);
	const struct handoff_certificate h = { .client = s->client,
		.port = s->port,
		.sender = s->sender,
		.recipient = recipient };

	return handoff_certificate_take(&h, clock_monotonic_ms());
}

static sfsistat
on_envfrom(SMFICTX *ctx, char **argv)
{
	struct session *s = smfi_getpriv(ctx);

	nudge_note(s);
	if (s == NULL)
		return SMFIS_TEMPFAIL;
	/* here, and not only in abort, which may have been left out */
	end_message(s);
	s->messages++;
	name_message(s, s->message_id, sizeof(s->message_id));
	s->named = false;
	look_for_another_client(ctx, s);
	const char *arg = argv[0] == NULL ? "" : argv[0];
	size_t len = strnlen(arg, 2000);

	arg = address_inside(arg, &len);
	s->sender = strndup(arg, len);
	copy(s->auth_type, sizeof(s->auth_type),
	    smfi_getsymval(ctx, (char[]){ "{auth_type}" }));
	copy(s->auth_user, sizeof(s->auth_user),
	    smfi_getsymval(ctx, (char[]){ "{auth_authen}" }));
	copy(s->queue_id, sizeof(s->queue_id),
	    smfi_getsymval(ctx, (char[]){ "i" }));
	if (s->gc->cfg->relay.n_certificates > 0)
		take_certificate(ctx, s);
	return s->steps & SMFIP_NR_MAIL ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

static void
set_reply(SMFICTX *ctx, const char *code, const char *status, const char *text)
{
	char doubled[2 * REPLY_TEXT_MAX];

	reply_double_percent(text, doubled);
	if (smfi_setreply(ctx, (char *)(uintptr_t)code,
		(char *)(uintptr_t)status, doubled) != MI_SUCCESS)
		log_msg(LOG_WARNING,
		    "libmilter refused the reply, the client gets one of the MTA's: %s %s %s",
		    code, status, text);
}

static struct gate_request
request_of(
    SMFICTX *ctx, struct session *s, const char *rcpt, struct audit_pair *pair)
{
	return (struct gate_request){
		.q = {
		    .client = s->client,
		    .sender = s->sender,
		    .recipient = rcpt,
		    .mailer = smfi_getsymval(ctx, (char[]){ "{rcpt_mailer}" }),
		    .auth_type = s->auth_type,
		    .auth_user = s->auth_user,
		    .certificate = s->certificate,
		    .vouched = is_vouched(s, rcpt),
		},
		.client_name = s->client_name,
		.helo = s->helo,
		.session = s->message_id,
		.queue_id = s->queue_id,
		.pair = pair,
		.mta = s->mta,
		.memo = s->memo,
		.message = &s->message,
		.port = s->port,
		.channel = CHANNEL_MILTER,
	};
}

/* Accept a recipient, whose row (NULL: it has none) waits for DATA. A relay
 * without a row can't be made durable. In a message that has lost rows, one
 * more relay would make DATA fail for the others. */
static sfsistat
accept_recipient(SMFICTX *ctx, struct session *s, const char *rcpt, bool relay,
    struct audit_row *row)
{
	if (relay && (row == NULL || s->accepted.receipt.lost)) {
		audit_row_free(row);
		set_reply(ctx, "451", "4.3.0", s->gc->cfg->reply.unavailable);
		return SMFIS_TEMPFAIL;
	}
	s->accepted.relayed |= relay;
	if (relay)
		handoff_audited_add(&s->accepted.relays, rcpt);
	keep_row(s, row);
	return SMFIS_CONTINUE;
}

static sfsistat
on_envrcpt(SMFICTX *ctx, char **argv)
{
	struct session *s = smfi_getpriv(ctx);
	struct decide_answer answer;
	bool ok;

	nudge_note(s);
	if (s == NULL || argv[0] == NULL || s->over_limit || s->other)
		return SMFIS_TEMPFAIL;
	const char *queue_id = smfi_getsymval(ctx, (char[]){ "i" });

	if (queue_id != NULL && s->queue_id[0] == '\0')
		copy(s->queue_id, sizeof(s->queue_id), queue_id);
	struct audit_pair pair = { .number = 0 };

	if (s->memo == NULL)
		s->memo = calloc(1, sizeof(*s->memo));
	const struct gate_request req = request_of(ctx, s, argv[0], &pair);

	gate_decide(s->gc, &req, &answer);
	/* the request has a pointer to it */
	if (pair.session[0] != '\0' && !s->named)
		copy(s->message_id, sizeof(s->message_id), pair.session);
	s->named |= pair.session[0] != '\0';
	struct audit_row *row = gate_row(s->gc, &req, &answer);

	if (!answer.refuse)
		return accept_recipient(
		    ctx, s, argv[0], !answer.local && !answer.monitored, row);
	(void)gate_submit(s->gc, row, false, &ok);
	set_reply(ctx, answer.code, answer.status, answer.text);
	return answer.decision.verdict == VERDICT_REJECT ? SMFIS_REJECT
							 : SMFIS_TEMPFAIL;
}

/* No message is relayed before its decisions are on disk. */
static sfsistat
commit_message(SMFICTX *ctx, struct session *s)
{
	struct accepted a = take_accepted(s);

	if (a.rows == NULL && !a.relayed)
		return SMFIS_CONTINUE;
	const char *queue_id = smfi_getsymval(ctx, (char[]){ "i" });

	if (queue_id != NULL)
		audit_row_queue_id(a.rows, queue_id);
	/* the permit channel waited for all of them a moment ago */
	if (a.relayed && queue_id != NULL &&
	    handoff_audited_take(&a.relays, &s->client, queue_id)) {
		(void)gate_commit(s->gc, a.rows, false, &a.receipt);
		return SMFIS_CONTINUE;
	}
	if (gate_commit(s->gc, a.rows, a.relayed, &a.receipt))
		return SMFIS_CONTINUE;
	log_msg(LOG_ERR,
	    "session %s: rows of the audit were lost or late: the disk is full or slow, or audit.queue too small: temporary failure for a relayed message",
	    s->id);
	give_up(s);
	/* 421 makes the MTA hang up. After 451 the client might say DATA once
	 * more, which libmilter drops without an answer: the MTA takes that
	 * for a filter that is gone, and with default_action=accept relays. */
	set_reply(ctx, "421", "4.3.0", s->gc->cfg->reply.unavailable);
	return SMFIS_TEMPFAIL;
}

static sfsistat
on_data(SMFICTX *ctx)
{
	struct session *s = smfi_getpriv(ctx);

	nudge_note(s);
	if (s == NULL)
		return SMFIS_TEMPFAIL;
	sfsistat status = commit_message(ctx, s);

	gate_settle(s->gc, &s->message, status == SMFIS_CONTINUE);
	return status;
}

/* For an MTA that did not show us DATA. */
static sfsistat
on_eom(SMFICTX *ctx)
{
	return on_data(ctx);
}

/* May come at any time and more than once. */
static sfsistat
on_abort(SMFICTX *ctx)
{
	struct session *s = smfi_getpriv(ctx);

	if (s != NULL)
		end_message(s);
	return SMFIS_CONTINUE;
}

/* May be the first and only callback: a health probe, a port scan. */
static sfsistat
on_close(SMFICTX *ctx)
{
	struct session *s = smfi_getpriv(ctx);

	if (s == NULL)
		return SMFIS_CONTINUE;
	end_message(s);
	gate_config_give(s->gc);
	free(s);
	(void)smfi_setpriv(ctx, NULL);
	unsigned before = atomic_fetch_sub(&sessions, 1);

	assert(before > 0);
	(void)before;
	return SMFIS_CONTINUE;
}

const struct smfiDesc *
callbacks(void)
{
	static char name[] = "popgate";
	static const struct smfiDesc desc = {
		.xxfi_name = name,
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = SMFIF_SETSYMLIST,
		.xxfi_connect = on_connect,
		.xxfi_helo = on_helo,
		.xxfi_envfrom = on_envfrom,
		.xxfi_envrcpt = on_envrcpt,
		.xxfi_data = on_data,
		.xxfi_eom = on_eom,
		.xxfi_abort = on_abort,
		.xxfi_close = on_close,
		.xxfi_negotiate = on_negotiate,
	};

	return &desc;
}

void
callbacks_limit(unsigned max)
{
	assert(max > 0);
	atomic_store(&sessions_max, max);
}

void
callbacks_drain(void)
{
	atomic_store(&draining, true);
}

unsigned
callbacks_sessions(void)
{
	return atomic_load(&sessions);
}

uint64_t
callbacks_over_limit(void)
{
	return atomic_load(&over_limit);
}
