/* SPDX-License-Identifier: ISC */
/* Messages, their senders and the right of each: from log lines, in the order
 * of a log. */
#include "tests/unit/unit.h"

#include "ctl/incident/incident.h"

static bool
ours(void *arg, struct span recipient)
{
	(void)arg;
	return SPAN_HAS(recipient, "@lab.test");
}

static enum right
decided(void *arg, const char *id, const char *client, const char *sender,
    struct span recipient, char user_r[INCIDENT_USER_MAX])
{
	(void)id;
	(void)sender;
	(void)recipient;
	if (arg != NULL)
		return RIGHT_UNTOLD;
	if (strcmp(client, "203.0.113.10") == 0) {
		(void)strcpy(user_r, "bob");
		return RIGHT_LOGIN;
	}
	/* one of our own recipients of the same message is known */
	return strcmp(client, "203.0.113.20") == 0 ? RIGHT_FORWARD : RIGHT_NONE;
}

static enum right
network(void *arg, const struct addr *client)
{
	(void)arg;
	return client->family == ADDR_IPV4 && client->bytes[0] == 10
	    ? RIGHT_NETWORK
	    : RIGHT_NONE;
}

enum { NOW = 1000000 };

static struct incident *
start(void *arg)
{
	const struct incident_facts facts = {
		.arg = arg, .ours = ours, .decided = decided, .network = network
	};
	struct incident *in = incident_new(NOW - 3600, NOW, &facts);

	assert_non_null(in);
	return in;
}

static void
line(struct incident *in, int64_t at, const char *program, const char *msg)
{
	struct prefix prefix = { .program = { program,
				     program + strlen(program) },
		.msg = { msg, msg + strlen(msg) } };
	struct mtalog m;

	if (mtalog_parse(&prefix, &m))
		incident_line(in, &m, 7, at);
}

static void
postfix(struct incident *in, int64_t at, const char *id, const char *client,
    const char *sender, const char *to)
{
	char text[600];

	if (client != NULL) {
		(void)snprintf(text, sizeof(text), "%s: client=%s", id, client);
		line(in, at, "postfix/smtpd", text);
	}
	(void)snprintf(text, sizeof(text),
	    "%s: from=<%s>, size=1, nrcpt=1 (queue active)", id, sender);
	line(in, at, "postfix/qmgr", text);
	(void)snprintf(text, sizeof(text),
	    "%s: to=<%s>, relay=h[192.0.2.1]:25, delay=0, delays=0/0/0/0, "
	    "dsn=2.0.0, status=sent (250 ok)",
	    id, to);
	line(in, at, "postfix/smtp", text);
}

static void
removed(struct incident *in, int64_t at, const char *id)
{
	char text[100];

	(void)snprintf(text, sizeof(text), "%s: removed", id);
	line(in, at, "postfix/qmgr", text);
}

static const struct incident_group *
only(struct incident *in, enum right right, int64_t messages)
{
	struct incident_totals totals;
	size_t n;
	const struct incident_group *g = incident_result(in, &totals, &n);

	assert_int_equal(n, 1);
	if (g->right != right)
		fail_msg("right %s", right_name(g->right));
	assert_int_equal(g->messages, messages);
	assert_int_equal(totals.messages, messages);
	return g;
}

/* A user's mail from so many addresses, each one recipient. */
static void
sends(struct incident *in, int64_t at, unsigned n, unsigned addresses)
{
	for (unsigned i = 0; i < n; i++) {
		char id[20], client[100];

		(void)snprintf(id, sizeof(id), "%05uABC", i);
		(void)snprintf(client, sizeof(client),
		    "x[203.0.113.%u], sasl_method=PLAIN, sasl_username=alice",
		    i % addresses);
		postfix(in, at, id, client, "alice@lab.test", "v@e.test");
		line(in, at, "postfix/qmgr", "00000ABC: removed");
	}
}

