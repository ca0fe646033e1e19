/* SPDX-License-Identifier: ISC */
/* exim - what in an Exim configuration lets strangers relay, or will,
 * as far as reading it goes.
 *
 * acl_smtp_rcpt is walked through for a stranger who sends to a foreign
 * domain. Of each condition two things are asked: can he meet it, and does
 * every stranger meet it. An accept whose conditions he can meet is a finding;
 * a deny that every stranger meets, or a require that he can't, ends it. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/err.h"
#include "common/base/run.h"
#include "common/mta/conf_file.h"
#include "common/mta/exim_conf.h"
#include "ctl/ctl.h"
#include "ctl/doctor/doctor.h"
#include "ctl/doctor/files.h"
#include "ctl/doctor/net.h"

enum { WORD_LEN = 600, DEPTH_MAX = 8, NAME_LEN = 64 };

/* What a list says of a stranger, or of a foreign domain. */
enum match {
	MATCH_NO,
	MATCH_SOME, /* too many: a wide network, a top level domain */
	MATCH_NAMES, /* clients by host name */
	MATCH_MX, /* whoever lists us as mail exchanger */
	MATCH_UNKNOWN,
	MATCH_YES
};

struct exam {
	struct doctor *d;
	const char *path;
	char *source; /* the file's text, for lines; NULL */
	struct exim_conf cf;
	struct net_machine machine;
	char culprit[WORD_LEN]; /* the member that matched too much */
	/* accepts of which nobody can tell whom they let pass: the first, what
	 * it hangs on, and how many there are */
	const char *unknown;
	char unknown_culprit[WORD_LEN];
	unsigned n_unknown;
	int depth;
};

/* Does the source's line at say what text says (blanks don't count), or a
 * beginning of it that goes on behind "\\"? Not whole: "text = ...". */
static bool
says(const char *at, const char *text, bool whole)
{
	for (; *text != '\0'; at++) {
		if (*at == ' ' || *at == '\t')
			continue;
		text += strspn(text, " \t");
		if (*at == '\\' && at[1 + strspn(at + 1, " \t")] == '\n')
			return true;
		if (*at != *text++)
			return *text == '\0' && text[-1] == '\0';
		text += strspn(text, " \t");
	}
	at += strspn(at, " \t\r");
	return *at == '\n' || *at == '\0' || (!whole && *at == '=');
}

/* The line of the file that says what text says, a line of x->cf: of several
 * the one that has as many like it before it. Else text is the name of an
 * option, and it is the line that sets it. 0: none. */
static unsigned
source_line(const struct exam *x, const char *text)
{
	unsigned line = 0, before = 0, found = 0;
	size_t i;

	for (i = 0; i < x->cf.n && x->cf.v[i].text != text; i++)
		before += strcmp(x->cf.v[i].text, text) == 0;
	bool whole = i < x->cf.n;

	for (const char *at = x->source; at != NULL && *at != '\0';) {
		line++;
		if (says(at, text, whole)) {
			found = line;
			if (before-- == 0)
				return line;
		}
		at += strcspn(at, "\n");
		at += *at == '\n';
	}
	return found;
}

static void
add(struct exam *x, const char *kind, const char *text, const char *detail)
{
	struct finding_at at = {
		.file = x->path,
		.line = text == NULL ? 0 : source_line(x, text),
		.value = text,
	};

	doctor_add(x->d, kind, &at, "%s", detail);
}

/* --- lists --- */

static enum match
match_list(struct exam *x, const char *kind, const char *list);

static enum match
match_file(struct exam *x, const char *kind, const char *path)
{
	char *text = conf_file_read(path), *rest = text;
	enum match worst = MATCH_NO;

	doctor_check_writable(x->d, "exim-config-writable", path);
	if (text == NULL)
		return MATCH_UNKNOWN;
	for (char *line = strsep(&rest, "\n"); line != NULL;
	     line = strsep(&rest, "\n")) {
		char one[WORD_LEN];

		line[strcspn(line, "#")] = '\0';
		/* one member a line, colons and all */
		(void)snprintf(one, sizeof(one), "<\x01 %.590s", line);
		enum match m = match_list(x, kind, one);

		if (m > worst)
			worst = m;
	}
	free(text);
	return worst;
}

