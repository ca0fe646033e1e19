/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <sys/stat.h>

#include "common/base/err.h"
#include "common/mta/address.h"
#include "common/mta/senders.h"

static int
load(struct sender_set *set, struct err *err, char **sources, size_t n)
{
	const struct string_list list = { .v = sources, .n = n };

	return senders_load(&list, set, err);
}

struct row {
	const char *user, *sender;
	bool address, domain; /* may he, in either binding? */
};

static void
check(const struct sender_set *set, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct row *r = &rows[i];

		ROW("user '%s', sender '%s'", r->user, r->sender);
		assert_int_equal(
		    senders_allow(set, SENDER_ADDRESS, r->user, r->sender),
		    r->address);
		assert_int_equal(
		    senders_allow(set, SENDER_DOMAIN, r->user, r->sender),
		    r->domain);
	}
}

#define CHECK(set, rows) check(set, rows, sizeof(rows) / sizeof(*(rows)))

static void
user_is_an_address(void **state)
{
	static const struct row rows[] = {
		{ "alice@a.test", "alice@a.test", true, true },
		{ "alice@a.test", "<alice@a.test>", false, false },
		{ "Alice@A.test", "aLICE@a.TEST.", true, true },
		{ "alice@b\xc3\xbc"
		  "cher.test",
		    "alice@xn--bcher-kva.test", true, true },
		{ "alice@xn--bcher-kva.test",
		    "alice@B\xc3\x9c"
		    "CHER.test",
		    true, true },
		{ "alice@a.test", "bob@a.test", false, true },
		{ "alice@a.test", "alice+x@a.test", false, true },
		{ "alice@a.test", "alice@b.test", false, false },
		{ "alice@a.test", "alice@x.a.test", false, false },
		{ "alice@x.a.test", "alice@a.test", false, false },
		{ "alice", "alice@a.test", false, false },
		{ "alice", "alice", false, false },
		{ "alice@a.test", "alice", false, false },
		{ "", "alice@a.test", false, false },
		{ "", "", false, false },
		{ "alice@a.test", "", false, false },
		{ "alice@a.test", "<>", false, false },
		{ "@a.test", "@a.test", false, false },
		{ "@a.test", "alice@a.test", false, false },
	};
	char *sources[] = { "user" };
	struct sender_set set;
	struct err err;

	(void)state;
	assert_int_equal(load(&set, &err, sources, 1), 0);
	CHECK(&set, rows);
	senders_release(&set);
}

/* An address that an MTA may read in another way than we do matches nothing. */
static void
hostile(void **state)
{
	static char long_local[3000], long_domain[3000], long_user[400];
	const char *const senders[] = { "@evil.test:alice@a.test",
		"@a.test,@evil.test:alice@a.test", "<@evil.test:alice@a.test>",
		"\"alice\"@a.test", "alice@evil.test@a.test",
		"alice%evil.test@a.test", "evil.test!alice@a.test",
		"\"alice@evil.test\"@a.test", "alice\\@evil.test@a.test",
		"alice@a.test@evil.test", "alice@a.test,bob@evil.test",
		"<alice@a.test>,<bob@evil.test>",
		"alice@a.test>,<bob@evil.test", "<<alice@a.test>>",
		"alice @a.test", "alice@ a.test", "alice@a.test ",
		" alice@a.test", "alice\t@a.test", "alice\n@a.test",
		"alice@a.test\n", "alice@a.test\r\nX: y", "alice\x01@a.test",
		"alice@a.test\x7f",
		"al\xc3\xaf"
		"ce@a.test",
		"alice\xff@a.test", "alice@a\xff.test", "alice(x)@a.test",
		"alice@a.test(x)", "alice;x@a.test", "alice@a.test..",
		"alice@.a.test", "alice@", "@", "alice@a.test.evil.test",
		"alice@[192.0.2.1]", "alice@a.test SIZE=100", "a.test",
		"alice@a.test/x", "alice@a.test|x", "alice@a.test%evil.test",
		"alice@a.test!x", long_local, long_domain };
	const char *const users[] = { "", "alice\n@a.test", "alice@a.test\nbob",
		"al\x7fice@a.test", "@a.test", "alice@evil.test@a.test",
		"\"alice\"@a.test", "alice%x@a.test", long_user };
	char *sources[] = { "user", "append:a.test", "file:" };
	const char *path = unit_file(0,
	    "alice@a.test: alice@a.test @a.test\n"
	    "alice: alice@a.test\n");
	char name[100];
	struct sender_set set;
	struct err err;

	(void)state;
	/* what a caller's buffer would cut to "...@a.test" */
	memset(long_local, 'a', 1990);
	memcpy(long_local + 1990, "@a.test", 8);
	memcpy(long_domain, "alice@", 6);
	memset(long_domain + 6, 'a', 2000);
	memcpy(long_domain + 2006, ".a.test", 8);
	memset(long_user, 'a', 300);
	memcpy(long_user + 300, "@a.test", 8);
	(void)snprintf(name, sizeof(name), "file:%s", path);
	sources[2] = name;
	if (load(&set, &err, sources, 3) == -1)
		fail_msg("%s", err.text);
	assert_true(senders_allow(
	    &set, SENDER_ADDRESS, "alice@a.test", "alice@a.test"));
	for (size_t i = 0; i < LENGTH(senders); i++) {
		const struct row row[] = { { "alice@a.test", senders[i], false,
					       false },
			{ "alice", senders[i], false, false } };

		CHECK(&set, row);
	}
	for (size_t i = 0; i < LENGTH(users); i++) {
		const struct row row[] = { { users[i], "alice@a.test", false,
					       false },
			{ users[i], users[i], false, false } };

		CHECK(&set, row);
	}
	/* a sender is no key of ours */
	assert_false(
	    senders_allow(&set, SENDER_ADDRESS, "alice", "a.test\nalice"));
	senders_release(&set);
	(void)unlink(path);
}

