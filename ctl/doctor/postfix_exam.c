/* SPDX-License-Identifier: ISC */
/* postfix_exam - questions that more than one check of a Postfix asks. */
#include "ctl/doctor/postfix_exam.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/listen.h"
#include "common/mta/conf_file.h"
#include "common/mta/postfix_table.h"
#include "common/mta/restrict.h"
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

bool
postfix_is_ours(const char *endpoint, const char *listen)
{
	struct listen_spec a, b;
	struct err err;
	const char *path = strncmp(endpoint, "unix:", 5) == 0 ? endpoint + 5
	    : *endpoint == '/'                                ? endpoint
							      : NULL;

	if (*listen == '\0' || listen_parse(listen, &b, &err) == -1)
		return false;
	/* a chrooted smtpd names it as it sees it: "/popgate/milter.sock" or
	 * "popgate/milter.sock" for /var/spool/postfix/popgate/milter.sock */
	if (path != NULL && b.is_unix) {
		size_t n = strlen(path), m = strlen(b.path);

		return n > 0 && n <= m && strcmp(b.path + m - n, path) == 0 &&
		    (n == m || *path == '/' || b.path[m - n - 1] == '/');
	}
	return path == NULL && !b.is_unix &&
	    listen_parse(endpoint, &a, &err) == 0 && !a.is_unix &&
	    a.port == b.port;
}

static bool
is_loopback_word(const char *word)
{
	static const char *const names[] = {
		"loopback-only",
		"localhost",
		"127.",
		"[::1]",
		"::1",
		"[127.",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(word, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

bool
postfix_is_local(const struct postfix_exam *x, const struct postfix_service *s)
{
	const char *list = postfix_value(&x->pf, s, "inet_interfaces");
	char word[200];
	bool local = true;

	if (strcmp(s->type, "pass") == 0) /* postscreen's */
		return false;
	if (strcmp(s->type, "inet") != 0)
		return true;
	/* "host:port", "[::1]:port" */
	if (strchr(s->name, ':') != NULL)
		return is_loopback_word(s->name);
	while (restrict_word(&list, word, sizeof(word)))
		local &= is_loopback_word(word);
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
