/* SPDX-License-Identifier: ISC */
#include "ctl/wiring/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/mta/domains.h"
#include "common/mta/postfix_wiring.h"
#include "ctl/out.h"
#include "ctl/smtp/probe_net.h"
#include "ctl/smtp/smtp_reply.h"
#include "ctl/smtp/smtp_talk.h"
#include "ctl/stage/loopback.h"
#include "ctl/stage/postfix_copy.h"
#include "ctl/stage/say.h"
#include "ctl/wiring/answered.h"

enum { TIMEOUT_MS = 30000, NAME_MAX_LEN = 400 };

/* RFC 2606: nobody's, so no mail server counts it as its own. */
#define FOREIGN "someone@example.net"

/* One check of a mail server. */
struct check {
	struct ctl *ctl;
	struct network_set own; /* addresses of this machine */
	char ours[DOMAIN_TEXT_MAX + 16]; /* postmaster of a domain of ours */
	struct probe_net net[2]; /* IPv4, IPv6 */
	bool open[2]; /* which of them are there */
	unsigned asked;
	int status; /* the worst so far */
};

/* The address at which one service is asked. */
struct place {
	const char *name; /* "smtp/inet", "port 25" */
	struct addr to;
	unsigned port;
	bool tls; /* from the first byte */
	bool from_anybody; /* it takes our own mail from strangers */
};

static void
note(struct check *c, int status)
{
	if (status > c->status)
		c->status = status;
}

/* One of our own domains, the first by name. */
static int
find_ours(struct check *c)
{
	struct domain_set set;
	const char *first = NULL;
	struct err err;

	if (domains_load(&c->ctl->cfg->relay.local_domains, &set, &err) == -1)
		return ctl_fail(
		    c->ctl, EX_CONFIG, "relay.local_domains: %s", err.text);
	for (size_t i = 0; i < set.names.size; i++) {
		const char *name = set.names.slot[i];

		if (name != NULL && *name != '.' && *name != '[' &&
		    strchr(name, '.') != NULL &&
		    (first == NULL || strcmp(name, first) < 0))
			first = name;
	}
	if (first != NULL)
		(void)snprintf(
		    c->ours, sizeof(c->ours), "postmaster@%s", first);
	domains_release(&set);
	return first != NULL
	    ? 0
	    : ctl_fail(c->ctl, EX_CONFIG,
		  "relay.local_domains has no domain of ours to ask for");
}

/* A stranger of the family: made when it is first wanted. NULL with err. */
static const struct probe_net *
stranger(struct check *c, enum addr_family family, struct err *err)
{
	const struct addr any = { .family = ADDR_NONE };
	int i = family == ADDR_IPV6;

	if (!c->open[i] &&
	    probe_net_open(&c->net[i], family, &any, err) == -1) {
		probe_net_close(&c->net[i]);
		return NULL;
	}
	c->open[i] = true;
	return &c->net[i];
}

static void
line(const struct place *p, const char *question, const char *verdict,
    const char *detail)
{
	out_text(p->name);
	(void)printf(": %s %s", question, verdict);
	if (*detail != '\0')
		(void)fputs(": ", stdout);
	out_text(detail);
	(void)putchar('\n');
}

/* One question; false when there was no answer, which is said. */
static bool
ask(struct check *c, const struct place *p, const char *recipient,
    struct stage_reply *reply)
{
	const struct stage_mail mail = {
		.helo = "client.example.net",
		.sender = "",
		.recipient = recipient,
	};
	struct err err = { 0 };
	const struct probe_net *net = stranger(c, p->to.family, &err);
	enum talk_result result = TALK_NO_CONNECTION;
	int fd = net == NULL ? -1 : probe_net_socket(net, p->to.family);

