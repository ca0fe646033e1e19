/* SPDX-License-Identifier: ISC */
#include "milter/permit_answer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "milter/gate.h"
#include "milter/handoff_certificate.h"
#include "milter/permit_cache.h"

enum {
	SAY_EVERY_MS = 60000,
	/* Warn after so many in a row: a few are normal, since a message that
	 * was given up isn't asked about at DATA, and without a milter nobody
	 * says that it was. */
	UNASKED_SAY = 20
};

/* the thread's own */
static unsigned unasked; /* messages in a row, of all connections */
static atomic_int_fast64_t unasked_said_ms, doubt_said_ms;
static uint64_t requests;

void
permit_answer_start(void)
{
	permit_pending_init(gate_ticket_range);
}

void
permit_answer_stop(void)
{
	permit_pending_free();
	permit_cache_clear();
}

/* A connection begins with what the others did last: most are of smtpds that
 * take a message or two. */
void
permit_peer_begin(
    struct permit_peer *peer, enum protocol_kind kind, bool by_unix)
{
	*peer = (struct permit_peer){
		.kind = kind,
		.by_unix = by_unix,
		.unasked = unasked,
	};
}

/* The peer's message has ended: was DATA asked about, as was promised? One that
 * was given up never is. */
static void
count_unasked(struct permit_peer *peer)
{
	const struct permit_pending *m = permit_pending_find(peer->instance);

	if (m == NULL || (!m->asked && permit_pending_given_up(peer->instance)))
		return;
	peer->unasked = m->asked ? 0 : peer->unasked + 1;
	unasked = m->asked ? 0 : unasked + 1;
	unsigned n = peer->unasked > unasked ? peer->unasked : unasked;

	if (n >= UNASKED_SAY && log_due(&unasked_said_ms, SAY_EVERY_MS))
		log_msg(LOG_WARNING,
		    "permit channel: Postfix didn't ask at DATA about the last %u messages, as policy_context promises: until it does, each recipient waits for the disk. smtpd_data_restrictions needs the check_policy_service that 'popgatectl wiring postfix' prints, also where master.cf overrides it",
		    n);
}

void
permit_peer_end(struct permit_peer *peer)
{
	count_unasked(peer);
}

/* The certificate that the session proved, in c; NULL: none. */
static const struct certificate *
certificate(const struct protocol_request *req, struct certificate *c)
{
	bool good = req->kind == PROTOCOL_POLICY
	    ? certificate_from_postfix(c, true, req->cert_subject,
		  req->cert_issuer, req->cert_digest, req->cert_key)
	    : certificate_from_sendmail(c, req->verify, req->cert_subject,
		  req->cert_issuer, req->cert_digest);

	return good ? c : NULL;
}

/* The client's; 0: not known. */
static uint16_t
port_of(const struct protocol_request *req)
{
	char *end;
	unsigned long port = strtoul(req->client_port, &end, 10);

	return *end == '\0' && port <= UINT16_MAX ? (uint16_t)port : 0;
}

/* Tell the milter of a certificate, which Postfix doesn't show to its milters.
 * Only what came by a Unix socket: on an inet socket any local user may claim
 * that a connection of its own showed one. */
static void
hand_over(const struct permit_peer *peer, const struct protocol_request *req,
    const struct addr *client)
{
	const struct handoff_certificate h = { .client = *client,
		.sender = req->sender,
		.recipient = req->recipient,
		.port = port_of(req) };

	if (req->kind == PROTOCOL_POLICY && req->has_sender && peer->by_unix)
		handoff_certificate_give(&h, clock_monotonic_ms());
}

/* A message that this connection hasn't seen: nothing of it was relayed, unless
 * the MTA says so. */
static struct limiter_message
message_so_far(const struct protocol_request *req)
{
	char *end;
	unsigned long n = strtoul(req->permitted, &end, 10);

	if (*end != '\0' || n > UINT32_MAX)
		n = 0;
	return (struct limiter_message){ .counted = n > 0,
		.recipients = (uint32_t)n };
}

