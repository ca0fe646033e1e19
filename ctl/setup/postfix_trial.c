/* SPDX-License-Identifier: ISC */
/* postfix_trial - a trial of each instance of Postfix that changes. */
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/mta/postfix_conf.h"
#include "common/mta/postfix_wiring.h"
#include "ctl/setup/postfix.h"
#include "ctl/setup/trial.h"

/* A word of a list of domains that is one domain. */
static bool
is_domain(const char *word, size_t n)
{
	return n > 0 && n < 200 && memchr(word, ':', n) == NULL &&
	    memchr(word, '/', n) == NULL && *word != '.' && *word != '!' &&
	    *word != '[' && memchr(word, '.', n) != NULL;
}

static void
add_domains(struct trial *t, const struct postfix_conf *pf, const char *setting)
{
	const char *at = postfix_value(pf, NULL, setting);

	while (*at != '\0') {
		size_t n;

		at += strspn(at, ", \t\n");
		n = strcspn(at, ", \t\n");
		if (is_domain(at, n))
			trial_add_domain(t, at, n);
		at += n;
	}
}

static void
add_services(struct trial *t, const struct postfix_conf *pf)
{
	for (size_t i = 0; i < pf->n_services; i++) {
		const struct postfix_service *p = &pf->services[i];
		char name[200];

		/* behind postscreen a service has no port of its own */
		if (strcmp(p->type, "inet") != 0 ||
		    postfix_service_role(pf, p) != ROLE_CLIENTS)
			continue;
		(void)snprintf(
		    name, sizeof(name), "%.180s/%.10s", p->name, p->type);
		trial_add_service(t, name, false);
	}
}

static int
try_instance(
    struct setup *s, const struct config *cfg, const char *dir, struct err *err)
{
	static const char *const settings[] = { "mydestination",
		"virtual_mailbox_domains", "virtual_alias_domains",
		"relay_domains", "myhostname" };
	struct trial *t;
	struct postfix_conf pf;
	int ret = -1;

	if (postfix_conf_load(dir, &pf, err) == -1)
		return -1;
	t = trial_new(s, cfg, STAGE_POSTFIX, dir, err);
	if (t != NULL) {
		add_services(t, &pf);
		for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]);
		     i++)
			add_domains(t, &pf, settings[i]);
		ret = trial_run(t, err);
	}
	trial_free(t);
	postfix_conf_release(&pf);
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
