/* SPDX-License-Identifier: ISC */
/* values - a setting's value into its member of struct config: one setter a
 * type. */
#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/config/config_key.h"

/* The strings of a setting (or of the default) as a list. */
int
key_strings(const struct config *cfg, const struct key *key,
    const config_setting_t *s, struct string_list *list, struct err *err)
{
	if (s == NULL) {
		for (const char *p = key->def; *p != '\0';) {
			size_t len = strcspn(p, " ");

			if (!string_list_add(list, p, len))
				goto nomem;
			p += len + (p[len] == ' ');
		}
		return 0;
	}
	if (!config_setting_is_array(s) && !config_setting_is_list(s))
		return key_error(cfg, s, key->path,
		    "a list of strings: [ \"...\", \"...\" ]", err);
	for (int i = 0; i < config_setting_length(s); i++) {
		config_setting_t *e = config_setting_get_elem(s, (unsigned)i);
		const char *text = config_setting_get_string(e);

		if (text == NULL || *text == '\0')
			return key_error(cfg, e, key->path,
			    "strings that are not empty", err);
		if (key->choice[0] != NULL &&
		    key_choice_find(key, text) == KEY_CHOICES)
			return key_choice_error(cfg, key, e, err);
		const char *expected =
		    key->check == NULL ? NULL : key->check(text);

		if (expected != NULL)
			return key_error(cfg, e, key->path, expected, err);
		if (!string_list_add(list, text, strlen(text)))
			goto nomem;
	}
	return 0;
nomem:
	return key_nomem(err);
}

static int
set_networks(struct config *cfg, const struct key *key,
    const config_setting_t *s, struct network_set *set, struct err *err)
{
	struct string_list list = { 0 };
	int ret = key_strings(cfg, key, s, &list, err);

	for (size_t i = 0; ret == 0 && i < list.n; i++) {
		struct network net;
		char expected[200];

		if (set == &cfg->relay.never_authorize &&
		    strcmp(list.v[i], "own") == 0) {
			cfg->relay.never_authorize_own = true;
			continue;
		}
		if (network_parse(list.v[i], &net)) {
			if (!network_set_add(set, &net))
				ret = key_nomem(err);
			continue;
		}
		(void)snprintf(expected, sizeof(expected),
		    "an address or network like \"192.0.2.0/24\" without host bits, not \"%.100s\"",
		    list.v[i]);
		ret = key_error(cfg,
		    s == NULL ? NULL : config_setting_get_elem(s, (unsigned)i),
		    key->path, expected, err);
	}
	string_list_release(&list);
	return ret;
}

static int
set_text(struct config *cfg, const struct key *key, const config_setting_t *s,
    const char *value, char **member, struct err *err)
{
	const char *expected = NULL;

	if (value == NULL)
		expected = "a string";
	else if (key->kind == K_PATH && *value != '/')
		expected = "an absolute path";
	else if (key->kind == K_PATH && strlen(value) > PATH_MAX - 64)
		expected = "a shorter path";
	else if (key->check != NULL)
		expected = key->check(value);
	if (expected != NULL)
		return key_error(cfg, s, key->path, expected, err);
	*member = strdup(value);
	if (*member != NULL)
		return 0;
	return key_nomem(err);
}

static int
set_number(struct config *cfg, const struct key *key, const config_setting_t *s,
    int64_t value, int64_t *member, struct err *err)
{
	char expected[120], low[24], high[24];

	if (value >= key->min && value <= key->max) {
		*member = value;
		return 0;
	}
	if (key->kind == K_SECONDS)
		(void)snprintf(expected, sizeof(expected),
		    "a duration from %s to %s%s",
		    duration_format(key->min, low),
		    duration_format(key->max, high),
		    key->off ? ", or \"off\"" : "");
	else if (key->kind == K_SIZE)
		(void)snprintf(expected, sizeof(expected),
		    "a size from %s to %s%s", size_format(key->min, low),
		    size_format(key->max, high),
		    key->off ? ", or \"off\"" : "");
	else
		(void)snprintf(expected, sizeof(expected),
		    "a number from %" PRId64 " to %" PRId64 "%s", key->min,
		    key->max, key->off ? ", or \"off\"" : "");
	return key_error(cfg, s, key->path, expected, err);
}