static enum match
match_host(struct exam *x, const char *word)
{
	char who[ADDR_TEXT_MAX];
	struct network net;

	if (strcmp(word, "*") == 0)
		return MATCH_YES;
	if (net_word_parse(word, &net))
		switch (net_danger(&x->machine, &net, who)) {
		case NET_WORLD:
			return MATCH_YES;
		case NET_WIDE:
			return MATCH_SOME;
		default:
			return MATCH_NO;
		}
	if (*word == '\0' || *word == '@' || strcmp(word, "localhost") == 0 ||
	    strncmp(word, "+ignore", 7) == 0 || strncmp(word, "+defer", 6) == 0)
		return MATCH_NO;
	if (strcmp(word, "+include_unknown") == 0)
		return MATCH_NAMES;
	return strchr(word, '*') != NULL ? MATCH_NAMES
	    : strchr(word, ';') != NULL  ? MATCH_UNKNOWN
					 : MATCH_NO;
}

static enum match
match_domain(const char *word)
{
	static const char *const all[] = {
		"*",
		"^",
		"^.*",
		"^.*$",
		"^.+$",
		"^.+",
		"*.*",
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(word, all[i]) == 0)
			return MATCH_YES;
	if (strncmp(word, "@mx_", 4) == 0)
		return MATCH_MX;
	if (*word == '*' && word[1] != '\0' && strchr(word + 2, '.') == NULL)
		return MATCH_SOME;
	return MATCH_NO;
}

/* "postmaster@example.com", "*@example.com": by its domain; with "^", or
 * without "@", whatever it likes. */
static enum match
match_recipient(const char *word)
{
	const char *at = strrchr(word, '@');

	if (*word == '^' || strchr(word, ';') != NULL)
		return MATCH_UNKNOWN;
	/* one address, or nobody's: no way to send to everybody */
	return at == NULL ? match_domain(word) : match_domain(at + 1);
}

/* One member, without "!". */
static enum match
match_member(struct exam *x, const char *kind, const char *word)
{
	const char *named;

	if (*word == '+') {
		named = exim_list(&x->cf, kind, word + 1);
		if (named != NULL) {
			enum match m = MATCH_UNKNOWN;

			if (x->depth < DEPTH_MAX) {
				x->depth++;
				m = match_list(x, kind, named);
				x->depth--;
			}
			return m;
		}
	}
	if (strstr(word, "${") != NULL || *word == '$')
		return MATCH_UNKNOWN;
	if (*word == '/')
		return match_file(x, kind, word);
	if (strncmp(word, "lsearch;/", 9) == 0 ||
	    strncmp(word, "iplsearch;/", 11) == 0)
		return match_file(x, kind, strchr(word, '/'));
	return *kind == 'h' ? match_host(x, word)
	    : *kind == 'a'  ? match_recipient(word)
			    : match_domain(word);
}

static enum match
match_list(struct exam *x, const char *kind, const char *list)
{
	enum match worst = MATCH_NO;
	char word[WORD_LEN], sep = 0;
	bool last_negated = false;

	while (exim_member(&list, &sep, word, sizeof(word))) {
		const char *bare = word + (*word == '!');
		enum match m =
		    match_member(x, kind, bare + strspn(bare, " \t"));

		last_negated = *word == '!';
		if (last_negated && m == MATCH_YES)
			return worst; /* nobody comes behind that */
		if (last_negated || m == MATCH_NO)
			continue;
		if (m > worst) {
			worst = m;
			if (*word != '+')
				(void)snprintf(
				    x->culprit, sizeof(x->culprit), "%s", word);
		}
	}
	/* a list that ends with "!x" means everything else */
	if (last_negated && worst < MATCH_YES)
		return MATCH_YES;
	return worst;
}

/* --- conditions --- */

enum ground {
	BY_NONE,
	BY_SENDER,
	BY_HELO,
	BY_HOSTS,
	BY_WIDE,
	BY_NAMES,
	BY_DOMAINS,
	BY_MX,
	BY_UNKNOWN
};

struct condition {
	bool possible; /* a stranger can meet it */
	bool certain; /* every stranger meets it */
	enum ground reason; /* by what */
};

