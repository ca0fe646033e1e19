/* SPDX-License-Identifier: ISC */
/* Questions that are asked, and their order, of a world that answers as the row
 * says. The outcome of the answers is test_policy's. */
#include "tests/unit/unit.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/config/config.h"
#include "common/db/store.h"
#include "common/policy/decide.h"
#include "common/policy/policy.h"

static const char conf[] =
    "relay: { local_domains = [ \"ours.test\" ];"
    " trusted_networks = [ \"10.0.0.0/8\" ]; never_authorize = [ \"192.0.2.66\" ];"
    " monitor_networks = [ \"198.51.100.0/24\" ]; collector_grace = \"%s\"; };\n";

enum { NOW = 1000 };

enum table { HAS_NOTHING, HAS_EXPIRED, HAS_LOGIN, HAS_TWO, DENIES, FAILS };

/* A letter a question: L look-up, c collector, f families, t table done, b
 * breached, r recordable, w within the limits. */
static const struct row {
	const char *name;
	const char *client, *recipient, *auth_user;
	enum table table;
	bool no_grace, own_address, behind; /* behind: the collector is */
	/* what goes wrong */
	bool collector_fails, families_fail, breached, unrecordable, over;
	const char *want_asked, *want_users;
	enum reason want;
	int want_rule;
} table[] = {
	{ .name = "our own mail asks nobody",
	    .recipient = "a@ours.test",
	    .want_asked = "",
	    .want = REASON_LOCAL_RECIPIENT,
	    .want_rule = 1 },
	{ .name = "with a login that counts the collector isn't asked about",
	    .table = HAS_LOGIN,
	    .want_asked = "Ltbrw",
	    .want_users = "alice",
	    .want = REASON_RECENT_LOGIN,
	    .want_rule = 10 },
	{ .name = "an expired login asks for the collector, not for families",
	    .table = HAS_EXPIRED,
	    .want_asked = "Lctb",
	    .want_users = "alice",
	    .want = REASON_LOGIN_EXPIRED,
	    .want_rule = 11 },
	{ .name = "no login asks for both",
	    .want_asked = "Lcftb",
	    .want = REASON_NO_LOGIN,
	    .want_rule = 13 },
	{ .name = "no grace, no question for the collector",
	    .no_grace = true,
	    .want_asked = "Lftb",
	    .want = REASON_NO_LOGIN,
	    .want_rule = 13 },
	{ .name = "no login that the collector may not have read yet",
	    .behind = true,
	    .want_asked = "Lcftb",
	    .want = REASON_COLLECTOR_BEHIND,
	    .want_rule = 12 },
	{ .name = "a hint that can't be had is none",
	    .families_fail = true,
	    .want_asked = "Lcftb",
	    .want = REASON_NO_LOGIN,
	    .want_rule = 13 },
	{ .name = "a collector that can't be asked about is a table that fails",
	    .collector_fails = true,
	    .want_asked = "LcTb",
	    .want = REASON_STORE_UNAVAILABLE,
	    .want_rule = 7 },
	{ .name = "the same is of no matter to a login",
	    .table = HAS_LOGIN,
	    .collector_fails = true,
	    .want_asked = "Ltbrw",
	    .want_users = "alice",
	    .want = REASON_RECENT_LOGIN,
	    .want_rule = 10 },
	{ .name = "a table that fails keeps nobody from AUTH",
	    .table = FAILS,
	    .auth_user = "carol",
	    .want_asked = "LTbrw",
	    .want = REASON_AUTHENTICATED,
	    .want_rule = 3 },
	{ .name = "nor from being denied for a breach",
	    .table = FAILS,
	    .auth_user = "carol",
	    .breached = true,
	    .want_asked = "LTb",
	    .want = REASON_DENIED,
	    .want_rule = 2 },
	{ .name = "who is denied isn't asked for breaches, nor counted",
	    .table = DENIES,
	    .auth_user = "carol",
	    .want_asked = "Lcft",
	    .want = REASON_DENIED,
	    .want_rule = 2 },
	{ .name = "a relay that can't be recorded isn't counted",
	    .table = HAS_LOGIN,
	    .unrecordable = true,
	    .over = true,
	    .want_asked = "Ltbr",
	    .want_users = "alice",
	    .want = REASON_AUDIT_UNAVAILABLE,
	    .want_rule = 10 },
	{ .name = "the limits come last",
	    .table = HAS_TWO,
	    .over = true,
	    .want_asked = "Ltbrw",
	    .want_users = "alice,bob",
	    .want = REASON_RATE_LIMITED,
	    .want_rule = 9 },
	{ .name = "bystanders are not named",
	    .client = "10.1.1.1",
	    .table = HAS_TWO,
	    .want_asked = "Ltbrw",
	    .want = REASON_TRUSTED_NETWORK,
	    .want_rule = 5 },
	{ .name = "our own address proves nothing",
	    .table = HAS_LOGIN,
	    .own_address = true,
	    .want_asked = "Ltb",
	    .want_users = "alice",
	    .want = REASON_NO_CLIENT_IDENTITY,
	    .want_rule = 6 },
	{ .name = "nor does an address of relay.never_authorize",
	    .client = "192.0.2.66",
	    .table = HAS_LOGIN,
	    .want_asked = "Ltb",
	    .want_users = "alice",
	    .want = REASON_NO_CLIENT_IDENTITY,
	    .want_rule = 6 },
	{ .name = "who is only watched is asked about alike",
	    .client = "198.51.100.1",
	    .want_asked = "Lcftb",
	    .want = REASON_NO_LOGIN,
	    .want_rule = 13 },
};

