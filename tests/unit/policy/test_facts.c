/* SPDX-License-Identifier: ISC */
/* Facts, and things that prove nothing: each setting and each thing that a
 * session shows, beside the ones that nearly do. */
#include "tests/unit/unit.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/config/config.h"
#include "common/db/store.h"
#include "common/policy/facts.h"

enum { NOW = 1000 };

/* --- helpers --- */

static struct config *
load(const char *relay)
{
	char text[2000];
	struct config *cfg;
	struct err err;

	(void)snprintf(text, sizeof(text), "relay: { %s };\n", relay);
	const char *path = unit_file(0, text);

	if (config_load(path, &cfg, &err) == -1)
		fail_msg("%s", err.text);
	(void)unlink(path);
	return cfg;
}

static struct addr
addr(const char *text)
{
	struct addr a;

	assert_true(addr_parse_loose(text, &a));
	return a;
}

struct said {
	int n;
	char text[4][600];
};

static void
say(void *arg, const char *text)
{
	struct said *s = arg;

	assert_true(s->n < 4);
	(void)snprintf(s->text[s->n++], sizeof(s->text[0]), "%s", text);
}

static char dir[64], db[96];

struct on_table {
	const char *client, *user;
	int64_t until;
};

/* A login table with some users at some clients. */
static struct store *
table_of(const struct on_table *rows, size_t n)
{
	struct store *st;
	struct err err;

	(void)snprintf(dir, sizeof(dir), "%s", unit_memory_dir());
	(void)snprintf(db, sizeof(db), "%s/logins.db", dir);
	if (store_open(db, STORE_WRITE, &st, &err) == -1)
		fail_msg("%s", err.text);
	assert_int_equal(store_begin(st, &err), 0);
	for (size_t i = 0; i < n; i++) {
		static const struct store_evidence ev = {
			.source = "test", .line = "x", .line_len = 1
		};
		struct login login = {
			.at = 900, .service = "imap", .server = "dovecot"
		};
		struct network net;

		assert_true(network_parse(rows[i].client, &net));
		login.client = net.base;
		(void)snprintf(
		    login.user, sizeof(login.user), "%s", rows[i].user);
		assert_int_equal(
		    store_login(st, &login, &net, rows[i].until, &ev, &err), 0);
	}
	assert_int_equal(store_commit(st, &err), 0);
	return st;
}

static void
remove_table(struct store **st)
{
	char command[100];

	store_close(st);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	assert_int_equal(system(command), 0);
}

/* --- what the session shows --- */