/* A hijacked user who writes as himself is told by volume and reach. */
static void
volume(void **state)
{
	static const struct {
		const char *name;
		unsigned before, now, addresses;
		bool want;
	} rows[] = {
		{ "many, from some addresses", 0, 1200, 6, true },
		{ "many, from one", 0, 600, 1, true },
		{ "not many, from several", 0, 150, 6, true },
		{ "not many, from one", 0, 150, 1, false },
		{ "few", 0, 20, 6, false },
		/* the window is an hour, the days before are 100 hours */
		{ "as many as always", 60000, 600, 1, false },
		{ "a sudden rise", 3000, 600, 1, true },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct incident *in = start(NULL);
		struct incident_totals totals;
		const struct incident_group *g;
		size_t n;

		ROW("%s", rows[i].name);
		sends(in, NOW - 3600 - 360000, rows[i].before, 1);
		sends(in, NOW - 100, rows[i].now, rows[i].addresses);
		g = incident_result(in, &totals, &n);
		assert_int_equal(n, rows[i].addresses);
		assert_int_equal(totals.recipients, rows[i].now);
		assert_int_equal(g->rise, rows[i].want);
		assert_int_equal(g->user_recipients, rows[i].now);
		incident_free(in);
	}
}

static void
rights(void **state)
{
	static const struct {
		enum right want;
		const char *client, *user;
	} rows[] = {
		{ RIGHT_NONE, "unknown[203.0.113.1]", "" },
		{ RIGHT_NONE, "unknown[203.0.113.20]", "" },
		{ RIGHT_LOGIN, "unknown[203.0.113.10]", "bob" },
		{ RIGHT_LOGIN, "unknown[::ffff:203.0.113.10]", "bob" },
		{ RIGHT_NETWORK, "unknown[10.1.2.3]", "" },
		{ RIGHT_AUTH,
		    "unknown[203.0.113.1], sasl_method=PLAIN, "
		    "sasl_username=carol",
		    "carol" },
		{ RIGHT_EARLIER, NULL, "" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].client);
		struct incident *in = start(NULL);

		postfix(in, NOW, "A1B2C3", rows[i].client, "x@y.test",
		    "v@remote.test");
		assert_string_equal(
		    only(in, rows[i].want, 1)->user, rows[i].user);
		incident_free(in);
	}
	/* the record can't be read: nobody is accused */
	struct incident *in = start(&in);

	postfix(in, NOW, "A1B2C3", "unknown[203.0.113.1]", "x@y.test",
	    "v@remote.test");
	(void)only(in, RIGHT_UNTOLD, 1);
	incident_free(in);
}

static void
not_counted(void **state)
{
	struct incident *in = start(NULL);
	struct incident_totals totals;
	size_t n;

	(void)state;
	/* too early, for us, refused, delivered here */
	postfix(in, NOW - 3601, "A1B2C1", "unknown[203.0.113.1]", "x@y.test",
	    "v@remote.test");
	postfix(in, NOW, "A1B2C2", "unknown[203.0.113.1]", "x@y.test",
	    "alice@lab.test");
	line(in, NOW, "postfix/smtp",
	    "A1B2C2: to=<v@remote.test>, relay=none,"
	    " delay=0, dsn=4.0.0, status=deferred (status=sent (x))");
	line(in, NOW, "postfix/local",
	    "A1B2C2: to=<v@remote.test>, relay="
	    "local, delay=0, dsn=2.0.0, status=sent (to mailbox)");
	(void)incident_result(in, &totals, &n);
	assert_int_equal(n, 0);
	assert_int_equal(totals.messages, 0);
	assert_int_equal(totals.failed, 1);
	incident_free(in);
}

