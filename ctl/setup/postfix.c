/* SPDX-License-Identifier: ISC */
/* postfix - what setup finds in a Postfix, and the edits of its configuration
 * files, made by postconf(1) on copies. */
#include "ctl/setup/postfix.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/config/config.h"
#include "common/mta/conf_file.h"
#include "common/mta/postfix_conf.h"
#include "common/mta/postfix_wiring.h"
#include "ctl/wiring/postfix_apply.h"

/* --- look --- */

static const char *
find(void)
{
	static const char dir[] = "/etc/postfix";

	/* main.cf stays when the package is removed, but not purged */
	return access("/etc/postfix/main.cf", F_OK) == 0 &&
		(access("/usr/sbin/postfix", X_OK) == 0 ||
		    access("/usr/local/sbin/postfix", X_OK) == 0)
	    ? dir
	    : NULL;
}

/* Repeat the warnings of postconf(1). */
static void
say_warnings(struct setup *s, const char *dir)
{
	const char *const argv[] = { "postconf", "-c", dir, "-n", NULL };
	struct err err;
	char *text = setup_run(argv, &err), *save = NULL;

	if (text == NULL) {
		setup_refuse(s, EX_CONFIG,
		    "Postfix itself refuses %s: %s; put that right first", dir,
		    err.text);
		return;
	}
	for (char *line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, "postconf: warning: ", 19) == 0)
			setup_say(
			    s, SETUP_NOTE, "Postfix warns: %s", line + 19);
	free(text);
}

static void
say_services(struct setup *s, const struct postfix_conf *pf)
{
	for (size_t i = 0; i < pf->n_services; i++) {
		const struct postfix_service *v = &pf->services[i];

		if (strcmp(v->command, "smtpd") == 0)
			setup_say(s, SETUP_FOUND, "%s: %s/%s takes mail%s",
			    pf->master_cf, v->name, v->type,
			    v->chroot ? ", in a chroot" : "");
	}
}

/* The networks of mynetworks, a word each. */
static bool
take_mynetworks(struct setup *s, const struct postfix_conf *pf)
{
	const char *at = postfix_value(pf, NULL, "mynetworks");

	for (;;) {
		at += strspn(at, ", \t\n");
		size_t n = strcspn(at, ", \t\n");

		if (n == 0)
			return true;
		char *word = strndup(at, n);
		char plain[100];

		at += n;
		if (word == NULL)
			return false;
		/* "[2001:db8::]/32" */
		size_t len = 0;

		for (const char *p = word;
		     *p != '\0' && len + 1 < sizeof(plain); p++)
			if (*p != '[' && *p != ']')
				plain[len++] = *p;
		plain[len] = '\0';
		struct network net;
		bool ok = true;

		if (network_parse(plain, &net))
			ok = string_list_add(&s->mynetworks, plain, len);
		else
			setup_say(s, SETUP_NOTE,
			    "mynetworks holds %s: who is in there relays by Postfix, and needs relay.trusted_networks of popgate.conf, too",
			    word);
		free(word);
		if (!ok)
			return false;
	}
}

static int
look(struct setup *s, struct err *err)
{
	struct postfix_conf pf;

	if (postfix_conf_load(s->dir, &pf, err) == -1) {
		setup_refuse(s, EX_CONFIG,
		    "Postfix itself refuses %s: %s; put that right first",
		    s->dir, err->text);
		return 0;
	}
	setup_say(s, SETUP_FOUND, "Postfix %s, configured in %s",
	    postfix_value(&pf, NULL, "mail_version"), s->dir);
	say_services(s, &pf);
	say_warnings(s, s->dir);
	if (asprintf(&s->domains_text, "postfix:%s", s->dir) == -1)
		s->domains_text = NULL;
	s->domains = s->domains_text;
	if (s->domains == NULL || !take_mynetworks(s, &pf))
		s->no_memory = true;
	postfix_conf_release(&pf);
	return 0;
}

/* --- plan --- */

/* A copy of the two files that postconf changes. */
struct copy {
	char dir[40]; /* "": it isn't made */
};

static int
write_file(const char *path, const char *text, struct err *err)
{
	FILE *to = fopen(path, "we");

	if (to != NULL && fputs(text, to) >= 0 && fclose(to) == 0)
		return 0;
	err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	return -1;
}

static void
copy_path(const struct copy *c, const char *name, char buf[80])
{
	(void)snprintf(buf, 80, "%s/%s", c->dir, name);
}

static int
copy_make(struct copy *c, const struct postfix_conf *pf, struct err *err)
{
	char path[80], dir[] = "/tmp/popgate-setup-XXXXXX";

	*c->dir = '\0';
	if (pf->main_text == NULL || pf->master_text == NULL) {
		err_set(err, ERR_IO, "%s: main.cf or master.cf can't be read",
		    pf->dir);
		return -1;
	}
	if (mkdtemp(dir) == NULL) {
		err_set(err, ERR_IO, "%s: %s", dir, strerror(errno));
		return -1;
	}
	/* from now on it is ours to remove */
	memcpy(c->dir, dir, sizeof(dir));
	copy_path(c, "main.cf", path);
	if (write_file(path, pf->main_text, err) == -1)
		return -1;
	copy_path(c, "master.cf", path);
	return write_file(path, pf->master_text, err);
}

