/* doctor_sendmail - what in a sendmail.cf lets strangers relay, or will.
 *
 * The FEATUREs that open a Sendmail leave no name in the file, so they are
 * known by the rules that they add to or take from the rule sets check_rcpt,
 * Basic_check_rcpt, Rcpt_ok and Relay_ok (cf/m4/proto.m4). */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/err.h"
#include "common/base/listen.h"
#include "common/base/run.h"
#include "common/mta/conf_file.h"
#include "common/mta/postfix_table.h"
#include "common/mta/sendmail_cf.h"
#include "ctl/ctl.h"
#include "ctl/doctor/doctor.h"
#include "ctl/doctor/files.h"
#include "ctl/doctor/net.h"

enum { NAME_LEN = 64, FILTERS_LEN = 1000 };

struct exam {
	struct doctor *d;
	const char *path;
	struct sendmail_cf cf;
	struct net_machine machine;
	char filter[NAME_LEN]; /* popgate's X line; "" none */
	bool filter_closes; /* F=T or F=R */
	unsigned filter_line;
	char map[NAME_LEN]; /* K line of popgate's socket map; "" none */
	unsigned from_map; /* line of relay_mail_from's rule; 0: none */
	bool from_permits; /* and a sender is in the map */
};

static void __attribute__((format(printf, 4, 5)))
add(struct exam *x, const char *kind, unsigned line, const char *fmt, ...)
{
	struct finding_at at = { .file = x->path, .line = line };
	char detail[800];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	doctor_add(x->d, kind, &at, "%s", detail);
}

/* --- rule sets --- */

static bool
in_ruleset(const struct sendmail_line *l, const char *const *names)
{
	if (l->kind != 'R')
		return false;
	for (; *names != NULL; names++)
		if (strcmp(l->ruleset, *names) == 0)
			return true;
	return false;
}

static const char *const relay_rulesets[] = { "Basic_check_rcpt", "Rcpt_ok",
	"Relay_ok", "check_rcpt", "checkrcpt", NULL };

/* The first rule of these sets that holds text; NULL: none. */
static const struct sendmail_line *
find_rule(const struct exam *x, const char *const *names, const char *text)
{
	for (size_t i = 0; i < x->cf.n; i++)
		if (in_ruleset(&x->cf.v[i], names) &&
		    strstr(x->cf.v[i].text, text) != NULL)
			return &x->cf.v[i];
	return NULL;
}

static void
check_open(struct exam *x)
{
	if (find_rule(x, relay_rulesets, "Relay_ok") != NULL ||
	    find_rule(x, relay_rulesets, "elaying denied") != NULL)
		return;
	if (*x->filter == '\0')
		add(x, "sendmail-promiscuous", 0,
		    "No rule of check_rcpt "
		    "refuses relaying (FEATURE(`promiscuous_relay'), or a "
		    "sendmail.cf from before 8.9).");
	else if (!x->filter_closes)
		add(x, "sendmail-milter-accept", x->filter_line,
		    "No rule of "
		    "check_rcpt refuses relaying, and filter %s has neither "
		    "F=T nor F=R.",
		    x->filter);
	else
		add(x, "sendmail-sole-gate", x->filter_line,
		    "No rule of "
		    "check_rcpt refuses relaying; filter %s alone does.",
		    x->filter);
}

static const char *const sender_macros[] = { "$&f", "$&{mail_from}",
	"$&{mail_addr}", "$&{mail_host}", "$f", NULL };
static const char *const helo_macros[] = { "$&s", "$s", NULL };

static bool
holds_one(const char *text, const char *const *words)
{
	for (; *words != NULL; words++)
		for (const char *at = strstr(text, *words); at != NULL;
		     at = strstr(at + 1, *words)) {
			char next = at[strlen(*words)];

			/* "$s" isn't in "$something": names are one letter */
			if (strchr(*words, '{') != NULL || next == '\0' ||
			    strchr(" \t>)$|<@", next) != NULL)
				return true;
		}
	return false;
}

