/* SPDX-License-Identifier: ISC */
#include "common/mta/postfix_conf.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/run.h"
#include "common/mta/conf_file.h"
#include "common/mta/postfix_sasl.h"

/* name: of one setting; NULL: all. */
static char *
postconf(const char *dir, const char *option, const char *name, struct err *err)
{
	char *argv[] = {
		(char[]){ "postconf" },
		(char[]){ "-c" },
		(char *)(uintptr_t)dir,
		(char *)(uintptr_t)option,
		(char *)(uintptr_t)name,
		NULL,
	};

	return run_read(argv, NULL, RUN_TIMEOUT_S, err);
}

char *
postfix_setting(const char *dir, const char *name, struct err *err)
{
	assert(*name != '\0' && *name != '-');
	return postconf(dir, "-hx", name, err);
}

static int
compare(const void *a, const void *b)
{
	const struct postfix_pair *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* "name = value" lines. Takes over text. */
static bool
split_pairs(char *text, struct postfix_pairs *p)
{
	char *save = NULL;
	size_t room = 0;

	p->text = text;
	for (char *line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		char *equals = strstr(line, " =");

		if (equals == NULL)
			continue;
		if (p->n == room) {
			room = room == 0 ? 1024 : room * 2;
			struct postfix_pair *v =
			    reallocarray(p->v, room, sizeof(*v));

			if (v == NULL)
				return false;
			p->v = v;
		}
		*equals = '\0';
		equals += 2;
		p->v[p->n++] =
		    (struct postfix_pair){ line, equals + strspn(equals, " ") };
	}
	if (p->n > 0)
		qsort(p->v, p->n, sizeof(*p->v), compare);
	return true;
}

static const char *
look_up(const struct postfix_pairs *p, const char *name)
{
	const struct postfix_pair key = { (char *)(uintptr_t)name, NULL };
	const struct postfix_pair *found = p->n == 0
	    ? NULL
	    : bsearch(&key, p->v, p->n, sizeof(*p->v), compare);

	assert(p->n == 0 || p->v != NULL);
	return found == NULL ? NULL : found->value;
}

/* "smtp inet n - y - - smtpd -o ..." */
static bool
split_services(char *text, struct postfix_conf *pf)
{
	char *save = NULL;

	pf->services_text = text;
	for (char *line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		char *in = NULL, *word[8];
		int n = 0;

		for (char *w = strtok_r(line, " \t", &in); w != NULL && n < 8;
		     w = n < 8 ? strtok_r(NULL, " \t", &in) : NULL)
			word[n++] = w;
		if (n < 8)
			continue;
		struct postfix_service *v =
		    reallocarray(pf->services, pf->n_services + 1, sizeof(*v));

		if (v == NULL)
			return false;
		pf->services = v;
		v[pf->n_services++] = (struct postfix_service){ .name = word[0],
			.type = word[1],
			.command = word[7],
			/* "-" was y before 3.0, and is below level 1 */
			.chroot = *word[4] == 'y' ||
			    (*word[4] == '-' &&
				*postfix_value(
				    pf, NULL, "compatibility_level") == '0') };
	}
	return true;
}

static char *
join(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, name) == -1 ? NULL : path;
}

/* Takes over text, which may be NULL: then err is filled already. */
static int
take_pairs(char *text, struct postfix_pairs *p, struct err *err)
{
	if (text == NULL)
		return -1;
	if (split_pairs(text, p))
		return 0;
	err_set(err, ERR_NOMEM, "out of memory");
	return -1;
}

static int
take_services(char *text, struct postfix_conf *pf, struct err *err)
{
	if (text == NULL)
		return -1;
	if (split_services(text, pf))
		return 0;
	err_set(err, ERR_NOMEM, "out of memory");
	return -1;
}

/* smtpd_sasl_path: for Cyrus SASL the name of its settings. */
static bool
sasl_is_outside(const struct postfix_conf *pf)
{
	const char *queue = postfix_value(pf, NULL, "queue_directory");
	const char *config = postfix_value(pf, NULL, "cyrus_sasl_config_path");
	bool outside = *queue == '/' &&
	    postfix_sasl_outside(
		"", queue, config, postfix_value(pf, NULL, "smtpd_sasl_path"));

	for (size_t i = 0; outside && i < pf->n_services; i++)
		if (postfix_overridden(pf, &pf->services[i], "smtpd_sasl_path"))
			outside = postfix_sasl_outside("", queue, config,
			    postfix_value(
				pf, &pf->services[i], "smtpd_sasl_path"));
	return outside;
}

int
postfix_conf_load(const char *dir, struct postfix_conf *pf, struct err *err)
{
	memset(pf, 0, sizeof(*pf));
	pf->dir = strdup(dir);
	pf->main_cf = join(dir, "main.cf");
	pf->master_cf = join(dir, "master.cf");
	if (pf->dir == NULL || pf->main_cf == NULL || pf->master_cf == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		goto fail;
	}
	if (take_pairs(postconf(dir, "-x", NULL, err), &pf->main, err) == -1 ||
	    take_services(postconf(dir, "-Mx", NULL, err), pf, err) == -1 ||
	    take_pairs(postconf(dir, "-Px", NULL, err), &pf->overrides, err) ==
		-1 ||
	    take_pairs(postconf(dir, "-n", NULL, err), &pf->main_raw, err) ==
		-1 ||
	    take_pairs(
		postconf(dir, "-P", NULL, err), &pf->overrides_raw, err) == -1)
		goto fail;
	pf->main_text = conf_file_read(pf->main_cf);
	pf->master_text = conf_file_read(pf->master_cf);
	pf->sasl_outside = sasl_is_outside(pf);
	return 0;
fail:
	postfix_conf_release(pf);
	return -1;
}

