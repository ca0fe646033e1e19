/* SPDX-License-Identifier: ISC */
#include "ctl/doctor/postfix_reinjection.h"

#include <stdio.h>
#include <string.h>

#include "common/base/addr.h"
#include "common/mta/restrict.h"
#include "ctl/ctl.h"
#include "ctl/doctor/postfix_walk.h"

/* The program of a transport, "" for none of that name: "smtp" in
 * "smtp:[127.0.0.1]:10024". */
static const char *
transport_command(const struct postfix_exam *x, const char *filter)
{
	size_t n = strcspn(filter, ":");

	for (size_t i = 0; i < x->pf.n_services; i++) {
		const struct postfix_service *s = &x->pf.services[i];

		if (strlen(s->name) == n && strncmp(s->name, filter, n) == 0 &&
		    strcmp(s->type, "unix") == 0)
			return s->command;
	}
	return "";
}

/* Does a service give its mail to a filter that returns it by SMTP? One that
 * is run by pipe(8) returns it by sendmail(1). */
static bool
is_filtered(const struct postfix_exam *x, const struct postfix_service *s)
{
	const char *filter = postfix_value(&x->pf, s, "content_filter");

	return *postfix_value(&x->pf, s, "smtpd_proxy_filter") != '\0' ||
	    (*filter != '\0' &&
		strcmp(transport_command(x, filter), "pipe") != 0);
}

static bool
has_filter(const struct postfix_exam *x)
{
	for (size_t i = 0; i < x->pf.n_services; i++)
		if (strcmp(x->pf.services[i].command, "smtpd") == 0 &&
		    is_filtered(x, &x->pf.services[i]))
			return true;
	return false;
}

/* Where mail comes back there is no filter, or it would go round for ever; and
 * only this machine gets there, or the filter was taken out on purpose. */
bool
postfix_is_return(const struct postfix_exam *x, const struct postfix_service *s)
{
	return !is_filtered(x, s) && has_filter(x) &&
	    ((postfix_is_local(x, s) && strchr(s->name, ':') != NULL) ||
		postfix_overridden(&x->pf, s, "content_filter"));
}

static bool
is_trusted(const struct postfix_exam *x, const struct postfix_service *s)
{
	const char *text =
	    strncmp(s->name, "[::1]", 5) == 0 || strncmp(s->name, "::1", 3) == 0
	    ? "::1"
	    : "127.0.0.1";
	struct network net;

	return network_parse(text, &net) &&
	    network_set_contains(
		&x->d->ctl->cfg->relay.trusted_networks, &net.base);
}

bool
postfix_asks_about_us(
    const struct postfix_exam *x, const struct postfix_service *s)
{
	struct postfix_walk w;

	for (size_t i = 0; i < POSTFIX_WALK_LISTS - 1; i++) {
		postfix_walk(&w, x, s, postfix_walk_lists[i], true);
		if (w.asked)
			return true;
	}
	return false;
}

/* Can text stand between single quotes, in a value for postconf -P, which takes
 * no blank? */
static bool
is_quotable(const char *text)
{
	for (const char *at = text; *at != '\0'; at++)
		if (*at == '\'' || (unsigned char)*at <= ' ')
			return false;
	return true;
}

/* The milters of a service but popgate's, into buf; "..." when they can't be
 * written into a command. */
static void
other_milters(const struct postfix_exam *x, const struct postfix_service *s,
    char *buf, size_t size)
{
	const char *list = postfix_value(&x->pf, s, "smtpd_milters");
	char word[1000];
	size_t len = 0;

	buf[0] = '\0';
	while (restrict_word(&list, word, sizeof(word))) {
		if (postfix_is_ours(x, s, word, x->d->ctl->cfg->milter.listen))
			continue;
		int n = snprintf(
		    buf + len, size - len, "%s%s", len == 0 ? "" : ", ", word);

		if (n < 0 || (size_t)n >= size - len || !is_quotable(word)) {
			(void)snprintf(buf, size, "...");
			return;
		}
		len += (size_t)n;
	}
}

void
postfix_check_reinjection(
    struct postfix_exam *x, const struct postfix_service *s)
{
	bool milter = postfix_gate(x, s, "smtpd_milters").there;
	char full[300], others[1000], fix[2000];
	size_t len = 0;

	if (!postfix_is_return(x, s) || is_trusted(x, s))
		return;
	bool permit = postfix_asks_about_us(x, s);

	if (!milter && !permit)
		return;
	(void)snprintf(full, sizeof(full), "%.200s/%.20s",
	    is_quotable(s->name) ? s->name : "...", s->type);
	struct finding_at at = {
		.dir = x->pf.dir,
		.file = x->pf.master_cf,
		.fix = fix,
	};

	if (x->pf.master_text != NULL)
		at.line = postfix_master_line(
		    x->pf.master_text, s->name, s->type, NULL);
	if (milter) {
		other_milters(x, s, others, sizeof(others));
		len = (size_t)snprintf(fix, sizeof(fix),
		    "postconf -c {dir} -P '%s/smtpd_milters=%s'\n", full,
		    others);
	}
	(void)snprintf(fix + len, sizeof(fix) - len,
	    "%s%s%spostfix -c {dir} reload",
	    permit ? "postconf -c {dir} -P '" : "", permit ? full : "",
	    permit ? "/smtpd_relay_restrictions=permit_mynetworks,reject'\n"
		   : "");
	doctor_add(x->d, "postfix-reinjection", &at,
	    "Service %s takes mail back from a filter on this machine, and asks popgate%s again, for which it comes from loopback, where no login opens anything.",
	    full, milter ? "'s milter" : "");
}
