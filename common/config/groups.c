/* SPDX-License-Identifier: ISC */
/* groups - the keys whose value is a list of groups, ( { ... }, { ... } ), or a
 * group of lists. */
#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/listen.h"
#include "common/config/config_key.h"

static struct config_member
member(enum config_form form, const char *name, const char *text)
{
	assert(name != NULL && text != NULL);
	return (struct config_member){
		.name = name,
		.form = form,
		.text = text,
	};
}

/* One string member of a group in a list; *value_r is NULL when absent. */
static int
member_text(struct config *cfg, config_setting_t *group, const char *name,
    const char *path, const char **value_r, struct err *err)
{
	config_setting_t *s = config_setting_get_member(group, name);

	*value_r = s == NULL ? NULL : config_setting_get_string(s);
	if (s != NULL && (*value_r == NULL || **value_r == '\0'))
		return key_error(
		    cfg, s, path, "a string that is not empty", err);
	return 0;
}

/* Read the member that names a source's kind: file, socket, ... false when
 * there is no known one. *where_r is borrowed. */
static bool
source_kind(
    const config_setting_t *s, enum source_kind *kind_r, const char **where_r)
{
	const char *name = config_setting_name(s);
	const char *value = config_setting_get_string(s);
	bool is_path = value != NULL && *value == '/';
	bool is_socket = is_path && strlen(value) < LISTEN_PATH_MAX;

	*where_r = value;
	if (strcmp(name, "stdin") == 0 &&
	    config_setting_type(s) == CONFIG_TYPE_BOOL &&
	    config_setting_get_bool(s)) {
		*kind_r = SOURCE_STDIN;
		*where_r = "";
		return true;
	}
	if (strcmp(name, "file") == 0 && is_path)
		*kind_r = SOURCE_FILE;
	else if (strcmp(name, "socket") == 0 && is_socket)
		*kind_r = SOURCE_SOCKET;
	else if (strcmp(name, "login") == 0 && is_socket)
		*kind_r = SOURCE_LOGIN;
	else if (strcmp(name, "journal") == 0 && value != NULL &&
	    strcmp(value, "system") == 0)
		*kind_r = SOURCE_JOURNAL;
	else
		return false;
	return true;
}

enum { SOURCE_WHERE_MAX = 480 };

static const char source_path[] = "collector.sources";
static const char source_expected[] =
    "{ file = \"/path\"; } (and rotated = \"/directory\"), "
    "{ journal = \"system\"; }, { stdin = true; }, { socket = \"/path\"; } or "
    "{ login = \"/path\"; }; and zone = \"UTC\"";

/* The directory of a file's predecessors; *rotated_r is NULL when absent. */
static int
source_rotated(struct config *cfg, config_setting_t *e, const char **rotated_r,
    struct err *err)
{
	if (member_text(cfg, e, "rotated", source_path, rotated_r, err) == -1)
		return -1;
	if (*rotated_r == NULL)
		return 0;
	if (config_setting_get_member(e, "file") == NULL)
		return key_error(cfg, e, source_path, source_expected, err);
	if (**rotated_r != '/' || strlen(*rotated_r) > SOURCE_WHERE_MAX)
		return key_error(cfg, e, source_path,
		    "rotated = \"/directory\", an absolute path", err);
	return 0;
}

/* The zone of stamps without one; *zone_r is NULL when absent. */
static int
source_zone(struct config *cfg, config_setting_t *e, struct zone *zone,
    const char **zone_r, struct err *err)
{
	*zone = (struct zone){ .fixed = false };
	if (member_text(cfg, e, "zone", source_path, zone_r, err) == -1)
		return -1;
	if (*zone_r == NULL || zone_parse(*zone_r, zone))
		return 0;
	return key_error(cfg, config_setting_get_member(e, "zone"), source_path,
	    "zone = \"UTC\" or an offset like \"+01:00\"", err);
}

/* Find the member that says where a source is, and what goes with it. */
static int
source_find(struct config *cfg, config_setting_t *e,
    const config_setting_t **s_r, const char **rotated_r, struct zone *zone,
    struct err *err)
{
	static const char *const kinds[] = { "file", "journal", "stdin",
		"socket", "login" };
	const char *zone_text;

	if (!config_setting_is_group(e) || config_setting_length(e) < 1)
		return key_error(cfg, e, source_path, source_expected, err);
	if (source_rotated(cfg, e, rotated_r, err) == -1 ||
	    source_zone(cfg, e, zone, &zone_text, err) == -1)
		return -1;
	*s_r = NULL;
	for (size_t i = 0; i < 5 && *s_r == NULL; i++)
		*s_r = config_setting_get_member(e, kinds[i]);
	if (*s_r == NULL ||
	    config_setting_length(e) !=
		1 + (*rotated_r != NULL) + (zone_text != NULL))
		return key_error(cfg, e, source_path, source_expected, err);
	return 0;
}

