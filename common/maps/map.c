/* SPDX-License-Identifier: ISC */
#include "common/maps/map.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/fnv.h"
#include "common/base/place.h"
#include "common/base/utf8.h"
#include "common/maps/bdb.h"
#include "common/maps/permitted.h"

struct map {
	enum map_format format;
	const char *value;
	unsigned mode;
	char *path; /* NULL: standard output */
	struct place place;
	FILE *to;
	struct bdb *db;
	uint64_t digest;
};

static int
io_error(const char *path, struct err *err)
{
	err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	return -1;
}

static int
open_temporary(struct map *m, struct err *err)
{
	char name[PLACE_PRIVATE_MAX];

	assert(m->path != NULL);
	if (place_open(&m->place, m->path, err) == -1)
		return -1;
	/* Berkeley DB makes its own file, by name. Without room for a
	 * directory it isn't asked: it would try for twelve seconds. */
	if (map_format_is_hash(m->format))
		return place_create_private(&m->place, name, err) == -1
		    ? -1
		    : bdb_open(name, true, &m->db, err);
	int fd = place_create(&m->place, err);

	if (fd == -1)
		return -1;
	m->to = fdopen(fd, "w");
	if (m->to != NULL)
		return 0;
	(void)close(fd);
	return io_error(m->path, err);
}

int
map_begin(const char *path, enum map_format format, const char *value,
    unsigned mode, struct map **m_r, struct err *err)
{
	struct map *m = calloc(1, sizeof(*m));

	assert(format < MAP_FORMATS);
	assert(path != NULL || !map_format_is_hash(format));
	*m_r = NULL;
	if (m == NULL)
		goto nomem;
	m->place = PLACE_NONE;
	m->format = format;
	m->value = value == NULL || map_format_value(format) == NULL
	    ? map_format_value(format)
	    : value;
	m->mode = mode;
	m->digest = FNV_START;
	if (path == NULL) {
		m->to = stdout;
		*m_r = m;
		return 0;
	}
	m->path = strdup(path);
	if (m->path == NULL)
		goto nomem;
	if (open_temporary(m, err) == 0) {
		*m_r = m;
		return 0;
	}
	map_abort(&m);
	return -1;
nomem:
	map_abort(&m);
	err_set(err, ERR_NOMEM, "out of memory");
	return -1;
}

static void
digest_text(struct map *m, const char *text)
{
	m->digest = fnv_add(m->digest, text, strlen(text) + 1);
}

/* Users of a log line, whatever is in their names, on a line of their own. */
static void
put_users(struct map *m, const struct permitted *p)
{
	char one[UTF8_ESCAPE_MAX];

	for (size_t i = 0; i < p->users; i++) {
		const char *user = p->user[i];

		if (*user == '\0')
			continue;
		digest_text(m, user);
		(void)fprintf(m->to, "%s ", p->client);
		while (*user != '\0') {
			size_t n = utf8_escape(&user, one);

			(void)fwrite(one, 1, n, m->to);
		}
		(void)fputc('\n', m->to);
	}
}

/* Sendmail asks for IPv6 addresses with a tag, which it makes small; with
 * UseCompressedIPv6Addresses in the one form, else in the other. */
static int
put_hash(struct map *m, const struct permitted *p, const char *value,
    struct err *err)
{
	char key[ADDR_TEXT_MAX + 8], text[ADDR_TEXT_MAX];

	/* as Postfix asks */
	if (bdb_put(m->db, p->client, value, err) == -1)
		return -1;
	if (p->net.base.family != ADDR_IPV6 || m->format != MAP_AS_HASH)
		return 0;
	(void)snprintf(
	    key, sizeof(key), "ipv6:%s", addr_format_long(&p->net.base, text));
	if (bdb_put(m->db, key, value, err) == -1)
		return -1;
	(void)snprintf(key, sizeof(key), "ipv6:%s", p->client);
	return bdb_put(m->db, key, value, err);
}