struct world {
	const struct row *row;
	struct store_lookup found;
	char asked[16];
};

static void
asked(struct world *w, char question)
{
	size_t n = strlen(w->asked);

	assert_true(n < sizeof(w->asked) - 1);
	w->asked[n] = question;
}

static int
look_up(void *arg, const struct decide_answer *answer, struct store **st_r,
    const struct store_lookup **found_r, struct err *err)
{
	struct world *w = arg;
	bool active = w->row->table == HAS_LOGIN || w->row->table == HAS_TWO;

	asked(w, 'L');
	if (w->row->auth_user == NULL)
		assert_null(answer->auth_user);
	else
		assert_string_equal(answer->auth_user, w->row->auth_user);
	if (w->row->table == FAILS) {
		err_set(err, ERR_IO, "no table");
		return -1;
	}
	w->found = (struct store_lookup){ .active = active,
		.rows = active ? 1 : 0,
		.users = active ? 1 : 0,
		.denied = w->row->table == DENIES };
	if (active || w->row->table == HAS_EXPIRED) {
		(void)strcpy(w->found.user, "alice");
		w->found.last_at = 900;
		w->found.expires_at = active ? 2000 : 950;
	}
	if (active)
		(void)strcpy(w->found.login_users,
		    w->row->table == HAS_TWO ? "alice,bob" : "alice");
	*st_r = NULL; /* nothing here is asked of the store itself */
	*found_r = &w->found;
	return 0;
}

static int
read_at(void *arg, struct store *st, int64_t *read_at_r, struct err *err)
{
	struct world *w = arg;

	(void)st;
	asked(w, 'c');
	*read_at_r = w->row->behind ? NOW - 61 : NOW;
	if (w->row->collector_fails)
		err_set(err, ERR_IO, "no sources");
	return w->row->collector_fails ? -1 : 0;
}

static int
families(void *arg, struct store *st, bool *ipv4_r, bool *ipv6_r)
{
	struct world *w = arg;

	(void)st;
	asked(w, 'f');
	*ipv4_r = *ipv6_r = true;
	return w->row->families_fail ? -1 : 0;
}

static void
table_done(void *arg, const struct err *err)
{
	asked(arg, err == NULL ? 't' : 'T');
}

static bool
breached(void *arg, const char *auth_user, char *login_users)
{
	struct world *w = arg;

	asked(w, 'b');
	/* of one or the other, never of both */
	assert_true(auth_user == NULL || login_users == NULL);
	return w->row->breached;
}

