/* SPDX-License-Identifier: ISC */
#include "common/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return;
	err->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
}

void
err_nomem(struct err *err, const char *what, size_t bytes)
{
	err_set(err, ERR_NOMEM, "out of memory: %s needs %zu MB", what,
	    (bytes >> 20) + 1);
}

void
err_locate(struct err *err, const char *where)
{
	char text[ERR_TEXT_MAX];

	if (err == NULL || where == NULL || err->code == ERR_NOMEM)
		return;
	memcpy(text, err->text, sizeof(text));
	err_set(err, err->code, "%s: %s", where, text);
}
