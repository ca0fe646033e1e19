/* SPDX-License-Identifier: ISC */
/* sendmail_exam - one examination of one sendmail.cf. One thread at a time. */
#ifndef POPGATE_SENDMAIL_EXAM_H
#define POPGATE_SENDMAIL_EXAM_H

#include <stdbool.h>

#include "common/mta/sendmail_cf.h"
#include "ctl/doctor/doctor.h"
#include "ctl/doctor/net.h"

struct sendmail_exam {
	struct doctor *d;
	const char *path;
	struct sendmail_cf cf;
	struct net_machine machine;
	char filter[SENDMAIL_NAME_MAX]; /* popgate's X line; "" none */
	bool filter_closes; /* F=T or F=R */
	unsigned filter_line;
	char map[SENDMAIL_NAME_MAX]; /* popgate's K line; "" none */
	unsigned from_map; /* line of relay_mail_from's rule; 0: none */
};

/* Add a finding at a line of sendmail.cf; 0: of the whole file. */
void sendmail_add(struct sendmail_exam *x, const char *kind, unsigned line,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Add what the rule sets let pass. x->filter and x->map are known; sets
 * x->from_map, and d->wired when a rule asks popgate. */
void sendmail_check_rules(struct sendmail_exam *x);

#endif
