/* SPDX-License-Identifier: ISC */
#include "ctl/doctor/postfix_asked.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/mta/postfix_wiring.h"
#include "common/mta/restrict.h"
#include "ctl/ctl.h"
#include "ctl/doctor/postfix_reinjection.h"
#include "ctl/doctor/postfix_socket.h"
#include "ctl/doctor/postfix_walk.h"

/* One smtpd service, and what it does about popgate. */
struct service {
	const struct postfix_service *s;
	bool local; /* for this machine, or for a filter's mail */
	struct postfix_gate gate;
	bool permit; /* the permit channel is asked before a refusal */
	bool data; /* popgate is asked at DATA */
	/* The first list that refuses a client that popgate would permit,
	 * before popgate is asked; NULL: none. */
	const char *refuses;
	bool late; /* popgate is asked behind that refusal */
	bool auth_only; /* the list is the service's own, for AUTH users */
	const char *promises; /* the list that promises a question at DATA */
};

struct all {
	struct postfix_exam *x;
	struct service *v;
	size_t n;
	bool milter, permit; /* of any service */
};

/* "policy_context=asked-later" leaves whom popgate refuses, and the count of
 * whom it permits, to a later list: is there one that asks plainly? Of the two
 * lists that decide on a relay, the recipient list comes last, unless it is
 * said to come first. */
static bool
is_asked_later(const struct service *v, struct postfix_exam *x, bool recipient)
{
	struct postfix_walk w;
	bool relay_first = postfix_yes(
	    &x->pf, v->s, "smtpd_relay_before_recipient_restrictions");

	if (recipient == relay_first)
		return false;
	postfix_walk(&w, x, v->s,
	    recipient ? "smtpd_relay_restrictions"
		      : "smtpd_recipient_restrictions",
	    false);
	return w.plainly;
}

static void
look_at_list(struct service *v, struct postfix_exam *x, const char *setting)
{
	bool recipient = strcmp(setting, "smtpd_recipient_restrictions") == 0;
	struct postfix_walk w;

	postfix_walk(&w, x, v->s, setting, false);
	if (w.asked && !w.plainly &&
	    (recipient || strcmp(setting, "smtpd_relay_restrictions") == 0) &&
	    !is_asked_later(v, x, recipient))
		w.asked = w.named = false;
	v->permit |= w.asked;
	if (strcmp(setting, "smtpd_data_restrictions") == 0)
		v->data = w.asked;
	else if (w.promises_data && v->promises == NULL)
		v->promises = setting;
	if (w.end != RESTRICT_REJECT || w.asked || v->refuses != NULL)
		return;
	v->refuses = setting;
	v->late = w.named;
	v->auth_only = w.auth && postfix_overridden(&x->pf, v->s, setting) &&
	    postfix_yes(&x->pf, v->s, "smtpd_sasl_auth_enable");
}

static void
look_at_service(
    struct service *v, struct postfix_exam *x, const struct postfix_service *s)
{
	*v = (struct service){ .s = s,
		.local = postfix_is_local(x, s) || postfix_is_return(x, s) };
	v->gate = postfix_gate(x, s, "smtpd_milters");
	for (size_t i = 0; i < POSTFIX_WALK_LISTS; i++)
		look_at_list(v, x, postfix_walk_lists[i]);
}

/* --- what is wrong with it --- */

/* Where a setting of the service is. full: of 300 bytes, gets "smtp/inet". */
static struct finding_at
where(const struct all *a, const struct service *v, const char *setting,
    char *full)
{
	struct finding_at at = { .setting = setting, .dir = a->x->pf.dir };

	(void)snprintf(full, 300, "%.200s/%.20s", v->s->name, v->s->type);
	at.service = full;
	at.file = postfix_where(&a->x->pf, v->s, setting, &at.line);
	return at;
}

static void
say_no_milter(const struct all *a, const struct service *v)
{
	const struct postfix_conf *pf = &a->x->pf;
	char full[300];
	const char *setting =
	    v->gate.turned_off ? "receive_override_options" : "smtpd_milters";
	struct finding_at at = where(a, v, setting, full);

	/* without it the service has main.cf's */
	if (postfix_overridden(pf, v->s, setting))
		at.fix = "postconf -c {dir} -PX '{service}/{setting}'\n"
			 "postfix -c {dir} reload";
	if (v->permit && !a->milter)
		doctor_add(a->x->d, "postfix-no-milter", &at,
		    "Service %s asks popgate's permit channel, and no service has popgate's milter.",
		    full);
	else
		doctor_add(a->x->d, "postfix-service-without-popgate", &at,
		    v->gate.turned_off
			? "Service %s turns its milters off (receive_override_options = no_milters), and popgate's with them."
			: "Service %s has no popgate among its milters, others have.",
		    full);
}

