/* SPDX-License-Identifier: ISC */
#include "common/logs/contents.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/logs/generations.h"

enum { NS_IN_S = 1000000000, NEWEST = 3 };

struct content
content_of(const struct logfile *f)
{
	assert(f->fd != -1);
	return (struct content){ .head = logfile_print(f),
		.position = f->lines.mark,
		.trail = f->trail,
		.dev = f->dev,
		.ino = f->ino,
		.mtime_ns = f->mtime_ns,
		.whole = f->whole };
}

/* --- the list --- */

static void
drop(struct contents *c, size_t i)
{
	assert(i < c->n);
	memmove(
	    &c->v[i], &c->v[i + 1], (c->n - i - 1) * sizeof(struct content));
	c->n--;
}

/* Is f the file of old, read on? An inode number alone tells nothing: it is
 * given to the next file as soon as one is deleted. */
static bool
continues(const struct logfile *f, const struct content *old)
{
	return old->dev == f->dev && old->ino == f->ino &&
	    old->position <= f->lines.mark && old->head.n <= f->head_n &&
	    print_of(f->head, old->head.n).hash == old->head.hash;
}

static bool
same_content(const struct content *a, const struct content *b)
{
	return a->position == b->position && a->head.n == b->head.n &&
	    a->head.hash == b->head.hash &&
	    a->trail.recent_n == b->trail.recent_n &&
	    trail_same(&a->trail, &b->trail);
}

/* Forget the oldest. Files that are not younger than it are no longer looked
 * at: they would seem new. Times are compared to the nanosecond, since a log
 * may be rotated many times within a second, and a file that is left out is
 * lost. A packer that cuts the time stamp down to the second makes a file look
 * older, which is harmless. */
static void
forget(struct contents *c)
{
	size_t oldest = 0;

	for (size_t i = 1; i < c->n; i++)
		if (c->v[i].mtime_ns < c->v[oldest].mtime_ns)
			oldest = i;
	if (c->v[oldest].mtime_ns >= c->horizon_ns)
		c->horizon_ns = c->v[oldest].mtime_ns + 1;
	drop(c, oldest);
}

static void
append(struct contents *c, const struct content *content)
{
	if (c->n == CONTENTS_MAX)
		forget(c);
	assert(c->n < CONTENTS_MAX);
	c->v[c->n++] = *content;
}

void
contents_put(struct contents *c, const struct logfile *f)
{
	struct content now = content_of(f);

	if (now.head.n == 0)
		return;
	for (size_t i = 0; i < c->n; i++)
		if (continues(f, &c->v[i]) || same_content(&now, &c->v[i])) {
			now.whole |= c->v[i].whole &&
			    c->v[i].position == now.position &&
			    c->v[i].mtime_ns == now.mtime_ns;
			drop(c, i--);
		}
	append(c, &now);
}

void
contents_seen(
    struct contents *c, const struct generation *g, const struct reading *r)
{
	for (size_t i = 0; i < c->n; i++) {
		struct content *k = &c->v[i];

		if (k->position == r->was && k->head.n == r->head.n &&
		    k->head.hash == r->head.hash && k->mtime_ns < g->mtime_ns)
			k->mtime_ns = g->mtime_ns;
	}
}

/* --- how much of a file --- */

static bool
head_is(const unsigned char *head, size_t n, const struct print *print)
{
	return print->n > 0 && print->n <= n &&
	    print_of(head, print->n).hash == print->hash;
}

static void
found(struct reading *r, const struct content *k, int64_t position,
    const struct trail *trail)
{
	if (position < r->position || (position == r->position && r->exact))
		return;
	r->position = position;
	r->trail = *trail;
	r->was = k->position;
	r->exact = position == k->position;
	r->whole = false;
}

/* Returns 1, 0 when the path leads to nothing or to another file by now, which
 * then is looked at under its own name, or -1. */
static int
open_generation(
    struct logfile *file, const struct generation *g, struct err *err)
{
	int ret = logfile_open(file, g->path, 0, err);

