/* SPDX-License-Identifier: ISC */
#include "milter/fleet.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fnv.h"
#include "common/base/log.h"
#include "common/config/config.h"
#include "common/db/audit.h"
#include "common/db/outbox.h"
#include "common/db/store.h"
#include "common/db/store_share.h"
#include "common/policy/charge.h"
#include "common/share/entry.h"
#include "milter/gate_config.h"
#include "milter/throttle.h"

enum {
	TURN_MS = 250,
	ROWS = 1000, /* of the audit, in a turn */
	PRUNE_MS = 60000,
	KNOWN_MAX = 20000
};

/* Recipients that are told as one. */
struct sum {
	uint64_t hash;
	int64_t at, recipients, messages;
	const char *how;
	char client[ADDR_TEXT_MAX], user[USERLIST_MAX], sender[SHARE_NOTE_MAX];
};

/* The newest breach or lift that is known of a subject. */
struct known {
	uint64_t hash; /* of kind and subject */
	int64_t at, until;
};

/* The file that was opened. */
struct file_id {
	dev_t dev;
	ino_t ino;
};

struct fleet {
	char *audit, *logins; /* owned */
	/* out */
	struct audit_reader *reader; /* NULL: not open, as all below */
	struct file_id audit_id, logins_id;
	struct outbox *outbox;
	int64_t audit_version, denials_version; /* what has been told */
	int64_t known_version; /* of the denials that are known; -1: none */
	int64_t progress; /* up to this row it is told */
	int64_t pruned_ms;
	struct charge_messages messages;
	const struct config *cfg; /* of this turn */
	struct sum sum[ROWS];
	size_t n_sums;
	/* in */
	struct store *store;
	int64_t store_version, relayed_after, told_since;
	/* both */
	struct known *known; /* owned */
	size_t n_known, known_room;
	struct err *err; /* of this turn; set when failed */
	bool failed;
};

/* --- files --- */

static bool
same_file(const char *path, const struct file_id *id)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_dev == id->dev &&
	    st.st_ino == id->ino;
}

static void
note_file(const char *path, struct file_id *id)
{
	struct stat st;

	*id = stat(path, &st) == 0
	    ? (struct file_id){ .dev = st.st_dev, .ino = st.st_ino }
	    : (struct file_id){ .ino = 0 };
}

static int
open_audit(struct fleet *f, struct err *err)
{
	if (f->reader != NULL && !same_file(f->audit, &f->audit_id))
		audit_close_reader(&f->reader);
	if (f->reader != NULL)
		return 0;
	note_file(f->audit, &f->audit_id);
	f->audit_version = f->denials_version = f->known_version = -1;
	return audit_open_reader(f->audit, &f->reader, err);
}

static int
open_outbox(struct fleet *f, struct err *err)
{
	if (f->outbox != NULL && outbox_lost(f->outbox))
		outbox_close(&f->outbox);
	if (f->outbox != NULL)
		return 0;
	f->audit_version = f->denials_version = -1;
	int64_t progress;

	if (outbox_open(f->audit, true, &f->outbox, err) == -1 ||
	    outbox_progress(f->outbox, &progress, err) == -1) {
		outbox_close(&f->outbox);
		return -1;
	}
	/* a new one goes on where the old one was, or where we began */
	if (progress != -1)
		f->progress = progress;
	return 0;
}

/* 1 open, 0 not there yet, -1 with err. What is in a table that was replaced
 * counts a second time: better than not at all. */
static int
open_logins(struct fleet *f, struct err *err)
{
	if (f->store != NULL && !same_file(f->logins, &f->logins_id)) {
		store_close(&f->store);
		f->relayed_after = 0;
	}
	if (f->store != NULL)
		return 1;
	if (access(f->logins, F_OK) == -1 && errno == ENOENT)
		return 0;
	note_file(f->logins, &f->logins_id);
	f->store_version = -1;
	f->told_since = 0;
	return store_open(f->logins, STORE_READ, &f->store, err) == -1 ? -1 : 1;
}

/* --- who is denied --- */

static uint64_t
hash_of(const struct audit_denial *d)
{
	const char *kind = audit_kind(d->is_user, d->by_login);

	return fnv_add(fnv_add(FNV_START, kind, strlen(kind) + 1), d->subject,
	    strlen(d->subject));
}

/* Forget those that have ended. */
static void
shrink_known(struct fleet *f)
{
	int64_t now = clock_now();
	size_t n = 0;

	assert(f->n_known <= f->known_room);
	for (size_t i = 0; i < f->n_known; i++)
		if (f->known[i].until > now)
			f->known[n++] = f->known[i];
	f->n_known = n;
}

