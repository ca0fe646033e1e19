/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "common/base/err.h"
#include "common/base/listen.h"
#include "common/share/link.h"

static void
servers(void **state)
{
	static const struct {
		const char *server;
		bool good, is_unix, tls, local;
	} rows[] = {
		{ "unix:/run/redis.sock", true, true, false, true },
		{ "redis.lab.test:6379", true, false, false, false },
		{ "localhost:6379", true, false, false, true },
		{ "127.0.0.1:6379", true, false, false, true },
		{ "[::1]:6379", true, false, false, true },
		{ "[2001:db8::1]:6379", true, false, false, false },
		{ "tls:redis.lab.test:6380", true, false, true, false },
		{ "tls:[2001:db8::1]:6380", true, false, true, false },
		{ "tls:unix:/run/redis.sock", false, false, true, false },
		{ "redis.lab.test", false, false, false, false },
		{ "tls:", false, false, true, false },
		{ "", false, false, false, false },
	};
	char text[500] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct listen_spec spec;
		struct err err;
		bool tls;
		bool good = link_parse(rows[i].server, &spec, &tls, &err) == 0;

		ROW("%s", rows[i].server);
		assert_int_equal(good, rows[i].good);
		assert_int_equal(tls, rows[i].tls);
		if (!good) {
			assert_int_equal(err.code, ERR_INVALID);
			continue;
		}
		assert_int_equal(spec.is_unix, rows[i].is_unix);
		assert_int_equal(listen_is_local(&spec), rows[i].local);
	}
	memset(text, 'a', sizeof(text) - 6);
	memcpy(text + sizeof(text) - 6, ":6379", 6);

	struct listen_spec spec;
	struct err err;
	bool tls;

	assert_int_equal(link_parse(text, &spec, &tls, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(servers) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
