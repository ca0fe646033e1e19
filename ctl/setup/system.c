/* SPDX-License-Identifier: ISC */
/* system - popgate's users, groups and directories: those of popgate.sysusers
 * and popgate.tmpfiles, also where systemd's tools are missing. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/run.h"
#include "ctl/setup/built_in.h"
#include "ctl/setup/setup.h"

static const char *const users[] = { "popgate", "popgate-collector" };
enum { USERS = sizeof(users) / sizeof(users[0]) };

/* "d PATH MODE USER GROUP -" of tmpfiles.d(5) */
struct directory {
	char path[100], user[40], group[40];
	mode_t mode;
};

/* The next directory of the text at *at. */
static bool
next_directory(const char **at, struct directory *d)
{
	while (**at != '\0') {
		const char *line = *at;
		char mode[8];

		*at += strcspn(line, "\n");
		*at += **at == '\n';
		if (sscanf(line, "d %99s %7s %39s %39s", d->path, mode, d->user,
			d->group) != 4)
			continue;
		d->mode = (mode_t)strtoul(mode, NULL, 8);
		return true;
	}
	return false;
}

static bool
directory_is_made(const struct directory *d)
{
	struct stat st;

	const struct passwd *pw = getpwnam(d->user);

	/* its group may be the mail server's */
	return pw != NULL && stat(d->path, &st) == 0 && S_ISDIR(st.st_mode) &&
	    st.st_uid == pw->pw_uid && (st.st_mode & 07777) == d->mode;
}

/* Never by its name: that may be a link to anything. */
int
setup_own_directory(
    const char *path, uid_t uid, gid_t gid, mode_t mode, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int ret = 0;

	/* its mode as last: chown(2) takes set-id bits away */
	if (fd == -1 || fchown(fd, uid, gid) == -1 || fchmod(fd, mode) == -1) {
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		ret = -1;
	}
	if (fd != -1)
		(void)close(fd);
	return ret;
}

/* List the users that are missing, "a, b", in buf. */
static void
missing_users(char *buf, size_t size)
{
	*buf = '\0';
	for (size_t i = 0; i < USERS; i++) {
		size_t n = strlen(buf);

		if (getpwnam(users[i]) == NULL)
			(void)snprintf(buf + n, size - n, "%s%s",
			    n == 0 ? "" : ", ", users[i]);
	}
}

static void
missing_directories(char *buf, size_t size)
{
	const char *at = built_in_tmpfiles;
	struct directory d;

	*buf = '\0';
	while (next_directory(&at, &d)) {
		size_t n = strlen(buf);

		if (!directory_is_made(&d))
			(void)snprintf(buf + n, size - n, "%s%s",
			    n == 0 ? "" : ", ", d.path);
	}
}

bool
setup_system_is_made(void)
{
	char buf[300];

	missing_users(buf, sizeof(buf));
	if (*buf != '\0')
		return false;
	missing_directories(buf, sizeof(buf));
	return *buf == '\0';
}

void
setup_plan_system(struct setup *s)
{
	char buf[300];

	missing_users(buf, sizeof(buf));
	if (*buf != '\0')
		setup_say(s, SETUP_DO,
		    "make the users %s, without a password or shell (--undo leaves them)",
		    buf);
	missing_directories(buf, sizeof(buf));
	if (*buf != '\0')
		setup_say(s, SETUP_DO,
		    "make the directories %s (--undo leaves them)", buf);
}

/* Without systemd-sysusers: as shadow's tools do it. */
static int
add_users(struct err *err)
{
	for (size_t i = 0; i < USERS; i++) {
		const char *const argv[] = { "useradd", "--system",
			"--user-group", "--home-dir", "/var/lib/popgate",
			"--no-create-home", "--shell", "/usr/sbin/nologin",
			users[i], NULL };
		char *said = getpwnam(users[i]) == NULL ? setup_run(argv, err)
							: strdup("");

		if (said == NULL)
			return -1;
		free(said);
	}
	const char *const groups[] = { "adm", "systemd-journal" };

	for (size_t i = 0; i < 2; i++) {
		const char *const argv[] = { "usermod", "--append", "--groups",
			groups[i], "popgate-collector", NULL };
		char *said = getgrnam(groups[i]) == NULL ? strdup("")
							 : setup_run(argv, err);

		if (said == NULL)
			return -1;
		free(said);
	}
	return 0;
}

static int
make_users(struct err *err)
{
	char missing[200];
	char *argv[] = { (char[]){ "systemd-sysusers" }, (char[]){ "-" },
		NULL };

	missing_users(missing, sizeof(missing));
	if (*missing == '\0')
		return 0;
	char *said = run_read(argv, built_in_sysusers, RUN_TIMEOUT_S, err);

	free(said);
	missing_users(missing, sizeof(missing));
	return *missing == '\0' ? 0 : add_users(err);
}

static int
make_directory(const struct directory *d, struct err *err)
{
	const struct passwd *pw = getpwnam(d->user);
	const struct group *gr = getgrnam(d->group);

	if (pw == NULL || gr == NULL) {
		err_set(err, ERR_IO, "%s: there is no user %s or group %s",
		    d->path, d->user, d->group);
		return -1;
	}
	if (directory_is_made(d))
		return 0;
	if (mkdir(d->path, 0700) == -1 && errno != EEXIST) {
		err_set(err, ERR_IO, "%s: %s", d->path, strerror(errno));
		return -1;
	}
	return setup_own_directory(
	    d->path, pw->pw_uid, gr->gr_gid, d->mode, err);
}

int
setup_make_system(struct err *err)
{
	const char *at = built_in_tmpfiles;
	struct directory d;

	if (make_users(err) == -1)
		return -1;
	while (next_directory(&at, &d))
		if (make_directory(&d, err) == -1)
			return -1;
	return 0;
}
