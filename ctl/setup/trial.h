/* SPDX-License-Identifier: ISC */
/* trial - the planned changes tried on a private copy of the mail server: what
 * each service says before them is compared with what it says with them, to a
 * stranger, to a client that has logged in, and while popgate is down. Each
 * mail server's file fills in struct trial; one thread. */
#ifndef POPGATE_SETUP_TRIAL_H
#define POPGATE_SETUP_TRIAL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/strings.h"
#include "ctl/setup/setup.h"
#include "ctl/stage/stage.h"

enum { TRIAL_SERVICES_MAX = 64, TRIAL_OWN_MAX = 300 };

/* A service, and what it said before the changes. */
struct trial_service {
	char name[200]; /* as stage_say() takes it: "smtp/inet", "587" */
	bool six; /* only IPv6 clients reach it */
	bool own, relays; /* took a stranger's mail for us; for others */
	bool login; /* took one from a client that has logged in */
	bool auth; /* took one after SMTP AUTH */
	bool demands_auth; /* took nothing of a client without SMTP AUTH */
};

struct trial {
	struct setup *s;
	const struct config *cfg;
	/* the mail server: mta, dir, program, and what makes its configuration
	 * of the changed files: prepare */
	struct stage_spec spec;
	struct trial_service v[TRIAL_SERVICES_MAX];
	size_t n;
	/* recipients that may be ours, the likeliest first; owned */
	struct string_list candidates;
	char own[TRIAL_OWN_MAX]; /* one that is taken; "": none was found */
	size_t who; /* which pair of clients speaks */
	struct stage *stage;
};

/* Zero but for what is given; NULL with err. */
struct trial *trial_new(struct setup *s, const struct config *cfg,
    enum stage_mta mta, const char *dir, struct err *err);
/* NULL-safe. */
void trial_free(struct trial *t);

/* Add a service that clients reach; one too many is left out. */
void trial_add_service(struct trial *t, const char *name, bool six);

/* Add the usual recipients of a domain to the candidates. */
void trial_add_domain(struct trial *t, const char *domain, size_t len);

/* Add those of the first domains of ours that cfg can list; one more candidate
 * has room. 0, or -1 with err. */
int trial_add_domains(struct trial *t, struct err *err);

/* Try it; sets t->own, and t->s->own unless it is set. 0, or -1 with err, which
 * holds what the mail server said. */
int trial_run(struct trial *t, struct err *err);

#endif
