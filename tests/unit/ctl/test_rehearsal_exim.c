/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "common/base/strings.h"
#include "ctl/rehearsal/exim_cause.h"
#include "ctl/rehearsal/exim_fix.h"
#include "ctl/rehearsal/exim_seeds.h"
#include "ctl/rehearsal/exim_trace.h"

static const struct sample_row {
	const char *regex;
	unsigned branch;
	const char *want; /* NULL: none */
} samples[] = {
	{ "^friend\\.test$", 0, "friend.test" },
	{ "^.*\\.test$", 0, "x.test" },
	{ "^.+\\.(com|net|test)$", 0, "x.com" },
	{ "^.+\\.(com|net|test)$", 2, "x.test" },
	{ "^.+\\.(com|net|test)$", 9, "x.test" },
	{ "^(a|b)c|d$", 1, "d" },
	{ "^[0-9]{3}$", 0, "111" },
	{ "^[^a-z]@", 0, "1@" },
	{ "^(?i)a(?!b)c", 0, "ac" },
	{ "^a\\d+\\b", 0, "a1" },
	{ "((((((((((((((((((((a", 0, NULL },
	{ "", 0, NULL },
	{ "[", 0, NULL },
};

static void
sample(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		const struct sample_row *row = &samples[i];
		char got[64] = "";
		bool ok =
		    exim_sample(row->regex, row->branch, got, sizeof(got));

		ROW("%s", row->regex);
		assert_int_equal(ok, row->want != NULL);
		if (row->want != NULL)
			assert_string_equal(got, row->want);
	}
}

static const struct seed_row {
	const char *name;
	bool table;
	const char *text;
	enum exim_dim dim;
	const char *want;
} seeds[] = {
	{ "a domain is a sender's", false, "domainlist a = friend.test",
	    EXIM_SENDER, "someone@friend.test" },
	{ "and a client's word for itself", false, "domainlist a = friend.test",
	    EXIM_HELO, "friend.test" },
	{ "an address", false, "accept senders = boss@friend.test", EXIM_SENDER,
	    "boss@friend.test" },
	{ "a local part", false, "  condition = ${if eq{$a}{scanner}}",
	    EXIM_HELO, "scanner" },
	{ "a top level domain", false, "domainlist a = x.test : *.shop",
	    EXIM_RECIPIENT, "victim@" EXIM_VICTIM ".shop" },
	{ "a pattern", false, "domains = ^.+\\\\.(aero|shop)\\$",
	    EXIM_RECIPIENT, "victim@" EXIM_VICTIM ".shop" },
	{ "a wide network", false, "hostlist a = <; 10.0.0.0/8 ; 200.0.0.0/6",
	    EXIM_CLIENT, "200.0.0.1" },
	{ "an entry of a table", true, "# c\nfriend.test: yes\n", EXIM_SENDER,
	    "someone@friend.test" },
	{ "a word of a table", true, "boss\n", EXIM_SENDER,
	    "boss@" EXIM_VICTIM ".example" },
	{ "a wildcard without a dot takes in others' domains", false,
	    "domainlist a = *customer.test", EXIM_RECIPIENT,
	    "victim@" EXIM_VICTIM "-customer.test" },
	{ "and one with a dot is not asked so", false,
	    "domainlist a = *.customer.test", EXIM_RECIPIENT, NULL },
	{ "a pattern without an end", false, "domains = ^.*customer\\\\.test",
	    EXIM_RECIPIENT, "victim@xcustomer.test." EXIM_VICTIM ".example" },
	{ "a pattern of clients' names", false, "hostlist a = ^mail.*",
	    EXIM_CLIENT, "203.0.113.77 mailx." EXIM_VICTIM ".example" },
	{ "a local part at every domain", false,
	    "  accept local_parts = postmaster : abuse", EXIM_RECIPIENT,
	    "abuse@" EXIM_VICTIM ".example" },
	{ "local parts of a domain, by \"@@\"", true,
	    "friend.test: boss : news\n", EXIM_SENDER, "news@friend.test" },
	{ "a client's own address as its name", false, "x = y", EXIM_HELO,
	    "[203.0.113.77]" },
	{ "a domain that names this server as its backup MX", false, "x = y",
	    EXIM_RECIPIENT, "victim@" EXIM_VICTIM "-popgate-mx-here.com" },
	{ "our own domain, and another sign", false,
	    "domainlist local_domains = @ : ours.test", EXIM_RECIPIENT,
	    "victim#" EXIM_VICTIM ".example@ours.test" },
	{ "our own domain, for what hides in its local parts", false,
	    "domainlist local_domains = @ : ours.test", EXIM_RECIPIENT,
	    "victim%" EXIM_VICTIM ".example@ours.test" },
};

