/* SPDX-License-Identifier: ISC */
/* postfix_trial - the planned changes tried on a private copy of Postfix: what
 * each service says before them is compared with what it says with them, to a
 * stranger, to a client that has logged in, and while popgate is down. */
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/config/config.h"
#include "common/mta/postfix_conf.h"
#include "common/mta/postfix_wiring.h"
#include "ctl/setup/postfix.h"
#include "ctl/stage/stage.h"

enum { SERVICES_MAX = 64, CANDIDATES = 24 };

/* Addresses of documentation (RFC 5737); the copy's network is its own. */
static const char stranger[] = "203.0.113.77", user[] = "198.51.100.77";
static const char foreign[] = "friend@example.net";
static const char foreign_sender[] = "somebody@example.org";

/* What a service said before the changes. */
struct service {
	char name[200]; /* "smtp/inet" */
	bool own, relays; /* took a stranger's mail for us; for others */
	bool login; /* took one from a client that has logged in */
	bool auth; /* took one after SMTP AUTH */
};

struct trial {
	struct setup *s;
	const struct config *cfg;
	const char *dir;
	struct service v[SERVICES_MAX];
	size_t n;
	char own[300]; /* a recipient that is taken; "": none was found */
	struct stage *stage;
};

/* --- the copy --- */

enum { FILES_MAX = 32 };

/* The copy has its files in its directory, also where they are links. */
static const char *
name_in_copy(const struct trial *t, const char *path, char buf[PATH_MAX])
{
	static const char *const names[] = { "main.cf", "master.cf" };
	char real[PATH_MAX];

	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(buf, PATH_MAX, "%s/%s", t->dir, names[i]);
		if (realpath(buf, real) != NULL && strcmp(real, path) == 0)
			return buf;
	}
	return path;
}

static int
open_copy(struct trial *t, bool planned, struct err *err)
{
	static char names[FILES_MAX][PATH_MAX];
	struct stage_file files[FILES_MAX];
	struct stage_spec spec = { .mta = STAGE_POSTFIX,
		.dir = t->dir,
		.files = files,
		/* before the changes popgate may be wired already */
		.popgate = t->cfg };

	for (size_t i = 0; planned && i < t->s->n_files; i++) {
		const struct setup_file *f = &t->s->files[i];

		/* popgate.conf is given as a struct config */
		if (spec.n_files < FILES_MAX && !f->own) {
			const char *path =
			    name_in_copy(t, f->path, names[spec.n_files]);

			files[spec.n_files++] =
			    (struct stage_file){ path, f->after };
		}
	}
	return stage_open(&spec, &t->stage, err);
}

/* --- one question --- */

static const char *
own_or_any(const struct trial *t)
{
	return *t->own == '\0' ? foreign_sender : t->own;
}

static int
say(struct trial *t, const char *from, const char *service, const char *sender,
    const char *recipient, struct stage_reply *reply, struct err *err)
{
	const struct stage_mail mail = { .sender = sender,
		.recipient = recipient };
	struct addr addr;
	bool ok = addr_parse_loose(from, &addr);

	assert(ok);
	(void)ok;
	return stage_say(t->stage, &addr, service, &mail, reply, err);
}

/* The same after SMTP AUTH. */
static int
say_auth(struct trial *t, const char *service, struct stage_reply *reply,
    struct err *err)
{
	const struct stage_mail mail = {
		.sender = own_or_any(t), .recipient = foreign, .user = "popgate"
	};
	struct addr addr;
	bool ok = addr_parse_loose(stranger, &addr);

	assert(ok);
	(void)ok;
	return stage_say(t->stage, &addr, service, &mail, reply, err);
}

/* Add what was wrong, and with which reply. -1. */
static int
wrong(struct err *err, const struct trial *t, const struct service *v,
    const char *what, const struct stage_reply *r)
{
	err_set(err, ERR_INVALID,
	    "tried on a private copy, %s of %s %s: %d %s (to %s)", v->name,
	    t->dir, what, r->reply.code, r->reply.text,
	    stage_step_name(r->step));
	return -1;
}

/* --- before --- */

/* A word of a list of domains that is one domain. */
static bool
is_domain(const char *word, size_t n)
{
	return n > 0 && n < 200 && memchr(word, ':', n) == NULL &&
	    memchr(word, '/', n) == NULL && *word != '.' && *word != '!' &&
	    *word != '[' && memchr(word, '.', n) != NULL;
}

/* Find a recipient that the first service takes from a stranger. */
static int
find_own(struct trial *t, const struct postfix_conf *pf, const char *setting,
    struct err *err)
{
	static const char *const names[] = { "postmaster", "root", "abuse",
		"info" };
	const char *at = postfix_value(pf, NULL, setting);
	int tries = 0;

	while (*t->own == '\0' && *at != '\0' && tries < CANDIDATES) {
		size_t n;

		at += strspn(at, ", \t\n");
		n = strcspn(at, ", \t\n");
		for (size_t i = 0; i < 4 && *t->own == '\0' && is_domain(at, n);
		     i++) {
			struct stage_reply r;
			char text[300];

			(void)snprintf(text, sizeof(text), "%s@%.*s", names[i],
			    (int)n, at);
			if (say(t, stranger, t->v[0].name, foreign_sender, text,
				&r, err) == -1)
				return -1;
			if (r.accepted)
				memcpy(t->own, text, sizeof(t->own));
			tries++;
		}
		at += n;
	}
	return 0;
}

