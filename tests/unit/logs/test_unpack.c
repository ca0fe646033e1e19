/* SPDX-License-Identifier: ISC */
#include "tests/unit/packers.h"

#include <fcntl.h>

#include "common/base/err.h"
#include "common/logs/unpack.h"

enum { TEXT = 300000, PACKED = 2 * TEXT };

static char text[TEXT], out[2 * TEXT + 1];
static unsigned char packed[PACKED];

static void
make_text(void)
{
	unsigned x = 1;

	for (size_t i = 0; i < TEXT; i++) {
		x = x * 1103515245 + 12345;
		text[i] = i % 60 == 59 ? '\n' : (char)('a' + (x >> 16) % 26);
	}
}

/* Unpack what is in packed, n bytes, in pieces of step. Returns how much, and
 * in *end_r what came last: 0, or -1. */
static size_t
unpack(size_t n, size_t step, ssize_t *end_r)
{
	const char *path = unit_file(1, "");
	int fd = open(path, O_RDWR);
	struct unpack *u;
	struct err err = { .code = ERR_NONE };
	size_t got = 0;

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, packed, n), n);
	(void)unlink(path);
	assert_int_equal(unpack_open(fd, &u, &err), 1);
	while ((*end_r = unpack_read(u, out + got,
		    got + step > sizeof(out) ? sizeof(out) - got : step,
		    &err)) > 0) {
		got += (size_t)*end_r;
		if (got == sizeof(out))
			break;
	}
	/* damage stays */
	if (*end_r == -1) {
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_int_equal(unpack_read(u, out + TEXT, 1, &err), -1);
	}
	unpack_close(&u);
	assert_null(u);
	return got;
}

static void
whole(void **state)
{
	ssize_t end;

	(void)state;
	for (int p = 0; p < PACKERS; p++) {
		size_t n = pack_bytes(p, 6, text, TEXT, packed, PACKED);

		for (size_t step = 1000; step <= 1000000; step *= 10) {
			memset(out, 0, sizeof(out));
			assert_int_equal(unpack(n, step, &end), TEXT);
			assert_int_equal(end, 0);
			assert_memory_equal(out, text, TEXT);
		}
		/* nothing, packed */
		n = pack_bytes(p, 1, "", 0, packed, PACKED);
		assert_int_equal(unpack(n, 100, &end), 0);
		assert_int_equal(end, 0);
	}
}

/* Packers may be given more to add to a file; tapes and file systems add
 * zeros. */
static void
one_after_another(void **state)
{
	ssize_t end;

	(void)state;
	for (int p = 0; p < PACKERS; p++) {
		size_t n = pack_bytes(p, 1, "one\n", 4, packed, PACKED);

		n += pack_bytes(p, 6, text, TEXT, packed + n, PACKED - n);
		assert_int_equal(unpack(n, 5000, &end), TEXT + 4);
		assert_int_equal(end, 0);
		assert_memory_equal(out, "one\n", 4);
		assert_memory_equal(out + 4, text, TEXT);
		memset(packed + n, 0, 100);
		assert_int_equal(unpack(n + 100, 5000, &end), TEXT + 4);
		assert_int_equal(end, 0);
	}
}

/* A damaged file, whatever is missing or wrong: what comes out first is good,
 * it ends, and it ends badly. */
static void
damaged(void **state)
{
	ssize_t end;

	(void)state;
	for (int p = 0; p < PACKERS; p++) {
		size_t n = pack_bytes(p, 6, text, 5000, packed, PACKED);

		for (size_t cut = 8; cut < n; cut += 1 + n / 200) {
			size_t got = unpack(cut, 999, &end);

			assert_true(got <= 5000);
			assert_memory_equal(out, text, got);
			assert_int_equal(end, -1);
		}
		for (size_t at = 8; at + 40 < n; at += 1 + n / 200) {
			unsigned char was = packed[at];

			packed[at] ^= 0x55;
			assert_true(unpack(n, 999, &end) <= sizeof(out));
			packed[at] = was;
		}
	}
}

static void
memory_is_bounded(void **state)
{
	ssize_t end;
	size_t n = pack_bytes(PACK_XZ, 9, text, TEXT, packed, PACKED);

	(void)state;
	assert_int_equal(unpack(n, 1000, &end), 0);
	assert_int_equal(end, -1);
}

static void
plain_files(void **state)
{
	static const char *const rows[] = { "", "\x1f", "B", "BZ", "Mar  3 ",
		("\xfd"
		 "7zX"),
		"PK\x03\x04" };
	struct unpack *u;
	struct err err;
	char c;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("'%s'", rows[i]);
		const char *path = unit_file(2, rows[i]);
		int fd = open(path, O_RDONLY);

		(void)unlink(path);
		assert_int_equal(unpack_open(fd, &u, &err), 0);
		assert_null(u);
		assert_int_equal(read(fd, &c, 1), *rows[i] != '\0');
		(void)close(fd);
	}
	assert_int_equal(unpack_open(-1, &u, &err), -1);
}

static void
suffixes(void **state)
{
	(void)state;
	assert_int_equal(unpack_suffix("a.gz", 4), 3);
	assert_int_equal(unpack_suffix("a.bz2", 5), 4);
	assert_int_equal(unpack_suffix("a.xz", 4), 3);
	assert_int_equal(unpack_suffix("a.zst", 5), 4);
	assert_int_equal(unpack_suffix(".gz", 3), 0);
	assert_int_equal(unpack_suffix("a.zip", 5), 0);
	assert_int_equal(unpack_suffix("a.gz.1", 6), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(whole),
		cmocka_unit_test(one_after_another), cmocka_unit_test(damaged),
		cmocka_unit_test(memory_is_bounded),
		cmocka_unit_test(plain_files), cmocka_unit_test(suffixes) };

	make_text();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
