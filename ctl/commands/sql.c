/* SPDX-License-Identifier: ISC */
/* sql - sqlite3 with both databases, read-only. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/commands.h"

/* '...' for SQL; owned by the caller. */
static char *
attach(const char *path)
{
	size_t n = strlen(path);
	char *sql = malloc(2 * n + 40), *to;

	if (sql == NULL)
		return NULL;
	to = sql + snprintf(sql, 2 * n + 40, "ATTACH '");
	for (; *path != '\0'; path++) {
		if (*path == '\'')
			*to++ = '\'';
		*to++ = *path;
	}
	(void)snprintf(to, sizeof("' AS audit"), "' AS audit");
	return sql;
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	struct audit_reader *r = NULL;
	struct store *st = NULL;
	int rc = ctl_store(ctl, STORE_READ, &st);

	store_close(&st);
	if (rc == 0)
		rc = ctl_audit(ctl, &r);
	audit_close_reader(&r);
	if (rc != 0)
		return rc;
	char *cmd = attach(ctl->cfg->audit.database);
	const char *argv[] = {
		"sqlite3",
		"-readonly",
		"-cmd",
		cmd,
		ctl->cfg->logins.database,
		args->n == 0 ? NULL : args->v[0],
		NULL,
	};

	if (cmd == NULL)
		return ctl_fail(ctl, EX_OSERR, "out of memory");
	(void)fflush(stdout);
	(void)execvp("sqlite3", (char *const *)(uintptr_t)argv);
	rc = ctl_fail(ctl, EX_UNAVAILABLE,
	    "sqlite3: %s: is the package sqlite3 installed?", strerror(errno));
	free(cmd);
	return rc;
}

const struct command cmd_sql = {
	.name = "sql",
	.args = "[STATEMENT]",
	.summary = "sqlite3 with both databases, read-only",
	.help =
	    "Tables login, login_event, deny, source; audit.decision, audit.tally; views\n"
	    "relay_client, audit.relay_by_client and more: see popgate-sql(5).\n",
	.min = 0,
	.max = 1,
	.run = run,
};
