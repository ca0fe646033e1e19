/* SPDX-License-Identifier: ISC */
#include "common/share/link.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/listen.h"

#ifdef POPGATE_SHARE
#include <hiredis/hiredis.h>
#ifdef POPGATE_SHARE_TLS
#include <hiredis/sds.h>
#endif

#include "common/share/tls.h"

struct link {
	redisContext *redis;
	struct tls *tls; /* NULL: none */
#ifdef POPGATE_SHARE_TLS
	redisContextFuncs funcs; /* with tls */
#endif
	char where[160]; /* for errors */
	char stream[80];
	char server[LINK_SERVER_MAX];
	/* its time of day less our monotonic clock, which nobody sets */
	int64_t offset_ms;
	int64_t until_ms; /* what is asked now is answered by then, or fails */
	size_t taken; /* bytes of the answer that is under way */
};

enum { ANSWER_MAX = 16 * 1024 * 1024 }; /* bytes; SHARE_BATCH needs 3 MB */

static const struct timeval wait_time = { .tv_sec = LINK_WAIT_MS / 1000 };

/* Set err to "SERVER: text" and return -1. */
static int
fail(const struct link *l, const char *text, struct err *err)
{
	err_set(err, ERR_IO, "%s: %s", l->where, text);
	return -1;
}

/* Say what is wrong with the connection itself. hiredis calls a time-out by the
 * errno of a read that would block. */
static int
fail_io(const struct link *l, struct err *err)
{
	const char *text = l->redis->errstr;

	if (l->redis->err == REDIS_ERR_IO &&
	    strstr(text, "temporarily unavailable") != NULL)
		text = "no answer in time";
	if (strstr(text, "Operation not permitted") != NULL)
		text =
		    "Operation not permitted: the collector's unit needs IPAddressAllow= of this address";
	return fail(l, *text == '\0' ? "the connection broke" : text, err);
}

static int
fail_late(const struct link *l, struct err *err)
{
	return fail(l, "no answer in time", err);
}

/* --- asking --- */

/* From now on LINK_WAIT_MS for all that is written and read: whoever sends or
 * takes a byte now and then holds nobody. */
static void
begin(struct link *l)
{
	l->until_ms = clock_monotonic_ms() + LINK_WAIT_MS;
}

/* Write all that was appended. 0, or -1 with err. */
static int
write_all(struct link *l, struct err *err)
{
	struct pollfd p = { .fd = l->redis->fd, .events = POLLOUT };

	for (;;) {
		int done = 0;

		if (redisBufferWrite(l->redis, &done) != REDIS_OK)
			return fail_io(l, err);
		if (done)
			return 0;
		int64_t left_ms = l->until_ms - clock_monotonic_ms();

		if (left_ms <= 0)
			return fail_late(l, err);
		(void)poll(&p, 1, (int)left_ms);
	}
}

/* Read what has come. 0, or -1 with err. */
static int
read_some(struct link *l, struct err *err)
{
	size_t before = l->redis->reader->len;

	if (redisBufferRead(l->redis) != REDIS_OK)
		return fail_io(l, err);
	l->taken += l->redis->reader->len - before;
	return l->taken <= ANSWER_MAX
	    ? 0
	    : fail(l,
		  "an answer that is too long: does somebody else write to the stream?",
		  err);
}

/* Wait for something to read. 0, or -1 with err. */
static int
await(struct link *l, struct err *err)
{
	struct pollfd p = { .fd = l->redis->fd, .events = POLLIN };
	int64_t left_ms;

	if (tls_pending(l->tls))
		return 0;
	while ((left_ms = l->until_ms - clock_monotonic_ms()) > 0) {
		int rc = poll(&p, 1, (int)left_ms);

		if (rc == 1)
			return 0;
		if (rc == -1 && errno != EINTR)
			return fail(l, strerror(errno), err);
	}
	return fail_late(l, err);
}

/* The answer, if it has come as a whole; else *r is NULL. 0, or -1 with err. */
static int
parsed(struct link *l, redisReply **r, struct err *err)
{
	void *reply = NULL;

	*r = NULL;
	if (redisGetReplyFromReader(l->redis, &reply) != REDIS_OK)
		return fail_io(l, err);
	*r = reply;
	if (reply != NULL)
		l->taken = 0;
	return 0;
}

