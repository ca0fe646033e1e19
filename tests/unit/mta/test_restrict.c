/* SPDX-License-Identifier: ISC */
/* restriction lists, access maps, and the forms of the three MTAs that the
 * doctor reads by itself */
#include "tests/unit/unit.h"

#include "common/mta/exim_text.h"
#include "common/mta/postfix_conf.h"
#include "common/mta/postfix_table.h"
#include "common/mta/restrict.h"
#include "common/mta/sendmail_cf.h"
#include "ctl/doctor/net.h"

/* The names that look() was asked for, in order. */
static char asked[400];

static const char *
class_list(void *arg, const char *name)
{
	(void)arg;
	return strcmp(name, "loop") == 0   ? "loop"
	    : strcmp(name, "friends") == 0 ? "permit"
	    : strcmp(name, "strict") == 0  ? "reject_unauth_destination"
					   : NULL;
}

static enum restrict_end
look(void *arg, enum restrict_effect effect, const char *name,
    const char *operand)
{
	size_t n = strlen(asked);

	(void)arg;
	(void)effect;
	(void)snprintf(asked + n, sizeof(asked) - n, "[%s %s]", name, operand);
	return strcmp(operand, "static:OK") == 0 ? RESTRICT_PERMIT
						 : RESTRICT_THROUGH;
}

static void
lists(void **state)
{
	static const struct {
		const char *list;
		enum restrict_end want;
		bool want_reject; /* restrict_has_reject() */
		const char *want_asked;
	} rows[] = { { "", RESTRICT_THROUGH, false, "" },
		{ "permit", RESTRICT_PERMIT, false, "" },
		{ "reject", RESTRICT_REJECT, true, "" },
		{ " permit_mynetworks,reject_unauth_destination ",
		    RESTRICT_REJECT, true, "[permit_mynetworks ]" },
		{ "REJECT_UNAUTH_DESTINATION permit", RESTRICT_REJECT, true,
		    "" },
		{ "permit, reject", RESTRICT_PERMIT, false, "" },
		{ "friends, reject", RESTRICT_PERMIT, true, "" },
		{ "strict", RESTRICT_REJECT, true, "" },
		{ "loop, reject", RESTRICT_REJECT, true, "[loop ]" },
		{ "warn_if_reject reject, permit_mynetworks", RESTRICT_THROUGH,
		    false, "[permit_mynetworks ]" },
		{ "warn_if_reject, reject_rbl_client x, reject",
		    RESTRICT_REJECT, true, "" },
		{ "check_sender_access hash:/x reject", RESTRICT_REJECT, true,
		    "[check_sender_access hash:/x]" },
		{ "check_client_access static:OK, reject", RESTRICT_PERMIT,
		    true, "[check_client_access static:OK]" },
		/* a permit that is the operand of something else */
		{ "sleep permit reject", RESTRICT_REJECT, true, "" },
		{ "reject_rbl_client permit, reject", RESTRICT_REJECT, true,
		    "" },
		{ "check_policy_service { unix:a, timeout=1s } reject",
		    RESTRICT_REJECT, true,
		    "[check_policy_service { unix:a, timeout=1s }]" },
		{ "hash:/x, defer", RESTRICT_REJECT, true, "[ hash:/x]" },
		{ "reject_something_new permit", RESTRICT_PERMIT, false, "" },
		{ "nonsense", RESTRICT_THROUGH, false, "[nonsense ]" },
		{ "check_sender_access", RESTRICT_THROUGH, false,
		    "[check_sender_access ]" },
		{ "{ { {", RESTRICT_THROUGH, false, "[{ { { ]" },
		/* a table whose key is DNS's is looked at, too */
		{ "check_client_ns_access hash:/x, reject", RESTRICT_REJECT,
		    true, "[check_client_ns_access hash:/x]" },
		{ "permit_dnswl_client x, reject", RESTRICT_REJECT, true,
		    "" } };

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].list);
		struct restrict_walk w = { .class_list = class_list,
			.look = look,
			.plain_table = EFFECT_RECIPIENT };

		asked[0] = '\0';
		assert_int_equal(restrict_list(&w, rows[i].list), rows[i].want);
		/* "loop" is asked for once it goes too deep */
		assert_string_equal(asked, rows[i].want_asked);
		assert_int_equal(w.depth, 0);
		assert_int_equal(
		    restrict_has_reject(&w, rows[i].list), rows[i].want_reject);
	}
}

