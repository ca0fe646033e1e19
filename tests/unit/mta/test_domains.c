/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <sys/stat.h>

#include "common/base/err.h"
#include "common/mta/domains.h"

static int
load(struct domain_set *set, struct err *err, char **names, size_t n)
{
	const struct string_list list = { .v = names, .n = n };

	return domains_load(&list, set, err);
}

static enum domain_answer
ask(const struct domain_set *set, const char *domain)
{
	char folded[DOMAIN_TEXT_MAX];

	assert_true(domain_fold(domain, strlen(domain), folded));
	return domains_ask(set, folded, true);
}

static bool
has(const struct domain_set *set, const char *domain)
{
	char folded[DOMAIN_TEXT_MAX];

	return domain_fold(domain, strlen(domain), folded) &&
	    domains_contain(set, folded);
}

static void
inline_names(void **state)
{
	char *names[] = { "Example.COM", ".wild.example",
		("b\xc3\xbc"
		 "cher.example"),
		"[192.0.2.1]", "example.com" };
	struct domain_set set;
	struct err err;

	(void)state;
	assert_int_equal(load(&set, &err, names, 5), 0);
	assert_int_equal(set.names.n, 4);
	assert_true(has(&set, "example.com"));
	assert_true(has(&set, "EXAMPLE.com."));
	assert_false(has(&set, "a.example.com"));
	assert_false(has(&set, "com"));
	assert_true(has(&set, "a.wild.example"));
	assert_true(has(&set, "a.b.wild.example"));
	assert_false(has(&set, "wild.example"));
	assert_false(has(&set, ".wild.example"));
	assert_false(has(&set, "awild.example"));
	assert_true(has(&set, "xn--bcher-kva.example"));
	assert_true(has(&set,
	    "B\xc3\x9c"
	    "CHER.example"));
	assert_true(has(&set, "[192.0.2.1]"));
	assert_false(has(&set, "[192.0.2.2]"));
	assert_false(has(&set, ""));
	assert_false(has(&set, "."));
	assert_false(has(&set, "example.com.."));
	assert_false(has(&set, "exam ple.com"));
	domains_release(&set);
}

/* Folding of names, names that are no domain, and the longest ones. */
static void
folding(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "A-Z.Example", "a-z.example" },
		{ "a.example.", "a.example" },
		{ "a.example..", NULL },
		{ ".", NULL },
		{ "..", NULL },
		{ "", NULL },
		{ "x", "x" },
		{ "@[`{", "@[`{" },
		{ "a b", NULL },
		{ "a\x1f", NULL },
		{ "a\x7f", NULL },
		{ "a\x7e", "a\x7e" },
		{ "a!", "a!" },
		{ "M\xc3\x9cnchen.example", "xn--mnchen-3ya.example" },
		/* a letter with its dots apart, and one that only looks like ss
		 */
		{ "bu\xcc\x88"
		  "cher.example",
		    "xn--bcher-kva.example" },
		{ "fa\xc3\x9f.example", "xn--fa-hia.example" },
		{ "\xff.example", NULL },
		{ "\x80.example", NULL },
		/* a soft hyphen is nothing */
		{ "\xc2\xad", NULL },
	};
	char text[DOMAIN_TEXT_MAX + 8], got[DOMAIN_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].text);
		bool ok = domain_fold(rows[i].text, strlen(rows[i].text), got);

		assert_int_equal(ok, rows[i].want != NULL);
		if (ok)
			assert_string_equal(got, rows[i].want);
	}
	memset(text, 'a', sizeof(text));
	assert_true(domain_fold(text, DOMAIN_TEXT_MAX - 1, got));
	assert_int_equal(strlen(got), DOMAIN_TEXT_MAX - 1);
	assert_false(domain_fold(text, DOMAIN_TEXT_MAX, got));
	text[DOMAIN_TEXT_MAX - 1] = '.';
	assert_true(domain_fold(text, DOMAIN_TEXT_MAX, got));
}

