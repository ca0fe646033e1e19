/* SPDX-License-Identifier: ISC */
#include "milter/gate.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <syslog.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/guarded.h"
#include "common/base/log.h"
#include "common/base/own_addresses.h"
#include "common/db/store.h"
#include "milter/meter.h"
#include "milter/pool.h"
#include "milter/throttle.h"

/* How long a message may wait for the disk: below the shortest time-out that
 * our wiring gives an MTA (10 s). */
enum { COMMIT_WAIT_MS = 8000, STORE_SAY_MS = 10000 };

/* How old our knowledge of the collector's heartbeat may be: it beats every
 * second at most, and a grace is given in seconds. */
enum { BEAT_MS = 250 };

/* How long the answer to "do users log in over IPv4, over IPv6?" may be
 * reused. */
enum { FAMILIES_MS = 2000 };

/* Recipients on their way from the permit channel to the milter: a millisecond
 * each, but for those that the MTA refuses itself. */
enum { PAIRS = 8192 };

static struct mutex mtx = MUTEX_INITIALIZER;
static struct mutex pairs_mtx = MUTEX_INITIALIZER;
static struct {
	/* when we last spoke of a bad store */
	int64_t store_said_ms GUARDED_BY(mtx);
	atomic_bool store_bad;
	/* the heartbeat, and when we looked */
	int64_t beat_ms GUARDED_BY(mtx), read_at GUARDED_BY(mtx);
	/* people log in so; when we looked */
	bool ipv4 GUARDED_BY(mtx), ipv6 GUARDED_BY(mtx);
	int64_t families_ms GUARDED_BY(mtx);
	/* set before any thread is made */
	struct audit *audit;
	struct pool *pool;
	struct audit_pairs *pairs GUARDED_BY(pairs_mtx);
	atomic_uint_fast64_t numbers; /* of the permit channel's rows */
	/* guarded by own_lock */
	pthread_rwlock_t own_lock;
	struct network_set own;
} gate = { .own_lock = PTHREAD_RWLOCK_INITIALIZER };

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

	assert(gate.pool == NULL && gate.audit == NULL);
	gate.pool = pool_new(gc->cfg->logins.database);
	mutex_lock(&pairs_mtx);
	gate.pairs = audit_pairs_new(PAIRS);
	bool paired = gate.pairs != NULL;

	mutex_unlock(&pairs_mtx);
	if (gate.pool == NULL || !paired) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	gate_config_swap(gc);
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
		log_msg(LOG_WARNING,
		    "%s: this machine's addresses can't be read again, the old ones stay",
		    err.text);
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
	mutex_lock(&mtx);
	say = good
	    ? gate.store_bad
	    : !gate.store_bad || now_ms - gate.store_said_ms > STORE_SAY_MS;
	gate.store_bad = !good;
	if (say)
		gate.store_said_ms = now_ms;
	mutex_unlock(&mtx);
	if (say && good)
		log_msg(LOG_NOTICE, "the login table can be read again");
	else if (say)
		log_msg(LOG_ERR, "%s; relays get a temporary failure", text);
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

/* --- what decide() asks --- */

struct asked {
	const struct config *cfg;
	const struct gate_request *req;
	struct gate_memo *memo;
	int64_t at_ms, now; /* Unix time; now in seconds */
	struct pool_loan loan; /* st is NULL: nothing is lent */
};

static int
ask_look_up(void *arg, const struct decide_answer *answer, struct store **st_r,
    const struct store_lookup **found_r, struct err *err)
{
	struct asked *a = arg;
	struct gate_memo *memo = a->memo;

	if (pool_take(gate.pool, &a->loan, err) == -1) {
		a->loan.st = NULL;
		return -1;
	}
	*st_r = a->loan.st;
	*found_r = &memo->found;
	if (recall(memo, &a->loan, a->now))
		return 0;
	/* taken before the table is read: what is committed meanwhile may be
	 * in the answer, but can't be missing from a remembered one */
	memo->known = store_version(a->loan.st, &memo->version);
	memo->generation = a->loan.generation;
	memo->now = a->now;
	if (store_lookup(a->loan.st, &a->req->q.client, answer->auth_user,
		(uint8_t)a->cfg->relay.ipv6_prefix, a->now, &memo->found,
		err) == 0)
		return 0;
	memo->known = false;
	return -1;
}

