/* SPDX-License-Identifier: ISC */
#include "ctl/commands/vsmtprelay.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/db/store_share.h"
#include "ctl/commands.h"
#include "ctl/commands/admin_entry.h"
#include "ctl/commands/expire.h"
#include "ctl/commands/words.h"

/* Rows come ordered by client: one line for the users of each. */
struct print {
	int64_t window_s, latest, ticks;
	char client[NETWORK_TEXT_MAX];
};

static void
print_client(const struct print *p)
{
	if (p->client[0] != '\0' && p->ticks <= p->latest)
		(void)printf("%s\t%" PRId64 "\n", p->client, p->ticks);
}

static bool
print_row(void *arg, const struct store_row *row)
{
	struct print *p = arg;
	int64_t ticks = store_ticks(row, p->window_s);

	if (strcmp(p->client, row->client) != 0) {
		print_client(p);
		(void)snprintf(p->client, sizeof(p->client), "%s", row->client);
		p->ticks = ticks;
	}
	if (ticks > p->ticks)
		p->ticks = ticks;
	return true;
}

int
vsmtprelay_print(struct ctl *ctl, int64_t latest)
{
	struct store *st;
	struct err err;
	int rc = ctl_store(ctl, STORE_READ, &st);

	if (rc != 0)
		return rc;
	struct print p = {
		.window_s = ctl->cfg->logins.window_s,
		.latest = latest,
	};

	if (store_each_row(st, NULL, NULL, INT64_MIN, print_row, &p, &err) ==
	    -1)
		rc = ctl_fail_err(ctl, &err);
	else
		print_client(&p);
	store_close(&st);
	return rc;
}

int
vsmtprelay_add(struct ctl *ctl, const char *client, const char *ticks_text)
{
	int64_t ticks = ctl->now;
	char how[200];
	struct store *st;
	int rc = ticks_text == NULL
	    ? 0
	    : ctl_number(ctl, ticks_text, 1, STORE_FOREVER, &ticks);

	if (rc == 0)
		rc = ctl_store(ctl, STORE_WRITE, &st);
	if (rc != 0)
		return rc;
	(void)snprintf(how, sizeof(how), "%s add %s %" PRId64, ctl->program,
	    client, ticks);
	const struct store_row row =
	    entry_row(client, "", ticks, ticks + ctl->cfg->logins.window_s);

	rc = entry_write(ctl, st, &row, how);
	store_close(&st);
	return rc;
}

static int
usage(void)
{
	(void)fputs("usage: vsmtprelay add ip [ticks]\n"
		    "       vsmtprelay delete ip [...]\n"
		    "       vsmtprelay expire [n]\n"
		    "       vsmtprelay list [n]\n"
		    "       vsmtprelay dump\n",
	    stderr);
	return EX_USAGE;
}

static int
run_add(struct ctl *ctl, int argc, char **argv)
{
	char client[NETWORK_TEXT_MAX];
	struct network net;
	int rc = entry_network(ctl, argv[0], &net);

	if (rc != 0)
		return rc;
	entry_warn(ctl, &net);
	return vsmtprelay_add(
	    ctl, network_format(&net, client), argc > 1 ? argv[1] : NULL);
}

/* Silent, as the original: also when there is no such entry. */
static int
run_delete(struct ctl *ctl, int argc, char **argv)
{
	struct network net;
	struct store *st;
	struct err err;
	int rc = 0;

	for (int i = 0; i < argc && rc == 0; i++)
		rc = ctl_network(ctl, argv[i], &net);
	if (rc == 0)
		rc = ctl_store(ctl, STORE_MODIFY, &st);
	if (rc != 0)
		return rc;
	for (int i = 0; i < argc && rc == 0; i++) {
		char client[NETWORK_TEXT_MAX];

		(void)ctl_network(ctl, argv[i], &net);
		struct store_word word = {
			.kind = WORD_DELETE,
			.subject = network_format(&net, client),
			.user = "",
			.note = "",
		};

		bool said = store_begin(st, &err) == 0 &&
		    store_word_say(st, &word, ctl->now, &err) == 0;

		if (said)
			words_delete(ctl, client, word.at);
		if (!said || store_delete(st, client, word.at, &err) == -1 ||
		    store_commit(st, &err) == -1) {
			store_rollback(st);
			rc = ctl_fail_err(ctl, &err);
		}
	}
	store_close(&st);
	return rc;
}

/* *ago_r: n minutes in seconds, 0 without n. */
static int
parse_minutes(struct ctl *ctl, int argc, char **argv, int64_t *ago_r)
{
	int rc = ctl_config(ctl);

	*ago_r = 0;
	if (rc == 0 && argc > 0) {
		rc = ctl_number(ctl, argv[0], 0, 60 * 24 * 36600, ago_r);
		*ago_r *= 60;
	}
	return rc;
}

static int
run_expire(struct ctl *ctl, int argc, char **argv)
{
	int64_t ago, n;
	int rc = parse_minutes(ctl, argc, argv, &ago);

	/* all: ticks <= now; older: ticks < now - ago */
	if (rc == 0)
		rc = expire_before(ctl,
		    ctl->now - ago + (argc == 0 ? 1 : 0) +
			ctl->cfg->logins.window_s,
		    &n);
	return rc;
}

static int
run_list(struct ctl *ctl, int argc, char **argv)
{
	int64_t ago;
	int rc = parse_minutes(ctl, argc, argv, &ago);

	if (rc == 0)
		rc =
		    vsmtprelay_print(ctl, ctl->now - ago - (argc == 0 ? 0 : 1));
	return rc;
}

static int
run_dump(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return vsmtprelay_print(ctl, INT64_MAX);
}

int
vsmtprelay_run(struct ctl *ctl, int argc, char **argv)
{
	static const struct {
		const char *name;
		int min, max;
		int (*run)(struct ctl *ctl, int argc, char **argv);
	} verbs[] = {
		{ "add", 1, 2, run_add },
		{ "delete", 1, INT32_MAX, run_delete },
		{ "expire", 0, 1, run_expire },
		{ "list", 0, 1, run_list },
		{ "dump", 0, 0, run_dump },
	};

	for (size_t i = 0; argc > 0 && i < sizeof(verbs) / sizeof(verbs[0]);
	     i++) {
		if (strcmp(verbs[i].name, argv[0]) != 0)
			continue;
		if (argc - 1 < verbs[i].min || argc - 1 > verbs[i].max)
			return usage();
		ctl->cmd = verbs[i].name;
		return verbs[i].run(ctl, argc - 1, argv + 1);
	}
	return usage();
}
