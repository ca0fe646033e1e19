/* SPDX-License-Identifier: ISC */
/* report - doctor --dnsbl: is our address on a block list, and what would put
 * it there by backscatter: mail that this server makes or passes on to senders
 * who never wrote. */
#include <ifaddrs.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/mta/domains.h"
#include "common/mta/postfix_conf.h"
#include "ctl/ctl.h"
#include "ctl/doctor/dnsbl/dnsbl.h"
#include "ctl/doctor/dnsbl/resolve.h"
#include "ctl/doctor/doctor.h"

enum {
	TIMEOUT_S = 3, /* of one try */
	TIMEOUT_MAX_S = 60,
	ADDRESSES_MAX = 32,
	LISTS_MAX = 64,
	WEEK_S = 7 * 86400
};

struct check {
	struct doctor *d;
	struct resolver *resolver;
	struct addr v[ADDRESSES_MAX];
	size_t n;
	size_t asked, clear;
	bool listed;
};

/* --- which addresses --- */

static void
add_address(struct check *c, const struct addr *addr)
{
	for (size_t i = 0; i < c->n; i++)
		if (addr_equal(&c->v[i], addr))
			return;
	if (c->n < ADDRESSES_MAX)
		c->v[c->n++] = *addr;
}

static int
own_addresses_public(struct check *c)
{
	struct ifaddrs *list;

	if (getifaddrs(&list) == -1)
		return ctl_fail(c->d->ctl, EX_OSERR, "getifaddrs");
	for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
		struct addr addr;

		if (addr_from_sockaddr(i->ifa_addr, &addr) &&
		    addr_is_public(&addr))
			add_address(c, &addr);
	}
	freeifaddrs(list);
	if (c->n == 0)
		doctor_add(c->d, "dnsbl-no-address", NULL,
		    "No interface of this machine has a public address.");
	return 0;
}

/* "a,b" */
static int
named_addresses(struct check *c, const char *text)
{
	char *copy = strdup(text), *rest = copy;
	int rc =
	    copy == NULL ? ctl_fail(c->d->ctl, EX_OSERR, "out of memory") : 0;

	for (char *word; rc == 0 && (word = strsep(&rest, ",")) != NULL;) {
		struct addr addr;

		rc = ctl_address(c->d->ctl, word, &addr);
		if (rc == 0)
			add_address(c, &addr);
	}
	free(copy);
	return rc;
}

/* --- asking --- */

static void
undecided(struct check *c, const char *list, const struct err *err)
{
	doctor_add(c->d, "dnsbl-failed", NULL,
	    "%s gave no answer: %.200s. Whether our addresses are on it isn't known.",
	    list, err->text);
}

/* The list's own entries. Returns whether its answers mean anything. */
static bool
working(struct check *c, const char *list, enum addr_family family)
{
	struct addr listed, clear, v[RESOLVE_ADDRS_MAX];
	char name[DNSBL_NAME_MAX];
	struct err err;
	size_t n;

	dnsbl_test_points(family, &listed, &clear);
	if (!dnsbl_name(&listed, list, name))
		return true;
	switch (resolve_a(c->resolver, name, v, &n, &err)) {
	case RESOLVE_FAILED:
		undecided(c, list, &err);
		return false;
	case RESOLVE_NONE:
		/* many lists have no IPv6; then no address of ours is on it */
		if (family == ADDR_IPV6)
			return false;
		doctor_add(c->d, "dnsbl-not-working", NULL,
		    "%s doesn't list 127.0.0.2, as every list does: it is no list (any more), or its name is mistyped.",
		    list);
		return false;
	case RESOLVE_FOUND:
		break;
	}
	switch (dnsbl_answer(v, n)) {
	case DNSBL_REFUSED:
		doctor_add(c->d, "dnsbl-refused", NULL,
		    "%s refuses to answer: %s.", list, dnsbl_refusal(&v[0]));
		return false;
	case DNSBL_NO_LIST:
		doctor_add(c->d, "dnsbl-not-working", NULL,
		    "%s answers with addresses outside 127.0.0.0/8: it is no list (any more), or the resolver makes up answers.",
		    list);
		return false;
	default:
		break;
	}
	if (!dnsbl_name(&clear, list, name))
		return true;
	switch (resolve_a(c->resolver, name, v, &n, &err)) {
	case RESOLVE_FAILED:
		undecided(c, list, &err);
		return false;
	case RESOLVE_FOUND:
		doctor_add(c->d, "dnsbl-not-working", NULL,
		    "%s lists %s, which no list does: it lists everything, as lists do that were given up.",
		    list, family == ADDR_IPV4 ? "127.0.0.1" : "::FFFF:7F00:1");
		return false;
	default:
		return true;
	}
}

