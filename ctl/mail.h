/* SPDX-License-Identifier: ISC */
/* mail - a message that popgatectl sends, given to the local sendmail(1). One
 * thread. */
#ifndef POPGATE_CTL_MAIL_H
#define POPGATE_CTL_MAIL_H

#include <stdbool.h>

struct ctl;

/* One address, or a local user, that is no option of sendmail(1), and can't
 * change the header that it is put into. */
bool mail_is_address(const char *text);

/* Give the message, header included, to sendmail for that address, for which
 * mail_is_address() holds. Returns 0 when it was taken, or an exit status after
 * having said why not. */
int mail_send(struct ctl *ctl, const char *address, const char *message);

#endif
