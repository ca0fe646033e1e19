/* SPDX-License-Identifier: ISC */
/* doctor --probe: what does the server say to somebody who has no right to
 * relay? */
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/err.h"
#include "common/mta/domains.h"
#include "ctl/ctl.h"
#include "ctl/doctor/doctor.h"
#include "ctl/doctor/probe/relay_probe.h"
#include "ctl/smtp/probe_net.h"

enum {
	TIMEOUT_S = 30, /* RFC 5321 section 4.5.3.2 would wait 5 minutes */
	TIMEOUT_MAX_S = 600,
	TARGETS_MAX = 32, /* addresses of the machine that are tried */
	WORDS_MAX = 16,
	EXAMPLES = 4 /* hits that a finding quotes */
};

/* RFC 2606: nobody's, so no mail server counts it as its own. */
#define FOREIGN "example.net"

struct target {
	struct addr addr;
	unsigned port;
};

struct run {
	struct doctor *d;
	struct relay_options options;
	struct relay_result *result;
	struct string_list domains; /* borrows from set */
	struct domain_set set;
	const char *senders[WORDS_MAX + 1], *helos[WORDS_MAX + 1];
	char *senders_text, *helos_text;
	struct target targets[TARGETS_MAX];
	size_t n;
	bool named; /* --host */
	struct addr source;
};

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Our domains as a list: those that can stand behind an @. */
static int
load_domains(struct run *r)
{
	struct err err;

	if (domains_load(&r->d->ctl->cfg->relay.local_domains, &r->set, &err) ==
	    -1)
		return ctl_fail(
		    r->d->ctl, EX_CONFIG, "relay.local_domains: %s", err.text);
	r->domains.v = calloc(r->set.names.n + 1, sizeof(*r->domains.v));
	if (r->domains.v == NULL)
		return ctl_fail(r->d->ctl, EX_OSERR, "out of memory");
	for (size_t i = 0; i < r->set.names.size; i++) {
		char *name = r->set.names.slot[i];

		if (name != NULL && *name != '.' && *name != '[' &&
		    strcmp(name, "localhost") != 0)
			r->domains.v[r->domains.n++] = name;
	}
	if (r->domains.n > 1)
		qsort(
		    r->domains.v, r->domains.n, sizeof(*r->domains.v), by_name);
	return 0;
}

/* "a,b" of an option into list, which ends with NULL. */
static int
load_words(struct run *r, enum doctor_option o, char **text,
    const char *list[WORDS_MAX + 1])
{
	size_t n = 0;

	if (doctor_option(r->d, o) == NULL)
		return 0;
	*text = strdup(doctor_option(r->d, o));
	if (*text == NULL)
		return ctl_fail(r->d->ctl, EX_OSERR, "out of memory");
	char *rest = *text;

	for (char *word; (word = strsep(&rest, ",")) != NULL;) {
		if (n == WORDS_MAX)
			return ctl_fail(r->d->ctl, EX_USAGE,
			    "--sender and --helo take at most %d", WORDS_MAX);
		if (*word != '\0')
			list[n++] = word;
	}
	return 0;
}

static bool
add_target(struct run *r, const struct sockaddr *sa, unsigned port)
{
	struct target *t = &r->targets[r->n];

	if (r->n == TARGETS_MAX || !addr_from_sockaddr(sa, &t->addr))
		return false;
	t->port = port;
	r->n++;
	return true;
}

