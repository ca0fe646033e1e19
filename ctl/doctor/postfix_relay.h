/* SPDX-License-Identifier: ISC */
/* postfix_relay - can a stranger relay through one smtpd service? */
#ifndef POPGATE_POSTFIX_RELAY_H
#define POPGATE_POSTFIX_RELAY_H

#include "ctl/doctor/postfix_exam.h"

/* Add a finding for each way a stranger can relay through service s.
 *   gate  popgate's milter before it */
void postfix_check_relay(struct postfix_exam *x,
    const struct postfix_service *s, const struct postfix_gate *gate);

/* Are strangers refused whatever they send to, even to our own domains? So it
 * is with "permit_sasl_authenticated, reject". */
bool
postfix_refuses_all(struct postfix_exam *x, const struct postfix_service *s);

#endif
