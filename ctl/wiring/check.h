/* SPDX-License-Identifier: ISC */
/* wiring/check - `popgatectl wiring MTA --check`: asks the running mail server
 * itself, on every service that takes mail from clients. */
#ifndef POPGATE_WIRING_CHECK_H
#define POPGATE_WIRING_CHECK_H

#include "ctl/ctl.h"

/* The exit status says what the services do. */
enum {
	CHECK_WIRED = 0, /* each refuses a stranger in popgate's words */
	CHECK_NOT_WIRED = 1, /* one doesn't, or couldn't be asked */
	CHECK_OPEN = 2 /* one relays for a stranger */
};

/* A stranger asks for a recipient outside and for one of ours, on each
 * service, up to RCPT: no message is sent. popgate records the stranger.
 *   mta  "postfix", "sendmail" or "exim"
 *   dir  the configuration directory of Postfix's default instance; NULL: the
 *        usual one
 * Returns CHECK_..., or an exit status of sysexits.h after having said why it
 * can't be asked. */
int wiring_check(struct ctl *ctl, const char *mta, const char *dir);

#endif
