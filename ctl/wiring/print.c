/* SPDX-License-Identifier: ISC */
#include "ctl/wiring/print.h"

#include <stdio.h>
#include <string.h>

enum { LINE_WIDTH = 78 };

void
wiring_print_word(const char *text)
{
	(void)putchar('\'');
	for (; *text != '\0'; text++)
		if (*text == '\'')
			(void)fputs("'\\''", stdout);
		else
			(void)putchar(*text);
	(void)putchar('\'');
}

void
wiring_print_comment(const char *text)
{
	size_t column = 1;

	(void)putchar('#');
	while (*text != '\0') {
		/* a newline would end the comment */
		size_t n = strcspn(text, " \n");

		if (column + 1 + n > LINE_WIDTH && column > 1) {
			(void)fputs("\n#", stdout);
			column = 1;
		}
		(void)printf(" %.*s", (int)n, text);
		column += n + 1;
		text += n + strspn(text + n, " \n");
	}
	(void)putchar('\n');
}

void
wiring_print_copy(const char *file)
{
	(void)fputs("cp -p ", stdout);
	wiring_print_word(file);
	(void)putchar(' ');
	wiring_print_word(file);
	(void)puts(".before-popgate");
}