/* Does this rule or one of the next that belong to it accept? */
static const struct sendmail_line *
accepts_after(const struct exam *x, const struct sendmail_line *from)
{
	const struct sendmail_line *end = x->cf.v + x->cf.n;

	for (const struct sendmail_line *l = from; l < end && l - from < 8 &&
	     l->kind == 'R' && strcmp(l->ruleset, from->ruleset) == 0;
	     l++)
		if (strstr(l->text, "$@ RELAY") != NULL ||
		    strstr(l->text, "$@RELAY") != NULL ||
		    strstr(l->text, "$#OK") != NULL ||
		    strstr(l->text, "$# OK") != NULL ||
		    strstr(l->text, "$#RELAY") != NULL ||
		    strstr(l->text, "$# RELAY") != NULL)
			return l;
	return NULL;
}

static bool
asks_popgate(const struct exam *x, const char *text)
{
	char lookup[NAME_LEN + 4];

	(void)snprintf(lookup, sizeof(lookup), "$(%s ", x->map);
	return *x->map != '\0' && strstr(text, lookup) != NULL;
}

/* FEATURE(`relay_local_from'), FEATURE(`relay_mail_from') */
static void
check_from(struct exam *x)
{
	static const char *const names[] = { "Relay_ok", "Rcpt_ok",
		"Basic_check_rcpt", NULL };

	for (size_t i = 0; i < x->cf.n; i++) {
		const struct sendmail_line *l = &x->cf.v[i], *ok, *search;

		if (!in_ruleset(l, names) || !holds_one(l->text, sender_macros))
			continue;
		ok = accepts_after(x, l);
		search = l;
		while (ok != NULL && search < ok &&
		    strstr(search->text, "From>") == NULL)
			search++;
		if (ok == NULL)
			continue;
		if (search < ok) {
			x->from_map = l->line;
			/* the same block may go on with class w */
			if (strstr(ok->text, "$=w") == NULL)
				continue;
		}
		add(x, "sendmail-local-from", ok->line,
		    "Relay_ok accepts "
		    "whoever says that his sender address is local "
		    "(FEATURE(`relay_local_from')).");
	}
}

/* The administrator's own rules, before Sendmail's. */
static void
check_local(struct exam *x)
{
	static const char *const names[] = { "Local_check_rcpt",
		"Local_Relay_Auth", NULL };
	bool popgate = find_rule(x, names, "$(") != NULL && *x->map != '\0';
	const struct sendmail_line *unknown = NULL;

	for (size_t i = 0; i < x->cf.n; i++) {
		const struct sendmail_line *l = &x->cf.v[i];

		if (!in_ruleset(l, names))
			continue;
		if (asks_popgate(x, l->text)) {
			x->d->wired = true;
			continue;
		}
		if (accepts_after(x, l) == NULL)
			continue;
		if (holds_one(l->text, sender_macros))
			add(x, "sendmail-sender-rule", l->line,
			    "A rule of %s "
			    "looks at the sender, and one behind it accepts.",
			    l->ruleset);
		else if (holds_one(l->text, helo_macros))
			add(x, "sendmail-helo-rule", l->line,
			    "A rule of %s "
			    "looks at the HELO name, and one behind it "
			    "accepts.",
			    l->ruleset);
		else if (!popgate && unknown == NULL)
			unknown = l;
	}
	if (unknown != NULL)
		add(x, "sendmail-not-understood", unknown->line,
		    "%s has rules "
		    "of its own that accept.",
		    unknown->ruleset);
}

static void
check_rules(struct exam *x)
{
	static const char *const rcpt[] = { "Rcpt_ok", NULL };
	static const char *const relay[] = { "Relay_ok", "Rcpt_ok", NULL };
	const struct sendmail_line *l;

	check_open(x);
	check_from(x);
	check_local(x);
	l = find_rule(x, relay, "$=m");
	if (l != NULL)
		add(x, "sendmail-entire-domain", l->line,
		    "%s accepts all "
		    "hosts and recipients below our domain "
		    "(FEATURE(`relay_entire_domain')).",
		    l->ruleset);
	l = find_rule(x, relay, "$(mxserved");
	if (l == NULL)
		l = find_rule(x, relay, "$(bestmx");
	if (l != NULL)
		add(x, "sendmail-mx", l->line,
		    "%s accepts every recipient "
		    "whose domain names us as mail exchanger "
		    "(FEATURE(`relay_based_on_MX')).",
		    l->ruleset);
	l = find_rule(x, rcpt, "CanonAddr");
	if (l != NULL && find_rule(x, rcpt, "ParseRecipient") == NULL)
		add(x, "sendmail-loose", l->line,
		    "Rcpt_ok doesn't look behind "
		    "a %% in the recipient (FEATURE(`loose_relay_check')).");
}

