/* SPDX-License-Identifier: ISC */
/* Lists of domains and of senders when memory is short: they fail as a whole,
 * and say why. A list that is half read would make a stranger of one of ours,
 * or of a bound sender a free one. */
#include "tests/unit/short_memory.h"

#include "common/base/addr.h"
#include "common/base/err.h"
#include "common/mta/domains.h"
#include "common/mta/senders.h"

static char plain[64], below[64], cf[64], users[64];

static int
files(void **state)
{
	char text[300];

	(void)state;
	(void)strcpy(plain, unit_file(0, "# ours\nf.test\ng.test # too\n"));
	(void)strcpy(below, unit_file(1, "h.test\n"));
	(void)snprintf(text, sizeof(text),
	    "Cwa.test b.test\nCRc.test\nC{VirtHost}d.test\nFw%s\n", below);
	(void)strcpy(cf, unit_file(2, text));
	(void)strcpy(
	    users, unit_file(3, "alice: a@a.test, @b.test\nbob: b@a.test\n"));
	return 0;
}

static int
no_files(void **state)
{
	(void)state;
	(void)unlink(plain);
	(void)unlink(below);
	(void)unlink(cf);
	(void)unlink(users);
	return 0;
}

static bool
load_domains(void *arg)
{
	static const char *const ours[] = { "x.test", "in.wild.test",
		"xn--bcher-kva.test", "f.test", "g.test", "a.test", "b.test",
		"c.test", "in.c.test", "d.test", "h.test" };
	struct domain_set set;
	struct err err;
	int ret = domains_load(arg, &set, &err);
	bool ok = ret == 0;

	if (!ok) {
		assert_int_equal(ret, -1);
		/* as libidn2 and stdio say it */
		assert_true(err.code == ERR_NOMEM || err.code == ERR_INVALID ||
		    err.code == ERR_IO);
	}
	for (size_t i = 0; i < LENGTH(ours); i++)
		assert_int_equal(domains_contain(&set, ours[i]), ok);
	domains_release(&set);
	return ok;
}

static void
domains(void **state)
{
	char file[80], sendmail[80], one[] = "x.test", wild[] = ".wild.test",
				     idn[] = "b\xc3\xbc"
					     "cher.test";
	char *names[] = { one, wild, idn, file, sendmail };
	struct string_list list = { .v = names, .n = LENGTH(names) };

	(void)state;
	(void)snprintf(file, sizeof(file), "file:%s", plain);
	(void)snprintf(sendmail, sizeof(sendmail), "sendmail:%s", cf);
	short_memory_fails_often(load_domains, &list, 10);
}

static bool
load_senders(void *arg)
{
	struct sender_set set;
	struct err err;
	int ret = senders_load(arg, &set, &err);
	bool ok = ret == 0;

	if (!ok) {
		assert_int_equal(ret, -1);
		/* as stdio says it */
		assert_true(err.code == ERR_NOMEM || err.code == ERR_IO);
	}
	assert_int_equal(
	    senders_allow(&set, SENDER_ADDRESS, "alice", "a@a.test"), ok);
	assert_int_equal(
	    senders_allow(&set, SENDER_ADDRESS, "carol", "carol@c.test"), ok);
	senders_release(&set);
	return ok;
}

static void
senders(void **state)
{
	char file[80], user[] = "user", append[] = "append:c.test";
	char *sources[] = { user, append, file };
	struct string_list list = { .v = sources, .n = LENGTH(sources) };

	(void)state;
	(void)snprintf(file, sizeof(file), "file:%s", users);
	short_memory_fails_often(load_senders, &list, 5);
}

static bool
add_networks(void *arg)
{
	struct network_set set = { 0 };
	struct network net;
	bool ok = true;
	size_t n = 0;

	(void)arg;
	assert_true(network_parse("192.0.2.0/24", &net));
	while (ok && n < 5) {
		ok = network_set_add(&set, &net);
		n += ok;
	}
	assert_int_equal(set.n, n);
	network_set_release(&set);
	return ok;
}

static void
networks(void **state)
{
	(void)state;
	short_memory_fails_often(add_networks, NULL, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(domains),
		cmocka_unit_test(senders),
		cmocka_unit_test(networks),
	};

	return cmocka_run_group_tests(tests, files, no_files);
}
