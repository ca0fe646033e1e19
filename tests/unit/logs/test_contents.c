/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <sys/stat.h>

#include "common/logs/contents.h"
#include "common/logs/generations.h"
#include "common/records/line.h"

enum { LINE = 10 };

/* lines "line 0000" and on */
static void
write_lines(const char *path, int first, int last)
{
	FILE *file = fopen(path, first == 0 ? "w" : "a");

	assert_non_null(file);
	for (int i = first; i <= last; i++)
		(void)fprintf(file, "line %04d\n", i);
	assert_int_equal(fclose(file), 0);
}

/* Read path to its end and remember that. */
static struct content
read_all(struct contents *known, const char *path)
{
	struct logfile f;
	struct line line;
	struct content at;

	assert_int_equal(logfile_open(&f, path, 0, NULL), 1);
	while (logfile_fill(&f, NULL) == LOGFILE_DATA)
		while (lines_next(&f.lines, &line))
			trail_push(&f.trail, &line, f.lines.mark);
	contents_put(known, &f);
	at = content_of(&f);
	logfile_close(&f);
	return at;
}

static struct reading
look(const struct contents *known, const char *path, bool live)
{
	struct reading r;
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	const struct generation g = { .path = path,
		.dev = st.st_dev,
		.ino = st.st_ino,
		.mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 +
		    st.st_mtim.tv_nsec,
		.size = st.st_size,
		.number = -1,
		.live = live };

	assert_int_equal(contents_look(known, &g, NULL, 0, &r, NULL), 0);
	return r;
}

struct place {
	struct contents known;
	struct content at;
	char path[80], other[80];
};

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	const char *dir = unit_dir();

	assert_non_null(p);
	(void)snprintf(p->path, sizeof(p->path), "%s/mail.log", dir);
	(void)snprintf(p->other, sizeof(p->other), "%s/other", dir);
	write_lines(p->path, 0, 299);
	p->at = read_all(&p->known, p->path);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	(void)unlink(p->path);
	(void)unlink(p->other);
	*strrchr(p->path, '/') = '\0';
	assert_int_equal(rmdir(p->path), 0);
	free(p);
	return 0;
}

static void
known_by_what_it_is(void **state)
{
	struct place *p = *state;
	struct reading r = look(&p->known, p->path, true);

	assert_int_equal(r.position, 300 * LINE);
	assert_true(r.exact);
	/* a copy that has grown */
	write_lines(p->other, 0, 310);
	r = look(&p->known, p->other, true);
	assert_int_equal(r.position, 300 * LINE);
	assert_true(r.exact);
	/* half of a copy; the log itself may have got other lines since it was
	 * made shorter: then only its first lines are known to be the same */
	write_lines(p->other, 0, 99);
	r = look(&p->known, p->other, true);
	assert_int_equal(r.position, TRAIL_FIRST * LINE);
	r = look(&p->known, p->other, false);
	assert_int_equal(r.position, 100 * LINE);
	assert_false(r.exact);
	/* without its first lines */
	write_lines(p->other, 0, -1);
	write_lines(p->other, 200, 320);
	r = look(&p->known, p->other, true);
	assert_int_equal(r.position, 100 * LINE);
	assert_true(r.exact);
	/* another log */
	write_lines(p->other, 0, -1);
	write_lines(p->other, 5000, 5400);
	r = look(&p->known, p->other, true);
	assert_int_equal(r.position, 0);
}

static void
as_text_and_back(void **state)
{
	struct place *p = *state;
	static char text[MARK_FINGERPRINT_MAX], again[MARK_FINGERPRINT_MAX];
	static struct contents known;
	static struct content at;

	p->known.horizon_ns = 77;
	contents_format(&p->known, &p->at, text, sizeof(text));
	assert_true(contents_parse(&known, &at, p->at.position, text));
	assert_int_equal(known.horizon_ns, 77);
	assert_int_equal(known.n, 1);
	contents_format(&known, &at, again, sizeof(again));
	assert_string_equal(again, text);
	assert_int_equal(look(&known, p->path, true).position, 300 * LINE);
	/* the position is of another file */
	assert_false(contents_parse(&known, &at, p->at.position + 1, text));
	assert_int_equal(known.n, 0);
}

static void
text_that_says_nothing(void **state)
{
	static const char *const texts[] = { "", "2", "2 x", "2 0",
		"2 0;1:1 -1 0 0 0:0 - - -", "2 0;2000:1 3000 0 0 0:0 - - -",
		"2 0;10:1 5 0 0 0:0 - - -",
		"2 0;1:1 5 0 0 0:0 1:", "2 0;1:1 5 0 0 0:0 - - -;",
		"2 0;1:1 5 0 0 0:0 - - - x", "1:x", "1:1" };
	static struct contents known;
	static struct content at;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (contents_parse(&known, &at, 5, texts[i]) || known.n != 0)
			fail_msg("\"%s\"", texts[i]);
}

/* A rotated copy that lacks the last lines of a log read long ago, and that
 * also begins as a file that was left earlier: nothing in it is new. */
static void
short_copy_of_an_old_log(void **state)
{
	struct place *p = *state;
	struct reading r;

	p->known = (struct contents){ 0 };
	write_lines(p->other, 0, 199);
	(void)read_all(&p->known, p->other);
	(void)read_all(&p->known, p->path);
	for (int i = 1; i < 5; i++) {
		write_lines(p->other, 0, -1);
		write_lines(p->other, 1000 * i, 1000 * i + 200);
		(void)read_all(&p->known, p->other);
	}
	/* the steps of an old content aren't kept over a restart */
	for (size_t i = 0; i < p->known.n; i++)
		p->known.v[i].trail.step_n = 0;
	write_lines(p->other, 0, 297);
	r = look(&p->known, p->other, false);
	assert_int_equal(r.position, 298 * LINE);
	/* with another end, it is read from where it is known */
	write_lines(p->other, 0, 199);
	write_lines(p->other, 7000, 7050);
	r = look(&p->known, p->other, false);
	assert_int_equal(r.position, 200 * LINE);
}

/* More files than fit: the oldest is forgotten, and what is as old is never
 * taken for new. */
static void
bounded(void **state)
{
	struct place *p = *state;

	p->known = (struct contents){ 0 };
	for (int i = 0; i < CONTENTS_MAX + 5; i++) {
		write_lines(p->other, 0, -1);
		write_lines(p->other, 1 + 100 * i, 50 + 100 * i);
		(void)read_all(&p->known, p->other);
	}
	assert_int_equal(p->known.n, CONTENTS_MAX);
	assert_true(p->known.horizon_ns > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    known_by_what_it_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    as_text_and_back, set_up, tear_down),
		cmocka_unit_test(text_that_says_nothing),
		cmocka_unit_test_setup_teardown(
		    short_copy_of_an_old_log, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bounded, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