/* --- classes R and w --- */

static bool is_ours(const struct exam *x, const char *name);

/* A member of class R, or the key of an access entry for clients. */
static void
check_network(struct exam *x, const char *file, unsigned line, const char *word,
    const char *what)
{
	char text[80], who[ADDR_TEXT_MAX];
	struct network net;
	struct finding_at at = { .file = file, .line = line };
	enum net_danger danger;

	/* "IPv6:2001:db8" is all below it */
	(void)snprintf(text, sizeof(text), "%.60s", word);
	if (strncasecmp(text, "IPv6:", 5) == 0 && strstr(text, "::") == NULL &&
	    strchr(text, '/') == NULL) {
		unsigned colons = 0;

		for (const char *c = text + 5; *c != '\0'; c++)
			colons += *c == ':';
		if (colons < 7)
			(void)snprintf(text, sizeof(text), "%.60s::/%u", word,
			    (colons + 1) * 16);
	}
	if (!net_word_parse(text, &net))
		return;
	danger = net_danger(&x->machine, &net, who);
	if (danger == NET_WORLD || danger == NET_WIDE)
		doctor_add(x->d, "sendmail-network-wide", &at,
		    "%s holds %.60s.", what, word);
	else if (danger != NET_FINE)
		doctor_add(x->d, "sendmail-network-bridge", &at,
		    "%s holds "
		    "%.60s, and with it this machine's %s %s.",
		    what, word,
		    danger == NET_BRIDGE ? "address on a bridge," : "gateway",
		    who);
}

static bool
is_number(const char *word)
{
	return strncasecmp(word, "IPv6:", 5) == 0 ||
	    strspn(word, "0123456789./[]") == strlen(word);
}

static bool
is_top_level(const char *word)
{
	word += *word == '.';
	return *word != '\0' && strchr(word, '.') == NULL &&
	    strcasecmp(word, "localhost") != 0;
}

static void
take_relay_word(
    struct exam *x, const char *file, unsigned line, const char *word)
{
	struct finding_at at = { .file = file, .line = line };

	if (is_number(word))
		check_network(x, file, line, word, "Class R (relay-domains)");
	else if (is_top_level(word))
		doctor_add(x->d, "sendmail-relay-domains-all", &at,
		    "Class R (relay-domains) holds %.100s: every domain that "
		    "ends so.",
		    word);
}

static void
read_class_file(struct exam *x, const char *file, bool optional, bool relay)
{
	struct finding_at at = { .file = file };
	unsigned line = 0;
	char *text, *rest;

	doctor_check_writable(x->d, "sendmail-config-writable", file);
	text = conf_file_read(file);
	if (text == NULL) {
		if (!optional || errno != ENOENT)
			doctor_add(x->d, "sendmail-unreadable", &at, "%s: %s",
			    file, strerror(errno));
		return;
	}
	rest = text;
	for (char *l = strsep(&rest, "\n"); relay && l != NULL;
	     l = strsep(&rest, "\n")) {
		line++;
		l[strcspn(l, "#\r")] = '\0';
		l += strspn(l, " \t");
		l[strcspn(l, " \t")] = '\0';
		if (*l != '\0')
			take_relay_word(x, file, line, l);
	}
	free(text);
}

