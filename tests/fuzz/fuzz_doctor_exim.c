/* SPDX-License-Identifier: ISC */
/* Fuzz what the doctor reads of Exim: lists, seeds of a configuration and of a
 * table, samples of patterns, and a trace. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/mta/exim_text.h"
#include "ctl/rehearsal/exim_seeds.h"
#include "ctl/rehearsal/exim_trace.h"

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

static void
seeds(const char *text)
{
	struct exim_seeds s;
	char sample[64];

	exim_seeds_begin(&s);
	exim_seeds_take_config(&s, text);
	exim_seeds_take_table(&s, text);
	(void)exim_seeds_end(&s);
	for (size_t i = 0; i < s.v[EXIM_SENDER].n; i++)
		if (strpbrk(s.v[EXIM_SENDER].v[i], "\r\n") != NULL)
			abort();
	exim_seeds_release(&s);
	for (unsigned i = 0; i < 3; i++)
		(void)exim_sample(text, i, sample, sizeof(sample));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct exim_trace t;

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	members(text);
	seeds(text);
	if (exim_trace_parse(text, &t))
		for (size_t i = 0; i < t.n_said; i++)
			(void)exim_trace_decided(&t, i);
	exim_trace_release(&t);
	return 0;
}
