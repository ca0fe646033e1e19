/* SPDX-License-Identifier: ISC */
#include "ctl/mail.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/run.h"
#include "ctl/ctl.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

enum { ADDRESS_MAX = 320 }; /* RFC 3696 (errata 1690): 64 + "@" + 255 */

bool
mail_is_address(const char *text)
{
	/* begins with a letter or digit: "-oQ/tmp" is no address */
	return strspn(text, LETTERS) > 0 && strlen(text) <= ADDRESS_MAX &&
	    text[strspn(text, LETTERS "._%+=@-")] == '\0';
}

int
mail_send(struct ctl *ctl, const char *address, const char *message)
{
	char *argv[] = {
		(char[]){ "sendmail" },
		(char[]){ "-i" },
		(char[]){ "--" },
		(char *)(uintptr_t)address,
		NULL,
	};
	struct err err;

	assert(mail_is_address(address));
	char *said = run_read(argv, message, RUN_TIMEOUT_S, &err);

	if (said == NULL)
		return ctl_fail(ctl, EX_TEMPFAIL,
		    "the mail to %s was not taken: %s", address, err.text);
	free(said);
	return 0;
}