	if (ret != 1 || generations_is(g, file))
		return ret;
	logfile_close(file);
	return 0;
}

/* Compare bytes with a file that is open, if it is still what was read of it.
 * Returns 1 when one of them is all the beginning of the other, 0, or -1 when
 * they can't be read. */
static int
look_open(const struct logfile *o, const struct logfile *file, int64_t size,
    struct reading *r)
{
	struct content k = content_of(o);
	struct trail trail;
	int64_t n = size < k.position ? size : k.position;

	int64_t same = logfile_common(o, file, n);

	if (same == -1)
		return -1;
	/* asked afterwards: it may be truncated at any time */
	if (logfile_changed(o))
		return 0;
	if (same == 0)
		return n == 0;
	bool all = same == n;

	n = same;
	int64_t start = n < k.position ? logfile_line_start(file, n) : n;

	/* all logs begin with the date: half a line alone tells nothing */
	if (start <= 0)
		return start == -1 ? -1 : all;
	if (n < k.position) {
		if (!trail_load(&trail, file->fd, n))
			return -1;
		trail_cut(&k.trail, &trail, n);
	}
	found(r, &k, n, &k.trail);
	return all;
}

/* A packer keeps the time stamp of the file, but maybe not the fraction of its
 * second. */
static bool
same_time(const struct generation *g, const struct content *k)
{
	int64_t unit = g->mtime_ns % NS_IN_S == 0 ? NS_IN_S
	    : g->mtime_ns % 1000 == 0             ? 1000
						  : 1;

	return g->mtime_ns / unit == k->mtime_ns / unit;
}

/* Without reading all of it: does the file begin as k does, and hold the same
 * lines before k's position? */
enum quick { QUICK_NO, QUICK_YES, QUICK_BEGINS, QUICK_UNREADABLE };

static enum quick
look_quick(const struct content *k, const struct generation *g,
    const struct logfile *file, const unsigned char *head, size_t head_n,
    int64_t size, struct reading *r)
{
	struct trail trail;

	if (!head_is(head, head_n, &k->head))
		return QUICK_NO;
	if (file->packed != NULL) {
		if (!k->whole || !same_time(g, k))
			return QUICK_BEGINS;
		found(r, k, k->position, &k->trail);
		r->whole = r->position == k->position;
		return QUICK_YES;
	}
	if (size < k->position)
		return QUICK_BEGINS;
	if (!trail_load(&trail, file->fd, k->position))
		return QUICK_UNREADABLE;
	if (k->trail.recent_n > 0 &&
	    (trail.recent_n == 0 || !trail_same(&trail, &k->trail)))
		return QUICK_BEGINS;
	found(r, k, k->position, &k->trail);
	return QUICK_YES;
}

/* Where the lines that were read last of each content stand in a file. */
struct scan {
	const struct contents *c;
	bool live;
	int64_t known; /* some place that is known: no guess at less */
	int64_t head_line; /* the last line's end within a head */
	struct {
		int64_t position; /* 0: nowhere */
		int back;
		struct trail trail;
	} at[CONTENTS_MAX];
	struct trail now;
};

/* Are the newest lines of now, two at least, those of old at the same offset?
 */
static bool
same_place(const struct trail *old, int back, const struct trail *now)
{
	return back >= 0 && (size_t)back + 1 < old->recent_n &&
	    now->recent_n > 1 && old->recent[back].end == now->recent[0].end;
}

static void
scan_line(struct scan *s)
{
	int64_t end = s->now.recent[0].end;

	for (size_t i = 0; i < s->c->n; i++) {
		const struct trail *old = &s->c->v[i].trail;
		int back = trail_find(old, &s->now);

		if (back == -1 && trail_has(old, &s->now))
			back = TRAIL_RECENT;
		/* of what wasn't read just now, few lines are evidence only
		 * where it ended, or at the same place */
		if (s->c->n - i > NEWEST && (back > 0 || s->now.recent_n < 2) &&
		    !same_place(old, back, &s->now))
			back = -1;
		if (back == -1 ||
		    (s->at[i].position > 0 && back > s->at[i].back))
			continue;
		s->at[i].position = end;
		s->at[i].back = back;
		s->at[i].trail = s->now;
	}
}