static int
set_rate(struct config *cfg, const struct key *key, const config_setting_t *s,
    const char *text, struct limit_rate *rate, struct err *err)
{
	char expected[160], low[24], high[24];

	(void)rate_parse(key->def, rate);
	if (text != NULL && rate_parse(text, rate) &&
	    rate->window_s >= key->min && rate->window_s <= key->max)
		return 0;
	(void)snprintf(expected, sizeof(expected),
	    "a number from 1 to %d and a window from %s to %s like \"%s\", or \"off\"",
	    RATE_MAX, duration_format(key->min, low),
	    duration_format(key->max, high), key->def);
	return key_error(cfg, s, key->path, expected, err);
}

/* Octal digits; a mode that lets everybody write is an open door. */
static bool
mode_parse(const char *text, mode_t *mode)
{
	char *end;
	unsigned long v = strtoul(text, &end, 8);

	if (*text < '0' || *text > '7' || *end != '\0' || v > 0777 ||
	    (v & 0600) != 0600)
		return false;
	*mode = (mode_t)v;
	return true;
}

/* The array and count of a key of groups. */
static size_t *
groups_count(struct config *cfg, const struct key *key)
{
	return (size_t *)(void *)((char *)cfg + key->groups->count);
}

static int
set_groups(struct config *cfg, const struct key *key, const config_setting_t *s,
    void **member, struct err *err)
{
	bool table = key->kind == K_TABLE;

	if (s != NULL &&
	    !(table ? config_setting_is_group(s) : config_setting_is_list(s)))
		return key_error(cfg, s, key->path,
		    table ? "a group of lists: { name = [ \"...\" ]; ... }"
			  : "a list of groups: ( { ... }, { ... } )",
		    err);
	int n = s == NULL ? 0 : config_setting_length(s);

	*member = calloc((size_t)n + 1, key->groups->size);
	if (*member == NULL)
		return key_nomem(err);
	for (int i = 0; i < n; i++)
		if (key->groups->set(cfg,
			config_setting_get_elem(s, (unsigned)i), err) == -1)
			return -1;
	return 0;
}

static int
set_choice(struct config *cfg, const struct key *key, const config_setting_t *s,
    const char *text, void *member, struct err *err)
{
	unsigned n = text == NULL ? KEY_CHOICES : key_choice_find(key, text);

	if (n == KEY_CHOICES)
		return key_choice_error(cfg, key, s, err);
	if (key->kind == K_CHOICE)
		*(bool *)member = n == 1;
	else
		memcpy(member, &n, sizeof(n)); /* an enum */
	return 0;
}

static int
set_seconds(struct config *cfg, const struct key *key,
    const config_setting_t *s, const char *text, int64_t *member,
    struct err *err)
{
	int64_t n;

	if (text == NULL && s != NULL && config_setting_is_number(s) &&
	    config_setting_type(s) != CONFIG_TYPE_FLOAT)
		n = config_setting_get_int64(s);
	else if (text == NULL || !duration_parse(text, &n))
		return key_error(cfg, s, key->path,
		    "a duration like \"90s\", \"30m\", \"2h\" or \"7d\"", err);
	return set_number(cfg, key, s, n, member, err);
}

static int
set_size(struct config *cfg, const struct key *key, const config_setting_t *s,
    const char *text, int64_t *member, struct err *err)
{
	int64_t n;

	if (text == NULL || !size_parse(text, &n))
		return key_error(cfg, s, key->path,
		    key->off ? "a size like \"500M\" or \"8G\", or \"off\""
			     : "a size like \"500M\" or \"8G\"",
		    err);
	return set_number(cfg, key, s, n, member, err);
}

