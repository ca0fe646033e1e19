/* SPDX-License-Identifier: ISC */
/* Fuzz the splitting of an Exim configuration, its lists and conditions. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/mta/exim_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
members(const char *list)
{
	char word[64], sep = 0;
	const char *at = list;
	size_t n = strlen(list);

	while (exim_member(&at, &sep, word, sizeof(word)))
		if (at > list + n)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct exim_conf cf;
	char word[32], *text = malloc(size + 1);
	bool negated;

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (exim_conf_parse(text, &cf)) {
		for (size_t i = 0; i < cf.n; i++) {
			const char *t = cf.v[i].text, *value;

			if (t < cf.text || t + strlen(t) > cf.text + size)
				abort();
			(void)exim_verb(t, word, sizeof(word));
			value = exim_condition(t, word, sizeof(word), &negated);
			if (value != NULL)
				members(value);
		}
		(void)exim_option(&cf, "acl_smtp_rcpt");
		(void)exim_list(&cf, "hostlist", "relay_from_hosts");
	}
	exim_conf_release(&cf);
	return 0;
}