/* All of the file, once, or up to where it is damaged. Returns its length, or
 * -1 with err. */
static int64_t
scan_file(struct scan *s, struct logfile *file, struct err *err)
{
	struct err why = { 0 };
	struct line line;
	int state;

	while ((state = logfile_fill(file, &why)) == LOGFILE_DATA)
		while (lines_next(&file->lines, &line)) {
			trail_push(&s->now, &line, file->lines.mark);
			if (file->lines.mark <= LOGFILE_HEAD)
				s->head_line = file->lines.mark;
			scan_line(s);
		}
	if (state == -1 && why.code != ERR_CORRUPT) {
		err_set(err, why.code, "%s", why.text);
		return -1;
	}
	return lines_read_offset(&file->lines);
}

/* Take what the scan found out about one content. A rotated file that begins as
 * the content does, but is shorter, is half of a copy: all of it was read. The
 * log itself may have been made shorter, and have got lines since. Then reading
 * goes on from the last place that is as it was, and so it does in a file that
 * goes on otherwise: a line counts rather twice than not at all. */
static void
take_place(const struct scan *s, size_t i, int64_t size, bool same_head,
    struct reading *r)
{
	static const struct trail nothing;
	const struct content *k = &s->c->v[i];
	int64_t position = s->at[i].position;
	bool last = s->now.recent_n > 0 && position == s->now.recent[0].end;
	bool sure = position > 0 && s->at[i].back == 0;
	/* how much of the beginning is the same, at least */
	int64_t same = trail_begins(&k->trail, &s->now);

	if (same_head && same < s->head_line)
		same = s->head_line;
	bool guess = s->known == 0 || same > s->known || position > s->known;

	if (guess && size < k->position &&
	    ((last && !sure) || (same > 0 && (last || !s->live))))
		position = size; /* maybe behind half of a line that we know */
	else if (guess && position == 0)
		position = same;
	if (position == 0)
		return;
	found(r, k, position,
	    position == s->at[i].position ? &s->at[i].trail : &nothing);
	r->exact |= sure && position == r->position;
}

/* Somebody made another file of what was read: the place where its lines end;
 * or where, at least, we know that it is as it was. */
static int
look_closely(const struct contents *c, const struct generation *g,
    const unsigned char *head, size_t head_n, struct reading *r,
    struct err *err)
{
	struct scan *s = calloc(1, sizeof(*s));
	struct logfile file;
	int opened;

	if (s == NULL) {
		err_set(err, ERR_NOMEM, "%s: out of memory", g->path);
		return -1;
	}
	opened = open_generation(&file, g, err);
	if (opened != 1) {
		free(s);
		return opened;
	}
	s->c = c;
	s->live = g->live;
	s->known = r->position;
	int64_t size = scan_file(s, &file, err);

	logfile_close(&file);
	if (size == -1) {
		free(s);
		return -1;
	}
	for (size_t i = 0; i < c->n; i++)
		if (s->at[i].position > 0 && s->at[i].back == 0)
			take_place(s, i, size, false, r);
	s->known = r->position;
	for (size_t i = 0; i < c->n; i++)
		take_place(s, i, size, head_is(head, head_n, &c->v[i].head), r);
	free(s);
	return 0;
}

/* An open file. Returns 1 when it has to be looked at closely, 0, or -1. */
static int
look_at(const struct contents *c, const struct generation *g,
    const struct logfile *const *open, size_t open_n,
    const struct logfile *file, const unsigned char *head, size_t head_n,
    struct reading *r)
{
	int64_t size = file->packed != NULL ? 0 : logfile_size(file);
	bool close = false;

