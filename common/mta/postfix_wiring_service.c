/* SPDX-License-Identifier: ISC */
/* postfix_wiring_service - what each smtpd of a Postfix is for: clients, what
 * a content filter gives back, or this machine alone. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/mta/postfix_endpoint.h"
#include "common/mta/postfix_wiring_work.h"
#include "common/mta/restrict.h"

enum { WORD_LEN = 300 };

bool
wiring_on_loopback(
    const struct postfix_conf *pf, const struct postfix_service *s)
{
	/* master(8) listens, which no service's -o concerns */
	const char *list = postfix_value(pf, NULL, "inet_interfaces");
	char word[WORD_LEN];
	bool any = false;

	if (strcmp(s->type, "inet") != 0)
		return false;
	/* "host:port", "[::1]:port"; "[host]:port" */
	if (strchr(s->name, ':') != NULL)
		return postfix_endpoint_is_loopback(s->name);
	while (restrict_word(&list, word, sizeof(word))) {
		if (!postfix_endpoint_is_loopback(word))
			return false;
		any = true;
	}
	return any;
}

/* A proxy on this machine (HAProxy, nginx) speaks for its clients. */
static bool
is_behind_proxy(const struct postfix_conf *pf, const struct postfix_service *s)
{
	return *postfix_value(pf, s, "smtpd_upstream_proxy_protocol") != '\0' ||
	    (*postfix_value(pf, s, "smtpd_authorized_xclient_hosts") != '\0' &&
		*postfix_value(pf, s, "smtpd_authorized_xforward_hosts") ==
		    '\0');
}

/* Is mail given to a content filter anywhere, and not here? */
static bool
is_behind_filter(const struct postfix_conf *pf, const struct postfix_service *s)
{
	static const char *const filters[] = { "content_filter",
		"smtpd_proxy_filter" };

	for (size_t f = 0; f < 2; f++) {
		bool anywhere = *postfix_value(pf, NULL, filters[f]) != '\0';

		if (*postfix_value(pf, s, filters[f]) != '\0')
			return false;
		for (size_t i = 0; i < pf->n_services && !anywhere; i++)
			anywhere = *postfix_value(pf, &pf->services[i],
				       filters[f]) != '\0';
		if (anywhere)
			return true;
	}
	return false;
}

/* On another address than loopback a filter's smtpd is told by what it takes:
 * nothing but mynetworks. */
static bool
takes_networks_only(
    const struct postfix_conf *pf, const struct postfix_service *s)
{
	static const char *const lists[] = { "smtpd_client_restrictions",
		"smtpd_relay_restrictions", "smtpd_recipient_restrictions" };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const char *list = postfix_value(pf, s, lists[i]);
		char first[WORD_LEN], second[WORD_LEN];

		if (restrict_word(&list, first, sizeof(first)) &&
		    restrict_word(&list, second, sizeof(second)) &&
		    strcasecmp(first, "permit_mynetworks") == 0 &&
		    strcasecmp(second, "reject") == 0)
			return true;
	}
	return false;
}

enum wiring_role
postfix_service_role(
    const struct postfix_conf *pf, const struct postfix_service *s)
{
	bool smtpd = strcmp(s->command, "smtpd") == 0 &&
	    (strcmp(s->type, "inet") == 0 || strcmp(s->type, "pass") == 0);

	if (!smtpd)
		return ROLE_OTHER;
	if (wiring_on_loopback(pf, s)) {
		if (is_behind_proxy(pf, s) &&
		    strcmp(postfix_value(pf, NULL, "inet_interfaces"),
			"loopback-only") != 0)
			return ROLE_CLIENTS;
		return is_behind_filter(pf, s) ? ROLE_REINJECTION
					       : ROLE_LOOPBACK;
	}
	if (is_behind_filter(pf, s) && takes_networks_only(pf, s) &&
	    postfix_overridden(pf, s, "mynetworks"))
		return ROLE_REINJECTION;
	return ROLE_CLIENTS;
}
