/* why - may it relay, and why: the question this program is for. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/commands/commands.h"
#include "ctl/out.h"
#include "ctl/record.h"
#include "ctl/why/message_id.h"
#include "ctl/why/near_miss.h"
#include "ctl/why/verdict.h"

enum { OPT_EVENTS, OPT_DECISIONS, OPT_LOG, OPT_JSON };

enum {
	EVENTS_DEFAULT = 3,
	DECISIONS_DEFAULT = 5,
	ID_IN_USE_S = 3600 /* between a decision and the MTA's line */
};

/* Of how many decisions, the newest, the counts are: one client or user may
 * have millions. */
enum { COUNT_MAX = 2000 };

static const struct ctl_option options[] = { [OPT_EVENTS] = { "events", "N",
						 "log lines to show (3)" },
	[OPT_DECISIONS] = { "decisions", "N",
	    "decisions to show of each kind "
	    "(5)" },
	[OPT_LOG] = { "log", "FILE",
	    "look a message-id up there, in place of "
	    "collector.sources" },
	[OPT_JSON] = { "json", NULL, "a JSON object" },
	{ 0 } };

struct why {
	struct ctl *ctl;
	struct store *st; /* NULL: can't be read */
	struct err store_err;
	struct audit_reader *audit; /* NULL: can't be read */
	char audit_why[ERR_TEXT_MAX + 160];
	int64_t events, decisions;
	int64_t deleted_at; /* logins until then; 0 none */
	const char *log; /* of the MTA; NULL: as configured */
	struct json *json;
	int rc;
};

/* --- logins and evidence --- */

/* A client, whose history is evidence. */
struct witness {
	char client[NETWORK_TEXT_MAX];
	int64_t last_at;
};

enum {
	WITNESSES_MAX = 16, /* the newest */
	ROWS_MAX = 200, /* shown */
	EVENTS_LOOKED_AT = 200 /* of a client, for those of one user */
};

struct logins {
	struct why *w;
	struct table *table;
	struct witness witness[WITNESSES_MAX]; /* newest first */
	size_t n;
	int64_t users, active_users; /* or clients, of a user */
	bool clients; /* show the client's column */
};

static void
remember_client(struct logins *l, const char *client, int64_t last_at)
{
	size_t i = 0, at;

	while (i < l->n && strcmp(l->witness[i].client, client) != 0)
		i++;
	if (i < l->n && l->witness[i].last_at >= last_at)
		return;
	/* it moves forward from i, or comes in at the end */
	if (i == l->n && l->n < WITNESSES_MAX)
		l->n++;
	else if (i == l->n && l->witness[--i].last_at >= last_at)
		return;
	for (at = i; at > 0 && l->witness[at - 1].last_at < last_at; at--)
		l->witness[at] = l->witness[at - 1];
	l->witness[at].last_at = last_at;
	(void)snprintf(l->witness[at].client, NETWORK_TEXT_MAX, "%s", client);
}

static void
login_json(struct json *j, const struct store_row *row, int64_t now)
{
	json_open(j, NULL, '{');
	row_json(j, row, now);
	json_close(j, '}');
}

static bool
take_login(void *arg, const struct store_row *row)
{
	struct logins *l = arg;
	int64_t now = l->w->ctl->now;
	char buf[TIME_TEXT_MAX];

	l->users++;
	l->active_users += row->expires_at > now;
	remember_client(l, row->client, row->last_at);
	if (l->users > ROWS_MAX && l->w->json == NULL)
		return true;
	if (l->w->json != NULL) {
		login_json(l->w->json, row, now);
		return true;
	}
	table_cell(l->table,
	    l->clients               ? row->client
		: *row->user == '\0' ? "(nobody)"
				     : row->user);
	table_cell(l->table, row->service);
	table_cell(l->table, row->server);
	table_number(l->table, row->count);
	table_cell(l->table, time_both(row->last_at, now, buf));
	table_cell(l->table, time_both(row->expires_at, now, buf));
	if (!l->clients)
		table_cell(l->table, row->client);
	return true;
}

