/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/exim_search.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/err.h"

enum {
	SEEN_SIZE = 1 << 15, /* slots of a hash set, which stay half empty */
	QUEUE_MAX = 256, /* beginnings */
	ROUTES_MAX = 256
};

struct seen {
	uint64_t v[SEEN_SIZE];
	size_t n;
};

struct work {
	struct exim_search *s;
	struct seen reached; /* what a dialogue got to */
	struct seen said; /* dialogues */
	struct seen causes; /* of holes */
	struct seen lines; /* statements */
	struct exim_try queue[QUEUE_MAX];
	size_t n, next;
	struct exim_try batch[EXIM_TRIES_MAX];
	size_t n_batch;
	/* whether a recipient leaves */
	struct {
		unsigned short recipient;
		bool leaves;
	} routes[ROUTES_MAX];
	size_t n_routes;
};

/* FNV-1a */
static uint64_t
hash(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3U;
	return h;
}

static uint64_t
hash_text(uint64_t h, const char *text)
{
	return hash(h, text, strlen(text) + 1);
}

static const uint64_t empty = 0xcbf29ce484222325U;

/* Where the set has it, or else the empty slot where it would stand. */
static uint64_t *
slot_of(struct seen *s, uint64_t h)
{
	size_t i = h % SEEN_SIZE;

	while (s->v[i] != 0 && s->v[i] != h)
		i = (i + 1) % SEEN_SIZE;
	return &s->v[i];
}

/* 0 marks an empty slot. */
static uint64_t
key_of(uint64_t h)
{
	return h + (h == 0);
}

static bool
is_seen(struct seen *s, uint64_t h)
{
	return *slot_of(s, key_of(h)) != 0;
}

/* Add; false: it was there, or the set is full. */
static bool
see(struct seen *s, uint64_t h)
{
	uint64_t *slot = slot_of(s, key_of(h));

	if (*slot != 0 || s->n == SEEN_SIZE / 2)
		return false;
	*slot = key_of(h);
	s->n++;
	return true;
}

static uint64_t
hash_ran(const struct exim_ran *ran)
{
	uint64_t h = hash_text(empty, ran->file);

	return hash(h, &ran->line, sizeof(ran->line));
}

/* Did it get further than any before, from its first statement on? */
static bool
is_new(struct work *w, const struct exim_trace *t, const struct exim_heard *h)
{
	size_t end = exim_trace_end(t, h->rcpt);
	bool new = false;

	for (size_t i = t->said[h->from].ran; i < end; i++) {
		const struct exim_ran *ran = &t->ran[i];
		uint64_t far = hash_ran(ran);

		if (see(&w->lines, far))
			w->s->statements++;
		far = hash(far, &ran->checks, sizeof(ran->checks));
		far = hash(far, &ran->passed, sizeof(ran->passed));
		new |= see(&w->reached, far);
	}
	return new;
}

/* A try that got further than all before it is a new beginning. */
static void
begin_from(struct work *w, const struct exim_trace *t,
    const struct exim_heard *h, const struct exim_try *y)
{
	if (is_new(w, t, h) && w->n < QUEUE_MAX)
		w->queue[w->n++] = *y;
}

/* A key that stands for the cause, before the cause is looked for. */
static uint64_t
cause_of(const struct exim_trace *t, const struct exim_heard *h,
    const struct exim_try *y)
{
	const struct exim_ran *ran = exim_trace_decided(t, h->rcpt);
	uint64_t key = ran == NULL ? empty : hash_ran(ran);
	size_t from = t->said[h->rcpt].ran, end = exim_trace_end(t, h->rcpt);

	for (size_t i = 0; i < EXIM_DIMS; i++) {
		bool set = y->v[i] != 0;

		key = hash(key, &set, sizeof(set));
	}
	for (size_t i = 0; i < t->n_hits; i++) {
		const struct exim_check *c = &t->checks[t->hits[i].check];

		if (c->ran >= from && c->ran < end)
			key = hash_text(key, t->hits[i].item);
	}
	return key;
}

static int
leaves(struct work *w, const struct exim_try *y, struct err *err)
{
	const struct exim_talk *t = w->s->talk;
	unsigned short r = y->v[EXIM_RECIPIENT];
	char *route;
	bool yes;

	for (size_t i = 0; i < w->n_routes; i++)
		if (w->routes[i].recipient == r)
			return w->routes[i].leaves;
	route = exim_route(t, exim_try_value(t, y, EXIM_SENDER),
	    exim_try_value(t, y, EXIM_RECIPIENT), err);
	if (route == NULL)
		return -1;
	yes = exim_route_leaves(route, w->s->config);
	free(route);
	if (w->n_routes < ROUTES_MAX) {
		w->routes[w->n_routes].recipient = r;
		w->routes[w->n_routes++].leaves = yes;
	}
	return yes;
}

