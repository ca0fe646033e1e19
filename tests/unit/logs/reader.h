/* SPDX-License-Identifier: ISC */
/* reader - a follower of a log that a test writes and rotates at random: it
 * counts each line, and is killed and started again from what it had saved.
 * What happened is told in a story, which is printed when it went wrong. A
 * test includes it once; each history is a process of its own (players.h). */
#ifndef POPGATE_READER_H
#define POPGATE_READER_H

#include "tests/unit/packers.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>
#include <time.h>

#include "common/base/err.h"
#include "common/logs/follow.h"
#include "tests/unit/players.h"

enum {
	LINES = 4000, /* of a history, at most */
	FILE_MAX = 1024 * 1024
};

/* --- what happened --- */

/* A test may share it between processes that tell in turn. */
struct story {
	size_t n;
	int written; /* lines that are begun, at least */
	bool ended;
	char text[4 * 1024 * 1024];
};

static struct story *story;

static void tell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
tell(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(
	    story->text + story->n, sizeof(story->text) - story->n, fmt, ap);

	va_end(ap);
	if (n > 0 && story->n + (size_t)n < sizeof(story->text))
		story->n += (size_t)n;
}

static void wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
wrong(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	players_wrong(story->text, fmt, ap);
	va_end(ap);
}

static void
must(bool good, const char *what)
{
	if (!good)
		wrong("%s: %s", what, strerror(errno));
}

/* --- the log's directory --- */

static char top[64]; /* of this history */
static char home[80]; /* where mail.log is, by name */
static struct timespec now; /* each step has a time of its own */

/* Memory is faster, but a disk gives inode numbers again at once. */
static void
make_top(const char *inside)
{
	(void)snprintf(top, sizeof(top), "/dev/shm/popgate-unit-XXXXXX");
	if (seed % 8 == 0 || mkdtemp(top) == NULL)
		(void)snprintf(top, sizeof(top), "%s", unit_dir());
	(void)snprintf(home, sizeof(home), "%s%s", top, inside);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void
remove_top(void)
{
	assert_int_equal(nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static const char *
at(const char *name)
{
	return unit_path(home, name);
}

static const char *const suffixes[] = { "", ".gz", ".bz2", ".xz", ".zst" };

static const char *
numbered(int number, unsigned suffix)
{
	static char name[4][40];
	static int i;

	i = (i + 1) % 4;
	(void)snprintf(name[i], sizeof(name[i]), "mail.log.%d%s", number,
	    suffixes[suffix]);
	return name[i];
}

static size_t
slurp(const char *name, char *buf, struct stat *st)
{
	int fd = open(at(name), O_RDONLY);

	must(fd != -1 && fstat(fd, st) == 0, name);
	ssize_t n = read(fd, buf, FILE_MAX);

	must(n >= 0 && n < FILE_MAX, "slurp");
	(void)close(fd);
	return (size_t)n;
}

/* The line that is written next. Returns its length. */
static int
next_line(char line[400])
{
	static char x[300];
	int n = story->written++;

	memset(x, 'x', sizeof(x));
	return snprintf(line, 400,
	    "Nov 29 12:%02d:%02d mail dovecot: line %d %.*s\n", n / 60 % 60,
	    n % 60, n, chance(4) ? (int)random_below(250) : 0, x);
}

/* --- the reader --- */

static struct follow *f;
static struct mark mark;
static bool marked;
static int count[LINES], saved[LINES]; /* as the table has it */
static int stop_after; /* so many lines; 0: none */
static int64_t since;

static void
take_note(void *arg, int priority, const char *text)
{
	(void)arg;
	(void)priority;
	tell("    NOTE %s\n", text);
}

static bool
take(void *arg, const struct line *line)
{
	char text[400];
	int id = -1;

	(void)arg;
	(void)snprintf(text, sizeof(text), "%.*s", (int)line->len, line->text);
	if (line->too_long ||
	    sscanf(text, "Nov 29 %*d:%*d:%*d mail dovecot: line %d", &id) !=
		1 ||
	    id < 0 || id >= story->written)
		wrong("no line: \"%s\" at %ld", text, (long)line->position);
	tell("    takes %d at %ld\n", id, (long)line->position);
	if (++count[id] > 1)
		tell("    line %d twice\n", id);
	return stop_after == 0 || --stop_after > 0;
}

static void
start(void)
{
	char path[100];
	struct err err;

	(void)snprintf(path, sizeof(path), "%s/mail.log", home);
	const struct follow_options options = { .path = path,
		.mark = marked ? &mark : NULL,
		.since = since,
		.note = take_note };

	if (follow_open(&options, &f, &err) == -1)
		fail_msg("%s", err.text);
}

static void
save(void)
{
	follow_mark(f, &mark);
	tell("    saves %ld of inode %ld: %s\n", (long)mark.position,
	    (long)mark.inode, mark.fingerprint);
	/* room for larger numbers than these, too */
	assert_in_range(
	    strlen(mark.fingerprint), 1, sizeof(mark.fingerprint) - 400);
	marked = true;
	memcpy(saved, count, sizeof(saved));
}

/* Lines that the reader had read since it saved are lost with it. */
static void
start_again(void)
{
	follow_close(&f);
	memcpy(count, saved, sizeof(count));
	start();
	tell("    killed\n");
}

static void
read_all(void)
{
	struct err err;
	int state;

	stop_after = 0;
	do
		state = follow_read(f, FILE_MAX, take, NULL, &err);
	while (state == FOLLOW_MORE);
	if (state == -1)
		wrong("%s", err.text);
	tell("    read\n");
}

/* Each line that was written counts once. */
static void
judge(void)
{
	int lost = 0, twice = 0;

	for (int i = 0; i < story->written; i++) {
		if (count[i] == 1)
			continue;
		tell("line %d: %d times\n", i, count[i]);
		lost += count[i] == 0;
		twice += count[i] > 1;
	}
	if (lost + twice > 0)
		wrong("of %d lines %d lost, %d twice", story->written, lost,
		    twice);
}

#endif
