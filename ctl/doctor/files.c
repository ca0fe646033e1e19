/* SPDX-License-Identifier: ISC */
#include "ctl/doctor/files.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/config/config.h"
#include "ctl/doctor/doctor.h"

enum { PATH_LEN = 1024 };

static void
report(struct doctor *d, const char *id, const char *path, const char *culprit,
    const struct stat *st)
{
	const struct finding_at at = { .file = path, .value = culprit };

	doctor_add(d, id, &at,
	    "%s has mode %04o: every user of this machine may change it%s%s%s.",
	    culprit, (unsigned)st->st_mode & 07777,
	    strcmp(culprit, path) == 0 ? "" : ", and so put another ",
	    strcmp(culprit, path) == 0 ? "" : path,
	    strcmp(culprit, path) == 0 ? "" : " in its place");
}

bool
doctor_names_popgate(const struct config *cfg, const char *text)
{
	const char *const listens[] = { cfg->milter.listen, cfg->permit.policy,
		cfg->permit.socketmap };
	bool found = strstr(text, "/popgate/exim") != NULL;

	for (size_t i = 0; i < 3; i++) {
		const char *at = strchr(listens[i], ':');

		at = at == NULL ? listens[i] : at + 1;
		found |= *at != '\0' && strstr(text, at) != NULL;
	}
	return found;
}

void
doctor_check_writable(struct doctor *d, const char *id, const char *path)
{
	char up[PATH_LEN];
	struct stat st;
	bool there = stat(path, &st) == 0;

	if (*path != '/' || strlen(path) + strlen("/.") >= sizeof(up))
		return;
	if (there && !S_ISDIR(st.st_mode) && !S_ISSOCK(st.st_mode) &&
	    (st.st_mode & S_IWOTH) != 0 && !S_ISCHR(st.st_mode)) {
		report(d, id, path, path, &st);
		return;
	}
	(void)snprintf(up, sizeof(up), "%.*s%s", PATH_LEN - 3, path,
	    there && S_ISDIR(st.st_mode) ? "/." : "");
	for (char *slash = strrchr(up, '/'); slash != NULL;
	     slash = strrchr(up, '/')) {
		slash[slash == up] = '\0';
		if (stat(up, &st) == 0) {
			if ((st.st_mode & S_IWOTH) != 0 &&
			    ((st.st_mode & S_ISVTX) == 0 || !there)) {
				report(d, id, path, up, &st);
				return;
			}
			there = true;
		}
		if (slash == up)
			return;
	}
}
