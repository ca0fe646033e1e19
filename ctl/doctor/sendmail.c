/* SPDX-License-Identifier: ISC */
/* sendmail - what lets strangers relay through a Sendmail: asked of Sendmail
 * itself on a private copy (ctl/rehearsal/), and read where no dialogue shows
 * it. */
#include <errno.h>
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
#include "ctl/ctl.h"
#include "ctl/doctor/files.h"
#include "ctl/doctor/sendmail_exam.h"
#include "ctl/rehearsal/sendmail.h"

enum { FILTERS_LEN = 1000 };

/* --- classes R and w --- */

static bool is_ours(const struct sendmail_exam *x, const char *name);

/* A member of class R, or the key of an access entry for clients. */
static void
check_network(struct sendmail_exam *x, const char *file, unsigned line,
    const char *word, const char *what)
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
		    "%s holds %.60s, and with it this machine's %s %s.", what,
		    word,
		    danger == NET_BRIDGE ? "address on a bridge," : "gateway",
		    who);
}

static bool
is_number(const char *word)
{
	return strncasecmp(word, "IPv6:", 5) == 0 ||
	    strspn(word, "0123456789./[]") == strlen(word);
}

static void
take_relay_word(
    struct sendmail_exam *x, const char *file, unsigned line, const char *word)
{
	if (is_number(word))
		check_network(x, file, line, word, "Class R (relay-domains)");
}

static void
read_class_file(
    struct sendmail_exam *x, const char *file, bool optional, bool relay)
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

/* Is "$={Name}", "$=w" a word of a C line of class R? Then whatever is in that
 * class is in R. */
static bool
is_in_class_r(const struct sendmail_exam *x, const char *name)
{
	if (strcmp(name, "R") == 0)
		return true;
	for (size_t i = 0; i < x->cf.n; i++) {
		char class[SENDMAIL_NAME_MAX], inner[SENDMAIL_NAME_MAX];
		char *at;

		if (x->cf.v[i].kind != 'C')
			continue;
		at = sendmail_name(x->cf.v[i].text, class);
		if (strcmp(class, "R") != 0)
			continue;
		while ((at = strstr(at, "$=")) != NULL) {
			at += 2;
			(void)sendmail_name(at, inner);
			if (strcmp(inner, name) == 0)
				return true;
		}
	}
	return false;
}

/* The words of a C line; those of a class in it come with its own lines. */
static void
take_class_words(struct sendmail_exam *x, unsigned line, char *words)
{
	char *save = NULL;

	for (char *w = strtok_r(words, " \t", &save); w != NULL;
	     w = strtok_r(NULL, " \t", &save))
		if (*w != '$')
			take_relay_word(x, x->path, line, w);
}

static void
check_classes(struct sendmail_exam *x)
{
	for (size_t i = 0; i < x->cf.n; i++) {
		const struct sendmail_line *l = &x->cf.v[i];
		char name[SENDMAIL_NAME_MAX], *copy;
		bool optional;

		if (l->kind != 'C' && l->kind != 'F')
			continue;
		copy = strdup(sendmail_name(l->text, name));
		bool relay = strcmp(name, "w") != 0 && is_in_class_r(x, name);

		if (copy == NULL || (!relay && strcmp(name, "w") != 0)) {
			free(copy);
			continue;
		}
		if (l->kind == 'C' && relay) {
			take_class_words(x, l->line, copy);
		} else if (l->kind == 'F') {
			const char *file = sendmail_class_file(copy, &optional);

			if (*file == '/')
				read_class_file(x, file, optional, relay);
			else
				sendmail_add(x, "sendmail-not-understood",
				    l->line, "Class %s comes from %.200s.",
				    name, copy);
		}
		free(copy);
	}
}

/* In a C line of class w? Good enough for the names that an access map may
 * have of our own. */
static bool
is_ours(const struct sendmail_exam *x, const char *name)
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
	return strcasecmp(name, "localhost") == 0 ||
	    strncasecmp(name, "localhost.localdomain", 22) == 0;
}

static bool
is_local_daemon(const char *text)
{
	char address[80];

	return sendmail_equate(text, 'A', address, sizeof(address)) &&
	    (strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 ||
		strcmp(address, "localhost") == 0);
}

