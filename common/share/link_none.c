/* SPDX-License-Identifier: ISC */
/* link_none - a popgate that was built without hiredis opens no link, and says
 * so. There is never a link that the rest could be asked of. */
#include "common/share/link.h"

#include "common/base/err.h"

#ifndef POPGATE_SHARE

int
link_open(const struct link_to *to, struct link **l_r, struct err *err)
{
	*l_r = NULL;
	err_set(err, ERR_INVALID,
	    "%s: this popgate was built without sharing (hiredis and libsodium)",
	    to->server);
	return -1;
}

void
link_close(struct link **l)
{
	*l = NULL;
}

const char *
link_server(const struct link *l)
{
	(void)l;
	return "";
}

int64_t
link_skew_s(const struct link *l)
{
	(void)l;
	return 0;
}

int
link_published(struct link *l, const char *origin, const char *entry,
    struct link_mark *mark, struct err *err)
{
	(void)l;
	(void)origin;
	(void)entry;
	(void)mark;
	(void)err;
	return -1;
}

int
link_forget(struct link *l, const char *origin, struct err *err)
{
	(void)l;
	(void)origin;
	(void)err;
	return -1;
}

int
link_publish(struct link *l, const struct link_batch *b,
    char added_r[LINK_POSITION_MAX], struct err *err)
{
	(void)l;
	(void)b;
	(void)added_r;
	(void)err;
	return -1;
}

int
link_read(struct link *l, const char *position, int count, int block_ms,
    struct err *err)
{
	(void)l;
	(void)position;
	(void)count;
	(void)block_ms;
	(void)err;
	return -1;
}

int
link_fd(const struct link *l)
{
	(void)l;
	return -1;
}

bool
link_readable(const struct link *l)
{
	(void)l;
	return false;
}

int
link_taken(struct link *l,
    void (*fn)(void *arg, const char *position, const struct link_bytes *entry),
    void *arg, struct err *err)
{
	(void)l;
	(void)fn;
	(void)arg;
	(void)err;
	return -1;
}

#endif
