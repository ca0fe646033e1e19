/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <sys/stat.h>

#include "common/base/err.h"
#include "common/maps/map.h"
#include "common/maps/permitted.h"

static const char *const ann_bob[] = { "ann", "bob" };
static const char *const admin[] = { "" };

static struct permitted
permitted(const char *client, const char *const *user, size_t users)
{
	struct permitted p = {
		.client = client,
		.ticks = 1700000000,
		.user = user,
		.users = users,
	};

	assert_true(network_parse(client, &p.net));
	p.is_network = strchr(client, '/') != NULL;
	return p;
}

static void
read_file(const char *path, char *buf, size_t size)
{
	FILE *in = fopen(path, "re");

	assert_non_null(in);
	buf[fread(buf, 1, size - 1, in)] = '\0';
	(void)fclose(in);
}

static void
texts(void **state)
{
	static const struct {
		enum map_format format;
		const char *value;
		int want_network; /* what map_put() says of a network */
		const char *want;
	} rows[] = {
		{ MAP_AS_MAKEMAP, NULL, 0, "192.0.2.1\t1700000000\n" },
		{ MAP_AS_RELAYHOSTS, NULL, 0, "192.0.2.1\n" },
		{ MAP_AS_RELAYHOSTSUSERS, NULL, 0,
		    "192.0.2.1 ann\n192.0.2.1 bob\n" },
		{ MAP_AS_ACCESS, NULL, 0, "192.0.2.1\tOK\n" },
		{ MAP_AS_ACCESS, "RELAY", 0, "192.0.2.1\tRELAY\n" },
		{ MAP_AS_CIDR, NULL, 1,
		    "192.0.2.1\tOK\n198.51.100.0/24\tOK\n" },
	};
	const char *dir = unit_dir();
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/map", dir);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct permitted one = permitted("192.0.2.1", ann_bob, 2);
		const struct permitted net =
		    permitted("198.51.100.0/24", admin, 1);
		struct map *m = NULL;
		struct err err;
		struct stat st;
		char got[256];

		if (map_begin(path, rows[i].format, rows[i].value, 0640, &m,
			&err) == -1)
			fail_msg("%s", err.text);
		assert_int_equal(map_put(m, &one, &err), 1);
		assert_int_equal(map_put(m, &net, &err), rows[i].want_network);
		assert_int_equal(map_commit(&m, &st, &err), 0);
		assert_null(m);
		assert_int_equal(st.st_mode & 07777, 0640);
		read_file(path, got, sizeof(got));
		if (strcmp(got, rows[i].want) != 0)
			fail_msg("row %zu: got '%s', want '%s'", i, got,
			    rows[i].want);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(dir), 0); /* nothing is left beside */
}

/* The old file stays until the new one is whole, and keeps its mode. */
static void
replaced(void **state)
{
	const struct permitted one = permitted("192.0.2.1", ann_bob, 2);
	const char *dir = unit_dir();
	struct map *m = NULL;
	struct err err;
	struct stat st;
	char path[128], got[64];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/map", dir);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(
		    map_begin(path, MAP_AS_RELAYHOSTS, NULL, 0600, &m, &err),
		    0);
		assert_int_equal(map_put(m, &one, &err), 1);
		if (i == 2) {
			map_abort(&m);
			map_abort(&m);
		} else {
			assert_int_equal(map_commit(&m, &st, &err), 0);
		}
		if (i == 0)
			assert_int_equal(chmod(path, 0644), 0);
		else
			assert_int_equal(st.st_mode & 07777, 0644);
		read_file(path, got, sizeof(got));
		assert_string_equal(got, "192.0.2.1\n");
	}
	assert_int_equal(map_wipe(path, MAP_AS_RELAYHOSTS, &err), 0);
	read_file(path, got, sizeof(got));
	assert_string_equal(got, "");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(map_wipe(path, MAP_AS_RELAYHOSTS, &err), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* Equal for equal contents, and only for these. */
static void
digest(void **state)
{
	const struct permitted one = permitted("192.0.2.1", ann_bob, 2);
	const struct permitted two = permitted("192.0.2.2", ann_bob, 2);
	const struct permitted *rows[] = { &one, &one, &two };
	uint64_t got[3];
	const char *dir = unit_dir();
	struct err err;
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/map", dir);
	for (int i = 0; i < 3; i++) {
		struct map *m = NULL;

		assert_int_equal(
		    map_begin(path, MAP_AS_RELAYHOSTS, NULL, 0600, &m, &err),
		    0);
		assert_int_equal(map_put(m, rows[i], &err), 1);
		got[i] = map_digest(m);
		map_abort(&m);
	}
	assert_true(got[0] == got[1]);
	assert_true(got[0] != got[2]);
	assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(replaced),
		cmocka_unit_test(digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
