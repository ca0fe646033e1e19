/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "ctl/stage/tables.h"

static const struct row {
	const char *name, *type, *text;
	const char *want; /* "path port ...", each behind a space */
} rows[] = {
	{ "a socket", "mysql", "hosts = unix:/run/mysqld/mysqld.sock\n",
	    " /run/mysqld/mysqld.sock" },
	{ "loopback has the usual port", "mysql",
	    "user = mail\nhosts = 127.0.0.1\n", " 3306" },
	{ "or another", "pgsql", "hosts=inet:127.0.0.1:5433", " 5433" },
	{ "localhost may be either", "mysql", "hosts = localhost\n",
	    " /run/mysqld/mysqld.sock /var/lib/mysql/mysql.sock 3306" },
	{ "no hosts are localhost", "pgsql", "dbname = mail\n",
	    " /run/postgresql/.s.PGSQL.5432 5432" },
	{ "several", "mysql", "hosts = db1.example.org, 127.0.0.1:3307\n",
	    " 3307" },
	{ "another machine stays out of reach", "mysql",
	    "hosts = 192.0.2.1:3306 db.example.org\n", "" },
	{ "LDAP", "ldap", "server_host = ldap://localhost:3890/\n", " 3890" },
	{ "LDAP, elsewhere", "ldap", "server_host = ldaps://ldap.example.org\n",
	    "" },
	{ "each once", "mysql", "hosts = 127.0.0.1 127.0.0.1:3306\n", " 3306" },
	{ "a longer name is another setting", "mysql",
	    "hosts_of_mine = 127.0.0.1\nhosts = unix:/s\n", " /s" },
	{ "a path that isn't absolute", "mysql", "hosts = unix:s\n", "" },
	{ "not a kind of server", "hash", "hosts = 127.0.0.1\n", "" },
};

static void
servers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static struct postfix_endpoint v[TABLE_SERVERS_MAX];
		char got[400] = "";
		size_t n, len = 0;

		ROW("%s", rows[i].name);
		n = tables_servers_of(rows[i].type, rows[i].text, v, 0);
		for (size_t j = 0; j < n; j++)
			len += (size_t)(v[j].is_unix
				? snprintf(got + len, sizeof(got) - len, " %s",
				      v[j].path)
				: snprintf(got + len, sizeof(got) - len, " %u",
				      v[j].port));
		assert_string_equal(got, rows[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(servers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
