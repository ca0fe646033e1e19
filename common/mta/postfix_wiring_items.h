/* SPDX-License-Identifier: ISC */
/* postfix_wiring_items - a list of Postfix's restrictions taken apart, as a
 * client that popgate permits meets it. For the postfix_wiring_*.c alone. */
#ifndef POPGATE_POSTFIX_WIRING_ITEMS_H
#define POPGATE_POSTFIX_WIRING_ITEMS_H

#include "common/mta/postfix_wiring_work.h"

enum { WIRING_NAME_MAX = 200 };

enum wiring_item_kind {
	ITEM_PASS, /* refuses nobody */
	ITEM_AUTH, /* permit_sasl_authenticated */
	ITEM_NETWORKS, /* permit_mynetworks, permit_tls_clientcerts */
	ITEM_PERMIT, /* ends the list for everybody */
	ITEM_OWN_DOMAINS, /* permit_auth_destination */
	ITEM_REFUSE, /* for certain, whatever the recipient */
	ITEM_REFUSE_RELAY, /* for certain, a client that relays */
	ITEM_MAYBE, /* may refuse */
	ITEM_OURS
};

/* One restriction, with its operand; what a $name or a class stands for is
 * taken apart. */
struct wiring_item {
	enum wiring_item_kind kind;
	size_t top; /* the part of the value that it comes from */
	bool first; /* of this part */
	char name[WIRING_NAME_MAX];
	char definition[WIRING_NAME_MAX]; /* of ours: "popgate_client", or "" */
	char table[WIRING_NAME_MAX]; /* that it looks up, or "" */
	bool permits; /* the table, somebody or something */
	bool meets_own; /* a class: it may refuse our own mail, too */
	bool reaches; /* ours: the socket is the one that popgate listens on */
	bool keep; /* ours: as the wiring has it */
};

struct wiring_items {
	const struct wiring_work *w;
	const struct postfix_service *s;
	const struct wiring_list_kind *kind;
	bool recipient_known;
	struct wiring_item *v;
	size_t n;
	struct wiring_part {
		size_t from, to; /* in the raw value */
	} * parts;
	size_t n_parts;
	/* restriction classes that entries of the tables lead to */
	struct string_list classes;
	bool not_understood; /* a form of $ that this can't follow */
	bool no_memory;
};

/* Take apart raw, a value of kind's setting. w and s are borrowed; the caller
 * releases l. */
void wiring_items_parse(struct wiring_items *l, const struct wiring_work *w,
    const struct postfix_service *s, const struct wiring_list_kind *kind,
    const char *raw);

/* The same of the value that kind's setting has: as it is written, or expanded
 * where that has a form of $ that can't be followed. */
void wiring_items_of(struct wiring_items *l, const struct wiring_work *w,
    const struct postfix_service *s, const struct wiring_list_kind *kind);
void wiring_items_release(struct wiring_items *l);

/* Does it refuse, for certain, a client that popgate permits and that relays?
 */
bool wiring_is_refusal(enum wiring_item_kind kind);

/* May it refuse mail for our own domains, which popgate has no business with?
 */
bool wiring_meets_own(const struct wiring_item *item);

/* Is it the list that leaves Postfix open for popgate's milter to guard:
 * "check_client_access static:OK, reject" of smtpd_relay_restrictions? */
bool wiring_is_open(const struct wiring_items *l);

/* Does a permit_auth_destination stand before item `at`? */
bool wiring_own_mail_has_passed(const struct wiring_items *l, size_t at);

/* --- postfix_wiring_insert.c: the edit of a value --- */

/* An insertion: the text, and its place. All borrowed. */
struct wiring_insertion {
	struct wiring_work *w;
	const struct postfix_service *s;
	const struct wiring_list_kind *kind;
	const char *text, *why;
};

/* Put it in front of item `at` of raw, the value of a setting that owner has
 * (NULL: main.cf); depth: 0. */
void wiring_insert(const struct wiring_insertion *in,
    const struct postfix_service *owner, const char *setting, const char *raw,
    size_t at, int depth);

/* The separator between two restrictions of raw. */
const char *
wiring_separator(const struct postfix_service *owner, const char *raw);

/* raw without the parts that ask popgate, but for items that are to be kept: to
 * be freed; NULL: no memory. */
char *wiring_without_ours(const struct wiring_items *l, const char *raw);

/* Take what asks popgate out of the settings that raw names as $name, too, but
 * for items that are to be kept. */
void wiring_clear_references(
    struct wiring_work *w, const struct wiring_items *l, const char *raw);

/* The value to begin with: as the file has it, or with everything expanded
 * where it has a form of $ that isn't understood. To be freed; NULL: no
 * memory, of which w knows. */
char *wiring_start_value(struct wiring_work *w, const struct postfix_service *s,
    const struct wiring_list_kind *kind);

#endif