struct events {
	struct why *w;
	const char *user; /* only of this user; NULL: all */
	int64_t shown;
};

static void
print_event(const struct why *w, const struct store_event *e)
{
	char buf[TIME_TEXT_MAX];

	(void)printf("  %s  ", time_both(e->at, w->ctl->now, buf));
	out_text(*e->user == '\0' ? "(nobody)" : e->user);
	(void)printf("  %s %s\n", e->service, e->server);
	(void)fputs("    ", stdout);
	out_text(e->source);
	if (strcmp(e->source, STORE_ADMIN) != 0)
		(void)printf(" at byte %" PRId64, e->position);
	(void)fputs(":\n    ", stdout);
	out_text(e->line);
	(void)putchar('\n');
}

static bool
take_event(void *arg, const struct store_event *e)
{
	struct events *ev = arg;
	struct json *j = ev->w->json;

	if (ev->user != NULL && strcmp(ev->user, e->user) != 0)
		return true;
	if (ev->shown++ >= ev->w->events)
		return false;
	if (j == NULL) {
		if (ev->shown == 1)
			(void)puts("\nEvidence, newest first:");
		print_event(ev->w, e);
		return true;
	}
	json_open(j, NULL, '{');
	json_time(j, "at", e->at);
	json_text(j, "client", e->client);
	json_text(j, "user", e->user);
	json_text(j, "service", e->service);
	json_text(j, "server", e->server);
	json_text(j, "source", e->source);
	json_number(j, "position", e->position);
	json_text(j, "line", e->line);
	json_close(j, '}');
	return true;
}

/* An admin's deletion holds against log lines that are read later. */
static void
show_deleted(struct why *w, const struct addr *client)
{
	struct network net = network_of(client,
	    client->family == ADDR_IPV6
		? (uint8_t)w->ctl->cfg->relay.ipv6_prefix
		: 32);
	char text[NETWORK_TEXT_MAX], buf[TIME_TEXT_MAX];
	struct err err;
	int64_t at;
	int found =
	    store_deleted_find(w->st, network_format(&net, text), &at, &err);

	w->deleted_at = found == 1 ? at : 0;
	if (found == -1)
		w->rc = ctl_fail_err(w->ctl, &err);
	else if (w->json != NULL)
		json_time(w->json, "deleted_until", w->deleted_at);
	else if (found == 1)
		(void)printf("  An admin deleted its logins until %s: log "
			     "lines of that time, whenever they\n  are read, "
			     "open nothing.\n",
		    time_both(at, w->ctl->now, buf));
}

/* How many users share a client, or a network of an admin; 0: not known. */
static int64_t
sharing_of(const struct why *w, const struct addr *client, const char *network)
{
	enum { SHOWN = 10000 }; /* so many more than may */
	const struct config *cfg = w->ctl->cfg;
	char text[NETWORK_TEXT_MAX];
	int64_t users = 0;

	if (client != NULL) {
		struct network net = network_of(client,
		    client->family == ADDR_IPV6
			? (uint8_t)cfg->relay.ipv6_prefix
			: 32);

		network = network_format(&net, text);
	}
	if (store_sharing(w->st, network, w->ctl->now,
		cfg->relay.shared_address_users + SHOWN, &users, NULL) == -1)
		return 0;
	return users;
}

