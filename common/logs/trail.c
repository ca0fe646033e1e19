/* SPDX-License-Identifier: ISC */
#include "common/logs/trail.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "common/logs/lines.h"
#include "common/records/line.h"

/* Eight bytes at a time: every line that is read comes through here. Not for
 * secrets: one who can write into the log can write logins. */
static uint64_t
hash_line(const char *p, size_t n)
{
	uint64_t h = n * UINT64_C(0x9e3779b97f4a7c15), w;

	for (; n >= sizeof(w); p += sizeof(w), n -= sizeof(w)) {
		memcpy(&w, p, sizeof(w));
		h = (h ^ w) * UINT64_C(0xff51afd7ed558ccd);
		h ^= h >> 32;
	}
	w = 0;
	memcpy(&w, p, n);
	h = (h ^ w) * UINT64_C(0xc4ceb9fe1a85ec53);
	h ^= h >> 32;
	return h == 0 ? 1 : h;
}

/* Keep a line that leaves the recent ones. Of three steps in a row the middle
 * one goes, once the outer ones are as near to each other as the newer one is
 * to the end: so the distances double. */
static void
push_step(struct trail *t, struct step step)
{
	size_t n = 0;

	assert(t->step_n <= TRAIL_STEPS);
	if (t->step_n == TRAIL_STEPS)
		t->step_n--;
	memmove(&t->step[1], &t->step[0], t->step_n * sizeof(struct step));
	t->step[0] = step;
	t->step_n++;
	for (size_t i = 0; i < t->step_n; i++) {
		if (n > 0 && i + 1 < t->step_n &&
		    t->step[n - 1].end - t->step[i + 1].end <
			t->recent[0].end - t->step[n - 1].end)
			continue;
		t->step[n++] = t->step[i];
	}
	t->step_n = n;
}

static void
push(struct trail *t, struct step step, int64_t len)
{
	assert(t->recent_n <= TRAIL_RECENT && t->first_n <= TRAIL_FIRST);
	assert(len > 0);
	struct step old = t->recent[TRAIL_RECENT - 1];
	int64_t known = t->first_n == 0 ? 0 : t->first[t->first_n - 1].end;
	bool full = t->recent_n == TRAIL_RECENT;

	memmove(&t->recent[1], &t->recent[0],
	    (TRAIL_RECENT - 1) * sizeof(struct step));
	t->recent[0] = step;
	if (!full)
		t->recent_n++;
	else if (t->lines % TRAIL_RECENT == 0)
		push_step(t, old);
	t->lines++;
	/* only when no line is missing before it */
	if (t->first_n < TRAIL_FIRST && step.end - len == known) {
		t->first[t->first_n] = step;
		t->first_n++;
	}
}

void
trail_push(struct trail *t, const struct line *line, int64_t end)
{
	push(t,
	    (struct step){
		end, line->too_long ? 0 : hash_line(line->text, line->len) },
	    end - line->position);
}

bool
trail_load(struct trail *t, int fd, int64_t position)
{
	enum { ROOM = 7 * 1024 };
	char buf[ROOM];
	int64_t from = position > ROOM ? position - ROOM : 0;
	size_t want = (size_t)(position - from), at = 0;

	assert(position >= 0);
	*t = (struct trail){ 0 };
	ssize_t got = pread(fd, buf, want, (off_t)from);

	if (got == -1)
		return false;
	if (got != (ssize_t)want || want == 0 || buf[want - 1] != '\n')
		return true;
	/* what isn't a whole line, or has none of its text in buf */
	if (from > 0) {
		const char *nl = memchr(buf, '\n', want);

		assert(nl != NULL); /* the last byte is one */
		at = (size_t)(nl - buf) + 1;
	}
	while (at < want) {
		const char *nl = memchr(buf + at, '\n', want - at);
		assert(nl != NULL);
		size_t end = (size_t)(nl - buf), len = end - at;

		push(t,
		    (struct step){
			from + (int64_t)end + 1, hash_line(buf + at, len) },
		    (int64_t)len + 1);
		at = end + 1;
	}
	t->step_n = t->first_n = 0;
	return true;
}

/* Equal lines, and how many of them are known to be. */
static bool
equal(const struct step *a, const struct step *b, int *sure)
{
	if (a->hash == 0 || b->hash == 0)
		return true;
	(*sure)++;
	return a->hash == b->hash;
}

bool
trail_same(const struct trail *a, const struct trail *b)
{
	int sure = 0;

	for (size_t i = 0; i < a->recent_n && i < b->recent_n; i++)
		if (!equal(&a->recent[i], &b->recent[i], &sure))
			return false;
	return true;
}

int
trail_find(const struct trail *old, const struct trail *now)
{
	assert(old->recent_n <= TRAIL_RECENT && now->recent_n <= TRAIL_RECENT);
	for (size_t back = 0; back < old->recent_n; back++) {
		size_t i = 0;
		int sure = 0;

		while (i < now->recent_n && back + i < old->recent_n &&
		    equal(&old->recent[back + i], &now->recent[i], &sure))
			i++;
		/* two lines are enough: one before them may be deleted */
		if (sure > 1 ||
		    (sure > 0 &&
			(i == now->recent_n || back + i == old->recent_n)))
			return (int)back;
	}
	return -1;
}

static bool
holds(const struct step *v, size_t n, const struct step *s)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].end == s->end && v[i].hash == s->hash)
			return true;
	return false;
}

bool
trail_has(const struct trail *old, const struct trail *now)
{
	const struct step *s = &now->recent[0];

	return now->recent_n > 0 && s->hash != 0 &&
	    (holds(old->recent, old->recent_n, s) ||
		holds(old->step, old->step_n, s) ||
		holds(old->first, old->first_n, s));
}

int64_t
trail_begins(const struct trail *old, const struct trail *now)
{
	assert(old->first_n <= TRAIL_FIRST && now->first_n <= TRAIL_FIRST);
	size_t n = old->first_n < now->first_n ? old->first_n : now->first_n;

	if (n == 0 || (n < TRAIL_BEGIN && n < now->lines))
		return 0;
	for (size_t i = 0; i < n; i++)
		if (!holds(&old->first[i], 1, &now->first[i]))
			return 0;
	return now->first[n - 1].end;
}

void
trail_cut(struct trail *t, const struct trail *recent, int64_t position)
{
	size_t n = 0;

	assert(recent->recent_n <= TRAIL_RECENT);
	while (n < t->step_n && t->step[n].end > position)
		n++;
	memmove(
	    &t->step[0], &t->step[n], (t->step_n - n) * sizeof(struct step));
	t->step_n -= n;
	while (t->first_n > 0 && t->first[t->first_n - 1].end > position)
		t->first_n--;
	memcpy(t->recent, recent->recent, sizeof(t->recent));
	t->recent_n = recent->recent_n;
}
