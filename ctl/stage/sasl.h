/* SPDX-License-Identifier: ISC */
/* sasl - SMTP AUTH by Cyrus SASL in the room (room.h): whatever the machine
 * asks for passwords, the copy asks the stand-in for saslauthd. */
#ifndef POPGATE_STAGE_SASL_H
#define POPGATE_STAGE_SASL_H

struct err;

/* Where saslauthd is asked. */
#define SASL_SOCKET "/var/run/saslauthd/mux"

/* Replace the configuration of a program, where it has one.
 *   program  "smtpd", "Sendmail"
 *   dir      a directory that is looked at first; NULL: none
 * 0, or -1 with err. */
int sasl_ask_stand_in(const char *program, const char *dir, struct err *err);

#endif
