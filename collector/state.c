/* SPDX-License-Identifier: ISC */
#include "collector/state.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"

enum { REPEAT_MS = 60 * 1000 };

void
state_note(const struct collect *c, int priority, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->note(priority, text);
}

bool
state_complain(struct complaint *p)
{
	int64_t ms = clock_monotonic_ms();

	if (p->active && ms - p->noted_ms < REPEAT_MS)
		return false;
	p->active = true;
	p->noted_ms = ms;
	return true;
}

struct feed *
state_feed(const struct collect *c, const char *name)
{
	for (size_t i = 0; i < c->n_feeds; i++)
		if (strcmp(c->feed[i]->cfg.name, name) == 0)
			return c->feed[i];
	return NULL;
}
