/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/mta/exim_wiring.h"

#define INCLUDE "/etc/popgate/exim-closed.conf"
#define POLICY "/run/popgate/policy.sock"

static const struct exim_wiring_names names = { POLICY, INCLUDE };

#define INCLUDED "# popgate: the ACLs that ask it.\n.include " INCLUDE "\n\n"
#define PERMIT_TOP                                                      \
	"  # popgate: a client that it permits relays as an AUTH user " \
	"does.\n  accept\n"
#define VERDICT_TOP                                                        \
	"  # popgate: who may not relay is told why; without popgate, to " \
	"come again.\n  deny\n"
#define VERDICT "    !acl = acl_popgate_verdict\n"

static const char definitions[] = "acl_popgate:\n  deny\n";

/* The text with all edits; NULL with err when there is no plan. */
static char *
wire(const char *text, struct err *err, size_t *n_edits)
{
	struct exim_file files[] = { { "/e", text }, { INCLUDE, definitions } };
	struct exim_source src;
	struct edit_plan plan;
	char *out = NULL;

	assert_true(exim_source_read(files, 2, 1, &src));
	if (exim_wiring_plan(&src, &names, &plan, err) == 0) {
		out = edit_plan_apply(&plan, "/e", text);
		assert_non_null(out);
	}
	if (n_edits != NULL)
		*n_edits = plan.n_edits;
	edit_plan_release(&plan);
	exim_source_release(&src);
	return out;
}

#define MAIN "acl_smtp_rcpt = acl_rcpt\nbegin acl\n"