static void
authenticated(void **state)
{
	static const struct {
		const char *type, *user;
		bool want;
	} rows[] = {
		{ "PLAIN", "alice", true },
		{ "plain", "alice", true },
		{ "SCRAM-SHA-256-PLUS", "alice", true },
		{ "X_9", "alice", true },
		{ "X", "alice", true },
		{ "ABCDEFGHIJKLMNOPQRST", "alice", true },
		{ "ABCDEFGHIJKLMNOPQRSTU", "alice", false },
		{ NULL, "alice", false },
		{ "", "alice", false },
		{ "PLAIN", NULL, false },
		{ "PLAIN", "", false },
		{ "PLA IN", "alice", false },
		{ "PLAIN ", "alice", false },
		{ "*", "alice", false },
		{ "ANONYMOUS", "alice", false },
		{ "anonymous", "alice", false },
		{ "ANONYMOU", "alice", true },
		{ NULL, NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		const struct facts_question q = { .auth_type = rows[i].type,
			.auth_user = rows[i].user };

		ROW("%s, %s", rows[i].type == NULL ? "NULL" : rows[i].type,
		    rows[i].user == NULL ? "NULL" : rows[i].user);
		assert_int_equal(facts_authenticated(&q), rows[i].want);
		if (rows[i].want)
			assert_string_equal(
			    facts_denied_user(&q), rows[i].user);
		else
			assert_null(facts_denied_user(&q));
	}
}

static void
monitored(void **state)
{
	static const char enforce[] =
	    "monitor_networks = [ \"198.51.100.0/24\" ];"
	    " monitor_listeners = [ \"policy\" ];";
	static const struct {
		const char *relay, *listener, *client;
		bool want;
	} rows[] = {
		{ enforce, "milter", "192.0.2.1", false },
		{ enforce, "milter", "198.51.100.1", true },
		{ enforce, "policy", "192.0.2.1", true },
		{ enforce, "socketmap", "192.0.2.1", false },
		{ enforce, NULL, "192.0.2.1", false },
		{ enforce, NULL, "198.51.100.1", true },
		{ "monitor_listeners = [ \"policy\", \"socketmap\" ];",
		    "socketmap", "192.0.2.1", true },
		{ "mode = \"monitor\";", "milter", "192.0.2.1", true },
		{ "mode = \"monitor\";", NULL, "192.0.2.1", true },
		{ "", "milter", "192.0.2.1", false },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct config *cfg = load(rows[i].relay);
		struct addr client = addr(rows[i].client);

		ROW("%s: %s, %s", rows[i].relay,
		    rows[i].listener == NULL ? "any" : rows[i].listener,
		    rows[i].client);
		assert_int_equal(
		    facts_monitored(cfg, rows[i].listener, &client),
		    rows[i].want);
		config_free(cfg);
	}
}

/* Row 8 before the table is asked: only "not bound" and "may use any" are
 * good; a sender that isn't known is never good where one is bound. */
static void
senders(void **state)
{
	static const struct {
		const char *relay, *sender;
		bool any_sender;
		enum policy_sender want;
	} rows[] = {
		{ "", "a@b.test", false, POLICY_SENDER_GOOD },
		{ "", NULL, false, POLICY_SENDER_GOOD },
		{ "", "", false, POLICY_SENDER_GOOD },
#define BOUND "sender_binding = \"address\"; sender_addresses = [ \"user\" ]; "
		{ BOUND, "a@b.test", false, POLICY_SENDER_UNKNOWN },
		{ BOUND, NULL, false, POLICY_SENDER_UNKNOWN },
		{ BOUND, "", false, POLICY_SENDER_GOOD },
		{ BOUND, "a@b.test", true, POLICY_SENDER_GOOD },
		{ BOUND, NULL, true, POLICY_SENDER_GOOD },
#define NO_NULL "null_sender = \"reject\"; "
		{ NO_NULL, "", false, POLICY_SENDER_FOREIGN },
		{ NO_NULL, "a@b.test", false, POLICY_SENDER_GOOD },
		/* it may be the null sender */
		{ NO_NULL, NULL, false, POLICY_SENDER_UNKNOWN },
		{ BOUND NO_NULL, "", false, POLICY_SENDER_FOREIGN },
		{ BOUND NO_NULL, "a@b.test", false, POLICY_SENDER_UNKNOWN },
		{ BOUND NO_NULL, NULL, false, POLICY_SENDER_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct config *cfg = load(rows[i].relay);
		const struct facts_question q = { .client = addr("192.0.2.1"),
			.sender = rows[i].sender,
			.any_sender = rows[i].any_sender };
		struct policy_facts got;

		ROW("%s: %s", rows[i].relay,
		    rows[i].sender == NULL ? "NULL" : rows[i].sender);
		facts_ask(cfg, NULL, false, &q, &got);
		assert_int_equal(got.sender, rows[i].want);
		config_free(cfg);
	}
}

static void
asked(void **state)
{
	struct config *cfg = load(
	    "local_domains = [ \"ours.test\" ];"
	    " trusted_networks = [ \"10.0.0.0/8\" ];"
	    " never_authorize = [ \"192.0.2.66\" ];"
	    " proxy_networks = [ \"192.0.2.77\" ];"
	    " certificates = ( { subject = \"CN=a\"; issuer = \"CN=ca\"; } );");
	const struct certificate listed = { .subject = "CN=a",
		.issuer = "CN=ca" },
				 other = { .subject = "CN=b",
					 .issuer = "CN=ca" };
	const struct {
		const char *name, *client, *recipient;
		const struct certificate *certificate;
		bool vouched, own, want_local, want_certificate, want_trusted,
		    want_identified;
	} rows[] = {
		{ "a stranger", "192.0.2.1", "x@far.test", NULL, false, false,
		    false, false, false, true },
		{ "no recipient", "192.0.2.1", NULL, NULL, false, false, false,
		    false, false, true },
		{ "to us", "192.0.2.1", "x@ours.test", NULL, false, false, true,
		    false, false, true },
		{ "its certificate is listed", "192.0.2.1", NULL, &listed,
		    false, false, false, true, false, true },
		{ "another certificate", "192.0.2.1", NULL, &other, false,
		    false, false, false, false, true },
		{ "the MTA vouches", "192.0.2.1", NULL, &other, true, false,
		    false, true, false, true },
		{ "trusted", "10.1.2.3", NULL, NULL, false, false, false, false,
		    true, true },
		{ "our own address", "192.0.2.1", NULL, NULL, false, true,
		    false, false, false, false },
		{ "never authorized", "192.0.2.66", NULL, NULL, false, false,
		    false, false, false, false },
		{ "a proxy", "192.0.2.77", NULL, NULL, false, false, false,
		    false, false, false },
		{ "no address", NULL, NULL, NULL, false, false, false, false,
		    false, false },
	};
	struct facts_lists lists;
	struct err err;

	(void)state;
	assert_int_equal(facts_lists_load(cfg, &lists, &err), 0);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct facts_question q = { .recipient = rows[i].recipient,
			.sender = "a@b.test",
			.certificate = rows[i].certificate,
			.vouched = rows[i].vouched };
		struct policy_facts got;

		ROW("%s", rows[i].name);
		if (rows[i].client != NULL)
			q.client = addr(rows[i].client);
		facts_ask(cfg, &lists, rows[i].own, &q, &got);
		assert_int_equal(got.recipient_local, rows[i].want_local);
		assert_false(got.recipient_unknown);
		assert_int_equal(got.certificate, rows[i].want_certificate);
		assert_int_equal(got.trusted, rows[i].want_trusted);
		assert_int_equal(got.identified, rows[i].want_identified);
		assert_int_equal(got.store, POLICY_STORE_UNASKED);
		assert_false(got.authenticated);
		assert_false(got.login_active);
		assert_true(got.within_limits);
	}
	facts_lists_release(&lists);
	config_free(cfg);
}

static void
refused_addresses(void **state)
{
	struct config *cfg = load("never_authorize = [ \"192.0.2.66\", \"own\" "
				  "]; proxy_networks = [ \"192.0.2.77\" ];");
	struct config *without = load("never_authorize = [ ];");
	struct network_set own = { 0 };
	struct network net;
	const struct {
		const char *client;
		enum fate want, want_unasked;
	} rows[] = {
		{ "192.0.2.66", FATE_NEVER_AUTHORIZE, FATE_NEVER_AUTHORIZE },
		{ "192.0.2.5", FATE_OWN_ADDRESS, FATE_NONE },
		{ "192.0.2.77", FATE_PROXY, FATE_PROXY },
		{ "192.0.2.1", FATE_NONE, FATE_NONE },
	};

	(void)state;
	assert_true(network_parse("192.0.2.5", &net));
	assert_true(network_set_add(&own, &net));
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct addr client = addr(rows[i].client);

		ROW("%s", rows[i].client);
		assert_int_equal(
		    facts_refused_address(cfg, &own, &client), rows[i].want);
		assert_int_equal(facts_refused_address(cfg, NULL, &client),
		    rows[i].want_unasked);
		/* without "own" in the list our own are like any */
		assert_int_equal(
		    facts_refused_address(without, &own, &client), FATE_NONE);
	}
	network_set_release(&own);
	config_free(cfg);
	config_free(without);
}

