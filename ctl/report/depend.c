/* SPDX-License-Identifier: ISC */
/* depend - who relays by a login still, and who has moved to SMTP AUTH: what
 * popgatectl dependents says, cut to what a page shows. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/err.h"
#include "ctl/dependents.h"
#include "ctl/report/gather.h"

static_assert(
    (int)REPORT_WEEKS >= (int)DEPENDENTS_WEEKS, "every week has a place");

static void
add_user(struct report_dependents *to, const struct dependent *u)
{
	struct report_dependent *v = &to->v[to->n];

	to->all++;
	if (to->n == REPORT_TOP)
		return;
	to->n++;
	v->recipients = u->recipients;
	v->login_at = u->last_at;
	v->auth_at = u->auth_at;
	(void)snprintf(v->name, sizeof(v->name), "%s", u->user);
}

static void
take_user(struct report *rep, const struct dependent *u)
{
	if (u->first_at == 0) /* of AUTH alone */
		return;
	if (u->state == DEPENDENT_MOVED)
		add_user(&rep->moved, u);
	else if (u->recipients > 0 && u->state == DEPENDENT_DEPENDS)
		add_user(&rep->depend, u);
	else if (u->recipients > 0)
		rep->both++;
}

static void
take_week(struct report *rep, const struct dependents_week *w)
{
	struct report_week *to = &rep->week[rep->weeks++];
	time_t begin = (time_t)w->begin;
	struct tm tm;

	(void)localtime_r(&begin, &tm);
	(void)strftime(to->label, sizeof(to->label), "%Y-%m-%d", &tm);
	to->by_login = w->by_login;
	to->never_auth = w->never_auth;
	to->by_auth = w->by_auth;
}

int
report_find_dependents(
    struct report *rep, struct audit_reader *r, struct err *err)
{
	struct dependents *d = NULL;
	int rc = dependents_gather(r, rep->since, rep->now, false, &d, err);

	for (size_t i = 0; rc == 0 && i < d->users; i++)
		take_user(rep, &d->user[i]);
	for (int i = 0; rc == 0 && i < d->weeks; i++)
		take_week(rep, &d->week[i]);
	dependents_free(&d);
	return rc;
}