/* client and user: one of them is NULL. */
static void
show_logins(struct why *w, const struct addr *client, const char *network,
    const char *user)
{
	static const char *const heads[] = { "USER", "SERVICE", "SERVER",
		"LOGINS", "LAST LOGIN", "EXPIRES", "CLIENT" };
	static const char *const user_heads[] = { "CLIENT", "SERVICE", "SERVER",
		"LOGINS", "LAST LOGIN", "EXPIRES" };
	struct logins l = { .w = w, .clients = user != NULL };
	struct events ev = { .w = w, .user = user };
	struct err err;
	int rc;

	if (w->st == NULL)
		return;
	if (w->json != NULL)
		json_open(w->json, "logins", '[');
	else
		(void)puts("\nLogins:");
	l.table = table_new(l.clients ? user_heads : heads, l.clients ? 6 : 7);
	table_indent(l.table, 2);
	rc = client != NULL
	    ? store_each_match(w->st, client,
		  (uint8_t)w->ctl->cfg->relay.ipv6_prefix, take_login, &l, &err)
	    : store_each_row(
		  w->st, network, user, INT64_MIN, take_login, &l, &err);
	int64_t rows = table_end(l.table);
	int64_t sharing = l.clients ? 0 : sharing_of(w, client, network);

	if (w->json != NULL)
		json_close(w->json, ']');
	else if (rows == 0)
		(void)puts("  none in the table");
	else if (l.users > ROWS_MAX)
		(void)printf("  and %" PRId64 " more: see 'popgatectl list "
			     "--all'\n",
		    l.users - ROWS_MAX);
	if (w->json == NULL && l.clients && rows > 0)
		(void)printf("  a login counts now from %" PRId64 " of %" PRId64
			     " addresses\n",
		    l.active_users, l.users);
	if (sharing > 1 && w->json == NULL)
		(void)printf("  %" PRId64 " users logged in from there: a "
			     "relayed message is by one of %" PRId64
			     ",\n  only its "
			     "sender and the server's log can say by which\n",
		    sharing, sharing);
	if (facts_shared(w->ctl->cfg, sharing) && w->json == NULL)
		(void)printf("  More than relay.shared_address_users (%" PRId64
			     ") share it: %s\n",
		    w->ctl->cfg->relay.shared_address_users,
		    w->ctl->cfg->relay.shared_refused
			? "their logins open "
			  "nothing."
			: "relay.shared_address could refuse it.");
	if (!l.clients && w->json != NULL)
		json_bool(
		    w->json, "shared", facts_shared(w->ctl->cfg, sharing));
	if (client != NULL)
		show_deleted(w, client);
	if (w->json != NULL)
		json_open(w->json, "evidence", '[');
	/* history outlives its row: after 'delete', and when pruned */
	if (rc == 0 && client != NULL) {
		char text[ADDR_TEXT_MAX];

		remember_client(&l, addr_format(client, text), 0);
	}
	for (size_t i = 0; i < l.n && rc == 0 && ev.shown < w->events; i++)
		rc = store_each_event(w->st, l.witness[i].client,
		    user != NULL ? EVENTS_LOOKED_AT : (int)w->events,
		    take_event, &ev, &err);
	if (w->json != NULL)
		json_close(w->json, ']');
	else if (rows > 0 && ev.shown == 0 && w->events > 0)
		(void)puts("\nEvidence: none is kept any more "
			   "(logins.keep).");
	if (rc == -1)
		w->rc = ctl_fail_err(w->ctl, &err);
}

/* --- denies --- */

static bool
take_deny(void *arg, const struct store_deny *d)
{
	struct why *w = arg;
	char when[TIME_TEXT_MAX];

	if (w->json != NULL) {
		json_open(w->json, NULL, '{');
		json_text(w->json, "subject", d->subject);
		json_text(w->json, "kind", d->is_user ? "user" : "client");
		json_time(w->json, "created_at", d->created_at);
		json_time(w->json, "expires_at", d->expires_at);
		json_text(w->json, "reason", d->reason);
		json_close(w->json, '}');
		return true;
	}
	(void)printf("Denied: %s ", d->is_user ? "user" : "client");
	out_text(d->subject);
	(void)printf(
	    " since %s, ", time_both(d->created_at, w->ctl->now, when));
	(void)printf("until %s: ",
	    d->expires_at >= STORE_FOREVER
		? "'popgatectl undeny'"
		: time_both(d->expires_at, w->ctl->now, when));
	out_text(d->reason);
	(void)putchar('\n');
	return true;
}