static void
appended(void **state)
{
	static const struct row rows[] = {
		{ "alice", "alice@a.test", true, true },
		{ "ALICE", "alice@A.test", true, true },
		{ "alice", "alice@b.test", true, true },
		{ "alice", "bob@a.test", false, true },
		{ "alice", "alice@c.test", false, false },
		/* an address is not completed; nor one of its own: no "user" */
		{ "alice@c.test", "alice@c.test", false, false },
		{ "alice@c.test", "alice@a.test", false, false },
		{ "a b", "a b@a.test", false, false },
		/* what can't be an address has no domain either */
		{ "a b", "x@a.test", false, false },
		{ "DOM\\alice", "alice@a.test", false, false },
	};
	char *sources[] = { "append:A.test.", "append:b.test" };
	struct sender_set set;
	struct err err;

	(void)state;
	assert_int_equal(load(&set, &err, sources, 2), 0);
	CHECK(&set, rows);
	senders_release(&set);
}

static void
files(void **state)
{
	static const struct row rows[] = {
		{ "alice", "alice@a.test", true, true },
		{ "alice", "sales@b.test", true, true },
		{ "alice", "other@b.test", false, true },
		{ "alice", "other@a.test", false, true },
		{ "Alice", "Sales@B.TEST", true, true },
		{ "bob", "any@c.test", true, true },
		{ "bob", "any@x.c.test", false, false },
		{ "bob", "alice@a.test", false, false },
		{ "alice", "any@c.test", false, false },
		{ "carol@d.test", "shop@a.test", true, true },
		{ "carol", "shop@a.test", false, false },
		{ "DOM\\dave", "dave@e.test", true, true },
		{ "dave", "dave@e.test", false, false },
		{ "nobody", "alice@a.test", false, false },
	};
	const char *path = unit_file(0,
	    "# who may be whom\n\n"
	    "alice: alice@a.test, sales@b.test # both\n"
	    "  Bob:@C.test.\r\n"
	    "carol@d.test: shop@a.test\n"
	    "alice: third@a.test\n"
	    "DOM\\dave: dave@e.test");
	char name[100], *sources[] = { name };
	struct sender_set set;
	struct err err;

	(void)state;
	(void)snprintf(name, sizeof(name), "file:%s", path);
	if (load(&set, &err, sources, 1) == -1)
		fail_msg("%s", err.text);
	CHECK(&set, rows);
	assert_true(
	    senders_allow(&set, SENDER_ADDRESS, "alice", "third@a.test"));
	assert_int_equal(set.files.n, 1);
	assert_string_equal(set.files.v[0], path);
	senders_release(&set);
	(void)unlink(path);
}