/* --- what the login table says --- */

struct found_row {
	const char *name, *relay;
	struct store_lookup found;
	bool authenticated, certificate, trusted; /* what else is shown */
	bool want_denied, want_shared, want_active, want_seen;
};

#define REFUSED "shared_address_users = 3; shared_address = \"refuse\";"

static const struct found_row found_rows[] = {
	{ .name = "nothing", .relay = "" },
	{ .name = "a login",
	    .relay = REFUSED,
	    .found = { .active = true,
		.rows = 1,
		.last_at = 700,
		.expires_at = 2000 },
	    .want_active = true,
	    .want_seen = true },
	{ .name = "an expired one",
	    .relay = REFUSED,
	    .found = { .expires_at = 900 },
	    .want_seen = true },
	{ .name = "a denied client",
	    .relay = "",
	    .found = { .denied = true },
	    .want_denied = true },
	{ .name = "a denied client, whatever it shows",
	    .relay = "",
	    .found = { .denied = true },
	    .authenticated = true,
	    .certificate = true,
	    .trusted = true,
	    .want_denied = true },
	{ .name = "a denied user's login",
	    .relay = "",
	    .found = { .login_denied = true },
	    .want_denied = true },
	{ .name = "the same, with AUTH",
	    .relay = "",
	    .found = { .login_denied = true },
	    .authenticated = true },
	{ .name = "the same, with a certificate",
	    .relay = "",
	    .found = { .login_denied = true },
	    .certificate = true },
	{ .name = "the same, from a trusted network",
	    .relay = "",
	    .found = { .login_denied = true },
	    .trusted = true },
	{ .name = "as many users as may share",
	    .relay = REFUSED,
	    .found = { .active = true,
		.rows = 2,
		.sharing = 3,
		.expires_at = 2000 },
	    .want_active = true,
	    .want_seen = true },
	{ .name = "one too many",
	    .relay = REFUSED,
	    .found = { .active = true,
		.rows = 2,
		.sharing = 4,
		.expires_at = 2000 },
	    .want_shared = true,
	    .want_active = true,
	    .want_seen = true },
	{ .name = "one too many, none of whom counts",
	    .relay = REFUSED,
	    .found = { .sharing = 4, .expires_at = 900 },
	    .want_seen = true },
	{ .name = "one too many, of whom an admin knows",
	    .relay = REFUSED,
	    .found = { .active = true,
		.rows = 2,
		.sharing = 4,
		.manual = true,
		.expires_at = 2000 },
	    .want_active = true,
	    .want_seen = true },
	{ .name = "one too many where that is only said",
	    .relay = "shared_address_users = 3;",
	    .found = { .active = true,
		.rows = 2,
		.sharing = 4,
		.expires_at = 2000 },
	    .want_active = true,
	    .want_seen = true },
	/* the table isn't asked: there is none here */
	{ .name = "as many as need no count of those that weren't read",
	    .relay = "shared_address_users = 99; shared_address = \"refuse\";",
	    .found = { .active = true,
		.rows = 2,
		.sharing = 99,
		.crowded = true,
		.expires_at = 2000 },
	    .want_active = true,
	    .want_seen = true },
	{ .name = "more than were read, as far as it goes",
	    .relay = REFUSED,
	    .found = { .active = true,
		.rows = 2,
		.sharing = 4,
		.crowded = true,
		.expires_at = 2000 },
	    .want_shared = true,
	    .want_active = true,
	    .want_seen = true },
};

