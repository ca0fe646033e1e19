/* SPDX-License-Identifier: ISC */
/* postfix_literals - which address literals ("user@[192.0.2.1]") a Postfix
 * takes for its own: the addresses of inet_interfaces and proxy_interfaces.
 * Constant once loaded: any number of threads may ask. */
#ifndef POPGATE_POSTFIX_LITERALS_H
#define POPGATE_POSTFIX_LITERALS_H

#include <stdbool.h>

struct err;
struct postfix_literals;

/* Look the addresses up, as Postfix does when it starts. Runs postconf. 0, or
 * -1 with err. */
int postfix_literals_load(
    const char *dir, struct postfix_literals **l_r, struct err *err);
void postfix_literals_free(struct postfix_literals *l); /* NULL-safe */

/*   domain  "[192.0.2.1]", "[ipv6:2001:db8::1]" */
bool postfix_literals_has(const struct postfix_literals *l, const char *domain);

#endif
