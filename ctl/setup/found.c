/* SPDX-License-Identifier: ISC */
/* found - what there is on this machine besides the mail server: POP and IMAP
 * servers, where their logins are logged, another popgate. */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/run.h"
#include "ctl/setup/setup.h"

/* POP and IMAP servers, by the name of a process that waits for clients. */
static const struct server {
	const char *process, *title;
} servers[] = {
	{ "dovecot", "Dovecot" },
	{ "couriertcpd", "Courier" },
	{ "cyrmaster", "Cyrus" },
	{ "perdition", "perdition" },
	{ "nginx", "nginx" },
	{ "popa3d", "popa3d" },
	{ "in.qpopper", "Qpopper" },
	{ "qpopper", "Qpopper" },
	{ "tpop3d", "tpop3d" },
	{ "imapproxyd", "up-imapproxy" },
	{ "stalwart", "Stalwart" },
	{ "solid-pop3d", "solid-pop3d" },
	{ "teapop", "teapop" },
	{ "dbmail-imapd", "DBMail" },
};
enum { SERVERS = sizeof(servers) / sizeof(servers[0]) };

/* The processes that run on this machine. */
struct around {
	bool runs[SERVERS];
	char *milter; /* the file of a popgate-milter that runs */
	long milter_pid;
};

/* A link of /proc/PID; "" when it can't be read. */
static void
read_exe(const char *pid, char *buf, size_t size)
{
	char path[300];

	(void)snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	ssize_t n = readlink(path, buf, size - 1);

	buf[n > 0 ? n : 0] = '\0';
}

/* Is it one of our process table, not of a container on this machine, whose
 * programs and files have the same names? */
static bool
is_of_this_system(const char *pid)
{
	char path[300], own[100], theirs[100];
	ssize_t n = readlink("/proc/self/ns/pid", own, sizeof(own));

	(void)snprintf(path, sizeof(path), "/proc/%s/ns/pid", pid);
	ssize_t k = readlink(path, theirs, sizeof(theirs));

	/* it can't be read of others without root */
	return n <= 0 || k <= 0 ||
	    (n == k && memcmp(own, theirs, (size_t)n) == 0);
}

static void
read_comm(const char *pid, char *buf, size_t size)
{
	char path[300];

	(void)snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	FILE *from = fopen(path, "re");

	*buf = '\0';
	if (from == NULL)
		return;
	if (fgets(buf, (int)size, from) != NULL)
		buf[strcspn(buf, "\n")] = '\0';
	(void)fclose(from);
}

static void
take_process(struct around *a, const char *pid)
{
	char comm[64], exe[500];

	read_comm(pid, comm, sizeof(comm));
	for (size_t i = 0; i < SERVERS; i++)
		a->runs[i] |= strcmp(comm, servers[i].process) == 0;
	if (strcmp(comm, "popgate-milter") != 0 || a->milter != NULL)
		return;
	read_exe(pid, exe, sizeof(exe));
	a->milter = strdup(exe);
	a->milter_pid = strtol(pid, NULL, 10);
}

static void
look_at_processes(struct around *a)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    is_of_this_system(entry->d_name))
			take_process(a, entry->d_name);
	if (dir != NULL)
		(void)closedir(dir);
}

/* Is "-c config" in its command line? */
static bool
reads(const char *pid, const char *config)
{
	char path[300], text[2000];

	(void)snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	FILE *from = fopen(path, "re");

	if (from == NULL)
		return false;
	size_t len = fread(text, 1, sizeof(text) - 1, from);

	text[len] = '\0';
	(void)fclose(from);
	for (size_t at = 0; at < len; at += strlen(text + at) + 1)
		if (strcmp(text + at, config) == 0)
			return true;
	return false;
}

static const char deleted[] = " (deleted)";

