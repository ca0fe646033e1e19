/* SPDX-License-Identifier: ISC */
#include "tests/unit/packers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>

#include "common/base/err.h"
#include "common/logs/follow.h"
#include "common/logs/generations.h"

static char dir[64];

/* --- a log and its rotation --- */

static const char *
in_dir(const char *name)
{
	return unit_path(dir, name);
}

static void
append(const char *name, const char *text)
{
	FILE *f = fopen(in_dir(name), "a");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void
put(const char *name, const char *text)
{
	(void)unlink(in_dir(name));
	append(name, text);
}

/* Rewrite in place: the inode stays. */
static void
rewrite(const char *name, const char *text)
{
	FILE *f = fopen(in_dir(name), "r+");

	assert_non_null(f);
	assert_int_equal(ftruncate(fileno(f), 0), 0);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void
move(const char *from, const char *to)
{
	assert_int_equal(rename(in_dir(from), in_dir(to)), 0);
}

static void
copy(const char *from, const char *to)
{
	char buf[4096];
	FILE *in = fopen(in_dir(from), "r");
	FILE *out = fopen(in_dir(to), "w");
	size_t n;

	assert_non_null(in);
	assert_non_null(out);
	while ((n = fread(buf, 1, sizeof(buf), in)) > 0)
		assert_int_equal(fwrite(buf, 1, n, out), n);
	(void)fclose(in);
	assert_int_equal(fclose(out), 0);
}

/* Text in capitals for the second time: no two lines of a log are the same,
 * and a file that is equal to one that was read is a copy of it. */
static const char *
cased(const char *text, bool capitals)
{
	static char buf[4][64];
	static int n;
	char *s = buf[n = (n + 1) % 4];

	(void)snprintf(s, sizeof(buf[0]), "%s", text);
	for (char *p = s; capitals && *p != '\0'; p++)
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	return s;
}

static void
set_age(const char *name, int seconds)
{
	struct timespec t[2];

	(void)clock_gettime(CLOCK_REALTIME, &t[0]);
	t[0].tv_sec -= seconds;
	t[1] = t[0];
	assert_int_equal(utimensat(AT_FDCWD, in_dir(name), t, 0), 0);
}

/* As the packers do it: same name and a suffix, same time stamp, no
 * original. */
static void
pack_by(int packer, const char *name)
{
	static unsigned char packed[65536];
	static char buf[32768];
	char to[100];
	struct stat st;
	FILE *in = fopen(in_dir(name), "r");

	assert_non_null(in);
	assert_int_equal(fstat(fileno(in), &st), 0);
	size_t n = fread(buf, 1, sizeof(buf), in);

	assert_true(n < sizeof(buf));
	(void)fclose(in);
	n = pack_bytes(packer, 6, buf, n, packed, sizeof(packed));
	(void)snprintf(to, sizeof(to), "%s%s", name, pack_suffixes[packer]);
	FILE *out = fopen(in_dir(to), "w");

	assert_non_null(out);
	assert_int_equal(fwrite(packed, 1, n, out), n);
	assert_int_equal(fclose(out), 0);
	struct timespec t[2] = { st.st_atim, st.st_mtim };

	assert_int_equal(utimensat(AT_FDCWD, in_dir(to), t, 0), 0);
	assert_int_equal(unlink(in_dir(name)), 0);
}

static void
pack(const char *name)
{
	pack_by(0, name);
}

/* --- a reader of it --- */

static struct follow *f;
static struct mark mark;
static char got[4096], notes[8192];
static int stop_after; /* lines; 0: never */

static bool
take(void *arg, const struct line *line)
{
	size_t at = strlen(got);

	(void)arg;
	(void)snprintf(got + at, sizeof(got) - at, "%s%.*s ",
	    line->too_long ? "!" : "", (int)line->len, line->text);
	return stop_after == 0 || --stop_after > 0;
}

static void
take_note(void *arg, int priority, const char *text)
{
	size_t at = strlen(notes);

	(void)arg;
	(void)priority;
	(void)snprintf(notes + at, sizeof(notes) - at, "%s\n", text);
}

static void
start_since(const struct mark *from, int seconds)
{
	const struct follow_options options = { .path = in_dir("mail.log"),
		.mark = from,
		.since = time(NULL) - seconds,
		.note = take_note };
	struct err err;

	if (follow_open(&options, &f, &err) == -1)
		fail_msg("%s", err.text);
}

/* Read to the end; what came must be want. */
static void
expect(const char *want)
{
	struct err err;
	int state;

	got[0] = '\0';
	do
		state = follow_read(f, 1 << 20, take, NULL, &err);
	while (state == FOLLOW_MORE);
	if (state == -1)
		fail_msg("%s", err.text);
	if (strcmp(got, want) != 0)
		fail_msg("got \"%s\", want \"%s\"; %s", got, want, notes);
	follow_mark(f, &mark);
}

/* As killed and started again: all that is kept is the mark. */
static void
restart(void)
{
	follow_close(&f);
	start_since(&mark, 3600);
}

static int
set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s", unit_dir());
	notes[0] = '\0';
	stop_after = 0;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	follow_close(&f);
	return unit_remove(dir);
}

/* --- growing --- */

static void
appended(void **state)
{
	(void)state;
	put("mail.log", "a\nb\npart");
	start_since(NULL, 3600);
	expect("a b ");
	expect("");
	append("mail.log", "ial\nc\n");
	expect("partial c ");
	restart();
	expect("");
	append("mail.log", "d\ne");
	restart();
	expect("d ");
	append("mail.log", "\n");
	expect("e ");
}

static void
not_there_yet(void **state)
{
	(void)state;
	start_since(NULL, 3600);
	expect("");
	expect("");
	assert_non_null(strstr(notes, "no such file"));
	/* said once */
	assert_null(strstr(strstr(notes, "no such file") + 1, "no such"));
	restart();
	expect("");
	put("mail.log", "a\n");
	expect("a ");
	restart();
	expect("");
}

static void
wakes(void **state)
{
	struct pollfd p;

	(void)state;
	start_since(NULL, 3600);
	expect("");
	p = (struct pollfd){ .fd = follow_fd(f), .events = POLLIN };
	assert_int_equal(poll(&p, 1, 0), 0);
	put("mail.log", "");
	assert_int_equal(poll(&p, 1, 1000), 1);
	expect("");
	assert_int_equal(poll(&p, 1, 0), 0);
	append("mail.log", "a\n");
	assert_int_equal(poll(&p, 1, 1000), 1);
	expect("a ");
	/* into the old file behind its rotation, and into the new one */
	move("mail.log", "mail.log.1");
	put("mail.log", "");
	assert_int_equal(poll(&p, 1, 1000), 1);
	expect("");
	append("mail.log.1", "late\n");
	assert_int_equal(poll(&p, 1, 1000), 1);
	expect("late ");
	append("mail.log", "new\n");
	assert_int_equal(poll(&p, 1, 1000), 1);
	expect("new ");
}

static void
stopped_in_the_middle(void **state)
{
	struct err err;

	(void)state;
	put("mail.log", "a\nb\nc\nd\n");
	start_since(NULL, 3600);
	got[0] = '\0';
	stop_after = 2;
	assert_int_equal(
	    follow_read(f, 1 << 20, take, NULL, &err), FOLLOW_MORE);
	assert_string_equal(got, "a b ");
	follow_mark(f, &mark);
	assert_int_equal(mark.position, 4);
	expect("c d ");
	/* nothing of what is only buffered is in the mark */
	mark.position = 4;
	(void)snprintf(mark.fingerprint, sizeof(mark.fingerprint), "%s", "");
	stop_after = 0;
	restart(); /* an unreadable mark is as good as none */
	expect("a b c d ");
}

static void
budget(void **state)
{
	struct err err;
	int reads = 0;

	(void)state;
	put("mail.log", "");
	for (int i = 0; i < 40000; i++)
		append(
		    "mail.log", i % 100 == 99 ? "0123456789\n" : "0123456789");
	start_since(NULL, 3600);
	got[0] = '\0';
	while (follow_read(f, 1000, take, NULL, &err) == FOLLOW_MORE)
		reads++;
	assert_true(reads >= 3);
	follow_mark(f, &mark);
	assert_int_equal(mark.position, 400400);
}

/* --- rotated --- */

static void
renamed(void **state)
{
	(void)state;
	put("mail.log", "a\n");
	start_since(NULL, 3600);
	expect("a ");
	append("mail.log", "b\n");
	move("mail.log", "mail.log.1");
	expect("b ");
	/* the daemon still writes there until it is told */
	append("mail.log.1", "c\n");
	expect("c ");
	put("mail.log", "d\n");
	append("mail.log.1", "e\n");
	expect("e d ");
	append("mail.log.1", "f\n");
	append("mail.log", "g\n");
	expect("f g ");
	/* and when we were not there */
	append("mail.log.1", "h\n");
	append("mail.log", "i\n");
	restart();
	expect("h i ");
	/* and when we have come back in between */
	restart();
	expect("");
	append("mail.log.1", "j\n");
	append("mail.log", "k\n");
	expect("j k ");
	/* and packed before we come back */
	append("mail.log.1", "l\n");
	pack("mail.log.1");
	append("mail.log", "m\n");
	restart();
	expect("l m ");
	restart();
	expect("");
}

static void
several_at_once(void **state)
{
	(void)state;
	put("mail.log", "a\n");
	start_since(NULL, 3600);
	expect("a ");
	append("mail.log", "b\n");
	move("mail.log", "mail.log.3");
	put("mail.log.2", "c\n");
	put("mail.log.1", "d\n");
	put("mail.log", "e\n");
	expect("b c d e ");
	append("mail.log", "f\n");
	move("mail.log", "mail.log.3");
	put("mail.log.2", "g\n");
	put("mail.log.1", "h\n");
	put("mail.log", "i\n");
	restart();
	expect("f g h i ");
}

static void
packed_meanwhile(void **state)
{
	(void)state;
	put("mail.log", "a\nb\n");
	start_since(NULL, 3600);
	expect("a b ");
	append("mail.log", "c\n");
	move("mail.log", "mail.log.3");
	pack("mail.log.3");
	put("mail.log.2", "d\n");
	pack("mail.log.2");
	put("mail.log.1", "e\n");
	put("mail.log", "f\n");
	restart();
	expect("c d e f ");
	restart();
	expect("");
}

/* As logrotate names them by dateext, and with "extension .log". */
static void
dated(void **state)
{
	(void)state;
	put("mail.log", "a\n");
	start_since(NULL, 3600);
	expect("a ");
	append("mail.log", "b\n");
	move("mail.log", "mail.log-20260301");
	set_age("mail.log-20260301", 300);
	put("mail-20260302.log", "c\n");
	set_age("mail-20260302.log", 200);
	pack("mail-20260302.log");
	put("mail.log-20260303-1772500000", "d\n");
	put("mail.log", "e\n");
	restart();
	expect("b c d e ");
}

static void
copied_and_truncated(void **state)
{
	(void)state;
	put("mail.log", "a\n");
	start_since(NULL, 3600);
	expect("a ");
	for (int away = 0; away < 2; away++) {
		append("mail.log", cased("b\n", away));
		copy("mail.log", "mail.log.1");
		rewrite("mail.log", cased("c\n", away));
		if (away)
			restart();
		expect(cased("b c ", away));
		/* longer than before, so that only the head tells */
		append("mail.log", cased("d\n", away));
		copy("mail.log", "mail.log.1");
		rewrite(
		    "mail.log", cased("eeeeeeeeeee\nffffffff\ngggg\n", away));
		if (away)
			restart();
		expect(cased("d eeeeeeeeeee ffffffff gggg ", away));
		/* twice at once */
		append("mail.log", cased("h\n", away));
		copy("mail.log", "mail.log.2");
		rewrite("mail.log", cased("i\n", away));
		copy("mail.log", "mail.log.1");
		rewrite("mail.log", cased("j\n", away));
		if (away)
			restart();
		expect(cased("h i j ", away));
		(void)unlink(in_dir("mail.log.1"));
		(void)unlink(in_dir("mail.log.2"));
	}
}

/* A crash between truncating and the first line that is read of the new
 * content: what has come and gone since is in the copy. */
static void
copied_when_empty(void **state)
{
	(void)state;
	put("mail.log", "a\n");
	start_since(NULL, 3600);
	expect("a ");
	copy("mail.log", "mail.log.1");
	rewrite("mail.log", "");
	expect("");
	move("mail.log.1", "mail.log.2");
	append("mail.log", "b\n");
	copy("mail.log", "mail.log.1");
	rewrite("mail.log", "c\n");
	restart();
	expect("b c ");
	/* the same without a crash */
	move("mail.log.1", "mail.log.3");
	copy("mail.log", "mail.log.2");
	rewrite("mail.log", "");
	expect("");
	append("mail.log", "d\n");
	copy("mail.log", "mail.log.1");
	rewrite("mail.log", "e\n");
	expect("d e ");
}

/* Between copying and truncating, the copy and the log hold the same. */
static void
copied_not_yet_truncated(void **state)
{
	(void)state;
	put("mail.log.1", "a\nb\n");
	put("mail.log", "a\nb\n");
	start_since(NULL, 3600);
	expect("a b ");
	append("mail.log", "c\n");
	expect("c ");
	restart();
	expect("");
	append("mail.log", "d\n");
	copy("mail.log", "mail.log.1");
	rewrite("mail.log", "e\n");
	expect("d e ");
	restart();
	expect("");
	/* behind by one rotation, in the middle of the next */
	append("mail.log", "f\n");
	move("mail.log", "mail.log.2");
	put("mail.log", "g\nh\n");
	put("mail.log.1", "g\nha"); /* half copied */
	assert_int_equal(truncate(in_dir("mail.log.1"), 3), 0);
	expect("f g h ");
	append("mail.log.1", "\n");
	append("mail.log", "i\n");
	expect("i ");
	append("mail.log.1", "i\n");
	rewrite("mail.log", "j\n");
	restart();
	expect("j ");
}

static void
truncated(void **state)
{
	(void)state;
	put("mail.log", "a\nb\nc\n");
	start_since(NULL, 3600);
	expect("a b c ");
	rewrite("mail.log", "");
	expect("");
	append("mail.log", "d\n");
	expect("d ");
	rewrite("mail.log", "e\n");
	restart();
	expect("e ");
	rewrite("mail.log", "");
	append("mail.log", "f\n");
	restart();
	expect("f ");
}

static void
replaced(void **state)
{
	(void)state;
	put("mail.log", "a\nb\nc\n");
	start_since(NULL, 3600);
	expect("a b c ");
	put("mail.log", "d\n"); /* another inode, shorter */
	expect("d ");
	put("other", "e\nf\ng\nh\n");
	move("other", "mail.log");
	expect("e f g h ");
	put("mail.log", "i\n");
	restart();
	expect("i ");
}

/* The same inode number, another file: only the fingerprint tells. */
static void
inode_used_again(void **state)
{
	(void)state;
	put("mail.log", "a\nb\n");
	start_since(NULL, 3600);
	expect("a b ");
	follow_close(&f);
	rewrite("mail.log", "c\nd\ne\n");
	start_since(&mark, 3600);
	expect("c d e ");
}

/* Copied to another file system, restored, edited by a program that makes a
 * new file: another inode, but what we have read. */
static void
inode_changed(void **state)
{
	(void)state;
	put("mail.log", "a\nb\n");
	start_since(NULL, 3600);
	expect("a b ");
	copy("mail.log", "new");
	move("new", "mail.log");
	append("mail.log", "c\n");
	restart();
	expect("c ");
}

/* Read to the end, whatever it is. */
static void
read_all(void)
{
	struct err err;
	int state;

	got[0] = '\0';
	do
		state = follow_read(f, 1 << 20, take, NULL, &err);
	while (state == FOLLOW_MORE);
	assert_int_equal(state, FOLLOW_END);
}

/* --- replaced by a copy of itself --- */

/* Without its first n bytes. */
static void
copy_without(const char *from, const char *to, int n)
{
	char cmd[500];

	(void)snprintf(cmd, sizeof(cmd), "tail -c +%d %s >%s", n + 1,
	    in_dir(from), in_dir(to));
	assert_int_equal(system(cmd), 0);
}

static void
replaced_by_a_copy(void **state)
{
	(void)state;
	for (int away = 0; away < 2; away++) {
		put("mail.log", cased("aa\nbb\ncc\n", away));
		start_since(NULL, 3600);
		expect(cased("aa bb cc ", away));
		copy("mail.log", "new");
		move("new", "mail.log");
		append("mail.log", cased("dd\n", away));
		if (away)
			restart();
		expect(cased("dd ", away));
		/* in the middle of a rotation: a copy beside it, too */
		copy("mail.log", "mail.log.1");
		copy("mail.log", "new");
		move("new", "mail.log");
		append("mail.log", cased("ee\n", away));
		if (away)
			restart();
		expect(cased("ee ", away));
		/* without the first line, and the next two in place */
		copy_without("mail.log", "new", 3);
		move("new", "mail.log");
		append("mail.log", cased("ff\n", away));
		if (away)
			restart();
		expect(cased("ff ", away));
		copy_without("mail.log", "new", 6);
		rewrite("mail.log", cased("dd\nee\nff\ngg\n", away));
		if (away)
			restart();
		expect(cased("gg ", away));
		/* only the last two lines are left */
		rewrite("mail.log", cased("ff\ngg\nhh\n", away));
		if (away)
			restart();
		expect(cased("hh ", away));
		follow_close(&f);
		(void)unlink(in_dir("mail.log.1"));
		(void)unlink(in_dir("mail.log"));
	}
}

/* Rotated many times in a second: what is forgotten takes nothing with it. */
static void
many_in_a_second(void **state)
{
	struct timespec t[2];
	char line[32], name[40], want[400] = "";
	size_t n = 0;

	(void)state;
	(void)clock_gettime(CLOCK_REALTIME, &t[0]);
	t[0].tv_sec -= 100;
	for (int i = 0; i < 40; i++) {
		(void)snprintf(line, sizeof(line), "l%02d\n", i);
		(void)snprintf(name, sizeof(name), "mail.log-202605%02d", i);
		put(name, line);
		t[0].tv_nsec = 1000000 * (i + 1);
		t[1] = t[0];
		assert_int_equal(utimensat(AT_FDCWD, in_dir(name), t, 0), 0);
		n += (size_t)snprintf(want + n, sizeof(want) - n, "l%02d ", i);
	}
	put("mail.log", "zz\n");
	(void)snprintf(want + n, sizeof(want) - n, "zz ");
	start_since(NULL, 3600);
	expect(want);
	restart();
	expect("");
}

/* copytruncate makes the copy after the last line was written. When what was
 * read is forgotten, after many rotations, the copy is no news. */
static void
copied_and_forgotten(void **state)
{
	char line[32], name[40], want[32];

	(void)state;
	put("mail.log", "Nov 29 aa\nNov 29 bb\n");
	set_age("mail.log", 1000);
	start_since(NULL, 3600);
	expect("Nov 29 aa Nov 29 bb ");
	copy("mail.log", "mail.log-20260301");
	set_age("mail.log-20260301", 999);
	/* rotated once more before it is looked at */
	rewrite("mail.log", "Nov 29 xx\n");
	set_age("mail.log", 998);
	move("mail.log", "mail.log-20260302");
	append("mail.log", "Nov 29 yy\n");
	set_age("mail.log", 997);
	restart();
	expect("Nov 29 xx Nov 29 yy ");
	move("mail.log", "mail.log-20260303");
	append("mail.log", "");
	expect("");
	for (int i = 0; i < 40; i++) {
		(void)snprintf(line, sizeof(line), "Nov 29 l%02d\n", i);
		(void)snprintf(want, sizeof(want), "Nov 29 l%02d ", i);
		(void)snprintf(name, sizeof(name), "mail.log-202604%02d", i);
		append("mail.log", line);
		set_age("mail.log", 900 - i);
		expect(want);
		if (i > 9)
			restart();
		move("mail.log", name);
		append("mail.log", "");
		expect("");
	}
	restart();
	expect("");
}

/* All logs begin with the date. A new one whose first line has only just been
 * begun is no copy of the old one. */
static void
begun_with_half_a_line(void **state)
{
	(void)state;
	for (int half = 1; half <= 6; half++)
		for (int away = 0; away < 2; away++) {
			const char *line = cased("Nov 29 xx\n", away);
			char begin[16];

			(void)snprintf(
			    begin, sizeof(begin), "%.*s", half, line);
			put("mail.log", cased("Nov 29 aa\nNov 29 bb\n", away));
			start_since(NULL, 3600);
			expect(cased("Nov 29 aa Nov 29 bb ", away));
			move("mail.log", "mail.log.1");
			put("mail.log", begin);
			if (away)
				restart();
			expect("");
			append("mail.log", line + half);
			expect(cased("Nov 29 xx ", away));
			/* emptied in place */
			rewrite("mail.log", begin);
			if (away)
				restart();
			expect("");
			append("mail.log", cased("Nov 29 yy\n", away) + half);
			expect(cased("Nov 29 yy ", away));
			follow_close(&f);
			(void)unlink(in_dir("mail.log.1"));
			(void)unlink(in_dir("mail.log"));
		}
}

/* The daemon writes to the file that it has open still, and to the copy after
 * it was told: both are read. */
static void
both_get_lines(void **state)
{
	int fd;

	(void)state;
	put("mail.log", "aa\nbb\n");
	start_since(NULL, 3600);
	expect("aa bb ");
	fd = open(in_dir("mail.log"), O_WRONLY | O_APPEND);
	assert_int_not_equal(fd, -1);
	copy("mail.log", "new");
	move("new", "mail.log");
	expect("");
	assert_int_equal(write(fd, "cc\n", 3), 3);
	expect("cc ");
	append("mail.log", "dd\n");
	assert_int_equal(write(fd, "ee\n", 3), 3);
	append("mail.log", "ff\n");
	expect("ee dd ff ");
	(void)close(fd);
	/* restored from a copy that is older: shorter, and longer again */
	put("new", "aa\nbb\n");
	move("new", "mail.log");
	append("mail.log", "gg\n");
	expect("gg ");
	put("new", "aa\nbb\n");
	move("new", "mail.log");
	append("mail.log", "hh\nii\njj\nkk\n");
	expect("hh ii jj kk ");
}

/* One number in several packings, and a copy numbered above an older file. */
static void
odd_generations(void **state)
{
	(void)state;
	put("mail.log", "aa\n");
	start_since(NULL, 3600);
	expect("aa ");
	for (int p = 0; p < PACKERS; p++) {
		char line[20];

		(void)snprintf(line, sizeof(line), "b%d\n", p);
		append("mail.log", line);
		copy("mail.log", "mail.log.1");
		(void)snprintf(line, sizeof(line), "c%d\n", p);
		rewrite("mail.log", line);
		pack_by(p, "mail.log.1");
		restart();
		got[0] = '\0';
		(void)snprintf(line, sizeof(line), "c%d ", p);
		stop_after = 0;
		while (follow_read(f, 1 << 20, take, NULL, NULL) == FOLLOW_MORE)
			;
		assert_non_null(strstr(got, line));
		assert_int_equal(strlen(got), 6);
		follow_mark(f, &mark);
		restart();
		expect("");
	}
	for (int number = 2; number < 5; number++) {
		char line[32], name[40], want[32];

		(void)snprintf(line, sizeof(line), "d%d\n", number);
		(void)snprintf(name, sizeof(name), "mail.log.%d", number);
		(void)snprintf(want, sizeof(want), "d%d ", number);
		append("mail.log", line);
		copy("mail.log", name);
		rewrite("mail.log", "");
		restart();
		expect(want);
	}
}

/* Rotation packs by another program since, or not at all: a packed file has
 * the name that the packer of a newer, plain one would give it. */
static void
packed_beside_newer(void **state)
{
	(void)state;
	put("mail.log", "aa\n");
	start_since(NULL, 3600);
	expect("aa ");
	for (int p = 0; p < PACKERS; p++) {
		char line[20], want[40], packed[40];

		follow_close(&f);
		(void)snprintf(line, sizeof(line), "b%d\n", p);
		append("mail.log", line);
		move("mail.log", "mail.log.1");
		pack_by(p, "mail.log.1");
		(void)snprintf(line, sizeof(line), "c%d\n", p);
		put("mail.log.1", line);
		(void)snprintf(line, sizeof(line), "d%d\n", p);
		put("mail.log", line);
		start_since(&mark, 3600);
		(void)snprintf(want, sizeof(want), "c%d b%d d%d ", p, p, p);
		expect(want);
		(void)snprintf(
		    packed, sizeof(packed), "mail.log.1%s", pack_suffixes[p]);
		assert_int_equal(unlink(in_dir(packed)), 0);
		assert_int_equal(unlink(in_dir("mail.log.1")), 0);
	}
}

static long
bytes_read(void)
{
	long n = -1;
	FILE *io = fopen("/proc/self/io", "r");

	assert_non_null(io);
	assert_int_equal(fscanf(io, "rchar: %ld", &n), 1);
	(void)fclose(io);
	return n;
}

/* The file that was read last is gone: to search for it among old logs, of
 * which there may be years, isn't worth reading all of them. */
static void
old_ones_are_not_searched(void **state)
{
	enum { LARGE = 64 * 1024 * 1024 };

	(void)state;
	put("mail.log", "aa\n");
	start_since(NULL, 3600);
	expect("aa ");
	append("mail.log.1", "old\n");
	assert_int_equal(truncate(in_dir("mail.log.1"), LARGE), 0);
	set_age("mail.log.1", 86400);
	rewrite("mail.log", "bb\n");
	long before = bytes_read();

	restart();
	expect("bb ");
	assert_non_null(strstr(notes, "is gone"));
	assert_in_range(bytes_read() - before, 0, LARGE / 2);
}

/* A mark that an earlier version wrote. */
static void
old_mark(void **state)
{
	struct stat st;

	(void)state;
	put("mail.log.1", "old\n");
	put("mail.log", "a\nb\n");
	assert_int_equal(stat(in_dir("mail.log"), &st), 0);
	mark = (struct mark){ .position = 2 };
	/* of "a\n": FNV-1a */
	(void)snprintf(mark.fingerprint, sizeof(mark.fingerprint),
	    "2:089bdc07b544e7b2 %lld",
	    (long long)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec);
	start_since(&mark, 3600);
	expect("b ");
	restart();
	expect("");
}

/* A damaged mark may be as good as none; but no line comes twice by it in one
 * run, and none is torn. */
static void
damaged_mark(void **state)
{
	struct mark good;

	(void)state;
	put("mail.log.1", "a\nb\n");
	put("mail.log", "c\nd\n");
	set_age("mail.log.1", 10);
	start_since(NULL, 3600);
	expect("a b c d ");
	good = mark;
	for (size_t i = 0; good.fingerprint[i] != '\0'; i++)
		for (int bit = -1; bit < 7; bit++) {
			mark = good;
			if (bit == -1)
				mark.fingerprint[i] = '\0';
			else
				mark.fingerprint[i] =
				    (char)(mark.fingerprint[i] ^ 1 << bit);
			restart();
			read_all();
			if (strstr("a b c d ", got) == NULL)
				fail_msg("%s: %s", mark.fingerprint, got);
		}
}

/* A crash of the machine took the end of the log. What is written then must
 * not be taken for the rest of a line. */
static void
shorter_with_same_head(void **state)
{
	(void)state;
	put("mail.log", "a\nb\nlong line\n");
	start_since(NULL, 3600);
	expect("a b long line ");
	assert_int_equal(truncate(in_dir("mail.log"), 7), 0);
	append("mail.log", "x: forged\ny\n");
	/* a and b are as they were, and are not read again */
	restart();
	expect("lonx: forged y ");
	for (int i = 0; i < 200; i++)
		append("mail.log", "0123456789\n");
	got[0] = '\0';
	stop_after = 0;
	do
		got[0] = '\0';
	while (follow_read(f, 1 << 20, take, NULL, NULL) == FOLLOW_MORE);
	follow_mark(f, &mark);
	assert_int_equal(truncate(in_dir("mail.log"), 2000), 0);
	restart();
	expect("");
	assert_non_null(strstr(notes, "is shorter than"));
	append("mail.log", "forged\nz\n");
	expect("! z ");
	assert_int_equal(truncate(in_dir("mail.log"), 2002), 0);
	expect("");
	append("mail.log", "forged\nz\n");
	expect("! z ");
}

static void
directory_goes_and_comes(void **state)
{
	char log[100];
	struct err err;

	(void)state;
	assert_int_equal(mkdir(in_dir("sub"), 0755), 0);
	put("sub/mail.log", "a\n");
	(void)snprintf(log, sizeof(log), "%s/sub/mail.log", dir);
	const struct follow_options options = { .path = log,
		.note = take_note };

	assert_int_equal(follow_open(&options, &f, &err), 0);
	expect("a ");
	assert_int_equal(unlink(in_dir("sub/mail.log")), 0);
	assert_int_equal(rmdir(in_dir("sub")), 0);
	expect("");
	assert_int_equal(mkdir(in_dir("sub"), 0755), 0);
	expect("");
	put("sub/mail.log", "b\n");
	expect("b ");
	append("sub/mail.log", "c\n");
	expect("c ");
}

static void
symlink_moves(void **state)
{
	(void)state;
	put("one", "a\n");
	put("two", "b\n");
	assert_int_equal(symlink("one", in_dir("mail.log")), 0);
	start_since(NULL, 3600);
	expect("a ");
	append("one", "c\n");
	assert_int_equal(unlink(in_dir("mail.log")), 0);
	assert_int_equal(symlink("two", in_dir("mail.log")), 0);
	expect("c b ");
	restart();
	expect("");
}

static void
can_not_be_read(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(mkdir(in_dir("mail.log"), 0755), 0);
	start_since(NULL, 3600);
	assert_int_equal(follow_read(f, 1000, take, NULL, &err), -1);
	assert_non_null(strstr(err.text, "no regular file"));
	assert_int_equal(rmdir(in_dir("mail.log")), 0);
	assert_int_equal(mkfifo(in_dir("mail.log"), 0600), 0);
	assert_int_equal(follow_read(f, 1000, take, NULL, &err), -1);
	assert_int_equal(unlink(in_dir("mail.log")), 0);
	put("mail.log", "a\n");
	expect("a ");
}

/* --- the first start --- */

static void
back_to_the_window(void **state)
{
	(void)state;
	put("mail.log.3", "old\n");
	set_age("mail.log.3", 7200);
	put("mail.log.2", "a\n");
	set_age("mail.log.2", 1000);
	pack("mail.log.2");
	put("mail.log.1", "b\n");
	set_age("mail.log.1", 500);
	put("mail.log", "c\n");
	put("mail.log.save", "no\n");
	put("mail.err.1", "no\n");
	start_since(NULL, 3600);
	expect("a b c ");
	restart();
	expect("");
}

/* Packed by whatever the admin likes: read at the first start, known again
 * after a restart in the middle, and not read twice. */
static void
packed_predecessors(void **state)
{
	char two[40], one[40];

	(void)state;
	for (int p = 0; p < PACKERS; p++) {
		put("mail.log.2", "a\nb\n");
		put("mail.log.1", "c\nd\ne\n");
		put("mail.log", "f\n");
		set_age("mail.log.2", 30);
		set_age("mail.log.1", 20);
		pack_by(p, "mail.log.2");
		pack_by((p + 1) % PACKERS, "mail.log.1");
		start_since(NULL, 3600);
		stop_after = 4;
		got[0] = '\0';
		assert_int_equal(
		    follow_read(f, 1 << 20, take, NULL, &(struct err){ 0 }),
		    FOLLOW_MORE);
		assert_string_equal(got, "a b c d ");
		follow_mark(f, &mark);
		stop_after = 0;
		restart();
		expect("e f ");
		restart();
		expect("");
		follow_close(&f);
		(void)snprintf(
		    two, sizeof(two), "mail.log.2%s", pack_suffixes[p]);
		(void)snprintf(one, sizeof(one), "mail.log.1%s",
		    pack_suffixes[(p + 1) % PACKERS]);
		assert_int_equal(unlink(in_dir(two)), 0);
		assert_int_equal(unlink(in_dir(one)), 0);
		assert_int_equal(unlink(in_dir("mail.log")), 0);
	}
}

/* logrotate's olddir. */
static void
other_directory(void **state)
{
	char old[80], log[80];
	struct err err;

	(void)state;
	(void)snprintf(old, sizeof(old), "%s", in_dir("old"));
	assert_int_equal(mkdir(old, 0700), 0);
	(void)snprintf(log, sizeof(log), "%s", in_dir("mail.log"));
	struct follow_options options = { .path = log,
		.rotated = old,
		.since = time(NULL) - 3600,
		.note = take_note };

	put("old/mail.log.2", "a\n");
	put("old/mail.log.1", "b\n");
	put("old/mail.err.1", "x\n");
	put("mail.log", "c\n");
	set_age("old/mail.log.2", 30);
	set_age("old/mail.log.1", 20);
	pack_by(PACK_XZ, "old/mail.log.2");
	assert_int_equal(follow_open(&options, &f, &err), 0);
	expect("a b c ");
	/* rotated: the old one gets one more line, then there is a new one */
	move("old/mail.log.1", "old/mail.log.3");
	move("mail.log", "old/mail.log.1");
	append("old/mail.log.1", "d\n");
	put("mail.log", "e\n");
	expect("d e ");
	/* and once more, with nobody looking */
	follow_close(&f);
	append("mail.log", "f\n");
	move("old/mail.log.1", "old/mail.log.2");
	move("mail.log", "old/mail.log.1");
	put("mail.log", "g\n");
	options.mark = &mark;
	assert_int_equal(follow_open(&options, &f, &err), 0);
	expect("f g ");
	follow_close(&f);
	/* the same directory by another name: nothing counts twice */
	move("old/mail.log.1", "mail.log.1");
	(void)unlink(in_dir("old/mail.log.2"));
	(void)unlink(in_dir("old/mail.log.2.xz"));
	(void)unlink(in_dir("old/mail.log.3"));
	options.mark = NULL;
	(void)snprintf(old, sizeof(old), "%s/.", dir);
	assert_int_equal(follow_open(&options, &f, &err), 0);
	expect("e f g ");
}

/* The log was rotated away and isn't begun anew: all of it is known. */
static void
rotated_away(void **state)
{
	struct err err;

	(void)state;
	put("mail.log", "a\n");
	start_since(NULL, 3600);
	expect("a ");
	move("mail.log", "mail.log.1");
	assert_int_equal(follow_read(f, 1 << 20, take, NULL, &err), FOLLOW_END);
	restart();
	assert_int_equal(follow_read(f, 1 << 20, take, NULL, &err), FOLLOW_END);
	append("mail.log.1", "b\n");
	expect("b ");
	pack("mail.log.1");
	restart();
	assert_int_equal(follow_read(f, 1 << 20, take, NULL, &err), FOLLOW_END);
	(void)unlink(in_dir("mail.log.1.gz"));
	restart();
	assert_int_equal(
	    follow_read(f, 1 << 20, take, NULL, &err), FOLLOW_MISSING);
	/* there, and not to be read: not known, but it may come right */
	assert_int_equal(mkdir(in_dir("mail.log"), 0700), 0);
	assert_int_equal(follow_read(f, 1 << 20, take, NULL, &err), -1);
}

static void
only_the_rotated_one(void **state)
{
	(void)state;
	put("mail.log.1", "a\n");
	start_since(NULL, 3600);
	expect("a ");
	put("mail.log", "b\n");
	expect("b ");
}

/* It must not keep us from what comes behind it. */
static void
damaged_gzip(void **state)
{
	(void)state;
	for (int at = 2; at < 24; at += 3) {
		put("mail.log.1", "a\nb\n");
		pack("mail.log.1");
		FILE *gz = fopen(in_dir("mail.log.1.gz"), "r+");

		assert_non_null(gz);
		assert_int_equal(fseek(gz, at, SEEK_SET), 0);
		assert_int_equal(fwrite("\xff\xff\xff", 1, 3, gz), 3);
		(void)fclose(gz);
		put("mail.log", "c\n");
		start_since(NULL, 3600);
		got[0] = '\0';
		for (int i = 0; i < 3; i++)
			(void)follow_read(
			    f, 1000, take, NULL, &(struct err){ 0 });
		if (strstr(got, "c ") == NULL)
			fail_msg("byte %d: %s: %s", at, got, notes);
		follow_close(&f);
		assert_int_equal(truncate(in_dir("mail.log.1.gz"), at), 0);
		start_since(NULL, 3600);
		got[0] = '\0';
		for (int i = 0; i < 3; i++)
			(void)follow_read(
			    f, 1000, take, NULL, &(struct err){ 0 });
		if (strstr(got, "c ") == NULL)
			fail_msg("cut at %d: %s: %s", at, got, notes);
		follow_close(&f);
		(void)unlink(in_dir("mail.log.1.gz"));
	}
}

static void
names(void **state)
{
	static const struct {
		const char *base, *name;
		bool want;
		int64_t number;
		bool packed;
	} rows[] = {
		{ "mail.log", "mail.log.1", true, 1, false },
		{ "mail.log", "mail.log.0", true, 0, false },
		{ "mail.log", "mail.log.12.gz", true, 12, true },
		{ "mail.log", "mail.log-20260303", true, -1, false },
		{ "mail.log", "mail.log-20260303.gz", true, -1, true },
		{ "mail.log", "mail.log.20260303", true, -1, false },
		{ "mail.log", "mail.log-2026-03-03T04:00:00", true, -1, false },
		{ "mail.log", "mail.log-20260303-1772500000.gz", true, -1,
		    true },
		{ "mail.log", "mail.log.old", true, -1, false },
		{ "mail.log", "mail-20260303.log", true, -1, false },
		{ "mail.log", "mail.1.log.gz", true, 1, true },
		{ "maillog", "maillog.3", true, 3, false },
		{ "mail.log", "mail.log", false, 0, false },
		{ "mail.log", "mail.log.gz", false, 0, false },
		{ "mail.log", "mail.log.", false, 0, false },
		{ "mail.log", "mail.log1", false, 0, false },
		{ "mail.log", "mail.log.1.xz", true, 1, true },
		{ "mail.log", "mail.log-20260303.bz2", true, -1, true },
		{ "mail.log", "mail.log.2.zst", true, 2, true },
		{ "mail.log", "mail.log.1.gz.xz", false, 0, false },
		{ "mail.log", "mail.log.1.zip", false, 0, false },
		{ "mail.log", "mail.log.1~", false, 0, false },
		{ "mail.log", "mail.log.save", false, 0, false },
		{ "mail.log", "mail.err.1", false, 0, false },
		{ "mail.log", "mail.err", false, 0, false },
		{ "mail.log", "xmail.log.1", false, 0, false },
		{ "mail", "mail.log", false, 0, false },
		{ "mail", "mail.err.1", false, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s of %s", rows[i].name, rows[i].base);
		int64_t number = -2;
		bool packed;

		assert_int_equal(generations_name(rows[i].base, rows[i].name,
				     &number, &packed),
		    rows[i].want);
		if (!rows[i].want)
			continue;
		assert_int_equal(number, rows[i].number);
		assert_int_equal(packed, rows[i].packed);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = { TEST(appended), TEST(not_there_yet),
		TEST(wakes), TEST(stopped_in_the_middle), TEST(budget),
		TEST(renamed), TEST(several_at_once), TEST(packed_meanwhile),
		TEST(dated), TEST(copied_and_truncated),
		TEST(copied_when_empty), TEST(copied_not_yet_truncated),
		TEST(truncated), TEST(replaced), TEST(inode_used_again),
		TEST(inode_changed), TEST(replaced_by_a_copy),
		TEST(begun_with_half_a_line), TEST(copied_and_forgotten),
		TEST(many_in_a_second), TEST(both_get_lines),
		TEST(odd_generations), TEST(packed_beside_newer),
		TEST(old_ones_are_not_searched), TEST(old_mark),
		TEST(damaged_mark), TEST(shorter_with_same_head),
		TEST(directory_goes_and_comes), TEST(symlink_moves),
		TEST(can_not_be_read), TEST(back_to_the_window),
		TEST(rotated_away), TEST(only_the_rotated_one),
		TEST(damaged_gzip), TEST(packed_predecessors),
		TEST(other_directory), cmocka_unit_test(names) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