/* Do all of its listeners take connections of this machine only? */
static bool
listens_locally(const struct sendmail_exam *x)
{
	bool any = false;

	for (size_t i = 0; i < x->cf.n; i++) {
		const char *value = x->cf.v[i].kind != 'O'
		    ? NULL
		    : sendmail_option(x->cf.v[i].text, "DaemonPortOptions");

		if (value != NULL && !is_local_daemon(value))
			return false;
		any |= value != NULL;
	}
	return any;
}

/* --- the access map --- */

struct access_walk {
	struct sendmail_exam *x;
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
	struct sendmail_exam *x = w->x;
	bool connect = strncasecmp(key, "Connect:", 8) == 0;
	bool to = strncasecmp(key, "To:", 3) == 0;
	bool from = strncasecmp(key, "From:", 5) == 0;
	const char *word = key + (connect ? 8 : to ? 3 : from ? 5 : 0);
	struct finding_at at = {
		.file = w->path,
		.line = postfix_table_line(w->source, key),
	};

	(void)kind;
	if (strncasecmp(value, "RELAY", 5) != 0)
		return;
	if (from) {
		; /* nothing, unless Sendmail says otherwise */
	} else if (!to && is_number(word)) {
		check_network(x, w->path, at.line, word, "The access map");
	} else if (strchr(word, ':') != NULL || strchr(word, '@') != NULL ||
	    is_ours(x, word) || is_number(word)) {
		; /* other tags: certificates, AUTH; one recipient */
	} else if (!to && strchr(word, '.') != NULL && !listens_locally(x)) {
		doctor_add(x->d, "sendmail-client-name-permits", &at,
		    "The access map says RELAY to clients whose name ends in %.150s.",
		    word);
	}
}

static void
read_access(struct sendmail_exam *x, const struct sendmail_line *l,
    const char *type, const char *path)
{
	char *argv[] = {
		(char[]){ "makemap" },
		(char[]){ "-u" },
		(char *)(uintptr_t)type,
		(char *)(uintptr_t)path,
		NULL,
	};
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
		sendmail_add(x, "sendmail-not-understood", l->line,
		    "The access map %s %.200s can't be read.", type, path);
	else
		postfix_table_parse(
		    TABLE_KEYS, text != NULL ? text : source, take_access, &w);
	free(text);
	free(source);
}

/* "Kaccess hash -T<TMPF> /etc/mail/access" */
static void
check_access(struct sendmail_exam *x)
{
	static const char *const files[] = {
		"hash",
		"btree",
		"dbm",
		"cdb",
		"text",
	};

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
			sendmail_add(x, "sendmail-not-understood", l->line,
			    "The access map is %.100s.", type);
		} else if (strcmp(name, "drac") == 0 &&
		    strstr(l->text, "-T") != NULL) {
			sendmail_add(x, "sendmail-drac-fails-open", l->line,
			    "FEATURE(`drac') has -T: an error of the map is taken for a login.");
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
find_popgate(struct sendmail_exam *x)
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
		/* the other map, before block lists, decides about nobody */
		if (l->kind == 'K' &&
		    strncmp(l->text, "sendmail_client ", 16) != 0 &&
		    is_socket(l->text, cfg->permit.socketmap))
			(void)snprintf(x->map, sizeof(x->map), "%.*s",
			    (int)strcspn(l->text, " \t"), l->text);
	}
}

static void
check_filters(struct sendmail_exam *x)
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
	if (!sendmail_lists_filter(all, x->filter)) {
		sendmail_add(x, "sendmail-filter-unused", all_line,
		    "Filter %s is not among the InputMailFilters (\"%.100s\").",
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
		    !sendmail_lists_filter(list, x->filter))
			sendmail_add(x, "sendmail-daemon-without-popgate",
			    l->line,
			    "A listener has InputMailFilters of its own (\"%.100s\"), without %s.",
			    list, x->filter);
	}
}

/* --- options --- */

