/* SPDX-License-Identifier: ISC */
/* Fuzz the splitting of a sendmail.cf: every line lies in the text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/mta/sendmail_cf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sendmail_cf cf;
	char name[64], value[40], *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (sendmail_cf_parse(text, &cf))
		for (size_t i = 0; i < cf.n; i++) {
			const struct sendmail_line *l = &cf.v[i];

			if (l->text < cf.text || l->text > cf.text + size ||
			    l->text + strlen(l->text) > cf.text + size)
				abort();
			if (i > 0 && l->line <= cf.v[i - 1].line)
				abort();
			(void)sendmail_name(l->text, name);
			(void)sendmail_option(l->text, "DaemonPortOptions");
			(void)sendmail_equate(
			    l->text, 'F', value, sizeof(value));
		}
	sendmail_cf_release(&cf);
	return 0;
}
