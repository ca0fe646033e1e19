/* SPDX-License-Identifier: ISC */
/* postfix_exam - questions that more than one check of a Postfix asks. */
#include "ctl/doctor/postfix_exam.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/base/listen.h"
#include "common/mta/conf_file.h"
#include "common/mta/postfix_endpoint.h"
#include "common/mta/postfix_table.h"
#include "common/mta/restrict.h"
#include "ctl/ctl.h"
#include "ctl/doctor/files.h"

enum { LIST_DEPTH_MAX = 4 };

void
postfix_at(const struct postfix_exam *x, const struct postfix_service *s,
    const char *setting, struct finding_at *at, char *fix_buf)
{
	assert(fix_buf != NULL);
	at->setting = setting;
	at->dir = x->pf.dir;
	at->file = postfix_where(&x->pf, s, setting, &at->line);
	at->service = s == NULL ? NULL : s->name;
	if (!postfix_overridden(&x->pf, s, setting))
		return;
	(void)snprintf(fix_buf, 400,
	    "# in {file}, line {line}: take \"-o %s=...\" out of service {service}\n"
	    "postfix -c {dir} reload",
	    setting);
	at->fix = fix_buf;
}

bool
postfix_is_domain(struct postfix_exam *x, const char *folded)
{
	char name[600], *list[1] = { name };
	struct string_list names = { list, 1 };
	struct err err;

	(void)snprintf(name, sizeof(name), "postfix:%.500s", x->pf.dir);
	if (!x->ours_loaded && domains_load(&names, &x->ours, &err) == -1)
		memset(&x->ours, 0, sizeof(x->ours));
	x->ours_loaded = true;
	return domains_contain(&x->ours, folded);
}

/* The same file, by whatever name? */
static bool
same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
	    x.st_ino == y.st_ino;
}

bool
postfix_is_listener(const struct postfix_exam *x,
    const struct postfix_service *s, const struct postfix_endpoint *e,
    const char *listen)
{
	char seen[POSTFIX_PATH_MAX];
	struct listen_spec spec;
	struct err err;

	if (*listen == '\0' || listen_parse(listen, &spec, &err) == -1 ||
	    e->is_unix != spec.is_unix)
		return false;
	if (!e->is_unix)
		return e->port != 0 && e->port == spec.port;
	/* a chrooted smtpd names it as it sees it: "/popgate/milter.sock" or
	 * "popgate/milter.sock" for /var/spool/postfix/popgate/milter.sock */
	size_t n = strlen(e->path), m = strlen(spec.path);

	if (n <= m && strcmp(spec.path + m - n, e->path) == 0 &&
	    (n == m || *e->path == '/' || spec.path[m - n - 1] == '/'))
		return true;
	postfix_endpoint_seen(postfix_value(&x->pf, s, "queue_directory"),
	    s != NULL && s->chroot, e->path, seen);
	return strcmp(seen, spec.path) == 0 || same_file(seen, spec.path);
}

bool
postfix_is_ours(const struct postfix_exam *x, const struct postfix_service *s,
    const char *word, const char *listen)
{
	struct postfix_endpoint e;

	return postfix_endpoint_parse(word, &e) &&
	    postfix_is_listener(x, s, &e, listen);
}

/* Does Postfix accept mail while this milter isn't there? "{ unix:/x,
 * default_action = accept }" says so, else milter_default_action. */
static bool
accepts_without(const struct postfix_exam *x, const struct postfix_service *s,
    const char *word)
{
	const char *action = postfix_value(&x->pf, s, "milter_default_action");
	const char *own = *word == '{' ? strstr(word, "default_action") : NULL;

	if (own != NULL) {
		action = own + strlen("default_action");
		action += strspn(action, " \t=");
	}
	return strcspn(action, " \t,}") == 6 &&
	    strncmp(action, "accept", 6) == 0;
}