static void
breach_json(struct json *j, const struct audit_breach *b)
{
	json_open(j, NULL, '{');
	json_time(j, "at", b->at_ms / 1000);
	json_text(j, "setting", b->setting);
	json_text(j, "allowed", b->allowed);
	json_text(j, "client", b->client);
	json_text(j, "user", b->user);
	json_text(j, "sender", b->sender);
	json_time(j, "denied_until", b->denied_until);
	json_time(j, "lifted_at", b->lifted_at_ms / 1000);
	json_close(j, '}');
}

static bool
take_breach(void *arg, const struct audit_breach *b)
{
	const struct why *w = arg;

	if (w->json != NULL)
		breach_json(w->json, b);
	else
		breach_print(w->ctl, b, "Limit: ");
	return true;
}

/* Who went over a limit in the last week. */
static void
show_breaches(struct why *w, const struct addr *client, const char *user)
{
	char network[NETWORK_TEXT_MAX];
	struct err err;

	if (w->audit == NULL)
		return;
	if (w->json != NULL)
		json_open(w->json, "limits", '[');
	if (audit_each_breach(w->audit, breach_since_ms(w->ctl), client == NULL,
		client == NULL ? user
			       : breach_client(w->ctl->cfg, client, network),
		take_breach, w, &err) == -1)
		w->rc = ctl_fail_err(w->ctl, &err);
	if (w->json != NULL)
		json_close(w->json, ']');
}

static void
show_denies(struct why *w, const struct addr *client, const char *user)
{
	struct err err;

	if (w->st == NULL)
		return;
	if (w->json != NULL)
		json_open(w->json, "denied", '[');
	if (store_each_deny(
		w->st, client, user, w->ctl->now, take_deny, w, &err) == -1)
		w->rc = ctl_fail_err(w->ctl, &err);
	if (w->json != NULL)
		json_close(w->json, ']');
	show_breaches(w, client, user);
}

/* --- decisions --- */

struct kind {
	const char *verdict, *title;
	int64_t n, messages, last_ms;
	char last_session[64], last_id[64];
};

struct counted {
	struct why *w;
	int64_t n, shown;
	int64_t oldest_id; /* of those that were counted */
	struct kind kind[VERDICTS];
};

static bool
count_decision(void *arg, const struct audit_record *rec)
{
	const char *id = rec->queue_id == NULL ? "" : rec->queue_id;
	struct counted *c = arg;
	struct kind *k = c->kind;

	c->n++;
	c->oldest_id = rec->id;
	while (strcmp(k->verdict, rec->verdict) != 0)
		if (++k == c->kind + VERDICTS)
			return true;
	if (k->n == 0)
		k->last_ms = rec->last_ms;
	k->n += rec->count;
	if (strcmp(k->last_session, rec->session) != 0 ||
	    strcmp(k->last_id, id) != 0) {
		k->messages++;
		(void)snprintf(k->last_session, sizeof(k->last_session), "%s",
		    rec->session);
		(void)snprintf(k->last_id, sizeof(k->last_id), "%s", id);
	}
	return true;
}

static bool
show_decision(void *arg, const struct audit_record *rec)
{
	struct counted *c = arg;

	if (c->w->json != NULL) {
		json_open(c->w->json, NULL, '{');
		json_time(c->w->json, "at", rec->at_ms / 1000);
		json_text(c->w->json, "reason", rec->reason);
		json_text(c->w->json, "client", rec->client);
		json_text(c->w->json, "sender", rec->sender);
		json_text(c->w->json, "recipient", rec->recipient);
		json_text(c->w->json, "user", record_user(rec));
		json_text(c->w->json, "queue_id", rec->queue_id);
		json_text(c->w->json, "reply", rec->reply);
		json_number(c->w->json, "count", rec->count);
		json_close(c->w->json, '}');
		return true;
	}
	record_print(rec, 2);
	if (rec->reply != NULL && *rec->reply != '\0' && c->shown++ == 0) {
		(void)fputs("    told: ", stdout);
		out_text(rec->reply);
		(void)putchar('\n');
	}
	return true;
}

