/* SPDX-License-Identifier: ISC */
/* postfix_wiring - where a Postfix has to ask popgate, and the edits of main.cf
 * and master.cf that make it ask. For every smtpd service that takes mail from
 * clients it finds the restriction lists that refuse a client whom popgate
 * permits, and puts popgate's check in front of the refusal: behind the
 * permits for SMTP AUTH and mynetworks where the list has some, so that
 * popgate's clients are treated as these are. What the admin has stays, in its
 * order: other checks, other milters, non_smtpd_milters.
 *
 * The checks are defined once, as settings of main.cf (popgate_client,
 * popgate_relay, popgate_milter and so on), and lists name them as
 * $popgate_client. Where such a definition is missing, its name stands for
 * nothing, and Postfix is closed.
 *
 * Runs no program, and reads no file but the tables that the lists name, and
 * these only when postfix_conf has a directory.
 * Threads: any, one per plan. */
#ifndef POPGATE_POSTFIX_WIRING_H
#define POPGATE_POSTFIX_WIRING_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/strings.h"
#include "common/mta/postfix_conf.h"

struct err;

/* The listen values of popgate.conf: "unix:/path" or an inet form. A smtpd in
 * a chroot reaches a path below queue_directory; to reach another one it is
 * taken out of the chroot. */
struct wiring_sockets {
	const char *milter, *policy;
};

enum wiring_edit_kind {
	EDIT_MAIN, /* postconf -e name=value */
	EDIT_SERVICE, /* postconf -P service/name=value; never any white space
		       * in value, which postconf doesn't take there */
	EDIT_FIELD /* postconf -F service/name=value; name is "chroot" */
};

/* In the order in which they are to be made: each state between them is as
 * closed as the one before. */
struct wiring_edit {
	enum wiring_edit_kind kind;
	char *service; /* "smtp/inet"; NULL: main.cf */
	char *name;
	char *old; /* as the file has it; NULL: not set there */
	char *value;
	char *why; /* one sentence */
	bool closes; /* what was open, with popgate's milter as its guard */
};

/* The kinds of notes on the configuration as it is. */
enum wiring_note_kind {
	NOTE_NEVER_ASKS, /* a service: no list that decides on relaying asks */
	NOTE_REFUSES_FIRST, /* a list refuses before popgate is asked */
	NOTE_NO_MILTER, /* a service: without popgate's milter */
	NOTE_CHROOT, /* a service can't reach the sockets */
	NOTE_OLD_WIRING, /* another version's, or another socket's */
	NOTE_REINJECTION, /* a content filter gives its mail back here */
	NOTE_REINJECTION_MILTER, /* and popgate's milter would judge it */
	NOTE_LOOPBACK_ONLY, /* a service that only this machine reaches */
	NOTE_NO_CLIENTS, /* no service takes mail from other machines */
	NOTE_MYNETWORKS, /* Postfix relays for networks; popgate has to know */
	NOTE_OTHER_PERMIT, /* Postfix relays for others; popgate has to know */
	NOTE_SENDER_LOGIN, /* sender addresses: relay.sender_binding instead */
	NOTE_POSTSCREEN, /* refuses clients before any list */
	NOTE_MACROS, /* the milter isn't told what it goes by */
	NOTE_MILTER_MAPS, /* smtpd_milter_maps turns milters off */
	NOTE_EXPANDED, /* an edit replaces a $name by what it stood for */
	NOTE_OPEN, /* a service: no list refuses a stranger */
	NOTE_NON_SMTPD /* popgate is in non_smtpd_milters */
};

/* Notes that say that the wiring isn't complete; the others stay true of a
 * wired configuration. */
bool wiring_note_is_gap(enum wiring_note_kind kind);

/* The name of a note for programs: "never-asks". */
const char *wiring_note_name(enum wiring_note_kind kind);

struct wiring_note {
	enum wiring_note_kind kind;
	char *service; /* "smtp/inet"; NULL: all */
	char *setting; /* NULL: none */
	char *text; /* one sentence */
};

struct wiring_plan {
	struct wiring_edit *edits;
	size_t n_edits;
	struct wiring_note *notes;
	size_t n_notes;
};

/* Plan the edits that make pf ask popgate; none when it does already.
 *   plan  filled, also when -1 is returned: then it has no edits, and the notes
 *         that were made; the caller releases it
 * Returns 0, or -1 with err: this configuration can't be wired. */
int postfix_wiring_plan(const struct postfix_conf *pf,
    const struct wiring_sockets *sockets, struct wiring_plan *plan,
    struct err *err);
void wiring_plan_release(struct wiring_plan *plan);

/* The purpose of a service. */
enum wiring_role {
	ROLE_OTHER, /* no smtpd */
	ROLE_CLIENTS, /* takes mail from clients */
	ROLE_REINJECTION, /* takes back what a content filter has seen */
	ROLE_LOOPBACK /* only this machine reaches it */
};

enum wiring_role postfix_service_role(
    const struct postfix_conf *pf, const struct postfix_service *s);

/* Is endpoint ("unix:/run/x", "unix:popgate/x", "inet:127.0.0.1:1", as a
 * milter or policy service of pf is written) the socket that popgate listens
 * on? listen: as in popgate.conf.
 *   s  how it looks from this service, in its chroot or not; NULL: from
 *      either */
bool postfix_names_socket(const struct postfix_conf *pf,
    const struct postfix_service *s, const char *endpoint, const char *listen);

/* Where Postfix's own programs look for their configuration: $MAIL_CONFIG, or
 * what postconf was built with. To be freed by the caller; NULL with err: there
 * is no Postfix. */
char *postfix_usual_directory(struct err *err);

/* The configuration directories of all instances, that of the default
 * instance first. Runs postconf. 0, or -1 with err. The caller releases dirs.
 *   dir  of the default instance; NULL: postfix_usual_directory() */
int
postfix_instances(const char *dir, struct string_list *dirs, struct err *err);

#endif
