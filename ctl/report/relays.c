/* SPDX-License-Identifier: ISC */
/* relays - the relays of a period, counted in one walk. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/err.h"
#include "common/db/audit.h"
#include "common/records/userlist.h"
#include "ctl/report/count.h"
#include "ctl/report/gather.h"

enum {
	QUARTER_S = 900, /* every zone's offset is a multiple of it */
	HOURS_S = 3 * 86400, /* up to here by hour */
	PAIR_SENDER = 1,
	PAIR_USER = 2
};

struct place {
	int16_t slot;
	int8_t hour; /* of the day, local time */
};

struct relays {
	struct report *rep;
	struct count_names clients, users;
	struct count_pairs pairs;
	struct count_memo sender;
	struct place *place; /* owned: of each quarter of an hour */
	int64_t first_quarter, quarters;
	int64_t accepted_clients;
};

/* --- hours and days --- */

static void
slot_label(const struct report *rep, int64_t at, char label[20])
{
	time_t t = (time_t)at;
	struct tm tm;

	(void)localtime_r(&t, &tm);
	(void)strftime(
	    label, 20, rep->by_hour ? "%Y-%m-%d %H:00" : "%Y-%m-%d", &tm);
}

static int8_t
hour_of(int64_t at)
{
	time_t t = (time_t)at;
	struct tm tm;

	(void)localtime_r(&t, &tm);
	assert(tm.tm_hour >= 0 && tm.tm_hour < REPORT_CLOCK);
	return (int8_t)tm.tm_hour;
}

static int64_t
quarter_of(int64_t at)
{
	return at / QUARTER_S;
}

/* The hour or day that at is in, made when it is not the last one. */
static int
slot_at(struct report *rep, int64_t at)
{
	char label[20];

	slot_label(rep, at, label);
	if (rep->slots == 0 ||
	    strcmp(rep->slot[rep->slots - 1].label, label) != 0) {
		assert(rep->slots < REPORT_SLOTS_MAX);
		(void)memcpy(
		    rep->slot[rep->slots++].label, label, sizeof(label));
	}
	return rep->slots - 1;
}

static bool
map_quarters(struct relays *w)
{
	struct report *rep = w->rep;

	assert(rep->until > rep->since &&
	    rep->until - rep->since <= REPORT_PERIOD_MAX_S);
	rep->by_hour = rep->until - rep->since <= HOURS_S;
	w->first_quarter = quarter_of(rep->since);
	w->quarters = quarter_of(rep->until - 1) - w->first_quarter + 1;
	w->place = calloc((size_t)w->quarters, sizeof(*w->place));
	if (w->place == NULL)
		return false;
	for (int i = 0; i < REPORT_CLOCK; i++)
		(void)snprintf(rep->clock[i].label, sizeof(rep->clock[i].label),
		    "%02d:00", i);
	rep->slots = 0;
	for (int64_t i = 0; i < w->quarters; i++) {
		int64_t at = (w->first_quarter + i) * QUARTER_S;

		w->place[i].slot = (int16_t)slot_at(rep, at);
		w->place[i].hour = hour_of(at);
	}
	return true;
}

static struct place
place_of(const struct relays *w, int64_t at_ms)
{
	int64_t i = quarter_of(at_ms / 1000) - w->first_quarter;

	assert(i >= 0 && i < w->quarters);
	return w->place[i];
}

/* --- one row --- */

static bool
is(struct audit_string text, const char *word)
{
	return text.text != NULL && text.len == strlen(word) &&
	    memcmp(text.text, word, text.len) == 0;
}

/* A row, and what is found out of its texts only once. */
struct seen {
	const struct audit_brief *b;
	enum {
		ACCEPTED,
		REJECTED,
		TEMPFAILED,
		ABORTED,
		WOULD_REFUSE,
		OTHER
	} verdict;
	bool by_auth, by_login; /* accepted by that right */
	unsigned users; /* by_login: that the login list names */
};

static struct seen
see(const struct audit_brief *b)
{
	struct seen s = { .b = b, .verdict = OTHER };

	s.verdict = is(b->verdict, "accept") ? ACCEPTED
	    : is(b->verdict, "reject")       ? REJECTED
	    : is(b->verdict, "tempfail")     ? TEMPFAILED
	    : is(b->verdict, "aborted")      ? ABORTED
	    : is(b->verdict, "would-reject") || is(b->verdict, "would-tempfail")
	    ? WOULD_REFUSE
	    : OTHER;
	if (s.verdict != ACCEPTED)
		return s;
	s.by_auth = is(b->reason, "authenticated");
	s.by_login = is(b->reason, "recent-login");
	if (s.by_login && b->login_user.text != NULL)
		s.users = userlist_count(b->login_user.text);
	return s;
}

