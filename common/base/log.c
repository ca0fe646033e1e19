/* SPDX-License-Identifier: ISC */
#include "common/base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "common/base/clock.h"
#include "common/base/guarded.h"
#include "common/base/log_queue.h"
#include "common/base/log_sink.h"
#include "common/base/utf8.h"

enum { TEXT_MAX = 4096 };

static atomic_bool queueing;
/* for lines that the caller writes itself */
static struct mutex writing = MUTEX_INITIALIZER;

static atomic_uint_fast64_t counts[LOG_DEBUG + 1]; /* by priority */
static struct mutex mtx = MUTEX_INITIALIZER;
static struct {
	int64_t at;
	char text[LOG_LAST_MAX];
} last_error GUARDED_BY(mtx);

static void
remember(int priority, const char *text)
{
	if (priority < LOG_ERR)
		priority = LOG_ERR;
	if (priority > LOG_DEBUG)
		return;
	atomic_fetch_add(&counts[priority], 1);
	if (priority != LOG_ERR)
		return;
	mutex_lock(&mtx);
	last_error.at = clock_now();
	(void)snprintf(last_error.text, sizeof(last_error.text), "%.*s",
	    LOG_LAST_MAX - 1, text);
	mutex_unlock(&mtx);
}

bool
log_due(atomic_int_fast64_t *said_ms, int every_ms)
{
	int_fast64_t now_ms = clock_monotonic_ms(), then_ms = *said_ms;

	return (then_ms == 0 || now_ms - then_ms >= every_ms) &&
	    atomic_compare_exchange_strong(said_ms, &then_ms, now_ms);
}

int64_t
log_last_error(char *buf)
{
	mutex_lock(&mtx);
	int64_t at = last_error.at;

	memcpy(buf, last_error.text, LOG_LAST_MAX);
	mutex_unlock(&mtx);
	return at;
}

uint64_t
log_count(int priority)
{
	assert(priority >= LOG_ERR && priority <= LOG_DEBUG);
	return atomic_load(&counts[priority]);
}

bool
log_target_parse(const char *name, enum log_target *target)
{
	static const char *const names[] = { [LOG_TO_STDERR] = "stderr",
		[LOG_TO_SYSLOG] = "syslog",
		[LOG_TO_JOURNAL] = "journal" };

	for (int i = 0; i < 3; i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		*target = (enum log_target)i;
		return true;
	}
	return false;
}

void
log_open(const char *ident, enum log_target target)
{
	log_sink_open(ident, target);
	/* libmilter calls syslog(3), from threads of sessions too and at each
	 * stop, and syslog(3) waits for a syslogd that doesn't read. Nothing
	 * of it is sent, but what it never says without smfi_setdbg(). */
	(void)setlogmask(LOG_MASK(LOG_DEBUG));
}

void
log_hold(void)
{
	atomic_store(&queueing, true);
}

int
log_start(void)
{
	return log_queue_start();
}

unsigned
log_stop(void)
{
	if (!atomic_load(&queueing))
		return 0;
	/* who ends before it has begun has something to say, too */
	(void)log_queue_start();
	return log_queue_drain(LOG_STOP_MS);
}

void
log_state(struct log_state *state)
{
	log_queue_state(state);
}

static bool
is_plain(char c, bool quote)
{
	return c >= 0x20 && c < 0x7f && !(quote && (c == '"' || c == '\\'));
}

const char *
log_escape(const char *text, bool quote, char *buf, size_t size)
{
	char *p = buf, *end = buf + size - 1;
	char one[UTF8_ESCAPE_MAX];

	assert(size > 0);
	while (*text != '\0') {
		size_t n;

		/* nearly all of them */
		if (is_plain(*text, quote) && p < end) {
			*p++ = *text++;
			continue;
		}
		if (quote && (*text == '"' || *text == '\\')) {
			one[0] = '\\';
			one[1] = *text++;
			n = 2;
		} else
			n = utf8_escape(&text, one);
		if ((size_t)(end - p) < n)
			break;
		memcpy(p, one, n);
		p += n;
	}
	*p = '\0';
	return buf;
}

/* The caller waits for the log: of a program that does nothing else. Not
 * inlined: its buffer stays off the stack of threads that use the queue. */
__attribute__((noinline)) static void
write_now(int priority, const char *text, size_t len)
{
	char line[TEXT_MAX + LOG_SINK_PREFIX + 1];

	assert(len <= TEXT_MAX);
	size_t n = log_sink_format(priority, clock_now(), text, len, line);

	mutex_lock(&writing);
	for (size_t done = 0; done < n;) {
		ssize_t taken = log_sink_write(line + done, n - done);

		if (taken == -1 && errno != EINTR)
			break;
		done += taken == -1 ? 0 : (size_t)taken;
	}
	mutex_unlock(&writing);
}

static void
put(int priority, const char *text, size_t len, bool wake)
{
	if (len > TEXT_MAX)
		len = TEXT_MAX;
	if (atomic_load_explicit(&queueing, memory_order_relaxed))
		log_queue_put(priority, text, len, wake);
	else
		write_now(priority, text, len);
}

void
log_msg(int priority, const char *fmt, ...)
{
	char text[3072], line[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	remember(priority, text);
	(void)log_escape(text, false, line, sizeof(line));
	put(priority, line, strlen(line), true);
}

void
log_line(int priority, const char *line, size_t len)
{
	put(priority, line, len, false);
}

void
log_flush(void)
{
	log_queue_wake();
}