/* HOST, HOST:PORT, ADDRESS, [ADDRESS]:PORT */
static int
named_target(struct run *r, const char *text)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *res;
	const char *colon = strrchr(text, ':');
	char host[256];
	int64_t port = 25;
	int rc;

	/* an IPv6 address without brackets has no port */
	if (colon != NULL && *text != '[' && strchr(text, ':') != colon)
		colon = NULL;
	if (colon != NULL && *text == '[' && colon[-1] != ']')
		colon = NULL;
	if (colon != NULL &&
	    (rc = ctl_number(r->d->ctl, colon + 1, 1, 65535, &port)) != 0)
		return rc;
	rc = snprintf(host, sizeof(host), "%.*s",
	    colon == NULL ? (int)strlen(text) : (int)(colon - text), text);
	if (*host == '[' && rc < (int)sizeof(host) && host[rc - 1] == ']') {
		host[rc - 1] = '\0';
		memmove(host, host + 1, (size_t)rc - 1);
	}
	if (rc >= (int)sizeof(host) ||
	    getaddrinfo(host, NULL, &hints, &res) != 0)
		return ctl_fail(r->d->ctl, EX_NOHOST,
		    "--host: '%.200s' has no address", text);
	(void)add_target(r, res->ai_addr, (unsigned)port);
	freeaddrinfo(res);
	(void)fprintf(stderr,
	    "popgatectl: doctor: asking %.200s, a server that was named, to relay: some hundred\n"
	    "questions by MAIL and RCPT, no message. Its log will show them; ask only servers\n"
	    "that are yours.\n",
	    text);
	return 0;
}

static bool
reachable(const struct addr *a)
{
	/* loopback; link-local (RFC 3927, RFC 4291 section 2.5.6) */
	if (a->family == ADDR_IPV4)
		return a->bytes[0] != 127 &&
		    (a->bytes[0] != 169 || a->bytes[1] != 254);
	struct in6_addr in6;

	memcpy(&in6, a->bytes, sizeof(in6));
	return !IN6_IS_ADDR_LOOPBACK(&in6) && !IN6_IS_ADDR_LINKLOCAL(&in6);
}

/* The machine's own addresses; loopback only when there is a source, as
 * nobody else comes there. */
static int
own_targets(struct run *r)
{
	struct ifaddrs *list;
	int nearest = r->source.family == ADDR_NONE;

	if (getifaddrs(&list) == -1)
		return ctl_fail(r->d->ctl, EX_OSERR, "getifaddrs");
	for (int far = 1; far >= nearest; far--)
		for (const struct ifaddrs *i = list; i != NULL;
		     i = i->ifa_next) {
			struct addr a;

			if (addr_from_sockaddr(i->ifa_addr, &a) &&
			    (int)reachable(&a) == far)
				(void)add_target(r, i->ifa_addr, 25);
		}
	freeifaddrs(list);
	return 0;
}

/* Somebody with a right to relay would find every server open. */
static int
check_source(struct run *r, const char *text)
{
	struct ctl *ctl = r->d->ctl;
	struct store *st = NULL;
	struct store_lookup found = { 0 };
	int rc = ctl_address(ctl, text, &r->source);

	if (rc != 0)
		return rc;
	if (network_set_contains(&ctl->cfg->relay.trusted_networks, &r->source))
		return ctl_fail(ctl, EX_USAGE,
		    "--source: %s is in relay.trusted_networks: it may relay; choose an address that may not",
		    text);
	if (store_open(ctl->cfg->logins.database, STORE_READ, &st, NULL) == 0 &&
	    store_lookup(st, &r->source, NULL,
		(uint8_t)ctl->cfg->relay.ipv6_prefix, ctl->now, &found,
		NULL) == -1)
		found.active = false;
	store_close(&st);
	if (found.active)
		return ctl_fail(ctl, EX_USAGE,
		    "--source: %s is in the login table: it may relay; choose an address that may not, or use --login-check",
		    text);
	return 0;
}

/* --- findings --- */

static const char *
where(const struct run *r, char *buf, size_t size)
{
	char text[ADDR_TEXT_MAX];
	bool six = r->options.to.family == ADDR_IPV6;

	(void)snprintf(buf, size, "%s%s%s:%u", six ? "[" : "",
	    addr_format(&r->options.to, text), six ? "]" : "", r->options.port);
	return buf;
}