static void
check_classes(struct exam *x)
{
	for (size_t i = 0; i < x->cf.n; i++) {
		const struct sendmail_line *l = &x->cf.v[i];
		char name[SENDMAIL_NAME_MAX], *copy, *save = NULL;
		bool optional;

		if (l->kind != 'C' && l->kind != 'F')
			continue;
		copy = strdup(sendmail_name(l->text, name));
		if (copy == NULL ||
		    (strcmp(name, "R") != 0 && strcmp(name, "w") != 0)) {
			free(copy);
			continue;
		}
		if (l->kind == 'F') {
			const char *file = sendmail_class_file(copy, &optional);

			if (*file == '/')
				read_class_file(
				    x, file, optional, *name == 'R');
			else
				add(x, "sendmail-not-understood", l->line,
				    "Class %s comes from %.200s.", name, copy);
		} else if (*name == 'R') {
			for (char *w = strtok_r(copy, " \t", &save); w != NULL;
			     w = strtok_r(NULL, " \t", &save))
				take_relay_word(x, x->path, l->line, w);
		}
		free(copy);
	}
}

/* In a C line of class w? Good enough for the names that an access map may
 * have of our own. */
static bool
is_ours(const struct exam *x, const char *name)
{
	for (size_t i = 0; i < x->cf.n; i++) {
		char class[SENDMAIL_NAME_MAX];
		const char *at;
		size_t n = strlen(name);

		if (x->cf.v[i].kind != 'C')
			continue;
		at = sendmail_name(x->cf.v[i].text, class);
		if (strcmp(class, "w") != 0)
			continue;
		for (at += strspn(at, " \t"); *at != '\0';
		     at += strspn(at, " \t")) {
			size_t len = strcspn(at, " \t");

			if (len == n && strncasecmp(at, name, n) == 0)
				return true;
			at += len;
		}
	}
	return strcasecmp(name, "localhost") == 0;
}

/* --- the access map --- */

struct access_walk {
	struct exam *x;
	const char *path;
	const char *source; /* its text, for lines; NULL */
	unsigned line;
};

/* "Connect:10.1 RELAY", "To:example.com RELAY", "10.1 RELAY" */
static void
take_access(
    void *arg, enum postfix_table_kind kind, const char *key, const char *value)
{
	struct access_walk *w = arg;
	struct exam *x = w->x;
	bool connect = strncasecmp(key, "Connect:", 8) == 0;
	bool to = strncasecmp(key, "To:", 3) == 0;
	bool from = strncasecmp(key, "From:", 5) == 0;
	const char *word = key + (connect ? 8 : to ? 3 : from ? 5 : 0);
	struct finding_at at = { .file = w->path,
		.line = postfix_table_line(w->source, key) };

	(void)kind;
	if (strncasecmp(value, "RELAY", 5) != 0)
		return;
	if (from) {
		if (x->from_map == 0)
			return;
		x->from_permits = true;
		doctor_add(x->d, "sendmail-sender-permits", &at,
		    "The access map says RELAY to the sender %.150s.", word);
	} else if (!to && is_number(word)) {
		check_network(x, w->path, at.line, word, "The access map");
	} else if (strchr(word, ':') != NULL || strchr(word, '@') != NULL ||
	    is_ours(x, word) || is_number(word)) {
		; /* other tags: certificates, AUTH; one recipient */
	} else if (is_top_level(word)) {
		doctor_add(x->d, "sendmail-relay-domains-all", &at,
		    "The access map says RELAY to %.150s: everything that "
		    "ends so.",
		    key);
	} else if (!to) {
		doctor_add(x->d, "sendmail-client-name-permits", &at,
		    "The access map says RELAY to clients whose name ends in "
		    "%.150s.",
		    word);
	}
}

static void
read_access(struct exam *x, const struct sendmail_line *l, const char *type,
    const char *path)
{
	char *argv[] = { (char[]){ "makemap" }, (char[]){ "-u" },
		(char *)(uintptr_t)type, (char *)(uintptr_t)path, NULL };
	struct access_walk w = { .x = x, .path = path };
	char *source, *text;
	struct err err;

	doctor_check_writable(x->d, "sendmail-config-writable", path);
	source = conf_file_read(path);
	w.source = source;
	/* what is in force is the database; its text may be newer */
	text = strcmp(type, "text") == 0
	    ? NULL
	    : run_read(argv, NULL, RUN_TIMEOUT_S, &err);
	if (text == NULL && source == NULL)
		add(x, "sendmail-not-understood", l->line,
		    "The access map %s "
		    "%.200s can't be read.",
		    type, path);
	else
		postfix_table_parse(
		    TABLE_KEYS, text != NULL ? text : source, take_access, &w);
	free(text);
	free(source);
}