int
map_put(struct map *m, const struct permitted *p, struct err *err)
{
	char ticks[24];
	const char *value = m->value;

	assert((m->db != NULL) == map_format_is_hash(m->format));
	/* a key "10.0.0.0/8" means nothing but in a list of networks */
	if (p->is_network && m->format != MAP_AS_CIDR)
		return 0;
	if (m->format == MAP_AS_MAKEMAP || m->format == MAP_AS_RELAYERS_DB) {
		(void)snprintf(ticks, sizeof(ticks), "%" PRId64, p->ticks);
		value = ticks;
	}
	digest_text(m, p->client);
	if (value != NULL)
		digest_text(m, value);
	if (m->db != NULL)
		return put_hash(m, p, value, err) == -1 ? -1 : 1;
	if (m->format == MAP_AS_RELAYHOSTSUSERS)
		put_users(m, p);
	else if (value == NULL)
		(void)fprintf(m->to, "%s\n", p->client);
	else
		(void)fprintf(m->to, "%s\t%s\n", p->client, value);
	if (!ferror(m->to))
		return 1;
	return io_error(m->path == NULL ? "standard output" : m->path, err);
}

int
map_descriptor(const struct map *m)
{
	assert(m->to != NULL);
	return fileno(m->to);
}

uint64_t
map_digest(const struct map *m)
{
	return m->digest;
}

static int
into_place(struct map *m, struct stat *st_r, struct err *err)
{
	int fd = m->to != NULL ? fileno(m->to) : place_created(&m->place, err);
	int ret = fd == -1
	    ? -1
	    : place_commit(&m->place, fd, (mode_t)m->mode, st_r, err);

	if (m->to == NULL && fd != -1)
		(void)close(fd);
	return ret;
}

int
map_commit(struct map **mp, struct stat *st_r, struct err *err)
{
	struct map *m = *mp;
	int ret = 0;

	assert(m->db != NULL || m->to != NULL);
	if (m->db != NULL)
		ret = bdb_close(&m->db, err);
	else if (fflush(m->to) != 0 || ferror(m->to))
		ret = io_error(
		    m->path == NULL ? "standard output" : m->path, err);
	if (ret == 0 && m->path != NULL)
		ret = into_place(m, st_r, err);
	map_abort(mp);
	return ret;
}

void
map_abort(struct map **mp)
{
	struct map *m = *mp;

	if (m == NULL)
		return;
	if (m->db != NULL)
		(void)bdb_close(&m->db, NULL);
	if (m->to != NULL && m->to != stdout)
		(void)fclose(m->to);
	place_close(&m->place);
	free(m->path);
	free(m);
	*mp = NULL;
}

int
map_wipe(const char *path, enum map_format format, struct err *err)
{
	struct place p;
	int ret;

	if (place_open(&p, path, err) == -1)
		return errno == ENOENT ? 0 : -1;
	ret = map_format_is_hash(format) ? place_remove(&p, err)
					 : place_truncate(&p, err);
	place_close(&p);
	return ret;
}

void
map_clean(const char *path)
{
	struct place p;

	if (place_open(&p, path, NULL) == 0)
		place_clean(&p);
	place_close(&p);
}

struct each {
	bool (*fn)(void *arg, const char *client);
	void *arg;
};

static bool
take_key(void *arg, const char *key, const char *value)
{
	char text[ADDR_TEXT_MAX];
	struct each *e = arg;
	struct addr addr;

	(void)value;
	/* "ipv6:..." as the table has it */
	return e->fn(e->arg,
	    addr_parse_loose(key, &addr) ? addr_format(&addr, text) : key);
}

int
map_each(const char *path, enum map_format format,
    bool (*fn)(void *arg, const char *client), void *arg, struct err *err)
{
	struct each e = { .fn = fn, .arg = arg };
	char line[1200];
	struct bdb *db;

	if (map_format_is_hash(format)) {
		if (bdb_open(path, false, &db, err) == -1)
			return -1;
		int ret = bdb_each(db, take_key, &e, err);

		(void)bdb_close(&db, NULL);
		return ret;
	}
	FILE *in = fopen(path, "re");
	bool more = true;

	if (in == NULL)
		return io_error(path, err);
	while (more && fgets(line, sizeof(line), in) != NULL) {
		line[strcspn(line, " \t\n")] = '\0';
		more = *line == '\0' || fn(arg, line);
	}
	bool bad = ferror(in) != 0;

	(void)fclose(in);
	return bad ? io_error(path, err) : 0;
}
