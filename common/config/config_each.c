/* SPDX-License-Identifier: ISC */
/* config_each - every key of a configuration with its value, as dump-config
 * prints it. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/config/config_key.h"

/* The members of one value. */
struct members {
	struct config_member *v;
	size_t n;
};

enum { TEXT_MAX = RATE_TEXT_MAX };

/* Room for n more; NULL when memory is short. */
static struct config_member *
grow(struct members *m, size_t n)
{
	struct config_member *v = reallocarray(m->v, m->n + n, sizeof(*v));

	if (v == NULL)
		return NULL;
	m->v = v;
	memset(v + m->n, 0, n * sizeof(*v));
	m->n += n;
	return v + m->n - n;
}

static bool
one(struct members *m, enum config_form form, const char *text)
{
	struct config_member *v = grow(m, 1);

	if (v == NULL)
		return false;
	v->form = form;
	v->text = text;
	return true;
}

static bool
list(struct members *m, const struct string_list *strings)
{
	for (size_t i = 0; i < strings->n; i++)
		if (!one(m, CONFIG_TEXT, strings->v[i]))
			return false;
	return true;
}

/* *text_r: what the members point into; caller frees. */
static bool
networks(struct members *m, const struct config *cfg,
    const struct network_set *set, char **text_r)
{
	char(*text)[NETWORK_TEXT_MAX] = calloc(set->n + 1, sizeof(*text));

	*text_r = (char *)text;
	if (text == NULL)
		return false;
	if (set == &cfg->relay.never_authorize &&
	    cfg->relay.never_authorize_own && !one(m, CONFIG_TEXT, "own"))
		return false;
	for (size_t i = 0; i < set->n; i++)
		if (!one(m, CONFIG_TEXT, network_format(&set->v[i], text[i])))
			return false;
	return true;
}

static bool
groups(struct members *m, const struct config *cfg, const struct key *key,
    const char *array)
{
	size_t n;

	assert(key->groups != NULL);
	memcpy(&n, (const char *)cfg + key->groups->count, sizeof(n));
	for (size_t i = 0; i < n; i++) {
		struct config_member v[CONFIG_GROUP_MAX] = { 0 };
		size_t k =
		    key->groups->members(array + i * key->groups->size, v);
		struct config_member *to = grow(m, k);

		if (to == NULL)
			return false;
		for (size_t j = 0; j < k; j++) {
			to[j] = v[j];
			to[j].group = i;
		}
	}
	return true;
}

/* Fill m and form; buf of TEXT_MAX and *text_r hold what is in m. */
static bool
value_of(const struct config *cfg, const struct key *key, struct members *m,
    enum config_form *form, char *buf, char **text_r)
{
	const void *member = (const char *)cfg + key->offset;
	unsigned choice;

	assert(key->offset < sizeof(*cfg));
	*form = CONFIG_TEXT;
	if (key->off && *(const int64_t *)member == 0)
		return one(m, CONFIG_TEXT, "off");
	switch (key->kind) {
	case K_PATH:
	case K_TEXT:
		return one(m, CONFIG_TEXT, *(const char *const *)member);
	case K_SECONDS:
		return one(m, CONFIG_TEXT,
		    duration_format(*(const int64_t *)member, buf));
	case K_SIZE:
		return one(
		    m, CONFIG_TEXT, size_format(*(const int64_t *)member, buf));
	case K_INT:
		*form = CONFIG_NUMBER;
		(void)snprintf(
		    buf, TEXT_MAX, "%" PRId64, *(const int64_t *)member);
		return one(m, CONFIG_NUMBER, buf);
	case K_MODE:
		(void)snprintf(
		    buf, TEXT_MAX, "%04o", (unsigned)*(const mode_t *)member);
		return one(m, CONFIG_TEXT, buf);
	case K_RATE:
		return one(m, CONFIG_TEXT, rate_format(member, buf));
	case K_BOOL:
		*form = CONFIG_BOOL;
		return one(
		    m, CONFIG_BOOL, *(const bool *)member ? "true" : "false");
	case K_CHOICE:
		return one(
		    m, CONFIG_TEXT, key->choice[*(const bool *)member ? 1 : 0]);
	case K_ENUM:
		memcpy(&choice, member, sizeof(choice));
		return one(m, CONFIG_TEXT, key->choice[choice]);
	case K_STRINGS:
		*form = CONFIG_LIST;
		return list(m, member);
	case K_NETWORKS:
		*form = CONFIG_LIST;
		return networks(m, cfg, member, text_r);
	case K_GROUPS:
	case K_TABLE:
		*form = key->kind == K_TABLE ? CONFIG_TABLE : CONFIG_GROUPS;
		return groups(m, cfg, key, *(const char *const *)member);
	}
	return false;
}

/* 1 to go on, 0 to end, -1 when memory is short. */
static int
visit(const struct config *cfg, const struct key *key,
    const struct config_origin *origin,
    bool (*fn)(void *arg, const struct config_value *value), void *arg)
{
	struct config_value value = {
		.key = key->path, .file = origin->file, .line = origin->line
	};
	struct members m = { 0 };
	char buf[TEXT_MAX], *text = NULL;
	int more = -1;

	if (value_of(cfg, key, &m, &value.form, buf, &text)) {
		value.v = m.v;
		value.n = m.n;
		more = fn(arg, &value);
	}
	free(m.v);
	free(text);
	return more;
}

static size_t
section_length(const char *key)
{
	return strcspn(key, ".") + 1;
}

/* Is there a key of the same section before this one? */
static bool
section_seen(const struct key *keys, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (strncmp(keys[j].path, keys[i].path,
			section_length(keys[i].path)) == 0)
			return true;
	return false;
}

int
config_each(const struct config *cfg,
    bool (*fn)(void *arg, const struct config_value *value), void *arg,
    struct err *err)
{
	size_t n;
	const struct key *keys = config_keys(&n);
	int more = 1;

	for (size_t i = 0; i < n; i++) {
		if (section_seen(keys, i))
			continue;
		for (size_t j = i; j < n && more == 1; j++)
			if (strncmp(keys[j].path, keys[i].path,
				section_length(keys[i].path)) == 0)
				more = visit(
				    cfg, &keys[j], &cfg->origin[j], fn, arg);
	}
	if (more != -1)
		return 0;
	err_set(err, ERR_NOMEM, "out of memory");
	return -1;
}
