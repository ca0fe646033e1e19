/* SPDX-License-Identifier: ISC */
/* mail - a report as a mail of two parts, given to the local sendmail command.
 * One thread. */
#ifndef POPGATE_REPORT_MAIL_H
#define POPGATE_REPORT_MAIL_H

#include <stdbool.h>

#include "ctl/report/figures.h"

struct ctl;

/* One address, or a local user, that is no option of sendmail(1), and can't
 * change the header that it is put into. */
bool report_is_mail_address(const char *text);

/* Returns 0 when sendmail took the mail, or an exit status after having said
 * why not. */
int report_mail(struct ctl *ctl, const struct report *rep, const char *address);

#endif