static void
seed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		const struct seed_row *row = &seeds[i];
		struct exim_seeds s;

		ROW("%s", row->name);
		exim_seeds_begin(&s);
		(row->table ? exim_seeds_take_table : exim_seeds_take_config)(
		    &s, row->text);
		assert_true(exim_seeds_end(&s));
		if (row->want == NULL)
			assert_false(string_list_has(&s.v[row->dim],
			    "victim@" EXIM_VICTIM "-customer.test"));
		else
			assert_true(string_list_has(&s.v[row->dim], row->want));
		exim_seeds_release(&s);
	}
}

/* A stranger isn't in a network that is trusted. */
static void
strangers(void **state)
{
	struct exim_seeds s;

	(void)state;
	exim_seeds_begin(&s);
	exim_seeds_take_config(
	    &s, "hostlist a = 203.0.113.0/24 : 2001::db8::::/32\nx = /etc/f\n");
	assert_true(exim_seeds_end(&s));
	assert_false(string_list_has(&s.v[EXIM_CLIENT], "203.0.113.77"));
	assert_false(string_list_has(&s.v[EXIM_CLIENT], "2001:db8:77::77"));
	assert_true(string_list_has(&s.v[EXIM_CLIENT], "198.51.100.77"));
	assert_true(string_list_has(&s.clients, "203.0.113.1"));
	assert_true(string_list_has(&s.paths, "/etc/f"));
	exim_seeds_release(&s);
}

static const char told[] = EXIM_TRACE_SESSION
    "0\n"
    "  123 SMTP<< MAIL FROM:<a@friend.test>\n"
    "SMTP>> 250 OK\n"
    "SMTP<< RCPT TO:<b@elsewhere.test>\n"
    "using ACL \"rcpt\"\n"
    "processing \"deny\" (/etc/exim.conf 18)\n"
    "check !domains = +ours\n"
    "elsewhere.test in \"ours.test\"? no (end of list)\n"
    "deny: condition test failed in ACL \"rcpt\"\n"
    "processing \"accept\" (/etc/exim.conf 27)\n"
    "check acl = inner a = b\n"
    " using ACL \"inner\"\n"
    " processing \"accept\" (/etc/inc 3)\n"
    " check senders = +white\n"
    " friend.test in \"friend.test\"? yes (matched \"friend.test\")\n"
    " a@friend.test in \"nwildlsearch;/etc/w\"? yes (matched "
    "\"nwildlsearch;/etc/w\")\n"
    " a@friend.test in \"+white\"? yes (matched \"+white\")\n"
    " accept: condition test succeeded in ACL \"inner\"\n"
    " end of ACL \"inner\": ACCEPT\n"
    "check logwrite = x in \"y\"? yes (matched \"z\")\n"
    "accept: condition test succeeded in ACL \"rcpt\"\n"
    "end of ACL \"rcpt\": ACCEPT\n"
    "SMTP>> 250-Accepted\n       250 really\n";

