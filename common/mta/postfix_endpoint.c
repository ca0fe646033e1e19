/* SPDX-License-Identifier: ISC */
#include "common/mta/postfix_endpoint.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/addr.h"
#include "common/mta/restrict.h"

/* "host:port", "[::1]:port" */
static bool
parse_inet(const char *text, struct postfix_endpoint *e)
{
	const char *colon = strrchr(text, ':');
	char *end;

	if (colon == NULL || colon[1] == '\0')
		return false;
	bool bracket = *text == '[' && colon > text + 1 && colon[-1] == ']';
	int n = (int)(colon - text) - (bracket ? 2 : 0);

	if (n >= (int)sizeof(e->host))
		return false;
	(void)snprintf(e->host, sizeof(e->host), "%.*s", n, text + bracket);
	unsigned long port = strtoul(colon + 1, &end, 10);

	e->port = *end == '\0' && port <= 65535 ? (unsigned)port : 0;
	return true;
}

/* text: an endpoint without attributes. */
static bool
parse(const char *text, struct postfix_endpoint *e)
{
	static const char *const paths[] = { "unix:", "local:" };

	memset(e, 0, sizeof(*e));
	if (strncmp(text, "inet:", 5) == 0)
		return parse_inet(text + 5, e);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (strncmp(text, paths[i], strlen(paths[i])) == 0) {
			text += strlen(paths[i]);
			e->is_unix = true;
			break;
		}
	e->is_unix |= *text == '/';
	size_t n = strlen(text);

	if (!e->is_unix || n == 0 || n >= sizeof(e->path))
		return false;
	memcpy(e->path, text, n + 1);
	return true;
}

bool
postfix_endpoint_parse(const char *word, struct postfix_endpoint *e)
{
	char text[POSTFIX_ENDPOINT_MAX];

	assert(word != NULL && e != NULL);
	if (*word != '{')
		return parse(word, e);
	word++;
	if (!restrict_word(&word, text, sizeof(text)))
		return false;
	if (strchr(text, '{') == NULL)
		text[strcspn(text, "}")] = '\0';
	return parse(text, e);
}

bool
postfix_endpoint_map(const char *table, struct postfix_endpoint *e)
{
	char text[POSTFIX_ENDPOINT_MAX];
	const char *last;

	assert(table != NULL && e != NULL);
	if (strncmp(table, "proxy:", 6) == 0)
		table += 6;
	if (strncmp(table, "socketmap:", 10) != 0)
		return false;
	table += 10;
	last = strrchr(table, ':');
	if (last == NULL || last - table >= (int)sizeof(text))
		return false;
	(void)snprintf(text, sizeof(text), "%.*s", (int)(last - table), table);
	return parse(text, e);
}

/* Take "//" and "/./" out of an absolute path, and a slash at its end. */
static void
tidy(char *path)
{
	char *to = path;

	for (const char *from = path; *from != '\0';) {
		size_t n;

		from += strspn(from, "/");
		n = strcspn(from, "/");
		if (n == 0 || (n == 1 && *from == '.')) {
			from += n;
			continue;
		}
		*to++ = '/';
		memmove(to, from, n);
		to += n;
		from += n;
	}
	if (to == path)
		*to++ = '/';
	*to = '\0';
}

bool
postfix_endpoint_is_loopback(const char *text)
{
	/* all that /etc/hosts of the distributions calls so, and main.cf */
	static const char *const names[] = {
		"loopback-only",
		"localhost",
		"localhost.localdomain",
		"localhost4",
		"localhost6",
		"ip6-localhost",
		"ip6-loopback",
	};
	char host[POSTFIX_ENDPOINT_MAX];
	const char *port = strrchr(text, ':');
	struct addr addr;

	if (addr_parse_loose(text, &addr))
		return addr_is_loopback(&addr);
	size_t len = port == NULL ? strlen(text) : (size_t)(port - text);

	if (len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	if (addr_parse_loose(host, &addr))
		return addr_is_loopback(&addr);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(host, names[i]) == 0)
			return true;
	return false;
}

void
postfix_endpoint_seen(
    const char *queue, bool chroot, const char *path, char *buf)
{
	assert(path != NULL && buf != NULL);
	(void)snprintf(buf, POSTFIX_PATH_MAX, "/%s/%s",
	    chroot || *path != '/' ? queue : "", path);
	tidy(buf);
}
