/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/progress.h"

#include <inttypes.h>
#include <unistd.h>

#include "common/base/clock.h"

enum { PATIENCE_MS = 1000, PERIOD_MS = 250 };

/* Back to the margin, and clear the line (ECMA-48: CSI K). */
#define WIPE "\r\033[K"

void
progress_begin(struct progress *p, const char *title)
{
	*p = (struct progress){ .to = isatty(STDERR_FILENO) ? stderr : NULL,
		.title = title,
		.begun_ms = clock_monotonic_ms() };
}

void
progress_tell(struct progress *p, const char *what, size_t recipients)
{
	int64_t now_ms = clock_monotonic_ms();

	if (p->to == NULL || now_ms - p->begun_ms < PATIENCE_MS ||
	    (p->shown && now_ms - p->told_ms < PERIOD_MS))
		return;
	p->told_ms = now_ms;
	p->shown = true;
	(void)fprintf(p->to,
	    WIPE "asking a private copy of %s%s%s: %zu recipients, %" PRId64
		 " s",
	    p->title, what == NULL ? "" : ", ", what == NULL ? "" : what,
	    recipients, (now_ms - p->begun_ms) / 1000);
	(void)fflush(p->to);
}

void
progress_end(struct progress *p)
{
	if (!p->shown)
		return;
	p->shown = false;
	(void)fputs(WIPE, p->to);
	(void)fflush(p->to);
}