static int
ask_read_at(void *arg, struct store *st, int64_t *read_at_r, struct err *err)
{
	int64_t now_ms = clock_monotonic_ms(), read_at;

	(void)arg;
	mutex_lock(&mtx);
	bool fresh = gate.beat_ms != 0 && now_ms - gate.beat_ms < BEAT_MS;

	*read_at_r = gate.read_at;
	mutex_unlock(&mtx);
	if (fresh)
		return 0;
	if (store_sources_read_at(st, &read_at, err) == -1)
		return -1;
	mutex_lock(&mtx);
	gate.read_at = *read_at_r = read_at;
	gate.beat_ms = now_ms;
	mutex_unlock(&mtx);
	return 0;
}

static int
ask_families(void *arg, struct store *st, bool *ipv4_r, bool *ipv6_r)
{
	const struct asked *a = arg;
	int64_t now_ms = clock_monotonic_ms();

	mutex_lock(&mtx);
	bool fresh =
	    gate.families_ms != 0 && now_ms - gate.families_ms < FAMILIES_MS;

	*ipv4_r = gate.ipv4;
	*ipv6_r = gate.ipv6;
	mutex_unlock(&mtx);
	if (fresh)
		return 0;
	if (store_families(st, a->now - a->cfg->logins.window_s, ipv4_r, ipv6_r,
		NULL) == -1)
		return -1;
	mutex_lock(&mtx);
	gate.ipv4 = *ipv4_r;
	gate.ipv6 = *ipv6_r;
	gate.families_ms = now_ms;
	mutex_unlock(&mtx);
	return 0;
}

static void
table_done(void *arg, const struct err *err)
{
	struct asked *a = arg;

	if (a->loan.st != NULL)
		pool_give(gate.pool, &a->loan, err == NULL);
	say_store(err == NULL, err == NULL ? "" : err->text);
}

bool
gate_reads_logins(struct err *err)
{
	struct pool_loan loan;
	int64_t read_at;
	bool taken = pool_take(gate.pool, &loan, err) == 0;
	bool good = taken && store_sources_read_at(loan.st, &read_at, err) == 0;

	if (taken)
		pool_give(gate.pool, &loan, good);
	say_store(good, good ? "" : err->text);
	return good;
}

static bool
ask_breached(void *arg, const char *auth_user, char *login_users)
{
	const struct asked *a = arg;

	return throttle_denied(&a->req->q.client, auth_user, a->now) ||
	    (login_users != NULL &&
		throttle_denied_logins(login_users, a->now));
}

static bool
ask_recordable(void *arg)
{
	const struct asked *a = arg;

	return !a->cfg->audit.durable || audit_healthy(gate.audit);
}

static bool
ask_within_limits(void *arg, struct decide_answer *answer)
{
	const struct asked *a = arg;
	const struct throttle_recipient r = { .q = &a->req->q,
		.reason = answer->decision.reason,
		.login_users = answer->login_users,
		.channel = a->req->channel,
		.port = a->req->port,
		.at_ms = a->at_ms,
		.monitored = answer->monitored,
		.message = a->req->message };

	return throttle_take(a->cfg, &r);
}

static bool
always(void *arg)
{
	(void)arg;
	return true;
}

static bool
uncounted(void *arg, struct decide_answer *answer)
{
	(void)arg;
	(void)answer;
	return true;
}

static bool
ask_has_room(void *arg, struct decide_answer *answer)
{
	const struct asked *a = arg;
	const struct throttle_recipient r = { .q = &a->req->q,
		.reason = answer->decision.reason,
		.login_users = answer->login_users };

	return throttle_has_room(a->cfg, &r);
}