/* The next answer of whatever type; NULL with err. */
static redisReply *
next_answer(struct link *l, struct err *err)
{
	redisReply *r;

	if (write_all(l, err) == -1)
		return NULL;
	for (;;) {
		if (parsed(l, &r, err) == -1)
			return NULL;
		if (r != NULL)
			return r;
		if (await(l, err) == -1 || read_some(l, err) == -1)
			return NULL;
	}
}

/* Is this answer of the type that was asked for? Else err says what Redis did.
 */
static int
expect(const struct link *l, const redisReply *r, int type, struct err *err)
{
	if (r->type == REDIS_REPLY_ERROR)
		return fail(l, r->str, err);
	if (r->type != type)
		return fail(l, "an answer that no Redis gives", err);
	return 0;
}

/* Ask, and return an answer of type, or NULL with err. */
static redisReply *ask(struct link *l, int type, struct err *err,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

static redisReply *
ask(struct link *l, int type, struct err *err, const char *format, ...)
{
	va_list ap;

	begin(l);
	va_start(ap, format);
	int rc = redisvAppendCommand(l->redis, format, ap);
	va_end(ap);
	if (rc != REDIS_OK) {
		(void)fail_io(l, err);
		return NULL;
	}
	redisReply *r = next_answer(l, err);

	if (r == NULL || expect(l, r, type, err) == 0)
		return r;
	freeReplyObject(r);
	return NULL;
}

/* --- connecting --- */

#ifdef POPGATE_SHARE_TLS

/* A result as hiredis has it: more than 0, 0 when there is nothing yet, or -1
 * with an error of the context. */
static ssize_t
tls_result(redisContext *redis, ssize_t n)
{
	if (n >= 0)
		return n;
	char words[TLS_WORDS];

	redis->err = REDIS_ERR_IO;
	(void)snprintf(
	    redis->errstr, sizeof(redis->errstr), "TLS: %s", tls_words(words));
	return -1;
}

static ssize_t
read_tls(redisContext *redis, char *buf, size_t size)
{
	return tls_result(redis, tls_read(redis->privctx, buf, size));
}

static ssize_t
write_tls(redisContext *redis)
{
	return tls_result(
	    redis, tls_write(redis->privctx, redis->obuf, sdslen(redis->obuf)));
}

/* hiredis reads and writes by it from now on. */
static int
begin_tls(
    struct link *l, const char *host, const struct link_to *to, struct err *err)
{
	struct err why;

	begin(l);
	if (tls_open(l->redis->fd, host, to->tls_ca, to->tls_certificate,
		l->until_ms, &l->tls, &why) == -1)
		return fail(l, why.text, err);
	l->funcs = *l->redis->funcs;
	l->funcs.read = read_tls;
	l->funcs.write = write_tls;
	l->redis->funcs = &l->funcs;
	l->redis->privctx = l->tls;
	return 0;
}

#else

static int
begin_tls(
    struct link *l, const char *host, const struct link_to *to, struct err *err)
{
	(void)host;
	(void)to;
	return fail(l, "TLS needs hiredis 1.0 or newer", err);
}

#endif

static int
connect_to(struct link *l, const struct link_to *to, struct err *err)
{
	struct listen_spec spec;
	bool tls;

	if (link_parse(to->server, &spec, &tls, err) == -1)
		return -1;
	l->redis = spec.is_unix
	    ? redisConnectUnixWithTimeout(spec.path, wait_time)
	    : redisConnectWithTimeout(spec.host, (int)spec.port, wait_time);
	if (l->redis == NULL)
		return fail(l, "out of memory", err);
	if (l->redis->err != 0)
		return fail_io(l, err);
	/* an entry waits for no other */
	if (!spec.is_unix)
		(void)redisEnableKeepAlive(l->redis);
	if (redisSetTimeout(l->redis, wait_time) != REDIS_OK)
		return fail_io(l, err);
	return tls ? begin_tls(l, spec.host, to, err) : 0;
}

static int
log_in(struct link *l, const struct link_to *to, struct err *err)
{
	redisReply *r;

	if (*to->password == '\0')
		return 0;
	r = *to->user == '\0'
	    ? ask(l, REDIS_REPLY_STATUS, err, "AUTH %s", to->password)
	    : ask(l, REDIS_REPLY_STATUS, err, "AUTH %s %s", to->user,
		  to->password);
	freeReplyObject(r);
	return r == NULL ? -1 : 0;
}

/* The value of a line "name:value" of INFO into value. */
static bool
info_value(const char *info, const char *name, char *value, size_t size)
{
	size_t len = strlen(name);

	for (const char *p = info; p != NULL; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, name, len) != 0 || p[len] != ':')
			continue;
		(void)snprintf(value, size, "%.*s",
		    (int)strcspn(p + len + 1, "\r\n"), p + len + 1);
		return true;
	}
	return false;
}