static void
listed(struct check *c, const char *list, const char *address, const char *name,
    const struct addr *v, size_t n)
{
	char text[RESOLVE_TEXT_MAX], codes[200] = "";
	size_t len = 0;
	struct err err;

	for (size_t i = 0; i < n && len < sizeof(codes) - ADDR_TEXT_MAX; i++) {
		char code[ADDR_TEXT_MAX];

		len += (size_t)snprintf(codes + len, sizeof(codes) - len,
		    "%s%s", i == 0 ? "" : " ", addr_format(&v[i], code));
	}
	if (resolve_txt(c->resolver, name, text, &err) != RESOLVE_FOUND)
		(void)snprintf(text, sizeof(text), "the list gives no reason");
	doctor_add(c->d, "dnsbl-listed", NULL, "%s is on %s (%s): %s", address,
	    list, codes, text);
	c->listed = true;
}

static void
ask(struct check *c, const char *list, const struct addr *addr)
{
	struct addr v[RESOLVE_ADDRS_MAX];
	char name[DNSBL_NAME_MAX], address[ADDR_TEXT_MAX];
	struct err err;
	size_t n;

	if (!dnsbl_name(addr, list, name))
		return;
	c->asked++;
	switch (resolve_a(c->resolver, name, v, &n, &err)) {
	case RESOLVE_NONE:
		c->clear++;
		return;
	case RESOLVE_FAILED:
		undecided(c, list, &err);
		return;
	case RESOLVE_FOUND:
		break;
	}
	(void)addr_format(addr, address);
	switch (dnsbl_answer(v, n)) {
	case DNSBL_LISTED:
		listed(c, list, address, name, v, n);
		break;
	case DNSBL_REFUSED:
		doctor_add(c->d, "dnsbl-refused", NULL,
		    "%s refuses to answer: %s.", list, dnsbl_refusal(&v[0]));
		break;
	default:
		doctor_add(c->d, "dnsbl-not-working", NULL,
		    "%s answers for %s with an address outside 127.0.0.0/8.",
		    list, address);
		break;
	}
}

static int
ask_list(struct check *c, const char *text)
{
	char list[DOMAIN_TEXT_MAX];
	bool tested[2] = { false, false }, good[2] = { false, false };

	if (!domain_fold(text, strlen(text), list) || strchr(list, '.') == NULL)
		return ctl_fail(c->d->ctl, EX_USAGE,
		    "'%.100s' is not the domain of a DNS block list", text);
	for (size_t i = 0; i < c->n; i++) {
		int six = c->v[i].family == ADDR_IPV6;

		if (!tested[six])
			good[six] = working(c, list, c->v[i].family);
		tested[six] = true;
		if (good[six])
			ask(c, list, &c->v[i]);
	}
	return 0;
}

/* --- causes of backscatter --- */

struct null_senders {
	int64_t recipients;
	char client[ADDR_TEXT_MAX];
};

static bool
count_null(void *arg, const struct audit_record *r)
{
	struct null_senders *n = arg;

	if (strcmp(r->class, "relay") != 0 ||
	    (*r->sender != '\0' && strcmp(r->sender, "<>") != 0))
		return true;
	n->recipients += r->count;
	(void)snprintf(n->client, sizeof(n->client), "%s", r->client);
	return true;
}

static void
relayed_null_senders(struct check *c)
{
	const struct config *cfg = c->d->ctl->cfg;
	const struct audit_filter filter = {
		.verdict = "accept",
		.since_ms = (c->d->ctl->now - WEEK_S) * 1000,
	};
	struct null_senders n = { 0 };
	struct audit_reader *r = NULL;
	struct err err;

	if (audit_open_reader(cfg->audit.database, &r, &err) == -1 ||
	    audit_each(r, &filter, count_null, &n, &err) == -1)
		doctor_add(c->d, "dnsbl-cause-unknown", NULL,
		    "popgate's record can't be read: %.300s", err.text);
	else if (n.recipients > 0)
		doctor_add(c->d, "dnsbl-cause-null-sender", NULL,
		    "In the last week %" PRId64
		    " recipients got mail with the null sender from clients that may relay, the last from %s.",
		    n.recipients, n.client);
	audit_close_reader(&r);
}

static void
setting_at(
    const struct postfix_conf *pf, const char *name, struct finding_at *at)
{
	at->dir = pf->dir;
	at->setting = name;
	at->file = postfix_where(pf, NULL, name, &at->line);
}

