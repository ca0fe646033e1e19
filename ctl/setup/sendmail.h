/* SPDX-License-Identifier: ISC */
/* sendmail - setup's part for Sendmail: see struct setup_mta in setup.h. */
#ifndef POPGATE_SETUP_SENDMAIL_H
#define POPGATE_SETUP_SENDMAIL_H

#include "ctl/setup/setup.h"

/* The path of sendmail.cf into buf: s->dir is it, or its directory. */
void setup_sendmail_cf(const struct setup *s, char *buf, size_t size);

/* Sendmail's program; Postfix has a sendmail, too, at the usual place. NULL: it
 * isn't here. */
const char *setup_sendmail_program(void);

int setup_sendmail_trial(
    struct setup *s, const struct config *cfg, struct err *err);
int setup_sendmail_reload(const char *cf_file, struct err *err);
void setup_sendmail_before(struct setup *s);

#endif
