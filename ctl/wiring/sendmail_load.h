/* SPDX-License-Identifier: ISC */
/* sendmail_load - the Sendmail configuration of this machine: sendmail.cf, the
 * files that it is made of, and how m4 makes it. */
#ifndef POPGATE_SENDMAIL_LOAD_H
#define POPGATE_SENDMAIL_LOAD_H

#include <stdbool.h>

#include "common/base/err.h"
#include "common/mta/sendmail_wiring.h"

#define SENDMAIL_CF "/etc/mail/sendmail.cf"

/* The files of etc/sendmail/, built in. */
extern const char sendmail_closed_m4[], sendmail_lists_m4[],
    sendmail_sole_gate_m4[];

enum { SENDMAIL_SOURCES_MAX = 32 };

enum sendmail_made {
	SENDMAIL_MADE, /* m4 makes this very sendmail.cf */
	SENDMAIL_DIFFERS, /* it makes another: see differs_at */
	SENDMAIL_UNTRIED /* m4 can't be run, or says no: see why */
};

struct sendmail_loaded {
	struct sendmail_source src; /* its strings are owned */
	struct sendmail_file files[SENDMAIL_SOURCES_MAX]; /* src.mc */
	char *cf_dir; /* of cf.m4, as sendmail.cf names it; "" */
	bool needs_cf_m4; /* the .mc file doesn't include cf.m4 itself */
	enum sendmail_made made;
	unsigned differs_at; /* a line of sendmail.cf */
	struct err why;
};

/* Read what is here. Runs m4 without changing anything.
 *   cf  the path of sendmail.cf
 *   mc  that of its source; NULL: sendmail.mc beside it, or by the same name as
 *       cf, or HOST.mc; "": there is none
 * Returns 1; 0 when there is no cf; -1 with err. To be released after 1. */
int sendmail_load(const char *cf, const char *mc,
    struct sendmail_loaded *loaded, struct err *err);
void sendmail_loaded_release(struct sendmail_loaded *loaded);

/* The text of a sendmail.cf that m4 makes of the .mc file as it is on disk now,
 * to be freed. NULL with err, which has m4's own words. */
char *sendmail_make(const struct sendmail_loaded *loaded, struct err *err);

/* The text of a sendmail.cf that m4 would make of the files after a plan's
 * edits, which are not written yet: it works in a scratch directory. To be
 * freed; NULL with err. */
char *sendmail_make_planned(const struct sendmail_loaded *loaded,
    const struct edit_plan *plan, struct err *err);

/* The command of sendmail_make() for a shell, without what it is written to,
 * into buf.
 */
void sendmail_make_command(
    const struct sendmail_loaded *loaded, char *buf, size_t size);

#endif
