/* SPDX-License-Identifier: ISC */
#include "milter/libmilter/serve.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* mfapi.h defines bool itself unless it is told that there is one */
#define SM_CONF_STDBOOL_H 1
#include <libmilter/mfapi.h>

#include "common/base/err.h"
#include "common/base/place.h"
#include "common/base/sockets.h"

/* libmilter makes the socket by umask and effective group only. Sets
 * *regrouped_r to whether the socket needs another group than ours. */
static int
make_socket(const struct listen_spec *spec, mode_t mode, gid_t gid,
    const char *text, bool *regrouped_r, struct err *err)
{
	gid_t own_gid = getegid();
	bool regroup = spec->is_unix && gid != (gid_t)-1 && gid != own_gid;
	bool regrouped = regroup && setegid(gid) == 0;
	mode_t mask = umask((mode_t)(0777 & ~mode));

	errno = 0;
	int rc = smfi_opensocket(false), error = errno;

	(void)umask(mask);
	if (regrouped && setegid(own_gid) == -1) {
		err_set(err, ERR_IO, "setegid: %s", strerror(errno));
		return -1;
	}
	if (rc != MI_SUCCESS) {
		err_set(err, ERR_IO, "libmilter: can't listen on '%s': %s",
		    text, error == 0 ? "it doesn't say why" : strerror(error));
		return -1;
	}
	*regrouped_r = regroup;
	return 0;
}

static int
open_socket(const struct smfiDesc *callbacks, const struct listen_spec *spec,
    mode_t mode, gid_t gid, struct err *err)
{
	char text[400];
	bool regrouped;

	if (listen_prepare(spec, err) == -1)
		return -1;
	listen_for_libmilter(spec, text);
	if (smfi_setconn(text) != MI_SUCCESS ||
	    smfi_register(*callbacks) != MI_SUCCESS) {
		err_set(err, ERR_IO, "libmilter: can't register '%s'", text);
		return -1;
	}
	if (make_socket(spec, mode, gid, text, &regrouped, err) == -1)
		return -1;
	/* also when setegid() did it: a setgid directory gives its own group */
	return regrouped ? place_socket(spec->path, mode, gid, err) : 0;
}

int
serve_open(const struct smfiDesc *callbacks, const struct listen_spec *spec,
    mode_t mode, gid_t gid, struct err *err)
{
	assert((mode & ~(mode_t)0777) == 0);
	int lock = listen_lock(spec);
	int rc = open_socket(callbacks, spec, mode, gid, err);

	/* libmilter waits on its descriptor by number, for 5 seconds at most:
	 * it takes another socket in that place for its own */
	if (rc == 0)
		sockets_keep("milter.listen", spec,
		    spec->is_unix ? listen_find(spec) : -1, mode, gid, NULL,
		    NULL);
	if (lock != -1)
		(void)close(lock);
	return rc;
}

void
serve_run(void)
{
	(void)smfi_main();
}

const char *
serve_libmilter_version(char *buf, size_t size)
{
	unsigned major, minor, level;

	(void)smfi_version(&major, &minor, &level);
	(void)snprintf(buf, size, "%u.%u.%u", major, minor, level);
	return buf;
}
