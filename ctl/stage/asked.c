/* SPDX-License-Identifier: ISC */
#include "ctl/stage/asked.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mta/restrict.h"
#include "ctl/stage/room.h"
#include "ctl/stage/sasl.h"

struct list {
	const struct postfix_conf *pf;
	struct asked *v;
	size_t n;
};

static bool
is_socket(const char *prefix, const char *path)
{
	char name[POSTFIX_PATH_MAX + sizeof(ROOM_REAL)];
	struct stat st;

	(void)snprintf(name, sizeof(name), "%s%s", prefix, path);
	return stat(name, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Is it a Unix service of master.cf? */
static bool
of_master(const struct postfix_conf *pf, const char *path)
{
	const char *name = strncmp(path, "private/", 8) == 0 ? path + 8
	    : strncmp(path, "public/", 7) == 0               ? path + 7
							     : NULL;

	for (size_t i = 0; i < pf->n_services && name != NULL; i++)
		if (strncmp(pf->services[i].type, "unix", 4) == 0 &&
		    strcmp(pf->services[i].name, name) == 0)
			return true;
	return false;
}

static bool
same(const struct asked *a, const struct asked *b)
{
	return a->named.is_unix == b->named.is_unix &&
	    (a->named.is_unix ? strcmp(a->path, b->path) == 0
			      : a->named.port == b->named.port &&
			strcmp(a->named.host, b->named.host) == 0);
}

/* Where the service looks for it. A socket that this machine has elsewhere,
 * where a chroot can't see it, is left there: what doesn't work on the machine
 * must not work in the copy. */
static void
place(const struct postfix_conf *pf, bool chroot, struct asked *a)
{
	const char *queue = postfix_value(pf, NULL, "queue_directory");
	char plain[POSTFIX_PATH_MAX];

	postfix_endpoint_seen(queue, chroot, a->named.path, a->path);
	postfix_endpoint_seen(queue, false, a->named.path, plain);
	if (!is_socket(ROOM_REAL, a->path) && is_socket(ROOM_REAL, plain))
		memcpy(a->path, plain, sizeof(plain));
}

static void
add(struct list *l, enum standin_kind kind, bool chroot,
    const struct postfix_endpoint *named)
{
	struct asked a = { .kind = kind, .named = *named };

	if (l->n == ASKED_MAX)
		return;
	if (named->is_unix &&
	    (strstr(named->path, "popgate") != NULL ||
		of_master(l->pf, named->path)))
		return;
	if (named->is_unix)
		place(l->pf, chroot, &a);
	for (size_t i = 0; i < l->n; i++)
		if (same(&l->v[i], &a))
			return;
	l->v[l->n++] = a;
}

static void
add_milters(struct list *l, bool chroot, const char *value)
{
	struct postfix_endpoint e;
	char word[POSTFIX_ENDPOINT_MAX];

	while (restrict_word(&value, word, sizeof(word)))
		if (postfix_endpoint_parse(word, &e))
			add(l, STANDIN_MILTER, chroot, &e);
}

/* Policy services and socketmaps of any value, in or out of braces. */
static void
add_named_in(struct list *l, bool chroot, const char *value)
{
	struct postfix_endpoint e;
	char word[POSTFIX_ENDPOINT_MAX];
	bool policy = false;

	while (restrict_word(&value, word, sizeof(word))) {
		if (policy && postfix_endpoint_parse(word, &e))
			add(l, STANDIN_POLICY, chroot, &e);
		policy = strcmp(word, "check_policy_service") == 0;
		if (postfix_endpoint_map(word, &e) ||
		    (strncmp(word, "check_", 6) != 0 &&
			postfix_endpoint_map(
			    word + strcspn(word, ":") + 1, &e)))
			add(l, STANDIN_SOCKETMAP,
			    chroot && strncmp(word, "proxy:", 6) != 0, &e);
	}
}

static void
add_auth(struct list *l, const struct postfix_service *s)
{
	const char *type = postfix_value(l->pf, s, "smtpd_sasl_type");
	const char *path = postfix_value(l->pf, s, "smtpd_sasl_path");
	struct postfix_endpoint e = { .is_unix = true };

	if (strcmp(type, "cyrus") == 0) {
		(void)snprintf(e.path, sizeof(e.path), SASL_SOCKET);
		add(l, STANDIN_SASLAUTHD, s->chroot, &e);
		return;
	}
	if (*path == '\0')
		return;
	if (!postfix_endpoint_parse(path, &e)) {
		/* a path of the queue directory */
		e.is_unix = true;
		(void)snprintf(e.path, sizeof(e.path), "%s", path);
	}
	add(l, STANDIN_AUTH, s->chroot, &e);
}

static void
add_proxy(struct list *l, const struct postfix_service *s)
{
	const char *value = postfix_value(l->pf, s, "smtpd_proxy_filter");
	struct postfix_endpoint e;
	char word[POSTFIX_ENDPOINT_MAX];

	if (*value == '\0')
		return;
	if (postfix_endpoint_parse(value, &e)) {
		add(l, STANDIN_SMTP, s->chroot, &e);
		return;
	}
	/* "host:port", or a port of this machine */
	(void)snprintf(word, sizeof(word), "inet:%s%s",
	    strchr(value, ':') == NULL ? "127.0.0.1:" : "",
	    *value == ':' ? value + 1 : value);
	if (*value == ':')
		(void)snprintf(word, sizeof(word), "inet:127.0.0.1%s", value);
	if (postfix_endpoint_parse(word, &e))
		add(l, STANDIN_SMTP, s->chroot, &e);
}

static void
add_service(struct list *l, const struct postfix_service *s)
{
	static const char *const lists[] = { "smtpd_client_restrictions",
		"smtpd_helo_restrictions", "smtpd_sender_restrictions",
		"smtpd_relay_restrictions", "smtpd_recipient_restrictions",
		"smtpd_data_restrictions", "smtpd_end_of_data_restrictions",
		"smtpd_etrn_restrictions" };

	add_milters(l, s->chroot, postfix_value(l->pf, s, "smtpd_milters"));
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		add_named_in(l, s->chroot, postfix_value(l->pf, s, lists[i]));
	if (postfix_yes(l->pf, s, "smtpd_sasl_auth_enable"))
		add_auth(l, s);
	add_proxy(l, s);
}

size_t
asked_of(const struct postfix_conf *pf, struct asked *v)
{
	struct list l = { .pf = pf, .v = v };
	bool chroot = false;

	for (size_t i = 0; i < pf->n_services; i++) {
		const struct postfix_service *s = &pf->services[i];

		if (strcmp(s->command, "smtpd") == 0) {
			add_service(&l, s);
			chroot |= s->chroot;
		}
		if (strcmp(s->command, "cleanup") == 0)
			add_milters(&l, s->chroot,
			    postfix_value(pf, s, "non_smtpd_milters"));
	}
	/* classes, and tables of any other setting */
	for (size_t i = 0; i < pf->main.n; i++)
		add_named_in(&l, chroot, pf->main.v[i].value);
	return l.n;
}
