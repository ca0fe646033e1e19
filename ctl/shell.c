/* SPDX-License-Identifier: ISC */
#include "ctl/shell.h"

#include <stdio.h>
#include <string.h>

#include "common/base/utf8.h"

bool
shell_plain(const char *text)
{
	return *text != '\0' && *text != '-' &&
	    strspn(text,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"abcdefghijklmnopqrstuvwxyz0123456789_./:,@%+=-") ==
	    strlen(text);
}

/* Does utf8_escape() leave all of it as it is? */
static bool
printable(const char *text)
{
	char one[UTF8_ESCAPE_MAX];

	while (*text != '\0') {
		const char *from = text;
		size_t n = utf8_escape(&text, one);

		if (n != (size_t)(text - from) || memcmp(from, one, n) != 0)
			return false;
	}
	return true;
}

void
shell_print(const char *text)
{
	shell_write(stdout, text);
}

void
shell_write(FILE *to, const char *text)
{
	bool escaped = !printable(text);
	char one[UTF8_ESCAPE_MAX];

	(void)fputs(escaped ? "$'" : "'", to);
	while (*text != '\0') {
		if (*text == '\'') {
			(void)fputs(escaped ? "\\'" : "'\\''", to);
			text++;
		} else if (escaped && *text == '\\') {
			(void)fputs("\\\\", to);
			text++;
		} else {
			size_t n = utf8_escape(&text, one);

			(void)fwrite(one, 1, n, to);
		}
	}
	(void)fputc('\'', to);
}