static void
add_to(struct report_sums *sums, const struct seen *s)
{
	int64_t n = s->b->count;

	sums->recipients += n;
	switch (s->verdict) {
	case ACCEPTED:
		sums->accepted += n;
		break;
	case REJECTED:
		sums->rejected += n;
		break;
	case TEMPFAILED:
		sums->tempfailed += n;
		break;
	case ABORTED:
		sums->aborted += n;
		break;
	case WOULD_REFUSE:
		sums->would_refuse += n;
		break;
	case OTHER:
		break;
	}
}

/* Its place among the reasons; the last one takes what finds no room. */
static int
reason_of(struct report *rep, struct audit_string name)
{
	int i = 0;

	assert(rep->reasons <= REPORT_REASONS_MAX);
	for (; i < rep->reasons; i++)
		if (is(name, rep->reason[i].name))
			return i;
	if (i == REPORT_REASONS_MAX)
		return i - 1;
	rep->reasons++;
	(void)snprintf(rep->reason[i].name, sizeof(rep->reason[i].name), "%s",
	    i == REPORT_REASONS_MAX - 1 || name.text == NULL ? "others"
							     : name.text);
	return i;
}

static void
count_party(struct counted *c, const struct seen *s)
{
	const struct audit_brief *b = s->b;

	add_to(&c->sums, s);
	if (c->first_ms == 0 || b->at_ms < c->first_ms)
		c->first_ms = b->at_ms;
	if (b->last_ms > c->last_ms)
		c->last_ms = b->last_ms;
	if (s->by_auth)
		c->by_auth += b->count;
	if (!s->by_login)
		return;
	c->by_login += b->count;
	if (s->users != 1)
		c->by_several += b->count;
	if (s->users > 1 && s->users > c->several)
		c->several = s->users;
}

static void
count_sender(struct relays *w, struct counted *c, uint64_t who, uint64_t sender)
{
	if (c->last_sender != sender &&
	    count_pair(&w->pairs, who << 2 | PAIR_SENDER, sender))
		c->senders++;
	c->last_sender = sender;
}

/* The parties of a row: its client, and its user as stats has it. */
static void
count_parties(struct relays *w, const struct seen *s)
{
	const struct audit_brief *b = s->b;
	struct audit_string user =
	    b->auth_user.text != NULL ? b->auth_user : b->login_user;
	uint64_t client_hash =
	    count_name_hash(&w->clients, b->client.text, b->client.len);
	uint64_t user_hash = user.text == NULL
	    ? 0
	    : count_name_hash(&w->users, user.text, user.len);
	uint64_t sender = b->sender.text == NULL
	    ? 0
	    : count_hash_again(&w->sender, b->sender.text, b->sender.len);
	struct counted *client =
	    count_name(&w->clients, b->client.text, b->client.len, client_hash);
	struct counted *named = user.text == NULL
	    ? NULL
	    : count_name(&w->users, user.text, user.len, user_hash);
	/* clients have even numbers, users odd ones */
	uint64_t c = client == NULL ? 0 : (uint64_t)(client - w->clients.v) * 2;
	uint64_t u = named == NULL ? 0 : (uint64_t)(named - w->users.v) * 2 + 1;

	if (client != NULL)
		count_party(client, s);
	if (named != NULL)
		count_party(named, s);
	if (client != NULL && b->sender.text != NULL)
		count_sender(w, client, c, sender);
	if (named != NULL && b->sender.text != NULL)
		count_sender(w, named, u, sender);
	if (client != NULL && named != NULL && client->last_other != u &&
	    count_pair(&w->pairs, c << 2 | PAIR_USER, u)) {
		client->others++;
		named->others++;
	}
	if (client != NULL)
		client->last_other = u;
}

static void
take(void *arg, const struct audit_brief *b)
{
	struct relays *w = arg;
	struct report *rep = w->rep;
	struct place place = place_of(w, b->at_ms);
	struct report_slot *slot = &rep->slot[place.slot];
	int reason = reason_of(rep, b->reason);
	const struct seen s = see(b);

	add_to(&rep->sums, &s);
	add_to(&slot->sums, &s);
	if (!rep->by_hour)
		add_to(&rep->clock[place.hour].sums, &s);
	add_to(&rep->reason[reason].sums, &s);
	if (s.verdict != ACCEPTED && s.verdict != ABORTED)
		slot->refused[reason] += b->count;
	count_parties(w, &s);
}

/* --- tables of those with most --- */

typedef int64_t rank_fn(const struct counted *c);

static int64_t
rank_accepted(const struct counted *c)
{
	return c->sums.accepted;
}

static int64_t
rank_refused(const struct counted *c)
{
	return c->sums.rejected + c->sums.tempfailed + c->sums.would_refuse;
}

static int64_t
rank_shared(const struct counted *c)
{
	return c->by_several;
}

static void
to_party(
    const struct relays *w, const struct counted *c, struct report_party *p)
{
	assert(c != NULL);
	*p = (struct report_party){
		.sums = c->sums,
		.by_auth = c->by_auth,
		.by_login = c->by_login,
		.by_several = c->by_several,
		.several = c->several,
		.senders = w->pairs.full ? -1 : (int64_t)c->senders,
		.others = w->pairs.full ? -1 : (int64_t)c->others,
		.first_ms = c->first_ms,
		.last_ms = c->last_ms,
	};
	(void)snprintf(p->name, sizeof(p->name), "%s", c->name);
}