static bool
recordable(void *arg)
{
	struct world *w = arg;

	asked(w, 'r');
	return !w->row->unrecordable;
}

static bool
within_limits(void *arg, struct decide_answer *answer)
{
	struct world *w = arg;

	asked(w, 'w');
	assert_int_equal(answer->decision.verdict, VERDICT_ACCEPT);
	return !w->row->over;
}

static const struct decide_ops ops = {
	.look_up = look_up,
	.read_at = read_at,
	.families = families,
	.table_done = table_done,
	.breached = breached,
	.recordable = recordable,
	.within_limits = within_limits,
};

static void
check_row(const struct row *row, const struct config *cfg,
    const struct facts_lists *lists)
{
	struct world w = { .row = row };
	const char *client = row->client == NULL ? "192.0.2.1" : row->client;
	struct facts_question q = { .sender = "a@b.test",
		.recipient =
		    row->recipient == NULL ? "x@far.test" : row->recipient,
		.auth_type = "PLAIN",
		.auth_user = row->auth_user };
	const struct decide_question question = { .cfg = cfg,
		.lists = lists,
		.q = &q,
		.own_address = row->own_address,
		.at_ms = NOW * 1000,
		.now = NOW };
	struct decide_answer got;

	assert_true(addr_parse_loose(client, &q.client));
	decide(&question, &ops, &w, &got);
	if (strcmp(w.asked, row->want_asked) != 0 ||
	    got.decision.reason != row->want)
		fail_msg("%s: asked \"%s\", want \"%s\": %s", row->name,
		    w.asked, row->want_asked, reason_name(got.decision.reason));
	bool accept = got.decision.verdict == VERDICT_ACCEPT;

	/* what is accepted, what is refused for good, and what for now */
	const struct policy_row *refusal = policy_refusal(row->want);

	assert_int_equal(got.decision.verdict,
	    refusal == NULL ? VERDICT_ACCEPT : refusal->verdict);
	if (row->want == REASON_LOGIN_EXPIRED)
		assert_contains(got.text, "50 seconds ago");
	assert_int_equal(got.at_ms, question.at_ms);
	assert_int_equal(got.decision.rule, row->want_rule);
	assert_string_equal(
	    got.login_users, row->want_users == NULL ? "" : row->want_users);
	assert_int_equal(got.monitored, strncmp(client, "198.", 4) == 0);
	assert_int_equal(got.refuse, !accept && !got.monitored);
	assert_int_equal(*got.code == '\0', accept);
	assert_int_equal(got.local, row->want == REASON_LOCAL_RECIPIENT);
	if (row->want == REASON_NO_LOGIN)
		assert_int_equal(
		    got.decision.other_family, !row->families_fail);
}

static void
order(void **state)
{
	(void)state;
	for (int no_grace = 0; no_grace < 2; no_grace++) {
		char text[sizeof(conf) + 16];
		struct facts_lists lists;
		struct config *cfg;
		struct err err;

		(void)snprintf(
		    text, sizeof(text), conf, no_grace ? "0s" : "60s");
		const char *path = unit_file(0, text);

		if (config_load(path, &cfg, &err) == -1 ||
		    facts_lists_load(cfg, &lists, &err) == -1)
			fail_msg("%s", err.text);
		for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
			if (table[i].no_grace == no_grace)
				check_row(&table[i], cfg, &lists);
		facts_lists_release(&lists);
		config_free(cfg);
		(void)unlink(path);
	}
}

/* --- the table is asked about the second of the question --- */

/* A user's own address is the one sender: lists and the table, which is made. */
static struct store *
bind_senders(const char *db, struct config **cfg, struct facts_lists *lists)
{
	const char *path = unit_file(0,
	    "relay: { sender_binding = \"address\";"
	    " sender_addresses = [ \"user\" ]; };\n");
	struct store *st = NULL;
	struct err err;

	if (config_load(path, cfg, &err) == -1 ||
	    facts_lists_load(*cfg, lists, &err) == -1 ||
	    store_open(db, STORE_WRITE, &st, &err) == -1)
		fail_msg("%s", err.text);
	(void)unlink(path);
	return st;
}