static void
say_refusal(const struct all *a, const struct service *v)
{
	char full[300];
	struct finding_at at = where(a, v, v->refuses, full);
	const char *kind = v->late ? "postfix-popgate-too-late"
	    : v->auth_only         ? "postfix-auth-only-service"
	    : v->permit            ? "postfix-refuses-first"
				   : "postfix-service-without-permit";

	if (v->late)
		doctor_add(a->x->d, kind, &at,
		    "%s of service %s names popgate's permit channel behind what refuses.",
		    v->refuses, full);
	else if (v->auth_only)
		doctor_add(a->x->d, kind, &at,
		    "%s of service %s refuses everybody but AUTH users, and doesn't ask popgate.",
		    v->refuses, full);
	else
		doctor_add(a->x->d, kind, &at,
		    "%s of service %s refuses clients that would relay, and doesn't ask popgate before.",
		    v->refuses, full);
}

/* The promise "asked-at-data" lets popgate answer at RCPT before its record of
 * that is on disk. */
static void
say_promise(const struct all *a, const struct service *v)
{
	static const char setting[] = "smtpd_data_restrictions";
	char full[300];
	struct finding_at at = where(a, v, setting, full);

	if (postfix_overridden(&a->x->pf, v->s, setting))
		at.fix = "postconf -c {dir} -PX '{service}/{setting}'\n"
			 "postfix -c {dir} reload";
	doctor_add(a->x->d, "postfix-data-not-asked", &at,
	    "%s of service %s promises popgate that it is asked again at DATA (policy_context=asked-at-data), and smtpd_data_restrictions doesn't ask it.",
	    v->promises, full);
}

static void
say(const struct all *a, const struct service *v)
{
	bool asks = v->permit || v->late || v->gate.there;

	if (v->promises != NULL && !v->data)
		say_promise(a, v);
	if (v->refuses != NULL && asks && !v->local)
		say_refusal(a, v);
	if (!v->gate.there && !v->local &&
	    (a->milter || v->permit || (a->permit && !asks)))
		say_no_milter(a, v);
}

void
postfix_check_asked(struct postfix_exam *x)
{
	struct all a = {
		.x = x,
		.v = calloc(x->pf.n_services + 1, sizeof(*a.v)),
	};

	if (a.v == NULL) {
		x->d->no_memory = true;
		return;
	}
	for (size_t i = 0; i < x->pf.n_services; i++) {
		struct service *v = &a.v[a.n];

		if (strcmp(x->pf.services[i].command, "smtpd") != 0)
			continue;
		look_at_service(v, x, &x->pf.services[i]);
		a.milter |= v->gate.there;
		a.permit |= v->permit || v->late;
		a.n++;
	}
	x->d->wired |= a.milter || a.permit;
	for (size_t i = 0; i < a.n; i++) {
		say(&a, &a.v[i]);
		postfix_check_reinjection(x, a.v[i].s);
		/* what isn't asked there needn't be reached */
		postfix_check_sockets(x, a.v[i].s,
		    !a.v[i].local || postfix_asks_about_us(x, a.v[i].s));
	}
	free(a.v);
}

/* Check an instance; of the others than the first those that postmulti(1)
 * starts. */
static void
check_instance(struct doctor *d, const char *dir, bool first)
{
	struct postfix_exam x = { .d = d };
	struct finding_at at = { .file = dir, .dir = dir };
	struct err err;

	if (postfix_conf_load(dir, &x.pf, &err) == -1) {
		doctor_add(d, "postfix-unreadable", &at, "%s", err.text);
		return;
	}
	if (first || postfix_yes(&x.pf, NULL, "multi_instance_enable"))
		postfix_check_asked(&x);
	postfix_conf_release(&x.pf);
}

void
doctor_postfix_asked(struct doctor *d, const char *dir)
{
	struct string_list dirs = { 0 };
	struct err err;

	if (postfix_instances(dir, &dirs, &err) == -1)
		check_instance(d, dir, true);
	for (size_t i = 0; i < dirs.n; i++)
		check_instance(d, dirs.v[i], i == 0);
	string_list_release(&dirs);
}
