/* SPDX-License-Identifier: ISC */
#include "common/maps/bdb.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"

bool
bdb_is_hash(const char *path)
{
	/* the metadata page: 12 bytes, then DB_HASHMAGIC of either order */
	static const uint32_t magics[] = { 0x00061561, 0x61150600 };
	unsigned char head[16];
	FILE *in = fopen(path, "re");
	size_t n = in == NULL ? 0 : fread(head, 1, sizeof(head), in);
	uint32_t magic = 0;

	if (in != NULL)
		(void)fclose(in);
	if (n == sizeof(head))
		memcpy(&magic, head + 12, sizeof(magic));
	return magic == magics[0] || magic == magics[1];
}

#if __has_include(<db.h>)

#include <db.h>
#include <dlfcn.h>

enum { BDB_TEXT_MAX = 1024 };

struct bdb {
	DB *db;
	bool write;
};

/* The library of the version that the header is of: its ABI is per version. */
static int
library_create(DB **db_r, struct err *err)
{
	static int (*create)(DB **, DB_ENV *, u_int32_t);
	char name[64];

	(void)snprintf(name, sizeof(name), "libdb-%d.%d.so", DB_VERSION_MAJOR,
	    DB_VERSION_MINOR);
	if (create == NULL) {
		void *lib = dlopen(name, RTLD_NOW | RTLD_LOCAL);
		void *symbol = lib == NULL ? NULL : dlsym(lib, "db_create");

		if (symbol == NULL) {
			err_set(err, ERR_IO,
			    "Berkeley DB %d.%d (%s) is not installed here",
			    DB_VERSION_MAJOR, DB_VERSION_MINOR, name);
			return -1;
		}
		/* POSIX: a symbol's address converts to a function's */
		memcpy(&create, &symbol, sizeof(create));
	}
	if (create(db_r, NULL, 0) == 0)
		return 0;
	err_set(err, ERR_NOMEM, "out of memory");
	return -1;
}

int
bdb_open(const char *path, bool make, struct bdb **b_r, struct err *err)
{
	struct bdb *b = calloc(1, sizeof(*b));

	*b_r = NULL;
	if (b == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	b->write = make;
	if (library_create(&b->db, err) == -1) {
		free(b);
		return -1;
	}
	b->db->set_errfile(b->db, NULL);
	int rc = b->db->open(b->db, NULL, path, NULL, DB_HASH,
	    make ? DB_CREATE | DB_EXCL : DB_RDONLY, 0640);

	if (rc == 0) {
		*b_r = b;
		return 0;
	}
	bool foreign = rc < 0 || rc == EINVAL;

	err_set(err, foreign ? ERR_CORRUPT : ERR_IO, "%s: %s", path,
	    !foreign ? strerror(rc)
		     : "not a Berkeley DB hash of a version that can be read");
	(void)b->db->close(b->db, 0);
	free(b);
	return -1;
}

int
bdb_close(struct bdb **b, struct err *err)
{
	int rc = 0;

	if (*b == NULL)
		return 0;
	if ((*b)->write)
		rc = (*b)->db->sync((*b)->db, 0);
	if ((*b)->db->close((*b)->db, 0) != 0 && rc == 0)
		rc = -1;
	free(*b);
	*b = NULL;
	if (rc != 0)
		err_set(err, ERR_IO, "Berkeley DB: %s",
		    rc > 0 ? strerror(rc) : "the file can't be written");
	return rc == 0 ? 0 : -1;
}

int
bdb_put(struct bdb *b, const char *key, const char *value, struct err *err)
{
	char k[BDB_TEXT_MAX], v[BDB_TEXT_MAX];
	DBT kt = { .data = k }, vt = { .data = v };

	/* no NUL behind: makemap -N is what adds one */
	kt.size = (u_int32_t)snprintf(k, sizeof(k), "%s", key);
	vt.size = (u_int32_t)snprintf(v, sizeof(v), "%s", value);
	int rc = b->db->put(b->db, NULL, &kt, &vt, 0);

	if (rc == 0)
		return 0;
	err_set(err, ERR_IO, "Berkeley DB: %s",
	    rc > 0 ? strerror(rc) : "the entry can't be written");
	return -1;
}

/* Bytes of a file that anybody may have made into a string. */
static void
text_of(const DBT *t, char *buf)
{
	size_t n = t->size < BDB_TEXT_MAX ? t->size : BDB_TEXT_MAX - 1;

	memcpy(buf, t->data, n);
	buf[n] = '\0';
}

int
bdb_each(struct bdb *b,
    bool (*fn)(void *arg, const char *key, const char *value), void *arg,
    struct err *err)
{
	char k[BDB_TEXT_MAX], v[BDB_TEXT_MAX];
	DBT kt = { 0 }, vt = { 0 };
	bool more = true;
	DBC *cursor;
	int rc = b->db->cursor(b->db, NULL, &cursor, 0);

	if (rc == 0) {
		while (more &&
		    (rc = cursor->get(cursor, &kt, &vt, DB_NEXT)) == 0) {
			text_of(&kt, k);
			text_of(&vt, v);
			more = fn(arg, k, v);
		}
		(void)cursor->close(cursor);
	}
	if (rc == 0 || rc == DB_NOTFOUND)
		return 0;
	err_set(err, ERR_CORRUPT, "Berkeley DB: %s",
	    rc > 0 ? strerror(rc) : "the file is damaged");
	return -1;
}

#else /* no Berkeley DB here */

static int
not_built(struct err *err)
{
	err_set(err, ERR_IO, "this popgatectl was built without Berkeley DB");
	return -1;
}

int
bdb_open(const char *path, bool make, struct bdb **b_r, struct err *err)
{
	(void)path;
	(void)make;
	*b_r = NULL;
	return not_built(err);
}

int
bdb_close(struct bdb **b, struct err *err)
{
	(void)err;
	*b = NULL;
	return 0;
}

int
bdb_put(struct bdb *b, const char *key, const char *value, struct err *err)
{
	(void)b;
	(void)key;
	(void)value;
	return not_built(err);
}

int
bdb_each(struct bdb *b,
    bool (*fn)(void *arg, const char *key, const char *value), void *arg,
    struct err *err)
{
	(void)b;
	(void)fn;
	(void)arg;
	return not_built(err);
}

#endif