/* The count of recipients that the message which the MTA names has relayed so
 * far. NULL where the protocol doesn't name messages. */
static struct limiter_message *
message_of(struct permit_peer *peer, const struct protocol_request *req)
{
	if (req->kind != PROTOCOL_POLICY || *req->session == '\0')
		return NULL;
	if (strlen(req->session) >= sizeof(peer->instance) ||
	    strcmp(req->session, peer->instance) != 0) {
		count_unasked(peer);
		(void)snprintf(
		    peer->instance, sizeof(peer->instance), "%s", req->session);
		peer->message = message_so_far(req);
	}
	return &peer->message;
}

/* NULL: what the table says is not to be remembered. */
static struct gate_memo *
memo_of(struct permit_peer *peer, const struct facts_question *q)
{
	const char *asked = facts_denied_user(q);
	const char *user = asked == NULL ? "" : asked;
	size_t len = strlen(user);

	if (addr_equal(&peer->memo_client, &q->client) &&
	    strcmp(peer->memo_user, user) == 0)
		return &peer->memo;
	if (len >= sizeof(peer->memo_user))
		return NULL;
	peer->memo.known = false;
	peer->memo_client = q->client;
	memcpy(peer->memo_user, user, len + 1);
	return &peer->memo;
}

/* The reply may be held from now on: write what is said if the rows are lost.
 */
static void
prepare_failure(struct permit_reply *reply, const struct protocol_request *req,
    const struct gate_config *gc)
{
	reply->failed_len = protocol_reply(req, ANSWER_REFUSE, "451", "4.3.0",
	    gc->cfg->reply.unavailable, reply->failed);
	assert(reply->failed_len <= sizeof(reply->failed));
	reply->held_ms = clock_monotonic_ms();
}

static void
say_failure(struct permit_reply *reply)
{
	assert(reply->failed_len > 0);
	memcpy(reply->text, reply->failed, reply->failed_len);
	reply->len = reply->failed_len;
}

/* Submit the row of a recipient; sets reply->ticket when the reply waits for
 * it. A message that is asked about again at DATA waits there for the disk,
 * once for all its recipients; until then its rows need only outlive us.
 * Returns whether a relay may go on. */
static bool
submit(const struct permit_peer *peer, const struct protocol_request *req,
    const struct gate_config *gc, struct audit_row *row, bool permit_it,
    struct permit_reply *reply)
{
	struct permit_pending *m =
	    permit_it && gc->cfg->audit.durable && req->asked_at_data
	    ? permit_pending_get(req->session, clock_monotonic_ms())
	    : NULL;
	bool ok = true;

	reply->until_written = m != NULL && peer->unasked == 0;
	if (reply->until_written) {
		reply->ticket = gate_submit_written(row);
		ok = reply->ticket != 0;
	} else {
		reply->ticket = gate_submit(gc, row, permit_it, &ok);
	}
	if (m != NULL && reply->ticket != 0)
		permit_pending_add(m, reply->ticket, req->recipient);
	return ok;
}

/* No rows of this message are known. May there have been some, in a database
 * file that is lost? */
static bool
may_be_lost(const struct protocol_request *req)
{
	int64_t began_ms = permit_pending_began_ms(req->session);

	if (permit_pending_would_know(began_ms) ||
	    began_ms >= gate_whole_since())
		return false;
	if (log_due(&doubt_said_ms, SAY_EVERY_MS))
		log_msg(LOG_WARNING,
		    "permit channel: message %s began before audit.database was lost and popgate-milter started: temporary failure for it, since decisions on it may be lost",
		    req->session);
	return true;
}

/* DATA: the reply waits until what was permitted of the message is on disk,
 * and the file that it is in still has its name. Nothing to wait for when
 * nothing was permitted, or by a process before this one, whose rows were
 * brought to the disk when this one opened the file. */
