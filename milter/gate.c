#include "milter/gate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/own_addresses.h"
#include "common/db/store.h"
#include "common/policy/policy.h"
#include "milter/meter.h"
#include "milter/pool.h"
#include "milter/throttle.h"

/* How long a message may wait for the disk: below the shortest time-out that
 * our wiring gives an MTA (10 s). */
enum { COMMIT_WAIT_MS = 8000, STORE_SAY_MS = 10000 };

/* How old our knowledge of the collector's heartbeat may be: it beats every
 * second at most, and a grace is given in seconds. */
enum { BEAT_MS = 250 };

/* The same of which address families logins come by. */
enum { FAMILIES_MS = 2000 };

static struct {
	pthread_mutex_t mtx;
	/* guarded by mtx */
	struct gate_config *newest;
	int64_t store_said_ms; /* when we last spoke of a bad store */
	atomic_bool store_bad;
	int64_t beat_ms, read_at; /* the heartbeat, and when we looked */
	bool ipv4, ipv6; /* people log in so; when we looked: */
	int64_t families_ms;
	/* set before any thread is made */
	struct audit *audit;
	struct pool *pool;
	/* guarded by own_lock */
	pthread_rwlock_t own_lock;
	struct network_set own;
} gate = { .mtx = PTHREAD_MUTEX_INITIALIZER,
	.own_lock = PTHREAD_RWLOCK_INITIALIZER };

