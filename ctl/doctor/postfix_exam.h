/* SPDX-License-Identifier: ISC */
/* postfix_exam - questions about one Postfix that more than one check asks.
 * One thread at a time. */
#ifndef POPGATE_POSTFIX_EXAM_H
#define POPGATE_POSTFIX_EXAM_H

#include <stdbool.h>

#include "common/mta/domains.h"
#include "common/mta/postfix_conf.h"
#include "common/mta/postfix_endpoint.h"
#include "ctl/doctor/doctor.h"
#include "ctl/doctor/net.h"

/* One examination of one Postfix. */
struct postfix_exam {
	struct doctor *d;
	struct postfix_conf pf;
	struct net_machine machine;
	struct domain_set ours; /* see postfix_is_domain() */
	bool ours_loaded;
};

/* Is this domain one of the server's own? Reads the lists of Postfix when it is
 * asked first; what can't be listed is not ours: rather a finding too many. */
bool postfix_is_domain(struct postfix_exam *x, const char *folded);

/* Fill *at with where a setting of the service is. An override gets a fix of
 * its own; fix_buf (400 bytes) holds it. */
void postfix_at(const struct postfix_exam *x, const struct postfix_service *s,
    const char *setting, struct finding_at *at, char *fix_buf);

/* Does this endpoint, as a service names it (NULL: main.cf), name popgate's
 * socket, by any path? That the service can reach it by that path is another
 * question (postfix_socket.h).
 *   listen  where popgate listens, as in popgate.conf; may be "" */
bool postfix_is_listener(const struct postfix_exam *x,
    const struct postfix_service *s, const struct postfix_endpoint *e,
    const char *listen);
/* The same of a word of smtpd_milters or an operand of check_policy_service. */
bool postfix_is_ours(const struct postfix_exam *x,
    const struct postfix_service *s, const char *word, const char *listen);

/* popgate's milter among the milters of a service. */
struct postfix_gate {
	bool there;
	bool accept; /* mail passes when it is not there */
	bool turned_off; /* named, but receive_override_options = no_milters */
};

/* setting: smtpd_milters or non_smtpd_milters. */
struct postfix_gate postfix_gate(const struct postfix_exam *x,
    const struct postfix_service *s, const char *setting);

/* Does only this machine reach the service? */
bool
postfix_is_local(const struct postfix_exam *x, const struct postfix_service *s);

/* Does milter_macro_defaults say that everybody has logged in? */
bool postfix_forges_auth(
    const struct postfix_exam *x, const struct postfix_service *s);

/* Call take with each network of a list like mynetworks, from its files and
 * tables too; net NULL: a word that is none (a host name), or can't be
 * listed. */
void postfix_networks(const struct postfix_exam *x, const char *list,
    void (*take)(void *arg, const char *word, const struct network *net),
    void *arg);

#endif