static void
answer_data(const struct protocol_request *req, struct permit_reply *reply)
{
	struct permit_pending *m = permit_pending_find(req->session);
	bool lost = m == NULL && may_be_lost(req);

	reply->len = protocol_reply(req, ANSWER_NONE, "", "", "", reply->text);
	if (m != NULL)
		m->asked = true;
	if (!lost && (m == NULL || m->last == 0))
		return;
	struct gate_config *gc = gate_config_take();

	prepare_failure(reply, req, gc);
	gate_config_give(gc);
	if (lost) {
		say_failure(reply);
		return;
	}
	assert(m->first > 0 && m->first <= m->last);
	reply->ticket = gate_sync();
	reply->first = m->first;
	reply->last = m->last;
	reply->recipients = m->recipients;
	(void)addr_parse_loose(req->client, &reply->client);
	(void)snprintf(
	    reply->queue_id, sizeof(reply->queue_id), "%s", req->queue_id);
	(void)snprintf(
	    reply->instance, sizeof(reply->instance), "%s", req->session);
	reply->until_written = false;
	/* stopping: nothing more is written */
	if (reply->ticket == 0 &&
	    gate_ticket_range(m->first, m->last) != AUDIT_DURABLE)
		say_failure(reply);
}

static const char *
mta_of(const struct protocol_request *req)
{
	if (req->kind == PROTOCOL_SOCKETMAP &&
	    req->map == PROTOCOL_MAP_SENDMAIL)
		return "Sendmail";
	return *req->mta == '\0' ? "Postfix" : req->mta;
}

static struct gate_request
gate_request_of(const struct protocol_request *req,
    const struct certificate *shown, const char *session)
{
	struct gate_request ask = {
		.q = {
		    .sender = req->has_sender ? req->sender : NULL,
		    .recipient = req->recipient,
		    .auth_type = req->auth_type,
		    .auth_user = req->auth_user,
		    .certificate = shown,
		},
		.client_name = req->client_name,
		.helo = req->helo,
		.queue_id = req->queue_id,
		.session = *req->session == '\0' ? session : req->session,
		.mta = mta_of(req),
		.port = port_of(req),
		.channel = req->kind == PROTOCOL_POLICY ? CHANNEL_POLICY
							: CHANNEL_SOCKETMAP,
	};

	(void)addr_parse_loose(req->client, &ask.q.client);
	return ask;
}

/* Does a client that may relay pass the list that asks? An admin's own lists
 * may treat clients with SMTP AUTH or from a trusted network otherwise. So AUTH
 * passes only where relaying itself is decided, and a trusted network there and
 * in the recipient list. */
static bool
passes(enum protocol_list list, enum reason reason)
{
	if (list == LIST_UNKNOWN || list == LIST_RELAY)
		return true;
	switch (reason_basis(reason)) {
	case BASIS_AUTH:
		return false;
	case BASIS_NETWORK:
		return list == LIST_RECIPIENT;
	case BASIS_NOTHING:
	case BASIS_NO_LOGIN:
	case BASIS_HELD_BACK:
	case BASIS_RECIPIENT:
	case BASIS_CERTIFICATE:
	case BASIS_LOGIN:
		break;
	}
	return true;
}

static enum protocol_answer
opinion(enum protocol_list list, const struct permit_cache_answer *a)
{
	return a->known && passes(list, a->reason) ? ANSWER_PERMIT
						   : ANSWER_NONE;
}

/* gate_knows(), of which only the reason matters. */
static bool
knows(const struct gate_config *gc, const struct gate_request *ask,
    enum reason *reason_r)
{
	struct decision d;
	bool known = gate_knows(gc, ask, &d);

	*reason_r = d.reason;
	return known;
}

/* Learn about the client from a decision that refuses nothing. A recipient of
 * our own gets no opinion: the MTA knows itself, and better, whether to deliver
 * here. But where a list asks that may refuse others than those who relay, a
 * client that may relay passes to our own recipients as well. */
