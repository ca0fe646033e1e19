/* SPDX-License-Identifier: ISC */
/* exim_fix - where in the files a cause stands, and edits that may close it.
 * Pure. */
#ifndef POPGATE_EXIM_FIX_H
#define POPGATE_EXIM_FIX_H

#include <stdbool.h>
#include <stddef.h>

#include "common/mta/exim_source.h"
#include "ctl/rehearsal/exim_cause.h"

/* A place in a file, and what stands there. */
struct exim_place {
	const char *path, *text; /* of the whole file */
	unsigned line, behind; /* from line up to behind, which isn't part */
	/* Where an admin edits it, if that is elsewhere: Debian generates what
	 * Exim reads. NULL: here. */
	const char *source;
	unsigned source_line; /* 0: not known */
	const char *setting; /* there, "dc_relay_nets"; NULL */
	const char *then; /* what the admin runs afterwards; NULL: nothing */
};

/* An edit of one file, to be tried. */
struct exim_try_fix {
	const char *path;
	char *text; /* the whole file after it; owned */
	char *words; /* for people: what to do; owned */
};

enum { EXIM_FIXES_MAX = 5 };

/* The line that a setting of the main section, "hostlist name", or an option of
 * an authenticator stands in. 0: none.
 *   section  "" or "authenticators"
 *   name  "hostlist relay_from_hosts", "server_condition"
 *   item  the authenticator with this public_name; NULL: any */
bool exim_place_setting(const struct exim_file *files, size_t n, size_t n_main,
    const char *section, const char *name, const char *item,
    struct exim_place *place);

/* The definition of the macro that is all of a setting's value: place is moved
 * there. Where the value is anything else it stays. */
void exim_place_macro(struct exim_place *place);

/* Where the lines of a place stand in the files that it was made from: source
 * and source_line are set. */
void exim_place_source(
    struct exim_place *place, const struct exim_file *files, size_t n);

/* The line of a table, or of a file with a list, that holds an entry. 0: not
 * known.
 *   subject  what was looked for: a domain, an address, "host"
 *   client  the client's address, for networks */
unsigned exim_place_entry(const char *text, const char *item,
    const char *subject, const char *client);

/* Edits that may close what c names, the best first. Returns how many.
 *   statement  where c->at stands; line 0: it isn't known
 *   list  where the list c->named stands; entry: the table's line; line 0
 *   ours  "+local_domains : +relay_to_domains", as far as there are such */
size_t
exim_fixes(const struct exim_cause *c, const struct exim_place *statement,
    const struct exim_place *list, const struct exim_place *entry,
    const char *ours, struct exim_try_fix fixes[EXIM_FIXES_MAX]);
void exim_fixes_release(struct exim_try_fix *fixes, size_t n);

#endif
