/* SPDX-License-Identifier: ISC */
/* postfix_wiring_work - one plan of postfix_wiring.h in the making: the
 * configuration as it will be after the edits so far, and what adds edits and
 * notes. For the postfix_wiring_*.c alone. */
#ifndef POPGATE_POSTFIX_WIRING_WORK_H
#define POPGATE_POSTFIX_WIRING_WORK_H

#include "common/mta/postfix_wiring.h"

#define WIRING_SEPARATORS " \t\r\n,"

/* A table that a list looks up, read once. */
struct wiring_table {
	char *name;
	bool all_refused, all_permitted; /* whatever the key */
	bool permits; /* somebody */
	struct string_list words; /* of results that are restrictions */
};

struct wiring_tables {
	struct wiring_table **v;
	size_t n;
};

struct wiring_work {
	const struct postfix_conf *pf;
	const struct wiring_sockets *sockets;
	struct wiring_plan *plan;
	struct wiring_tables *tables;
	bool no_memory; /* the plan isn't whole */
};

/* --- postfix_wiring_edit.c --- */

/* A setting as it will be, with its $names: of the service when it has one of
 * its own, else main.cf's, else the default. Never NULL; borrowed until the
 * next edit. */
const char *wiring_raw(const struct wiring_work *w,
    const struct postfix_service *s, const char *name);
/* Only where the file has it; NULL: nowhere. */
const char *wiring_own(const struct wiring_work *w,
    const struct postfix_service *s, const char *name);

/* Set a setting of main.cf (s NULL) or of a service. Nothing when the file has
 * that value already. Where postconf takes no white space, the value goes into
 * main.cf under a name of its own. */
void wiring_set(struct wiring_work *w, const struct postfix_service *s,
    const char *name, const char *value, const char *why);
/* The same, of a list that was open: it is closed before popgate's milter, its
 * guard, is touched. */
void wiring_set_closed(struct wiring_work *w, const struct postfix_service *s,
    const char *name, const char *value, const char *why);
void wiring_set_field(struct wiring_work *w, const struct postfix_service *s,
    const char *field, const char *old, const char *value, const char *why);
void wiring_note(struct wiring_work *w, enum wiring_note_kind kind,
    const struct postfix_service *s, const char *setting, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* Bring the edits into the order of postfix_wiring.h. */
void wiring_sort_edits(struct wiring_work *w);

/* Replace $name, ${name} and $(name), also in what these stand for. NULL: there
 * is a form that this can't, such as ${name?text}, or memory is short. The
 * caller frees it. */
char *wiring_expand(const struct wiring_work *w,
    const struct postfix_service *s, const char *text);
/* The length of the $name, ${name} or $(name) that text begins with, and the
 * name in buf; 0: another form, or none. */
size_t wiring_reference(const char *text, char *buf, size_t buf_size);
/* The length of the word at text, of which "{ }" is a part. */
size_t wiring_word(const char *text);
/* text with its bytes [from, to) replaced; the caller frees it. */
char *wiring_splice(const char *text, size_t from, size_t to, const char *with);

/* --- postfix_wiring_table.c --- */

/* The entries of a table; NULL: no memory. One that can't be read is as if it
 * were empty. Borrowed from w. */
const struct wiring_table *
wiring_table(const struct wiring_work *w, const char *name);
void wiring_tables_release(struct wiring_tables *tables);

/* --- postfix_wiring_items.c: the lists that there are --- */

struct wiring_list_kind {
	const char *setting; /* "smtpd_client_restrictions" */
	const char *name; /* "client" */
	bool early; /* asked before RCPT when smtpd_delay_reject is off */
	bool relays; /* may hold the refusal of strangers who relay */
};

enum { WIRING_LISTS = 5 };
extern const struct wiring_list_kind wiring_lists[WIRING_LISTS];

/* --- postfix_wiring_list.c --- */

/* A list of a service as it is. */
struct wiring_list_state {
	bool needed; /* popgate has to be asked in it */
	bool asks; /* and is, in time */
	bool old; /* by another wiring than this version's, or another path */
	bool sole_gate; /* it is open for popgate's milter to guard */
	bool refuses; /* somebody who wants to relay, for certain */
	bool networks, certificates; /* it permits these before that */
	bool mx_backup; /* so does permit_mx_backup */
	char table[200]; /* and this table; "": none */
	char refusal[200]; /* what refuses first, or may */
};

void wiring_list_examine(const struct wiring_work *w,
    const struct postfix_service *s, const struct wiring_list_kind *kind,
    struct wiring_list_state *state);

/* Make popgate be asked in this list of the service, where it has to be. */
void wiring_list_plan(struct wiring_work *w, const struct postfix_service *s,
    const struct wiring_list_kind *kind);

/* --- postfix_wiring_data.c --- */

/* Make popgate be asked in smtpd_data_restrictions, where it has to be. */
void wiring_data_plan(struct wiring_work *w, const struct postfix_service *s);
/* A service that isn't a client's: let it have the list without popgate. */
void wiring_list_pin(struct wiring_work *w, const struct postfix_service *s,
    const struct wiring_list_kind *kind);

/* --- postfix_wiring_ask.c: what asks popgate --- */

/* "{ unix:/run/x, timeout=1s }" -> "unix:/run/x" */
void wiring_endpoint(const char *operand, char *buf, size_t size);

/* Is the operand of check_policy_service, or a table, or a milter, one of
 * popgate's, of whatever version and path? */
bool wiring_is_policy(const struct wiring_work *w, const char *operand);
bool wiring_is_map(const char *table);
bool wiring_is_milter(const struct wiring_work *w, const char *milter);
/* Define popgate_client, popgate_relay_strict, popgate_data, popgate_milter and
 * so on in main.cf, or set it right. */
void wiring_define(struct wiring_work *w, const char *name);
/* The rest of path below dir; NULL: it isn't below. */
const char *wiring_below(const char *path, const char *dir);

/* --- postfix_wiring_chroot.c --- */

/* Can the service reach the sockets from its chroot? Else take it out of it.
 * Returns 0, or -1 with err: something else needs the chroot. */
int wiring_chroot_plan(
    struct wiring_work *w, const struct postfix_service *s, struct err *err);

/* --- postfix_wiring_milter.c --- */

/* Is a macro missing that popgate's milter goes by? */
bool wiring_macros_missing(
    const struct wiring_work *w, const struct postfix_service *s);

enum wiring_milter {
	WIRING_MILTER_NONE,
	WIRING_MILTER_OTHER, /* popgate's, but not where popgate listens */
	WIRING_MILTER_OURS
};

/* How it stands with popgate in a list of milters, expanded. */
enum wiring_milter wiring_milter_state(const struct wiring_work *w,
    const struct postfix_service *s, const char *list);
void wiring_milter_plan(struct wiring_work *w, const struct postfix_service *s);
/* A service that isn't a client's: let it have the milters without popgate. */
void wiring_milter_pin(struct wiring_work *w, const struct postfix_service *s);

/* --- postfix_wiring_back.c --- */

/* Let a service through what a content filter gives back to it from this
 * machine, where another service relays for this machine's programs already.
 * Returns 0, or -1 with err: none does, so that it is for the admin to say. */
int wiring_back_plan(
    struct wiring_work *w, const struct postfix_service *s, struct err *err);

/* --- postfix_wiring_service.c: postfix_service_role() --- */

/* Does only this machine reach the service? */
bool wiring_on_loopback(
    const struct postfix_conf *pf, const struct postfix_service *s);

#endif