static void
add_examples(const struct relay_result *result, enum relay_key key, char *buf,
    size_t size)
{
	size_t n = 0, len = 0;

	*buf = '\0';
	for (size_t i = 0; i < result->n && n < EXAMPLES; i++) {
		const struct relay_hit *h = &result->hits[i];
		int put;

		if (h->key != key)
			continue;
		put = snprintf(buf + len, size - len,
		    " EHLO %.40s, MAIL FROM:<%.60s>, RCPT TO:%.100s: %.40s (%s).",
		    h->helo, h->sender, h->recipient, h->reply, h->kind);
		if (put < 0 || (size_t)put >= size - len) {
			buf[len] = '\0';
			return;
		}
		len += (size_t)put;
		n++;
	}
}

static void
add_hits(struct run *r, enum relay_key key, const char *id, const char *words)
{
	char at[80], examples[900];
	const struct relay_result *result = r->result;

	if (result->keys[key] == 0)
		return;
	add_examples(result, key, examples, sizeof(examples));
	doctor_add(r->d, id, NULL, "%s %s (%u of %u questions).%s",
	    where(r, at, sizeof(at)), words, result->keys[key], result->asked,
	    examples);
}

static void
add_own(struct run *r)
{
	char at[80];
	unsigned put_off = 0;

	(void)where(r, at, sizeof(at));
	for (size_t i = 0; i < r->result->own_n; i++) {
		put_off += r->result->own[i].answer == OWN_PUT_OFF;
		if (r->result->own[i].answer == OWN_REFUSED)
			doctor_add(r->d, "probe-own-refused", NULL,
			    "%s refused mail for postmaster@%s, a domain of relay.local_domains: %s",
			    at, r->result->own[i].domain,
			    r->result->own[i].reply);
	}
	if (put_off > 0)
		doctor_add(r->d, "probe-own-put-off", NULL,
		    "%s put off mail for postmaster of %u of our own domains: %s",
		    at, put_off, r->result->put_off_reply);
}

/* Report the questions that can't be judged. */
static bool
add_unjudged(struct run *r)
{
	const struct relay_result *result = r->result;
	char at[80];
	bool judged = result->plain_judged && *result->stopped == '\0';
	size_t refused = 0;

	(void)where(r, at, sizeof(at));
	for (size_t i = 0; i < result->own_n; i++)
		refused += result->own[i].answer == OWN_REFUSED;
	if (*result->stopped != '\0')
		doctor_add(r->d, "probe-unjudged", NULL,
		    "%s stopped answering after %u of the questions: %s", at,
		    result->asked - result->unanswered, result->stopped);
	if (result->put_off > 0)
		doctor_add(r->d, "probe-unjudged", NULL,
		    "%s put off %u of %u questions, which is no refusal: %s",
		    at, result->put_off, result->asked, result->put_off_reply);
	if (*result->stopped == '\0' && !result->plain_judged &&
	    result->other > 0)
		doctor_add(r->d, "probe-unjudged", NULL,
		    "%s refused for another reason than relaying: %s. Name a domain that gets mail but isn't yours by --foreign.",
		    at, result->other_reply);
	if (result->own_n > 0 && refused == result->own_n) {
		doctor_add(r->d, "probe-unjudged", NULL,
		    "%s refuses this client whatever it asks for, mail for our own domains too: %s",
		    at, result->own[0].reply);
		judged = false;
	}
	return judged && result->put_off == 0;
}