struct postfix_gate
postfix_gate(const struct postfix_exam *x, const struct postfix_service *s,
    const char *setting)
{
	const char *list = postfix_value(&x->pf, s, setting);
	struct postfix_gate gate = { 0 };
	char word[1000];

	while (restrict_word(&list, word, sizeof(word)))
		if (postfix_is_ours(
			x, s, word, x->d->ctl->cfg->milter.listen)) {
			gate.there = true;
			gate.accept = accepts_without(x, s, word);
		}
	if (gate.there &&
	    strstr(postfix_value(&x->pf, s, "receive_override_options"),
		"no_milters") != NULL) {
		gate.there = false;
		gate.turned_off = true;
	}
	return gate;
}

bool
postfix_is_local(const struct postfix_exam *x, const struct postfix_service *s)
{
	/* master(8) listens, which no service's -o concerns */
	const char *list = postfix_value(&x->pf, NULL, "inet_interfaces");
	char word[200];
	bool local = true;

	if (strcmp(s->type, "pass") == 0) /* postscreen's */
		return false;
	if (strcmp(s->type, "inet") != 0)
		return true;
	/* "host:port", "[::1]:port" */
	if (strchr(s->name, ':') != NULL)
		return postfix_endpoint_is_loopback(s->name);
	while (restrict_word(&list, word, sizeof(word)))
		local &= postfix_endpoint_is_loopback(word);
	return local;
}

struct list_walk {
	const struct postfix_exam *x;
	void (*take)(void *arg, const char *word, const struct network *net);
	void *arg;
	int depth;
};

static void walk_networks(struct list_walk *w, const char *list);

static void
take_key(
    void *arg, enum postfix_table_kind kind, const char *key, const char *value)
{
	struct list_walk *w = arg;
	struct network net;

	(void)value;
	if (kind == TABLE_ALWAYS ||
	    (kind == TABLE_PATTERN && postfix_pattern_is_all(key))) {
		net = (struct network){ .base.family = ADDR_IPV4 };
		w->take(
		    w->arg, "everything (a table that always answers)", &net);
	} else if (kind != TABLE_PATTERN && net_word_parse(key, &net)) {
		w->take(w->arg, key, &net);
	} else {
		w->take(w->arg, key, NULL);
	}
}

static void
walk_file(struct list_walk *w, const char *path)
{
	char *text = conf_file_read(path), *save = NULL;

	doctor_check_writable(w->x->d, "postfix-config-writable", path);
	for (char *line = text == NULL ? NULL : strtok_r(text, "\n", &save);
	     line != NULL; line = strtok_r(NULL, "\n", &save)) {
		line[strcspn(line, "#")] = '\0';
		walk_networks(w, line);
	}
	free(text);
}

static void
walk_networks(struct list_walk *w, const char *list)
{
	char word[600], why[POSTFIX_WHY_MAX];
	struct network net;

	assert(w->depth >= 0 && w->depth <= LIST_DEPTH_MAX);
	if (w->depth == LIST_DEPTH_MAX)
		return;
	w->depth++;
	while (restrict_word(&list, word, sizeof(word))) {
		if (*word == '!') /* takes something out */
			continue;
		if (*word == '/')
			walk_file(w, word);
		else if (net_word_parse(word, &net))
			w->take(w->arg, word, &net);
		else if (strchr(word, ':') == NULL || *word == '[' ||
		    !postfix_table_read(w->x->pf.dir, word, take_key, w, why))
			w->take(w->arg, word, NULL);
	}
	w->depth--;
}

void
postfix_networks(const struct postfix_exam *x, const char *list,
    void (*take)(void *arg, const char *word, const struct network *net),
    void *arg)
{
	struct list_walk w = { .x = x, .take = take, .arg = arg };

	walk_networks(&w, list);
}

bool
postfix_forges_auth(
    const struct postfix_exam *x, const struct postfix_service *s)
{
	const char *list = postfix_value(&x->pf, s, "milter_macro_defaults");

	return strstr(list, "auth_type") != NULL ||
	    strstr(list, "auth_authen") != NULL;
}