/* NULL when memory is short, or too many are denied. */
static struct known *
known_of(struct fleet *f, uint64_t hash)
{
	for (size_t i = 0; i < f->n_known; i++)
		if (f->known[i].hash == hash)
			return &f->known[i];
	assert(f->n_known <= KNOWN_MAX && f->known_room <= KNOWN_MAX);
	if (f->n_known == KNOWN_MAX)
		shrink_known(f);
	if (f->n_known == f->known_room && f->known_room < KNOWN_MAX) {
		size_t room = f->known_room == 0 ? 64 : 2 * f->known_room;
		void *v = reallocarray(f->known, room, sizeof(*f->known));

		if (v == NULL)
			return NULL;
		f->known = v;
		f->known_room = room < KNOWN_MAX ? room : KNOWN_MAX;
	}
	if (f->n_known == f->known_room)
		return NULL;
	f->known[f->n_known] = (struct known){ .hash = hash, .at = INT64_MIN };
	return &f->known[f->n_known++];
}

static bool
is_newer(const struct audit_denial *d, const struct known *k)
{
	return d->at > k->at || (d->at == k->at && d->until > k->until);
}

static bool
learn(struct fleet *f, const struct audit_denial *d, struct known *old_r)
{
	struct known *k = known_of(f, hash_of(d));

	if (k == NULL || !is_newer(d, k))
		return false;
	*old_r = *k;
	k->at = d->at;
	k->until = d->until;
	return true;
}

static bool
learn_own(void *arg, const struct audit_denial *d)
{
	struct known old;

	(void)learn(arg, d, &old);
	return true;
}

static bool
tell_denial(void *arg, const struct audit_denial *d)
{
	struct fleet *f = arg;

	f->failed = outbox_deny(f->outbox, d, f->err) == -1;
	return !f->failed;
}

/* Older denials have ended, and no other machine knows of them any more. */
static int64_t
denials_since_ms(const struct fleet *f)
{
	int64_t keep_s = f->cfg->limits.deny_for_s > f->cfg->logins.keep_s
	    ? f->cfg->limits.deny_for_s
	    : f->cfg->logins.keep_s;

	return (clock_now() - keep_s) * 1000;
}

/* The subjects that this machine denies, or has let in: before it hears of
 * others. */
static int
learn_denials(struct fleet *f, struct err *err)
{
	int64_t version = audit_denials_version(f->reader, err);

	if (version == -1)
		return -1;
	if (version != f->known_version &&
	    audit_each_denial_state(
		f->reader, denials_since_ms(f), learn_own, f, err) == -1)
		return -1;
	f->known_version = version;
	return 0;
}

/* A lift matters as long as it may let in somebody whose relays still count, or
 * who is denied here. */
static void
take_lift(
    struct fleet *f, const struct audit_denial *d, const struct known *old)
{
	int64_t now = clock_now();
	const struct audit_lift lift = { .at_ms = d->at * 1000 - 1,
		.is_user = d->is_user,
		.subject = d->subject,
		.who = "another machine" };

	assert(d->until <= d->at);
	if (old->until <= now && d->at < now - charge_window(f->cfg))
		return;
	f->failed = audit_lift(f->audit, &lift, f->err) == -1;
	if (f->failed || !d->is_user)
		return;
	/* a user's logins are let in with the user */
	struct audit_denial other = *d;
	struct known ignored;

	other.by_login = !d->by_login;
	(void)learn(f, &other, &ignored);
}

static bool
take_word(void *arg, const struct store_word *w)
{
	struct fleet *f = arg;
	const struct audit_denial d = {
		.is_user = w->kind != WORD_BREACH_CLIENT,
		.by_login = w->kind == WORD_BREACH_LOGIN,
		.subject = w->subject,
		.at = w->at,
		.until = w->until,
		.note = w->note,
	};
	struct known old;

	if (!learn(f, &d, &old))
		return true;
	if (d.until <= d.at)
		take_lift(f, &d, &old);
	else if (d.until > clock_now())
		throttle_deny(&d);
	if (f->failed) /* to be tried again */
		*known_of(f, hash_of(&d)) = old;
	return !f->failed;
}

/* --- what was relayed --- */

static struct sum *
sum_of(struct fleet *f, const struct sum *like)
{
	for (size_t i = 0; i < f->n_sums; i++) {
		struct sum *s = &f->sum[i];

		if (s->hash == like->hash && s->at == like->at &&
		    strcmp(s->how, like->how) == 0 &&
		    strcmp(s->client, like->client) == 0 &&
		    strcmp(s->user, like->user) == 0 &&
		    strcmp(s->sender, like->sender) == 0)
			return s;
	}
	assert(f->n_sums < ROWS);
	f->sum[f->n_sums] = *like;
	return &f->sum[f->n_sums++];
}