static int
ask_before(struct trial *t, struct err *err)
{
	struct addr addr;

	if (!addr_parse_loose(user, &addr) ||
	    stage_login(t->stage, &addr, "popgate", err) == -1)
		return -1;
	for (size_t i = 0; i < t->n; i++) {
		struct service *v = &t->v[i];
		struct stage_reply r;

		if (*t->own != '\0') {
			if (say(t, stranger, v->name, foreign_sender, t->own,
				&r, err) == -1)
				return -1;
			v->own = r.accepted;
		}
		if (say(t, stranger, v->name, foreign_sender, foreign, &r,
			err) == -1)
			return -1;
		v->relays = r.accepted;
		if (say(t, user, v->name, own_or_any(t), foreign, &r, err) ==
		    -1)
			return -1;
		v->login = r.accepted;
		if (say_auth(t, v->name, &r, err) == -1)
			return -1;
		v->auth = r.accepted;
	}
	return 0;
}

/* --- with the changes --- */

/* The stranger's side, whether popgate is up or not. */
static int
ask_stranger(
    struct trial *t, const struct service *v, bool down, struct err *err)
{
	struct stage_reply r;

	if (say(t, stranger, v->name, foreign_sender, foreign, &r, err) == -1)
		return -1;
	if (r.accepted && (!v->relays || (!t->s->monitor && !down)))
		return wrong(err, t, v,
		    down ? "lets a stranger relay while popgate is down"
			 : "lets a stranger relay",
		    &r);
	if (!v->own)
		return 0;
	if (say(t, stranger, v->name, foreign_sender, t->own, &r, err) == -1)
		return -1;
	return r.accepted
	    ? 0
	    : wrong(err, t, v,
		  down ? "refuses our own mail while popgate is down"
		       : "refuses our own mail, which it takes today",
		  &r);
}

static int
ask_login(struct trial *t, const struct service *v, struct err *err)
{
	bool want = t->s->monitor ? v->login : true;
	struct stage_reply r;

	if (say(t, user, v->name, own_or_any(t), foreign, &r, err) == -1)
		return -1;
	if (r.accepted == want)
		return 0;
	return wrong(err, t, v,
	    want ? "refuses a client that has logged in"
		 : "lets a client relay that only monitoring should see",
	    &r);
}

static int
ask_auth(struct trial *t, const struct service *v, struct err *err)
{
	struct stage_reply r;

	if (!v->auth)
		return 0;
	if (say_auth(t, v->name, &r, err) == -1)
		return -1;
	return r.accepted
	    ? 0
	    : wrong(err, t, v,
		  "refuses a client after SMTP AUTH, which it lets relay today",
		  &r);
}

static int
ask_after(struct trial *t, struct err *err)
{
	struct addr addr;

	if (!addr_parse_loose(user, &addr) ||
	    stage_login(t->stage, &addr, "popgate", err) == -1)
		return -1;
	for (size_t i = 0; i < t->n; i++)
		if (ask_stranger(t, &t->v[i], false, err) == -1 ||
		    ask_login(t, &t->v[i], err) == -1 ||
		    ask_auth(t, &t->v[i], err) == -1)
			return -1;
	if (stage_popgate(t->stage, false, err) == -1)
		return -1;
	for (size_t i = 0; i < t->n; i++)
		if (ask_stranger(t, &t->v[i], true, err) == -1)
			return -1;
	return 0;
}

/* --- one instance --- */

static void
take_services(struct trial *t, const struct postfix_conf *pf)
{
	for (size_t i = 0; i < pf->n_services && t->n < SERVICES_MAX; i++) {
		const struct postfix_service *p = &pf->services[i];

		/* behind postscreen a service has no port of its own */
		if (strcmp(p->type, "inet") == 0 &&
		    postfix_service_role(pf, p) == ROLE_CLIENTS)
			(void)snprintf(t->v[t->n++].name, sizeof(t->v[0].name),
			    "%s/%s", p->name, p->type);
	}
}

static int
before(struct trial *t, const struct postfix_conf *pf, struct err *err)
{
	static const char *const settings[] = { "mydestination",
		"virtual_mailbox_domains", "virtual_alias_domains",
		"relay_domains", "myhostname" };
	int ret = open_copy(t, false, err);

	for (size_t i = 0;
	     ret == 0 && i < sizeof(settings) / sizeof(settings[0]); i++)
		ret = find_own(t, pf, settings[i], err);
	if (ret == 0)
		ret = ask_before(t, err);
	stage_close(&t->stage);
	return ret;
}

static int
try_instance(
    struct setup *s, const struct config *cfg, const char *dir, struct err *err)
{
	struct trial *t = calloc(1, sizeof(*t));
	struct postfix_conf pf;
	int ret = -1;

	if (t == NULL) {
		err_nomem(err, dir, sizeof(*t));
		return -1;
	}
	if (postfix_conf_load(dir, &pf, err) == 0) {
		t->s = s;
		t->cfg = cfg;
		t->dir = dir;
		take_services(t, &pf);
		ret = t->n == 0 ? 0 : before(t, &pf, err);
		if (s->own == NULL && *t->own != '\0')
			s->own = strdup(t->own);
		if (ret == 0 && t->n > 0)
			ret = open_copy(t, true, err);
		if (ret == 0 && t->n > 0)
			ret = ask_after(t, err);
		stage_close(&t->stage);
		postfix_conf_release(&pf);
	}
	free(t);
	return ret;
}

int
setup_postfix_trial(struct setup *s, const struct config *cfg, struct err *err)
{
	for (size_t i = 0; i < s->reloads.n; i++)
		if (try_instance(s, cfg, s->reloads.v[i], err) == -1) {
			err_locate(err, s->reloads.v[i]);
			return -1;
		}
	return 0;
}
