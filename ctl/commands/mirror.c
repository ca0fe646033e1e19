/* SPDX-License-Identifier: ISC */
/* mirror - what the files of collector.mirror permit, and whether they may;
 * or empty them, when nobody keeps them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/base/own_addresses.h"
#include "common/maps/map.h"
#include "common/maps/permitted.h"
#include "ctl/commands.h"
#include "ctl/out.h"
#include "ctl/times.h"

enum { OPT_EMPTY, OPT_JSON };

static const struct ctl_option options[] = {
	[OPT_EMPTY] = { "empty", NULL,
	    "take away what they permit: for when popgate-collector is not running" },
	[OPT_JSON] = { "json", NULL, "a JSON object a line" },
	{ 0 },
};

/* Text of clients, sorted as the table is. */
struct list {
	char (*v)[NETWORK_TEXT_MAX];
	size_t n, size;
	bool nomem;
};

static bool
list_add(struct list *l, const char *text)
{
	if (l->n == l->size) {
		size_t size = l->size == 0 ? 1024 : l->size * 2;
		void *v = reallocarray(l->v, size, sizeof(*l->v));

		if (v == NULL) {
			l->nomem = true;
			return false;
		}
		l->v = v;
		l->size = size;
	}
	(void)snprintf(l->v[l->n++], NETWORK_TEXT_MAX, "%s", text);
	return true;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool
take_permitted(void *arg, const struct permitted *p)
{
	return list_add(arg, p->client);
}

struct file {
	const struct list *permitted;
	int64_t entries, outdated;
	char sample[NETWORK_TEXT_MAX]; /* one that is outdated */
};

static bool
take_entry(void *arg, const char *client)
{
	struct file *f = arg;

	f->entries++;
	if (f->permitted->n > 0 &&
	    bsearch(client, f->permitted->v, f->permitted->n,
		sizeof(*f->permitted->v), by_text) != NULL)
		return true;
	f->outdated++;
	(void)snprintf(f->sample, sizeof(f->sample), "%s", client);
	return true;
}

static int
find_permitted(struct ctl *ctl, struct list *l)
{
	const struct config *cfg = ctl->cfg;
	struct network_set own = { 0 };
	struct store *st;
	int64_t until;
	struct err err;
	int rc = ctl_store(ctl, STORE_READ, &st);

	if (rc != 0)
		return rc;
	if ((cfg->relay.never_authorize_own &&
		own_addresses(&own, &err) == -1) ||
	    permitted_each(
		st, cfg, &own, ctl->now, take_permitted, l, &until, &err) == -1)
		rc = ctl_fail_err(ctl, &err);
	else if (l->nomem)
		rc = ctl_fail(ctl, EX_OSERR, "out of memory");
	if (l->n > 0)
		qsort(l->v, l->n, sizeof(*l->v), by_text);
	network_set_release(&own);
	store_close(&st);
	return rc;
}

static void
show(struct ctl *ctl, const struct config_mirror *m, const struct file *f,
    const char *error, bool json)
{
	struct json j = { .to = stdout };
	char when[TIME_TEXT_MAX];
	struct stat st;
	int64_t at = stat(m->file, &st) == 0 ? st.st_mtime : 0;

	if (json) {
		json_open(&j, NULL, '{');
		json_text(&j, "file", m->file);
		json_text(&j, "format", map_format_name(m->format));
		json_number(&j, "entries", f->entries);
		json_number(&j, "outdated", f->outdated);
		json_text(&j, "sample", f->outdated > 0 ? f->sample : NULL);
		json_time(&j, "written_at", at);
		json_text(&j, "error", error);
		json_close(&j, '}');
		json_line(&j);
		return;
	}
	out_text(m->file);
	if (error != NULL) {
		(void)fputs(": ", stdout);
		out_text(error);
		(void)putchar('\n');
		return;
	}
	(void)printf(": %s, %" PRId64 " %s, written %s\n",
	    map_format_name(m->format), f->entries,
	    f->entries == 1 ? "entry" : "entries",
	    time_both(at, ctl->now, when));
	if (f->outdated == 0)
		return;
	(void)printf("  permits %" PRId64 " that may relay no longer, such as ",
	    f->outdated);
	out_text(f->sample);
	(void)puts(
	    "\n  Is popgate-collector running? 'popgatectl mirror --empty' takes them all away.");
}

static int
check_all(struct ctl *ctl, bool json)
{
	const struct config *cfg = ctl->cfg;
	struct list permitted = { 0 };
	int rc = find_permitted(ctl, &permitted), result = 0;

	for (size_t i = 0; rc == 0 && i < cfg->collector.n_mirror; i++) {
		const struct config_mirror *m = &cfg->collector.mirror[i];
		struct file f = { .permitted = &permitted };
		struct err err;
		bool bad =
		    map_each(m->file, m->format, take_entry, &f, &err) == -1;

		show(ctl, m, &f, bad ? err.text : NULL, json);
		if (bad || f.outdated > 0)
			result = CTL_NONE;
	}
	free(permitted.v);
	return rc != 0 ? rc : result;
}

static int
empty_all(struct ctl *ctl)
{
	const struct config *cfg = ctl->cfg;
	int rc = 0;

	for (size_t i = 0; i < cfg->collector.n_mirror; i++) {
		const struct config_mirror *m = &cfg->collector.mirror[i];
		struct map *map;
		struct err err;

		if (map_begin(m->file, m->format, m->value, 0644, &map, &err) ==
			0 &&
		    map_commit(&map, NULL, &err) == 0)
			continue;
		/* a full disk: that works without room */
		(void)ctl_fail(ctl, 0, "%s", err.text);
		if (map_wipe(m->file, m->format, &err) == -1)
			rc = ctl_fail(ctl, EX_CANTCREAT, "%s", err.text);
	}
	return rc;
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	int rc = ctl_config(ctl);

	if (rc != 0)
		return rc;
	if (args->opt[OPT_EMPTY] != NULL)
		return empty_all(ctl);
	if (ctl->cfg->collector.n_mirror == 0) {
		if (args->opt[OPT_JSON] == NULL)
			(void)puts("collector.mirror names no file.");
		return 0;
	}
	return check_all(ctl, args->opt[OPT_JSON] != NULL);
}

const struct command cmd_mirror = {
	.name = "mirror",
	.args = "[--empty | --json]",
	.summary = "the files that let clients relay by another program",
	.help =
	    "What the files of collector.mirror permit, compared with the login table. Exit status\n"
	    "1: one permits who may relay no longer, or can't be read. While popgate-collector\n"
	    "runs, it writes an emptied file again.\n",
	.options = options,
	.min = 0,
	.max = 0,
	.run = run,
};