static void
results(void **state)
{
	static const struct {
		const char *value;
		enum access_result want;
	} rows[] = { { "OK", RESULT_OK }, { "ok", RESULT_OK },
		{ " OK ", RESULT_OK }, { "550", RESULT_DIGITS },
		{ "0", RESULT_DIGITS }, { "1700000000", RESULT_DIGITS },
		{ "550 5.7.1 no", RESULT_REJECT },
		{ "450 later", RESULT_REJECT }, { "250 yes", RESULT_LIST },
		{ "REJECT", RESULT_REJECT }, { "reject no", RESULT_REJECT },
		{ "DEFER_IF_PERMIT x", RESULT_REJECT },
		{ "DUNNO", RESULT_NEUTRAL }, { "", RESULT_NEUTRAL },
		{ "PREPEND X: y", RESULT_NEUTRAL },
		{ "permit_mynetworks, reject", RESULT_LIST },
		{ "friends", RESULT_LIST }, { "OKAY", RESULT_LIST } };

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].value);
		assert_int_equal(
		    access_result_parse(rows[i].value), rows[i].want);
	}
}

static void
take(
    void *arg, enum postfix_table_kind kind, const char *key, const char *value)
{
	char *text = arg;
	size_t n = strlen(text);

	(void)kind;
	(void)snprintf(text + n, 400 - n, "[%s=%s]", key, value);
}

static void
tables(void **state)
{
	static const struct {
		const char *table, *want;
		bool read;
	} rows[] = { { "static:OK", "[=OK]", true },
		{ "static:{550 no}", "[=550 no]", true },
		{ "inline:{a=OK}", "[a=OK]", true },
		{ "inline:{ a=OK, { b = 550 no } }", "[a=OK][b=550 no]", true },
		{ "proxy:inline:{a=OK}", "[a=OK]", true },
		{ "unionmap:{static:x, inline:{a=b}}", "[=x][a=b]", true },
		{ "pipemap:{unionmap:{static:x}}", "[=x]", true },
		{ "ldap:/etc/x", "", false }, { "nonsense", "", false },
		{ "hash:relative", "", false },
		{ "texthash:/nonexistent", "", false },
		{ "unionmap:{ldap:/x, static:y}", "[=y]", false } };
	char got[400], why[400];

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].table);
		got[0] = '\0';
		assert_int_equal(postfix_table_read("/etc/postfix",
				     rows[i].table, take, got, why),
		    rows[i].read);
		assert_string_equal(got, rows[i].want);
		assert_int_equal(*why != '\0', !rows[i].read);
	}
}

static void
texts(void **state)
{
	char got[400] = "";

	(void)state;
	postfix_table_parse(TABLE_KEYS,
	    "# c\n\na.test OK\nb.test\n  550\n"
	    "   no\n#x\n\tmore\nc\n",
	    take, got);
	assert_string_equal(got, "[a.test=OK][b.test=550   no	more][c=]");
	got[0] = '\0';
	postfix_table_parse(TABLE_PATTERN,
	    "/a b\\/c/i OK\nif /x/\n!/y/ OK\n"
	    "/z/ 1\nendif\n",
	    take, got);
	assert_string_equal(got, "[/a b\\/c/i=OK][/z/=1]");
	assert_true(postfix_pattern_is_all("/./ OK"));
	assert_true(postfix_pattern_is_all("/^.*$/i"));
	assert_true(postfix_pattern_is_all("//"));
	assert_false(postfix_pattern_is_all("/^a/"));
	assert_false(postfix_pattern_is_all("/"));
	assert_false(postfix_pattern_is_all(""));
}

static void
networks(void **state)
{
	static const struct {
		const char *word, *want; /* NULL: none */
	} rows[] = { { "192.0.2.0/24", "192.0.2.0/24" },
		{ "192.0.2.7", "192.0.2.7" }, { "10", "10.0.0.0/8" },
		{ "10.1", "10.1.0.0/16" }, { "10.1.2.", "10.1.2.0/24" },
		{ "[2001:db8::]/32", "2001:db8::/32" },
		{ "[2001:db8::1]", "2001:db8::1" },
		{ "[::ffff:127.0.0.0]/104", "127.0.0.0/8" },
		{ "::ffff:127.0.0.0/64", NULL }, { "0.0.0.0/0", "0.0.0.0/0" },
		{ "192.0.2.0/33", NULL }, { "192.0.2.0/", NULL },
		{ "192.0.2.0/x", NULL }, { "256.1", NULL },
		{ "example.com", NULL }, { "", NULL }, { ".", NULL },
		{ "1.2.3.4.5", NULL },
		{ "IPv6:2001:db8::/32", "2001:db8::/32" } };
	char text[NETWORK_TEXT_MAX];
	struct network net;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].word);
		assert_int_equal(
		    net_word_parse(rows[i].word, &net), rows[i].want != NULL);
		if (rows[i].want != NULL)
			assert_string_equal(
			    network_format(&net, text), rows[i].want);
	}
}

