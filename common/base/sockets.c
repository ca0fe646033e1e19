/* SPDX-License-Identifier: ISC */
#include "common/base/sockets.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/guarded.h"
#include "common/base/log.h"

enum { KEPT_MAX = 8, LOOK_MS = 1000, SAY_EVERY_MS = 60000 };

struct kept {
	const char *key;
	struct listen_spec spec;
	int fd;
	mode_t mode;
	gid_t gid;
	void (*moved)(void *arg);
	void *arg;
	/* The file's. No other file has them while the socket is open: it
	 * holds the inode. 0, 0: it was gone at once. */
	dev_t dev;
	ino_t ino;
	bool gone;
	char why[ERR_TEXT_MAX]; /* it can't be made again */
	atomic_int_fast64_t said_ms;
};

static struct mutex mtx = MUTEX_INITIALIZER;
static struct {
	struct kept kept[KEPT_MAX];
	unsigned n;
	int64_t looked_ms;
} sockets GUARDED_BY(mtx);

static void
identify(struct kept *k)
{
	struct stat st;
	bool there = lstat(k->spec.path, &st) == 0 && S_ISSOCK(st.st_mode);

	k->dev = there ? st.st_dev : 0;
	k->ino = there ? st.st_ino : 0;
}

static bool
is_there(const struct kept *k)
{
	struct stat st;

	return k->ino != 0 && lstat(k->spec.path, &st) == 0 &&
	    st.st_dev == k->dev && st.st_ino == k->ino;
}

void
sockets_keep(const char *key, const struct listen_spec *spec, int fd,
    mode_t mode, gid_t gid, void (*moved)(void *arg), void *arg)
{
	if (!spec->is_unix)
		return;
	assert(fd >= -1);
	assert((mode & ~(mode_t)0777) == 0);
	mutex_lock(&mtx);
	if (sockets.n < KEPT_MAX) {
		struct kept *k = &sockets.kept[sockets.n++];

		*k = (struct kept){ .key = key,
			.spec = *spec,
			.fd = fd,
			.mode = mode,
			.gid = gid,
			.moved = moved,
			.arg = arg };
		identify(k);
	}
	mutex_unlock(&mtx);
}

static void
drop(unsigned i) REQUIRES(mtx)
{
	assert(i < sockets.n);
	if (is_there(&sockets.kept[i]))
		(void)unlink(sockets.kept[i].spec.path);
	sockets.kept[i] = sockets.kept[--sockets.n];
}

void
sockets_drop(int fd)
{
	mutex_lock(&mtx);
	for (unsigned i = 0; i < sockets.n; i++)
		if (sockets.kept[i].fd == fd) {
			drop(i);
			break;
		}
	mutex_unlock(&mtx);
}

void
sockets_drop_all(void)
{
	mutex_lock(&mtx);
	while (sockets.n > 0)
		drop(0);
	mutex_unlock(&mtx);
}

/* Returns 0, or -1 with err. */
static int
make_again(struct kept *k, struct err *err) REQUIRES(mtx)
{
	if (k->fd == -1) {
		err_set(err, ERR_IO, "its descriptor isn't known");
		return -1;
	}
	int fd = listen_open(&k->spec, k->mode, k->gid, err);

	if (fd == -1)
		return -1;
	/* atomic: threads that use the number have the one or the other */
	if (dup3(fd, k->fd, O_CLOEXEC) == -1) {
		err_set(err, ERR_IO, "%s", strerror(errno));
		(void)unlink(k->spec.path);
		(void)close(fd);
		return -1;
	}
	(void)close(fd);
	identify(k);
	if (k->moved != NULL)
		k->moved(k->arg);
	return 0;
}

static void
look(struct kept *k) REQUIRES(mtx)
{
	struct err err;

	if (is_there(k)) {
		k->gone = false;
		return;
	}
	if (make_again(k, &err) == 0) {
		k->gone = false;
		k->said_ms = 0;
		log_msg(LOG_WARNING,
		    "%s: %s was removed or replaced: made again", k->key,
		    k->spec.path);
		return;
	}
	k->gone = true;
	(void)snprintf(k->why, sizeof(k->why), "%s", err.text);
	if (log_due(&k->said_ms, SAY_EVERY_MS))
		log_msg(LOG_ERR,
		    "%s: %s was removed or replaced, nobody can connect, and it can't be made again: %s: mend that, or restart this daemon",
		    k->key, k->spec.path, err.text);
}

void
sockets_tick(void)
{
	int64_t now_ms = clock_monotonic_ms();

	mutex_lock(&mtx);
	if (now_ms - sockets.looked_ms >= LOOK_MS) {
		sockets.looked_ms = now_ms;
		for (unsigned i = 0; i < sockets.n; i++)
			look(&sockets.kept[i]);
	}
	mutex_unlock(&mtx);
}

bool
sockets_good(char text[SOCKETS_TEXT_MAX])
{
	text[0] = '\0';
	mutex_lock(&mtx);
	for (unsigned i = 0; i < sockets.n && text[0] == '\0'; i++) {
		const struct kept *k = &sockets.kept[i];

		if (k->gone)
			(void)snprintf(text, SOCKETS_TEXT_MAX,
			    "%s: %s is gone, and can't be made again: %s",
			    k->key, k->spec.path, k->why);
	}
	mutex_unlock(&mtx);
	return text[0] == '\0';
}

void
sockets_write(struct json *j)
{
	char text[SOCKETS_TEXT_MAX];

	(void)sockets_good(text);
	json_bool(j, "sockets_good", text[0] == '\0');
	json_text(j, "sockets_text", text[0] == '\0' ? NULL : text);
}