static int
set_source(struct config *cfg, config_setting_t *e, struct err *err)
{
	struct config_source *src =
	    &cfg->collector.sources[cfg->collector.n_sources];
	const config_setting_t *s = NULL;
	const char *path = source_path, *where, *rotated;
	char name[SOURCE_WHERE_MAX + sizeof("journal:")];

	if (source_find(cfg, e, &s, &rotated, &src->zone, err) == -1)
		return -1;
	assert(s != NULL);
	if (!source_kind(s, &src->kind, &where))
		return key_error(cfg, s, path, source_expected, err);
	if (src->zone.fixed &&
	    (src->kind == SOURCE_JOURNAL || src->kind == SOURCE_LOGIN))
		return key_error(cfg, s, path,
		    "no zone: the journal's entries and told logins have none",
		    err);
	if (strlen(where) > SOURCE_WHERE_MAX)
		return key_error(cfg, s, path, "a shorter path", err);
	(void)snprintf(name, sizeof(name), "%s%s%s", config_setting_name(s),
	    src->kind == SOURCE_STDIN ? "" : ":", where);
	if (src->zone.fixed)
		(void)zone_format(&src->zone, src->zone_text);
	src->where = strdup(where);
	src->name = strdup(name);
	src->rotated = rotated == NULL ? NULL : strdup(rotated);
	cfg->collector.n_sources++;
	if (src->where == NULL || src->name == NULL ||
	    (rotated != NULL && src->rotated == NULL))
		return key_nomem(err);
	for (size_t i = 0; i + 1 < cfg->collector.n_sources; i++)
		if (strcmp(cfg->collector.sources[i].name, src->name) == 0)
			return key_error(cfg, s, path, "each source once", err);
	return 0;
}

static size_t
source_members(const void *one, struct config_member *v)
{
	static const char *const names[] = {
		[SOURCE_FILE] = "file",
		[SOURCE_JOURNAL] = "journal",
		[SOURCE_SOCKET] = "socket",
		[SOURCE_LOGIN] = "login",
	};
	const struct config_source *src = one;

	v[0] = src->kind == SOURCE_STDIN
	    ? member(CONFIG_BOOL, "stdin", "true")
	    : member(CONFIG_TEXT, names[src->kind], src->where);
	size_t n = 1;

	if (src->rotated != NULL)
		v[n++] = member(CONFIG_TEXT, "rotated", src->rotated);
	if (src->zone.fixed)
		v[n++] = member(CONFIG_TEXT, "zone", src->zone_text);
	return n;
}

static void
source_release(void *one)
{
	struct config_source *src = one;

	free(src->name);
	free(src->where);
	free(src->rotated);
}

const struct key_groups key_sources = {
	.count = offsetof(struct config, collector.n_sources),
	.size = sizeof(struct config_source),
	.set = set_source,
	.members = source_members,
	.release = source_release,
};

static int
set_custom(struct config *cfg, config_setting_t *e, struct err *err)
{
	struct config_custom *rule =
	    &cfg->collector.custom[cfg->collector.n_custom];
	const char *path = "collector.custom", *program, *pattern, *unit;
	static const char expected[] =
	    "{ program = \"...\"; pattern = \"...\"; }, perhaps with unit = \"...\" or stream = true";
	config_setting_t *stream;

	if (!config_setting_is_group(e))
		return key_error(cfg, e, path, expected, err);
	if (member_text(cfg, e, "program", path, &program, err) == -1 ||
	    member_text(cfg, e, "pattern", path, &pattern, err) == -1 ||
	    member_text(cfg, e, "unit", path, &unit, err) == -1)
		return -1;
	stream = config_setting_get_member(e, "stream");
	if (program == NULL || pattern == NULL ||
	    (stream != NULL &&
		config_setting_type(stream) != CONFIG_TYPE_BOOL) ||
	    config_setting_length(e) != 2 + (unit != NULL) + (stream != NULL))
		return key_error(cfg, e, path, expected, err);
	char where[CONFIG_WHERE_MAX];

	key_where(where, cfg, config_setting_source_file(e),
	    config_setting_source_line(e), path);
	rule->where = strdup(where);
	rule->program = strdup(program);
	rule->pattern = strdup(pattern);
	rule->unit = unit == NULL ? NULL : strdup(unit);
	rule->stream = stream != NULL && config_setting_get_bool(stream) != 0;
	cfg->collector.n_custom++;
	if (rule->where == NULL || rule->program == NULL ||
	    rule->pattern == NULL || (unit != NULL && rule->unit == NULL))
		return key_nomem(err);
	return 0;
}

