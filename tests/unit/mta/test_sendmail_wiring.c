/* SPDX-License-Identifier: ISC */
/* the edit of a Sendmail configuration: what changes in a sendmail.mc or a
 * sendmail.cf, what is refused, and what is said about it */
#include "tests/unit/unit.h"

#include "common/base/err.h"
#include "common/mta/sendmail_mc.h"
#include "common/mta/sendmail_wiring.h"

static const struct sendmail_sockets sockets = { "unix:/run/m", "unix:/run/s" };

/* etc/sendmail/closed.m4 and lists.m4 in short */
static const char closed[] =
    "dnl comment\n"
    "LOCAL_CONFIG\n"
    "D{popgateEnd}x\n"
    "Ksendmail socket -T<TMPF> unix:/run/popgate/socketmap.sock\n"
    "LOCAL_RULESETS\n"
    "SOwn_check_rcpt\n"
    "SLocal_check_rcpt\n"
    "R<ask>\t$(sendmail $1 $)\n"
    "R<permit>\t$#OK\n"
    "ifdef(`confRELAY_MSG', `R$* confRELAY_MSG $*\t$: <ask> $1\n"
    "')dnl\n"
    "INPUT_MAIL_FILTER(`popgate', `S=unix:/run/popgate/milter.sock, F=')dnl\n";
static const char lists[] =
    "PUSHDIVERT(6)dnl\n"
    "Ksendmail_client socket unix:/run/popgate/socketmap.sock\n"
    "POPDIVERT`'dnl\n"
    "R$*\t$: $(sendmail_client $&{client_addr} $)\n";

#define CF_HEAD "DZ8.17\n"
#define CF_RULES                              \
	"SLocal_check_rcpt\n"                 \
	"Scheck_rcpt\n"                       \
	"R$*\t$: $>\"Local_check_rcpt\" $1\n" \
	"SBasic_check_rcpt\n"                 \
	"R$* $| RELAY\t$@ RELAY\n"            \
	"R$*\t\t\t$#error $@ 5.7.1 $: \"550 No\"\n"
#define CF CF_HEAD CF_RULES

#define INCLUDE "include(`/etc/mail/popgate.m4')dnl\n"

static int
plan(const char *cf, const char *mc, struct edit_plan *p, struct err *err)
{
	const struct sendmail_file file = { "/etc/mail/sendmail.mc", mc };
	const struct sendmail_source src = {
		.cf = { "/etc/mail/sendmail.cf", cf },
		.mc = &file,
		.n_mc = mc != NULL,
		.rules = { "/etc/mail/popgate.m4", NULL },
		.lists = { "/etc/mail/popgate-lists.m4", NULL },
		.closed_m4 = closed,
		.lists_m4 = lists,
	};

	return sendmail_wiring_plan(&src, &sockets, p, err);
}

static bool
has_note(const struct edit_plan *p, enum sendmail_note_kind kind)
{
	for (size_t i = 0; i < p->n_notes; i++)
		if (p->notes[i].kind == (int)kind)
			return true;
	return false;
}

#define DAEMON "DAEMON_OPTIONS(`Port=587, Name=MSA, "