/* A recipient of two channels is told when the first has recorded it. */
static bool
is_told(const struct audit_record *rec)
{
	return rec->took || rec->aborted ||
	    (strcmp(rec->channel, "socketmap") == 0 && *rec->recipient == '\0');
}

static const char *
how_of(const struct limiter_event *ev)
{
	return ev->by_login   ? RELAYED_LOGIN
	    : ev->free_client ? RELAYED_AUTH
			      : RELAYED_CLIENT;
}

static bool
take_row(void *arg, const struct audit_record *rec)
{
	struct fleet *f = arg;
	struct sum like = { .at = rec->at_ms / 1000, .hash = FNV_START };
	struct limiter_event ev = { .now_s = 0 };

	if (is_told(rec) ||
	    !charge_event(f->cfg, reason_find(rec->reason), rec->auth_user,
		rec->login_user, &ev))
		return true;
	like.how = how_of(&ev);
	if (addr_parse_loose(rec->client, &ev.client))
		(void)addr_format(&ev.client, like.client);
	else if (!ev.free_client)
		return true;
	if ((ev.by_login || ev.free_client) && ev.user != NULL)
		(void)snprintf(like.user, sizeof(like.user), "%s", ev.user);
	(void)snprintf(like.sender, sizeof(like.sender), "%s", rec->sender);
	like.hash = fnv_add(like.hash, like.client, strlen(like.client) + 1);
	like.hash = fnv_add(like.hash, like.user, strlen(like.user) + 1);
	like.hash = fnv_add(like.hash, like.sender, strlen(like.sender));
	struct sum *s = sum_of(f, &like);

	s->recipients++;
	s->messages += strcmp(rec->channel, "socketmap") != 0 &&
	    !charge_message_seen(&f->messages, rec);
	return true;
}

static int
write_sums(struct fleet *f, struct err *err)
{
	assert(f->n_sums <= ROWS && f->outbox != NULL);
	for (size_t i = 0; i < f->n_sums; i++) {
		const struct sum *s = &f->sum[i];
		const struct relayed r = { .at = s->at,
			.client = s->client,
			.user = s->user,
			.how = s->how,
			.sender = s->sender,
			.recipients = s->recipients,
			.messages = s->messages };

		if (outbox_add(f->outbox, &r, err) == -1)
			return -1;
	}
	return 0;
}

static int
prune(struct fleet *f, struct err *err)
{
	int64_t ms = clock_monotonic_ms(), now = clock_now();

	if (f->pruned_ms != 0 && ms - f->pruned_ms < PRUNE_MS)
		return 0;
	f->pruned_ms = ms;
	return outbox_prune(f->outbox, now - charge_window(f->cfg),
	    now - f->cfg->logins.keep_s, err);
}

static int
write_denials(struct fleet *f, struct err *err)
{
	return audit_each_denial_state(
		   f->reader, denials_since_ms(f), tell_denial, f, err) == -1 ||
		f->failed
	    ? -1
	    : 0;
}

static int
write_outbox(struct fleet *f, int64_t last, bool denials, struct err *err)
{
	if (outbox_begin(f->outbox, err) == 0 && write_sums(f, err) == 0 &&
	    (!denials || write_denials(f, err) == 0) && prune(f, err) == 0 &&
	    outbox_save(f->outbox, last, err) == 0 &&
	    outbox_commit(f->outbox, err) == 0)
		return 0;
	outbox_rollback(f->outbox);
	return -1;
}

/* The rows behind f->progress, up to last, and the position: in one transaction
 * of the outbox. */
static int
tell_rows(struct fleet *f, int64_t last, struct err *err)
{
	int64_t denials = f->known_version;

	assert(f->progress <= last && last - f->progress <= ROWS);
	f->n_sums = 0;
	if (audit_each_relayed_behind(
		f->reader, f->progress, last, take_row, f, err) == -1)
		return -1;
	if (f->n_sums > 0 || denials != f->denials_version ||
	    f->pruned_ms == 0) {
		if (write_outbox(f, last, denials != f->denials_version, err) ==
		    -1)
			return -1;
		f->denials_version = denials;
	}
	f->progress = last;
	return 0;
}