static size_t
custom_members(const void *one, struct config_member *v)
{
	const struct config_custom *rule = one;
	size_t n = 2;

	v[0] = member(CONFIG_TEXT, "program", rule->program);
	v[1] = member(CONFIG_TEXT, "pattern", rule->pattern);
	if (rule->unit != NULL)
		v[n++] = member(CONFIG_TEXT, "unit", rule->unit);
	if (rule->stream)
		v[n++] = member(CONFIG_BOOL, "stream", "true");
	return n;
}

static void
custom_release(void *one)
{
	struct config_custom *rule = one;

	free(rule->where);
	free(rule->program);
	free(rule->pattern);
	free(rule->unit);
}

const struct key_groups key_custom = {
	.count = offsetof(struct config, collector.n_custom),
	.size = sizeof(struct config_custom),
	.set = set_custom,
	.members = custom_members,
	.release = custom_release,
};

/* More would be in nobody's logs; and CONFIG_GROUP_MAX is what is printed. */
enum { TAGS_MAX = CONFIG_GROUP_MAX };

static int
set_tags(struct config *cfg, config_setting_t *e, struct err *err)
{
	static const struct key key = { .path = "collector.tags" };
	struct config_tags *t = &cfg->collector.tags[cfg->collector.n_tags++];
	char where[CONFIG_WHERE_MAX];

	key_where(where, cfg, config_setting_source_file(e),
	    config_setting_source_line(e), key.path);
	t->where = strdup(where);
	t->server = strdup(config_setting_name(e));
	if (t->where == NULL || t->server == NULL)
		return key_nomem(err);
	if (key_strings(cfg, &key, e, &t->tags, err) == -1)
		return -1;
	if (t->tags.n == 0 || t->tags.n > TAGS_MAX)
		return key_error(
		    cfg, e, key.path, "between 1 and 16 tags of a server", err);
	return 0;
}

static size_t
tags_members(const void *one, struct config_member *v)
{
	const struct config_tags *t = one;

	assert(t->tags.n <= CONFIG_GROUP_MAX);
	for (size_t i = 0; i < t->tags.n; i++)
		v[i] = member(CONFIG_TEXT, t->server, t->tags.v[i]);
	return t->tags.n;
}

static void
tags_release(void *one)
{
	struct config_tags *t = one;

	free(t->server);
	free(t->where);
	string_list_release(&t->tags);
}

const struct key_groups key_tags = {
	.count = offsetof(struct config, collector.n_tags),
	.size = sizeof(struct config_tags),
	.set = set_tags,
	.members = tags_members,
	.release = tags_release,
};

/* Set *to to the digits of a digest, or to NULL when text is NULL. */
static int
set_digest(struct config *cfg, config_setting_t *e, const char *text, char **to,
    struct err *err)
{
	char digest[CERTIFICATE_DIGEST_MAX];

	*to = NULL;
	if (text == NULL)
		return 0;
	if (!certificate_digest(text, digest))
		return key_error(cfg, e, "relay.certificates",
		    "a SHA-1, SHA-256, SHA-384 or SHA-512 digest in hexadecimal digits (set smtpd_tls_fingerprint_digest = sha256 in Postfix, "
		    "CertFingerprintAlgorithm=sha256 in Sendmail)",
		    err);
	*to = strdup(digest);
	if (*to != NULL)
		return 0;
	return key_nomem(err);
}

