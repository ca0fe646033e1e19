/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/json.h"
#include "common/base/listen.h"
#include "common/base/sockets.h"

/* Is all well, as the status page says? */
static bool
good(void)
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);
	struct json j = { .to = to };
	bool value = false;

	assert_non_null(to);
	json_open(&j, NULL, '{');
	sockets_write(&j);
	json_close(&j, '}');
	(void)fclose(to);
	assert_true(json_find_bool(text, "sockets_good", &value));
	free(text);
	return value;
}

/* An inet socket has no file: nothing to watch, whatever its descriptor. */
static void
inet(void **state)
{
	struct listen_spec spec;
	struct err err;

	(void)state;
	assert_int_equal(listen_parse("inet:9999@127.0.0.1", &spec, &err), 0);
	sockets_keep("milter.listen", &spec, -1, 0600, (gid_t)-1, NULL, NULL);
	assert_true(good());
}

/* A socket file that is gone can't be made again without the descriptor: that
 * is said, and nothing else happens. */
static void
unknown_descriptor(void **state)
{
	char text[128];
	const char *dir = unit_dir();
	struct listen_spec spec;
	struct err err;

	(void)state;
	(void)snprintf(text, sizeof(text), "unix:%s/s", dir);
	assert_int_equal(listen_parse(text, &spec, &err), 0);
	int fd = listen_open(&spec, 0600, (gid_t)-1, &err);

	assert_int_not_equal(fd, -1);
	sockets_keep("milter.listen", &spec, -1, 0600, (gid_t)-1, NULL, NULL);
	assert_true(good());
	assert_int_equal(unlink(spec.path), 0);
	sockets_tick();
	assert_false(good());
	assert_int_equal(access(spec.path, F_OK), -1);
	sockets_drop_all();
	assert_true(good());
	(void)close(fd);
	(void)rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inet),
		cmocka_unit_test(unknown_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
