/* SPDX-License-Identifier: ISC */
/* key_error - what is wrong with a setting, and where it stands. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/config/config_key.h"

const char *
key_where(char buf[CONFIG_WHERE_MAX], const struct config *cfg,
    const char *file, unsigned line, const char *key)
{
	(void)snprintf(buf, CONFIG_WHERE_MAX, "%.300s:%u: %.60s",
	    file == NULL ? cfg->path : file, line, key);
	return buf;
}

int
key_error(const struct config *cfg, const config_setting_t *s, const char *path,
    const char *expected, struct err *err)
{
	const char *file = s == NULL ? NULL : config_setting_source_file(s);

	err_set(err, ERR_INVALID, "%s:%u: %s: expected %s",
	    file == NULL ? cfg->path : file,
	    s == NULL ? 0 : config_setting_source_line(s), path, expected);
	return -1;
}

unsigned
key_choice_find(const struct key *key, const char *text)
{
	for (unsigned n = 0; n < KEY_CHOICES && key->choice[n] != NULL; n++)
		if (strcmp(text, key->choice[n]) == 0)
			return n;
	return KEY_CHOICES;
}

int
key_choice_error(const struct config *cfg, const struct key *key,
    const config_setting_t *s, struct err *err)
{
	char expected[100];
	size_t used = 0;

	assert(key->choice[0] != NULL);
	for (unsigned n = 0; n < KEY_CHOICES && key->choice[n] != NULL; n++) {
		bool last = n + 1 == KEY_CHOICES || key->choice[n + 1] == NULL;
		int len = snprintf(expected + used, sizeof(expected) - used,
		    "%s\"%s\"",
		    n == 0     ? ""
			: last ? " or "
			       : ", ",
		    key->choice[n]);

		assert(len > 0 && (size_t)len < sizeof(expected) - used);
		used += (size_t)len;
	}
	return key_error(cfg, s, key->path, expected, err);
}

int
key_nomem(struct err *err)
{
	err_set(err, ERR_NOMEM, "out of memory");
	return -1;
}