/* "Kaccess hash -T<TMPF> /etc/mail/access" */
static void
check_access(struct exam *x)
{
	static const char *const files[] = { "hash", "btree", "dbm", "cdb",
		"text" };

	for (size_t i = 0; i < x->cf.n; i++) {
		const struct sendmail_line *l = &x->cf.v[i];
		char *copy, *save = NULL, *name, *type, *last = NULL;
		bool file = false;

		if (l->kind != 'K')
			continue;
		copy = strdup(l->text);
		name = copy == NULL ? NULL : strtok_r(copy, " \t", &save);
		type = name == NULL ? NULL : strtok_r(NULL, " \t", &save);
		for (char *w = type; w != NULL;
		     w = strtok_r(NULL, " \t", &save))
			last = w;
		for (size_t f = 0;
		     type != NULL && f < sizeof(files) / sizeof(files[0]); f++)
			file |= strcmp(type, files[f]) == 0;
		if (last == NULL || last == type) {
			;
		} else if (strcmp(name, "access") == 0 && file &&
		    *last == '/') {
			read_access(x, l, type, last);
		} else if (strcmp(name, "access") == 0) {
			add(x, "sendmail-not-understood", l->line,
			    "The access "
			    "map is %.100s.",
			    type);
		} else if (strcmp(name, "drac") == 0 &&
		    strstr(l->text, "-T") != NULL) {
			add(x, "sendmail-drac-fails-open", l->line,
			    "FEATURE(`drac') has -T: an error of the map is "
			    "taken for a login.");
		}
		free(copy);
	}
}

/* --- filters and listeners --- */

static bool
is_socket(const char *text, const char *listen)
{
	struct listen_spec spec;
	char word[400];
	struct err err;

	if (*listen == '\0' || listen_parse(listen, &spec, &err) == -1)
		return false;
	listen_for_libmilter(&spec, word);
	if (spec.is_unix)
		(void)snprintf(word, sizeof(word), "%s", spec.path);
	const char *at = strstr(text, word);

	return at != NULL &&
	    (at[strlen(word)] == '\0' ||
		strchr(" \t,", at[strlen(word)]) != NULL);
}

/* "Xpopgate, S=unix:/run/x, F=T"; "Ksendmail socket -T<TMPF> unix:/x" */
static void
find_popgate(struct exam *x)
{
	const struct config *cfg = x->d->ctl->cfg;
	char flag[20];

	for (size_t i = 0; i < x->cf.n; i++) {
		const struct sendmail_line *l = &x->cf.v[i];

		if (l->kind == 'X' && is_socket(l->text, cfg->milter.listen)) {
			(void)snprintf(x->filter, sizeof(x->filter), "%.*s",
			    (int)strcspn(l->text, ", \t"), l->text);
			x->filter_line = l->line;
			x->filter_closes =
			    sendmail_equate(l->text, 'F', flag, sizeof(flag)) &&
			    (*flag == 'T' || *flag == 'R');
		}
		if (l->kind == 'K' && is_socket(l->text, cfg->permit.socketmap))
			(void)snprintf(x->map, sizeof(x->map), "%.*s",
			    (int)strcspn(l->text, " \t"), l->text);
	}
}

static bool
lists_filter(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (list += strspn(list, " \t,;"); *list != '\0';
	     list += strspn(list, " \t,;")) {
		size_t len = strcspn(list, " \t,;");

		if (len == n && strncmp(list, name, n) == 0)
			return true;
		list += len;
	}
	return false;
}

static bool
is_local_daemon(const char *text)
{
	char address[80];

	return sendmail_equate(text, 'A', address, sizeof(address)) &&
	    (strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 ||
		strcmp(address, "localhost") == 0);
}

