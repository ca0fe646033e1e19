/* SPDX-License-Identifier: ISC */
/* postfix_wiring_chroot - an smtpd that can't reach popgate's sockets from its
 * chroot is taken out of it, and goes on finding what it finds there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/listen.h"
#include "common/mta/postfix_wiring_work.h"

enum { NAME_LEN = 600 };

static bool
reachable(const struct wiring_work *w, const char *listen)
{
	struct listen_spec spec;
	struct err err;

	return listen_parse(listen, &spec, &err) == -1 || !spec.is_unix ||
	    wiring_below(spec.path,
		postfix_value(w->pf, NULL, "queue_directory")) != NULL;
}

/* Settings that name other sockets. */
static const char *const settings[] = { "smtpd_sasl_path", "smtpd_milters",
	"smtpd_client_restrictions", "smtpd_helo_restrictions",
	"smtpd_sender_restrictions", "smtpd_relay_restrictions",
	"smtpd_recipient_restrictions", "smtpd_data_restrictions",
	"smtpd_end_of_data_restrictions" };

enum { SETTINGS = sizeof(settings) / sizeof(*settings) };

/* The slash of an absolute path that begins at text[at], of a socket that isn't
 * popgate's; 0: there is none. */
static size_t
slash_at(const struct wiring_work *w, const char *text, size_t at)
{
	size_t n = strncmp(text + at, "unix:/", 6) == 0 ? 5
	    : strncmp(text + at, "local:/", 7) == 0     ? 6
							: 0;
	char endpoint[NAME_LEN];

	if (n == 0 ||
	    (at > 0 && strchr("{" WIRING_SEPARATORS, text[at - 1]) == NULL))
		return 0;
	wiring_endpoint(text + at, endpoint, sizeof(endpoint));
	return wiring_is_policy(w, endpoint) || wiring_is_milter(w, endpoint)
	    ? 0
	    : at + n;
}

/* text with its paths relative to the queue directory; *n: how many. To be
 * freed; NULL: no memory. */
static char *
relative(const struct wiring_work *w, const char *text, bool path, size_t *n)
{
	char *out = strdup(text + (path && *text == '/'));

	*n = path && *text == '/';
	for (size_t at = 0; out != NULL && out[at] != '\0'; at++) {
		size_t slash = slash_at(w, out, at);

		if (slash == 0)
			continue;
		char *new = wiring_splice(out, slash, slash + 1, "");

		free(out);
		out = new;
		*n += 1;
	}
	return out;
}

/* Is every smtpd that takes the setting from main.cf in the chroot? */
static bool
all_chrooted(const struct wiring_work *w, const char *name)
{
	for (size_t i = 0; i < w->pf->n_services; i++) {
		const struct postfix_service *s = &w->pf->services[i];

		if (strcmp(s->command, "smtpd") == 0 && !s->chroot &&
		    wiring_own(w, s, name) == NULL)
			return false;
	}
	return true;
}

/* Write a setting's paths so that they are the same out of the chroot: smtpd
 * runs in the queue directory either way. false: it has one that this can't,
 * which is put into buf. */
static bool
settle(struct wiring_work *w, const struct postfix_service *s, const char *name,
    char *buf, size_t size)
{
	const char *raw = wiring_raw(w, s, name);
	char *meant = wiring_expand(w, s, raw);
	const struct postfix_service *owner =
	    wiring_own(w, s, name) == NULL && all_chrooted(w, name) ? NULL : s;
	bool path = strcmp(name, "smtpd_sasl_path") == 0;
	size_t n = 0, n_meant = 0;
	char *whole =
	    relative(w, meant == NULL ? postfix_value(w->pf, s, name) : meant,
		path, &n_meant);
	char *new = relative(w, raw, path, &n);

	w->no_memory |= whole == NULL || new == NULL;
	if (n == n_meant && n > 0 && new != NULL)
		wiring_set(w, owner, name, new,
		    "Out of its chroot smtpd finds the socket by its path from the queue directory, which means the same there and here.");
	else if (n != n_meant)
		(void)snprintf(
		    buf, size, "%s %.300s", name, meant == NULL ? raw : meant);
	free(whole);
	free(new);
	free(meant);
	return n == n_meant;
}

/* Something of the service's own that is found only in the chroot, in buf;
 * NULL: nothing. */
static const char *
needs_chroot(struct wiring_work *w, const struct postfix_service *s, char *buf,
    size_t size)
{
	bool auth = postfix_yes(w->pf, s, "smtpd_sasl_auth_enable");
	bool cyrus =
	    strcmp(postfix_value(w->pf, s, "smtpd_sasl_type"), "cyrus") == 0;

	if (auth && cyrus && !w->pf->sasl_outside)
		return "Cyrus SASL's saslauthd";
	for (size_t i = auth && !cyrus ? 0 : 1; i < SETTINGS; i++)
		if (!settle(w, s, settings[i], buf, size))
			return buf;
	return NULL;
}

int
wiring_chroot_plan(
    struct wiring_work *w, const struct postfix_service *s, struct err *err)
{
	char buf[NAME_LEN];

	if (!s->chroot ||
	    (reachable(w, w->sockets->milter) &&
		reachable(w, w->sockets->policy)))
		return 0;
	const char *queue = postfix_value(w->pf, NULL, "queue_directory");
	const char *why = needs_chroot(w, s, buf, sizeof(buf));

	wiring_note(w, NOTE_CHROOT, s, NULL,
	    "smtpd runs in the chroot %s and can't reach %s from there.", queue,
	    w->sockets->policy);
	if (why != NULL) {
		/* ERR_TEXT_MAX holds it with a queue_directory of 40 bytes
		 * and a service's name of 20: its end mustn't be lost */
		err_set(err, ERR_INVALID,
		    "%s/%s: smtpd can't reach popgate from its chroot, which %.45s needs: listen in it: install -d -o popgate -g postfix -m 2755 %s/popgate; popgate.conf: milter.listen = \"unix:%s/popgate/milter.sock\", permit.policy the same with policy.sock; under systemd first systemctl edit popgate-milter: [Service], next line ReadWritePaths=-%s/popgate",
		    s->name, s->type, why, queue, queue, queue);
		return -1;
	}
	wiring_set_field(w, s, "chroot", "y", "n",
	    "In its chroot smtpd can't reach popgate's sockets.");
	return 0;
}
