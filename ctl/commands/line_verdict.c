#include "ctl/commands/line_verdict.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/grammar/exe.h"
#include "common/policy/facts.h"

enum { SERVERS_MAX = 64 };

int
line_verdict_parser(const struct ctl *ctl, const char *servers, bool nginx_file,
    struct parser **parser_r)
{
	const struct config *cfg = ctl->cfg;
	struct parser_custom *custom =
	    calloc(cfg->collector.n_custom + 1, sizeof(*custom));
	char *copy = strdup(servers == NULL ? "" : servers), *rest = copy;
	const char *names[SERVERS_MAX];
	char where[CONFIG_WHERE_MAX];
	size_t n = 0;
	struct err err;
	int rc = 0;

	if (custom == NULL || copy == NULL) {
		free(custom);
		free(copy);
		return ctl_fail(ctl, EX_OSERR, "out of memory");
	}
	for (size_t i = 0; i < cfg->collector.n_custom; i++) {
		custom[i].program = cfg->collector.custom[i].program;
		custom[i].pattern = cfg->collector.custom[i].pattern;
		custom[i].where = cfg->collector.custom[i].where;
		custom[i].unit = cfg->collector.custom[i].unit;
		custom[i].stream = cfg->collector.custom[i].stream;
	}
	for (size_t i = 0;
	     servers == NULL && n < SERVERS_MAX && i < cfg->collector.servers.n;
	     i++)
		names[n++] = cfg->collector.servers.v[i];
	for (char *word; (word = strsep(&rest, ", ")) != NULL;)
		if (*word != '\0' && n < SERVERS_MAX)
			names[n++] = word;
	const struct parser_options options = { .servers = names,
		.servers_n = n,
		.servers_where = servers == NULL
		    ? config_where(cfg, "collector.servers", where)
		    : NULL,
		.custom = custom,
		.custom_n = cfg->collector.n_custom,
		.only_root = exe_only_root,
		.nginx_file = nginx_file };

	if (parser_create(&options, parser_r, &err) == -1)
		rc = ctl_fail(ctl, servers == NULL ? EX_CONFIG : EX_USAGE, "%s",
		    err.text);
	free(custom);
	free(copy);
	return rc;
}

void
line_verdict(const struct ctl *ctl, struct parser *parser, const char *line,
    size_t len, int64_t now, struct parse_result *result,
    struct line_verdict *j)
{
	parser_line(parser, line, len, now, result);
	*j = (struct line_verdict){ .login = result->verdict == PARSE_LOGIN,
		.reason = result->reason,
		.server = result->server,
		.unknown_shape = result->unknown_shape };
	if (!j->login)
		return;
	j->record = &result->login;
	const char *refused =
	    facts_refused_address(ctl->cfg, NULL, &result->login.client);

	if (refused == NULL)
		return;
	j->login = false;
	j->reason = refused;
}