struct tabled {
	struct world w;
	struct store *st;
};

static int
look_up_tabled(void *arg, const struct decide_answer *answer,
    struct store **st_r, const struct store_lookup **found_r, struct err *err)
{
	struct tabled *t = arg;

	assert_int_equal(look_up(&t->w, answer, st_r, found_r, err), 0);
	t->w.found.rows = 2;
	*st_r = t->st;
	return 0;
}

static void
users_of_this_second(void **state)
{
	static const struct row row = { .name = "several users",
		.table = HAS_TWO };
	/* a login counts until its end, and not in that second */
	static const struct {
		const char *user;
		int64_t until;
		enum reason want;
	} rows[] = { { "still@a.test", NOW + 1, REASON_RECENT_LOGIN },
		{ "over@a.test", NOW, REASON_SENDER_MISMATCH } };
	static const struct store_evidence ev = {
		.source = "test", .line = "x", .line_len = 1
	};
	struct decide_ops tabled_ops = ops;
	struct tabled t = { .w = { .row = &row } };
	char db[96], command[100];
	const char *dir = unit_memory_dir();
	struct facts_lists lists;
	struct config *cfg;
	struct network net;
	struct err err;

	(void)state;
	tabled_ops.look_up = look_up_tabled;
	(void)snprintf(db, sizeof(db), "%s/logins.db", dir);
	t.st = bind_senders(db, &cfg, &lists);
	assert_true(network_parse("192.0.2.1", &net));
	assert_int_equal(store_begin(t.st, &err), 0);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct login login = { .at = 900,
			.service = "imap",
			.server = "dovecot",
			.client = net.base };

		(void)snprintf(
		    login.user, sizeof(login.user), "%s", rows[i].user);
		assert_int_equal(
		    store_login(t.st, &login, &net, rows[i].until, &ev, &err),
		    0);
	}
	assert_int_equal(store_commit(t.st, &err), 0);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct facts_question q = { .sender = rows[i].user,
			.recipient = "x@far.test",
			.client = net.base };
		const struct decide_question question = { .cfg = cfg,
			.lists = &lists,
			.q = &q,
			.at_ms = NOW * 1000,
			.now = NOW };
		struct decide_answer got;

		ROW("%s", rows[i].user);
		memset(t.w.asked, 0, sizeof(t.w.asked));
		decide(&question, &tabled_ops, &t, &got);
		assert_int_equal(got.decision.reason, rows[i].want);
	}
	facts_lists_release(&lists);
	config_free(cfg);
	store_close(&t.st);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	assert_int_equal(system(command), 0);
}

/* --- what can't be known is never refused for good, and never relayed --- */

/* A world with a table that fails when it is asked for its users. */
struct broken {
	struct world w;
	struct store *st;
};

static int
look_up_broken(void *arg, const struct decide_answer *answer,
    struct store **st_r, const struct store_lookup **found_r, struct err *err)
{
	struct broken *b = arg;

	if (look_up(&b->w, answer, st_r, found_r, err) == -1)
		return -1;
	b->w.found.rows = 2;
	*st_r = b->st;
	return 0;
}