static void
copy_remove(const struct copy *c)
{
	char path[80];

	copy_path(c, "main.cf", path);
	(void)unlink(path);
	copy_path(c, "master.cf", path);
	(void)unlink(path);
	(void)rmdir(c->dir);
}

static void
say_edit(
    struct setup *s, const struct postfix_conf *pf, const struct wiring_edit *e)
{
	if (e->service == NULL)
		setup_say(s, SETUP_DO, "%s: %s = %s: %s", pf->main_cf, e->name,
		    e->value, e->why);
	else
		setup_say(s, SETUP_DO, "%s: %s: %s = %s: %s", pf->master_cf,
		    e->service, e->name, e->value, e->why);
}

/* One file, as postconf has made it of its copy. */
static int
take_file(struct setup *s, const struct copy *c, const char *name,
    const char *path, const char *before, struct err *err)
{
	char from[80];

	copy_path(c, name, from);
	char *text = conf_file_read(from);

	if (text == NULL) {
		err_set(err, ERR_IO, "%s: %s", from, strerror(errno));
		return -1;
	}
	if (strcmp(text, before) != 0)
		setup_origin(s, path, before);
	int ret = setup_change(s, path, before, text, 0644, err);

	free(text);
	return ret;
}

static int
make_edits(struct setup *s, const struct postfix_conf *pf,
    const struct wiring_plan *plan, struct err *err)
{
	struct copy c;
	int ret = copy_make(&c, pf, err);

	if (ret == 0)
		ret = postfix_apply(c.dir, plan, err);
	if (ret == 0)
		ret = take_file(
		    s, &c, "main.cf", pf->main_cf, pf->main_text, err);
	if (ret == 0)
		ret = take_file(
		    s, &c, "master.cf", pf->master_cf, pf->master_text, err);
	if (*c.dir != '\0')
		copy_remove(&c);
	return ret;
}

static void
say_notes(struct setup *s, const struct wiring_plan *plan)
{
	for (size_t i = 0; i < plan->n_notes; i++) {
		const struct wiring_note *n = &plan->notes[i];

		/* what the edits put right needs no second line, and setup asks
		 * about mynetworks itself */
		if (wiring_note_is_gap(n->kind) || n->kind == NOTE_MYNETWORKS)
			continue;
		setup_say(s, SETUP_NOTE, "%s%s%s",
		    n->service == NULL ? "" : n->service,
		    n->service == NULL ? "" : ": ", n->text);
	}
}

static int
plan_instance(
    struct setup *s, const struct config *cfg, const char *dir, struct err *err)
{
	const struct wiring_sockets sockets = { cfg->milter.listen,
		cfg->permit.policy };
	struct wiring_plan plan = { 0 };
	struct postfix_conf pf;
	struct err why;
	int ret = 0;

	if (postfix_conf_load(dir, &pf, err) == -1)
		return -1;
	if (postfix_wiring_plan(&pf, &sockets, &plan, &why) == -1)
		setup_refuse(
		    s, EX_CONFIG, "%s can't be set up: %s", dir, why.text);
	say_notes(s, &plan);
	for (size_t i = 0; i < plan.n_edits; i++)
		say_edit(s, &pf, &plan.edits[i]);
	if (plan.n_edits > 0) {
		ret = make_edits(s, &pf, &plan, err);
		setup_reload(s, dir);
	}
	wiring_plan_release(&plan);
	postfix_conf_release(&pf);
	return ret;
}

static int
plan(struct setup *s, const struct config *cfg, struct err *err)
{
	struct string_list dirs = { 0 };
	int ret = postfix_instances(s->dir, &dirs, err);

	for (size_t i = 0; ret == 0 && i < dirs.n; i++) {
		if (i > 0)
			setup_say(s, SETUP_FOUND, "another instance in %s",
			    dirs.v[i]);
		ret = plan_instance(s, cfg, dirs.v[i], err);
	}
	string_list_release(&dirs);
	return ret;
}

/* --- reload --- */

static int
reload(const char *dir, struct err *err)
{
	const char *const status[] = { "postfix", "-c", dir, "status", NULL };
	const char *const argv[] = { "postfix", "-c", dir, "reload", NULL };
	char *said = setup_run(status, NULL);
	bool runs = said != NULL;

	free(said);
	if (!runs)
		return 0;
	said = setup_run(argv, err);
	free(said);
	return said == NULL ? -1 : 0;
}

const struct setup_mta setup_postfix = {
	.name = "postfix",
	.title = "Postfix",
	.find = find,
	.look = look,
	.plan = plan,
	.trial = setup_postfix_trial,
	.reload = reload,
	.before = setup_postfix_before,
};
