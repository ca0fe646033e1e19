#include "log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "clock.h"

static const char *log_ident = "popgate";
static enum log_target log_target = LOG_TO_STDERR;
static char log_prefix[64] = ""; /* of a line on stderr, by log_line() */

/* what log_line() holds back; its one thread's */
static char held[32768];
static size_t held_len;

static atomic_uint_fast64_t counts[LOG_DEBUG + 1]; /* by priority */
static struct {
	pthread_mutex_t mtx;
	/* guarded by mtx */
	int64_t at;
	char text[LOG_LAST_MAX];
} last_error = { .mtx = PTHREAD_MUTEX_INITIALIZER };

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
	(void)pthread_mutex_lock(&last_error.mtx);
	last_error.at = clock_now();
	(void)snprintf(last_error.text, sizeof(last_error.text), "%.*s",
	    LOG_LAST_MAX - 1, text);
	(void)pthread_mutex_unlock(&last_error.mtx);
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
	(void)pthread_mutex_lock(&last_error.mtx);
	int64_t at = last_error.at;

	memcpy(buf, last_error.text, LOG_LAST_MAX);
	(void)pthread_mutex_unlock(&last_error.mtx);
	return at;
}

uint64_t
log_count(int priority)
{
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
	log_ident = ident;
	log_target = target;
	/* also when stderr is ours: libmilter calls syslog(3) itself */
	openlog(ident, LOG_PID | LOG_NDELAY, LOG_MAIL);
}

const char *
log_escape(const char *text, bool quote, char *buf, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	char *p = buf, *end = buf + size - 1;

	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == 0x7f) {
			if (end - p < 4)
				break;
			*p++ = '\\';
			*p++ = 'x';
			*p++ = hex[c >> 4];
			*p++ = hex[c & 15];
		} else if (quote && (c == '"' || c == '\\')) {
			if (end - p < 2)
				break;
			*p++ = '\\';
			*p++ = (char)c;
		} else {
			if (p == end)
				break;
			*p++ = (char)c;
		}
	}
	*p = '\0';
	return buf;
}

void
log_msg(int priority, const char *fmt, ...)
{
	char text[3072], line[4096];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	remember(priority, text);
	if (log_target == LOG_TO_SYSLOG) {
		(void)log_escape(text, false, line, sizeof(line));
		syslog(priority, "%s", line);
		return;
	}
	/* one write(2), so that lines of threads don't mix */
	int n = log_target == LOG_TO_JOURNAL
	    ? snprintf(line, sizeof(line), "<%d>", priority)
	    : snprintf(
		  line, sizeof(line), "%s[%ld]: ", log_ident, (long)getpid());
	size_t at = n < 0 ? 0 : (size_t)n;

	(void)log_escape(text, false, line + at, sizeof(line) - at - 1);
	at = strlen(line);
	line[at++] = '\n';
	if (write(STDERR_FILENO, line, at) == -1)
		return;
}

void
log_flush(void)
{
	if (held_len > 0 && write(STDERR_FILENO, held, held_len) == -1)
		(void)0; /* nowhere to say it */
	held_len = 0;
}

void
log_line(int priority, const char *line, size_t len)
{
	if (log_target == LOG_TO_SYSLOG) {
		syslog(priority, "%s", line);
		return;
	}
	if (log_prefix[0] == '\0')
		(void)snprintf(log_prefix, sizeof(log_prefix),
		    "%.32s[%ld]: ", log_ident, (long)getpid());
	char number[8] = "";
	const char *prefix = log_prefix;

	if (log_target == LOG_TO_JOURNAL) {
		(void)snprintf(number, sizeof(number), "<%d>", priority);
		prefix = number;
	}
	size_t n = strlen(prefix);

	if (n + len + 1 > sizeof(held))
		return;
	if (held_len + n + len + 1 > sizeof(held))
		log_flush();
	memcpy(held + held_len, prefix, n);
	memcpy(held + held_len + n, line, len);
	held_len += n + len;
	held[held_len++] = '\n';
}