static const struct {
	const char *name, *before, *after;
} rows[] = {
	{ "as Exim's default configuration has it",
	    MAIN "acl_rcpt:\n"
		 "  accept  hosts = :\n"
		 "  accept  authenticated = *\n"
		 "          control = submission\n"
		 "\n"
		 "  deny    dnslists = x.example\n"
		 "  # relaying\n"
		 "  require message = relay not permitted\n"
		 "          domains = +local : +relay\n"
		 "  accept\n",
	    MAIN INCLUDED "acl_rcpt:\n"
			  "  accept  hosts = :\n"
			  "  accept  authenticated = *\n"
			  "          control = submission\n"
			  "\n" PERMIT_TOP "    !domains = +local : +relay\n"
			  "    acl = acl_popgate\n"
			  "    control = submission\n"
			  "\n"
			  "  deny    dnslists = x.example\n"
			  "    !acl = acl_popgate_client\n" VERDICT_TOP
			  "    !domains = +local : +relay\n" VERDICT "\n"
			  "  # relaying\n"
			  "  require message = relay not permitted\n"
			  "          domains = +local : +relay\n"
			  "  accept\n" },
	{ "the end of the ACL refuses, accepts say what is ours",
	    MAIN "acl_rcpt:\n  accept authenticated = *\n"
		 "  deny hosts = +bad\n"
		 "  accept domains = +local\n  verify = recipient\n"
		 "begin routers\n",
	    MAIN INCLUDED "acl_rcpt:\n  accept authenticated = *\n"
			  "\n" PERMIT_TOP "    !domains = +local\n"
			  "    acl = acl_popgate\n"
			  "  deny hosts = +bad\n" VERDICT_TOP
			  "    !domains = +local\n" VERDICT "\n"
			  "  accept domains = +local\n  verify = recipient\n"
			  "begin routers\n" },
	{ "what AUTH users never come to spares popgate's clients",
	    "acl_smtp_mail = m\n" MAIN "m:\n"
	    "  deny senders = spam@x.example\n"
	    "  accept authenticated = *\n"
	    "  deny message = AUTH first\n"
	    "       sender_domains = +local\n"
	    "  accept\n"
	    "acl_rcpt:\n"
	    "  accept authenticated = *\n"
	    "  defer senders = grey@x.example\n"
	    "  deny domains = +local\n"
	    "       !verify = recipient\n"
	    "  require domains = +local\n"
	    "  accept\n",
	    "acl_smtp_mail = m\n" MAIN "m:\n"
	    "  deny senders = spam@x.example\n"
	    "  accept authenticated = *\n"
	    "  deny message = AUTH first\n"
	    "       sender_domains = +local\n"
	    "    !acl = acl_popgate_client\n"
	    "  accept\n" INCLUDED "acl_rcpt:\n"
	    "  accept authenticated = *\n"
	    "\n" PERMIT_TOP "    !domains = +local\n"
	    "    acl = acl_popgate\n"
	    "  defer senders = grey@x.example\n"
	    "    !acl = acl_popgate_client\n"
	    "  deny domains = +local\n"
	    "       !verify = recipient\n" VERDICT_TOP
	    "    !domains = +local\n" VERDICT "\n"
	    "  require domains = +local\n"
	    "  accept\n" },
	{ "an accept by a list of our users says what is ours",
	    MAIN "acl_rcpt:\n  accept authenticated = *\n"
		 "  accept domains = +local\n"
		 "  condition = ${lookup{$local_part}lsearch{/u}{1}{0}}\n"
		 "  deny message = no such user\n",
	    MAIN INCLUDED "acl_rcpt:\n  accept authenticated = *\n"
			  "\n" PERMIT_TOP "    !domains = +local\n"
			  "    acl = acl_popgate\n"
			  "  accept domains = +local\n"
			  "  condition = ${lookup{$local_part}lsearch{/u}{1}{0}}\n" VERDICT_TOP VERDICT
			  "\n  deny message = no such user\n" },
	{ "no AUTH: in front of the refusal",
	    MAIN "acl_rcpt:\n  accept domains = +local\n"
		 "  deny message = no\n",
	    MAIN INCLUDED "acl_rcpt:\n  accept domains = +local\n" PERMIT_TOP
			  "    acl = acl_popgate\n\n" VERDICT_TOP VERDICT
			  "\n  deny message = no\n" },
	{ "no AUTH: beside the hosts",
	    MAIN "acl_rcpt:\n  accept hosts = +relay_from\n"
		 "  require verify = sender\n"
		 "  deny !domains = +local\n  accept\n",
	    MAIN INCLUDED "acl_rcpt:\n  accept hosts = +relay_from\n"
			  "\n" PERMIT_TOP
			  "    !domains = +local\n    acl = acl_popgate\n"
			  "  require verify = sender\n" VERDICT_TOP
			  "    !domains = +local\n" VERDICT
			  "\n  deny !domains = +local\n  accept\n" },
	{ "a refusal that spares AUTH users spares popgate's, too",
	    MAIN "acl_rcpt:\n"
		 "  deny message = no\n"
		 "       domains = ! +local\n"
		 "       !hosts = +relay_from\n"
		 "       !authenticated = *\n"
		 "  deny dnslists = x.example\n"
		 "  accept\n",
	    MAIN INCLUDED "acl_rcpt:\n" VERDICT_TOP "    domains = ! +local\n"
			  "    !hosts = +relay_from\n"
			  "    !authenticated = *\n" VERDICT "\n"
			  "  deny message = no\n"
			  "       domains = ! +local\n"
			  "       !hosts = +relay_from\n"
			  "       !authenticated = *\n"
			  "    !acl = acl_popgate\n"
			  "  deny dnslists = x.example\n"
			  "  accept\n" },
	{ "macros and .ifdef, as Debian has them",
	    "RCPT = acl_rcpt\n"
	    ".ifdef NEVER\nacl_smtp_rcpt = x\n.else\n"
	    "acl_smtp_rcpt = RCPT\n.endif\nbegin acl\n"
	    "acl_rcpt:\n  accept\n    authenticated = *\n"
	    ".ifdef NEVER\n    control = submission\n.endif\n"
	    ".ifdef NEVER\n  accept\n.endif\n"
	    "  require\n    domains = +local : \\\n"
	    "      # another\n      +relay\n  accept\n",
	    "RCPT = acl_rcpt\n"
	    ".ifdef NEVER\nacl_smtp_rcpt = x\n.else\n"
	    "acl_smtp_rcpt = RCPT\n.endif\nbegin acl\n" INCLUDED
	    "acl_rcpt:\n  accept\n    authenticated = *\n"
	    ".ifdef NEVER\n    control = submission\n.endif\n"
	    ".ifdef NEVER\n  accept\n.endif\n" PERMIT_TOP
	    "    !domains = +local : +relay\n    acl = acl_popgate\n\n" VERDICT_TOP
	    "    !domains = +local : +relay\n" VERDICT
	    "\n  require\n    domains = +local : \\\n"
	    "      # another\n      +relay\n  accept\n" },
	{ "an AUTH user's own settings aren't taken over",
	    MAIN "acl_rcpt:\n  accept authenticated = *\n"
		 "    set acl_m_user = $authenticated_id\n"
		 "    set acl_m_own = yes\n    add_header = X-A: b\n"
		 "  deny\n",
	    MAIN INCLUDED
	    "acl_rcpt:\n  accept authenticated = *\n"
	    "    set acl_m_user = $authenticated_id\n"
	    "    set acl_m_own = yes\n    add_header = X-A: b\n" PERMIT_TOP
	    "    acl = acl_popgate\n    set acl_m_own = yes\n"
	    "    add_header = X-A: b\n\n" VERDICT_TOP VERDICT "\n  deny\n" },
	{ "refusals that spare AUTH users, and block lists behind their accept",
	    "acl_smtp_mail = m\n" MAIN
	    "acl_rcpt:\n  deny dnslists = a.example\n"
	    "  accept authenticated = *\n"
	    "  deny message = listed\n       dnslists = b.example\n"
	    "  require domains = +local\n"
	    "  deny sender_domains = +local\n       !authenticated = *\n"
	    "  accept\n"
	    "m:\n  drop !authenticated = *\n    condition = x\n    delay = 4s\n"
	    "  accept\n",
	    "acl_smtp_mail = m\n" MAIN INCLUDED
	    "acl_rcpt:\n  deny dnslists = a.example\n"
	    "  accept authenticated = *\n"
	    "\n" PERMIT_TOP "    !domains = +local\n    acl = acl_popgate\n"
	    "  deny message = listed\n       dnslists = b.example\n"
	    "    !acl = acl_popgate_client\n" VERDICT_TOP
	    "    !domains = +local\n" VERDICT "\n  require domains = +local\n"
	    "  deny sender_domains = +local\n       !authenticated = *\n"
	    "    !acl = acl_popgate_client\n"
	    "  accept\n"
	    "m:\n  drop !authenticated = *\n    condition = x\n    delay = 4s\n"
	    "    !acl = acl_popgate_client\n"
	    "  accept\n" },
	{ "two ACLs by an expansion",
	    "acl_smtp_rcpt = ${if eq{$interface_port}{25}{mx}{msa}}\n"
	    "begin acl\nmx:\n  accept domains = +local\nmsa:\n"
	    "  accept authenticated = *\n  deny\n",
	    "acl_smtp_rcpt = ${if eq{$interface_port}{25}{mx}{msa}}\n"
	    "begin acl\n" INCLUDED "mx:\n  accept domains = +local\n"
	    "\n" PERMIT_TOP "    acl = acl_popgate\n\n" VERDICT_TOP VERDICT
	    "msa:\n  accept authenticated = *\n" PERMIT_TOP
	    "    acl = acl_popgate\n\n" VERDICT_TOP VERDICT "\n  deny\n" },
};

