/* SPDX-License-Identifier: ISC */
/* rcpt - is a recipient ours, or would accepting it be relaying? Never asks
 * who the sender claims to be. Rules: docs/ARCHITECTURE.md "Ours". */
#ifndef POPGATE_RCPT_H
#define POPGATE_RCPT_H

#include <stdbool.h>

#include "common/config/config.h"
#include "common/mta/domains.h"

/*   arg      the recipient as typed in RCPT TO, with or without <>
 *   mailer   {rcpt_mailer}: what the MTA resolved it to; NULL or "" when it
 *            did not say (the permit channel never knows)
 *   mailers  relay.local_mailers
 *   wait     see domains_ask()
 * Whatever can't be parsed is a relay: DOMAIN_FOREIGN. */
enum domain_answer
rcpt_ask(const char *arg, const char *mailer, const struct string_list *mailers,
    const struct domain_set *domains, bool wait);

#endif
