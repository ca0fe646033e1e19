/* SPDX-License-Identifier: ISC */
/* delete - take addresses out of the table. */
#include <stdio.h>

#include "common/base/err.h"
#include "common/db/store_share.h"
#include "ctl/commands.h"
#include "ctl/commands/admin_entry.h"
#include "ctl/commands/words.h"

/* Say when a wider entry still lets it relay: the admin thinks it is out. */
static int
still_active(struct ctl *ctl, struct store *st, const struct network *net)
{
	char client[NETWORK_TEXT_MAX];
	struct store_lookup found;
	struct err err;

	if (net->bits < addr_bits(&net->base))
		return 0;
	if (store_lookup(st, &net->base, NULL,
		(uint8_t)ctl->cfg->relay.ipv6_prefix, ctl->now, &found,
		&err) == -1)
		return ctl_fail_err(ctl, &err);
	network_format(net, client);
	if (found.active)
		return ctl_fail(ctl, CTL_NONE,
		    "%s may still relay, by a network that holds it: see 'popgatectl why %s'",
		    client, client);
	return 0;
}

static int
delete_one(struct ctl *ctl, struct store *st, const char *text)
{
	char client[NETWORK_TEXT_MAX], how[200], who[160];
	struct network net;
	struct err err;
	int rc = ctl_network(ctl, text, &net), n;

	if (rc != 0)
		return rc;
	network_format(&net, client);
	(void)snprintf(how, sizeof(how), "popgatectl delete %s, by %s", client,
	    ctl_who(who, sizeof(who)));
	struct store_word word = {
		.kind = WORD_DELETE,
		.subject = client,
		.user = "",
		.note = "",
	};
	const struct store_event event = {
		.at = ctl->now,
		.client = client,
		.user = "",
		.service = "manual",
		.server = STORE_ADMIN,
		.source = STORE_ADMIN,
		.line = how,
	};

	if (store_begin(st, &err) == -1)
		return ctl_fail_err(ctl, &err);
	if (store_word_say(st, &word, ctl->now, &err) == -1)
		n = -1;
	else
		n = store_delete(st, client, word.at, &err);
	if (n != -1)
		words_delete(ctl, client, word.at);
	if (n == -1 || (n > 0 && store_event_add(st, &event, &err) == -1) ||
	    store_commit(st, &err) == -1) {
		store_rollback(st);
		return ctl_fail_err(ctl, &err);
	}
	if (n > 0)
		(void)printf("%s deleted (%d %s)\n", client, n,
		    n == 1 ? "entry" : "entries");
	rc = still_active(ctl, st, &net);
	if (rc != 0 || n > 0)
		return rc;
	return ctl_fail(ctl, CTL_NONE, "%s is not in the table", client);
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	struct store *st;
	int rc = 0;

	/* all or none of a slip of the pen */
	for (int i = 0; i < args->n && rc == 0; i++) {
		struct network net;

		rc = ctl_network(ctl, args->v[i], &net);
	}
	if (rc != 0)
		return rc;
	rc = ctl_store(ctl, STORE_MODIFY, &st);
	for (int i = 0; i < args->n && st != NULL; i++) {
		int one = delete_one(ctl, st, args->v[i]);

		rc = one > rc ? one : rc;
	}
	if (st != NULL && rc == 0)
		(void)printf(
		    "A login after this brings %s back; 'popgatectl deny' keeps a client out.\n",
		    args->n == 1 ? "it" : "them");
	store_close(&st);
	return rc;
}

const struct command cmd_delete = {
	.name = "delete",
	.args = "ADDRESS|NETWORK...",
	.summary = "take addresses out of the table",
	.help =
	    "All entries of the address, of every user. It comes back with its next login;\n"
	    "older log lines bring nothing back, however often they are read, also of an\n"
	    "address that has no entry. Exit status 1: there was no such entry, or an entry of\n"
	    "a network still lets the address relay.\n",
	.min = 1,
	.max = -1,
	.run = run,
};
