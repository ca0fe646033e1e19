/* SPDX-License-Identifier: ISC */
/* The half of share.h that publishes: logins out of the history, words of
 * admins, and what the milter left in audit.db.outbox. Logins need no queue:
 * they are read from the last number on that Redis holds. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "collector/share_state.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/db/audit.h"
#include "common/db/store.h"

/* The entries of one transaction of Redis. */
struct batch_out {
	struct share *s;
	size_t n;
	struct link_mark mark; /* behind it */
	size_t words; /* in s->entry: those of them that are words */
	int relayed; /* rows of the outbox that were looked at, and */
	int64_t relayed_up_to; /* the newest of them */
	int64_t now;
};

static void
put_as(struct batch_out *b, const char *origin, struct share_entry *entry)
{
	struct share *s = b->s;

	assert(b->n <= SHARE_BATCH);
	(void)snprintf(entry->origin, sizeof(entry->origin), "%s", origin);
	/* a user or a note that has no form here: longer than any server
	 * allows */
	if (b->n == SHARE_BATCH || !share_entry_good(entry))
		return;
	s->bytes[b->n] = (struct link_bytes){
		.p = s->sealed[b->n],
		.len = share_seal(
		    &s->keys, s->cfg->share.stream, entry, s->sealed[b->n]),
	};
	b->n++;
}

static void
put(struct batch_out *b, struct share_entry *entry)
{
	put_as(b, b->s->at.origin, entry);
}

/* Put a word, and remember which. */
static void
put_told(struct batch_out *b, struct share_entry *entry)
{
	assert(b->words < SHARE_BATCH);
	put(b, entry);
	b->s->entry[b->words++] = *entry;
}

#define COPY(to, from) (void)snprintf(to, sizeof(to), "%s", from)

static void
put_login(void *arg, const struct store_share_login *l)
{
	struct batch_out *b = arg;
	struct share_entry e = {
		.kind = SHARE_LOGIN, .number = l->number, .at = l->at
	};

	COPY(e.subject, l->client);
	COPY(e.user, l->user);
	COPY(e.service, l->service);
	COPY(e.server, l->server);
	put(b, &e);
	b->mark = (struct link_mark){ .number = l->number, .at = l->at };
}

static void
put_word(void *arg, const struct store_word *w)
{
	static const enum share_kind kinds[WORD_KINDS] = {
		[WORD_ADD] = SHARE_ADD,
		[WORD_DELETE] = SHARE_DELETE,
		[WORD_DENY_CLIENT] = SHARE_DENY_CLIENT,
		[WORD_DENY_USER] = SHARE_DENY_USER,
		[WORD_BREACH_CLIENT] = SHARE_BREACH_CLIENT,
		[WORD_BREACH_USER] = SHARE_BREACH_USER,
		[WORD_BREACH_LOGIN] = SHARE_BREACH_LOGIN,
	};
	struct share_entry e = { .kind = kinds[w->kind],
		.at = w->at,
		.until = w->kind == WORD_DELETE ? 0 : w->until };

	if (w->kind == WORD_DENY_USER || w->kind == WORD_BREACH_USER ||
	    w->kind == WORD_BREACH_LOGIN)
		COPY(e.user, w->subject);
	else
		COPY(e.subject, w->subject);
	if (w->kind == WORD_ADD)
		COPY(e.user, w->user);
	if (w->kind != WORD_DELETE)
		(void)snprintf(e.note, sizeof(e.note), "%.250s", w->note);
	put_told(arg, &e);
}

static void
put_relayed(void *arg, const struct relayed *r)
{
	struct batch_out *b = arg;
	struct share_entry e = { .kind = SHARE_RELAYED,
		.number = r->number,
		.at = r->at,
		.until = r->recipients,
		.messages = r->messages };

	COPY(e.subject, r->client);
	COPY(e.user, r->user);
	COPY(e.service, r->how);
	(void)snprintf(e.note, sizeof(e.note), "%.250s", r->sender);
	put_as(b, r->origin, &e);
	b->relayed++;
	b->relayed_up_to = r->number;
}

/* Rows that can't be read now are published later. */
static void
put_all_relayed(struct batch_out *b)
{
	struct share *s = b->s;
	struct err err;

	if (s->outbox != NULL &&
	    outbox_each_relayed(s->outbox, s->at.relayed, b->now - s->window_s,
		SHARE_RELAYED_BATCH, put_relayed, b, &err) == -1)
		outbox_close(&s->outbox);
}

static void
put_hello(struct batch_out *b)
{
	struct share *s = b->s;
	struct share_entry e = { .kind = SHARE_HELLO,
		.number = b->mark.number < 0 ? 0 : b->mark.number,
		.at = b->now };

	if (s->hello_ms != 0 &&
	    clock_monotonic_ms() - s->hello_ms < SHARE_HELLO_S * 1000)
		return;
	COPY(e.note, s->name);
	put(b, &e);
}

/* Mark the words of the batch in the table: these, and no word that was said
 * meanwhile. */