static struct permit_cache_answer
learn(const struct gate_config *gc, const struct gate_request *ask,
    const struct protocol_request *req, const struct decide_answer *a)
{
	struct permit_cache_answer answer = { .known = !a->local &&
		    a->decision.verdict == VERDICT_ACCEPT,
		.reason = a->decision.reason };

	if (a->local && req->list != LIST_UNKNOWN)
		answer.known = knows(gc, ask, &answer.reason);
	return answer;
}

/* Ask the gate about one recipient. */
static void
answer_recipient(struct permit_peer *peer, const struct protocol_request *req,
    struct permit_reply *reply)
{
	struct gate_config *gc = gate_config_take();
	struct certificate shown;
	struct decide_answer a;
	char session[48];

	(void)snprintf(session, sizeof(session), "%s%" PRIx64,
	    *req->session == '\0' ? "permit-" : "", ++requests);
	struct gate_request ask =
	    gate_request_of(req, certificate(req, &shown), session);
	struct audit_pair pair = { .number = 0 };

	ask.message = message_of(peer, req);
	ask.memo = memo_of(peer, &ask.q);
	ask.pair = &pair;
	if (req->kind == PROTOCOL_POLICY)
		(void)snprintf(
		    pair.session, sizeof(pair.session), "%s", req->session);
	gate_decide(gc, &ask, &a);
	bool permit_it = a.decision.verdict == VERDICT_ACCEPT && !a.local;
	/* The recipient may be ours: the closed MTA knows, and refuses after us
	 * if it isn't. The milter has no such MTA after it. */
	bool leave_it = a.facts.recipient_unknown && !permit_it;
	struct audit_row *row = leave_it ? NULL : gate_row(gc, &ask, &a);
	bool ok = row != NULL || !permit_it;

	if (permit_it && reason_basis(a.decision.reason) == BASIS_CERTIFICATE)
		hand_over(peer, req, &ask.q.client);
	if (row != NULL)
		ok = submit(peer, req, gc, row, permit_it, reply);
	reply->number = pair.number;
	if (permit_it)
		prepare_failure(reply, req, gc);
	bool refuse = (a.refuse && !leave_it) || !ok;
	/* nothing is permitted without its row */
	assert(refuse || !permit_it || row != NULL);
	struct permit_cache_answer answer = { .known = false };

	if (!refuse && !leave_it)
		gate_pass(&ask, &a);
	if (!refuse && !leave_it)
		answer = learn(gc, &ask, req, &a);
	permit_cache_add(req, clock_monotonic_ms(), refuse ? NULL : &answer);
	reply->len = protocol_reply(req,
	    refuse ? ANSWER_REFUSE : opinion(req->list, &answer),
	    ok ? a.code : "451", ok ? a.status : "4.3.0",
	    ok ? a.text : gc->cfg->reply.unavailable, reply->text);
	if (!ok)
		reply->ticket = 0;
	gate_config_give(gc);
}

/* Where smtpd_delay_reject is off, lists are asked before there is a recipient:
 * a client that may relay passes, and of others nothing is known yet. The same
 * where another list asks about the recipient later. */
static void
answer_client(const struct protocol_request *req, struct permit_reply *reply)
{
	struct gate_config *gc = gate_config_take();
	struct certificate shown;
	struct gate_request ask =
	    gate_request_of(req, certificate(req, &shown), "");

	struct permit_cache_answer answer;

	if (strcmp(req->state, "MAIL") != 0 && strcmp(req->state, "RCPT") != 0)
		ask.q.sender = NULL;
	answer.known = knows(gc, &ask, &answer.reason);
	reply->len = protocol_reply(
	    req, opinion(req->list, &answer), "", "", "", reply->text);
	gate_config_give(gc);
}

/* BDAT is called DATA, too. */
static bool
at_data(const struct protocol_request *req)
{
	return req->kind == PROTOCOL_POLICY && strcmp(req->state, "DATA") == 0;
}

/* A policy request at another stage than RCPT has no recipient; and Postfix
 * looks a client up in a map by name before it does by address. */
