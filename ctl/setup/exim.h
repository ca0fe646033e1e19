/* SPDX-License-Identifier: ISC */
/* exim - setup's part for Exim: see struct setup_mta in setup.h. */
#ifndef POPGATE_SETUP_EXIM_H
#define POPGATE_SETUP_EXIM_H

#include "ctl/setup/setup.h"

/* The output of "exim -bP WHAT", of the configuration that is at s->dir now, to
 * be freed; NULL with err. An option's value comes after "=". */
char *setup_exim_ask(const char *dir, const char *what, struct err *err);
/* The value of an option, to be freed; NULL: not known. */
char *setup_exim_option(const char *dir, const char *name);

int
setup_exim_trial(struct setup *s, const struct config *cfg, struct err *err);
int setup_exim_reload(const char *dir, struct err *err);
void setup_exim_before(struct setup *s);

#endif