/* A copy of a or else of b. */
static char *
copy(const char *a, const char *b, struct err *err)
{
	char *text = strdup(a != NULL ? a : b != NULL ? b : "");

	if (text == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	return text;
}

int
postfix_conf_parse(const struct postfix_conf_text *text,
    struct postfix_conf *pf, struct err *err)
{
	memset(pf, 0, sizeof(*pf));
	if (take_pairs(copy(text->main, NULL, err), &pf->main, err) == 0 &&
	    take_services(copy(text->services, NULL, err), pf, err) == 0 &&
	    take_pairs(copy(text->overrides, NULL, err), &pf->overrides, err) ==
		0 &&
	    take_pairs(copy(text->main_raw, text->main, err), &pf->main_raw,
		err) == 0 &&
	    take_pairs(copy(text->overrides_raw, text->overrides, err),
		&pf->overrides_raw, err) == 0)
		return 0;
	postfix_conf_release(pf);
	return -1;
}

void
postfix_conf_release(struct postfix_conf *pf)
{
	free(pf->dir);
	free(pf->main_cf);
	free(pf->master_cf);
	free(pf->main_text);
	free(pf->master_text);
	free(pf->main.v);
	free(pf->main.text);
	free(pf->overrides.v);
	free(pf->overrides.text);
	free(pf->main_raw.v);
	free(pf->main_raw.text);
	free(pf->overrides_raw.v);
	free(pf->overrides_raw.text);
	free(pf->services);
	free(pf->services_text);
	memset(pf, 0, sizeof(*pf));
}

/* NULL when there is none of that name. */
static const char *
setting(const struct postfix_conf *pf, const char *name)
{
	return look_up(&pf->main, name);
}

static const char *
override(const struct postfix_pairs *pairs, const struct postfix_service *s,
    const char *name)
{
	char key[512];

	if (s == NULL ||
	    snprintf(key, sizeof(key), "%s/%s/%s", s->name, s->type, name) >=
		(int)sizeof(key))
		return NULL;
	return look_up(pairs, key);
}

const char *
postfix_raw(const struct postfix_conf *pf, const struct postfix_service *s,
    const char *name)
{
	return s == NULL ? look_up(&pf->main_raw, name)
			 : override(&pf->overrides_raw, s, name);
}

bool
postfix_overridden(const struct postfix_conf *pf,
    const struct postfix_service *s, const char *name)
{
	return override(&pf->overrides, s, name) != NULL;
}

const char *
postfix_value(const struct postfix_conf *pf, const struct postfix_service *s,
    const char *name)
{
	const char *value = override(&pf->overrides, s, name);

	if (value == NULL)
		value = setting(pf, name);
	return value == NULL ? "" : value;
}

bool
postfix_yes(const struct postfix_conf *pf, const struct postfix_service *s,
    const char *name)
{
	return strcmp(postfix_value(pf, s, name), "yes") == 0;
}

const char *
postfix_where(const struct postfix_conf *pf, const struct postfix_service *s,
    const char *name, unsigned *line_r)
{
	if (override(&pf->overrides, s, name) != NULL) {
		*line_r = pf->master_text == NULL
		    ? 0
		    : postfix_master_line(
			  pf->master_text, s->name, s->type, name);
		return pf->master_cf;
	}
	*line_r =
	    pf->main_text == NULL ? 0 : postfix_main_line(pf->main_text, name);
	return pf->main_cf;
}

unsigned
postfix_main_line(const char *text, const char *name)
{
	size_t n = strlen(name);
	unsigned line = 0, found = 0;

	assert(*name != '\0');
	while (*text != '\0') {
		line++;
		if (strncmp(text, name, n) == 0 &&
		    text[n + strspn(text + n, " \t")] == '=')
			found = line;
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return found;
}

/* Is this line the service's first? */
static bool
begins_service(const char *line, const char *service, const char *type)
{
	size_t n = strlen(service), t = strlen(type);

	if (strncmp(line, service, n) != 0 || strspn(line + n, " \t") == 0)
		return false;
	line += n + strspn(line + n, " \t");
	return strncmp(line, type, t) == 0 && strspn(line + t, " \t") > 0;
}

/* Does "-o setting=" stand in the first n bytes? */
static bool
has_option(const char *line, size_t n, const char *setting)
{
	size_t len = strlen(setting);

	for (const char *at = line; at + 2 + len < line + n; at++) {
		if (strncmp(at, "-o", 2) != 0)
			continue;
		const char *name = at + 2 + strspn(at + 2, " \t{");

		if (name + len < line + n && strncmp(name, setting, len) == 0 &&
		    name[len + strspn(name + len, " \t")] == '=')
			return true;
	}
	return false;
}

unsigned
postfix_master_line(const char *text, const char *service, const char *type,
    const char *setting)
{
	unsigned line = 0, first = 0, found = 0;
	bool inside = false;

	assert(*service != '\0' && *type != '\0');
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");

		line++;
		if (*text == '#') {
			;
		} else if (strchr(" \t\n", *text) == NULL) {
			inside = begins_service(text, service, type);
			if (inside)
				first = found = line;
		}
		if (inside && setting != NULL && *text != '#' &&
		    has_option(text, n, setting))
			found = line;
		text += n + (text[n] == '\n');
	}
	return found != 0 ? found : first;
}