static void
check_filters(struct exam *x)
{
	const char *all = "";
	unsigned all_line = 0;
	char list[FILTERS_LEN];

	if (*x->filter == '\0')
		return;
	x->d->wired = true;
	for (size_t i = 0; i < x->cf.n; i++) {
		const char *value = x->cf.v[i].kind != 'O'
		    ? NULL
		    : sendmail_option(x->cf.v[i].text, "InputMailFilters");

		if (value != NULL) {
			all = value;
			all_line = x->cf.v[i].line;
		}
	}
	if (!lists_filter(all, x->filter)) {
		add(x, "sendmail-filter-unused", all_line,
		    "Filter %s is not "
		    "among the InputMailFilters (\"%.100s\").",
		    x->filter, all);
		x->filter[0] = '\0';
		return;
	}
	for (size_t i = 0; i < x->cf.n; i++) {
		const struct sendmail_line *l = &x->cf.v[i];
		const char *value = l->kind != 'O'
		    ? NULL
		    : sendmail_option(l->text, "DaemonPortOptions");

		if (value != NULL && !is_local_daemon(value) &&
		    sendmail_equate(value, 'I', list, sizeof(list)) &&
		    !lists_filter(list, x->filter))
			add(x, "sendmail-daemon-without-popgate", l->line,
			    "A listener has InputMailFilters of its own "
			    "(\"%.100s\"), without %s.",
			    list, x->filter);
	}
}

/* --- options --- */

static void
check_options(struct exam *x)
{
	bool plain = false, protected = false;
	unsigned mechanisms = 0;

	for (size_t i = 0; i < x->cf.n; i++) {
		const struct sendmail_line *l = &x->cf.v[i];
		const char *v = l->kind == 'O' ? l->text : "";
		char class[SENDMAIL_NAME_MAX];
		const char *blame = sendmail_option(v, "DontBlameSendmail");
		const char *mechs = sendmail_option(v, "AuthMechanisms");
		const char *opts = sendmail_option(v, "AuthOptions");

		if (blame != NULL && strcasestr(blame, "WorldWritable") != NULL)
			add(x, "sendmail-dont-blame", l->line,
			    "DontBlameSendmail=%.200s", blame);
		if (mechs != NULL) {
			mechanisms = l->line;
			plain = strstr(mechs, "PLAIN") != NULL ||
			    strstr(mechs, "LOGIN") != NULL;
		}
		if (opts != NULL)
		protected = strpbrk(opts, "py") != NULL;
		if (l->kind == 'C' &&
		    strstr(sendmail_name(l->text, class), "ANONYMOUS") !=
			NULL &&
		    strcmp(class, "TrustAuthMech") == 0)
			add(x, "sendmail-auth-anonymous", l->line,
			    "Class "
			    "TrustAuthMech holds ANONYMOUS.");
		if (l->kind == 'D' &&
		    (strncmp(l->text, "{auth_type}", 11) == 0 ||
			strncmp(l->text, "{auth_authen}", 13) == 0))
			add(x, "sendmail-macro-auth", l->line,
			    "A D line sets "
			    "%.100s.",
			    l->text);
	}
	if (plain && !protected)
		add(x, "sendmail-auth-without-tls", mechanisms,
		    "AUTH PLAIN or "
		    "LOGIN is offered before TLS: AuthOptions has no p.");
}

void
doctor_sendmail(struct doctor *d, const char *path)
{
	struct exam x = { .d = d, .path = path };
	char *text = conf_file_read(path);

	if (text == NULL) {
		add(&x, "sendmail-unreadable", 0, "%.400s: %s", path,
		    strerror(errno));
		return;
	}
	doctor_check_writable(d, "sendmail-config-writable", path);
	if (!sendmail_cf_parse(text, &x.cf)) {
		d->no_memory = true;
		sendmail_cf_release(&x.cf);
		return;
	}
	net_machine_load(&x.machine);
	find_popgate(&x);
	check_filters(&x);
	check_rules(&x);
	check_classes(&x);
	check_access(&x);
	if (x.from_map != 0 && !x.from_permits)
		add(&x, "sendmail-mail-from", x.from_map,
		    "Relay_ok looks for "
		    "the sender in the access map "
		    "(FEATURE(`relay_mail_from')).");
	check_options(&x);
	net_machine_release(&x.machine);
	sendmail_cf_release(&x.cf);
}