pid_t
setup_process(const char *program, const char *config)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;
	pid_t pid = 0;

	while (pid == 0 && dir != NULL && (entry = readdir(dir)) != NULL) {
		char exe[500];

		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    !is_of_this_system(entry->d_name))
			continue;
		read_exe(entry->d_name, exe, sizeof(exe));
		/* it goes on after an upgrade */
		size_t n = strlen(exe), gone = strlen(deleted);

		if (n > gone && strcmp(exe + n - gone, deleted) == 0)
			exe[n - gone] = '\0';
		if (strcmp(exe, program) == 0 && reads(entry->d_name, config))
			pid = (pid_t)strtol(entry->d_name, NULL, 10);
	}
	if (dir != NULL)
		(void)closedir(dir);
	return pid;
}

/* --- where logins are logged --- */

/* A setting of Dovecot, which may be unset: to be freed by the caller. */
static char *
dovecot_setting(const char *name)
{
	char *argv[] = { (char[]){ "doveconf" }, (char[]){ "-h" }, NULL, NULL };
	char *copy = strdup(name);

	argv[2] = copy;
	char *value =
	    copy == NULL ? NULL : run_read(argv, NULL, RUN_TIMEOUT_S, NULL);

	if (value != NULL)
		value[strcspn(value, "\n")] = '\0';
	free(copy);
	return value;
}

/* A file of Dovecot's own; NULL when it logs by syslog. */
static char *
dovecot_log(void)
{
	char *value = dovecot_setting("info_log_path");

	if (value != NULL && *value == '\0') {
		free(value);
		value = dovecot_setting("log_path");
	}
	if (value == NULL || *value == '/')
		return value;
	free(value);
	return NULL;
}

static void
look_for_log(struct setup *s, bool dovecot)
{
	static const char *const files[] = { "/var/log/mail.log",
		"/var/log/maillog", "/var/log/mail/mail.log",
		"/var/log/mail.info" };

	s->log = dovecot ? dovecot_log() : NULL;
	s->journald = access("/run/systemd/journal/socket", F_OK) == 0;
	if (s->log != NULL) {
		setup_say(s, SETUP_FOUND,
		    "Dovecot logs logins to a file of its own, %s", s->log);
		return;
	}
	/* the journal knows who wrote an entry; a file doesn't */
	for (size_t i = 0; !s->journald && i < sizeof(files) / sizeof(files[0]);
	     i++)
		if (access(files[i], F_OK) == 0) {
			s->log = strdup(files[i]);
			break;
		}
	if (s->journald)
		setup_say(s, SETUP_FOUND, "logins are in the systemd journal");
	else if (s->log != NULL)
		setup_say(s, SETUP_FOUND, "logins are logged to %s", s->log);
	else
		setup_say(s, SETUP_NOTE,
		    "there is no journal and no mail log: set collector.sources in %s yourself, or nobody's login counts",
		    s->ctl->config_path);
}

/* --- another popgate --- */

/* The directory of this program. */
static void
own_directory(char *buf, size_t size)
{
	read_exe("self", buf, size);
	char *slash = strrchr(buf, '/');

	if (slash != NULL)
		*slash = '\0';
}

static void
look_for_another(struct setup *s, const struct around *a)
{
	char own[500];

	own_directory(own, sizeof(own));
	size_t n = strlen(own);

	if (a->milter == NULL || *a->milter == '\0' ||
	    (strncmp(a->milter, own, n) == 0 && a->milter[n] == '/' &&
		strchr(a->milter + n + 1, '/') == NULL))
		return;
	setup_refuse(s, EX_CONFIG,
	    "another popgate runs: process %ld is %s, and this popgatectl is of %s; use the popgatectl beside it, or stop and remove it first",
	    a->milter_pid, a->milter, own);
}

void
setup_look_around(struct setup *s)
{
	struct around a = { 0 };
	bool any = false;

	look_at_processes(&a);
	for (size_t i = 0; i < SERVERS; i++) {
		if (!a.runs[i])
			continue;
		any = true;
		setup_say(s, SETUP_FOUND, "%s runs", servers[i].title);
	}
	if (!any)
		setup_say(s, SETUP_NOTE,
		    "no POP or IMAP server that is known by its process runs now: logins are read as soon as one logs them");
	look_for_log(s, a.runs[0]);
	look_for_another(s, &a);
	free(a.milter);
}