static int
tell(struct fleet *f, struct err *err)
{
	if (open_audit(f, err) == -1 || learn_denials(f, err) == -1 ||
	    open_outbox(f, err) == -1)
		return -1;
	int64_t version = audit_version(f->reader, err);

	if (version == -1 || version == f->audit_version)
		return version == -1 ? -1 : 0;
	int64_t newest = audit_newest(f->reader, err);

	if (newest == -1)
		return -1;
	/* another file is there: from now on */
	if (f->progress > newest)
		f->progress = newest;
	bool more = newest - f->progress > ROWS;

	if (tell_rows(f, more ? f->progress + ROWS : newest, err) == -1)
		return -1;
	if (!more)
		f->audit_version = version;
	return more;
}

/* --- what others say --- */

static int
hear(struct fleet *f, struct err *err)
{
	int rc = open_logins(f, err);
	int64_t version, now = clock_now();

	if (rc != 1)
		return rc;
	if (store_data_version(f->store, &version, err) == -1)
		return -1;
	if (version == f->store_version)
		return 0;
	if (now < f->told_since)
		f->told_since = 0; /* the clock was set back */
	if (throttle_hear(f->cfg, f->store, &f->relayed_after, err) == -1)
		return -1;
	/* what this machine has said itself must be known first */
	if (f->reader == NULL || f->known_version == -1)
		return 0;
	if (store_each_breach_word(
		f->store, f->told_since, take_word, f, err) == -1 ||
	    f->failed)
		return -1;
	/* what was told in this second may not all be there yet */
	f->told_since = now - LOGIN_FUTURE_S;
	f->store_version = version;
	return 0;
}

int
fleet_turn(struct fleet *f, const struct config *cfg, struct err *err)
{
	f->cfg = cfg;
	f->err = err;
	f->failed = false;
	int more = tell(f, err);

	/* an outbox that can't be written keeps nobody from hearing */
	if (more == -1) {
		(void)hear(f, NULL);
		return -1;
	}
	return hear(f, err) == -1 ? -1 : more;
}

/* --- the thread --- */

/* A thread that has told nothing yet begins with the rows from now on. */
struct fleet *
fleet_new(const struct config *cfg, struct err *err)
{
	struct fleet *f = calloc(1, sizeof(*f));

	/* a reload may free theirs */
	if (f == NULL || (f->audit = strdup(cfg->audit.database)) == NULL ||
	    (f->logins = strdup(cfg->logins.database)) == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		fleet_free(&f);
	} else if (open_audit(f, err) == -1 ||
	    (f->progress = audit_newest(f->reader, err)) == -1) {
		fleet_free(&f);
	}
	return f;
}

void
fleet_free(struct fleet **fp)
{
	struct fleet *f = *fp;

	if (f == NULL)
		return;
	audit_close_reader(&f->reader);
	outbox_close(&f->outbox);
	store_close(&f->store);
	free(f->known);
	free(f->audit);
	free(f->logins);
	free(f);
	*fp = NULL;
}

static atomic_bool runs, goes_well;

bool
fleet_runs(bool *good_r)
{
	*good_r = atomic_load(&goes_well);
	return atomic_load(&runs);
}

static void
say(bool good, bool was_good, const struct err *err)
{
	if (good && !was_good)
		log_msg(LOG_NOTICE,
		    "limits: what this machine relays is told to the others again");
	else if (!good && was_good)
		log_msg(LOG_ERR,
		    "limits: %s; other machines don't hear what this one relays, or this one what others do; it keeps its own limits",
		    err->text);
}

static void *
run(void *arg)
{
	const struct timespec pause = { .tv_nsec = TURN_MS * 1000000L };
	struct fleet *f = arg;
	bool good = true;

	atomic_store(&goes_well, true);
	atomic_store(&runs, true);
	for (;;) {
		struct gate_config *gc = gate_config_take();
		struct err err = { .text = "" };
		int more = fleet_turn(f, gc->cfg, &err);

		gate_config_give(gc);
		/* a lock is tried again */
		if (more != -1 || err.code != ERR_BUSY) {
			say(more != -1, good, &err);
			good = more != -1;
			atomic_store(&goes_well, good);
		}
		if (more != 1)
			(void)nanosleep(&pause, NULL);
	}
	return NULL;
}

int
fleet_start(const struct config *cfg, struct err *err)
{
	pthread_t thread;
	struct fleet *f;

	if (cfg->share.servers.n == 0)
		return 0;
	f = fleet_new(cfg, err);
	if (f == NULL)
		return -1;
	int rc = pthread_create(&thread, NULL, run, f);

	if (rc == 0)
		return 0;
	fleet_free(&f);
	err_set(err, ERR_IO, "thread: %s", strerror(rc));
	return -1;
}
