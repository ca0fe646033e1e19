/* SPDX-License-Identifier: ISC */
/* mta - does a mail server of this machine ask popgate, and can it?
 *
 * Two witnesses: the server's configuration, which the doctor reads, and when
 * popgate was last asked. A configuration that names popgate nowhere although
 * popgate was asked until it was changed, has lost its wiring. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/listen.h"
#include "common/mta/conf_file.h"
#include "common/mta/sendmail_wiring.h"
#include "ctl/ctl.h"
#include "ctl/doctor/doctor.h"
#include "ctl/doctor/files.h"
#include "ctl/setup/journal.h"
#include "ctl/setup/setup.h"
#include "ctl/status/status.h"
#include "ctl/times.h"

/* A server's processes may keep the settings that they began with for so long:
 * Postfix's max_idle and a long session. */
enum { OLD_SETTINGS_S = 300 };

/* A milter that nobody asked for so long is compared with the mail log. */
enum { UNASKED_S = 600 };

/* A finding's level. While one of the critical ones is true, nobody relays by
 * popgate. */
static enum level
level_of(const struct finding *f)
{
	static const char *const critical[] = {
		"postfix-chroot-socket",
		"postfix-socket-missing",
		"postfix-socket-denied",
		"postfix-popgate-elsewhere",
		"postfix-popgate-too-late",
	};

	if (strcmp(f->kind->id, "postfix-unreadable") == 0)
		return LEVEL_UNKNOWN;
	for (size_t i = 0; i < sizeof(critical) / sizeof(critical[0]); i++)
		if (strcmp(f->kind->id, critical[i]) == 0)
			return LEVEL_CRITICAL;
	return f->kind->severity == SEVERITY_INFO ? LEVEL_OK : LEVEL_WARNING;
}

/* "postfix -c ... reload" stands in every fix, commands in their order. */
static void
add_finding(struct status *s, const struct finding *f)
{
	char words[sizeof(s->check[0].words)];
	size_t n = (size_t)snprintf(words, sizeof(words),
	    "%s %s To mend it: ", f->detail, f->kind->why);

	for (const char *at = f->fix; *at != '\0' && n + 3 < sizeof(words);) {
		size_t line = strcspn(at, "\n");

		n += (size_t)snprintf(words + n, sizeof(words) - n, "%.*s%s",
		    (int)line, at, at[line] == '\n' ? "; " : "");
		at += line + (at[line] == '\n');
	}
	status_add(
	    s, level_of(f), f->file == NULL ? "mail server" : f->file, words);
}

/* When a file of the server's configuration was changed last. */
static int64_t
changed_at(enum doctor_mta mta, const char *path)
{
	static const char *const files[] = { "/main.cf", "/master.cf" };
	int64_t newest = 0;
	struct stat st;

	for (size_t i = 0; i < (mta == MTA_POSTFIX ? 2 : 1); i++) {
		char file[400];

		(void)snprintf(file, sizeof(file), "%s%s", path,
		    mta == MTA_POSTFIX ? files[i] : "");
		if (stat(file, &st) == 0 && st.st_ctime > newest)
			newest = st.st_ctime;
	}
	return newest;
}

static void
format_socket(const char *listen, char *buf)
{
	struct listen_spec spec;
	struct err err;

	buf[0] = '\0';
	if (*listen != '\0' && listen_parse(listen, &spec, &err) == 0)
		listen_for_libmilter(&spec, buf);
}

/* Add what a sendmail.cf that names popgate lacks of the closed wiring. One
 * that is open by itself, behind popgate's milter alone, is none. */
static void
add_sendmail_gaps(struct status *s, const char *path, const char *text)
{
	char milter[400], socketmap[400], missing[600], words[900];
	const struct sendmail_sockets sockets = { milter, socketmap };

	format_socket(s->ctl->cfg->milter.listen, milter);
	format_socket(s->ctl->cfg->permit.socketmap, socketmap);
	if (strstr(text, "elaying denied") == NULL ||
	    sendmail_wiring_missing(text, &sockets, missing, sizeof(missing)) <=
		0)
		return;
	size_t n = strlen(missing);

	while (n > 0 && missing[n - 1] == '\n')
		missing[--n] = '\0';
	for (char *at = missing; (at = strchr(at, '\n')) != NULL;)
		*at = ';';
	(void)snprintf(words, sizeof(words),
	    "%s. To mend it: popgatectl wiring sendmail", missing);
	status_add(s, LEVEL_WARNING, path, words);
}

/* The wirings that the configurations of this machine have. */
struct found {
	bool any; /* an MTA is set up */
	bool wired;
	bool unsure; /* of one it can't be told */
	char where[500];
	int64_t changed_at;
};

/* Sendmail's or Exim's configuration. */
static void
take_file(
    struct status *s, struct found *f, enum doctor_mta mta, const char *path)
{
	char *text = conf_file_read(path);
	bool named = text != NULL && doctor_names_popgate(s->ctl->cfg, text);

	f->wired |= named;
	if (text == NULL) {
		f->unsure = true;
		status_add(s, LEVEL_UNKNOWN, path, strerror(errno));
	} else if (named && mta == MTA_SENDMAIL) {
		add_sendmail_gaps(s, path, text);
	}
	free(text);
}