static int
set_int(struct config *cfg, const struct key *key, const config_setting_t *s,
    int64_t *member, struct err *err)
{
	if (s == NULL)
		return set_number(
		    cfg, key, s, strtoll(key->def, NULL, 10), member, err);
	if (config_setting_type(s) != CONFIG_TYPE_INT &&
	    config_setting_type(s) != CONFIG_TYPE_INT64)
		return key_error(cfg, s, key->path,
		    key->off ? "a whole number, or \"off\"" : "a whole number",
		    err);
	return set_number(
	    cfg, key, s, config_setting_get_int64(s), member, err);
}

static int
set_mode(struct config *cfg, const struct key *key, const config_setting_t *s,
    const char *text, mode_t *member, struct err *err)
{
	if (text != NULL && mode_parse(text, member))
		return 0;
	return key_error(
	    cfg, s, key->path, "octal digits in quotes like \"0660\"", err);
}

static int
set_bool(struct config *cfg, const struct key *key, const config_setting_t *s,
    bool *member, struct err *err)
{
	if (s == NULL)
		*member = strcmp(key->def, "true") == 0;
	else if (config_setting_type(s) == CONFIG_TYPE_BOOL)
		*member = config_setting_get_bool(s) != 0;
	else
		return key_error(cfg, s, key->path, "true or false", err);
	return 0;
}

int
key_set(struct config *cfg, const struct key *key, const config_setting_t *s,
    struct err *err)
{
	void *member = (char *)cfg + key->offset;
	const char *text = s == NULL ? key->def : config_setting_get_string(s);

	/* a default has no setting and is always a text */
	assert(s != NULL || text != NULL || key->groups != NULL);
	assert(key->offset < sizeof(*cfg));
	assert(key->min <= key->max);
	if (key->off && text != NULL && strcmp(text, "off") == 0) {
		*(int64_t *)member = 0;
		return 0;
	}
	switch (key->kind) {
	case K_GROUPS:
	case K_TABLE:
		return set_groups(cfg, key, s, member, err);
	case K_STRINGS:
		return key_strings(cfg, key, s, member, err);
	case K_NETWORKS:
		return set_networks(cfg, key, s, member, err);
	case K_PATH:
	case K_TEXT:
		return set_text(cfg, key, s, text, member, err);
	case K_SECONDS:
		return set_seconds(cfg, key, s, text, member, err);
	case K_SIZE:
		return set_size(cfg, key, s, text, member, err);
	case K_INT:
		return set_int(cfg, key, s, member, err);
	case K_MODE:
		return set_mode(cfg, key, s, text, member, err);
	case K_RATE:
		return set_rate(cfg, key, s, text, member, err);
	case K_BOOL:
		return set_bool(cfg, key, s, member, err);
	case K_CHOICE:
	case K_ENUM:
		return set_choice(cfg, key, s, text, member, err);
	}
	assert(false); /* a kind that has no setter */
	return -1;
}

static void
release_groups(struct config *cfg, const struct key *key, char *array)
{
	for (size_t i = 0; i < *groups_count(cfg, key); i++)
		key->groups->release(array + i * key->groups->size);
	free(array);
}

void
key_release(struct config *cfg, const struct key *key)
{
	void *member = (char *)cfg + key->offset;

	switch (key->kind) {
	case K_PATH:
	case K_TEXT:
		free(*(char **)member);
		break;
	case K_STRINGS:
		string_list_release(member);
		break;
	case K_NETWORKS:
		network_set_release(member);
		break;
	case K_GROUPS:
	case K_TABLE:
		release_groups(cfg, key, *(char **)member);
		break;
	case K_SECONDS:
	case K_INT:
	case K_SIZE:
	case K_MODE:
	case K_CHOICE:
	case K_ENUM:
	case K_BOOL:
	case K_RATE:
		break;
	}
}