	*reply = (struct stage_reply){ .tls = p->tls };
	if (fd != -1 && smtp_connect(fd, &p->to, p->port, TIMEOUT_MS) == 0)
		result = say_mail(fd, &mail, 0, TIMEOUT_MS, reply);
	else if (fd != -1)
		(void)close(fd);
	if (result == TALK_REPLY)
		return true;
	if (net != NULL)
		err_set(&err, ERR_IO, "%s: %s", stage_step_name(reply->step),
		    result == TALK_NO_CONNECTION ? strerror(errno)
						 : talk_words(result));
	line(p, "a stranger", "gets no answer", err.text);
	note(c, CHECK_NOT_WIRED);
	return false;
}

static void
detail(const struct stage_reply *reply, const char *who, char *buf, size_t size)
{
	(void)snprintf(buf, size, "by %s, at %s: %d %.300s", who,
	    stage_step_name(reply->step), reply->reply.code, reply->reply.text);
}

static void
check_relay(struct check *c, const struct place *p)
{
	struct stage_reply reply;
	const char *who;
	char text[600];

	if (!ask(c, p, FOREIGN, &reply))
		return;
	enum answered by = answered_by(c->ctl->cfg, &reply, &who);

	detail(&reply, who, text, sizeof(text));
	switch (by) {
	case ANSWERED_NOBODY:
		line(p, "a stranger", "MAY RELAY", reply.reply.text);
		note(c, CHECK_OPEN);
		break;
	case ANSWERED_POPGATE:
		line(p, "a stranger",
		    reply.reply.code / 100 == 5 ? "is refused by popgate"
						: "is put off by popgate",
		    reply.reply.code / 100 == 5 ? "" : reply.reply.text);
		if (reply.reply.code / 100 != 5)
			note(c, CHECK_NOT_WIRED);
		break;
	case ANSWERED_MTA:
		line(p, "a stranger", "is refused, but not by popgate", text);
		note(c, CHECK_NOT_WIRED);
		break;
	}
}

static void
check_own(struct check *c, const struct place *p)
{
	struct stage_reply reply;
	const char *who;
	char text[600];

	if (!p->from_anybody || !ask(c, p, c->ours, &reply))
		return;
	if (answered_by(c->ctl->cfg, &reply, &who) == ANSWERED_NOBODY) {
		line(p, "our own mail", "is accepted", "");
		return;
	}
	detail(&reply, who, text, sizeof(text));
	if (smtp_user_unknown(&reply.reply)) {
		line(p, "our own mail", "is accepted, but not for this mailbox",
		    text);
		return;
	}
	line(p, c->ours,
	    reply.reply.code / 100 == 5 ? "is refused" : "is put off", text);
	/* greylisting and the like are no fault of the wiring */
	if (reply.reply.code / 100 == 5)
		note(c, CHECK_NOT_WIRED);
}

static void
check_place(struct check *c, const struct place *p)
{
	c->asked++;
	check_relay(c, p);
	check_own(c, p);
}

/* Where clients of either family reach a service: IPv4 if there is a way. 0,
 * or -1 with err. */
static int
reach(const struct check *c, const struct postfix_copy *postfix,
    const struct postfix_service *s, struct place *p, struct err *err)
{
	static const enum addr_family families[] = { ADDR_IPV4, ADDR_IPV6 };

	for (int i = 0; i < 2; i++) {
		const struct addr client = { .family = families[i] };

		if (postfix_copy_where(postfix, &c->own, s->name, &client,
			&p->to, &p->port, &p->tls, err) == 0 &&
		    !addr_is_loopback(&p->to))
			return 0;
		err_set(err, ERR_INVALID,
		    "only this machine reaches it; not asked");
	}
	return -1;
}

/* Does a stranger come to it: smtpd itself, or postscreen, which hands its
 * clients on. */
static bool
takes_clients(const struct postfix_conf *pf, const struct postfix_service *s)
{
	return strcmp(s->type, "inet") == 0 &&
	    (strcmp(s->command, "postscreen") == 0 ||
		postfix_service_role(pf, s) == ROLE_CLIENTS);
}