	if (size == -1)
		return -1;
	for (size_t i = 0; i < open_n; i++) {
		if (open[i]->packed != NULL || file->packed != NULL)
			continue;
		int all = look_open(open[i], file, size, r);

		if (all == -1)
			return -1;
		close |= !all;
	}
	for (size_t i = 0; i < c->n; i++) {
		enum quick quick =
		    look_quick(&c->v[i], g, file, head, head_n, size, r);

		if (quick == QUICK_UNREADABLE)
			return -1;
		close |=
		    quick == QUICK_BEGINS && c->v[i].position > r->position;
	}
	return head_n > 0 && (close || r->position == 0);
}

int
contents_look(const struct contents *c, const struct generation *g,
    const struct logfile *const *open, size_t open_n, struct reading *r,
    struct err *err)
{
	unsigned char head[LOGFILE_HEAD];
	struct logfile file;

	*r = (struct reading){ 0 };
	if (c->n == 0 && open_n == 0)
		return 0;
	int ret = open_generation(&file, g, err);

	if (ret != 1)
		return ret == -1 && errno != EACCES ? -1 : 0;
	ssize_t head_n = logfile_peek(&file, head);

	ret = head_n == -1
	    ? -1
	    : look_at(c, g, open, open_n, &file, head, (size_t)head_n, r);
	if (ret == -1)
		err_set(err, ERR_IO, "%s: %s", g->path, strerror(errno));
	logfile_close(&file);
	if (ret == 1)
		ret = look_closely(c, g, head, (size_t)head_n, r, err);
	if (ret == 0)
		r->head = print_of(head,
		    r->position < head_n ? (size_t)r->position
					 : (size_t)head_n);
	return ret;
}

/* --- as text --- */

struct text {
	char *buf;
	size_t size, n;
};

static void
add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
add(struct text *t, const char *fmt, ...)
{
	va_list ap;

	if (t->n >= t->size)
		return;
	va_start(ap, fmt);
	int n = vsnprintf(t->buf + t->n, t->size - t->n, fmt, ap);

	va_end(ap);
	t->n += n > 0 ? (size_t)n : 0;
}

static void
format_steps(struct text *t, const struct step *s, size_t n, int64_t position)
{
	for (size_t i = 0; i < n; i++)
		add(t, "%c%" PRIx64 ":%" PRIx64, i == 0 ? ' ' : ',',
		    (uint64_t)(position - s[i].end), s[i].hash);
	if (n == 0)
		add(t, " -");
}

static void
format_content(struct text *t, const struct content *k, bool steps)
{
	size_t before = t->n;

	add(t,
	    ";%zu:%" PRIx64 " %" PRId64 " %" PRId64 " %d %" PRIx64 ":%" PRIx64,
	    k->head.n, k->head.hash, k->position, k->mtime_ns, k->whole,
	    (uint64_t)k->dev, (uint64_t)k->ino);
	format_steps(t, k->trail.recent, k->trail.recent_n, k->position);
	format_steps(
	    t, k->trail.step, steps ? k->trail.step_n : 0, k->position);
	size_t first = k->trail.first_n;

	if (!steps && first > TRAIL_BEGIN)
		first = TRAIL_BEGIN;
	format_steps(t, k->trail.first, first, k->position);
	/* not half of one */
	if (t->n >= t->size) {
		t->n = before;
		t->buf[before] = '\0';
		t->size = before;
	}
}

void
contents_format(
    const struct contents *c, const struct content *at, char *buf, size_t size)
{
	enum { WITH_STEPS = 2 };
	struct text t = { .buf = buf, .size = size };

	assert(size > 0 && c->n <= CONTENTS_MAX);
	add(&t, "2 %" PRId64, c->horizon_ns);
	format_content(&t, at, true);
	for (size_t i = c->n; i-- > 0;)
		if (!same_content(&c->v[i], at))
			format_content(&t, &c->v[i], c->n - i <= WITH_STEPS);
}

