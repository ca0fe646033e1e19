/* SPDX-License-Identifier: ISC */
#include "ctl/stage/tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mta/conf_file.h"
#include "common/mta/restrict.h"

enum { WORD_LEN = 300 };

/* The setting of a type of table that names its servers, and the ports and
 * sockets of one that is named by its host alone. */
static const struct kind {
	const char *type, *setting;
	unsigned port;
	const char *sockets[3]; /* of "localhost"; NULL ends */
} kinds[] = {
	{ "mysql", "hosts", 3306,
	    { "/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", NULL } },
	{ "pgsql", "hosts", 5432, { "/run/postgresql/.s.PGSQL.5432", NULL } },
	{ "ldap", "server_host", 389, { NULL } },
};

static const struct kind *
find_kind(const char *type, size_t len)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strlen(kinds[i].type) == len &&
		    strncmp(kinds[i].type, type, len) == 0)
			return &kinds[i];
	return NULL;
}

static size_t
add(struct postfix_endpoint *v, size_t n, const struct postfix_endpoint *e)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].is_unix == e->is_unix && v[i].port == e->port &&
		    strcmp(v[i].path, e->path) == 0 &&
		    strcmp(v[i].host, e->host) == 0)
			return n;
	if (n < TABLE_SERVERS_MAX)
		v[n++] = *e;
	return n;
}

static size_t
add_path(struct postfix_endpoint *v, size_t n, const char *path)
{
	struct postfix_endpoint e = { .is_unix = true };

	if (*path != '/' || strlen(path) >= sizeof(e.path))
		return n;
	(void)snprintf(e.path, sizeof(e.path), "%s", path);
	return add(v, n, &e);
}

/* "unix:/path", "inet:host:port", "host:port", "host", "ldap://host:port/" */
static size_t
add_server(const struct kind *k, const char *word, struct postfix_endpoint *v,
    size_t n)
{
	struct postfix_endpoint e = { .port = k->port };
	const char *scheme = strstr(word, "://");
	char host[WORD_LEN];
	size_t len;

	if (strncmp(word, "unix:", 5) == 0)
		return add_path(v, n, word + 5);
	if (strncmp(word, "inet:", 5) == 0)
		word += 5;
	if (scheme != NULL)
		word = scheme + 3;
	len = strcspn(word, ":/");
	(void)snprintf(host, sizeof(host), "%.*s", (int)len, word);
	if (word[len] == ':')
		e.port = (unsigned)strtoul(word + len + 1, NULL, 10);
	bool local = strcmp(host, "localhost") == 0;

	for (size_t i = 0; local && k->sockets[i] != NULL; i++)
		n = add_path(v, n, k->sockets[i]);
	if ((!local && strncmp(host, "127.", 4) != 0) || e.port == 0)
		return n;
	(void)snprintf(e.host, sizeof(e.host), "127.0.0.1");
	return add(v, n, &e);
}

size_t
tables_servers_of(
    const char *type, const char *text, struct postfix_endpoint *v, size_t n)
{
	const struct kind *k = find_kind(type, strlen(type));
	bool any = false;

	while (k != NULL && *text != '\0') {
		size_t line = strcspn(text, "\n"), name = strlen(k->setting);
		const char *equals = text + name;

		if (strncmp(text, k->setting, name) == 0 &&
		    (equals += strspn(equals, " \t"), *equals == '=')) {
			char value[WORD_LEN], word[WORD_LEN];
			const char *at = value;

			(void)snprintf(value, sizeof(value), "%.*s",
			    (int)(text + line - equals - 1), equals + 1);
			while (restrict_word(&at, word, sizeof(word)))
				n = add_server(k, word, v, n);
			any = true;
		}
		text += line + (text[line] != '\0');
	}
	return any || k == NULL ? n : add_server(k, "localhost", v, n);
}

/* A word of a setting: "mysql:/etc/postfix/x.cf", "proxy:mysql:/...". */
static size_t
add_table(const char *word, struct postfix_endpoint *v, size_t n)
{
	const struct kind *k;
	char *text;
	size_t len;

	if (strncmp(word, "proxy:", 6) == 0)
		word += 6;
	len = strcspn(word, ":");
	k = find_kind(word, len);
	if (k == NULL || word[len] != ':' || word[len + 1] != '/')
		return n;
	text = conf_file_read(word + len + 1);
	if (text != NULL)
		n = tables_servers_of(k->type, text, v, n);
	free(text);
	return n;
}

static size_t
add_pairs(
    const struct postfix_pairs *pairs, struct postfix_endpoint *v, size_t n)
{
	char word[WORD_LEN];

	for (size_t i = 0; i < pairs->n; i++) {
		const char *at = pairs->v[i].value;

		while (restrict_word(&at, word, sizeof(word)))
			n = add_table(word, v, n);
	}
	return n;
}

size_t
tables_servers(const struct postfix_conf *pf, struct postfix_endpoint *v)
{
	size_t n = add_pairs(&pf->main, v, 0);

	return add_pairs(&pf->overrides, v, n);
}