static void
check_service(struct check *c, const struct postfix_copy *postfix,
    const struct postfix_service *s, const char *instance)
{
	char name[NAME_MAX_LEN];
	struct place p = { .name = name };
	struct err err;

	(void)snprintf(name, sizeof(name), "%s%s%s/%s", instance,
	    *instance == '\0' ? "" : ": ", s->name, s->type);
	if (reach(c, postfix, s, &p, &err) == -1) {
		line(&p, "", err.text, "");
		return;
	}
	p.from_anybody = p.port == 25;
	check_place(c, &p);
}

static int
check_instance(struct check *c, const char *dir, const char *instance)
{
	struct postfix_copy postfix = { .dir = dir };
	struct err err;

	if (postfix_conf_load(dir, &postfix.pf, &err) == -1)
		return ctl_fail(c->ctl, EX_CONFIG, "%s", err.text);
	for (size_t i = 0; i < postfix.pf.n_services; i++)
		if (takes_clients(&postfix.pf, &postfix.pf.services[i]))
			check_service(
			    c, &postfix, &postfix.pf.services[i], instance);
	postfix_conf_release(&postfix.pf);
	return 0;
}

static int
check_postfix(struct check *c, const char *dir)
{
	struct string_list dirs = { 0 };
	struct err err;
	int rc = 0;

	if (postfix_instances(dir, &dirs, &err) == -1)
		return ctl_fail(c->ctl, EX_CONFIG, "%s", err.text);
	for (size_t i = 0; i < dirs.n && rc == 0; i++)
		rc = check_instance(c, dirs.v[i], dirs.n == 1 ? "" : dirs.v[i]);
	string_list_release(&dirs);
	return rc;
}

/* The ports of mail (RFC 5321, 6409, 8314) on the first address that answers:
 * Sendmail and Exim say nothing of their services that a program could read. */
static int
check_ports(struct check *c)
{
	static const unsigned ports[] = { 25, 587, 465 };

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		char name[32];
		struct place p = { .name = name,
			.port = ports[i],
			.tls = ports[i] == 465,
			.from_anybody = ports[i] == 25 };

		(void)snprintf(name, sizeof(name), "port %u", ports[i]);
		for (size_t j = 0; j < c->own.n; j++) {
			struct err err;
			const struct probe_net *net =
			    stranger(c, c->own.v[j].base.family, &err);
			int fd = net == NULL
			    ? -1
			    : probe_net_socket(net, c->own.v[j].base.family);

			if (net == NULL)
				return ctl_fail(
				    c->ctl, EX_NOPERM, "%s", err.text);
			bool there = fd != -1 &&
			    smtp_connect(
				fd, &c->own.v[j].base, p.port, TIMEOUT_MS) == 0;

			if (fd != -1)
				(void)close(fd);
			if (!there)
				continue;
			p.to = c->own.v[j].base;
			check_place(c, &p);
			break;
		}
	}
	return 0;
}

int
wiring_check(struct ctl *ctl, const char *mta, const char *dir)
{
	struct check c = { .ctl = ctl, .status = CHECK_WIRED };
	struct err err;
	int rc;

	if (geteuid() != 0)
		return ctl_fail(ctl, EX_NOPERM,
		    "--check needs root: it asks from an address that isn't this machine's");
	if (loopback_machine(&c.own, &err) == -1)
		return ctl_fail_err(ctl, &err);
	rc = find_ours(&c);
	if (rc == 0)
		rc = strcmp(mta, "postfix") == 0 ? check_postfix(&c, dir)
						 : check_ports(&c);
	for (int i = 0; i < 2; i++)
		if (c.open[i])
			probe_net_close(&c.net[i]);
	network_set_release(&c.own);
	if (rc == 0 && c.asked == 0)
		rc = ctl_fail(ctl, EX_UNAVAILABLE,
		    "no service of %s takes mail from other machines", mta);
	return rc != 0 ? rc : c.status;
}