static void
table_that_fails_later(void **state)
{
	static const struct row row = { .name = "several users",
		.table = HAS_TWO };
	struct decide_ops broken_ops = ops;
	struct broken b = { .w = { .row = &row } };
	char db[96], command[100];
	const char *dir = unit_memory_dir();
	struct facts_lists lists;
	struct decide_answer got;
	struct config *cfg;
	sqlite3 *other;

	(void)state;
	broken_ops.look_up = look_up_broken;
	(void)snprintf(db, sizeof(db), "%s/logins.db", dir);
	b.st = bind_senders(db, &cfg, &lists);
	assert_int_equal(sqlite3_open(db, &other), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(other, "DROP TABLE login", NULL, NULL, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	struct facts_question q = { .sender = "a@b.test",
		.recipient = "x@far.test" };
	const struct decide_question question = { .cfg = cfg,
		.lists = &lists,
		.q = &q,
		.at_ms = NOW * 1000,
		.now = NOW };

	assert_true(addr_parse_loose("192.0.2.1", &q.client));
	decide(&question, &broken_ops, &b, &got);
	assert_string_equal(b.w.asked, "LTb");
	assert_int_equal(got.decision.verdict, VERDICT_TEMPFAIL);
	assert_int_equal(got.decision.reason, REASON_STORE_UNAVAILABLE);
	assert_true(got.refuse);
	facts_lists_release(&lists);
	config_free(cfg);
	store_close(&b.st);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	assert_int_equal(system(command), 0);
}

/* A Postfix whose list of domains can't be read: its postconf says so. */
static void
recipient_that_may_be_ours(void **state)
{
	static const struct {
		const char *name, *auth_user, *client;
		enum table table;
		enum verdict want;
		enum reason want_reason;
	} rows[] = {
		{ "a stranger may write to us", NULL, "192.0.2.1", HAS_NOTHING,
		    VERDICT_TEMPFAIL, REASON_DOMAIN_UNKNOWN },
		{ "so may one who is denied", NULL, "192.0.2.1", DENIES,
		    VERDICT_TEMPFAIL, REASON_DOMAIN_UNKNOWN },
		{ "who may relay, may", "carol", "192.0.2.1", HAS_NOTHING,
		    VERDICT_ACCEPT, REASON_AUTHENTICATED },
		{ "what is a temporary failure stays the same one", NULL,
		    "192.0.2.1", FAILS, VERDICT_TEMPFAIL,
		    REASON_STORE_UNAVAILABLE },
	};
	static char old_path[4000], new_path[4200];
	const char *dir = unit_dir();
	char path[100], text[300];
	struct facts_lists lists;
	struct config *cfg;
	struct err err;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/postconf", dir);
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	(void)fputs("#!/bin/sh\nshift 3\ncase $1 in\n"
		    "mydestination) echo /nonexistent/list;;\nesac\n",
	    out);
	(void)fclose(out);
	assert_int_equal(chmod(path, 0755), 0);
	(void)snprintf(old_path, sizeof(old_path), "%s", getenv("PATH"));
	(void)snprintf(new_path, sizeof(new_path), "%s:%s", dir, old_path);
	(void)setenv("PATH", new_path, 1);
	(void)snprintf(text, sizeof(text),
	    "relay: { local_domains = [ \"postfix:%s\" ]; };\n", dir);
	const char *conf_path = unit_file(0, text);

	if (config_load(conf_path, &cfg, &err) == -1 ||
	    facts_lists_load(cfg, &lists, &err) == -1)
		fail_msg("%s", err.text);
	(void)unlink(conf_path);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		const struct row row = { .table = rows[i].table,
			.auth_user = rows[i].auth_user };
		struct world w = { .row = &row };
		struct facts_question q = { .sender = "a@b.test",
			.recipient = "x@far.test",
			.auth_type = "PLAIN",
			.auth_user = rows[i].auth_user };
		const struct decide_question question = { .cfg = cfg,
			.lists = &lists,
			.q = &q,
			.at_ms = NOW * 1000,
			.now = NOW };
		struct decide_answer got;

		ROW("%s", rows[i].name);
		assert_true(addr_parse_loose(rows[i].client, &q.client));
		decide(&question, &ops, &w, &got);
		assert_int_equal(got.decision.verdict, rows[i].want);
		assert_int_equal(got.decision.reason, rows[i].want_reason);
	}
	facts_lists_release(&lists);
	config_free(cfg);
	(void)setenv("PATH", old_path, 1);
	(void)unlink(path);
	(void)rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order),
		cmocka_unit_test(users_of_this_second),
		cmocka_unit_test(table_that_fails_later),
		cmocka_unit_test(recipient_that_may_be_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