static void
report(struct run *r)
{
	const struct relay_result *result = r->result;
	char at[80];
	unsigned hits = 0;

	add_hits(r, RELAY_ANYBODY, "probe-open-relay",
	    "relays for a stranger, whoever the sender is");
	add_hits(r, RELAY_SENDER, "probe-sender-opens",
	    "relays for a stranger who claims a certain sender");
	add_hits(r, RELAY_HELO, "probe-helo-opens",
	    "relays for a stranger who says a certain name in HELO");
	add_hits(r, RELAY_XCLIENT, "probe-xclient-opens",
	    "believes a stranger who says, by XCLIENT, for whom he speaks");
	add_hits(r, RELAY_FORM, "probe-form-opens",
	    "takes recipients that lead outside, in forms that it should refuse");
	add_hits(r, RELAY_UNSURE, "probe-form-unsure",
	    "takes recipients that may lead outside, in a domain where it takes any name");
	add_hits(r, RELAY_PROGRAM, "probe-program",
	    "takes a program or a file for a recipient");
	add_own(r);
	for (int k = 0; k < RELAY_KEYS; k++)
		hits += result->keys[k];
	/* what was accepted without being a hit is a strange name in a domain
	 * that takes any name */
	if (add_unjudged(r) && hits == 0)
		doctor_add(r->d, "probe-closed", NULL,
		    "%s relays for nobody: %u questions, every form, sender and HELO, %u refused.",
		    where(r, at, sizeof(at)), result->asked,
		    result->refused + result->other);
}

/* --- running --- */

static int
open_net(struct run *r, struct probe_net *net, enum addr_family family)
{
	struct err err;

	if (r->source.family != ADDR_NONE) {
		probe_net_plain(net, &r->source);
		return 0;
	}
	/* a named server sees whatever the way to it makes of us */
	if (r->named) {
		probe_net_plain(net, &r->source);
		return 0;
	}
	if (probe_net_open(net, family, &r->source, &err) == 0)
		return 0;
	probe_net_close(net);
	return ctl_fail(r->d->ctl, EX_NOPERM, "--probe: %s", err.text);
}

/* The first address of the family at which somebody speaks SMTP. */
static bool
probe_port(struct run *r, enum addr_family family, unsigned port)
{
	for (size_t i = 0; i < r->n; i++) {
		if (r->targets[i].addr.family != family)
			continue;
		r->options.to = r->targets[i].addr;
		r->options.port = r->named ? r->targets[i].port : port;
		relay_probe(&r->options, r->result);
		if (!r->result->connected)
			continue;
		report(r);
		return true;
	}
	return false;
}

static int
probe_family(struct run *r, enum addr_family family, bool *connected_r)
{
	static const unsigned ports[] = { 25, 587 };
	struct probe_net net;
	bool any = false;
	int rc;

	for (size_t i = 0; i < r->n; i++)
		any |= r->targets[i].addr.family == family;
	if (!any ||
	    (r->source.family != ADDR_NONE && r->source.family != family))
		return 0;
	rc = open_net(r, &net, family);
	if (rc != 0)
		return rc;
	r->options.net = &net;
	for (int i = 0; i < (r->named ? 1 : 2); i++)
		*connected_r |= probe_port(r, family, ports[i]);
	probe_net_close(&net);
	return 0;
}

static int
probe_all(struct run *r)
{
	bool connected = false;
	int rc = probe_family(r, ADDR_IPV4, &connected);

	if (rc == 0)
		rc = probe_family(r, ADDR_IPV6, &connected);
	if (rc == 0 && !connected)
		doctor_add(r->d, "probe-unjudged", NULL,
		    "No SMTP server could be asked%s%.300s.",
		    *r->result->stopped == '\0' ? "" : ": ",
		    r->result->stopped);
	return rc;
}

