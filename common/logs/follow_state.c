/* SPDX-License-Identifier: ISC */
#include "common/logs/follow_state.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

void
follow_note(const struct follow *f, const char *fmt, ...)
{
	char text[PATH_MAX + 256];
	va_list ap;

	if (f->note == NULL)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	f->note(f->note_arg, text);
}
