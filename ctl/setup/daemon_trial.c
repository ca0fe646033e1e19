/* SPDX-License-Identifier: ISC */
/* daemon_trial - a trial of Sendmail or Exim, whose listeners the private copy
 * finds as it starts them (daemon_copy.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "ctl/setup/exim.h"
#include "ctl/setup/sendmail.h"
#include "ctl/setup/trial.h"
#include "ctl/stage/exim_copy.h"
#include "ctl/stage/sendmail_copy.h"
#include "ctl/wiring/exim_load.h"

/* One listener of each port and family is enough: all others are asked the
 * same rules, and the copy takes the first one. */
static bool
is_asked_already(const struct trial *t, const char *name, bool six)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].six == six && strcmp(t->v[i].name, name) == 0)
			return true;
	return false;
}

static void
add_listeners(struct trial *t, const struct daemon_copy *copy)
{
	for (size_t i = 0; i < copy->n; i++) {
		const struct listener *l = &copy->v[i];
		bool six = l->family == ADDR_IPV6;
		char port[20];
		const char *name = l->name;

		(void)snprintf(port, sizeof(port), "%u", l->port);
		if (*name == '\0')
			name = port;
		if (!is_asked_already(t, name, six))
			trial_add_service(t, name, six);
	}
}

static int
run(struct trial *t, const struct daemon_copy *copy, struct err *err)
{
	static const char last[] = "postmaster";

	add_listeners(t, copy);
	if (trial_add_domains(t, err) == -1)
		return -1;
	/* RFC 5321 section 4.5.1: every server takes mail for it */
	if (!string_list_add(&t->candidates, last, strlen(last))) {
		err_nomem(err, last, 0);
		return -1;
	}
	return trial_run(t, err);
}

int
setup_sendmail_trial(struct setup *s, const struct config *cfg, struct err *err)
{
	struct daemon_copy copy = { .n = 0 };
	char cf[1000];
	struct trial *t;
	int ret = -1;

	setup_sendmail_cf(s, cf, sizeof(cf));
	if (sendmail_copy_listeners(&copy, cf, err) == -1)
		return -1;
	t = trial_new(s, cfg, STAGE_SENDMAIL, cf, err);
	if (t == NULL)
		return -1;
	t->spec.program = setup_sendmail_program();
	ret = run(t, &copy, err);
	trial_free(t);
	return ret;
}

/* Debian's program makes the file that Exim reads of those that change. */
static bool
is_made(const char *dir, struct err *err, bool *made_r)
{
	struct exim_loaded l;
	int found = exim_load(dir, &l, err);

	*made_r = found == 1 && l.layout != EXIM_SINGLE;
	if (found == 1)
		exim_loaded_release(&l);
	return found == 1;
}

int
setup_exim_trial(struct setup *s, const struct config *cfg, struct err *err)
{
	static const char *const make[] = { EXIM_DEBIAN_MAKE, NULL };
	static const char *const *const prepare[] = { make };
	const struct exim_program exim = { .file = s->dir };
	struct daemon_copy copy = { .n = 0 };
	struct trial *t;
	bool made;
	int ret = -1;

	if (!is_made(s->dir, err, &made) ||
	    exim_copy_listeners(&copy, &exim, err) == -1)
		return -1;
	t = trial_new(s, cfg, STAGE_EXIM, s->dir, err);
	if (t == NULL)
		return -1;
	t->spec.prepare = prepare;
	t->spec.n_prepare = made;
	ret = run(t, &copy, err);
	trial_free(t);
	return ret;
}