/* All questions but whether it can be recorded, and the limits, are asked
 * alike.
 */
#define OPS(recordable_, within_limits_)                               \
	{                                                              \
		.look_up = ask_look_up, .read_at = ask_read_at,        \
		.families = ask_families, .table_done = table_done,    \
		.breached = ask_breached, .recordable = (recordable_), \
		.within_limits = (within_limits_),                     \
	}

static const struct decide_ops ops = OPS(ask_recordable, ask_within_limits);
/* A question that no recipient hangs on is asked with these. */
static const struct decide_ops ops_of_knows = OPS(always, uncounted);
static const struct decide_ops ops_of_would = OPS(ask_recordable, ask_has_room);

/* Has the client one of this machine's own addresses? */
static bool
is_own(const struct config *cfg, const struct addr *client)
{
	if (!cfg->relay.never_authorize_own)
		return false;
	(void)pthread_rwlock_rdlock(&gate.own_lock);
	bool own = network_set_contains(&gate.own, client);

	(void)pthread_rwlock_unlock(&gate.own_lock);
	return own;
}

static void
ask(const struct gate_config *gc, const struct gate_request *req,
    const struct facts_question *q, const struct decide_ops *ask_ops,
    struct decide_answer *answer)
{
	int64_t at_ms = clock_now_ms();
	struct gate_memo none = { .known = false };
	struct asked asked = { .cfg = gc->cfg,
		.req = req,
		.memo = req->memo == NULL ? &none : req->memo,
		.at_ms = at_ms,
		.now = at_ms / 1000 };
	const struct decide_question question = { .cfg = gc->cfg,
		.lists = &gc->lists,
		.q = q,
		.own_address = is_own(gc->cfg, &q->client),
		.listener = audit_channel_name(req->channel),
		.at_ms = at_ms,
		.now = asked.now };

	decide(&question, ask_ops, &asked, answer);
}

static const char *
told(const char *text)
{
	return text == NULL ? "" : text;
}

/* client: of ADDR_TEXT_MAX, for the key's text. */
static struct audit_pair_key
pair_key(const struct gate_request *req, char *client)
{
	return (struct audit_pair_key){
		.client = addr_format(&req->q.client, client),
		.port = req->port,
		.recipient = told(req->q.recipient),
	};
}

void
gate_pass(const struct gate_request *req, const struct decide_answer *answer)
{
	char client[ADDR_TEXT_MAX];
	const struct audit_pair_key key = pair_key(req, client);

	assert(req->channel != CHANNEL_MILTER);
	req->pair->verdict = (int)answer->decision.verdict;
	mutex_lock(&pairs_mtx);
	audit_pairs_give(gate.pairs, &key, clock_monotonic_ms(), req->pair);
	mutex_unlock(&pairs_mtx);
}

/* The milter's recipient: has the permit channel passed it a moment ago? */
static void
find_pair(const struct gate_request *req)
{
	char client[ADDR_TEXT_MAX];
	const struct audit_pair_key key = pair_key(req, client);

	assert(req->channel == CHANNEL_MILTER);
	mutex_lock(&pairs_mtx);
	(void)audit_pairs_take(
	    gate.pairs, &key, clock_monotonic_ms(), req->pair);
	mutex_unlock(&pairs_mtx);
}

/* A recipient is counted by the channel that decides on it first. A map that is
 * only told the client decides on no recipient, unless it refuses it. */
static void
count(const struct gate_request *req, const struct decide_answer *answer,
    int64_t began_ns)
{
	bool milter = req->channel == CHANNEL_MILTER;
	bool again = milter && req->pair->found && !req->pair->client_only;
	bool nobody =
	    !milter && *told(req->q.recipient) == '\0' && !answer->refuse;

	meter_duration(req->channel, began_ns);
	if (!again && !nobody)
		meter_decision(req->channel, &answer->decision);
	else if (again && (int)answer->decision.verdict != req->pair->verdict)
		meter_overruled(&answer->decision);
}

