/* SPDX-License-Identifier: ISC */
/* exim_run - one rehearsal of Exim: the copy, what is known of its
 * configuration, and what strangers may say to it. One thread. */
#ifndef POPGATE_EXIM_RUN_H
#define POPGATE_EXIM_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/rehearsal/exim.h"
#include "ctl/rehearsal/exim_fix.h"
#include "ctl/rehearsal/exim_search.h"
#include "ctl/wiring/exim_load.h"

struct err;
struct stage;
struct stage_file;

enum { EXIM_KEEP_MAX = 12 };

/* Somebody whom a fix must not shut out. */
struct keep {
	char client[64], recipient[256];
	const char *known;
};

struct exim_run {
	const struct exim_rehearsal_spec *spec;
	struct exim_rehearsal *to;
	struct progress progress;
	struct stage *stage;
	struct exim_talk talk;
	struct exim_seeds seeds;
	struct exim_loaded loaded;
	struct exim_file *read; /* what Exim reads, with what it includes */
	size_t n_read;
	char *config; /* as exim -bP prints it */
	char ours[256]; /* a list of the lists of our domains */
	char known[64]; /* an authenticator, or "" */
	struct keep keep[EXIM_KEEP_MAX];
	size_t n_keep;
};

/* Start a copy, with that file in place of the machine's; NULL: as it is. The
 * caller closes it. 0, or -1 with err. */
int exim_run_copy(const struct exim_run *r, const struct stage_file *file,
    struct stage **stage_r, struct err *err);

/* Start the copy, and fill in what there is to know; to and spec are set.
 * 0, or -1 with err. */
int exim_run_prepare(struct exim_run *r, struct err *err);

/* How many of r->read exim_text_read() begins with: macros, and the file. */
size_t exim_run_n_main(const struct exim_run *r);

/* Is a client (an address, perhaps with a name behind it) this machine? */
bool exim_run_is_loopback(const char *text);

#endif
