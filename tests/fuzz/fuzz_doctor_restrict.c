/* SPDX-License-Identifier: ISC */
/* Fuzz the walk through Postfix's restrictions, the tables that need no file,
 * and the look for lines in main.cf and master.cf. The first byte says which.
 * What is invariant: nothing but "permit" or a table permits. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mta/postfix_conf.h"
#include "common/mta/postfix_table.h"
#include "common/mta/restrict.h"
#include "ctl/doctor/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *
class_list(void *arg, const char *name)
{
	return strcmp(name, "a") == 0 ? arg
	    : strcmp(name, "b") == 0  ? "a, b"
				      : NULL;
}

static enum restrict_end
look(void *arg, enum restrict_effect effect, const char *name,
    const char *operand)
{
	struct network net;

	(void)arg;
	if (effect < EFFECT_NETWORKS || name == NULL)
		abort();
	(void)net_word_parse(operand, &net);
	return RESTRICT_THROUGH;
}

static void
take(
    void *arg, enum postfix_table_kind kind, const char *key, const char *value)
{
	(void)arg;
	(void)access_result_parse(value);
	if (kind == TABLE_PATTERN)
		(void)postfix_pattern_is_all(key);
}

static void
walk(const char *text)
{
	struct restrict_walk w = { .arg = (void *)(uintptr_t)text,
		.class_list = class_list,
		.look = look,
		.plain_table = EFFECT_RECIPIENT };

	if (restrict_list(&w, text) == RESTRICT_PERMIT &&
	    strcasestr(text, "permit") == NULL)
		abort();
	if (w.depth != 0)
		abort();
	(void)restrict_has_reject(&w, text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[400], *text = size == 0 ? NULL : malloc(size);

	if (text == NULL)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (*data % 4) {
	case 0:
		walk(text); /* class "a" is all of it */
		break;
	case 1:
		for (int kind = TABLE_KEYS; kind <= TABLE_PATTERN; kind++)
			postfix_table_parse(
			    (enum postfix_table_kind)kind, text, take, NULL);
		break;
	case 2:
		/* tables of files are not for a fuzzer */
		if (strchr(text, '/') == NULL)
			(void)postfix_table_read(
			    "/nonexistent", text, take, NULL, why);
		break;
	default:
		(void)postfix_main_line(text, "smtpd");
		(void)postfix_master_line(text, "smtp", "inet", "mynetworks");
		break;
	}
	free(text);
	return 0;
}
