/* SPDX-License-Identifier: ISC */
#include "ctl/doctor/postfix_socket.h"

#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/listen.h"
#include "common/mta/restrict.h"
#include "ctl/ctl.h"
#include "ctl/doctor/postfix_walk.h"

enum { GROUPS_MAX = 256 };

/* The file at a path, and the directory that holds it. */
struct sight {
	bool looked; /* false: nothing of this is known */
	int error; /* errno of the path; 0: it is there */
	bool has_directory;
	bool may_connect;
	dev_t device, directory_device;
	ino_t inode, directory_inode;
};

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/* Look at path from the working directory, root directory and user of this
 * process. */
static void
look_at(const char *path, struct sight *sight)
{
	char directory[POSTFIX_PATH_MAX];
	struct stat st;

	*sight = (struct sight){ .looked = true };
	if (stat(path, &st) == -1) {
		sight->error = errno;
	} else {
		sight->device = st.st_dev;
		sight->inode = st.st_ino;
		sight->may_connect = access(path, W_OK) == 0;
	}
	(void)snprintf(directory, sizeof(directory), "%.*s",
	    (int)(base_name(path) - path), path);
	if (stat(*directory == '\0' ? "." : directory, &st) == 0) {
		sight->has_directory = true;
		sight->directory_device = st.st_dev;
		sight->directory_inode = st.st_ino;
	}
}

/* The user and groups that a service of Postfix runs as. */
struct identity {
	uid_t uid;
	gid_t gid;
	gid_t groups[GROUPS_MAX];
	int n;
};

static bool
find_identity(const char *user, struct identity *id)
{
	const struct passwd *pw = getpwnam(user);

	if (pw == NULL)
		return false;
	id->uid = pw->pw_uid;
	id->gid = pw->pw_gid;
	id->n = GROUPS_MAX;
	return getgrouplist(user, pw->pw_gid, id->groups, &id->n) != -1;
}

/* In a child: never returns. */
static void
look_as(const struct identity *id, const char *queue, bool chrooted,
    const char *path, int to)
{
	struct sight sight = { 0 };

	if (chdir(queue) == 0 && (!chrooted || chroot(".") == 0) &&
	    setgroups((size_t)id->n, id->groups) == 0 && setgid(id->gid) == 0 &&
	    setuid(id->uid) == 0)
		look_at(path, &sight);
	_exit(write(to, &sight, sizeof(sight)) == sizeof(sight) ? 0 : 1);
}