static void
show_kind(struct counted *c, const struct kind *k, struct audit_filter *f,
    bool partly)
{
	struct why *w = c->w;
	char when[TIME_TEXT_MAX];
	struct err err;

	if (w->json != NULL) {
		json_open(w->json, k->verdict, '{');
		json_number(w->json, "recipients", k->n);
		json_bool(w->json, "at_least", partly);
		json_time(w->json, "last_at", k->last_ms / 1000);
		json_open(w->json, "newest", '[');
	} else if (k->n > 0) {
		(void)printf("\n%s: %s%" PRId64 " %s in %" PRId64 " %s, the "
			     "last %s\n",
		    k->title, partly ? "at least " : "", k->n,
		    k->n == 1 ? "recipient" : "recipients", k->messages,
		    k->messages == 1 ? "message" : "messages",
		    time_relative(k->last_ms / 1000, w->ctl->now, when));
	}
	f->verdict = k->verdict;
	f->limit = w->decisions;
	c->shown = 0;
	if (k->n > 0 && w->decisions > 0 &&
	    audit_each(w->audit, f, show_decision, c, &err) == -1)
		w->rc = ctl_fail_err(w->ctl, &err);
	if (w->json != NULL) {
		json_close(w->json, ']');
		json_close(w->json, '}');
	}
}

static void
show_decisions(struct why *w, const struct audit_filter *base)
{
	struct counted c = { .w = w,
		.kind = { { .verdict = "accept", .title = "Accepted" },
		    { .verdict = "reject", .title = "Refused" },
		    { .verdict = "tempfail", .title = "Put off (4xx)" },
		    { .verdict = "would-reject",
			.title = "Not refused, in monitor mode" },
		    { .verdict = "would-tempfail",
			.title = "Not put off, in monitor mode" } } };
	struct audit_filter f = *base;
	struct err err;

	if (w->audit == NULL) {
		if (w->json == NULL)
			(void)printf(
			    "\nDecisions: not known: %s\n", w->audit_why);
		else
			json_text(w->json, "decisions_error", w->audit_why);
		return;
	}
	f.newest_first = true;
	f.limit = w->decisions > COUNT_MAX ? w->decisions : COUNT_MAX;
	if (audit_each(w->audit, &f, count_decision, &c, &err) == -1) {
		w->rc = ctl_fail_err(w->ctl, &err);
		return;
	}
	bool partly = c.n == f.limit;

	if (partly && w->json == NULL)
		(void)printf("\nOf its newest %" PRId64 " decisions:\n", c.n);
	f.after_id = c.oldest_id - 1;
	for (size_t i = 0; i < VERDICTS; i++)
		show_kind(&c, &c.kind[i], &f, partly);
}

/* --- an address --- */

