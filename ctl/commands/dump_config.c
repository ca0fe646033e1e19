/* SPDX-License-Identifier: ISC */
/* dump-config - every value in force, and where it was said. */
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "ctl/commands.h"
#include "ctl/config_text.h"
#include "ctl/out.h"

enum { OPT_JSON };

static const struct ctl_option options[] = {
	[OPT_JSON] = { "json", NULL, "a JSON object a line" },
	{ 0 },
};

struct dump {
	struct json *json;
	char section[64]; /* that is open; "" none */
};

static void
print_text(struct dump *d, const struct config_value *value)
{
	size_t len = strcspn(value->key, ".");

	if (strncmp(d->section, value->key, len) != 0 ||
	    d->section[len] != '\0') {
		(void)printf("%s%.*s:\n{\n",
		    *d->section == '\0' ? "" : "};\n\n", (int)len, value->key);
		(void)snprintf(d->section, sizeof(d->section), "%.*s", (int)len,
		    value->key);
	}
	(void)fputs("    # ", stdout);
	if (value->file == NULL) {
		(void)puts("default");
	} else {
		out_text(value->file);
		(void)printf(":%u\n", value->line);
	}
	(void)printf("    %s = ", value->key + len + 1);
	config_text_value(stdout, value);
	(void)puts(";");
}

static void
member_json(struct json *j, const char *name, const struct config_member *m)
{
	/* a number and a bool are written alike in both languages */
	if (m->form == CONFIG_TEXT)
		json_text(j, name, m->text);
	else
		json_raw(j, name, m->text);
}

static void
print_json(struct json *j, const struct config_value *value)
{
	bool groups = value->form == CONFIG_GROUPS;

	json_open(j, NULL, '{');
	json_text(j, "key", value->key);
	if (value->form == CONFIG_TABLE) {
		json_open(j, "value", '{');
		for (size_t i = 0; i < value->n; i++) {
			if (config_member_first(value, i))
				json_open(j, value->v[i].name, '[');
			json_text(j, NULL, value->v[i].text);
			if (config_member_last(value, i))
				json_close(j, ']');
		}
		json_close(j, '}');
	} else if (value->form != CONFIG_LIST && !groups) {
		member_json(j, "value", &value->v[0]);
	} else {
		json_open(j, "value", '[');
		for (size_t i = 0; i < value->n; i++) {
			const struct config_member *m = &value->v[i];

			if (groups && config_member_first(value, i))
				json_open(j, NULL, '{');
			member_json(j, m->name, m);
			if (groups && config_member_last(value, i))
				json_close(j, '}');
		}
		json_close(j, ']');
	}
	json_bool(j, "default", value->file == NULL);
	json_text(j, "file", value->file);
	if (value->file == NULL)
		json_raw(j, "line", "null");
	else
		json_number(j, "line", value->line);
	json_close(j, '}');
	json_line(j);
}

static bool
take_value(void *arg, const struct config_value *value)
{
	struct dump *d = arg;

	if (d->json != NULL)
		print_json(d->json, value);
	else
		print_text(d, value);
	return !ferror(stdout);
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	struct json json = { .to = stdout };
	struct dump d = { .json = args->opt[OPT_JSON] != NULL ? &json : NULL };
	struct err err;

	if (args->n == 1) {
		ctl->config_path = args->v[0];
		ctl->config_given = true;
	}
	int rc = ctl_config(ctl);

	if (rc != 0)
		return rc;
	if (d.json == NULL) {
		(void)fputs("# every value in force by ", stdout);
		out_text(ctl->config_path);
		(void)puts(ctl->defaults ? ", which does not exist" : "");
	}
	if (config_each(ctl->cfg, take_value, &d, &err) == -1)
		return ctl_fail_err(ctl, &err);
	if (d.json == NULL)
		(void)puts("};");
	return 0;
}

const struct command cmd_dump_config = {
	.name = "dump-config",
	.args = "[--json] [FILE]",
	.summary = "every value in force, and where it was said",
	.help =
	    "What is printed can be read as a configuration of the same values. A comment says\n"
	    "of each: the default, or file and line.\n",
	.options = options,
	.min = 0,
	.max = 1,
	.run = run,
};