static const char *
parse_steps(
    const char *p, struct step *s, size_t *n_r, size_t max, int64_t position)
{
	size_t n = 0;

	*n_r = 0;
	if (strncmp(p, " -", 2) == 0)
		return p + 2;
	while (*p == ' ' || *p == ',') {
		uint64_t back, hash;
		int used = 0;

		if ((*p == ' ' && n > 0) || n == max)
			break;
		if (sscanf(p + 1, "%" SCNx64 ":%" SCNx64 "%n", &back, &hash,
			&used) != 2)
			return NULL;
		s[n++] = (struct step){ position - (int64_t)back, hash };
		p += 1 + used;
	}
	*n_r = n;
	return p;
}

/* Returns what is behind it; NULL: not to be read. */
static const char *
parse_content(const char *p, struct content *k)
{
	int used = 0, whole;
	uint64_t dev, ino;

	*k = (struct content){ 0 };
	if (sscanf(p,
		";%zu:%" SCNx64 " %" SCNd64 " %" SCNd64 " %d %" SCNx64
		":%" SCNx64 "%n",
		&k->head.n, &k->head.hash, &k->position, &k->mtime_ns, &whole,
		&dev, &ino, &used) != 7 ||
	    k->position < 0 || k->head.n > LOGFILE_HEAD ||
	    (int64_t)k->head.n > k->position)
		return NULL;
	k->whole = whole == 1;
	k->dev = (dev_t)dev;
	k->ino = (ino_t)ino;
	p = parse_steps(p + used, k->trail.recent, &k->trail.recent_n,
	    TRAIL_RECENT, k->position);
	if (p != NULL)
		p = parse_steps(p, k->trail.step, &k->trail.step_n, TRAIL_STEPS,
		    k->position);
	if (p != NULL)
		p = parse_steps(p, k->trail.first, &k->trail.first_n,
		    TRAIL_FIRST, k->position);
	return p;
}

/* Parse what earlier versions wrote: the content that position is in, and the
 * one before it. */
static bool
parse_old(
    struct contents *c, struct content *at, int64_t position, const char *text)
{
	struct content before = { 0 };
	int whole = 0;
	int n = sscanf(text,
	    "%zu:%" SCNx64 " %" SCNd64 " %zu:%" SCNx64 " %" SCNd64 " %" SCNd64
	    " %d",
	    &at->head.n, &at->head.hash, &at->mtime_ns, &before.head.n,
	    &before.head.hash, &before.position, &before.mtime_ns, &whole);

	at->position = position;
	before.whole = whole == 1;
	if ((n != 3 && n != 8) || position < 0 || before.position < 0 ||
	    at->head.n > LOGFILE_HEAD || before.head.n > LOGFILE_HEAD ||
	    (int64_t)at->head.n > position)
		return false;
	c->horizon_ns = at->mtime_ns + 1;
	if (before.head.n > 0)
		append(c, &before);
	if (at->head.n > 0)
		append(c, at);
	return true;
}

static bool
parse_new(
    struct contents *c, struct content *at, int64_t position, const char *text)
{
	int used = 0;

	if (sscanf(text, "2 %" SCNd64 "%n", &c->horizon_ns, &used) != 1)
		return false;
	const char *p = parse_content(text + used, at);

	if (p == NULL || at->position != position)
		return false;
	for (c->n = 0; *p == ';' && c->n < CONTENTS_MAX; c->n++) {
		p = parse_content(p, &c->v[c->n]);
		if (p == NULL)
			return false;
	}
	/* the newest last */
	for (size_t i = 0; i < c->n / 2; i++) {
		struct content k = c->v[i];

		c->v[i] = c->v[c->n - 1 - i];
		c->v[c->n - 1 - i] = k;
	}
	if (at->head.n > 0)
		append(c, at);
	return *p == '\0';
}

bool
contents_parse(
    struct contents *c, struct content *at, int64_t position, const char *text)
{
	bool old = strncmp(text, "2 ", 2) != 0;

	memset(c, 0, sizeof(*c));
	memset(at, 0, sizeof(*at));
	if (old ? parse_old(c, at, position, text)
		: parse_new(c, at, position, text))
		return true;
	memset(c, 0, sizeof(*c));
	memset(at, 0, sizeof(*at));
	return false;
}