/* Names that are none are refused, and what was loaded before them is gone. */
static void
no_domains(void **state)
{
	static char longest[DOMAIN_TEXT_MAX], dotted[DOMAIN_TEXT_MAX + 1];
	static const char *const rows[] = { "", ".", "a b", "a@b", "a/b", "a,b",
		"a\x7f"
		"b",
		"..", "a..",
		"user@averylongname.averylongname.averylongname.averylongname."
		"averylongname.averylongname.averylongname.example",
		longest, dotted };
	struct domain_set set;
	struct err err;

	(void)state;
	/* one byte is left for a dot before it */
	memset(longest, 'a', sizeof(longest) - 1);
	memset(dotted, 'a', sizeof(dotted) - 1);
	dotted[0] = '.';
	for (size_t i = 0; i < LENGTH(rows); i++) {
		char *names[] = { "good.test", (char *)(uintptr_t)rows[i] };

		ROW("%s", rows[i]);
		assert_int_equal(load(&set, &err, names, 2), -1);
		assert_contains(err.text, "expected a domain");
		assert_int_equal(set.names.n, 0);
	}
	/* what begins like a source is none */
	char *names[] = { longest, "postfix.test", "sendmail.test",
		"file.test" };

	longest[sizeof(longest) - 2] = '\0';
	assert_int_equal(load(&set, &err, names, 4), 0);
	for (size_t i = 0; i < LENGTH(names); i++)
		assert_true(has(&set, names[i]));
	assert_false(domains_failed(&set, dotted, sizeof(dotted)));
	domains_release(&set);
}

static void
many(void **state)
{
	static char *names[5000];
	char buf[40];
	struct domain_set set;
	struct err err;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		(void)snprintf(buf, sizeof(buf), "d%d.example", i);
		names[i] = strdup(buf);
	}
	assert_int_equal(load(&set, &err, names, 5000), 0);
	assert_int_equal(set.names.n, 5000);
	for (int i = 0; i < 5000; i++) {
		assert_true(has(&set, names[i]));
		free(names[i]);
	}
	assert_false(has(&set, "d5000.example"));
	domains_release(&set);
}

static void
files(void **state)
{
	const char *path = unit_file(0,
	    "# comment\n\na.test  # mine\n"
	    "\t.b.test\n10.1.2\nc.test");
	char name[100], *names[] = { name };
	struct domain_set set;
	struct err err;

	(void)state;
	(void)snprintf(name, sizeof(name), "file:%s", path);
	if (load(&set, &err, names, 1) == -1)
		fail_msg("%s", err.text);
	assert_int_equal(set.names.n, 3);
	assert_true(has(&set, "a.test"));
	assert_true(has(&set, "x.b.test"));
	assert_true(has(&set, "c.test"));
	assert_int_equal(set.files.n, 1);
	domains_release(&set);
	(void)unlink(path);
	/* a missing file is an error: silence would refuse its mail */
	assert_int_equal(load(&set, &err, names, 1), -1);
	assert_non_null(strstr(err.text, "No such file"));
	assert_int_equal(set.names.n, 0);

	path = unit_file(0, "a.test\nb.test RELAY\n");
	(void)snprintf(name, sizeof(name), "file:%s", path);
	assert_int_equal(load(&set, &err, names, 1), -1);
	assert_non_null(strstr(err.text, ":2: expected one domain a line"));
	(void)unlink(path);
	path = unit_file(0, "a.test\n\nuser@b.test\n");
	(void)snprintf(name, sizeof(name), "file:%s", path);
	assert_int_equal(load(&set, &err, names, 1), -1);
	assert_non_null(strstr(err.text, ":3: 'user@b.test'"));
	(void)unlink(path);

	path = unit_file(0, "a.test\n");
	FILE *out = fopen(path, "a");

	assert_non_null(out);
	(void)fwrite("b.test\0c.test\n", 1, 14, out);
	(void)fclose(out);
	(void)snprintf(name, sizeof(name), "file:%s", path);
	assert_int_equal(load(&set, &err, names, 1), -1);
	assert_non_null(strstr(err.text, ":2: has a NUL byte"));
	(void)unlink(path);
}