static void
edits_of_mc(void **state)
{
	static const struct {
		const char *name, *mc, *want;
		enum sendmail_note_kind want_note; /* LOOPBACK_ONLY: any */
	} rows[] = {
		{ "nothing of note", "MAILER(smtp)\n", "MAILER(smtp)\n" INCLUDE,
		    SENDMAIL_LOOPBACK_ONLY },
		{ "no newline at the end", "MAILER(smtp)",
		    "MAILER(smtp)\n" INCLUDE, SENDMAIL_LOOPBACK_ONLY },
		{ "wired already", "MAILER(smtp)\n" INCLUDE "dnl end\n",
		    "MAILER(smtp)\n" INCLUDE "dnl end\n",
		    SENDMAIL_LOOPBACK_ONLY },
		{ "a listener's own list",
		    DAEMON "InputMailFilters=a;b, M=E')\n",
		    DAEMON "InputMailFilters=a;b;popgate, M=E')\n" INCLUDE,
		    SENDMAIL_LOOPBACK_ONLY },
		{ "the list in short, doubly quoted, last",
		    "DAEMON_OPTIONS(``Port=25,i=a'')dnl\n",
		    "DAEMON_OPTIONS(``Port=25,i=a;popgate'')dnl\n" INCLUDE,
		    SENDMAIL_LOOPBACK_ONLY },
		{ "an empty list", DAEMON "I=')\n",
		    DAEMON "I=popgate')\n" INCLUDE, SENDMAIL_LOOPBACK_ONLY },
		{ "popgate is in it", DAEMON "I=popgate;a')\n",
		    DAEMON "I=popgate;a')\n" INCLUDE, SENDMAIL_LOOPBACK_ONLY },
		{ "a listener for re-injection",
		    DAEMON "Addr=127.0.0.1, I=a')\n",
		    DAEMON "Addr=127.0.0.1, I=a')\n" INCLUDE,
		    SENDMAIL_LOOPBACK_ONLY },
		{ "a comment", "dnl " DAEMON "I=a')\n",
		    "dnl " DAEMON "I=a')\n" INCLUDE, SENDMAIL_LOOPBACK_ONLY },
		{ "over two lines", "DAEMON_OPTIONS(`Port=587,\n I=a')dnl\nx\n",
		    "DAEMON_OPTIONS(`Port=587,\n I=a;popgate')dnl\nx\n" INCLUDE,
		    SENDMAIL_LOOPBACK_ONLY },
		{ "rules of the admin's own",
		    "LOCAL_RULESETS\nSLocal_check_rcpt\t# mine\nR$*\t$@ OK\n",
		    "LOCAL_RULESETS\nSOwn_check_rcpt\t# mine\nR$*\t$@ OK\n" INCLUDE,
		    SENDMAIL_OWN_WORD },
		{ "other rule sets",
		    "SLocal_check_rcpt_not\nSLocal_check_mail\n",
		    "SLocal_check_rcpt_not\nSLocal_check_mail\n" INCLUDE,
		    SENDMAIL_LOOPBACK_ONLY },
		{ "open", "FEATURE(promiscuous_relay)dnl\n",
		    "dnl FEATURE(promiscuous_relay)dnl\n" INCLUDE,
		    SENDMAIL_WAS_OPEN },
		{ "block lists", "FEATURE(`dnsbl')\nFEATURE(`enhdnsbl')\n",
		    "include(`/etc/mail/popgate-lists.m4')dnl\n"
		    "FEATURE(`dnsbl')\nFEATURE(`enhdnsbl')\n" INCLUDE,
		    SENDMAIL_LOOPBACK_ONLY },
		{ "an old include",
		    "x\ninclude(`/etc/popgate/sendmail/closed.m4')\ny\n",
		    "x\ny\n" INCLUDE, SENDMAIL_OLD_WIRING },
		{ "an old filter and its list",
		    "define(`confINPUT_MAIL_FILTERS', `a, popgate')dnl\n"
		    "MAIL_FILTER(`popgate', `S=unix:/old')\n",
		    "define(`confINPUT_MAIL_FILTERS', `a')dnl\n" INCLUDE,
		    SENDMAIL_OLD_WIRING },
		{ "first in the list",
		    "define(`confINPUT_MAIL_FILTERS', `popgate, a')dnl\n",
		    "define(`confINPUT_MAIL_FILTERS', `a')dnl\n" INCLUDE,
		    SENDMAIL_LOOPBACK_ONLY },
		{ "another filter of such a name",
		    "define(`confINPUT_MAIL_FILTERS', `xpopgate, a')dnl\n",
		    "define(`confINPUT_MAIL_FILTERS', `xpopgate, a')dnl\n" INCLUDE,
		    SENDMAIL_LOOPBACK_ONLY },
		{ "old rules",
		    "a\ndnl Sendmail, closed, with popgate's socket map\ndnl x\n"
		    "LOCAL_CONFIG\nD{popgateEnd}x\nKsendmail socket unix:/x\n"
		    "LOCAL_RULESETS\nSLocal_check_rcpt\nR$*\t$@ OK\ndnl y\n"
		    "INPUT_MAIL_FILTER(`popgate', `S=unix:/x')dnl\nb\n",
		    "a\nb\n" INCLUDE, SENDMAIL_OLD_WIRING },
		{ "generated", "dnl Ansible managed\n",
		    "dnl Ansible managed\n" INCLUDE, SENDMAIL_GENERATED },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct edit_plan p, again;
		struct err err;

		ROW("%s", rows[i].name);
		assert_int_equal(plan(CF, rows[i].mc, &p, &err), 0);
		char *got =
		    edit_plan_apply(&p, "/etc/mail/sendmail.mc", rows[i].mc);

		assert_string_equal(got, rows[i].want);
		if (rows[i].want_note != SENDMAIL_LOOPBACK_ONLY)
			assert_true(has_note(&p, rows[i].want_note));
		/* the second time only the files are missing */
		assert_int_equal(plan(CF, got, &again, &err), 0);
		char *same =
		    edit_plan_apply(&again, "/etc/mail/sendmail.mc", got);

		assert_string_equal(same, got);
		free(same);
		free(got);
		edit_plan_release(&again);
		edit_plan_release(&p);
	}
}

