/* SPDX-License-Identifier: ISC */
/* sendmail_walk - one .mc file on its way through the plan. */
#ifndef POPGATE_SENDMAIL_WALK_H
#define POPGATE_SENDMAIL_WALK_H

#include <stdbool.h>
#include <string.h>

#include "common/mta/sendmail_mc.h"
#include "common/mta/sendmail_plan.h"

enum { ARG_MAX_LEN = 600 };

/* One file on its way through. */
struct mc_walk {
	struct sendmail_build *b;
	const struct sendmail_file *f;
	struct err *err;
	unsigned past; /* lines before this one are edited already */
	bool included; /* popgate's rules are included */
	bool exempt; /* and what stands before the block lists */
};

/* Does the line begin with word? */
static inline bool
mc_starts(const char *line, const char *word)
{
	return strncmp(line, word, strlen(word)) == 0;
}

/* Where the line behind this one begins; the end of the text behind the last
 * one. */
static inline const char *
mc_next_line(const char *line)
{
	line += strcspn(line, "\n");
	return line + (*line == '\n');
}

/* Replace the lines from..last by text. */
void sendmail_replace_lines(struct mc_walk *w, unsigned from, unsigned last,
    const char *text, const char *why);

/* popgate's rules stand in this file, and line defines {popgateEnd}: they go.
 * Returns 0, or -1 with w->err when others stand among them. */
int sendmail_old_block(struct mc_walk *w, unsigned line);

/* A call of include: is it of popgate's? Those of today are noted in w, others
 * go. */
void sendmail_old_include(struct mc_walk *w, const struct sendmail_call *call);

/* A call of MAIL_FILTER or INPUT_MAIL_FILTER: popgate's goes. Returns 0, or -1
 * with w->err when it has another name. */
int sendmail_old_filter(struct mc_walk *w, const struct sendmail_call *call);

#endif