static void
sendmail_classes(void **state)
{
	const char *w = unit_file(0, "w-file.test\n# x\n");
	const char *r = unit_file(1, "r-file.test\n192.168\n[192.0.2.9]\n");
	char cf[1000], name[100], *names[] = { name };
	struct domain_set set;
	struct err err;

	(void)state;
	(void)snprintf(cf, sizeof(cf),
	    "V10/Berkeley\nCwlocalhost w.test\n\tmore.test\n"
	    "Fw%s\nF{R}-o %s %%[^\\#]\nFR-o /nonexistent/x\nCRr.test 10.0\n"
	    "C{VirtHost}virt.test\nC{w}$j\nCPREDIRECT\nFP/nonexistent/p\n"
	    "O Timeout=1\n",
	    w, r);
	const char *path = unit_file(2, cf);

	(void)snprintf(name, sizeof(name), "sendmail:%s", path);
	if (load(&set, &err, names, 1) == -1)
		fail_msg("%s", err.text);
	assert_true(has(&set, "localhost"));
	assert_true(has(&set, "w.test"));
	assert_true(has(&set, "more.test")); /* of a line that goes on */
	assert_false(has(&set, "x.w.test"));
	assert_true(has(&set, "w-file.test"));
	assert_true(has(&set, "virt.test"));
	assert_true(has(&set, "r.test"));
	assert_true(has(&set, "x.r.test"));
	assert_true(has(&set, "x.r-file.test"));
	assert_true(has(&set, "[192.0.2.9]"));
	assert_false(has(&set, "redirect"));
	assert_int_equal(set.files.n, 4);
	domains_release(&set);
	(void)unlink(path);
	(void)unlink(w);
	(void)unlink(r);
}

/* Of Sendmail's classes w and VirtHost the names themselves are ours, of R what
 * is below them, too; other classes, macros and networks are neither. */
static void
names_and_below(void **state)
{
	static const char cf[] =
	    "CPnone.test\nCwhost.test 192.0.2 $j\nC{VirtHost}virt.test\n"
	    "CRrel.test .only.test [192.0.2.9] .y\nCwlast.test\n";
	static const struct {
		const char *domain;
		bool want;
	} rows[] = { { "host.test", true }, { "in.host.test", false },
		{ "virt.test", true }, { "in.virt.test", false },
		{ "rel.test", true }, { "in.rel.test", true },
		{ "only.test", false }, { "in.only.test", true },
		{ "[192.0.2.9]", true }, { "in.[192.0.2.9]", false },
		{ "y", false }, { "x.y", true }, { "last.test", true },
		{ "none.test", false }, { "192.0.2", false }, { "$j", false } };
	const char *path = unit_file(0, cf);
	char name[100], *names[] = { name };
	struct domain_set set;
	struct err err;

	(void)state;
	(void)snprintf(name, sizeof(name), "sendmail:%s", path);
	assert_int_equal(load(&set, &err, names, 1), 0);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].domain);
		assert_int_equal(has(&set, rows[i].domain), rows[i].want);
	}
	/* and an admin is told of no others */
	assert_int_equal(set.names.n, 8);
	domains_release(&set);
	assert_int_equal(set.names.n, 0);
	assert_int_equal(set.files.n, 0);
	assert_null(set.postfix);
	assert_false(set.wildcards);
	(void)unlink(path);
}

