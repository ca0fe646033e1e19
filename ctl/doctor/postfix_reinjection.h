/* SPDX-License-Identifier: ISC */
/* postfix_reinjection - does mail that a content filter gives back meet
 * popgate a second time, as mail of this machine? One thread. */
#ifndef POPGATE_POSTFIX_REINJECTION_H
#define POPGATE_POSTFIX_REINJECTION_H

#include "ctl/doctor/postfix_exam.h"

/* Is service s where a filter gives mail back? */
bool postfix_is_return(
    const struct postfix_exam *x, const struct postfix_service *s);

/* Does service s ask the permit channel about mail of this machine itself,
 * which is in mynetworks? */
bool postfix_asks_about_us(
    const struct postfix_exam *x, const struct postfix_service *s);

/* Add a finding when service s is where a filter gives mail back, and popgate
 * would refuse it there. */
void postfix_check_reinjection(
    struct postfix_exam *x, const struct postfix_service *s);

#endif