static void
edits(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		size_t n = 0;
		struct err err;

		ROW("%s", rows[i].name);
		char *got = wire(rows[i].before, &err, &n);

		assert_non_null(got);
		assert_string_equal(got, rows[i].after);
		assert_true(n > 0);
		/* a wired one stays as it is */
		char *again = wire(got, &err, &n);

		assert_non_null(again);
		assert_int_equal(n, 0);
		assert_string_equal(again, got);
		free(again);
		free(got);
	}
}

static const struct {
	const char *name, *text, *words;
} refused[] = {
	{ "nothing", "", "expected the files that Exim reads" },
	{ "no ACL", "begin acl\nx:\n  accept\n", "acl_smtp_rcpt is not set" },
	{ "another name", "acl_smtp_rcpt = y\nbegin acl\nx:\n  accept\n",
	    "no ACL of that name" },
	{ "open", MAIN "acl_rcpt:\n  accept\n",
	    "/e:4: this accept lets every client relay" },
	{ "open behind a check of the address",
	    MAIN "acl_rcpt:\n  require verify = recipient\n  accept\n",
	    "/e:5: this accept" },
	{ "open for all hosts", MAIN "acl_rcpt:\n  accept hosts = *\n  deny\n",
	    "/e:4: this accept" },
	{ "open for a list of all hosts",
	    "hostlist friends = *\n" MAIN
	    "acl_rcpt:\n  accept hosts = +friends\n  deny\n",
	    "/e:5: this accept" },
	{ "another popgate", "POPGATE = /old\n" MAIN "acl_rcpt:\n  deny\n",
	    "Exim asks popgate at /old" },
};

static void
refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(refused); i++) {
		struct err err;

		ROW("%s", refused[i].name);
		assert_null(wire(refused[i].text, &err, NULL));
		assert_int_equal(err.code, ERR_INVALID);
		assert_non_null(strstr(err.text, refused[i].words));
	}
}

/* Files behind one another, and included ones: each edit names its own. */
static void
several_files(void **state)
{
	static const struct exim_file files[] = {
		{ "/main", "acl_smtp_rcpt = r\n" },
		{ "/acl",
		    "begin acl\n# of recipients\nr:\n.include /inc\n"
		    "  require domains = +local\n  accept\n" },
		{ "/inc", "  accept authenticated = *\n" },
	};
	struct exim_source src;
	struct edit_plan plan;
	struct err err;

	(void)state;
	assert_true(exim_source_read(files, 3, 2, &src));
	assert_int_equal(src.text.missing.n, 0);
	assert_int_equal(exim_wiring_plan(&src, &names, &plan, &err), 0);
	assert_int_equal(plan.n_edits, 3);
	assert_string_equal(plan.edits[0].file, "/acl");
	assert_int_equal(plan.edits[0].line, 2);
	for (size_t i = 0; i < plan.n_edits; i++)
		assert_true(*plan.edits[i].why != '\0');
	edit_plan_release(&plan);
	exim_source_release(&src);

	/* one that isn't there is named */
	assert_true(exim_source_read(files, 2, 2, &src));
	assert_int_equal(src.text.missing.n, 1);
	assert_string_equal(src.text.missing.v[0], "/inc");
	exim_source_release(&src);
}

/* Text that breaks off anywhere gives a plan or an error, and no more. */
static void
any_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		size_t len = strlen(rows[i].before);

		ROW("%s", rows[i].name);
		for (size_t n = 0; n < len; n++) {
			char *text = strndup(rows[i].before, n);
			struct err err;

			assert_non_null(text);
			free(wire(text, &err, NULL));
			free(text);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edits),
		cmocka_unit_test(refusals),
		cmocka_unit_test(several_files),
		cmocka_unit_test(any_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