static void
found(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(found_rows); i++) {
		const struct found_row *row = &found_rows[i];
		struct config *cfg = load(row->relay);
		const struct facts_question q = { .client = addr("192.0.2.1") };
		struct policy_facts got = { .authenticated = row->authenticated,
			.certificate = row->certificate,
			.trusted = row->trusted };
		struct err err;

		ROW("%s", row->name);
		assert_int_equal(facts_found(NULL, cfg, NULL, &q, &row->found,
				     NOW, &got, &err),
		    0);
		assert_int_equal(got.store, POLICY_STORE_ANSWERED);
		assert_int_equal(got.denied, row->want_denied);
		assert_int_equal(got.shared, row->want_shared);
		assert_int_equal(got.login_active, row->want_active);
		assert_int_equal(got.login_seen, row->want_seen);
		assert_int_equal(got.login_at, row->found.last_at);
		assert_int_equal(got.expires_at, row->found.expires_at);
		config_free(cfg);
	}
}

/* Of several users any one will do that may use the sender, and whose login
 * counts now. */
static void
bound_senders(void **state)
{
	static const struct on_table rows[] = {
		{ "192.0.2.1", "alice@a.test", 2000 },
		{ "192.0.2.1", "bob@a.test", 2000 },
		{ "192.0.2.1", "old@a.test", 950 },
		{ "2001:db8:1::/64", "carol@a.test", 2000 },
		{ "2001:db8:1::/64", "dave@a.test", 2000 },
	};
	static const struct {
		const char *client, *sender, *user; /* NULL: several */
		enum policy_sender want;
	} asks[] = {
		{ "192.0.2.1", "alice@a.test", NULL, POLICY_SENDER_GOOD },
		{ "192.0.2.1", "bob@a.test", NULL, POLICY_SENDER_GOOD },
		{ "192.0.2.1", "old@a.test", NULL, POLICY_SENDER_FOREIGN },
		{ "192.0.2.1", "carol@a.test", NULL, POLICY_SENDER_FOREIGN },
		{ "192.0.2.1", "x@a.test", NULL, POLICY_SENDER_FOREIGN },
		{ "192.0.2.2", "alice@a.test", NULL, POLICY_SENDER_FOREIGN },
		{ "2001:db8:1::9", "carol@a.test", NULL, POLICY_SENDER_GOOD },
		{ "2001:db8:1::9", "dave@a.test", NULL, POLICY_SENDER_GOOD },
		{ "2001:db8:2::9", "dave@a.test", NULL, POLICY_SENDER_FOREIGN },
		{ "192.0.2.1", "alice@a.test", "alice@a.test",
		    POLICY_SENDER_GOOD },
		/* of one user the table isn't asked for others */
		{ "192.0.2.1", "bob@a.test", "alice@a.test",
		    POLICY_SENDER_FOREIGN },
	};
	struct store *st = table_of(rows, LENGTH(rows));
	struct config *cfg = load(
	    "sender_binding = \"address\"; sender_addresses = [ \"user\" ]; "
	    "ipv6_prefix = 64;");
	struct facts_lists lists;
	struct err err;

	(void)state;
	assert_int_equal(facts_lists_load(cfg, &lists, &err), 0);
	for (size_t i = 0; i < LENGTH(asks); i++) {
		const struct facts_question q = {
			.client = addr(asks[i].client), .sender = asks[i].sender
		};
		struct store_lookup found = { .active = true,
			.rows = asks[i].user == NULL ? 2 : 1,
			.expires_at = 2000 };
		struct policy_facts got = { .sender = POLICY_SENDER_UNKNOWN };

		ROW("%s as %s", asks[i].client, asks[i].sender);
		if (asks[i].user != NULL)
			(void)snprintf(
			    found.user, sizeof(found.user), "%s", asks[i].user);
		assert_int_equal(
		    facts_found(st, cfg, &lists, &q, &found, NOW, &got, &err),
		    0);
		assert_int_equal(got.sender, asks[i].want);
	}
	facts_lists_release(&lists);
	config_free(cfg);
	remove_table(&st);
}

