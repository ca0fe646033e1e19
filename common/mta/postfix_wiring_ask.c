/* SPDX-License-Identifier: ISC */
/* postfix_wiring_ask - what in main.cf asks popgate: the checks and the milter
 * that the wiring defines there, how they are known again, and the paths of
 * their sockets as smtpd sees them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/listen.h"
#include "common/mta/postfix_wiring_work.h"
#include "common/mta/restrict.h"

/* See milter/protocol.h: popgate is asked again at DATA, or by a later list. */
#define ASKED "asked-at-data"
#define ASKED_LATER "asked-later"

enum { NAME_LEN = 600, VALUE_LEN = 1200 };

void
wiring_endpoint(const char *operand, char *buf, size_t size)
{
	operand += strspn(operand, "{" WIRING_SEPARATORS);
	(void)snprintf(buf, size, "%.*s",
	    (int)strcspn(operand, "}" WIRING_SEPARATORS), operand);
}

/* The path of a Unix endpoint, or NULL. */
static const char *
path_of(const char *endpoint)
{
	return strncmp(endpoint, "unix:", 5) == 0 ? endpoint + 5
	    : strncmp(endpoint, "local:", 6) == 0 ? endpoint + 6
	    : *endpoint == '/'                    ? endpoint
						  : NULL;
}

const char *
wiring_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	while (n > 1 && dir[n - 1] == '/')
		n--;
	return n > 1 && strncmp(path, dir, n) == 0 && path[n] == '/'
	    ? path + n + 1
	    : NULL;
}

bool
postfix_names_socket(const struct postfix_conf *pf,
    const struct postfix_service *s, const char *endpoint, const char *listen)
{
	struct listen_spec ours, theirs;
	char word[NAME_LEN];
	struct err err;

	wiring_endpoint(endpoint, word, sizeof(word));
	const char *path = path_of(word);

	if (listen == NULL || *listen == '\0' ||
	    listen_parse(listen, &ours, &err) == -1)
		return false;
	if (path == NULL)
		return !ours.is_unix &&
		    listen_parse(word, &theirs, &err) == 0 && !theirs.is_unix &&
		    theirs.port == ours.port;
	if (!ours.is_unix)
		return false;
	const char *inside =
	    wiring_below(ours.path, postfix_value(pf, NULL, "queue_directory"));

	/* smtpd's directory is queue_directory, in the chroot or not */
	if (*path != '/')
		return inside != NULL && strcmp(path, inside) == 0;
	if (s == NULL || !s->chroot)
		if (strcmp(path, ours.path) == 0)
			return true;
	return (s == NULL || s->chroot) && inside != NULL &&
	    strcmp(path + 1, inside) == 0;
}

bool
wiring_is_policy(const struct wiring_work *w, const char *operand)
{
	char word[NAME_LEN];

	wiring_endpoint(operand, word, sizeof(word));
	const char *path = path_of(word);

	return strstr(operand, ASKED) != NULL ||
	    strstr(operand, ASKED_LATER) != NULL ||
	    (path != NULL && strstr(path, "popgate") != NULL) ||
	    postfix_names_socket(w->pf, NULL, word, w->sockets->policy);
}

bool
wiring_is_map(const char *table)
{
	size_t n = strlen(table);

	return strncmp(table, "socketmap:", 10) == 0 && n > 8 &&
	    strcmp(table + n - 8, ":popgate") == 0;
}

bool
wiring_is_milter(const struct wiring_work *w, const char *milter)
{
	char word[NAME_LEN];

	wiring_endpoint(milter, word, sizeof(word));
	const char *path = path_of(word);

	return (path != NULL && strstr(path, "popgate") != NULL) ||
	    postfix_names_socket(w->pf, NULL, word, w->sockets->milter);
}

/* How every smtpd names the socket. */
static void
name_socket(
    const struct wiring_work *w, const char *listen, char *buf, size_t size)
{
	struct listen_spec spec;
	struct err err;

	if (listen_parse(listen, &spec, &err) == -1) {
		(void)snprintf(buf, size, "%s", listen);
		return;
	}
	if (!spec.is_unix) {
		(void)snprintf(buf, size,
		    strchr(spec.host, ':') == NULL ? "inet:%s:%u"
						   : "inet:[%s]:%u",
		    spec.host, spec.port);
		return;
	}
	const char *inside = wiring_below(
	    spec.path, postfix_value(w->pf, NULL, "queue_directory"));

	(void)snprintf(
	    buf, size, "unix:%s", inside == NULL ? spec.path : inside);
}

/* popgate_LIST, popgate_LIST_strict, popgate_LIST_early or popgate_LIST_first.
 */
static void
define_check(struct wiring_work *w, const char *name, const char *socket)
{
	const char *list = name + strlen("popgate_");
	bool strict = strstr(list, "_strict") != NULL;
	bool early = strstr(list, "_early") != NULL;
	bool first = strstr(list, "_first") != NULL;
	int n = (int)strcspn(list, "_");
	char value[VALUE_LEN], why[NAME_LEN];

	(void)snprintf(value, sizeof(value),
	    "check_policy_service { %s, timeout=10s, policy_context=%s/%.*s%s, { default_action = %s } }",
	    socket, early ? ASKED_LATER : ASKED, n, list, first ? "/again" : "",
	    strict ? "451 4.3.0 Relaying is temporarily unavailable"
		   : "defer_unauth_destination");
	(void)snprintf(why, sizeof(why),
	    strict
		? "smtpd_%.*s_restrictions ask popgate by this name, right before a refusal: without an answer the client gets a temporary failure."
		: early
		? "smtpd_%.*s_restrictions ask popgate by this name who may relay; whom popgate refuses hears so from a later list, behind the checks that are here."
		: first
		? "smtpd_%.*s_restrictions ask popgate by this name who may relay, and ask again right before they refuse: the checks between hear of all others, as before."
		: "smtpd_%.*s_restrictions ask popgate by this name: without an answer a relay gets a temporary failure, and our own mail goes on.",
	    n, list);
	wiring_set(w, NULL, name, value, why);
}

void
wiring_define(struct wiring_work *w, const char *name)
{
	bool milter = strcmp(name, "popgate_milter") == 0;
	char value[VALUE_LEN], socket[NAME_LEN];

	name_socket(w, milter ? w->sockets->milter : w->sockets->policy, socket,
	    sizeof(socket));
	if (milter) {
		const char *protocol =
		    postfix_value(w->pf, NULL, "milter_protocol");
		bool old = *protocol != '\0' && strcmp(protocol, "6") != 0;

		(void)snprintf(value, sizeof(value),
		    "{ %s, connect_timeout=5s, command_timeout=10s, default_action=accept%s }",
		    socket, old ? ", protocol=6" : "");
		wiring_set(w, NULL, name, value,
		    "popgate's milter is the second lock, and the record; default_action=accept is right, because Postfix itself stays closed.");
	} else if (strcmp(name, "popgate_data") == 0) {
		(void)snprintf(value, sizeof(value),
		    "check_policy_service { %s, timeout=10s, { default_action = DUNNO } }",
		    socket);
		wiring_set(w, NULL, name, value,
		    "popgate is asked again at DATA, where it waits once until all that it permitted is on disk.");
	} else {
		define_check(w, name, socket);
	}
}