void
gate_decide(const struct gate_config *gc, const struct gate_request *req,
    struct decide_answer *answer)
{
	int64_t began_ns = meter_begin();

	if (req->channel == CHANNEL_MILTER)
		find_pair(req);
	ask(gc, req, &req->q, &ops, answer);
	if (answer->monitored)
		answer->decision.verdict =
		    verdict_monitored(answer->decision.verdict);
	/* In observe mode the MTA let through what the milter sees: there an
	 * accept stays one. */
	if (gc->cfg->relay.mode == RELAY_OBSERVE && !answer->local &&
	    req->channel != CHANNEL_MILTER &&
	    answer->decision.verdict == VERDICT_ACCEPT)
		answer->decision.verdict = VERDICT_WOULD_ACCEPT;
	assert(answer->decision.verdict < VERDICTS);
	count(req, answer, began_ns);
}

void
gate_would(const struct gate_config *gc, const struct gate_request *req,
    struct decide_answer *answer)
{
	ask(gc, req, &req->q, &ops_of_would, answer);
}

bool
gate_knows(const struct gate_config *gc, const struct gate_request *req,
    struct decision *decision_r)
{
	struct facts_question q = req->q;
	struct decide_answer answer;

	q.recipient = NULL;
	q.mailer = NULL;
	q.any_sender = q.sender == NULL;
	ask(gc, req, &q, &ops_of_knows, &answer);
	*decision_r = answer.decision;
	return answer.decision.verdict == VERDICT_ACCEPT &&
	    gc->cfg->relay.mode != RELAY_OBSERVE;
}

void
gate_settle(
    const struct gate_config *gc, struct limiter_message *message, bool sent)
{
	throttle_settle(gc->cfg, message, sent);
}

/* Count a recipient of our own, once: the permit channel may have. */
static void
count_local(const struct gate_request *req, enum reason reason)
{
	const struct audit_pair *pair = req->pair;
	bool again = req->channel == CHANNEL_MILTER && pair->found;

	if (!again || pair->number != 0)
		audit_count_local(gate.audit, req->channel, reason);
	/* it took the recipient for a relay, or knew none */
	if (again && pair->number != 0)
		(void)audit_submit(
		    gate.audit, audit_row_taking(pair->number), false);
}

struct audit_row *
gate_row(const struct gate_config *gc, const struct gate_request *req,
    const struct decide_answer *answer)
{
	char client[ADDR_TEXT_MAX], reply[REPLY_TEXT_MAX + 16];
	bool milter = req->channel == CHANNEL_MILTER;

	if (answer->local && !gc->cfg->audit.record_all) {
		count_local(req, answer->decision.reason);
		return NULL;
	}
	if (!milter)
		req->pair->number = atomic_fetch_add(&gate.numbers, 1) + 1;
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
		.auth_user = answer->auth_user,
		.login_user = answer->login_users,
		.certificate = reason_basis(answer->decision.reason) ==
			    BASIS_CERTIFICATE &&
			req->q.certificate != NULL
		    ? certificate_name(req->q.certificate)
		    : NULL,
		.reply = reply,
		.mta = req->mta,
		.local = answer->local,
		.channel = req->channel,
		.decision = answer->decision,
		.durable = gc->cfg->audit.durable,
		.number = milter ? 0 : req->pair->number,
		.takes = milter ? req->pair->number : 0 };

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

void
gate_give_up(const struct addr *client, const char *session)
{
	char text[ADDR_TEXT_MAX];

	(void)audit_submit(gate.audit,
	    audit_row_giving_up(addr_format(client, text), session), false);
}

void
gate_put_off(uint64_t number)
{
	(void)audit_submit(gate.audit, audit_row_putting_off(number), false);
}

int64_t
gate_whole_since(void)
{
	return audit_whole_since(gate.audit);
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