static int
mark_told(struct batch_out *b, struct err *err)
{
	assert(b->words <= SHARE_BATCH);
	for (size_t i = 0; i < b->words; i++) {
		const struct store_word word = share_word(&b->s->entry[i]);

		if (store_word_told(b->s->store, &word, b->now, err) == -1)
			return -1;
	}
	return 0;
}

/* The stream is kept for two windows. The machine that first notices that it
 * will soon hold a word no longer tells the word again. To spread this, each
 * machine waits 1 to 1.5 windows, by its name. */
static int64_t
told_before(const struct share *s, int64_t now)
{
	int64_t window_s = s->cfg->logins.window_s;

	return now - window_s - (s->at.origin[0] % 16) * window_s / 32;
}

enum { OUTBOX_SAY_MS = 5000 };
enum { WORDS = 64, OTHERS = WORDS + SHARE_RELAYED_BATCH + 1 };

/* How many rows of the history a batch has room for. */
static int
room(const struct share *s)
{
	assert(s->most > 0 && s->most <= SHARE_BATCH);
	return s->most > WORDS + OTHERS ? s->most - OTHERS : WORDS;
}

/* Redis has taken the batch. Its number is saved some time, with what is heard:
 * Redis knows it (share_settle()), as long as it has the entries before.
 *   first  it has none that the table knows of */
static int
remember(struct batch_out *b, int64_t scanned, bool first, struct err *err)
{
	struct share *s = b->s;
	struct store_share old = s->at;

	s->at.published = b->mark.number < 0 ? 0 : b->mark.number;
	s->at.scanned = scanned;
	s->at.relayed = b->relayed_up_to;
	if (b->words == 0 && !first)
		return 0;
	if (store_begin(s->store, err) == -1 || mark_told(b, err) == -1 ||
	    share_save(s, err) == -1 || store_commit(s->store, err) == -1) {
		store_rollback(s->store);
		s->at = old;
		return -1;
	}
	return 0;
}

/* --- the outbox --- */

struct passing {
	struct share *s;
	struct err *err;
	bool failed;
};

static bool
pass(void *arg, const struct audit_denial *d)
{
	struct passing *p = arg;
	const struct store_word w = { .kind = !d->is_user ? WORD_BREACH_CLIENT
		    : d->by_login                         ? WORD_BREACH_LOGIN
							  : WORD_BREACH_USER,
		.subject = d->subject,
		.user = "",
		.at = d->at,
		.until = d->until,
		.note = d->note };

	p->failed = store_word_pass(p->s->store, &w, p->err) == -1;
	return !p->failed;
}

/* Log why the outbox can't be read: once, and not while it is being made. */
static void
say_outbox(struct share *s, const struct err *err)
{
	int64_t ms = clock_monotonic_ms();

	if (s->outbox_bad_ms == 0)
		s->outbox_bad_ms = ms;
	outbox_close(&s->outbox);
	if (ms - s->outbox_bad_ms < OUTBOX_SAY_MS)
		return;
	if (!s->outbox_complained)
		share_note(s, LOG_WARNING,
		    "share: %s: what popgate-milter relays here isn't told to other machines",
		    err->text);
	s->outbox_complained = true;
}

/* In one transaction of the table. 0, or -1 with err. */
static int
pass_denials(struct share *s, struct err *err)
{
	struct passing p = { .s = s, .err = err };
	struct err outbox_err;

	assert(s->outbox != NULL);
	if (store_begin(s->store, err) == -1)
		return -1;
	int rc = outbox_each_denial(s->outbox, pass, &p, &outbox_err);

	if (p.failed || store_commit(s->store, err) == -1) {
		store_rollback(s->store);
		return -1;
	}
	if (rc == -1)
		say_outbox(s, &outbox_err);
	return 0;
}

/* Numbers of another outbox begin again. */
static void
meet_outbox(struct share *s)
{
	const char *origin = outbox_origin(s->outbox);

	s->outbox_version = -1;
	s->outbox_bad_ms = 0;
	s->outbox_complained = false;
	if (strcmp(s->at.outbox, origin) == 0)
		return;
	(void)snprintf(s->at.outbox, sizeof(s->at.outbox), "%s", origin);
	s->at.relayed = 0;
}

/* A machine without popgate-milter has none. */
int
share_open_outbox(struct share *s, struct err *err)
{
	const char *audit = s->cfg->audit.database;
	struct err outbox_err;
	char path[4096];

	if (s->outbox != NULL && outbox_lost(s->outbox))
		outbox_close(&s->outbox);
	outbox_path(audit, path, sizeof(path));
	if (s->outbox == NULL) {
		if (access(path, F_OK) == -1)
			return 0;
		if (outbox_open(audit, false, &s->outbox, &outbox_err) == -1) {
			say_outbox(s, &outbox_err);
			return 0;
		}
		meet_outbox(s);
	}
	int64_t version = outbox_version(s->outbox, &outbox_err);

	if (version == -1)
		say_outbox(s, &outbox_err);
	if (version == -1 || version == s->outbox_version)
		return 0;
	if (pass_denials(s, err) == -1)
		return -1;
	s->outbox_version = version;
	return 0;
}

