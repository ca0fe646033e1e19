/* SPDX-License-Identifier: ISC */
/* exim_load - the Exim configuration of this machine as an admin edits it: the
 * files, and who makes of them what Exim reads. */
#ifndef POPGATE_EXIM_LOAD_H
#define POPGATE_EXIM_LOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/mta/exim_source.h"

struct err;
struct listen_spec;

/* etc/exim/closed.conf, built in. */
extern const char exim_closed_conf[];

/* The place of the file that Exim includes. */
#define EXIM_INCLUDE "/etc/popgate/exim-closed.conf"

/* Debian's program that makes the file that Exim reads. */
#define EXIM_DEBIAN_MAKE "update-exim4.conf"

enum exim_layout {
	EXIM_SINGLE, /* Exim reads the file that is edited */
	EXIM_DEBIAN_SPLIT, /* update-exim4.conf joins conf.d */
	EXIM_DEBIAN_TEMPLATE /* or takes exim4.conf.template */
};

struct exim_loaded {
	char *config; /* the file that Exim reads */
	enum exim_layout layout;
	char *owner; /* the program that writes what we would edit; NULL */
	struct exim_file *files; /* owned, as are their strings */
	size_t n_files, n_main; /* see exim_source_read() */
	struct exim_source src;
	char *group; /* Exim's: "Debian-exim"; NULL: not known */
};

/* Read what is here; runs exim -bP, changes nothing.
 *   config  the file that Exim reads, or the directory of Debian's; NULL: ask
 *           Exim, and look at the usual places
 * Returns 1; 0 when there is no Exim; -1 with err. To be released after 1. */
int exim_load(const char *config, struct exim_loaded *loaded, struct err *err);
void exim_loaded_release(struct exim_loaded *loaded);

/* The text of a file that was read; NULL: none of that path. */
const char *
exim_loaded_text(const struct exim_loaded *loaded, const char *path);

/* permit.policy as ${readsocket} names it, into buf. */
void exim_policy_format(const struct listen_spec *spec, char *buf, size_t size);

#endif