static void
say_address(struct why *w, const struct verdict_question *q,
    const struct verdict_answer *a)
{
	struct verdict_row rows[POLICY_ROWS_MAX];
	char client[ADDR_TEXT_MAX], when[TIME_TEXT_MAX];
	const struct decision *d = &a->decision;
	int n = verdict_rows(w->ctl, q, a, rows);

	addr_format(&q->q.client, client);
	if (d->verdict != VERDICT_ACCEPT)
		(void)printf("%s may not relay now%s.\n", client,
		    d->verdict == VERDICT_TEMPFAIL
			? " (it is asked to try again later)"
			: "");
	else if (d->reason == REASON_RECENT_LOGIN &&
	    d->expires_at < STORE_FOREVER)
		(void)printf("%s may relay until %s.\n", client,
		    time_both(d->expires_at, w->ctl->now, when));
	else
		(void)printf("%s may relay, without an end.\n", client);
	(void)printf("Policy row %d, %s: %s.\n", d->rule,
	    reason_name(d->reason), rows[n - 1].words);
	if (d->reason == REASON_RECENT_LOGIN &&
	    w->ctl->cfg->relay.sender_binding != SENDER_OFF)
		(void)printf(
		    "Only as a sender that its %s may use: "
		    "'popgatectl check --client %s --from SENDER\n--to "
		    "RECIPIENT' asks about one.\n",
		    a->found.users > 1 ? "users" : "user", client);
	if (d->verdict != VERDICT_ACCEPT)
		(void)printf(
		    "It is told: %s %s %s\n", a->code, a->status, a->text);
	if (facts_monitored(w->ctl->cfg, NULL, &q->q.client))
		(void)puts("Monitor mode: popgate only records this, the MTA "
			   "decides alone.");
	if (w->ctl->defaults)
		(void)printf("By the built-in defaults: there is no %s.\n",
		    w->ctl->config_path);
}

static void
address_json(struct why *w, const struct verdict_question *q,
    const struct verdict_answer *a)
{
	struct verdict_row rows[POLICY_ROWS_MAX];
	char client[ADDR_TEXT_MAX];
	int n = verdict_rows(w->ctl, q, a, rows);

	json_text(w->json, "client", addr_format(&q->q.client, client));
	json_bool(w->json, "may_relay", a->decision.verdict == VERDICT_ACCEPT);
	json_text(w->json, "verdict", verdict_name(a->decision.verdict));
	json_text(w->json, "reason", reason_name(a->decision.reason));
	json_number(w->json, "rule", a->decision.rule);
	json_text(w->json, "found", rows[n - 1].words);
	json_time(w->json, "login_at", a->decision.login_at);
	json_time(w->json, "expires_at", a->decision.expires_at);
	json_text(w->json, "reply", *a->text == '\0' ? NULL : a->text);
}

static void
why_address(struct why *w, const struct addr *addr)
{
	struct verdict_question q = { .q.client = *addr,
		.any_sender = true,
		.audit = w->audit,
		.at = w->ctl->now };
	char client[ADDR_TEXT_MAX];
	struct audit_filter f = { .client = addr_format(addr, client) };
	static struct verdict_answer a; /* large for a stack */

	verdict_ask(w->ctl, w->st, &w->store_err, NULL, &q, &a);
	if (w->json != NULL)
		address_json(w, &q, &a);
	else
		say_address(w, &q, &a);
	show_denies(w, addr, NULL);
	show_logins(w, addr, NULL, NULL);
	if (a.decision.verdict != VERDICT_ACCEPT)
		near_show(w->ctl, addr, &a, w->deleted_at, w->json);
	show_decisions(w, &f);
}

/* A network that an admin entered. */
static void
why_network(struct why *w, const struct network *net)
{
	char text[NETWORK_TEXT_MAX];

	network_format(net, text);
	if (w->json != NULL)
		json_text(w->json, "client", text);
	else
		(void)printf("%s is a network: entries of just that text. For "
			     "one client, ask for its\naddress; for all in it: "
			     "popgatectl list --client %s\n",
		    text, text);
	show_logins(w, NULL, text, NULL);
}

/* --- a user, a message --- */

static void
why_user(struct why *w, const char *user)
{
	struct audit_filter f = { .user = user };

	if (w->json != NULL) {
		json_text(w->json, "user", user);
	} else {
		(void)fputs("User ", stdout);
		out_text(user);
		(void)puts(":");
	}
	show_denies(w, NULL, user);
	show_logins(w, NULL, NULL, user);
	show_decisions(w, &f);
}

