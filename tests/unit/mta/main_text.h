/* SPDX-License-Identifier: ISC */
/* main_text - a main.cf that a test edits, as text. */
#ifndef POPGATE_MAIN_TEXT_H
#define POPGATE_MAIN_TEXT_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static inline void text_add(char *text, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static inline void
text_add(char *text, size_t size, const char *fmt, ...)
{
	size_t n = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text + n, size - n, fmt, ap);
	va_end(ap);
}

/* The line "name = value" gets another value, or is added. */
static inline void
text_set(char *text, size_t size, const char *name, const char *value)
{
	char line[400];
	int n = snprintf(line, sizeof(line), "%s =", name);

	for (char *at = text; *at != '\0'; at += strcspn(at, "\n") + 1)
		if (strncmp(at, line, (size_t)n) == 0) {
			size_t len = strcspn(at, "\n") + 1;

			memmove(at, at + len, strlen(at + len) + 1);
			break;
		}
	text_add(text, size, "%s = %s\n", name, value);
}

#endif
