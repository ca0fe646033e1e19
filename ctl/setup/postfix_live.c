/* SPDX-License-Identifier: ISC */
/* postfix_live - the running Postfix asked as a stranger would ask it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/mta/postfix_conf.h"
#include "common/mta/postfix_wiring.h"
#include "ctl/setup/live.h"
#include "ctl/setup/postfix.h"
#include "ctl/stage/postfix_copy.h"

/* The services of one instance that take mail from clients. */
static void
add_services(
    struct setup_live *l, const char *dir, const struct network_set *own)
{
	const struct addr client = { .family = own->v[0].base.family };
	struct postfix_copy copy = { .dir = dir };

	if (postfix_conf_load(dir, &copy.pf, NULL) == -1)
		return;
	for (size_t i = 0; i < copy.pf.n_services; i++) {
		const struct postfix_service *p = &copy.pf.services[i];
		struct live_service *v =
		    reallocarray(l->v, l->n + 1, sizeof(*v));

		if (v == NULL)
			break;
		l->v = v;
		v = &l->v[l->n];
		memset(v, 0, sizeof(*v));
		(void)snprintf(
		    v->name, sizeof(v->name), "%s/%s", p->name, p->type);
		/* who listens on loopback only isn't reached by strangers */
		if (strcmp(p->type, "inet") == 0 &&
		    postfix_service_role(&copy.pf, p) == ROLE_CLIENTS &&
		    postfix_copy_where(&copy, own, v->name, &client, &v->to,
			&v->port, &v->tls, NULL) == 0 &&
		    (v->to.family != ADDR_IPV4 || v->to.bytes[0] != 127))
			l->n++;
	}
	postfix_conf_release(&copy.pf);
}

/* A recipient, when the trial didn't find one. */
static bool
choose_own(struct setup *s)
{
	char *name;

	if (s->own != NULL)
		return true;
	name = postfix_setting(s->dir, "myhostname", NULL);
	if (name == NULL)
		return false;
	name[strcspn(name, "\n")] = '\0';
	if (asprintf(&s->own, "postmaster@%s", name) == -1)
		s->own = NULL;
	free(name);
	return s->own != NULL;
}

static void
find_services(struct setup *s)
{
	struct network_set own = { 0 };
	struct string_list dirs = { 0 };

	if (live_addresses(&own) && postfix_instances(s->dir, &dirs, NULL) == 0)
		for (size_t i = 0; i < dirs.n; i++)
			add_services(&s->live, dirs.v[i], &own);
	string_list_release(&dirs);
	network_set_release(&own);
}

static bool
any_answers(const struct setup_live *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].answers)
			return true;
	return false;
}

void
setup_postfix_before(struct setup *s)
{
	struct err err = { 0 };

	find_services(s);
	if (s->live.n == 0 || !choose_own(s)) {
		(void)printf(
		    "The running Postfix isn't asked as a stranger: no service of it has an address that others reach.\n");
		s->live.n = 0;
	} else if (live_ask(s->live.v, s->live.n, s->own, &err) == -1) {
		(void)printf(
		    "The running Postfix isn't asked as a stranger: %s\n",
		    err.text);
		s->live.n = 0;
	} else if (!any_answers(&s->live)) {
		(void)printf(
		    "%s isn't asked as a stranger: it doesn't run; the changes take effect when it is started\n",
		    s->mta->title);
	}
}