static bool
show_message_row(void *arg, const struct audit_record *rec)
{
	struct counted *c = arg;
	char buf[TIME_TEXT_MAX];

	if (c->w->json != NULL)
		return show_decision(arg, rec);
	if (c->n++ == 0) {
		(void)fputs("Message ", stdout);
		out_text(rec->queue_id);
		(void)printf(", client %s (", rec->client);
		out_text(rec->client_name);
		(void)fputs(") HELO ", stdout);
		out_text(rec->helo);
		(void)fputs(", MTA ", stdout);
		out_text(rec->mta);
		(void)puts(":");
	}
	record_print(rec, 2);
	(void)printf(
	    "    policy row %" PRId64 ", channel %s", rec->rule, rec->channel);
	if (rec->login_at != 0)
		(void)printf(
		    ", by the login of %s", time_local(rec->login_at, buf));
	(void)putchar('\n');
	return true;
}

static bool
note_any_record(void *arg, const struct audit_record *rec)
{
	(void)rec;
	*(bool *)arg = true;
	return false;
}

/* Returns false when no decision has this queue id.
 *   at  Unix seconds when it was in use, as MTAs use ids again; 0: ever */
static bool
why_message(struct why *w, const char *id, int64_t at)
{
	struct counted c = { .w = w };
	struct audit_filter f = { .queue_id = id, .limit = 1 };
	bool found = false;
	struct err err;

	if (w->audit == NULL)
		return false;
	if (at != 0) {
		f.since_ms = (at - ID_IN_USE_S) * 1000;
		f.until_ms = (at + ID_IN_USE_S) * 1000;
	}
	if (audit_each(w->audit, &f, note_any_record, &found, &err) == -1) {
		w->rc = ctl_fail_err(w->ctl, &err);
		return true;
	}
	if (!found)
		return false;
	f.limit = 0;
	if (w->json != NULL) {
		json_text(w->json, "queue_id", id);
		json_open(w->json, "decisions", '[');
	}
	if (audit_each(w->audit, &f, show_message_row, &c, &err) == -1)
		w->rc = ctl_fail_err(w->ctl, &err);
	if (w->json != NULL)
		json_close(w->json, ']');
	else if (at == 0)
		(void)puts("Say 'popgatectl why ADDRESS' for what that "
			   "client may do now.");
	return true;
}

/* By the MTA's log. Returns false when none is in it. */
static bool
why_message_id(struct why *w, const char *text)
{
	struct messages found;
	char when[TIME_TEXT_MAX];

	w->rc = message_id_find(w->ctl, text, w->log, &found);
	if (w->rc != 0 || found.n == 0)
		return w->rc != 0;
	if (w->json != NULL) {
		json_text(w->json, "message_id", text);
		json_open(w->json, "messages", '[');
	} else {
		(void)printf(
		    "%s%zu %s with this message-id in the mail log; "
		    "it is what the sender\nmade of it, and proves nothing.\n",
		    found.more ? "More than " : "", found.n,
		    found.n == 1 ? "message" : "messages");
	}
	for (size_t i = 0; i < found.n; i++) {
		const struct message *m = &found.v[i];

		if (w->json != NULL) {
			json_open(w->json, NULL, '{');
			json_time(w->json, "at", m->at);
		} else {
			(void)printf("\nQueue id %s, %s\n", m->queue_id,
			    time_both(m->at, w->ctl->now, when));
		}
		if (!why_message(w, m->queue_id, m->at)) {
			if (w->json != NULL)
				json_text(w->json, "queue_id", m->queue_id);
			else
				(void)puts(
				    "  popgate decided nothing of it: "
				    "mail of our own, or from this machine");
		}
		if (w->json != NULL)
			json_close(w->json, '}');
	}
	if (w->json != NULL)
		json_close(w->json, ']');
	return true;
}

static bool
note_any(void *arg, const struct store_row *row)
{
	(void)row;
	*(bool *)arg = true;
	return false;
}

