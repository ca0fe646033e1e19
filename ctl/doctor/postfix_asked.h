/* SPDX-License-Identifier: ISC */
/* postfix_asked - is popgate asked by every smtpd service of a Postfix, and
 * before anything refuses? One thread. */
#ifndef POPGATE_POSTFIX_ASKED_H
#define POPGATE_POSTFIX_ASKED_H

#include "ctl/doctor/postfix_exam.h"

/* Add a finding for each service that doesn't ask popgate by the milter or by
 * the permit channel while others do, for each list that refuses before
 * popgate is asked, and for each socket that a service can't reach. Sets
 * d->wired when a service asks. Reads no table. */
void postfix_check_asked(struct postfix_exam *x);

#endif