static void
queue(void **state)
{
	struct incident *in = start(NULL);
	const struct incident_group *g;

	(void)state;
	/* the id comes back, with the line of the old one late */
	postfix(in, NOW - 900, "A1B2C3", "unknown[203.0.113.1]", "a@y.test",
	    "v@remote.test");
	postfix(in, NOW, "A1B2C3", "unknown[203.0.113.1]", "b@y.test",
	    "v@remote.test");
	/* still there for another recipient */
	postfix(in, NOW, "A1B2C4", "unknown[203.0.113.1]", "c@y.test",
	    "v@remote.test");
	removed(in, NOW, "A1B2C3");
	removed(in, NOW, "A1B2C3");
	removed(in, NOW, "A1B2C9");
	g = only(in, RIGHT_NONE, 3);
	assert_int_equal(g->queued, 1);
	assert_int_equal(g->recent, 2);
	assert_int_equal(distinct_count(&g->senders), 3);
	assert_int_equal(distinct_count(&g->domains), 1);
	assert_string_equal(g->domain, "y.test");
	incident_free(in);
}

static void
children(void **state)
{
	struct incident *in = start(NULL);

	(void)state;
	line(in, NOW, "postfix/smtpd", "A1B2C3: client=unknown[203.0.113.1]");
	line(in, NOW, "postfix/bounce",
	    "A1B2C3: sender non-delivery "
	    "notification: B1B2C3");
	postfix(in, NOW, "B1B2C3", NULL, "", "v@remote.test");
	(void)only(in, RIGHT_BOUNCE, 1);
	incident_free(in);

	in = start(NULL);
	line(in, NOW, "postfix/local",
	    "A1B2C3: to=<fwd@lab.test>, relay="
	    "local, delay=0, dsn=2.0.0, status=sent (forwarded as C1B2C3)");
	postfix(in, NOW, "C1B2C3", NULL, "x@y.test", "v@remote.test");
	(void)only(in, RIGHT_FORWARD, 1);
	incident_free(in);

	in = start(NULL);
	line(in, NOW, "postfix/pickup", "A1B2C3: uid=33 from=<www>");
	postfix(in, NOW, "A1B2C3", NULL, "www@lab.test", "v@remote.test");
	assert_string_equal(only(in, RIGHT_PROGRAM, 1)->user, "uid=33");
	incident_free(in);
}

#define SM_FROM(id, proto, relay)                 \
	id ": from=<a@y.test>, size=1, class=0, " \
	   "nrcpts=1, proto=" proto ", daemon=MTA, relay=" relay
#define SM_TO(id, to)                                                        \
	id ": to=" to ", delay=00:00:00, xdelay=00:00:00, "                  \
	   "mailer=esmtp, pri=1, relay=h [192.0.2.1], dsn=2.0.0, stat=Sent " \
	   "(ok)"

static void
sendmail(void **state)
{
	static const struct {
		const char *auth, *from, *to;
		enum right want;
		const char *user;
		int recipients;
	} rows[] = {
		{ "", SM_FROM("6AL000000001", "ESMTP", "[203.0.113.1]"),
		    SM_TO("6AL000000001", "<v@remote.test>"), RIGHT_NONE, "",
		    1 },
		/* one of ours beside it hides nothing */
		{ "", SM_FROM("6AL000000001", "ESMTP", "[203.0.113.1]"),
		    SM_TO("6AL000000001", "<alice@lab.test>,<v@remote.test>"),
		    RIGHT_NONE, "", 1 },
		{ "", SM_FROM("6AL000000001", "ESMTP", "[203.0.113.1]"),
		    SM_TO("6AL000000001", "v@remote.test"), RIGHT_EXPANDED, "",
		    1 },
		/* and what is known of ours excuses no typed one */
		{ "", SM_FROM("6AL000000001", "ESMTP", "[203.0.113.20]"),
		    SM_TO("6AL000000001", "<v@remote.test>"), RIGHT_NONE, "",
		    1 },
		{ "", SM_FROM("6AL000000001", "ESMTP", "[203.0.113.20]"),
		    SM_TO("6AL000000001", "v@remote.test"), RIGHT_FORWARD, "",
		    1 },
		{ "AUTH=server, relay=[203.0.113.3], authid=carol, mech=PLAIN"
		  ", bits=0",
		    SM_FROM("6AL000000001", "ESMTPSA", "[203.0.113.3]"),
		    SM_TO("6AL000000001", "<v@remote.test>,<w@remote.test>"),
		    RIGHT_AUTH, "carol", 2 },
		/* AUTH of another client in the same process number */
		{ "AUTH=server, relay=[203.0.113.3], authid=carol, mech=PLAIN"
		  ", bits=0",
		    SM_FROM("6AL000000001", "ESMTPA", "[203.0.113.4]"),
		    SM_TO("6AL000000001", "<v@remote.test>"), RIGHT_AUTH, "",
		    1 },
		{ "AUTH=server, relay=[203.0.113.3], authid=carol, mech=PLAIN"
		  ", bits=0",
		    SM_FROM("6AL000000001", "ESMTP", "[203.0.113.3]"),
		    SM_TO("6AL000000001", "<v@remote.test>"), RIGHT_NONE, "",
		    1 },
		{ "", SM_FROM("6AL000000001", "ESMTP", "www@localhost"),
		    SM_TO("6AL000000001", "v@remote.test"), RIGHT_PROGRAM,
		    "www", 1 },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%zu, %s", i, rows[i].from);
		struct incident *in = start(NULL);
		const struct incident_group *g;

		line(in, NOW, "sm-mta", rows[i].auth);
		line(in, NOW, "sm-mta", rows[i].from);
		line(in, NOW, "sm-mta", rows[i].to);
		g = only(in, rows[i].want, 1);
		assert_string_equal(g->user, rows[i].user);
		assert_int_equal(g->recipients, rows[i].recipients);
		assert_int_equal(g->queued, 0);
		incident_free(in);
	}
}

