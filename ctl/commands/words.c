/* SPDX-License-Identifier: ISC */
#include "ctl/commands/words.h"

#include "common/base/err.h"

struct word {
	const char *client; /* NULL: it is a denial */
	int64_t at;
	const struct store_deny *deny;
};

static int
write_word(struct store *st, const struct word *w, struct err *err)
{
	if (w->client == NULL)
		return store_deny_set(st, w->deny, err);
	if (*w->client == '\0')
		return store_delete_older(st, w->at, err);
	return store_delete(st, w->client, w->at, err) == -1 ? -1 : 0;
}

static void
keep(struct ctl *ctl, const struct word *w)
{
	struct store *st = NULL;
	struct err err;

	if (store_words_open(ctl->cfg->logins.database, &st, &err) == -1 ||
	    store_begin(st, &err) == -1 ||
	    store_prune_events(
		st, ctl->now - ctl->cfg->logins.keep_s, 1, &err) == -1 ||
	    write_word(st, w, &err) == -1 || store_commit(st, &err) == -1)
		(void)ctl_fail(ctl, 0,
		    "WARNING: %s: it won't hold when the login table is lost or restored",
		    err.text);
	if (st != NULL)
		store_rollback(st);
	store_close(&st);
}

void
words_delete(struct ctl *ctl, const char *client, int64_t at)
{
	keep(ctl, &(struct word){ .client = client, .at = at });
}

void
words_delete_older(struct ctl *ctl, int64_t at)
{
	keep(ctl, &(struct word){ .client = "", .at = at });
}

void
words_deny(struct ctl *ctl, const struct store_deny *deny)
{
	keep(ctl, &(struct word){ .deny = deny });
}