static void
trace(void **state)
{
	struct exim_trace t;
	const struct exim_ran *ran;

	(void)state;
	assert_true(exim_trace_parse(strdup(told), &t));
	assert_int_equal(t.n_said, 3);
	assert_string_equal(t.said[2].command, "RCPT TO:<b@elsewhere.test>");
	assert_int_equal(t.said[2].code, 250);
	assert_string_equal(t.said[2].reply, "really");
	assert_int_equal(t.n_ran, 3);
	ran = exim_trace_decided(&t, 2);
	assert_non_null(ran);
	assert_string_equal(ran->file, "/etc/exim.conf");
	assert_int_equal(ran->line, 27);
	assert_false(t.ran[0].passed);
	assert_int_equal(t.ran[2].depth, 1);
	assert_string_equal(t.ran[2].acl, "inner");
	assert_true(t.checks[0].negated);
	assert_string_equal(t.checks[1].value, "inner a = b");
	assert_int_equal(t.n_hits, 3);
	assert_string_equal(t.hits[1].item, "nwildlsearch;/etc/w");
	exim_trace_release(&t);
}

/* Exim 4.98 indents by one more from some lists on, to the end of the ACL. */
static const char indented[] = EXIM_TRACE_SESSION
    "0\n"
    "SMTP<< RCPT TO:<b@elsewhere.test>\n"
    "using ACL \"rcpt\"\n"
    "processing \"warn\" (/etc/exim.conf 18)\n"
    "check acl = inner\n"
    " using ACL \"inner\"\n"
    " processing \"accept\" (/etc/exim.conf 40)\n"
    " accept: condition test succeeded in ACL \"inner\"\n"
    " end of ACL \"inner\": ACCEPT\n"
    "warn: condition test succeeded in ACL \"rcpt\"\n"
    "processing \"accept\" (/etc/exim.conf 20)\n"
    "check hosts = +include_unknown : *.friend.test\n"
    " host in \"+include_unknown : *.friend.test\"? yes (failed to find "
    "host name for 203.0.113.1)\n"
    " check domains = ours.test\n"
    " accept: condition test failed in ACL \"rcpt\"\n"
    " processing \"accept\" (/etc/exim.conf 22)\n"
    " check acl = inner\n"
    "  using ACL \"inner\"\n"
    "  processing \"accept\" (/etc/exim.conf 40)\n"
    "  accept: condition test succeeded in ACL \"inner\"\n"
    "  end of ACL \"inner\": ACCEPT\n"
    " accept: condition test succeeded in ACL \"rcpt\"\n"
    " end of ACL \"rcpt\": ACCEPT\n"
    "SMTP>> 250 Accepted\n";

static void
trace_of_4_98(void **state)
{
	static const struct {
		unsigned line, depth;
		bool passed;
	} want[] = { { 18, 0, true }, { 40, 1, true }, { 20, 0, false },
		{ 22, 0, true }, { 40, 2, true } };
	struct exim_trace t;

	(void)state;
	assert_true(exim_trace_parse(strdup(indented), &t));
	assert_int_equal(t.n_ran, LENGTH(want));
	for (size_t i = 0; i < LENGTH(want); i++) {
		ROW("%zu", i);
		assert_int_equal(t.ran[i].line, want[i].line);
		assert_int_equal(t.ran[i].depth, want[i].depth);
		assert_int_equal(t.ran[i].passed, want[i].passed);
		assert_string_equal(
		    t.ran[i].acl, want[i].depth == 0 ? "rcpt" : "inner");
	}
	assert_int_equal(exim_trace_decided(&t, 1)->line, 22);
	assert_string_equal(t.checks[2].name, "domains");
	assert_int_equal(t.checks[2].ran, 2);
	exim_trace_release(&t);
}

static void
entries(void **state)
{
	static const char table[] =
	    "relay.test\n# *\n*.test: x\n10.0.0.0/8: y\n";

	(void)state;
	assert_int_equal(
	    exim_place_entry(table, "", "a.test", "203.0.113.1"), 3);
	assert_int_equal(
	    exim_place_entry(table, "*.test", "a.test", "203.0.113.1"), 3);
	assert_int_equal(
	    exim_place_entry(table, "", "relay.test", "203.0.113.1"), 1);
	assert_int_equal(exim_place_entry(table, "", "host", "10.1.2.3"), 4);
	assert_int_equal(
	    exim_place_entry(table, "", "a.example", "203.0.113.1"), 0);
}