int
gate_config_load(const char *path, struct gate_config **gc_r, struct err *err)
{
	struct gate_config *gc = calloc(1, sizeof(*gc));

	*gc_r = NULL;
	if (gc == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	gc->read_ms = clock_now_ms();
	if (config_load(path, &gc->cfg, err) == -1 ||
	    facts_lists_load(gc->cfg, &gc->lists, err) == -1) {
		gate_config_free(gc);
		return -1;
	}
	gc->refs = 1;
	*gc_r = gc;
	return 0;
}

void
gate_config_free(struct gate_config *gc)
{
	if (gc == NULL)
		return;
	facts_lists_release(&gc->lists);
	if (gc->cfg_of != NULL)
		gate_config_give(gc->cfg_of);
	else
		config_free(gc->cfg);
	free(gc);
}

int
gate_config_renew(struct gate_config **gc_r, struct err *err)
{
	struct gate_config *gc = calloc(1, sizeof(*gc));

	*gc_r = NULL;
	if (gc == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	(void)pthread_mutex_lock(&gate.mtx);
	gc->cfg_of =
	    gate.newest->cfg_of != NULL ? gate.newest->cfg_of : gate.newest;
	gc->cfg_of->refs++;
	(void)pthread_mutex_unlock(&gate.mtx);
	gc->cfg = gc->cfg_of->cfg;
	gc->refs = 1;
	gc->read_ms = clock_now_ms();
	if (facts_lists_load(gc->cfg, &gc->lists, err) == 0) {
		*gc_r = gc;
		return 0;
	}
	gate_config_free(gc);
	return -1;
}

struct gate_config *
gate_config_take(void)
{
	(void)pthread_mutex_lock(&gate.mtx);
	struct gate_config *gc = gate.newest;

	gc->refs++;
	(void)pthread_mutex_unlock(&gate.mtx);
	return gc;
}

void
gate_config_give(struct gate_config *gc)
{
	(void)pthread_mutex_lock(&gate.mtx);
	bool last = --gc->refs == 0;

	(void)pthread_mutex_unlock(&gate.mtx);
	if (last)
		gate_config_free(gc);
}

void
gate_config_swap(struct gate_config *gc)
{
	(void)pthread_mutex_lock(&gate.mtx);
	struct gate_config *old = gate.newest;

	gate.newest = gc;
	(void)pthread_mutex_unlock(&gate.mtx);
	gate_config_give(old);
}

static void
log_decision(const char *line, size_t len)
{
	log_line(LOG_INFO, line, len);
}

static void
log_audit_state(bool good, const char *text)
{
	log_msg(good ? LOG_NOTICE : LOG_ERR, "%s", text);
}

int
gate_start(struct gate_config *gc, void (*committed)(void *arg), void *arg,
    struct err *err)
{
	const struct audit_options opt = { .path = gc->cfg->audit.database,
		.queue = gc->cfg->audit.queue,
		.keep_s = gc->cfg->audit.keep_s,
		.max_size = gc->cfg->audit.max_size,
		.log_line = log_decision,
		.log_flush = log_flush,
		.log_state = log_audit_state,
		.committed = committed,
		.committed_arg = arg,
		.lifted = throttle_lifted };

	gate.pool = pool_new(gc->cfg->logins.database);
	if (gate.pool == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	gate.newest = gc;
	gate_refresh_own();
	if (throttle_new(gc->cfg, err) == -1 ||
	    audit_start(&opt, &gate.audit, err) == -1)
		return -1;
	return throttle_start(gc->cfg, gate.audit, opt.path, err);
}

void
gate_stop(void)
{
	/* Threads of libmilter may still be in a callback: nothing that they
	 * might touch is freed, the process ends after this. */
	audit_drain(gate.audit);
}

void
gate_refresh_own(void)
{
	struct network_set own = { 0 };
	struct err err;

	if (own_addresses(&own, &err) == -1) {
		log_msg(LOG_WARNING, "%s", err.text);
		return;
	}
	(void)pthread_rwlock_wrlock(&gate.own_lock);
	struct network_set old = gate.own;

	gate.own = own;
	(void)pthread_rwlock_unlock(&gate.own_lock);
	network_set_release(&old);
}

/* Say once in a while that the table can't be read, and once that it can. */
static void
say_store(bool good, const char *text)
{
	int64_t now_ms = clock_monotonic_ms();
	bool say;

	if (good &&
	    !atomic_load_explicit(&gate.store_bad, memory_order_relaxed))
		return;
	(void)pthread_mutex_lock(&gate.mtx);
	say = good
	    ? gate.store_bad
	    : !gate.store_bad || now_ms - gate.store_said_ms > STORE_SAY_MS;
	gate.store_bad = !good;
	if (say)
		gate.store_said_ms = now_ms;
	(void)pthread_mutex_unlock(&gate.mtx);
	if (say && good)
		log_msg(LOG_NOTICE, "the login table can be read again");
	else if (say)
		log_msg(LOG_ERR, "%s; relays get a temporary failure", text);
}

/* When every source was last read to its end. 0, or -1 with err. */
static int
heartbeat(struct store *st, int64_t *read_at_r, struct err *err)
{
	int64_t now_ms = clock_monotonic_ms(), read_at;

	(void)pthread_mutex_lock(&gate.mtx);
	bool fresh = gate.beat_ms != 0 && now_ms - gate.beat_ms < BEAT_MS;

	*read_at_r = gate.read_at;
	(void)pthread_mutex_unlock(&gate.mtx);
	if (fresh)
		return 0;
	if (store_sources_read_at(st, &read_at, err) == -1)
		return -1;
	(void)pthread_mutex_lock(&gate.mtx);
	gate.read_at = *read_at_r = read_at;
	gate.beat_ms = now_ms;
	(void)pthread_mutex_unlock(&gate.mtx);
	return 0;
}

/* A hint for a reply, so of no matter when it can't be had. */
static bool
other_family(struct store *st, const struct config *cfg,
    const struct addr *client, int64_t now)
{
	int64_t now_ms = clock_monotonic_ms();
	bool ipv4, ipv6;

	(void)pthread_mutex_lock(&gate.mtx);
	bool fresh =
	    gate.families_ms != 0 && now_ms - gate.families_ms < FAMILIES_MS;

	ipv4 = gate.ipv4;
	ipv6 = gate.ipv6;
	(void)pthread_mutex_unlock(&gate.mtx);
	if (!fresh) {
		if (store_families(st, now - cfg->logins.window_s, &ipv4, &ipv6,
			NULL) == -1)
			return false;
		(void)pthread_mutex_lock(&gate.mtx);
		gate.ipv4 = ipv4;
		gate.ipv6 = ipv6;
		gate.families_ms = now_ms;
		(void)pthread_mutex_unlock(&gate.mtx);
	}
	return facts_other_family(client, ipv4, ipv6);
}

/* Only a client without an active login is asked about. */
static int
collector_state(struct store *st, const struct config *cfg, int64_t now,
    enum policy_collector *state, struct err *err)
{
	int64_t read_at = 0;

	if (cfg->relay.collector_grace_s != 0 &&
	    heartbeat(st, &read_at, err) == -1)
		return -1;
	*state = facts_collector(cfg, read_at, now);
	return 0;
}

/* Is the answer of a moment ago the one that would be given now? */
static bool
recall(const struct gate_memo *memo, const struct pool_loan *loan, int64_t now)
{
	struct store_version version;

	return memo->known && memo->now == now &&
	    memo->generation == loan->generation &&
	    store_version(loan->st, &version) &&
	    memcmp(&version, &memo->version, sizeof(version)) == 0;
}

static int
look_up(const struct config *cfg, const struct gate_request *req,
    const struct pool_loan *loan, int64_t now, struct gate_memo *memo,
    struct err *err)
{
	/* taken before the table is read: what is committed meanwhile may be
	 * in the answer, but can't be missing from a remembered one */
	memo->known = store_version(loan->st, &memo->version);
	memo->generation = loan->generation;
	memo->now = now;
	if (store_lookup(loan->st, &req->q.client, facts_denied_user(&req->q),
		(uint8_t)cfg->relay.ipv6_prefix, now, &memo->found, err) == 0)
		return 0;
	memo->known = false;
	return -1;
}

static void
ask_store(const struct gate_config *gc, const struct gate_request *req,
    int64_t now, struct policy_facts *facts, struct gate_answer *answer,
    bool *hint)
{
	const struct config *cfg = gc->cfg;
	struct gate_memo none = { .known = false };
	struct gate_memo *memo = req->memo == NULL ? &none : req->memo;
	const struct store_lookup *found = &memo->found;
	struct pool_loan loan;
	struct err err;
	bool ok;

	facts->store = POLICY_STORE_UNAVAILABLE;
	if (pool_take(gate.pool, &loan, &err) == -1) {
		say_store(false, err.text);
		return;
	}
	ok = recall(memo, &loan, now) ||
	    look_up(cfg, req, &loan, now, memo, &err) == 0;
	if (ok && !found->active)
		ok = collector_state(
			 loan.st, cfg, now, &facts->collector, &err) == 0;
	if (ok)
		ok = facts_found(loan.st, cfg, &gc->lists, &req->q, found, now,
			 facts, &err) == 0;
	if (ok && !facts->login_seen)
		*hint = other_family(loan.st, cfg, &req->q.client, now);
	pool_give(gate.pool, &loan, ok);
	say_store(ok, err.text);
	if (!ok)
		return;
	/* of an expired login its user; of several that count, all of them */
	if (found->active)
		(void)snprintf(answer->login_users, sizeof(answer->login_users),
		    "%s", found->login_users);
	else
		(void)userlist_add(answer->login_users, found->user);
}

/* Row 9 for one that may relay otherwise: the last that is asked, since it
 * counts. */
static void
count(const struct config *cfg, const struct gate_request *req,
    struct policy_facts *facts, struct gate_answer *answer)
{
	const struct throttle_recipient r = { .q = &req->q,
		.reason = answer->decision.reason,
		.login_users = answer->login_users,
		.channel = req->channel,
		.port = req->port,
		.at_ms = answer->at_ms,
		.monitored = answer->monitored,
		.message = req->message };

	facts->within_limits = throttle_take(cfg, &r);
	answer->decision = policy_decide(facts);
}

/* Several users are named only where it was theirs to relay, or to be refused
 * for having relayed: else it would be a guess. */
static void
drop_bystanders(struct gate_answer *answer)
{
	switch (answer->decision.reason) {
	case REASON_RECENT_LOGIN:
	case REASON_RATE_LIMITED:
	case REASON_DENIED:
	case REASON_AUDIT_UNAVAILABLE:
		return;
	default:
		if (userlist_count(answer->login_users) > 1)
			answer->login_users[0] = '\0';
	}
}

void
gate_decide(const struct gate_config *gc, const struct gate_request *req,
    struct gate_answer *answer)
{
	const struct config *cfg = gc->cfg;
	int64_t began_ns = meter_begin();

	answer->at_ms = clock_now_ms();
	answer->login_users[0] = '\0';
	int64_t now = answer->at_ms / 1000;
	struct policy_facts facts;

	(void)pthread_rwlock_rdlock(&gate.own_lock);
	facts_ask(cfg, &gc->lists, &gate.own, &req->q, &facts);
	(void)pthread_rwlock_unlock(&gate.own_lock);
	answer->local = facts.recipient_local;
	answer->decision = policy_decide(&facts);
	if (answer->decision.verdict == VERDICT_ASK_STORE) {
		bool hint = false;

		ask_store(gc, req, now, &facts, answer, &hint);
		bool by_login = facts_rests_on_login(&facts);

		facts.denied = facts.denied ||
		    throttle_denied(&req->q.client,
			by_login ? NULL : facts_denied_user(&req->q), now) ||
		    (by_login &&
			throttle_denied_logins(answer->login_users, now));
		answer->decision = policy_decide(&facts);
		answer->decision.other_family = hint;
	}
	/* What can't be recorded isn't relayed; better said now than at DATA,
	 * where it would hold up our own recipients of the same message. */
	if (answer->decision.verdict == VERDICT_ACCEPT && !answer->local &&
	    cfg->audit.durable && !audit_healthy(gate.audit)) {
		answer->decision.verdict = VERDICT_TEMPFAIL;
		answer->decision.reason = REASON_AUDIT_UNAVAILABLE;
	}
	answer->monitored = facts_monitored(
	    cfg, audit_channel_name(req->channel), &req->q.client);
	if (answer->decision.verdict == VERDICT_ACCEPT && !answer->local)
		count(cfg, req, &facts, answer);
	drop_bystanders(answer);
	answer->refuse =
	    answer->decision.verdict != VERDICT_ACCEPT && !answer->monitored;
	reply_format(cfg, &answer->decision, &req->q.client, now, answer->code,
	    answer->status, answer->text);
	if (answer->monitored)
		answer->decision.verdict =
		    verdict_monitored(answer->decision.verdict);
	meter_decision(req->channel, &answer->decision, began_ns);
}

void
gate_settle(
    const struct gate_config *gc, struct limiter_message *message, bool sent)
{
	throttle_settle(gc->cfg, message, sent);
}

struct audit_row *
gate_row(const struct gate_config *gc, const struct gate_request *req,
    const struct gate_answer *answer)
{
	char client[ADDR_TEXT_MAX], reply[REPLY_TEXT_MAX + 16];

	if (answer->local && !gc->cfg->audit.record_all) {
		audit_count_local(
		    gate.audit, req->channel, answer->decision.reason);
		return NULL;
	}
	reply[0] = '\0';
	if (answer->refuse)
		(void)snprintf(reply, sizeof(reply), "%s %s %s", answer->code,
		    answer->status, answer->text);
	struct audit_facts facts = { .at_ms = answer->at_ms,
		.session = req->session,
		.queue_id = req->queue_id,
		.client = addr_format(&req->q.client, client),
		.client_name = req->client_name,
		.helo = req->helo,
		.sender = req->q.sender,
		.recipient = req->q.recipient,
		.auth_user = facts_denied_user(&req->q),
		.login_user = answer->login_users,
		.certificate = answer->decision.reason == REASON_CERTIFICATE &&
			req->q.certificate != NULL
		    ? certificate_name(req->q.certificate)
		    : NULL,
		.reply = reply,
		.mta = req->mta,
		.local = answer->local,
		.channel = req->channel,
		.decision = answer->decision };

	return audit_row_new(&facts);
}

uint64_t
gate_submit(const struct gate_config *gc, struct audit_row *rows, bool relayed,
    bool *ok_r)
{
	bool wait = relayed && gc->cfg->audit.durable;
	uint64_t ticket = audit_submit(gate.audit, rows, wait);

	/* no row for a relay: memory is short, or the queue full */
	*ok_r = ticket != 0 || !relayed;
	return wait ? ticket : 0;
}

size_t
gate_batch(void)
{
	return audit_batch(gate.audit);
}

void
gate_hand_over(const struct gate_config *gc, struct audit_row *rows,
    bool relayed, struct audit_receipt *receipt)
{
	int timeout_ms = relayed ? COMMIT_WAIT_MS : 0;

	if (rows == NULL)
		return;
	if (gc->cfg->audit.durable)
		audit_receipt_add(gate.audit, receipt, rows, timeout_ms);
	else if (audit_submit_wait(gate.audit, rows, false, timeout_ms) == 0)
		receipt->lost = true;
}

bool
gate_commit(const struct gate_config *gc, struct audit_row *rows, bool relayed,
    struct audit_receipt *receipt)
{
	int64_t until_ms = clock_monotonic_ms() + COMMIT_WAIT_MS;

	if (!relayed) {
		(void)audit_submit(gate.audit, rows, false);
		return true;
	}
	gate_hand_over(gc, rows, relayed, receipt);
	if (!gc->cfg->audit.durable)
		return !receipt->lost;
	int64_t left_ms = until_ms - clock_monotonic_ms();

	return audit_receipt_wait(
	    gate.audit, receipt, left_ms > 0 ? (int)left_ms : 0);
}

enum audit_state
gate_ticket_state(uint64_t ticket)
{
	return audit_state(gate.audit, ticket);
}

uint64_t
gate_submit_written(struct audit_row *rows)
{
	return audit_submit_written(gate.audit, rows);
}

uint64_t
gate_sync(void)
{
	return audit_sync(gate.audit);
}

enum audit_state
gate_ticket_range(uint64_t first, uint64_t last)
{
	return audit_state_range(gate.audit, first, last);
}

void
gate_audit_stats(struct audit_stats *stats)
{
	audit_stats(gate.audit, stats);
}

const struct histogram *
gate_audit_commits(void)
{
	return audit_commits(gate.audit);
}
