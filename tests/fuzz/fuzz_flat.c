/* SPDX-License-Identifier: ISC */
/* Tables of other programs, as 'popgatectl import' reads them: the first line
 * as heads of CSV, each line as a row below them and as a JSON object. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/commands/flat_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
is_inside(const char *text, const char *line, size_t len)
{
	if (text != NULL)
		assert(text >= line && text + strlen(text) <= line + len);
}

static void
read_line(const char *text, size_t len, const struct flat *heads)
{
	char *line = strndup(text, len);
	struct flat f;

	if (line == NULL)
		return;
	len = strlen(line);
	if (heads == NULL ? flat_json(line, &f) : flat_csv(line, heads, &f)) {
		assert(f.n >= 0 && f.n <= FLAT_MAX);
		for (int i = 0; i < f.n; i++) {
			if (heads == NULL)
				is_inside(f.name[i], line, len);
			is_inside(f.value[i], line, len);
			assert(flat_get(&f, f.name[i]) == NULL ||
			    strlen(flat_get(&f, f.name[i])) <= len);
		}
	}
	free(line);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct flat heads;

	if (text == NULL)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	bool csv = flat_csv_heads(text, &heads);

	for (const char *line = text; *line != '\0';) {
		size_t n = strcspn(line, "\n");

		read_line(line, n, NULL);
		if (csv)
			read_line(line, n, &heads);
		line += n + (line[n] == '\n');
	}
	flat_release(&heads);
	free(text);
	return 0;
}
