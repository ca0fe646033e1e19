/* SPDX-License-Identifier: ISC */
/* expire - the deletion behind `popgatectl expire` and `vsmtprelay expire`. */
#ifndef POPGATE_EXPIRE_H
#define POPGATE_EXPIRE_H

#include "ctl/ctl.h"

/* Delete entries with expires_at < cutoff, in short transactions; log lines of
 * such logins open nothing when they are read again. *n_r is how many. Returns
 * 0, or an exit status after having said why. */
int expire_before(struct ctl *ctl, int64_t cutoff, int64_t *n_r);

#endif