/* More users than were read: they are counted, where so many may share. */
static void
crowds(void **state)
{
	enum { V4 = 140, SMALL = 10, LARGE = 150 };
	static char users[V4 + SMALL + LARGE][24];
	static struct on_table rows[V4 + SMALL + LARGE];
	struct config *cfg =
	    load("shared_address_users = 100; shared_address = \"refuse\"; "
		 "ipv6_prefix = 64;");
	struct config *more =
	    load("shared_address_users = 149; shared_address = \"refuse\";");
	struct err err;

	(void)state;
	for (int i = 0; i < (int)LENGTH(rows); i++) {
		(void)snprintf(users[i], sizeof(users[i]), "user%d", i);
		rows[i] = (struct on_table){
			.client = i < V4     ? "192.0.2.1"
			    : i < V4 + SMALL ? "2001:db8:1::/64"
					     : "2001:db8:2::/64",
			.user = users[i],
			.until = i < 101 || i >= V4 ? 2000 : 950,
		};
	}
	struct store *st = table_of(rows, LENGTH(rows));
	const struct {
		const struct config *cfg;
		const char *client;
		bool crowded, want;
	} asks[] = {
		{ cfg, "192.0.2.1", true, true },
		{ cfg, "192.0.2.1", false, false },
		{ cfg, "2001:db8:1::7", true, false },
		{ cfg, "2001:db8:2::7", true, true },
		{ more, "192.0.2.1", true, false },
	};

	for (size_t i = 0; i < LENGTH(asks); i++) {
		const struct facts_question q = { .client =
						      addr(asks[i].client) };
		const struct store_lookup found = { .active = true,
			.rows = 2,
			.sharing = 90,
			.crowded = asks[i].crowded,
			.expires_at = 2000 };
		struct policy_facts got = { .denied = false };

		ROW("row %zu", i);
		assert_int_equal(facts_found(st, asks[i].cfg, NULL, &q, &found,
				     NOW, &got, &err),
		    0);
		assert_int_equal(got.shared, asks[i].want);
	}
	config_free(cfg);
	config_free(more);
	remove_table(&st);
}

