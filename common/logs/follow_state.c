/* SPDX-License-Identifier: ISC */
#include "common/logs/follow_state.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

static void say(const struct follow *f, int priority, const char *fmt,
    va_list ap) __attribute__((format(printf, 3, 0)));

static void
say(const struct follow *f, int priority, const char *fmt, va_list ap)
{
	char text[PATH_MAX + 256];

	if (f->note == NULL)
		return;
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	f->note(f->note_arg, priority, text);
}

void
follow_note(const struct follow *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(f, LOG_NOTICE, fmt, ap);
	va_end(ap);
}

void
follow_say(const struct follow *f, int priority, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(f, priority, fmt, ap);
	va_end(ap);
}
