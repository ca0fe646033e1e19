/* SPDX-License-Identifier: ISC */
/* postfix_relay - can a stranger relay through one smtpd service? */
#ifndef POPGATE_POSTFIX_RELAY_H
#define POPGATE_POSTFIX_RELAY_H

#include "ctl/doctor/postfix_exam.h"

/* popgate's milter among the smtpd_milters of a service. */
struct postfix_gate {
	bool there;
	bool accept; /* mail passes when it is not there */
};

/* Add a finding for each way a stranger can relay through service s.
 *   gate  popgate's milter before it
 *   asks_popgate_r  popgate's permit channel stands in the restrictions */
void
postfix_check_relay(struct postfix_exam *x, const struct postfix_service *s,
    const struct postfix_gate *gate, bool *asks_popgate_r);

/* Are strangers refused whatever they send to, even to our own domains? So it
 * is with "permit_sasl_authenticated, reject". */
bool
postfix_refuses_all(struct postfix_exam *x, const struct postfix_service *s);

#endif