/* Put c where it belongs among those found so far: they are few. */
static void
offer(
    const struct counted **best, int *n, const struct counted *c, rank_fn *rank)
{
	int i = *n;

	for (; i > 0; i--) {
		const struct counted *above = best[i - 1];

		assert(above != NULL);
		if (rank(above) > rank(c) ||
		    (rank(above) == rank(c) &&
			strcmp(above->name, c->name) <= 0))
			break;
		if (i < REPORT_TOP)
			best[i] = above;
	}
	if (i == REPORT_TOP)
		return;
	best[i] = c;
	*n += *n < REPORT_TOP;
}

/* Rank the names whose rank is above 0, and where only is given, for which it
 * is set. */
static void
rank_parties(const struct relays *w, const struct count_names *names,
    rank_fn *rank, const bool *only, struct report_parties *to)
{
	const struct counted *best[REPORT_TOP] = { NULL };

	for (size_t i = 0; i < names->n; i++)
		if (rank(&names->v[i]) > 0 && (only == NULL || only[i])) {
			offer(best, &to->n, &names->v[i], rank);
			to->all++;
		}
	for (int i = 0; i < to->n; i++)
		to_party(w, best[i], &to->v[i]);
}

/* Clients that relayed, and of which nothing was recorded before. */
static int
find_fresh(struct relays *w, struct audit_reader *r, struct err *err)
{
	struct report *rep = w->rep;
	int64_t since_ms = rep->since * 1000, at_ms;
	bool *fresh;
	int rc = 0;

	if (audit_first_at(r, NULL, &rep->recorded_ms, err) == -1)
		return -1;
	rep->fresh_known = rep->recorded_ms > 0 && rep->recorded_ms < since_ms;
	if (!rep->fresh_known)
		return 0;
	fresh = calloc(w->clients.n + 1, sizeof(*fresh));
	if (fresh == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	for (size_t i = 0; i < w->clients.n && rc == 0; i++)
		if (w->clients.v[i].sums.accepted > 0) {
			rc = audit_first_at(
			    r, w->clients.v[i].name, &at_ms, err);
			fresh[i] = at_ms >= since_ms;
		}
	if (rc == 0)
		rank_parties(w, &w->clients, rank_accepted, fresh, &rep->fresh);
	free(fresh);
	return rc;
}

static int
by_most(const void *a, const void *b)
{
	const struct report_reason *x = a, *y = b;

	if (x->sums.recipients != y->sums.recipients)
		return x->sums.recipients < y->sums.recipients ? 1 : -1;
	return strcmp(x->name, y->name);
}

/* Sort reasons by their counts, most first; the slots' refusals go along. */
static void
sort_reasons(struct report *rep)
{
	struct report_reason was[REPORT_REASONS_MAX];
	int64_t row[REPORT_REASONS_MAX];

	memcpy(was, rep->reason, sizeof(was));
	qsort(
	    rep->reason, (size_t)rep->reasons, sizeof(rep->reason[0]), by_most);
	for (int s = 0; s < rep->slots; s++) {
		memcpy(row, rep->slot[s].refused, sizeof(row));
		for (int i = 0; i < rep->reasons; i++)
			for (int old = 0; old < rep->reasons; old++)
				if (strcmp(was[old].name,
					rep->reason[i].name) == 0)
					rep->slot[s].refused[i] = row[old];
	}
}

static int
finish(struct relays *w, struct audit_reader *r, struct err *err)
{
	struct report *rep = w->rep;

	sort_reasons(rep);
	rep->cut = w->clients.full || w->users.full;
	rep->senders_cut = w->pairs.full;
	rep->clients_asked = (int64_t)w->clients.n;
	rank_parties(w, &w->clients, rank_accepted, NULL, &rep->clients);
	rank_parties(w, &w->users, rank_accepted, NULL, &rep->users);
	rank_parties(w, &w->clients, rank_refused, NULL, &rep->strangers);
	rank_parties(w, &w->clients, rank_shared, NULL, &rep->shared);
	rep->local = audit_tally(r, rep->since * 1000, err);
	return rep->local == -1 ? -1 : find_fresh(w, r, err);
}

int
report_count_relays(struct report *rep, struct audit_reader *r, struct err *err)
{
	struct relays w = { .rep = rep };
	int rc = -1;

	if (!map_quarters(&w))
		err_set(err, ERR_NOMEM, "out of memory");
	else if (audit_scan(r, rep->since * 1000, rep->until * 1000, take, &w,
		     err) == 0)
		rc = finish(&w, r, err);
	count_names_release(&w.clients);
	count_names_release(&w.users);
	count_pairs_release(&w.pairs);
	free(w.place);
	return rc;
}