static bool
user_known(struct why *w, const char *user)
{
	struct audit_filter f = { .user = user, .limit = 1 };
	bool known = false;

	if (w->st != NULL)
		(void)store_each_row(
		    w->st, NULL, user, INT64_MIN, note_any, &known, NULL);
	if (!known && w->audit != NULL)
		(void)audit_each(w->audit, &f, note_any_record, &known, NULL);
	return known;
}

static void
why_any(struct why *w, const char *text)
{
	struct network net;
	struct addr addr;

	if (addr_parse_loose(text, &addr))
		why_address(w, &addr);
	else if (network_parse(text, &net))
		why_network(w, &net);
	else if (why_message(w, text, 0) || w->rc != 0)
		return;
	else if (user_known(w, text))
		why_user(w, text);
	else if (strchr(text, '@') == NULL)
		w->rc = ctl_fail(w->ctl, CTL_NONE,
		    "'%.100s' is no IP "
		    "address, and neither a user nor a queue id that is "
		    "recorded",
		    text);
	else if (!why_message_id(w, text))
		w->rc = ctl_fail(w->ctl, CTL_NONE,
		    "'%.100s' is neither a "
		    "user that is recorded nor a message-id in the mail log",
		    text);
}

static int
open_databases(struct why *w)
{
	const struct config *cfg = w->ctl->cfg;
	char text[ERR_TEXT_MAX + 200];
	int rc = 0, rc2;
	struct err err;

	if (store_open(cfg->logins.database, STORE_READ, &w->st,
		&w->store_err) == -1) {
		rc = ctl_database_reason(cfg->logins.database, "login table",
		    STORE_READ, &w->store_err, text, sizeof(text));
		(void)ctl_fail(w->ctl, 0, "%s", text);
		err_set(&w->store_err, w->store_err.code, "%.500s", text);
	}
	if (audit_open_reader(cfg->audit.database, &w->audit, &err) == -1) {
		rc2 = ctl_database_reason(cfg->audit.database,
		    "record of decisions", STORE_READ, &err, w->audit_why,
		    sizeof(w->audit_why));
		/* a gate that never decided anything is no failure */
		if (rc == 0 && rc2 != EX_NOINPUT)
			rc = rc2;
	}
	return rc;
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	struct why w = { .ctl = ctl,
		.events = EVENTS_DEFAULT,
		.decisions = DECISIONS_DEFAULT };
	struct json json = { .to = stdout };
	int rc = ctl_config(ctl);

	if (rc == 0 && args->opt[OPT_EVENTS] != NULL)
		rc = ctl_number(
		    ctl, args->opt[OPT_EVENTS], 0, 1000000, &w.events);
	if (rc == 0 && args->opt[OPT_DECISIONS] != NULL)
		rc = ctl_number(
		    ctl, args->opt[OPT_DECISIONS], 0, 1000000, &w.decisions);
	if (rc != 0)
		return rc;
	w.log = args->opt[OPT_LOG];
	rc = open_databases(&w);
	if (rc == EX_NOPERM && w.st == NULL)
		return rc; /* we don't know; row 7 would be a lie */
	if (args->opt[OPT_JSON] != NULL) {
		w.json = &json;
		json_open(&json, NULL, '{');
	}
	why_any(&w, args->v[0]);
	if (w.json != NULL) {
		json_close(&json, '}');
		json_line(&json);
	}
	store_close(&w.st);
	audit_close_reader(&w.audit);
	return w.rc != 0 ? w.rc : rc;
}

const struct command cmd_why = { .name = "why",
	.args = "ADDRESS|USER|QUEUE-ID|MESSAGE-ID [--json]",
	.summary = "may it relay now, and why: logins, evidence, decisions",
	.help =
	    "For an address: which row of the policy decides now, who "
	    "logged in from there, the\nvery log lines, what was relayed and "
	    "refused; and when it may not relay, what came\nnear. For a "
	    "user: all addresses. For a queue id: each recipient's "
	    "decision; a message-id is looked up\nin the mail log for "
	    "that.\n",
	.options = options,
	.min = 1,
	.max = 1,
	.run = run };