static int
set_certificate(struct config *cfg, config_setting_t *e, struct err *err)
{
	static const char path[] = "relay.certificates";
	struct certificate_entry *entry =
	    &cfg->relay.certificates[cfg->relay.n_certificates];
	const char *subject = NULL, *issuer = NULL, *print = NULL, *key = NULL;

	if (config_setting_is_group(e) &&
	    (member_text(cfg, e, "subject", path, &subject, err) == -1 ||
		member_text(cfg, e, "issuer", path, &issuer, err) == -1 ||
		member_text(cfg, e, "fingerprint", path, &print, err) == -1 ||
		member_text(cfg, e, "public_key", path, &key, err) == -1))
		return -1;
	/* a subject alone proves nothing: any authority may issue it */
	int names = (subject != NULL) + (issuer != NULL);
	int digests = (print != NULL) + (key != NULL);

	if (!config_setting_is_group(e) ||
	    config_setting_length(e) != names + digests ||
	    !((names == 2 && digests == 0) || (names == 0 && digests == 1)))
		return key_error(cfg, e, path,
		    "{ subject = \"...\"; issuer = \"...\"; } (both), "
		    "{ fingerprint = \"...\"; } or { public_key = \"...\"; }",
		    err);
	cfg->relay.n_certificates++;
	if (set_digest(cfg, e, print, &entry->fingerprint, err) == -1 ||
	    set_digest(cfg, e, key, &entry->public_key, err) == -1)
		return -1;
	if (names == 0)
		return 0;
	entry->subject = strdup(subject);
	entry->issuer = strdup(issuer);
	if (entry->subject != NULL && entry->issuer != NULL)
		return 0;
	return key_nomem(err);
}

static size_t
certificate_members(const void *one, struct config_member *v)
{
	const struct certificate_entry *entry = one;
	const struct {
		const char *name, *text;
	} members[] = {
		{ "subject", entry->subject },
		{ "issuer", entry->issuer },
		{ "fingerprint", entry->fingerprint },
		{ "public_key", entry->public_key },
	};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		if (members[i].text != NULL)
			v[n++] = member(
			    CONFIG_TEXT, members[i].name, members[i].text);
	return n;
}

static void
certificate_release(void *one)
{
	struct certificate_entry *entry = one;

	free(entry->subject);
	free(entry->issuer);
	free(entry->fingerprint);
	free(entry->public_key);
}

const struct key_groups key_certificates = {
	.count = offsetof(struct config, relay.n_certificates),
	.size = sizeof(struct certificate_entry),
	.set = set_certificate,
	.members = certificate_members,
	.release = certificate_release,
};

static int
set_mirror(struct config *cfg, config_setting_t *e, struct err *err)
{
	static const char expected[] =
	    "{ file = \"/path\"; format = \"relayhosts\"; }, perhaps with value = \"...\"; formats are makemap, relayers.db, relayhosts, relayhostsusers, access, hash and cidr";
	struct config_mirror *m =
	    &cfg->collector.mirror[cfg->collector.n_mirror];
	const char *path = "collector.mirror", *file, *format, *value;

	if (!config_setting_is_group(e))
		return key_error(cfg, e, path, expected, err);
	if (member_text(cfg, e, "file", path, &file, err) == -1 ||
	    member_text(cfg, e, "format", path, &format, err) == -1 ||
	    member_text(cfg, e, "value", path, &value, err) == -1)
		return -1;
	if (file == NULL || format == NULL || *file != '/' ||
	    strlen(file) > PATH_MAX - 64 ||
	    config_setting_length(e) != (value == NULL ? 2 : 3) ||
	    !map_format_find(format, &m->format))
		return key_error(cfg, e, path, expected, err);
	if (value != NULL &&
	    (!map_format_has_value(m->format) || !map_value_good(value)))
		return key_error(cfg, e, path,
		    "a value of printable ASCII, and only with access, hash or cidr",
		    err);
	size_t len = strlen(file);

	if (map_format_is_hash(m->format) &&
	    (len < 4 || strcmp(file + len - 3, ".db") != 0))
		return key_error(cfg, e, path,
		    "a hash in a file whose name ends with .db: that is what its readers open",
		    err);
	for (size_t i = 0; i < cfg->collector.n_mirror; i++)
		if (strcmp(cfg->collector.mirror[i].file, file) == 0)
			return key_error(cfg, e, path, "each file once", err);
	cfg->collector.n_mirror++;
	m->file = strdup(file);
	m->value = value == NULL ? NULL : strdup(value);
	if (m->file != NULL && (value == NULL || m->value != NULL))
		return 0;
	return key_nomem(err);
}

static size_t
mirror_members(const void *one, struct config_member *v)
{
	const struct config_mirror *m = one;

	v[0] = member(CONFIG_TEXT, "file", m->file);
	v[1] = member(CONFIG_TEXT, "format", map_format_name(m->format));
	if (m->value == NULL)
		return 2;
	v[2] = member(CONFIG_TEXT, "value", m->value);
	return 3;
}

static void
mirror_release(void *one)
{
	struct config_mirror *m = one;

	free(m->file);
	free(m->value);
}

const struct key_groups key_mirrors = {
	.count = offsetof(struct config, collector.n_mirror),
	.size = sizeof(struct config_mirror),
	.set = set_mirror,
	.members = mirror_members,
	.release = mirror_release,
};