static int
see_primary(struct link *l, struct err *err)
{
	char role[16] = "", loading[8] = "0";
	redisReply *r = ask(l, REDIS_REPLY_STRING, err, "INFO");

	if (r == NULL)
		return -1;
	bool known = info_value(r->str, "role", role, sizeof(role)) &&
	    info_value(r->str, "master_replid", l->server, sizeof(l->server));

	(void)info_value(r->str, "loading", loading, sizeof(loading));
	freeReplyObject(r);
	if (!known)
		return fail(
		    l, "INFO doesn't tell its role: is it a Redis?", err);
	if (strcmp(loading, "0") != 0)
		return fail(l, "is loading its data", err);
	if (strcmp(role, "master") != 0)
		return fail(l, "is a replica", err);
	return 0;
}

static int
read_clock(struct link *l, struct err *err)
{
	redisReply *r = ask(l, REDIS_REPLY_ARRAY, err, "TIME");

	if (r == NULL)
		return -1;
	if (r->elements == 2 && r->element[0]->type == REDIS_REPLY_STRING) {
		int64_t its_s = strtoll(r->element[0]->str, NULL, 10);

		l->offset_ms = its_s * 1000 - clock_monotonic_ms();
	}
	freeReplyObject(r);
	return 0;
}

int
link_open(const struct link_to *to, struct link **l_r, struct err *err)
{
	struct link *l = calloc(1, sizeof(*l));

	*l_r = NULL;
	if (l == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	(void)snprintf(l->where, sizeof(l->where), "%s", to->server);
	(void)snprintf(l->stream, sizeof(l->stream), "%s", to->stream);
	if (connect_to(l, to, err) == -1 || log_in(l, to, err) == -1 ||
	    see_primary(l, err) == -1 || read_clock(l, err) == -1) {
		link_close(&l);
		return -1;
	}
	*l_r = l;
	return 0;
}

void
link_close(struct link **l)
{
	if (*l == NULL)
		return;
	if ((*l)->redis != NULL)
		redisFree((*l)->redis);
	tls_close(&(*l)->tls);
	free(*l);
	*l = NULL;
}

const char *
link_server(const struct link *l)
{
	return l->server;
}

int64_t
link_skew_s(const struct link *l)
{
	return (clock_monotonic_ms() + l->offset_ms) / 1000 - clock_now();
}

/* --- publishing --- */

/* The value of an origin's key when Redis has nothing of it. */
#define NOTHING "-"

/* Read the value of an origin's key, if the stream has the entry that it names.
 * false: something that we don't write. */
static bool
read_mark(const redisReply *mark, const redisReply *found, struct link_mark *m)
{
	char *end;

	*m = (struct link_mark){ .number = -1 };
	if (mark->type == REDIS_REPLY_NIL ||
	    (found->type == REDIS_REPLY_ARRAY && found->elements == 0))
		return true;
	if (mark->type != REDIS_REPLY_STRING)
		return false;
	if (strcmp(mark->str, NOTHING) == 0)
		return true;
	m->number = strtoll(mark->str, &end, 10);
	if (end == mark->str || *end != ' ' || m->number < 0)
		return false;
	m->at = strtoll(end, &end, 10);
	return *end == '\0';
}

/* The next answer, of a type that isn't an error; NULL with err. */
static redisReply *
answer(struct link *l, struct err *err)
{
	redisReply *r = next_answer(l, err);

	if (r == NULL || r->type != REDIS_REPLY_ERROR)
		return r;
	(void)fail(l, r->str, err);
	freeReplyObject(r);
	return NULL;
}

/* Ask for the mark; with watch, a change of it from now on fails the next
 * transaction. */
static int
ask_mark(struct link *l, bool watch, const char *origin, const char *entry,
    struct link_mark *m, struct err *err)
{
	redisReply *watched = NULL, *mark = NULL, *found = NULL;
	int ret = -1;

	begin(l);
	if ((watch &&
		redisAppendCommand(
		    l->redis, "WATCH %s:%s", l->stream, origin) != REDIS_OK) ||
	    redisAppendCommand(l->redis, "GET %s:%s", l->stream, origin) !=
		REDIS_OK ||
	    (*entry == '\0' ? redisAppendCommand(l->redis, "PING")
			    : redisAppendCommand(l->redis, "XRANGE %s %s %s",
				  l->stream, entry, entry)) != REDIS_OK)
		return fail_io(l, err);
	if ((!watch || (watched = answer(l, err)) != NULL) &&
	    (mark = answer(l, err)) != NULL && (found = answer(l, err)) != NULL)
		ret = read_mark(mark, found, m)
		    ? 0
		    : fail(l, "a key of ours holds something else", err);
	freeReplyObject(watched);
	freeReplyObject(mark);
	freeReplyObject(found);
	return ret;
}

int
link_published(struct link *l, const char *origin, const char *entry,
    struct link_mark *mark, struct err *err)
{
	return ask_mark(l, false, origin, entry, mark, err);
}

int
link_forget(struct link *l, const char *origin, struct err *err)
{
	redisReply *r = ask(l, REDIS_REPLY_STATUS, err,
	    "SET %s:%s " NOTHING " EX 60", l->stream, origin);

	freeReplyObject(r);
	return r == NULL ? -1 : 0;
}

static int
append_batch(struct link *l, const struct link_batch *b)
{
	int64_t oldest_ms =
	    clock_monotonic_ms() + l->offset_ms - b->keep_s * 1000;
	char oldest[24], mark[48], life[24];
	int rc = redisAppendCommand(l->redis, "MULTI");

	assert(b->n > 0 && b->keep_s > 0);
	(void)snprintf(
	    oldest, sizeof(oldest), "%" PRId64, oldest_ms < 0 ? 0 : oldest_ms);
	(void)snprintf(mark, sizeof(mark), "%" PRId64 " %" PRId64,
	    b->mark.number < 0 ? 0 : b->mark.number, b->mark.at);
	(void)snprintf(life, sizeof(life), "%" PRId64, b->keep_s);
	/* once a transaction is often enough to trim */
	for (size_t i = 0; rc == REDIS_OK && i < b->n; i++)
		rc = i == 0
		    ? redisAppendCommand(l->redis, "XADD %s MINID ~ %s * e %b",
			  l->stream, oldest, b->v[i].p, b->v[i].len)
		    : redisAppendCommand(l->redis, "XADD %s * e %b", l->stream,
			  b->v[i].p, b->v[i].len);
	if (rc == REDIS_OK)
		rc = redisAppendCommand(l->redis, "SET %s:%s %s EX %s",
		    l->stream, b->origin, mark, life);
	return rc == REDIS_OK ? redisAppendCommand(l->redis, "EXEC") : rc;
}

/* The answer to EXEC: 1, 0 when a watched key had changed, or -1. */
static int
exec_done(const struct link *l, const redisReply *r, size_t n,
    char added_r[LINK_POSITION_MAX], struct err *err)
{
	if (r->type == REDIS_REPLY_NIL)
		return 0;
	if (r->type != REDIS_REPLY_ARRAY || r->elements != n)
		return fail(l, "an answer that no Redis gives", err);
	for (size_t i = 0; i < n; i++)
		if (r->element[i]->type == REDIS_REPLY_ERROR)
			return fail(l, r->element[i]->str, err);
	(void)snprintf(added_r, LINK_POSITION_MAX, "%s",
	    n < 2 || r->element[n - 2]->str == NULL ? ""
						    : r->element[n - 2]->str);
	return 1;
}

int
link_publish(struct link *l, const struct link_batch *b,
    char added_r[LINK_POSITION_MAX], struct err *err)
{
	struct link_mark found;
	int ret = -1;

	/* the stream itself isn't watched: others add to it all the time */
	if (ask_mark(l, true, b->origin, b->entry, &found, err) == -1)
		return -1;
	if (found.number != b->was.number) {
		redisReply *r = ask(l, REDIS_REPLY_STATUS, err, "UNWATCH");

		freeReplyObject(r);
		return r == NULL ? -1 : 0;
	}
	begin(l);
	if (append_batch(l, b) != REDIS_OK)
		return fail_io(l, err);
	/* MULTI, then each command queued, then EXEC */
	for (size_t i = 0; i < b->n + 3; i++) {
		redisReply *r = answer(l, err);

		if (r == NULL)
			return -1;
		if (i == b->n + 2)
			ret = exec_done(l, r, b->n + 1, added_r, err);
		freeReplyObject(r);
	}
	/* no transaction of Redis takes back what it did before an error: the
	 * mark may tell of entries that aren't there */
	if (ret == -1)
		(void)link_forget(l, b->origin, NULL);
	return ret;
}

/* --- reading --- */

int
link_read(struct link *l, const char *position, int count, int block_ms,
    struct err *err)
{
	begin(l);
	if (redisAppendCommand(l->redis,
		"XREAD COUNT %d BLOCK %d STREAMS %s %s", count, block_ms,
		l->stream, position) != REDIS_OK)
		return fail_io(l, err);
	return write_all(l, err);
}

int
link_fd(const struct link *l)
{
	return l->redis->fd;
}

bool
link_readable(const struct link *l)
{
	struct pollfd p = { .fd = l->redis->fd, .events = POLLIN };

	return tls_pending(l->tls) || poll(&p, 1, 0) == 1;
}

static bool
is_array(const redisReply *r, size_t n)
{
	return r->type == REDIS_REPLY_ARRAY && r->elements >= n;
}

/* The field "e" of an entry: [ name, value, ... ]. */
static bool
entry_bytes(const redisReply *fields, struct link_bytes *bytes)
{
	if (!is_array(fields, 2) || fields->elements != 2 ||
	    fields->element[0]->type != REDIS_REPLY_STRING ||
	    fields->element[1]->type != REDIS_REPLY_STRING ||
	    strcmp(fields->element[0]->str, "e") != 0)
		return false;
	bytes->p = (const uint8_t *)fields->element[1]->str;
	bytes->len = (size_t)fields->element[1]->len;
	return true;
}

/* [ [ stream, [ [ position, fields ], ... ] ] ] */
static bool
take_entries(const redisReply *r,
    void (*fn)(void *arg, const char *position, const struct link_bytes *entry),
    void *arg)
{
	if (!is_array(r, 1) || !is_array(r->element[0], 2) ||
	    !is_array(r->element[0]->element[1], 0))
		return false;
	const redisReply *entries = r->element[0]->element[1];

	for (size_t i = 0; i < entries->elements; i++) {
		const redisReply *e = entries->element[i];
		struct link_bytes bytes;

		if (!is_array(e, 2) ||
		    e->element[0]->type != REDIS_REPLY_STRING ||
		    strlen(e->element[0]->str) >= LINK_POSITION_MAX)
			return false;
		fn(arg, e->element[0]->str,
		    entry_bytes(e->element[1], &bytes) ? &bytes : NULL);
	}
	return true;
}

int
link_taken(struct link *l,
    void (*fn)(void *arg, const char *position, const struct link_bytes *entry),
    void *arg, struct err *err)
{
	redisReply *r;
	int ret = 1;

	if (read_some(l, err) == -1 || parsed(l, &r, err) == -1)
		return -1;
	if (r == NULL)
		return 0;
	if (r->type == REDIS_REPLY_ERROR)
		ret = fail(l, r->str, err);
	else if (r->type != REDIS_REPLY_NIL && !take_entries(r, fn, arg))
		ret = fail(l, "an answer that no Redis gives", err);
	freeReplyObject(r);
	return ret;
}

#endif