static void
dangers(void **state)
{
	static const struct {
		const char *net;
		enum net_danger want;
	} rows[] = { { "127.0.0.0/8", NET_FINE }, { "::1/128", NET_FINE },
		{ "126.0.0.0/7", NET_WORLD }, { "0.0.0.0/0", NET_WORLD },
		{ "2000::/3", NET_WORLD }, { "10.0.0.0/8", NET_WIDE },
		{ "192.0.2.0/23", NET_WIDE }, { "192.0.2.0/24", NET_FINE },
		{ "2001:db8::/47", NET_WIDE }, { "2001:db8::/48", NET_FINE },
		{ "172.17.0.0/24", NET_BRIDGE }, { "172.17.0.1", NET_BRIDGE },
		{ "172.17.0.2", NET_FINE },
		{ "198.51.100.0/24", NET_GATEWAY } };
	struct net_machine m = { 0 };
	char who[ADDR_TEXT_MAX];
	struct network net;

	(void)state;
	assert_true(network_parse("172.17.0.1", &net));
	assert_true(network_set_add(&m.bridges, &net));
	assert_true(network_parse("198.51.100.1", &net));
	assert_true(network_set_add(&m.gateways, &net));
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].net);
		assert_true(network_parse(rows[i].net, &net));
		assert_int_equal(net_danger(&m, &net, who), rows[i].want);
		assert_int_equal(*who != '\0', rows[i].want >= NET_BRIDGE);
	}
	net_machine_release(&m);
}

static void
lines(void **state)
{
	static const char main_cf[] = "# x = 1\nx = 1\ny=2\n  x = 3\nx=4\n";
	static const char master_cf[] =
	    "#smtp inet\nsmtp inet n - y - - smtpd\n"
	    "# -o a=1\n  -o a=1\n  -o { b = 2 }\nsmtp unix - - y - - smtp\n"
	    "  -o a=2\n";

	(void)state;
	assert_int_equal(postfix_main_line(main_cf, "x"), 5);
	assert_int_equal(postfix_main_line(main_cf, "y"), 3);
	assert_int_equal(postfix_main_line(main_cf, "z"), 0);
	assert_int_equal(
	    postfix_master_line(master_cf, "smtp", "inet", NULL), 2);
	assert_int_equal(
	    postfix_master_line(master_cf, "smtp", "inet", "a"), 4);
	assert_int_equal(
	    postfix_master_line(master_cf, "smtp", "inet", "b"), 5);
	assert_int_equal(
	    postfix_master_line(master_cf, "smtp", "unix", "a"), 7);
	assert_int_equal(postfix_master_line(master_cf, "x", "inet", NULL), 0);
}

static void
sendmail(void **state)
{
	struct sendmail_cf cf;
	char buf[64];

	(void)state;
	assert_true(sendmail_cf_parse(
	    strdup("# c\nCwa b\nSRelay_ok=3\n"
		   "R$*\t$: x\n\tgoes on\n\nXpopgate, S=unix:/x, F=T\r\n"
		   "O InputMailFilters=a"),
	    &cf));
	assert_int_equal(cf.n, 4);
	assert_int_equal(cf.v[1].kind, 'R');
	assert_string_equal(cf.v[1].ruleset, "Relay_ok");
	assert_string_equal(cf.v[1].text, "$*\t$: x \tgoes on");
	assert_int_equal(cf.v[1].line, 4);
	assert_int_equal(cf.v[2].line, 7);
	assert_true(sendmail_equate(cf.v[2].text, 'F', buf, sizeof(buf)));
	assert_string_equal(buf, "T");
	assert_false(sendmail_equate(cf.v[2].text, 'Q', buf, sizeof(buf)));
	assert_string_equal(
	    sendmail_option(cf.v[3].text, "inputmailfilters"), "a");
	assert_null(sendmail_option(cf.v[3].text, "InputMail"));
	assert_string_equal(sendmail_name("{Ab}c", buf), "c");
	assert_string_equal(buf, "Ab");
	assert_string_equal(sendmail_name("wc", buf), "c");
	assert_string_equal(buf, "w");
	sendmail_cf_release(&cf);
}

static void
exim(void **state)
{
	char word[64], sep = 0;
	const char *list = "<; a ; b;;c ;; ${if eq{a;b}{x}} ";

	(void)state;
	assert_true(exim_member(&list, &sep, word, sizeof(word)));
	assert_string_equal(word, "a");
	assert_true(exim_member(&list, &sep, word, sizeof(word)));
	assert_string_equal(word, "b;c ; ${if eq{a;b}{x}}");
	assert_false(exim_member(&list, &sep, word, sizeof(word)));
	list = "127.0.0.1 : ::::1";
	sep = 0;
	assert_true(exim_member(&list, &sep, word, sizeof(word)));
	assert_string_equal(word, "127.0.0.1");
	assert_true(exim_member(&list, &sep, word, sizeof(word)));
	assert_string_equal(word, "::1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lists),
		cmocka_unit_test(results), cmocka_unit_test(tables),
		cmocka_unit_test(texts), cmocka_unit_test(networks),
		cmocka_unit_test(dangers), cmocka_unit_test(lines),
		cmocka_unit_test(sendmail), cmocka_unit_test(exim) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