static bool
nothing_to_decide(const struct protocol_request *req)
{
	struct addr addr;

	if (req->kind == PROTOCOL_POLICY)
		return strcmp(req->state, "RCPT") != 0 ||
		    *req->recipient == '\0';
	return req->map == PROTOCOL_MAP_CLIENT &&
	    !addr_parse_loose(req->client, &addr);
}

/* Is it asked about a client of which no recipient is known yet, or need be? */
static bool
before_recipient(const struct protocol_request *req)
{
	static const char *const states[] = { "CONNECT", "HELO", "EHLO",
		"MAIL" };

	if (req->kind == PROTOCOL_POLICY && req->asked_later &&
	    req->list != LIST_UNKNOWN && strcmp(req->state, "RCPT") == 0)
		return true;
	for (unsigned i = 0; i < sizeof(states) / sizeof(*states); i++)
		if (strcmp(req->state, states[i]) == 0)
			return req->kind == PROTOCOL_POLICY &&
			    req->list != LIST_UNKNOWN;
	return req->kind == PROTOCOL_SOCKETMAP &&
	    req->map == PROTOCOL_MAP_KNOWN;
}

/* Is this the first of two questions of a list, about a client that may not
 * relay? Then the list's checks between the two come next. A client that
 * popgate can't judge for now is deferred at once, before one of them refuses
 * it for good. */
static bool
leaves_it(struct permit_peer *peer, const struct protocol_request *req)
{
	struct certificate shown;

	if (!req->asked_again)
		return false;
	struct gate_config *gc = gate_config_take();
	struct gate_request ask =
	    gate_request_of(req, certificate(req, &shown), "");
	struct decision d;

	ask.memo = memo_of(peer, &ask.q);
	bool known = gate_knows(gc, &ask, &d);

	gate_config_give(gc);
	return !(known && passes(req->list, d.reason)) &&
	    d.verdict != VERDICT_TEMPFAIL;
}

bool
permit_can_answer(const struct protocol_request *req)
{
	const struct facts_question q = { .recipient = req->recipient };

	if (at_data(req) || before_recipient(req) || nothing_to_decide(req))
		return true;
	struct gate_config *gc = gate_config_take();
	bool ready = facts_ready(gc->cfg, &gc->lists, &q);

	gate_config_give(gc);
	return ready;
}

void
permit_answer(struct permit_peer *peer, const struct protocol_request *req,
    struct permit_reply *reply)
{
	struct permit_cache_answer answer = { .known = false };

	assert(reply->ticket == 0); /* else a held reply would be lost */
	reply->last = 0;
	if (at_data(req))
		answer_data(req, reply);
	else if (before_recipient(req))
		answer_client(req, reply);
	else if (nothing_to_decide(req) || leaves_it(peer, req) ||
	    permit_cache_find(req, clock_monotonic_ms(), &answer))
		reply->len = protocol_reply(
		    req, opinion(req->list, &answer), "", "", "", reply->text);
	else
		answer_recipient(peer, req, reply);
	assert(reply->len <= sizeof(reply->text));
}

/* The rows weren't there in time, or are lost: what comes of them later is no
 * relay. */
static void
fail(struct permit_reply *reply)
{
	say_failure(reply);
	if (reply->last != 0)
		gate_give_up(&reply->client, reply->instance);
	else
		gate_put_off(reply->number);
}

bool
permit_answer_ready(struct permit_reply *reply)
{
	assert(reply->ticket != 0);
	enum audit_state state = gate_ticket_state(reply->ticket);
	bool kept = state == AUDIT_DURABLE ||
	    (state == AUDIT_WRITTEN && reply->until_written);
	bool settled = kept || state == AUDIT_LOST;

	if (!settled &&
	    clock_monotonic_ms() - reply->held_ms < PERMIT_HELD_MAX_MS)
		return false;
	if (settled && reply->last != 0) {
		kept = gate_ticket_range(reply->first, reply->last) ==
		    AUDIT_DURABLE;
		if (kept)
			handoff_audited_give(&reply->recipients, &reply->client,
			    reply->queue_id);
	}
	if (!kept)
		fail(reply);
	reply->ticket = 0;
	return true;
}