/* --login-check: a client that has logged in is let through. */
static int
login_check(struct run *r, const char *text)
{
	struct probe_net net;
	struct addr client;
	char at[80];
	struct err err;
	bool connected = false;
	int timeout_ms = r->options.timeout_ms;
	int rc = ctl_address(r->d->ctl, text, &client);

	if (rc != 0)
		return rc;
	r->options.one = true;
	/* an address that we have or are routed can be bound; else a name
	 * space borrows it */
	for (int borrow = 0; borrow < 2 && !connected; borrow++) {
		if (borrow == 0)
			probe_net_plain(&net, &client);
		else if (probe_net_open(&net, client.family, &client, &err) ==
		    -1) {
			probe_net_close(&net);
			break;
		}
		/* the answers to an address that we don't have go astray */
		if (borrow == 0 && timeout_ms > 3000)
			r->options.timeout_ms = 3000;
		else
			r->options.timeout_ms = timeout_ms;
		for (size_t i = 0; i < r->n && !connected; i++) {
			if (r->targets[i].addr.family != client.family)
				continue;
			r->options.net = &net;
			r->options.to = r->targets[i].addr;
			r->options.port = r->targets[i].port;
			relay_probe(&r->options, r->result);
			connected = r->result->connected;
		}
		probe_net_close(&net);
	}
	(void)where(r, at, sizeof(at));
	if (!connected || r->result->unanswered > 0)
		doctor_add(r->d, "probe-unjudged", NULL,
		    "No server could be asked as the client %s: %.300s.", text,
		    *r->result->stopped == '\0' ? "no connection"
						: r->result->stopped);
	else if (r->result->accepted > 0)
		doctor_add(r->d, "probe-login-relays", NULL,
		    "%s lets the client %s relay.", at, text);
	else
		doctor_add(r->d, "probe-login-refused", NULL,
		    "%s doesn't let the client %s relay: %s", at, text,
		    r->result->put_off > 0 ? r->result->put_off_reply
			: *r->result->other_reply != '\0'
			? r->result->other_reply
			: "refused (popgatectl why tells the reason)");
	return 0;
}

static int
prepare(struct run *r)
{
	const char *host = doctor_option(r->d, DOCTOR_HOST);
	const char *source = doctor_option(r->d, DOCTOR_SOURCE);
	const char *foreign = doctor_option(r->d, DOCTOR_FOREIGN);
	const char *timeout = doctor_option(r->d, DOCTOR_TIMEOUT);
	int64_t timeout_s = TIMEOUT_S;
	int rc = source == NULL ? 0 : check_source(r, source);

	if (rc == 0)
		rc = load_domains(r);
	if (rc == 0)
		rc = load_words(r, DOCTOR_SENDER, &r->senders_text, r->senders);
	if (rc == 0)
		rc = load_words(r, DOCTOR_HELO, &r->helos_text, r->helos);
	if (rc == 0 && host != NULL) {
		r->named = true;
		rc = named_target(r, host);
	} else if (rc == 0) {
		rc = own_targets(r);
	}
	if (rc == 0 && timeout != NULL)
		rc = ctl_duration(
		    r->d->ctl, "--timeout", timeout, TIMEOUT_MAX_S, &timeout_s);
	/* what is refused stays out of the sum */
	if (rc != 0)
		timeout_s = TIMEOUT_S;
	r->options.timeout_ms = (int)timeout_s * 1000;
	r->options.domains = &r->domains;
	r->options.senders = r->senders;
	r->options.helos = r->helos;
	r->options.foreign = foreign == NULL ? FOREIGN : foreign;
	char folded[DOMAIN_TEXT_MAX];

	if (rc == 0 &&
	    (!domain_fold(
		 r->options.foreign, strlen(r->options.foreign), folded) ||
		domains_contain(&r->set, folded)))
		rc = ctl_fail(r->d->ctl, EX_USAGE,
		    "--foreign: '%.100s' must be a domain, and none of ours",
		    r->options.foreign);
	return rc;
}

int
doctor_probe(struct doctor *d)
{
	struct run *r = calloc(1, sizeof(*r));
	const char *login = doctor_option(d, DOCTOR_LOGIN_CHECK);
	int rc;

	if (r == NULL || (r->result = calloc(1, sizeof(*r->result))) == NULL) {
		free(r);
		return ctl_fail(d->ctl, EX_OSERR, "out of memory");
	}
	r->d = d;
	rc = prepare(r);
	if (rc == 0)
		rc = probe_all(r);
	if (rc == 0 && login != NULL)
		rc = login_check(r, login);
	domains_release(&r->set);
	free(r->domains.v);
	free(r->senders_text);
	free(r->helos_text);
	free(r->result);
	free(r);
	return rc;
}