static struct condition
from_match(enum match m, bool negated, bool hosts)
{
	static const enum ground host_reasons[] = {
		[MATCH_NO] = BY_NONE,
		[MATCH_SOME] = BY_WIDE,
		[MATCH_NAMES] = BY_NAMES,
		[MATCH_MX] = BY_NONE,
		[MATCH_UNKNOWN] = BY_UNKNOWN,
		[MATCH_YES] = BY_HOSTS,
	};
	static const enum ground domain_reasons[] = {
		[MATCH_NO] = BY_NONE,
		[MATCH_SOME] = BY_DOMAINS,
		[MATCH_NAMES] = BY_NONE,
		[MATCH_MX] = BY_MX,
		[MATCH_UNKNOWN] = BY_UNKNOWN,
		[MATCH_YES] = BY_DOMAINS,
	};
	enum ground reason = hosts ? host_reasons[m] : domain_reasons[m];

	if (negated)
		return (struct condition){ .possible = m != MATCH_YES,
			.certain = m == MATCH_NO,
			.reason = reason };
	return (struct condition){ .possible = m != MATCH_NO,
		.certain = m == MATCH_YES,
		.reason = reason };
}

static bool
is_modifier(const char *name)
{
	static const char *const names[] = {
		"message",
		"log_message",
		"control",
		"delay",
		"add_header",
		"remove_header",
		"logwrite",
		"set",
		"endpass",
		"continue",
		"queue",
		"log_reject_target",
		"udpsend",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* "condition = ..." */
static struct condition
expression(const char *value, bool negated)
{
	static const char *const helo[] = {
		"$sender_helo_name",
		"${sender_helo_name",
		"sender_helo_",
	};
	static const char *const yes[] = { "yes", "true", "1" };
	static const char *const no[] = { "no", "false", "0" };

	for (int i = 0; i < 3; i++) {
		if (strcmp(value, negated ? no[i] : yes[i]) == 0)
			return (struct condition){ true, true, BY_NONE };
		if (strcmp(value, negated ? yes[i] : no[i]) == 0)
			return (struct condition){ false, false, BY_NONE };
		if (strstr(value, helo[i]) != NULL)
			return (struct condition){ true, false, BY_HELO };
	}
	if (strstr(value, "sender_address") != NULL)
		return (struct condition){ true, false, BY_SENDER };
	return (struct condition){ true, false, BY_UNKNOWN };
}

enum end { END_GO_ON, END_CLOSED, END_OPEN };

static enum end walk_acl(struct exam *x, const char *name, bool report);

static struct condition
one_condition(struct exam *x, const char *name, const char *value, bool negated)
{
	x->culprit[0] = '\0';
	if (strcmp(name, "hosts") == 0)
		return from_match(
		    match_list(x, "hostlist", value), negated, true);
	if (strcmp(name, "domains") == 0)
		return from_match(
		    match_list(x, "domainlist", value), negated, false);
	if (strcmp(name, "recipients") == 0)
		return from_match(
		    match_list(x, "addresslist", value), negated, false);
	if (strcmp(name, "authenticated") == 0)
		return (struct condition){ negated, negated, BY_NONE };
	if (strcmp(name, "senders") == 0 || strcmp(name, "sender_domains") == 0)
		return (struct condition){ true,
			strcmp(value, "*") == 0 && !negated, BY_SENDER };
	if (strcmp(name, "condition") == 0)
		return expression(value, negated);
	if (strcmp(name, "acl") == 0) {
		enum end end = x->depth >= DEPTH_MAX
		    ? END_GO_ON
		    : walk_acl(x, value, false);

		if (end == END_CLOSED)
			return (struct condition){ negated, negated, BY_NONE };
		return (struct condition){ true, false, BY_UNKNOWN };
	}
	/* verify, dnslists, local_parts, encrypted...: he may meet them */
	return (struct condition){ true, false, BY_NONE };
}

/* --- the ACL --- */

struct statement {
	char verb[16];
	const char *first; /* its text, for the line */
	bool possible, certain;
	bool narrows; /* only what reason says is uncertain */
	enum ground reason;
	char culprit[WORD_LEN];
};

static void
take_condition(struct exam *x, struct statement *s, const char *text)
{
	char name[NAME_LEN];
	bool negated;
	const char *value = exim_condition(text, name, sizeof(name), &negated);
	struct condition c;

	if (value == NULL || is_modifier(name))
		return;
	c = one_condition(x, name, value, negated);
	s->possible &= c.possible;
	if (!c.certain && c.reason == BY_NONE)
		s->narrows = false;
	s->certain &= c.certain;
	/* what he says of himself weighs more than what nobody knows */
	if (c.possible && c.reason != BY_NONE &&
	    (s->reason == BY_NONE || c.reason < s->reason)) {
		s->reason = c.reason;
		(void)snprintf(
		    s->culprit, sizeof(s->culprit), "%s", x->culprit);
	}
}

static void
note_unknown(struct exam *x, const struct statement *s)
{
	if (x->n_unknown++ > 0)
		return;
	x->unknown = s->first;
	(void)snprintf(
	    x->unknown_culprit, sizeof(x->unknown_culprit), "%s", s->culprit);
}

/* Once for all, since what to do is the same. */
static void
report_unknown(struct exam *x, const char *acl)
{
	char detail[WORD_LEN + 400], more[60] = "";

	if (x->n_unknown == 0)
		return;
	if (x->n_unknown > 1)
		(void)snprintf(
		    more, sizeof(more), " and %u more", x->n_unknown - 1);
	(void)snprintf(detail, sizeof(detail),
	    "ACL %.60s: whether \"%.200s\"%s lets strangers pass%s%.200s%s.",
	    acl, x->unknown, more,
	    *x->unknown_culprit == '\0' ? " can't be told by reading"
					: " hangs on \"",
	    x->unknown_culprit,
	    *x->unknown_culprit == '\0'
		? ""
		: "\", which only the running Exim can say");
	add(x, "exim-not-understood", x->unknown, detail);
}

static void
report_accept(struct exam *x, const char *acl, const struct statement *s,
    enum ground narrow)
{
	static const char *const kinds[] = {
		[BY_NONE] = "exim-relay-open",
		[BY_SENDER] = "exim-sender-permits",
		[BY_HELO] = "exim-helo-permits",
		[BY_HOSTS] = "exim-hosts-open",
		[BY_WIDE] = "exim-hosts-wide",
		[BY_NAMES] = "exim-client-name-permits",
		[BY_DOMAINS] = "exim-domains-open",
		[BY_MX] = "exim-mx",
		[BY_UNKNOWN] = "exim-not-understood",
	};
	enum ground reason = s->reason != BY_NONE ? s->reason : narrow;
	char detail[WORD_LEN + 300];

	if (reason == BY_UNKNOWN) {
		note_unknown(x, s);
		return;
	}
	(void)snprintf(detail, sizeof(detail),
	    "ACL %.60s: a stranger who sends to other people's domains can meet \"%.200s\"%s%.200s.",
	    acl, s->first, *s->culprit == '\0' ? "" : " by ", s->culprit);
	add(x, kinds[reason], s->first, detail);
}

static enum end
judge(struct exam *x, const char *acl, const struct statement *s,
    enum ground *narrow, bool report)
{
	bool accept = strcmp(s->verb, "accept") == 0;

	if (strcmp(s->verb, "warn") == 0 || *s->verb == '\0')
		return END_GO_ON;
	if (strcmp(s->verb, "require") == 0) {
		if (!s->possible)
			return END_CLOSED;
		if (!s->certain && s->reason != BY_NONE)
			*narrow = s->reason;
		else if (s->reason == BY_DOMAINS || s->reason == BY_HOSTS)
			*narrow = s->reason;
		return END_GO_ON;
	}
	if (accept) {
		if (!s->possible)
			return END_GO_ON;
		if (report)
			report_accept(x, acl, s, *narrow);
		return s->certain ? END_OPEN : END_GO_ON;
	}
	/* deny, drop, defer, discard */
	if (s->certain)
		return END_CLOSED;
	if (s->narrows && s->reason != BY_NONE && s->reason != BY_UNKNOWN)
		*narrow = s->reason;
	return END_GO_ON;
}

static const struct statement fresh = {
	.possible = true,
	.certain = true,
	.narrows = true,
};

/* An ACL that isn't there, or whose end is reached, denies. */
static enum end
walk_acl(struct exam *x, const char *name, bool report)
{
	struct statement *s = malloc(sizeof(*s));
	enum ground narrow = BY_NONE;
	enum end end = END_GO_ON;

	if (s == NULL)
		return END_GO_ON;
	*s = fresh;
	x->depth++;
	for (size_t i = 0; i < x->cf.n && end == END_GO_ON; i++) {
		const struct exim_line *l = &x->cf.v[i];
		char verb[16];
		const char *rest;

		if (strcmp(l->section, "acl") != 0 ||
		    strcmp(l->item, name) != 0)
			continue;
		rest = exim_verb(l->text, verb, sizeof(verb));
		if (rest != NULL) {
			end = judge(x, name, s, &narrow, report);
			*s = fresh;
			(void)snprintf(s->verb, sizeof(s->verb), "%s", verb);
			s->first = l->text;
		} else {
			rest = l->text;
		}
		if (end == END_GO_ON)
			take_condition(x, s, rest);
	}
	if (end == END_GO_ON)
		end = judge(x, name, s, &narrow, report);
	x->depth--;
	free(s);
	return end == END_OPEN ? END_OPEN : END_CLOSED;
}

/* --- the rest --- */

static void
check_auth(struct exam *x)
{
	const char *advertise = exim_option(&x->cf, "auth_advertise_hosts");
	const char *server = NULL, *item = "";
	bool guarded = false;

	if (advertise != NULL &&
	    (*advertise == '\0' || strstr(advertise, "tls_") != NULL))
		return;
	for (size_t i = 0; i <= x->cf.n; i++) {
		const struct exim_line *l = i < x->cf.n ? &x->cf.v[i] : NULL;

		if (l != NULL && strcmp(l->section, "authenticators") != 0)
			continue;
		if (l == NULL || l->item != item) {
			if (server != NULL && !guarded)
				add(x, "exim-auth-without-tls", server,
				    "An authenticator offers AUTH with plain passwords, and no server_advertise_condition asks for TLS.");
			server = NULL;
			guarded = false;
			item = l == NULL ? item : l->item;
		}
		if (l == NULL)
			break;
		if (strncmp(l->text, "server_condition", 16) == 0 ||
		    strncmp(l->text, "server_prompts", 14) == 0)
			server = server == NULL ? l->text : server;
		guarded |=
		    strncmp(l->text, "server_advertise_condition", 26) == 0;
	}
}

static void
check_options(struct exam *x)
{
	const char *proxy = exim_option(&x->cf, "hosts_proxy");
	const char *percent = exim_option(&x->cf, "percent_hack_domains");

	if (proxy != NULL && match_list(x, "hostlist", proxy) != MATCH_NO)
		add(x, "exim-proxy-protocol", "hosts_proxy",
		    "hosts_proxy takes the client's address from whoever says it.");
	if (percent != NULL && *percent != '\0')
		add(x, "exim-percent-hack", "percent_hack_domains",
		    "percent_hack_domains is set.");
	check_auth(x);
}

static char *
read_by_exim(struct exam *x, struct err *err)
{
	const char *program = doctor_option(x->d, DOCTOR_PROGRAM);
	char *argv[] = {
		(char *)(uintptr_t)(program == NULL ? "exim4" : program),
		(char[]){ "-C" },
		(char *)(uintptr_t)x->path,
		(char[]){ "-bP" },
		(char[]){ "config" },
		NULL,
	};
	char *text = run_read(argv, NULL, RUN_TIMEOUT_S, err);

	if (text == NULL && program == NULL) {
		argv[0] = (char[]){ "exim" };
		text = run_read(argv, NULL, RUN_TIMEOUT_S, err);
	}
	return text;
}

void
doctor_exim(struct doctor *d, const char *path)
{
	struct exam x = { .d = d, .path = path };
	struct err err;
	char *text;
	const char *acl;

	x.source = conf_file_read(path);
	if (x.source == NULL) {
		(void)snprintf(x.culprit, sizeof(x.culprit), "%.400s: %s", path,
		    strerror(errno));
		add(&x, "exim-unreadable", NULL, x.culprit);
		return;
	}
	doctor_check_writable(d, "exim-config-writable", path);
	text = read_by_exim(&x, &err);
	if (text == NULL) {
		/* Exim itself refuses a file that everybody can write to */
		if (!doctor_has(d, "exim-config-writable"))
			add(&x, "exim-unreadable", NULL, err.text);
		text = strdup(x.source);
	}
	if (text == NULL || !exim_conf_parse(text, &x.cf)) {
		d->no_memory = true;
		goto out;
	}
	net_machine_load(&x.machine);
	acl = exim_option(&x.cf, "acl_smtp_rcpt");
	if (acl == NULL || *acl == '\0')
		add(&x, "exim-no-acl", NULL,
		    "acl_smtp_rcpt isn't set: Exim refuses every recipient.");
	else if (strchr(acl, '$') != NULL || *acl == '/')
		add(&x, "exim-not-understood", "acl_smtp_rcpt",
		    "acl_smtp_rcpt is not the name of an ACL.");
	else
		(void)walk_acl(&x, acl, true);
	if (acl != NULL)
		report_unknown(&x, acl);
	check_options(&x);
	net_machine_release(&x.machine);
out:
	exim_conf_release(&x.cf);
	free(x.source);
}