/* RCPT was accepted: would a message go out, too? What DATA refuses does not;
 * where DATA can't be asked, RCPT decides. 1, 0, or -1 with err. */
static int
goes_out(struct work *w, const struct exim_try *y, struct err *err)
{
	struct exim_trace trace;
	struct exim_heard data;
	int out = leaves(w, y, err);

	if (out != 1 ||
	    exim_talk_message(w->s->talk, y, &trace, &data, err) == -1)
		return out;
	if (data.answered) {
		begin_from(w, &trace, &data, y);
		out = data.accepted;
	}
	exim_trace_release(&trace);
	return out;
}

static int
ask_one(struct work *w, const struct exim_try *y, uint64_t *cause_r,
    struct err *err)
{
	struct exim_trace trace;
	struct exim_heard heard;
	int ret = 0;

	if (exim_talk(w->s->talk, y, 1, &trace, &heard, err) == -1)
		return -1;
	w->s->dialogues++;
	if (heard.answered && heard.accepted) {
		*cause_r = cause_of(&trace, &heard, y);
		ret = goes_out(w, y, err);
	}
	exim_trace_release(&trace);
	return ret;
}

/* Take every value back that RCPT and DATA are open without. */
static int
take_hole(struct work *w, const struct exim_try *y, struct err *err)
{
	struct exim_search *s = w->s;
	struct exim_try least = *y;
	uint64_t cause = 0;
	int open = ask_one(w, &least, &cause, err);

	if (open != 1 || s->n_holes == EXIM_HOLES_MAX)
		return open == -1 ? -1 : 0;
	for (size_t i = 0; i < EXIM_DIMS; i++) {
		struct exim_try less = least;

		if (less.v[i] == 0)
			continue;
		less.v[i] = 0;
		open = ask_one(w, &less, &cause, err);
		if (open == -1)
			return -1;
		if (open == 1)
			least = less;
	}
	/* what the daemon itself refuses is none */
	if (exim_talk_tcp(s->talk, &least, err) == 0)
		return 0;
	/* the cause of the least one */
	if (ask_one(w, &least, &cause, err) == -1)
		return -1;
	if (see(&w->causes, cause) || memcmp(&least, y, sizeof(least)) == 0)
		s->holes[s->n_holes++] = least;
	return 0;
}

static int
judge(struct work *w, const struct exim_trace *trace,
    const struct exim_heard *h, const struct exim_try *y, struct err *err)
{
	uint64_t cause;
	int out;

	if (!h->answered)
		return 0;
	begin_from(w, trace, h, y);
	if (!h->accepted)
		return 0;
	cause = cause_of(trace, h, y);
	if (is_seen(&w->causes, cause))
		return 0;
	/* The cause is one of RCPT: a try that DATA refuses doesn't use it up,
	 * or no other value that passes RCPT by it would be asked at DATA. */
	out = goes_out(w, y, err);
	if (out != 1)
		return out;
	(void)see(&w->causes, cause);
	return take_hole(w, y, err);
}

static int
by_session(const void *a, const void *b)
{
	static const enum exim_dim order[] = { EXIM_AUTH, EXIM_CLIENT,
		EXIM_PORT, EXIM_HELO };
	const struct exim_try *x = a, *y = b;

	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
		if (x->v[order[i]] != y->v[order[i]])
			return x->v[order[i]] < y->v[order[i]] ? -1 : 1;
	return 0;
}

/* Hold what is in the batch; what the script or Exim's patience left over is
 * held again, as long as some of it is answered. */
static int
flush(struct work *w, struct err *err)
{
	struct exim_heard heard[EXIM_TRIES_MAX];
	struct exim_trace trace;

	qsort(w->batch, w->n_batch, sizeof(*w->batch), by_session);
	while (w->n_batch > 0) {
		struct exim_try again[EXIM_TRIES_MAX];
		size_t n = 0, asked = w->n_batch;
		int rc = exim_talk(
		    w->s->talk, w->batch, w->n_batch, &trace, heard, err);

		for (size_t i = 0; rc == 0 && i < w->n_batch; i++) {
			rc = judge(w, &trace, &heard[i], &w->batch[i], err);
			w->s->dialogues += heard[i].answered;
			if (!heard[i].answered)
				again[n++] = w->batch[i];
		}
		if (rc == -1)
			return -1;
		progress_tell(w->s->progress, NULL, w->s->dialogues);
		exim_trace_release(&trace);
		memcpy(w->batch, again, n * sizeof(*again));
		w->n_batch = n < asked ? n : 0;
	}
	return 0;
}

