/* SPDX-License-Identifier: ISC */
/* expire - delete entries that count no longer. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/db/store_share.h"
#include "ctl/commands.h"
#include "ctl/commands/expire.h"
#include "ctl/commands/words.h"

enum { EXPIRE_SLICE = 5000 };

int
expire_before(struct ctl *ctl, int64_t cutoff, int64_t *n_r)
{
	bool progress = isatty(STDERR_FILENO), shown = false;
	char cursor[NETWORK_TEXT_MAX] = "";
	int64_t began_ms = clock_monotonic_ms();
	struct store *st;
	struct err err;
	int rc = ctl_store(ctl, STORE_MODIFY, &st);

	*n_r = 0;
	if (rc != 0)
		return rc;
	struct store_word word = {
		.kind = WORD_DELETE,
		.subject = "",
		.user = "",
		.at = cutoff - ctl->cfg->logins.window_s - 1,
		.until = cutoff - ctl->cfg->logins.window_s - 1,
		.note = "",
	};

	/* first: what is read while we delete must not come back either */
	words_delete_older(ctl, word.at);
	if (store_word_say(st, &word, ctl->now, &err) == -1 ||
	    store_delete_older(st, word.at, &err) == -1) {
		rc = ctl_fail_err(ctl, &err);
		store_close(&st);
		return rc;
	}
	do {
		int n = store_expire(st, cutoff, EXPIRE_SLICE, cursor, &err);

		if (n == -1) {
			rc = ctl_fail_err(ctl, &err);
			break;
		}
		*n_r += n;
		if (progress && clock_monotonic_ms() - began_ms > 1000) {
			(void)fprintf(stderr,
			    "\r%" PRId64 " deleted, now at %s\033[K", *n_r,
			    cursor);
			shown = true;
		}
	} while (*cursor != '\0');
	if (shown)
		(void)fputs("\r\033[K", stderr);
	store_close(&st);
	return rc;
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	int64_t minutes, n, cutoff = ctl->now + 1; /* expires_at <= now */
	int rc = ctl_config(ctl);

	if (rc == 0 && args->n == 1) {
		rc = ctl_number(ctl, args->v[0], 0, 60 * 24 * 36600, &minutes);
		if (rc == 0)
			cutoff += ctl->cfg->logins.window_s - minutes * 60 - 1;
	}
	if (rc == 0)
		rc = expire_before(ctl, cutoff, &n);
	if (rc == 0)
		(void)printf("%" PRId64 " %s deleted\n", n,
		    n == 1 ? "entry" : "entries");
	return rc;
}

const struct command cmd_expire = {
	.name = "expire",
	.args = "[MINUTES]",
	.summary = "delete entries that count no longer",
	.help =
	    "Without MINUTES: what has expired. With MINUTES: entries whose last login is\n"
	    "longer ago than that, whether they still count or not; an admin's entry for\n"
	    "later or for ever stays. popgate-collector does this by itself; nothing has to\n"
	    "be expired for safety.\n",
	.min = 0,
	.max = 1,
	.run = run,
};
