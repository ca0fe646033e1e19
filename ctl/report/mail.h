/* SPDX-License-Identifier: ISC */
/* mail - a report as a mail of two parts, given to the local sendmail command.
 * One thread. */
#ifndef POPGATE_REPORT_MAIL_H
#define POPGATE_REPORT_MAIL_H

#include <stdbool.h>

#include "ctl/report/figures.h"

struct ctl;

/* Returns 0 when sendmail took the mail, or an exit status after having said
 * why not. */
int report_mail(struct ctl *ctl, const struct report *rep, const char *address);

#endif
