/* SPDX-License-Identifier: ISC */
/* add - let an address or network relay, by hand. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/commands.h"
#include "ctl/commands/admin_entry.h"
#include "ctl/commands/vsmtprelay.h"
#include "ctl/times.h"

enum { OPT_USER, OPT_FOR, OPT_UNTIL, OPT_FOREVER, OPT_NOTE };

static const struct ctl_option options[] = {
	[OPT_USER] = { "user", "USER", "whose it is; default nobody's" },
	[OPT_FOR] = { "for", "DURATION",
	    "90s, 30m, 2h, 7d; default logins.window" },
	[OPT_UNTIL] = { "until", "TIME", "'2026-03-01 12:00', 12:00, @unix" },
	[OPT_FOREVER] = { "forever", NULL, "until it is deleted" },
	[OPT_NOTE] = { "note", "TEXT", "why; 'popgatectl why' shows it" },
	{ 0 },
};

static int
add(struct ctl *ctl, const struct ctl_args *args, const struct network *net)
{
	char client[NETWORK_TEXT_MAX], how[600], when[TIME_TEXT_MAX];
	const char *user =
	    args->opt[OPT_USER] == NULL ? "" : args->opt[OPT_USER];
	const char *note = args->opt[OPT_NOTE];
	struct store *st;
	int64_t until = ctl->now + ctl->cfg->logins.window_s;
	int rc = entry_end(ctl, args->opt[OPT_FOR], args->opt[OPT_UNTIL],
	    args->opt[OPT_FOREVER] != NULL, &until);

	if (rc != 0)
		return rc;
	network_format(net, client);
	time_local(until, when);
	(void)snprintf(how, sizeof(how),
	    "popgatectl add %s%s%.100s until %s%s%.200s", client,
	    *user == '\0' ? "" : " for user ", user, when,
	    note == NULL ? "" : ": ", note == NULL ? "" : note);
	const struct store_row row = entry_row(client, user, ctl->now, until);

	rc = ctl_store(ctl, STORE_WRITE, &st);
	if (rc == 0)
		rc = entry_write(ctl, st, &row, how);
	store_close(&st);
	if (rc != 0)
		return rc;
	if (until >= STORE_FOREVER)
		(void)printf("%s may relay until it is deleted\n", client);
	else
		(void)printf("%s may relay until %s\n", client,
		    time_both(until, ctl->now, when));
	return 0;
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	struct network net;
	int rc = entry_network(ctl, args->v[0], &net);

	if (rc != 0)
		return rc;
	if (args->opt[OPT_USER] != NULL &&
	    (strlen(args->opt[OPT_USER]) >= LOGIN_USER_MAX))
		return ctl_fail(ctl, EX_USAGE,
		    "a user name has at most %d bytes", LOGIN_USER_MAX - 1);
	entry_warn(ctl, &net);
	if (args->n == 1)
		return add(ctl, args, &net);
	for (size_t i = 0; options[i].name != NULL; i++)
		if (args->opt[i] != NULL)
			return ctl_fail(ctl, EX_USAGE,
			    "ticks and --%s exclude each other",
			    options[i].name);
	char client[NETWORK_TEXT_MAX];

	return vsmtprelay_add(ctl, network_format(&net, client), args->v[1]);
}

const struct command cmd_add = {
	.name = "add",
	.args =
	    "ADDRESS|NETWORK [--user USER] [--for DURATION | --until TIME | --forever] [--note TEXT]",
	.summary = "let an address or network relay, by hand",
	.help =
	    "'add ADDRESS TICKS' is vsmtprelay's form: as if a login had been seen at that\n"
	    "Unix time. The table is made when it does not exist yet.\n",
	.options = options,
	.min = 1,
	.max = 2,
	.run = run,
};