static void
take_mta(struct status *s, struct found *f, enum doctor_mta mta)
{
	const char *path = doctor_find_mta(mta);
	struct doctor d = { .ctl = s->ctl };
	size_t n = strlen(f->where);

	if (path == NULL)
		return;
	f->any = true;
	(void)snprintf(f->where + n, sizeof(f->where) - n, "%s%s (%s)",
	    n == 0 ? "" : ", ", doctor_mta_name(mta), path);
	int64_t at = changed_at(mta, path);

	if (at > f->changed_at)
		f->changed_at = at;
	if (mta != MTA_POSTFIX) {
		take_file(s, f, mta, path);
		return;
	}
	doctor_postfix_asked(&d, path);
	for (size_t i = 0; i < d.n; i++) {
		add_finding(s, &d.v[i]);
		f->unsure |= level_of(&d.v[i]) == LEVEL_UNKNOWN;
	}
	f->wired |= d.wired;
	doctor_release(&d);
}

static const char *
say_time(const struct status *s, int64_t at, char *buf)
{
	return at <= 0 ? "not since its start"
		       : time_relative(at, s->ctl->now, buf);
}

/* Did clients reach the mail server without popgate being asked? */
static bool
add_passed_by(struct status *s, const struct found *f)
{
	int64_t asked =
	    s->milter_asked_at > 0 ? s->milter_asked_at : s->started_at;
	char client_text[TIME_TEXT_MAX], asked_text[TIME_TEXT_MAX], words[900];

	if (s->milter_asked_at == -1 || s->ctl->now - asked < UNASKED_S)
		return false;
	int64_t client = status_newest_client(s->ctl);

	if (client < asked + OLD_SETTINGS_S)
		return false;
	(void)snprintf(words, sizeof(words),
	    "%s: popgate is wired, but a client connected %s, by the log; milter last asked: %s. Does the server run with this configuration? To reload Postfix: postfix reload",
	    f->where, time_relative(client, s->ctl->now, client_text),
	    say_time(s, s->milter_asked_at, asked_text));
	status_add(s, LEVEL_WARNING, "mail server", words);
	return true;
}

static void
add_wired(struct status *s, const struct found *f)
{
	char milter[TIME_TEXT_MAX], permit[TIME_TEXT_MAX], words[900];

	if (s->milter_asked_at == -1)
		(void)snprintf(
		    words, sizeof(words), "%s: popgate is wired", f->where);
	else
		(void)snprintf(words, sizeof(words),
		    "%s: popgate is wired; last asked: milter %s, permit channel %s",
		    f->where, say_time(s, s->milter_asked_at, milter),
		    say_time(s, s->permit_asked_at, permit));
	status_add(s, LEVEL_OK, "mail server", words);
}

/* No configuration names popgate. */
static void
add_unwired(struct status *s, const struct found *f)
{
	char asked_text[TIME_TEXT_MAX], changed[TIME_TEXT_MAX], words[900];
	int64_t asked = s->decided_at, back;

	if (s->milter_asked_at > asked)
		asked = s->milter_asked_at;
	if (s->permit_asked_at > asked)
		asked = s->permit_asked_at;
	if (journal_is_empty(SETUP_JOURNAL, &back) &&
	    asked <= back + OLD_SETTINGS_S) {
		(void)snprintf(words, sizeof(words),
		    "%s doesn't ask popgate: popgatectl setup put back what it had changed %s",
		    f->where, time_relative(back, s->ctl->now, changed));
		status_add(s, LEVEL_OK, "mail server", words);
		return;
	}
	if (asked == 0) {
		(void)snprintf(words, sizeof(words),
		    "%s doesn't ask popgate, and nobody else ever has; to wire it: popgatectl wiring",
		    f->where);
		status_add(s, LEVEL_WARNING, "mail server", words);
		return;
	}
	(void)time_relative(asked, s->ctl->now, asked_text);
	if (asked > f->changed_at + OLD_SETTINGS_S) {
		(void)snprintf(words, sizeof(words),
		    "%s doesn't ask popgate, but another one does, the last time %s",
		    f->where, asked_text);
		status_add(s, LEVEL_OK, "mail server", words);
		return;
	}
	(void)snprintf(words, sizeof(words),
	    "%s asks popgate no more: the configuration was changed %s, and popgate was asked the last time %s; to wire it again: popgatectl wiring",
	    f->where, time_relative(f->changed_at, s->ctl->now, changed),
	    asked_text);
	status_add(s, LEVEL_CRITICAL, "mail server", words);
}

void
status_mta(struct status *s)
{
	struct found f = { 0 };

	for (int mta = 0; mta < MTAS; mta++)
		take_mta(s, &f, (enum doctor_mta)mta);
	if (!f.any)
		status_add(s, LEVEL_OK, "mail server",
		    "none has its configuration at the usual place");
	else if (f.wired && !add_passed_by(s, &f))
		add_wired(s, &f);
	else if (!f.wired && !f.unsure)
		add_unwired(s, &f);
}
