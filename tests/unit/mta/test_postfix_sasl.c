/* SPDX-License-Identifier: ISC */
/* test_postfix_sasl - may an smtpd with Cyrus SASL leave its chroot? */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mta/postfix_sasl.h"

/* Below the root: "PATH=TEXT" a file, "PATH>TARGET" another name of one,
 * "PATH/" a directory. */
static const struct {
	const char *name, *have[4], *config;
	bool want;
} rows[] = {
	{ "there is nothing", { NULL }, "", true },
	{ "sasldb in the chroot alone", { "/q/etc/sasldb2=a" }, "", false },
	{ "outside alone", { "/etc/sasldb2=a" }, "", true },
	{ "in both places", { "/q/etc/sasldb2=a", "/etc/sasldb2=a" }, "",
	    true },
	{ "another one outside", { "/q/etc/sasldb2=a", "/etc/sasldb2=b" }, "",
	    false },
	{ "a socket in the chroot alone", { "/q/run/saslauthd/mux=" }, "",
	    false },
	{ "one that both reach",
	    { "/q/run/saslauthd/mux=", "/run/saslauthd>/q/run/saslauthd" }, "",
	    true },
	{ "another one outside, of as many bytes",
	    { "/q/run/saslauthd/mux=1", "/run/saslauthd/mux=2" }, "", false },
	{ "a path of the settings",
	    { "/etc/sasl2/smtpd.conf=saslauthd_path: /private/mux\n",
		"/q/private/mux=" },
	    "", false },
	{ "the same, that both reach",
	    { "/etc/sasl2/smtpd.conf=saslauthd_path: /private/mux\n",
		"/q/private/mux=", "/private>/q/private" },
	    "", true },
	{ "a comment, and a value that isn't a path",
	    { "/etc/sasl2/smtpd.conf=# saslauthd_path: /private/mux\n"
	      "mech_list: PLAIN\nx\n",
		"/q/private/mux=" },
	    "", true },
	{ "settings that Postfix doesn't read",
	    { "/etc/sasl2/smtpd.conf=saslauthd_path: /private/mux\n",
		"/q/private/mux=" },
	    "/etc/mine:/etc/other", true },
	{ "the last of the directories",
	    { "/etc/other/smtpd.conf=sasldb_path:\t/private/db\n"
	      "a: /private/db \n",
		"/q/private/db=x" },
	    "/etc/mine:/etc/other", false },
	{ "saslauthd doesn't run, whose directory is in the chroot",
	    { "/q/var/run/saslauthd/" }, "", false },
	{ "the same, of what an earlier one left outside",
	    { "/q/var/run/saslauthd/", "/var/run/saslauthd/mux=" }, "", false },
	{ "saslauthd doesn't run, whose directory both reach",
	    { "/q/var/run/saslauthd/",
		"/var/run/saslauthd>/q/var/run/saslauthd" },
	    "", true },
	{ "saslauthd's directory outside alone", { "/run/saslauthd/" }, "",
	    true },
	{ "one socket in two directories",
	    { "/q/run/saslauthd/mux=", "/run/saslauthd/",
		"/run/saslauthd/mux>/q/run/saslauthd/mux" },
	    "", true },
	{ "no sasldb, and an /etc in the chroot", { "/q/etc/hosts=a" }, "",
	    true },
	{ "the settings' saslauthd doesn't run",
	    { "/etc/sasl2/smtpd.conf=saslauthd_path: /private/auth/mux\n",
		"/q/private/auth/" },
	    "", false },
	{ "the same, that both reach",
	    { "/etc/sasl2/smtpd.conf=saslauthd_path: /private/auth/mux\n",
		"/q/private/auth/", "/private>/q/private" },
	    "", true },
	{ "the same, in the chroot itself",
	    { "/etc/sasl2/smtpd.conf=saslauthd_path: /mux\n" }, "", true },
	{ "Courier's authdaemond doesn't run",
	    { "/etc/sasl2/smtpd.conf=authdaemond_path: /private/auth/socket\n",
		"/q/private/auth/" },
	    "", false },
	{ "a file of the settings that isn't there",
	    { "/etc/sasl2/smtpd.conf=sasldb_path: /etc/db\n",
		"/q/etc/hosts=a" },
	    "", true },
	{ "nothing behind the colon",
	    { "/etc/sasl2/smtpd.conf=saslauthd_path:/private/mux\n",
		"/q/private/mux=" },
	    "", false },
	{ "a tab behind the colon, in front of the name, and upper case",
	    { "/etc/sasl2/smtpd.conf=\tSASLauthd_path:\t/private/auth/mux\n",
		"/q/private/auth/" },
	    "", false },
	{ "a comment that stands inside",
	    { "/etc/sasl2/smtpd.conf= \t#saslauthd_path:/private/mux\n",
		"/q/private/mux=" },
	    "", true },
	{ "a colon in the value",
	    { "/etc/sasl2/smtpd.conf=x: inet: /private/mux\n",
		"/q/private/mux=" },
	    "", true },
};

static void
make(const char *root, const char *what)
{
	char path[300], target[300];
	size_t len = strcspn(what, "=>");

	(void)snprintf(path, sizeof(path), "%s%.*s", root, (int)len, what);
	for (char *at = path + strlen(root) + 1; (at = strchr(at, '/')) != NULL;
	     at++) {
		*at = '\0';
		(void)mkdir(path, 0700);
		*at = '/';
	}
	if (what[len] == '>') {
		(void)snprintf(
		    target, sizeof(target), "%s%s", root, what + len + 1);
		assert_int_equal(symlink(target, path), 0);
		return;
	}
	if (what[len] == '\0')
		return;
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(what + len + 1, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void
outside(void **state)
{
	const char *top = unit_dir();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char root[200], queue[220];

		ROW("%s", rows[i].name);
		(void)snprintf(root, sizeof(root), "%s/%zu", top, i);
		(void)snprintf(queue, sizeof(queue), "%s/q", root);
		assert_int_equal(mkdir(root, 0700), 0);
		assert_int_equal(mkdir(queue, 0700), 0);
		for (size_t k = 0; k < 4 && rows[i].have[k] != NULL; k++)
			make(root, rows[i].have[k]);
		assert_int_equal(
		    postfix_sasl_outside(root, queue, rows[i].config, "smtpd"),
		    rows[i].want);
	}
	assert_int_equal(unit_remove(top), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
