/* SPDX-License-Identifier: ISC */
/* postfix - setup's part for Postfix: see struct setup_mta in setup.h. */
#ifndef POPGATE_SETUP_POSTFIX_H
#define POPGATE_SETUP_POSTFIX_H

#include "ctl/setup/setup.h"

int
setup_postfix_trial(struct setup *s, const struct config *cfg, struct err *err);
void setup_postfix_before(struct setup *s);

#endif