/* More messages, clients and senders than there is memory for. */
static void
flood(void **state)
{
	struct incident *in = start(NULL);
	struct incident_totals totals;
	int64_t messages = 0;
	size_t n;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		char id[16], client[64], sender[64];

		(void)snprintf(id, sizeof(id), "A%06X", (unsigned)i);
		(void)snprintf(client, sizeof(client), "unknown[2001:db8::%x]",
		    (unsigned)i % 30000);
		(void)snprintf(sender, sizeof(sender), "u%d@y.test", i);
		postfix(in, NOW, id, client, sender, "v@remote.test");
	}
	const struct incident_group *g = incident_result(in, &totals, &n);

	assert_int_equal(n, INCIDENT_GROUPS_MAX);
	for (size_t i = 0; i < n; i++)
		messages += g[i].messages;
	assert_int_equal(totals.messages, 100000);
	assert_int_equal(messages + totals.ungrouped, 100000);
	assert_int_equal(totals.forgotten, 100000 - INCIDENT_MESSAGES_MAX);
	assert_false(totals.no_memory);
	incident_free(in);
}

static void
random_senders(void **state)
{
	struct incident *in = start(NULL);
	const struct incident_group *g;

	(void)state;
	for (int i = 0; i < 300; i++) {
		char id[16], sender[64];

		(void)snprintf(id, sizeof(id), "A%06X", (unsigned)i);
		(void)snprintf(sender, sizeof(sender), "k%d@bank.test", i);
		postfix(in, NOW, id, "unknown[203.0.113.1]", sender,
		    "v@remote.test");
	}
	g = only(in, RIGHT_NONE, 300);
	assert_true(incident_random_senders(g));
	assert_in_range(distinct_count(&g->senders), 285, 315);
	incident_free(in);
	/* one person's mail */
	in = start(NULL);
	for (int i = 0; i < 300; i++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "A%06X", (unsigned)i);
		postfix(in, NOW, id, "unknown[203.0.113.1]", "k@bank.test",
		    "v@remote.test");
	}
	assert_false(incident_random_senders(only(in, RIGHT_NONE, 300)));
	incident_free(in);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(volume),
		cmocka_unit_test(rights),
		cmocka_unit_test(not_counted),
		cmocka_unit_test(queue),
		cmocka_unit_test(children),
		cmocka_unit_test(sendmail),
		cmocka_unit_test(flood),
		cmocka_unit_test(random_senders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