static int
put(struct work *w, const struct exim_try *y, struct err *err)
{
	bool alone = exim_try_alone(w->s->talk, y);

	if (!see(&w->said, hash(empty, y, sizeof(*y))))
		return 0;
	if (alone && w->n_batch > 0 && flush(w, err) == -1)
		return -1;
	w->batch[w->n_batch++] = *y;
	return alone || w->n_batch == EXIM_TRIES_MAX ? flush(w, err) : 0;
}

static bool
in_time(const struct exim_search *s)
{
	return clock_monotonic_ms() < s->until_ms;
}

/* All that differ from y in one value. */
static int
vary(struct work *w, const struct exim_try *y, struct err *err)
{
	/* what opens most relays comes first */
	static const enum exim_dim order[] = { EXIM_SENDER, EXIM_RECIPIENT,
		EXIM_AUTH, EXIM_PORT, EXIM_CLIENT, EXIM_HELO };

	for (size_t d = 0; d < sizeof(order) / sizeof(*order); d++) {
		size_t n = w->s->talk->seeds->v[order[d]].n;

		for (size_t i = 0; i < n; i++) {
			struct exim_try other = *y;

			if (!in_time(w->s))
				return 0;
			other.v[order[d]] = (unsigned short)i;
			if (put(w, &other, err) == -1)
				return -1;
		}
		if (flush(w, err) == -1)
			return -1;
	}
	return 0;
}

/* AUTH is often offered after STARTTLS alone. Each costs a connection. */
static int
vary_tls(struct work *w, struct err *err)
{
	static const enum exim_dim order[] = { EXIM_AUTH, EXIM_PORT };

	if (strstr(w->s->config, "tls_") == NULL &&
	    strstr(w->s->config, "encrypted") == NULL)
		return 0;
	for (size_t d = 0; d < sizeof(order) / sizeof(*order); d++) {
		size_t n = w->s->talk->seeds->v[order[d]].n;

		for (size_t i = 0; i < n && in_time(w->s); i++) {
			struct exim_try y = { .v = { [EXIM_TLS] = 1 } };

			y.v[order[d]] = (unsigned short)i;
			const char *auth =
			    exim_try_value(w->s->talk, &y, EXIM_AUTH);

			if (*auth != '\0' && strncmp(auth, "PLAIN", 5) != 0 &&
			    strncmp(auth, "CRAM", 4) != 0)
				continue;
			if (put(w, &y, err) == -1 || flush(w, err) == -1)
				return -1;
		}
	}
	return 0;
}

static int
search(struct work *w, struct err *err)
{
	const struct exim_try plain = { { 0 } };

	if (put(w, &plain, err) == -1 || flush(w, err) == -1)
		return -1;
	/* where the plainest is taken, all are */
	if (w->s->n_holes > 0)
		return 0;
	if (w->n == 0)
		w->queue[w->n++] = plain;
	while (w->next < w->n && in_time(w->s)) {
		const struct exim_try y = w->queue[w->next++];

		if (vary(w, &y, err) == -1)
			return -1;
	}
	return vary_tls(w, err);
}

int
exim_search(struct exim_search *s, struct err *err)
{
	struct work *w = calloc(1, sizeof(*w));
	int rc;

	if (w == NULL) {
		err_nomem(err, "the search", sizeof(*w));
		return -1;
	}
	w->s = s;
	s->n_holes = 0;
	rc = search(w, err);
	s->complete = s->n_holes > 0 || (w->next == w->n && in_time(s));
	free(w);
	return rc;
}

int
exim_search_open(
    struct exim_search *s, const struct exim_try *y, struct err *err)
{
	struct work *w = calloc(1, sizeof(*w));
	uint64_t cause;
	int rc;

	if (w == NULL) {
		err_nomem(err, "the search", sizeof(*w));
		return -1;
	}
	w->s = s;
	rc = ask_one(w, y, &cause, err);
	free(w);
	return rc;
}