/* An entry of a Sendmail class that is no domain is told with its place. */
static void
sendmail_errors(void **state)
{
	static const struct {
		const char *cf, *want; /* NULL: it is taken */
	} rows[] = {
		{ "CR.dotted.test\n", NULL },
		{ "Cwa@b\n", ":1: 'a@b': expected a domain" },
		{ "CRok.test a@b\n", ":1: 'a@b': expected a domain" },
		{ "O x\nCwa@b good.test\n", ":2: 'a@b': expected a domain" },
		{ "Fw|/bin/hosts\n",
		    "class w comes from '|/bin/hosts', which is no file" },
		{ "FR@ldap\n", "class R comes from '@ldap'" },
		{ "F{VirtHost}/nonexistent/x\n", "No such file" },
	};
	char name[100], *names[] = { name };
	struct domain_set set;
	struct err err;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		const char *path = unit_file(0, rows[i].cf);

		ROW("%s", rows[i].cf);
		(void)snprintf(name, sizeof(name), "sendmail:%s", path);
		int ret = load(&set, &err, names, 1);

		assert_int_equal(ret, rows[i].want == NULL ? 0 : -1);
		if (ret == 0) {
			assert_true(has(&set, "x.dotted.test"));
			assert_false(has(&set, "dotted.test"));
		} else {
			assert_contains(err.text, rows[i].want);
		}
		domains_release(&set);
		(void)unlink(path);
	}
	err.text[0] = '\0';
	(void)snprintf(name, sizeof(name), "sendmail:/nonexistent/sendmail.cf");
	assert_int_equal(load(&set, &err, names, 1), -1);
	assert_contains(err.text, "No such file");
}

enum { PATH_LEN = 4000 };

/* Programs that print what a test wants, found by PATH before the real ones;
 * old_path_r takes what PATH was. */
static void
put_programs(const char *dir, const char *postconf, const char *postmap,
    char old_path_r[PATH_LEN])
{
	const struct {
		const char *file, *text;
	} programs[] = { { "postconf", postconf }, { "postmap", postmap } };
	static char new_path[PATH_LEN + 200];
	char path[100];

	for (size_t i = 0; i < LENGTH(programs); i++) {
		(void)snprintf(
		    path, sizeof(path), "%s/%s", dir, programs[i].file);
		FILE *out = fopen(path, "w");

		assert_non_null(out);
		(void)fputs(programs[i].text, out);
		(void)fclose(out);
		assert_int_equal(chmod(path, 0755), 0);
	}
	(void)snprintf(old_path_r, PATH_LEN, "%s", getenv("PATH"));
	(void)snprintf(new_path, sizeof(new_path), "%s:%s", dir, old_path_r);
	(void)setenv("PATH", new_path, 1);
}

/* Two Postfixes, the second with a table that can only be asked: each is asked
 * of its own directory, whoever waits gets the answer, and a table that gives
 * none is said. */
static void
two_postfixes(void **state)
{
	static const char postconf[] =
	    "#!/bin/sh\ncase $4 in mydestination) case $2 in\n"
	    "*/one) echo one.test;; */two) echo mysql:/x/domains;; esac;; esac\n";
	static const char postmap[] =
	    "#!/bin/sh\nwhile read -r key; do case $key in\n"
	    "two.test) echo \"$key	x\";; broken.test) exit 1;;\n"
	    "*) case $6 in *\"{$key=\"*) echo \"$key	asked\";; esac;;\n"
	    "esac; done\n";
	static char old_path[PATH_LEN];
	const char *dir = unit_dir();
	char one[100], two[100], text[600] = "", *names[] = { one, two };
	struct domain_set set;
	struct err err;

	(void)state;
	put_programs(dir, postconf, postmap, old_path);
	(void)snprintf(one, sizeof(one), "postfix:%s/one", dir);
	(void)snprintf(two, sizeof(two), "postfix:%s/two", dir);
	if (load(&set, &err, names, 2) == -1)
		fail_msg("%s", err.text);
	assert_int_equal(set.n_postfix, 2);
	assert_int_equal(domains_ask(&set, "two.test", false), DOMAIN_PENDING);
	assert_true(domains_contain(&set, "two.test"));
	assert_true(has(&set, "one.test"));
	assert_false(has(&set, "far.test"));
	assert_false(domains_failed(&set, text, sizeof(text)));
	assert_int_equal(ask(&set, "broken.test"), DOMAIN_UNKNOWN);
	assert_true(domains_failed(&set, text, sizeof(text)));
	assert_contains(text, "mysql:/x/domains");
	domains_release(&set);
	(void)setenv("PATH", old_path, 1);
	assert_int_equal(unit_remove(dir), 0);
}