/* Each names file and line, or the setting, and says what was expected. */
static void
errors(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "alice: a@b.test\nalice a@b.test\n",
		    ":2: expected \"user: " },
		{ ": a@b.test\n", ":1: expected \"user: " },
		{ "al\x01ice: a@b.test\n", ":1: expected \"user: " },
		{ "alice:\n", ":1: expected an address" },
		{ "alice: # none\n", ":1: expected an address" },
		{ "\nalice: bob\n", ":2: 'bob': expected a plain" },
		{ "alice: @\n", ":1: '@': expected a plain" },
		{ "alice: @*\n", ":1: '@*': expected a plain" },
		{ "alice: \"x y\"@b.test\n", ":1: '\"x': expected a plain" },
		{ "alice: x@y@b.test\n", "'x@y@b.test': expected a plain" },
		{ "alice: r\xc3\xa9@b.test\n", "expected a plain" },
	};
	static char *const sources[] = { "users", "", "append:", "append:a b",
		"append:x@a.test", "append:.a.test", "append:[192.0.2.1]",
		"file:relative", "postfix:relative", "hash:/x",
		"file:/no/such/file" };
	char name[100], *one[] = { name };
	struct sender_set set;
	struct err err;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].text);
		const char *path = unit_file(0, rows[i].text);

		(void)snprintf(name, sizeof(name), "file:%s", path);
		assert_int_equal(load(&set, &err, one, 1), -1);
		assert_contains(err.text, rows[i].expected);
		assert_contains(err.text, path);
		assert_int_equal(set.set.n, 0);
		(void)unlink(path);
	}
	for (size_t i = 0; i < LENGTH(sources); i++) {
		ROW("%s", sources[i]);
		one[0] = sources[i];
		assert_int_equal(load(&set, &err, one, 1), -1);
		if (strstr(err.text, ": expected ") == NULL &&
		    strstr(err.text, "No such file") == NULL)
			fail_msg("%s", err.text);
	}
}

static void
write_program(const char *dir, const char *name, const char *text)
{
	char path[100];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	(void)fputs(text, out);
	(void)fclose(out);
	assert_int_equal(chmod(path, 0755), 0);
}

/* postconf and postmap that print what a test wants; the real ones are in the
 * system tests. */
static void
postfix_tables(void **state)
{
	static const struct row rows[] = {
		{ "alice", "alice@a.test", true, true },
		{ "Carol", "alice@a.test", true, true },
		{ "bob", "alice@a.test", false, true },
		{ "bob", "any@a.test", true, true },
		/* as in Postfix, the address goes before its domain */
		{ "bob", "boss@a.test", false, true },
		{ "boss", "boss@a.test", true, true },
		{ "alice", "any@a.test", false, true },
		/* and the first table before the second */
		{ "mallory", "boss@a.test", false, false },
		{ "dave", "dave@b.test", true, true },
		{ "dave", "alice@a.test", false, false },
	};
	static const struct {
		const char *maps, *expected;
	} bad[] = {
		{ "pcre:/x/senders", "pcre:/x/senders, which can't be listed" },
		{ "proxy:mysql:/x/my.cf", "can't be listed" },
		{ "ldap:/x/l.cf", "can't be listed" },
		{ "unionmap:{hash:/x/one}", "can't be listed" },
		{ "", "smtpd_sender_login_maps is empty" },
		{ "hash:/x/bare", "'alice': expected a plain" },
		{ "hash:/x/gone", "postmap" },
	};
	const char *dir = unit_dir();
	static char old_path[4000], new_path[4200];
	char path[100], name[100], *sources[] = { name };
	struct sender_set set;
	struct err err;

	(void)state;
	write_program(dir, "postconf",
	    "#!/bin/sh\n"
	    "[ \"$4\" = smtpd_sender_login_maps ] && echo \"$MAPS\"\n");
	write_program(dir, "postmap",
	    "#!/bin/sh\ncase $4 in\n"
	    "hash:/x/one) printf 'Alice@a.test\\talice, carol\\n"
	    "@a.test\\tbob\\nboss@a.test\\tboss\\n';;\n"
	    "texthash:/x/two) printf 'boss@a.test\\tmallory\\n"
	    "dave@b.test\\tdave\\n';;\n"
	    "hash:/x/bare) printf 'alice\\talice\\n';;\n"
	    "*) echo no such table >&2; exit 1;;\nesac\n");
	(void)snprintf(old_path, sizeof(old_path), "%s", getenv("PATH"));
	(void)snprintf(new_path, sizeof(new_path), "%s:%s", dir, old_path);
	(void)setenv("PATH", new_path, 1);
	(void)setenv("MAPS", "hash:/x/one, proxy:texthash:/x/two", 1);
	(void)snprintf(name, sizeof(name), "postfix:%s", dir);
	if (load(&set, &err, sources, 1) == -1)
		fail_msg("%s", err.text);
	CHECK(&set, rows);
	assert_int_equal(set.files.n, 3);
	senders_release(&set);
	for (size_t i = 0; i < LENGTH(bad); i++) {
		ROW("%s", bad[i].maps);
		(void)setenv("MAPS", bad[i].maps, 1);
		assert_int_equal(load(&set, &err, sources, 1), -1);
		assert_contains(err.text, bad[i].expected);
	}
	(void)setenv("PATH", old_path, 1);
	(void)snprintf(path, sizeof(path), "%s/postconf", dir);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/postmap", dir);
	(void)unlink(path);
	(void)rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(user_is_an_address),
		cmocka_unit_test(hostile),
		cmocka_unit_test(appended),
		cmocka_unit_test(files),
		cmocka_unit_test(errors),
		cmocka_unit_test(postfix_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