/* A table that can't be asked further leaves nothing known. */
static void
table_fails(void **state)
{
	static const struct on_table rows[] = { { "192.0.2.1", "alice",
	    2000 } };
	struct store *st = table_of(rows, 1);
	struct config *bound = load(
	    "sender_binding = \"address\"; sender_addresses = [ \"user\" ];");
	struct config *shared =
	    load("shared_address_users = 100; shared_address = \"refuse\";");
	struct facts_lists lists;
	struct err err;
	sqlite3 *other;

	(void)state;
	assert_int_equal(facts_lists_load(bound, &lists, &err), 0);
	/* another program takes the table away */
	assert_int_equal(sqlite3_open(db, &other), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(other, "DROP TABLE login", NULL, NULL, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	const struct facts_question q = { .client = addr("192.0.2.1"),
		.sender = "a@b.test" };
	const struct store_lookup found = { .active = true,
		.rows = 2,
		.sharing = 4,
		.crowded = true,
		.expires_at = 2000 };

	for (int i = 0; i < 2; i++) {
		struct policy_facts got = { .sender = i == 0
			    ? POLICY_SENDER_UNKNOWN
			    : POLICY_SENDER_GOOD };

		ROW("%s", i == 0 ? "bound" : "shared");
		assert_int_equal(facts_found(st, i == 0 ? bound : shared,
				     &lists, &q, &found, NOW, &got, &err),
		    -1);
		assert_int_equal(got.store, POLICY_STORE_UNASKED);
		assert_false(got.login_active);
	}
	facts_lists_release(&lists);
	config_free(bound);
	config_free(shared);
	remove_table(&st);
}

static void
small_facts(void **state)
{
	static const struct {
		const char *grace;
		int64_t read_at;
		enum policy_collector want;
	} rows[] = {
		{ "60s", NOW - 60, POLICY_COLLECTOR_CURRENT },
		{ "60s", NOW - 61, POLICY_COLLECTOR_BEHIND },
		{ "60s", NOW, POLICY_COLLECTOR_CURRENT },
		{ "60s", 0, POLICY_COLLECTOR_NEVER },
		{ "0s", NOW - 9999, POLICY_COLLECTOR_CURRENT },
		{ "0s", 0, POLICY_COLLECTOR_CURRENT },
	};
	const struct addr four = addr("192.0.2.1"), six = addr("2001:db8::1"),
			  none = { .family = ADDR_NONE };

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		char text[60];

		(void)snprintf(text, sizeof(text), "collector_grace = \"%s\";",
		    rows[i].grace);
		struct config *cfg = load(text);

		ROW("%s, read at %" PRId64, rows[i].grace, rows[i].read_at);
		assert_int_equal(
		    facts_collector(cfg, rows[i].read_at, NOW), rows[i].want);
		config_free(cfg);
	}
	for (int f = 0; f < 4; f++) {
		bool ipv4 = f & 1, ipv6 = f & 2;

		ROW("IPv4 %d, IPv6 %d", ipv4, ipv6);
		assert_int_equal(facts_other_family(&four, ipv4, ipv6), ipv6);
		assert_int_equal(facts_other_family(&six, ipv4, ipv6), ipv4);
		assert_false(facts_other_family(&none, ipv4, ipv6));
	}
	for (int f = 0; f < 16; f++) {
		const struct policy_facts facts = { .login_active = f & 1,
			.authenticated = f & 2,
			.certificate = f & 4,
			.trusted = f & 8 };

		ROW("facts %d", f);
		assert_int_equal(facts_rests_on_login(&facts), f == 1);
	}
	struct config *cfg = load("shared_address_users = 3;");

	assert_false(facts_shared(cfg, 3));
	assert_true(facts_shared(cfg, 4));
	config_free(cfg);
	cfg = load("shared_address_users = 0;");
	assert_false(facts_shared(cfg, 1000));
	config_free(cfg);
	cfg = load("shared_address_users = 1;");
	assert_false(facts_shared(cfg, 1));
	assert_true(facts_shared(cfg, 2));
	config_free(cfg);
}

/* --- the lists --- */

/* What can't be read is a fault of its own setting, where it is in use. */
static void
lists(void **state)
{
#define NO_FILE "[ \"file:/nonexistent/list\" ]; "
	static const struct {
		const char *relay, *want; /* NULL: they are loaded */
	} rows[] = {
		{ "local_domains = [ \"a.test\" ];", NULL },
		{ "local_domains = " NO_FILE, "relay.local_domains" },
		{ "sender_binding = \"address\"; sender_addresses = " NO_FILE,
		    "relay.sender_addresses" },
		{ "sender_addresses = " NO_FILE, NULL },
		{ "sender_binding = \"address\";"
		  " sender_addresses = [ \"user\" ];",
		    NULL },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct config *cfg = load(rows[i].relay);
		struct facts_lists got;
		struct err err;

		ROW("%s", rows[i].relay);
		memset(&got, 0xff, sizeof(got));
		assert_int_equal(facts_lists_load(cfg, &got, &err),
		    rows[i].want == NULL ? 0 : -1);
		if (rows[i].want != NULL)
			assert_contains(err.text, rows[i].want);
		else
			assert_int_equal(got.senders.user_name,
			    cfg->relay.sender_binding != SENDER_OFF);
		if (rows[i].want == NULL)
			facts_lists_release(&got);
		config_free(cfg);
	}
}

/* Each doubt about a domain is said, with the setting that it comes from. */
static void
domains_in_doubt(void **state)
{
	char first[] = "one isn't read", second[] = "another is no domain";
	char *texts[] = { first, second };
	struct facts_lists lists = { .domains = {
					 .warnings = { .v = texts, .n = 2 } } };
	struct config *cfg = load("local_domains = [ \"a.test\" ];");
	struct said said = { 0 };

	(void)state;
	facts_domains(cfg, &lists, say, &said);
	assert_int_equal(said.n, 2);
	for (int i = 0; i < 2; i++) {
		assert_contains(said.text[i], "relay.local_domains");
		assert_contains(said.text[i], texts[i]);
	}
	lists.domains.warnings.n = 0;
	facts_domains(cfg, &lists, say, &said);
	assert_int_equal(said.n, 2);
	config_free(cfg);
}

static void
program(const char *in, const char *name, const char *text)
{
	char path[100];

	(void)snprintf(path, sizeof(path), "%s/%s", in, name);
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	(void)fputs(text, out);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(chmod(path, 0755), 0);
}

/* A table of Postfix's that can only be asked: who doesn't wait is told that it
 * isn't known yet, and who waits gets the answer. */
static void
asked_by_waiting(void **state)
{
	static char old_path[4000], new_path[4200];
	const char *in = unit_dir();
	char relay[200], command[100];
	const struct facts_question q = { .recipient = "x@asked.test",
		.client = addr("192.0.2.1") };
	struct policy_facts facts;
	struct facts_lists lists;
	struct err err;

	(void)state;
	program(in, "postconf",
	    "#!/bin/sh\nshift 3\n"
	    "case $1 in mydestination) echo mysql:/x/domains;; esac\n");
	program(in, "postmap",
	    "#!/bin/sh\n"
	    "while read -r key; do echo \"$key	yes\"; done\n"
	    "case \"$*\" in *asked.test*) echo yes;; esac\n");
	(void)snprintf(old_path, sizeof(old_path), "%s", getenv("PATH"));
	(void)snprintf(new_path, sizeof(new_path), "%s:%s", in, old_path);
	(void)setenv("PATH", new_path, 1);
	(void)snprintf(
	    relay, sizeof(relay), "local_domains = [ \"postfix:%s\" ];", in);
	struct config *cfg = load(relay);

	if (facts_lists_load(cfg, &lists, &err) == -1)
		fail_msg("%s", err.text);
	assert_false(facts_ready(cfg, &lists, &q));
	facts_ask(cfg, &lists, false, &q, &facts);
	assert_true(facts.recipient_local);
	assert_false(facts.recipient_unknown);
	assert_true(facts_ready(cfg, &lists, &q));
	facts_lists_release(&lists);
	config_free(cfg);
	(void)setenv("PATH", old_path, 1);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", in);
	assert_int_equal(system(command), 0);
}

/* What a list of domains answers by itself needs no waiting. */
static void
ready(void **state)
{
	struct config *cfg = load("local_domains = [ \"a.test\" ];");
	static const char *const to[] = { "x@a.test", "x@far.test", "x" };
	struct facts_lists lists;
	struct err err;

	(void)state;
	assert_int_equal(facts_lists_load(cfg, &lists, &err), 0);
	for (size_t i = 0; i < LENGTH(to); i++) {
		const struct facts_question q = { .recipient = to[i] };

		ROW("%s", to[i]);
		assert_true(facts_ready(cfg, &lists, &q));
	}
	facts_lists_release(&lists);
	config_free(cfg);
}

/* --- what the admin is told --- */

static void
open_relays(void **state)
{
	static const struct {
		const char *net;
		bool want;
	} rows[] = {
		{ "10.0.0.0/8", false },
		{ "10.0.0.0/7", true },
		{ "0.0.0.0/0", true },
		{ "192.0.2.1", false },
		{ "2001::/16", false },
		{ "2000::/15", true },
		{ "::/0", true },
		{ "192.0.2.1\", \"0.0.0.0/0", true },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct said said = { 0 };
		char text[100];

		(void)snprintf(text, sizeof(text),
		    "trusted_networks = [ \"%s\" ];", rows[i].net);
		struct config *cfg = load(text);

		ROW("%s", rows[i].net);
		facts_open_relay(cfg, say, &said);
		assert_int_equal(said.n, rows[i].want);
		if (rows[i].want) {
			assert_contains(said.text[0],
			    strrchr(rows[i].net, '"') == NULL
				? rows[i].net
				: strrchr(rows[i].net, '"') + 1);
			assert_contains(said.text[0], "relay.trusted_networks");
		}
		config_free(cfg);
	}
}

static void
socketmaps(void **state)
{
#define MAP "}; permit: { socketmap = \"inet:127.0.0.1:9999\"; "
#define POLICY "policy = \"inet:127.0.0.1:9998\"; "
#define BIND "sender_binding = \"address\"; sender_addresses = [ \"user\" ]; "
#define CERT "certificates = ( { subject = \"s\"; issuer = \"i\"; } ); "
#define POSTFIX "local_domains = [ \"a.test\", \"postfix:/etc/postfix\" ]; "
	static const struct {
		const char *relay;
		int want, want_sure;
	} rows[] = {
		{ BIND CERT, 0, 0 },
		{ MAP, 0, 0 },
		{ BIND MAP, 1, 0 },
		{ CERT MAP, 1, 0 },
		{ BIND CERT MAP, 2, 0 },
		{ BIND CERT POSTFIX MAP, 2, 2 },
		{ "local_domains = [ \"postfix:/etc/postfix\" ]; " BIND MAP, 1,
		    1 },
		{ BIND CERT POSTFIX MAP POLICY, 0, 0 },
		{ "local_domains = [ \"postfix.test\" ]; " BIND MAP, 1, 0 },
		{ "local_domains = [ \"postfix\" ]; " BIND MAP, 1, 1 },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct config *cfg = load(rows[i].relay);
		struct said said = { 0 }, sure = { 0 };

		ROW("%s", rows[i].relay);
		facts_socketmap(cfg, false, say, &said);
		facts_socketmap(cfg, true, say, &sure);
		assert_int_equal(said.n, rows[i].want);
		assert_int_equal(sure.n, rows[i].want_sure);
		config_free(cfg);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(authenticated),
		cmocka_unit_test(monitored),
		cmocka_unit_test(senders),
		cmocka_unit_test(asked),
		cmocka_unit_test(refused_addresses),
		cmocka_unit_test(found),
		cmocka_unit_test(bound_senders),
		cmocka_unit_test(crowds),
		cmocka_unit_test(table_fails),
		cmocka_unit_test(small_facts),
		cmocka_unit_test(lists),
		cmocka_unit_test(domains_in_doubt),
		cmocka_unit_test(ready),
		cmocka_unit_test(asked_by_waiting),
		cmocka_unit_test(open_relays),
		cmocka_unit_test(socketmaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