static bool
look_like_service(const struct postfix_conf *pf,
    const struct postfix_service *s, const char *path, struct sight *sight)
{
	const char *queue = postfix_value(pf, s, "queue_directory");
	struct identity id;
	int fds[2];

	*sight = (struct sight){ 0 };
	if (geteuid() != 0 ||
	    !find_identity(postfix_value(pf, s, "mail_owner"), &id) ||
	    pipe(fds) == -1)
		return false;
	pid_t pid = fork();

	if (pid == 0)
		look_as(&id, queue, s->chroot, path, fds[1]);
	(void)close(fds[1]);
	if (pid == -1 || read(fds[0], sight, sizeof(*sight)) != sizeof(*sight))
		sight->looked = false;
	(void)close(fds[0]);
	while (pid != -1 && waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		;
	return sight->looked;
}

/* Is it popgate's socket, or the place where popgate will make it? */
static bool
is_same(const struct sight *sight, const char *path, const char *seen,
    const char *listen)
{
	struct sight ours;

	look_at(listen, &ours);
	if (sight->has_directory && ours.has_directory &&
	    sight->directory_device == ours.directory_device &&
	    sight->directory_inode == ours.directory_inode &&
	    strcmp(base_name(path), base_name(listen)) == 0)
		return true;
	if (sight->error == 0 && ours.error == 0 &&
	    sight->device == ours.device && sight->inode == ours.inode)
		return true;
	return strcmp(seen, listen) == 0;
}

enum socket_reach
postfix_socket_look(const struct postfix_conf *pf,
    const struct postfix_service *s, const char *path, const char *listen,
    char *seen)
{
	char ours[POSTFIX_PATH_MAX];
	struct sight sight;

	assert(*path != '\0' && *listen == '/');
	postfix_endpoint_seen(
	    postfix_value(pf, s, "queue_directory"), s->chroot, path, seen);
	postfix_endpoint_seen("", false, listen, ours);
	bool exact = look_like_service(pf, s, path, &sight);

	if (!exact)
		look_at(seen, &sight);
	bool barred = sight.error != 0 && sight.error != ENOENT &&
	    sight.error != ENOTDIR && sight.error != ELOOP;

	if (!is_same(&sight, path, seen, ours))
		return !barred ? SOCKET_ELSEWHERE
		    : exact    ? SOCKET_DENIED
			       : SOCKET_UNKNOWN;
	if (exact && (barred || (sight.error == 0 && !sight.may_connect)))
		return SOCKET_DENIED;
	return SOCKET_REACHED;
}

/* --- findings --- */

/* One service, while the sockets that it names come. */
struct check {
	struct postfix_exam *x;
	const struct postfix_service *s;
	const char *setting;
	bool unreached, denied, strange; /* said already */
};

/* "/run/popgate/milter.sock": a word of the path begins so. */
static bool
is_of_popgate(const char *path)
{
	const char *at = strstr(path, "popgate");

	return at != NULL && (at == path || at[-1] == '/');
}

static void
say(struct check *c, const char *kind, const char *path, const char *fix,
    const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static void
say(struct check *c, const char *kind, const char *path, const char *fix,
    const char *fmt, ...)
{
	struct finding_at at = { .dir = c->x->pf.dir,
		.setting = c->setting,
		.value = path,
		.fix = fix };
	char full[300], detail[900];
	va_list ap;

	(void)snprintf(
	    full, sizeof(full), "%.200s/%.20s", c->s->name, c->s->type);
	at.service = full;
	at.file = postfix_where(&c->x->pf, c->s, c->setting, &at.line);
	va_start(ap, fmt);
	(void)vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	doctor_add(c->x->d, kind, &at, "%s", detail);
}

/* Where main.cf has to say the name of a socket that isn't where a service
 * looks. An absolute path is right when the service leaves its chroot. */
static void
say_unreached(
    struct check *c, const char *path, const char *listen, const char *seen)
{
	const char *queue = postfix_value(&c->x->pf, c->s, "queue_directory");
	size_t n = strlen(queue);
	char fix[600];

	if (c->s->chroot && strcmp(path, listen) == 0) {
		say(c, "postfix-chroot-socket", path, NULL,
		    "Service %s/%s runs in the chroot %s: by %s in %s it looks for %s, which isn't popgate's socket.",
		    c->s->name, c->s->type, queue, path, c->setting, seen);
		return;
	}
	bool below = strncmp(listen, queue, n) == 0 && listen[n] == '/';

	(void)snprintf(fix, sizeof(fix),
	    "# in {file}, line {line}: name it unix:%.200s\n"
	    "postfix -c {dir} reload",
	    below ? listen + n + 1 : listen);
	say(c,
	    c->s->chroot ? "postfix-chroot-socket" : "postfix-socket-missing",
	    path, fix,
	    "Service %s/%s looks for %s, which %s names: that isn't popgate's socket %s.",
	    c->s->name, c->s->type, seen, c->setting, listen);
}

static void
check_path(struct check *c, const char *path, const char *listen)
{
	char seen[POSTFIX_PATH_MAX];

	switch (postfix_socket_look(&c->x->pf, c->s, path, listen, seen)) {
	case SOCKET_ELSEWHERE:
		if (!c->unreached)
			say_unreached(c, path, listen, seen);
		c->unreached = true;
		break;
	case SOCKET_DENIED:
		if (!c->denied)
			say(c, "postfix-socket-denied", listen, NULL,
			    "Service %s/%s may not connect to %s: it runs as user %s.",
			    c->s->name, c->s->type, listen,
			    postfix_value(&c->x->pf, c->s, "mail_owner"));
		c->denied = true;
		break;
	default: /* that can't be told from here is said by status */
		break;
	}
}

/* listen, more: where popgate listens, for this use of the endpoint. */
static void
check_endpoint(
    struct check *c, const struct postfix_endpoint *e, const char *listen)
{
	struct listen_spec spec;
	struct err err;

	if (!e->is_unix)
		return;
	if (postfix_is_listener(c->x, c->s, e, listen)) {
		if (listen_parse(listen, &spec, &err) == 0)
			check_path(c, e->path, spec.path);
		return;
	}
	if (c->strange || !is_of_popgate(e->path))
		return;
	c->strange = true;
	say(c, "postfix-popgate-elsewhere", e->path, NULL,
	    "%s of service %s/%s names %s, and popgate %s%s.", c->setting,
	    c->s->name, c->s->type, e->path,
	    *listen == '\0' ? "has no such channel" : "listens at ", listen);
}

static void
take_endpoint(void *arg, bool is_map, const char *word)
{
	struct check *c = arg;
	const struct config *cfg = c->x->d->ctl->cfg;
	struct postfix_endpoint e;

	if (is_map ? postfix_endpoint_map(word, &e)
		   : postfix_endpoint_parse(word, &e))
		check_endpoint(
		    c, &e, is_map ? cfg->permit.socketmap : cfg->permit.policy);
}

void
postfix_check_sockets(
    struct postfix_exam *x, const struct postfix_service *s, bool lists)
{
	struct check c = { .x = x, .s = s, .setting = "smtpd_milters" };
	const char *milters = postfix_value(&x->pf, s, "smtpd_milters");
	struct postfix_endpoint e;
	char word[1000];

	while (restrict_word(&milters, word, sizeof(word)))
		if (postfix_endpoint_parse(word, &e))
			check_endpoint(&c, &e, x->d->ctl->cfg->milter.listen);
	for (size_t i = 0; lists && i < POSTFIX_WALK_LISTS; i++) {
		c.setting = postfix_walk_lists[i];
		postfix_walk_endpoints(
		    x, s, postfix_walk_lists[i], take_endpoint, &c);
	}
}