static void
rules_file(void **state)
{
	struct edit_plan p;
	struct err err;

	(void)state;
	assert_int_equal(plan(CF, "x\n", &p, &err), 0);
	assert_int_equal(p.n_edits, 2);
	assert_string_equal(p.edits[0].file, "/etc/mail/popgate.m4");
	assert_null(p.edits[0].old);
	assert_non_null(strstr(p.edits[0].text, " unix:/run/s\n"));
	assert_non_null(strstr(p.edits[0].text, "`S=unix:/run/m, F='"));
	edit_plan_release(&p);
}

static void
refusals(void **state)
{
	static const struct {
		const char *name, *cf, *mc, *want;
	} rows[] = {
		{ "from before 8.9", "DZ8.8\n", "x\n", "Basic_check_rcpt" },
		{ "the map's name is taken", CF "Ksendmail hash /x\n", "x\n",
		    "sendmail.cf:8: there is a map named sendmail" },
		{ "popgate's socket by another name", CF,
		    "MAIL_FILTER(`gate', `S=unix:/run/m')\n",
		    "sendmail.mc:1: popgate's socket is a filter" },
		{ "something among old rules", CF,
		    "D{popgateEnd}x\nFEATURE(`x')\n", "sendmail.mc:2:" },
		{ "rules from elsewhere", CF "SLocal_check_rcpt\nR$*\t$@ OK\n",
		    "HACK(`x')\n",
		    "sendmail.cf:9: Local_check_rcpt has rules" },
		{ "two on a line", CF, "x\n" DAEMON "I=a') FEATURE(`x')\n",
		    "sendmail.mc:2: DAEMON_OPTIONS has to be changed" },
		{ "something before it", CF, "FEATURE(`x')" DAEMON "I=a')\n",
		    "sendmail.mc:1: DAEMON_OPTIONS" },
		{ "a call over rules", CF,
		    "DAEMON_OPTIONS(`I=a)\nSLocal_check_rcpt\n`x'')\n",
		    "sendmail.mc:2: two changes meet" },
		{ "a quote that isn't closed", CF, "x\ndefine(`a', `b)\n",
		    "sendmail.mc:2: a quote" },
		{ "one outside of a call", CF, "x\n\n`y\n",
		    "sendmail.mc:3: a quote" },
		{ "open, and no sources",
		    CF_HEAD "SBasic_check_rcpt\nR$*\t$: $1\n", NULL,
		    "relays for everybody" },
		{ "by hand, and no sources", CF "Xpopgate, S=unix:/x\n", NULL,
		    "sendmail.cf:8: popgate is wired by hand" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct edit_plan p;
		struct err err;

		ROW("%s", rows[i].name);
		assert_int_equal(plan(rows[i].cf, rows[i].mc, &p, &err), -1);
		assert_non_null(strstr(err.text, rows[i].want));
		edit_plan_release(&p);
	}
}

/* A sendmail.cf without sources, by what it lacks before and after. */
static void
edits_of_cf(void **state)
{
	static const struct {
		const char *name, *cf, *want; /* in the text */
	} rows[] = {
		{ "bare", CF, "O InputMailFilters=popgate\n" },
		{ "its own message", CF, "R$* $| $#error $* \"550 No\" $*\t" },
		{ "filters", "O InputMailFilters=a, b\n" CF,
		    "O InputMailFilters=a, b;popgate\n" },
		{ "an empty list", "O InputMailFilters=\n" CF,
		    "O InputMailFilters=popgate\n" },
		{ "a listener", "O DaemonPortOptions=Port=25, I=a, M=E\n" CF,
		    "O DaemonPortOptions=Port=25, I=a;popgate, M=E\n" },
		{ "rules", CF "SLocal_check_rcpt\nR$*\t$@ OK\n",
		    "\nSOwn_check_rcpt\nR$*\t$@ OK\n" },
		{ "block lists",
		    CF "SBasic_check_relay\nR$*\t$: $&{client_addr}\n"
		       "R$-\t$: <?> $(dnsbl $1 $)\n",
		    "SBasic_check_relay\nR$*\t$: $(sendmail_client "
		    "$&{client_addr} $)\nR$*\t$: $&{client_addr}\n" },
		{ "no newline at its end", CF "DXy", "DXy\n# popgate" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct edit_plan p;
		struct err err;
		char missing[400];

		ROW("%s", rows[i].name);
		assert_true(sendmail_wiring_missing(rows[i].cf, &sockets,
				missing, sizeof(missing)) > 0);
		assert_int_equal(plan(rows[i].cf, NULL, &p, &err), 0);
		char *got =
		    edit_plan_apply(&p, "/etc/mail/sendmail.cf", rows[i].cf);

		assert_non_null(strstr(got, rows[i].want));
		assert_int_equal(sendmail_wiring_missing(
				     got, &sockets, missing, sizeof(missing)),
		    0);
		edit_plan_release(&p);
		assert_int_equal(plan(got, NULL, &p, &err), 0);
		assert_int_equal(p.n_edits, 0);
		edit_plan_release(&p);
		free(got);
	}
}

static void
comparison(void **state)
{
	static const struct {
		const char *a, *b;
		int want;
		unsigned want_line;
	} rows[] = {
		{ "# built by x\nDZ8\n", "# built by y\n\nDZ8\n", 1, 0 },
		{ "DZ8\nDXa\n", "DZ8\nDXb\n", 0, 2 },
		{ "DZ8\n", "DZ8\nDXb\n", 0, 0 },
		{ "Sa\nR$*\t$1\n", "Sb\nR$*\t$1\n", 0, 2 },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		unsigned line = 99;

		ROW("%zu", i);
		assert_int_equal(sendmail_cf_same(rows[i].a, rows[i].b, &line),
		    rows[i].want);
		assert_int_equal(line, rows[i].want_line);
	}
}

static void
notes(void **state)
{
	static const struct {
		const char *name, *cf;
		enum sendmail_note_kind want;
		const char *want_text;
	} rows[] = {
		{ "loopback only", "O DaemonPortOptions=Addr=127.0.0.1\n",
		    SENDMAIL_LOOPBACK_ONLY, "loopback" },
		{ "AUTH only", "O DaemonPortOptions=Name=MSA, M=Ea\n",
		    SENDMAIL_AUTH_ONLY, "MSA wants AUTH" },
		{ "another user", "O RunAsUser=mail\n", SENDMAIL_RUNS_AS,
		    "runs as mail" },
		{ "a block list", "SBasic_check_relay\nR$*\t$(dnsbl x $)\n",
		    SENDMAIL_REFUSES_FIRST, "DNS block list" },
		{ "by MX", "SRcpt_ok\nR$*\t$(mxserved $1 $)\n",
		    SENDMAIL_RECIPIENTS, "relay_based_on_MX" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct edit_plan p;
		struct err err;
		char cf[1000];
		size_t n = 0;

		ROW("%s", rows[i].name);
		(void)snprintf(cf, sizeof(cf), "%s%s", rows[i].cf, CF);
		assert_int_equal(plan(cf, "x\n", &p, &err), 0);
		while (n < p.n_notes && p.notes[n].kind != (int)rows[i].want)
			n++;
		assert_true(n < p.n_notes);
		assert_non_null(strstr(p.notes[n].text, rows[i].want_text));
		edit_plan_release(&p);
	}
}

static void
calls(void **state)
{
	const char *at =
	    "dnl a(`b')\n`quoted(x)'\nf(`a, `b'', \n (c, d), e)x(\n";
	struct sendmail_call call;
	unsigned line = 1;
	char arg[40];

	(void)state;
	assert_true(sendmail_mc_next(&at, &line, &call));
	assert_true(sendmail_mc_is(&call, "f"));
	assert_int_equal(call.line, 3);
	assert_int_equal(call.last_line, 4);
	assert_true(sendmail_mc_arg(&call, 0, arg, sizeof(arg)));
	assert_string_equal(arg, "a, b");
	assert_true(sendmail_mc_arg(&call, 1, arg, sizeof(arg)));
	assert_string_equal(arg, "(c, d)");
	assert_true(sendmail_mc_arg(&call, 2, arg, sizeof(arg)));
	assert_string_equal(arg, "e");
	assert_false(sendmail_mc_arg(&call, 3, arg, sizeof(arg)));
	/* not closed: a call all the same, up to the end */
	assert_true(sendmail_mc_next(&at, &line, &call));
	assert_true(sendmail_mc_is(&call, "x"));
	assert_false(sendmail_mc_next(&at, &line, &call));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls),
		cmocka_unit_test(edits_of_mc),
		cmocka_unit_test(rules_file),
		cmocka_unit_test(refusals),
		cmocka_unit_test(edits_of_cf),
		cmocka_unit_test(comparison),
		cmocka_unit_test(notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