static const char conf[] = "WL = *.test\n"
			   "domainlist d = ours.test : *.test : a.test\n"
			   "domainlist e = WL\n"
			   "begin acl\n"
			   "a:\n"
			   "  accept domains = +d\n"
			   "  accept\n"
			   "begin authenticators\n"
			   "p:\n"
			   "  driver = plaintext\n"
			   "  server_condition = true\n"
			   "  public_name = PLAIN\n";

static void
places(void **state)
{
	const struct exim_file
	    file = { "/e", conf },
	    source = { "/s", "# made of\n  accept domains = +d\n  accept\n" };
	struct exim_place p;

	(void)state;
	assert_true(
	    exim_place_setting(&file, 1, 1, "", "domainlist d", NULL, &p));
	assert_int_equal(p.line, 2);
	assert_true(
	    exim_place_setting(&file, 1, 1, "", "domainlist e", NULL, &p));
	exim_place_macro(&p);
	assert_int_equal(p.line, 1);
	assert_true(exim_place_setting(
	    &file, 1, 1, "authenticators", "server_condition", "plain", &p));
	assert_int_equal(p.line, 11);
	assert_false(exim_place_setting(
	    &file, 1, 1, "authenticators", "server_condition", "LOGIN", &p));
	p = (struct exim_place){
		.path = "/e", .text = conf, .line = 6, .behind = 7
	};
	exim_place_source(&p, &source, 1);
	assert_string_equal(p.source, "/s");
	assert_int_equal(p.source_line, 2);
}

static void
fixes(void **state)
{
	const struct exim_ran at = { .verb = "accept", .line = 6 };
	const struct exim_check check = { .name = "domains", .value = "+d" };
	const struct exim_cause c = { .kind = "exim-domains-open",
		.at = &at,
		.check = &check,
		.item = "*.test",
		.named = "d" };
	const struct exim_place
	    statement = { .path = "/e", .text = conf, .line = 6, .behind = 7 },
	    list = { .path = "/e", .text = conf, .line = 2, .behind = 3 },
	    none = { .line = 0 };
	struct exim_try_fix v[EXIM_FIXES_MAX];
	size_t n = exim_fixes(&c, &statement, &list, &none, "+d", v);

	(void)state;
	assert_true(n >= 2);
	assert_string_equal(v[0].words,
	    "# in /e, line 2, without \"*.test\":\n"
	    "domainlist d = ours.test : a.test");
	assert_non_null(
	    strstr(v[0].text, "\ndomainlist d = ours.test : a.test\n"));
	assert_non_null(strstr(
	    v[1].text, "  accept domains = +d\n          domains = +d\n"));
	exim_fixes_release(v, n);
}

static void
routes(void **state)
{
	static const char transports[] = "begin transports\n\n"
					 "out:\n  driver = smtp\n"
					 "box:\n  driver = appendfile\n"
					 "begin retry\n";

	(void)state;
	assert_true(exim_route_leaves("victim@" EXIM_VICTIM ".example\n"
				      "  router = all, transport = out\n",
	    transports));
	assert_false(exim_route_leaves("victim@" EXIM_VICTIM ".example\n"
				       "  router = all, transport = box\n",
	    transports));
	/* where an alias of ours leads isn't the stranger's choice */
	assert_false(exim_route_leaves("bob@elsewhere.test\n"
				       "    <-- victim%" EXIM_VICTIM
				       ".example@ours.test\n"
				       "  router = all, transport = out\n",
	    transports));
	assert_false(
	    exim_route_leaves("victim%" EXIM_VICTIM ".example@ours.test\n"
			      "  router = all, transport = out\n",
		transports));
	assert_false(exim_route_leaves("victim@" EXIM_VICTIM
				       ".example is undeliverable: no\n",
	    transports));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(sample),
		cmocka_unit_test(seed), cmocka_unit_test(strangers),
		cmocka_unit_test(trace), cmocka_unit_test(trace_of_4_98),
		cmocka_unit_test(entries),
		cmocka_unit_test(places), cmocka_unit_test(fixes),
		cmocka_unit_test(routes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
