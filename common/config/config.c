/* SPDX-License-Identifier: ISC */
#include "common/config/config.h"

#include <assert.h>
#include <errno.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/err.h"
#include "common/config/config_key.h"

/* The place of path in the table, or the table's length. */
static size_t
key_find(const char *path)
{
	size_t n, i = 0;
	const struct key *keys = config_keys(&n);

	while (i < n && strcmp(keys[i].path, path) != 0)
		i++;
	return i;
}

static bool
key_known(const char *path)
{
	size_t n;

	(void)config_keys(&n);
	return key_find(path) < n;
}

static bool
section_known(const char *name)
{
	size_t n, len = strlen(name);
	const struct key *keys = config_keys(&n);

	for (size_t i = 0; i < n; i++)
		if (strncmp(keys[i].path, name, len) == 0 &&
		    keys[i].path[len] == '.')
			return true;
	return false;
}

/* Refuse a key that isn't in the table: a misspelt setting would otherwise
 * pass for one that is in force. */
static int
refuse_unknown(const struct config *cfg, const config_t *file, struct err *err)
{
	config_setting_t *root = config_root_setting(file);

	for (int i = 0; i < config_setting_length(root); i++) {
		config_setting_t *sec =
		    config_setting_get_elem(root, (unsigned)i);
		const char *name = config_setting_name(sec);

		if (!section_known(name))
			return key_error(cfg, sec, name,
			    "one of the sections logins, audit, milter, permit, relay, limits, reply, collector, metrics, share",
			    err);
		if (!config_setting_is_group(sec))
			return key_error(
			    cfg, sec, name, "a group: { ... }", err);
		for (int j = 0; j < config_setting_length(sec); j++) {
			config_setting_t *s =
			    config_setting_get_elem(sec, (unsigned)j);
			char path[160];

			(void)snprintf(path, sizeof(path), "%.70s.%.70s", name,
			    config_setting_name(s));
			if (!key_known(path))
				return key_error(cfg, s, path,
				    "a key that popgate.conf(5) knows: this is none",
				    err);
		}
	}
	return 0;
}

/* Sendmail's mailers that carry mail away. Listed as local, one of them would
 * open the relay. */
static const char *const remote_mailers[] = {
	"relay",
	"smtp",
	"esmtp",
	"smtp8",
	"dsmtp",
};

static int
check_local_mailers(
    const struct config *cfg, const config_t *file, struct err *err)
{
	const struct string_list *list = &cfg->relay.local_mailers;

	for (size_t i = 0; i < list->n; i++)
		for (size_t j = 0;
		     j < sizeof(remote_mailers) / sizeof(remote_mailers[0]);
		     j++)
			if (strcasecmp(list->v[i], remote_mailers[j]) == 0)
				return key_error(cfg,
				    config_lookup(file, "relay.local_mailers"),
				    "relay.local_mailers",
				    "mailers that deliver on this machine: "
				    "relay, smtp, esmtp, smtp8 and dsmtp carry mail away, and listing one would open the relay",
				    err);
	return 0;
}

/* Refuse a mirror beside a rule about senders: the file lets a client relay
 * whatever sender it gives. */
static int
check_mirror(const struct config *cfg, const config_t *file, struct err *err)
{
	if (cfg->collector.n_mirror == 0 ||
	    (cfg->relay.sender_binding == SENDER_OFF &&
		!cfg->relay.null_sender_refused))
		return 0;
	return key_error(cfg, config_lookup(file, "collector.mirror"),
	    "collector.mirror",
	    "no file while relay.sender_binding or relay.null_sender refuses senders: what popgate-milter refuses, a program that reads such a file would let in",
	    err);
}

/* Refuse to share without a key: whoever may write to Redis would open the
 * relay. */
static int
check_share(const struct config *cfg, const config_t *file, struct err *err)
{
	if (cfg->share.servers.n == 0 || *cfg->share.key_file != '\0')
		return 0;
	return key_error(cfg, config_lookup(file, "share.servers"),
	    "share.servers",
	    "share.key_file beside it: without a key, whoever can write to "
	    "Redis would let clients relay (see popgatectl share init)",
	    err);
}

/* Remember where a setting is written; s is NULL for a default. */
static int
set_origin(const struct config *cfg, const config_setting_t *s,
    struct config_origin *origin, struct err *err)
{
	if (s == NULL)
		return 0;
	const char *file = config_setting_source_file(s);

	origin->line = config_setting_source_line(s);
	origin->file = strdup(file == NULL ? cfg->path : file);
	if (origin->file != NULL)
		return 0;
	return key_nomem(err);
}

/* Parse path. libconfig reads what it includes. */
static int
parse_file(const char *path, config_t *file, struct err *err)
{
	FILE *in = fopen(path, "re");

	if (in == NULL) {
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		return -1;
	}
	int ok = config_read(file, in);

	(void)fclose(in);
	if (ok)
		return 0;
	const char *where = config_error_file(file);

	err_set(err, ERR_INVALID, "%s:%d: %s", where == NULL ? path : where,
	    config_error_line(file), config_error_text(file));
	return -1;
}

/* Give each key its value, and its default where the file sets none. */
static int
set_keys(struct config *cfg, const config_t *file, struct err *err)
{
	size_t n;
	const struct key *keys = config_keys(&n);

	cfg->origin = calloc(n, sizeof(*cfg->origin));
	if (cfg->origin == NULL)
		return key_nomem(err);
	for (size_t i = 0; i < n; i++) {
		const config_setting_t *s = config_lookup(file, keys[i].path);

		if (key_set(cfg, &keys[i], s, err) == -1 ||
		    set_origin(cfg, s, &cfg->origin[i], err) == -1)
			return -1;
	}
	return 0;
}

int
config_load(const char *path, struct config **cfg_r, struct err *err)
{
	struct config *cfg = calloc(1, sizeof(*cfg));
	config_t file;
	int ret = -1;

	assert(path != NULL);
	*cfg_r = NULL;
	config_init(&file);
	if (cfg == NULL || (cfg->path = strdup(path)) == NULL)
		(void)key_nomem(err);
	else if (parse_file(path, &file, err) == 0 &&
	    refuse_unknown(cfg, &file, err) == 0 &&
	    set_keys(cfg, &file, err) == 0 &&
	    check_local_mailers(cfg, &file, err) == 0 &&
	    check_mirror(cfg, &file, err) == 0 &&
	    check_share(cfg, &file, err) == 0)
		ret = 0;
	config_destroy(&file);
	if (ret == 0)
		*cfg_r = cfg;
	else
		config_free(cfg);
	return ret;
}

const char *
config_where(
    const struct config *cfg, const char *key, char buf[CONFIG_WHERE_MAX])
{
	size_t i = key_find(key);

	assert(key_known(key));
	return key_where(
	    buf, cfg, cfg->origin[i].file, cfg->origin[i].line, key);
}

void
config_free(struct config *cfg)
{
	size_t n;
	const struct key *keys = config_keys(&n);

	if (cfg == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		key_release(cfg, &keys[i]);
		if (cfg->origin != NULL)
			free(cfg->origin[i].file);
	}
	free(cfg->origin);
	free(cfg->path);
	free(cfg);
}
