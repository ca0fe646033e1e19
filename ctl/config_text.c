/* SPDX-License-Identifier: ISC */
#include "ctl/config_text.h"

#include <assert.h>
#include <string.h>

#include "ctl/out.h"

void
config_text_string(FILE *to, const char *text)
{
	char buf[OUT_TEXT_MAX];
	bool harmless = strcmp(out_escape(text, buf, sizeof(buf)), text) == 0;

	(void)fputc('"', to);
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0';
	     p++) {
		if (*p == '"' || *p == '\\')
			(void)fprintf(to, "\\%c", *p);
		else if (!harmless && (*p < 0x20 || *p >= 0x7f))
			(void)fprintf(to, "\\x%02x", *p);
		else
			(void)fputc(*p, to);
	}
	(void)fputc('"', to);
}

static void
print_member(FILE *to, const struct config_member *m)
{
	if (m->name != NULL)
		(void)fprintf(to, "%s = ", m->name);
	if (m->form == CONFIG_TEXT)
		config_text_string(to, m->text);
	else
		(void)fputs(m->text, to);
	if (m->name != NULL)
		(void)fputs("; ", to);
}

static void
print_table(FILE *to, const struct config_value *value)
{
	(void)fputs("{", to);
	for (size_t i = 0; i < value->n; i++) {
		if (config_member_first(value, i))
			(void)fprintf(
			    to, "\n        %s = [ ", value->v[i].name);
		else
			(void)fputs(", ", to);
		config_text_string(to, value->v[i].text);
		if (config_member_last(value, i))
			(void)fputs(" ];", to);
	}
	(void)fputs(" }", to);
}

void
config_text_value(FILE *to, const struct config_value *value)
{
	bool groups = value->form == CONFIG_GROUPS;

	if (value->form == CONFIG_TABLE) {
		print_table(to, value);
		return;
	}
	if (value->form != CONFIG_LIST && !groups) {
		assert(value->n == 1);
		print_member(to, &value->v[0]);
		return;
	}
	(void)fputs(groups ? "(" : "[", to);
	for (size_t i = 0; i < value->n; i++) {
		if (!groups || config_member_first(value, i))
			(void)fprintf(to, "%s%s\n        %s",
			    i > 0 && groups ? "}" : "", i > 0 ? "," : "",
			    groups ? "{ " : "");
		print_member(to, &value->v[i]);
	}
	(void)fputs(groups && value->n > 0 ? "}" : "", to);
	(void)fputs(groups ? " )" : " ]", to);
}