/* Lines of an alias file that give mail to an auto-responder. */
static void
look_for_responders(struct check *c, const char *path)
{
	static const char *const words[] = {
		"vacation",
		"autorespon",
		"auto-respon",
		"autoreply",
		"auto-reply",
		"yaa.pl",
	};
	struct finding_at at = { .file = path };
	char line[2048];
	FILE *in = fopen(path, "re");

	for (at.line = 1; in != NULL && fgets(line, sizeof(line), in) != NULL;
	     at.line++) {
		if (*line == '#' || strchr(line, '|') == NULL)
			continue;
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (strcasestr(line, words[i]) != NULL) {
				line[strcspn(line, "\n")] = '\0';
				doctor_add(c->d, "dnsbl-cause-responder", &at,
				    "An alias gives mail to an auto-responder: %.300s",
				    line);
				break;
			}
	}
	if (in != NULL)
		(void)fclose(in);
}

/* alias_maps: "hash:/etc/aliases, nis:mail.aliases" */
static void
responders_of(struct check *c, const char *maps)
{
	char path[4096];

	for (const char *p = maps; (p = strstr(p, ":/")) != NULL;) {
		size_t n = strcspn(++p, ", \t");

		if (n < sizeof(path)) {
			memcpy(path, p, n);
			path[n] = '\0';
			look_for_responders(c, path);
		}
		p += n;
	}
}

static void
postfix_causes(struct check *c)
{
	struct finding_at at = { 0 };
	struct postfix_conf pf;
	struct err err;
	const char *relay;

	if (postfix_conf_load(c->d->read[MTA_POSTFIX], &pf, &err) == -1) {
		doctor_add(c->d, "dnsbl-cause-unknown", NULL,
		    "Postfix's configuration can't be read: %.300s", err.text);
		return;
	}
	if (*postfix_value(&pf, NULL, "local_recipient_maps") == '\0') {
		setting_at(&pf, "local_recipient_maps", &at);
		doctor_add(c->d, "dnsbl-cause-bounce", &at,
		    "local_recipient_maps is empty: any name in our domains is accepted, and mail for those that don't exist is sent back.");
	}
	relay = postfix_value(&pf, NULL, "relay_domains");
	if (*relay != '\0' &&
	    strcmp(relay, postfix_value(&pf, NULL, "mydestination")) != 0 &&
	    *postfix_value(&pf, NULL, "relay_recipient_maps") == '\0' &&
	    strstr(postfix_value(&pf, NULL, "smtpd_recipient_restrictions"),
		"reject_unverified_recipient") == NULL &&
	    strstr(postfix_value(&pf, NULL, "smtpd_relay_restrictions"),
		"reject_unverified_recipient") == NULL) {
		setting_at(&pf, "relay_recipient_maps", &at);
		doctor_add(c->d, "dnsbl-cause-bounce", &at,
		    "relay_recipient_maps is empty: any name in the domains of relay_domains (%.200s) is accepted, and sent back when the next server refuses it.",
		    relay);
	}
	responders_of(c, postfix_value(&pf, NULL, "alias_maps"));
	postfix_conf_release(&pf);
}

static void
causes(struct check *c)
{
	relayed_null_senders(c);
	if (c->d->read[MTA_POSTFIX] != NULL)
		postfix_causes(c);
	if (c->d->read[MTA_SENDMAIL] != NULL) {
		look_for_responders(c, "/etc/mail/aliases");
		look_for_responders(c, "/etc/aliases");
	}
}

static int
run(struct check *c)
{
	const struct ctl_args *args = c->d->args;
	const char *address = doctor_option(c->d, DOCTOR_ADDRESS);
	int rc = address != NULL ? named_addresses(c, address)
				 : own_addresses_public(c);

	for (int i = 0; rc == 0 && i < args->n; i++)
		rc = ask_list(c, args->v[i]);
	if (rc == 0 && c->asked > 0 && c->clear == c->asked)
		doctor_add(c->d, "dnsbl-clear", NULL,
		    "None of %zu addresses is on a list that answered.", c->n);
	if (rc == 0 && c->listed)
		causes(c);
	return rc;
}

int
doctor_dnsbl(struct doctor *d)
{
	struct check c = { .d = d };
	const char *timeout = doctor_option(d, DOCTOR_TIMEOUT);
	int64_t timeout_s = TIMEOUT_S;
	struct err err;
	int rc = 0;

	if (d->args->n == 0 || d->args->n > LISTS_MAX)
		return ctl_fail(d->ctl, EX_USAGE,
		    "--dnsbl: name the lists to ask, 1 to %d; popgatectl(8) tells of some",
		    LISTS_MAX);
	if (timeout != NULL)
		rc = ctl_duration(
		    d->ctl, "--timeout", timeout, TIMEOUT_MAX_S, &timeout_s);
	if (rc != 0)
		return rc;
	if (resolver_open(doctor_option(d, DOCTOR_RESOLVER),
		(int)timeout_s * 1000, &c.resolver, &err) == -1)
		return ctl_fail(d->ctl, EX_USAGE, "--resolver: %s", err.text);
	rc = run(&c);
	resolver_close(&c.resolver);
	return rc;
}