/* The real programs are in the system tests. */
static void
postfix_settings(void **state)
{
	const char *dir = unit_dir();
	static const char *const programs[] = { "postconf", "postmap" };
	static char old_path[PATH_LEN];
	char path[100], name[100], *names[] = { name };
	struct domain_set set;
	struct err err;
	static const char postconf[] =
	    "#!/bin/sh\nshift 3\ncase $1 in\n"
	    "mydestination) echo 'a.test, localhost [127.0.0.1]';;\n"
	    "virtual_alias_domains) echo 'hash:/x/virtual';;\n"
	    "virtual_mailbox_domains) echo $VMD;;\n"
	    "relay_domains) echo 'r.test';;\n"
	    "parent_domain_matches_subdomains) echo 'relay_domains';;\n"
	    "esac\n";
	static const char postmap[] =
	    "#!/bin/sh\nprintf "
	    "'v.test\\tanything\\nuser@v.test\\tx\\nw.test\\ty\\n'\n";

	(void)state;
	put_programs(dir, postconf, postmap, old_path);
	(void)setenv("VMD", "m.test", 1);
	(void)snprintf(name, sizeof(name), "postfix:%s", dir);
	if (load(&set, &err, names, 1) == -1)
		fail_msg("%s", err.text);
	assert_true(has(&set, "a.test"));
	assert_true(has(&set, "[127.0.0.1]"));
	assert_true(has(&set, "v.test"));
	assert_true(has(&set, "w.test"));
	assert_true(has(&set, "m.test"));
	assert_true(has(&set, "r.test"));
	assert_true(has(&set, "x.r.test"));
	assert_false(has(&set, "x.a.test"));
	assert_false(domains_failed(&set, path, sizeof(path)));
	domains_release(&set);

	/* what can't be read is said, and left open */
	(void)setenv("VMD", "/nonexistent/list, m.test", 1);
	assert_int_equal(load(&set, &err, names, 1), 0);
	assert_int_equal(set.warnings.n, 1);
	assert_non_null(strstr(set.warnings.v[0],
	    "main.cf: virtual_mailbox_domains: /nonexistent/list can't be "
	    "read: No such file or directory"));
	assert_int_equal(domains_broken(&set), 1);
	assert_int_equal(ask(&set, "a.test"), DOMAIN_OURS);
	assert_int_equal(ask(&set, "m.test"), DOMAIN_UNKNOWN);
	assert_int_equal(ask(&set, "x.test"), DOMAIN_UNKNOWN);
	assert_false(domains_contain(&set, "x.test"));
	domains_release(&set);
	/* nor do two lists know more than one */
	char *twice[] = { name, name };

	assert_int_equal(load(&set, &err, twice, 2), 0);
	assert_int_equal(domains_broken(&set), 2);
	assert_int_equal(ask(&set, "x.test"), DOMAIN_UNKNOWN);
	assert_int_equal(ask(&set, "a.test"), DOMAIN_OURS);
	domains_release(&set);
	(void)setenv("VMD", "!no.test", 1);
	assert_int_equal(load(&set, &err, names, 1), 0);
	assert_int_equal(ask(&set, "no.test"), DOMAIN_FOREIGN);
	domains_release(&set);
	(void)setenv("PATH", dir, 1);
	for (size_t i = 0; i < LENGTH(programs); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, programs[i]);
		(void)unlink(path);
	}
	assert_int_equal(load(&set, &err, names, 1), -1);
	assert_non_null(strstr(err.text, "postconf"));
	(void)setenv("PATH", old_path, 1);
	(void)rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inline_names),
		cmocka_unit_test(folding),
		cmocka_unit_test(no_domains),
		cmocka_unit_test(many),
		cmocka_unit_test(files),
		cmocka_unit_test(sendmail_classes),
		cmocka_unit_test(names_and_below),
		cmocka_unit_test(sendmail_errors),
		cmocka_unit_test(two_postfixes),
		cmocka_unit_test(postfix_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