static void
check_options(struct sendmail_exam *x)
{
	bool plain = false, protected = false, anonymous = false;
	unsigned mechanisms = 0, trusted = 0;

	for (size_t i = 0; i < x->cf.n; i++) {
		const struct sendmail_line *l = &x->cf.v[i];
		const char *v = l->kind == 'O' ? l->text : "";
		char class[SENDMAIL_NAME_MAX];
		const char *blame = sendmail_option(v, "DontBlameSendmail");
		const char *mechs = sendmail_option(v, "AuthMechanisms");
		const char *opts = sendmail_option(v, "AuthOptions");

		if (blame != NULL && strcasestr(blame, "WorldWritable") != NULL)
			sendmail_add(x, "sendmail-dont-blame", l->line,
			    "DontBlameSendmail=%.200s", blame);
		if (mechs != NULL) {
			mechanisms = l->line;
			plain = strstr(mechs, "PLAIN") != NULL ||
			    strstr(mechs, "LOGIN") != NULL;
			anonymous = strstr(mechs, "ANONYMOUS") != NULL;
		}
		if (opts != NULL)
		protected = strpbrk(opts, "py") != NULL;
		if (l->kind == 'C' &&
		    strstr(sendmail_name(l->text, class), "ANONYMOUS") !=
			NULL &&
		    strcmp(class, "TrustAuthMech") == 0)
			trusted = l->line;
		if (l->kind == 'D' &&
		    (strncmp(l->text, "{auth_type}", 11) == 0 ||
			strncmp(l->text, "{auth_authen}", 13) == 0))
			sendmail_add(x, "sendmail-macro-auth", l->line,
			    "A D line sets %.100s.", l->text);
	}
	if (trusted != 0 && anonymous)
		sendmail_add(x, "sendmail-auth-anonymous", trusted,
		    "Class TrustAuthMech holds ANONYMOUS, and AuthMechanisms offers it.");
	if (plain && !protected)
		sendmail_add(x, "sendmail-auth-without-tls", mechanisms,
		    "AUTH PLAIN or LOGIN is offered before TLS: AuthOptions has no p.");
}

/* --- what Sendmail says --- */

static void
rehearse(struct sendmail_exam *x)
{
	const char *mta = doctor_option(x->d, DOCTOR_MTA);
	const struct sendmail_rehearsal_spec spec = {
		/* of several servers it would be the program of all */
		.program = mta == NULL || strcmp(mta, "sendmail") != 0
		    ? NULL
		    : doctor_option(x->d, DOCTOR_PROGRAM),
		.file = x->path,
		.popgate = x->d->ctl->cfg,
		.thorough = doctor_option(x->d, DOCTOR_THOROUGH) != NULL,
	};
	struct sendmail_rehearsal r;
	struct err err;

	if (doctor_option(x->d, DOCTOR_READ) != NULL) {
		sendmail_add(x, "sendmail-not-rehearsed", 0,
		    "Only the configuration was read (--read).");
		return;
	}
	/* the copy's Sendmail is started by root, and runs what the file says
	 */
	if (doctor_has(x->d, "sendmail-config-writable")) {
		sendmail_add(x, "sendmail-not-understood", 0,
		    "Sendmail wasn't asked: whoever can write to its configuration would have root run his programs.");
		return;
	}
	if (sendmail_rehearse(&spec, &r, &err) == -1) {
		sendmail_add(x, "sendmail-not-rehearsed", 0, "%s", err.text);
		return;
	}
	doctor_rehearsed(x->d, &r.findings, NULL);
	sendmail_add(x, "sendmail-rehearsed", 0,
	    "A private copy was asked about %zu things that a stranger can say.",
	    r.tries);
	if (!r.complete)
		sendmail_add(x, "sendmail-not-understood", 0,
		    "The time was up before everything was asked.");
	rehearsal_findings_release(&r.findings);
}

void
doctor_sendmail(struct doctor *d, const char *path)
{
	struct sendmail_exam x = { .d = d, .path = path };
	char *text = conf_file_read(path);

	if (text == NULL) {
		sendmail_add(&x, "sendmail-unreadable", 0, "%.400s: %s", path,
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
	rehearse(&x);
	sendmail_check_rules(&x);
	check_classes(&x);
	check_access(&x);
	if (x.from_map != 0 && !doctor_has(d, "sendmail-sender-permits"))
		sendmail_add(&x, "sendmail-mail-from", x.from_map,
		    "Relay_ok looks for the sender in the access map (FEATURE(`relay_mail_from')).");
	check_options(&x);
	net_machine_release(&x.machine);
	sendmail_cf_release(&x.cf);
}