int
share_publish(struct share *s, struct err *err)
{
	int64_t scanned, now = clock_now();
	struct batch_out b = { .s = s,
		.now = now,
		.mark = { .number = s->at.published },
		.relayed_up_to = s->at.relayed };

	assert(s->store != NULL && s->out != NULL);
	if (b.mark.number > 0)
		b.mark.at = store_share_login_at(s->store, b.mark.number, err);
	if (b.mark.at == -1 ||
	    store_word_each_untold(
		s->store, told_before(s, now), WORDS, put_word, &b, err) == -1)
		return -1;
	int walked = store_share_each_login(s->store, s->at.scanned,
	    now - s->cfg->logins.window_s, room(s), &scanned, put_login, &b,
	    err);

	if (walked == -1)
		return -1;
	put_all_relayed(&b);
	size_t before_hello = b.n;

	put_hello(&b);
	if (b.n == 0) {
		if (b.words > 0 || b.relayed > 0) /* too wide to be told */
			return remember(&b, scanned, false, err);
		s->at.scanned = scanned; /* others' logins: saved some time */
		return walked == room(s);
	}
	int64_t window_s = s->cfg->logins.window_s;
	const struct link_batch batch = { .v = s->bytes,
		.n = b.n,
		.origin = s->at.origin,
		.entry = s->at.entry,
		.was = { .number = s->at.published },
		.mark = b.mark,
		.keep_s = 2 * window_s < SHARE_KEEP_MIN_S ? SHARE_KEEP_MIN_S
							  : 2 * window_s };
	char added[LINK_POSITION_MAX];
	int done = link_publish(s->out, &batch, added, err);

	if (done == -1)
		return -1;
	if (done == 0)
		return share_settle(s, err) == -1 ? -1 : 1;
	if (b.n > before_hello)
		s->hello_ms = clock_monotonic_ms();
	bool first = *s->at.entry == '\0';

	(void)snprintf(s->at.entry, sizeof(s->at.entry), "%s", added);
	s->passed += b.n;
	if (remember(&b, scanned, first, err) == -1)
		return -1;
	return b.words == WORDS || walked == room(s) ||
	    b.relayed == SHARE_RELAYED_BATCH;
}

/* --- agreeing --- */

/* This table is another one than the one that published under its name: it is a
 * copy of before, or was made anew. Its numbers begin again, so its name must.
 */
static int
rename_table(struct share *s, struct err *err)
{
	bool first = *s->at.origin == '\0';

	if (share_origin_make(s->at.origin, err) == -1)
		return -1;
	s->at.published = -1;
	s->at.scanned = 0;
	s->at.entry[0] = '\0';
	/* what came under the old name counted as our own */
	share_read_again(s);
	if (!first)
		s->note(LOG_NOTICE,
		    "share: the login table is older than what it has published: it publishes under a new name, and again what still counts");
	return store_word_untell(s->store, err);
}

/* Redis lost what it had, or the last part: all that still counts is told
 * again. */
static int
publish_again(struct share *s, const struct link_mark *mark, struct err *err)
{
	assert(mark->number < s->at.published);
	s->at.entry[0] = '\0';
	/* a stream that begins anew may do so before our position */
	share_read_again(s);
	s->at.published = mark->number;
	s->at.scanned = mark->number < 0 ? 0 : mark->number;
	s->at.relayed = 0;
	s->note(LOG_NOTICE,
	    "share: Redis has lost what this machine had published: publishing again what still counts");
	if (store_word_untell(s->store, err) == -1)
		return -1;
	/* the stream may be lost, and the key not */
	return mark->number >= 0 ? 0 : link_forget(s->out, s->at.origin, err);
}

static int
settle(struct share *s, struct err *err)
{
	struct link_mark mark;
	int64_t at = 0;

	if (*s->at.origin == '\0')
		return store_word_gather(s->store, err) == -1
		    ? -1
		    : rename_table(s, err);
	if (link_published(s->out, s->at.origin, s->at.entry, &mark, err) == -1)
		return -1;
	if (mark.number == s->at.published)
		return 0;
	if (mark.number < s->at.published)
		return publish_again(s, &mark, err);
	if (mark.number > 0 &&
	    (at = store_share_login_at(s->store, mark.number, err)) == -1)
		return -1;
	if (at != mark.at)
		return rename_table(s, err);
	/* we were ended between Redis's answer and our commit */
	s->at.published = mark.number;
	if (s->at.scanned < mark.number)
		s->at.scanned = mark.number;
	return 0;
}

int
share_settle(struct share *s, struct err *err)
{
	struct store_share old = s->at;

	if (store_begin(s->store, err) == -1)
		return -1;
	if (settle(s, err) == -1 || share_save(s, err) == -1 ||
	    store_commit(s->store, err) == -1) {
		store_rollback(s->store);
		s->at = old;
		return -1;
	}
	return 0;
}
