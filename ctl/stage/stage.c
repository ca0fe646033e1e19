/* SPDX-License-Identifier: ISC */
#include "ctl/stage/stage.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "ctl/stage/backstage.h"
#include "ctl/stage/front.h"
#include "ctl/stage/loopback.h"
#include "ctl/stage/room.h"

enum {
	TIMEOUT_MS = 30000,
	/* each of a start's few steps may take the time of one */
	ANSWER_TIMEOUTS = 6,
	END_MS = 2000,
	PROCESSES_MAX = 2000, /* of a user, but root */
	PATH_LEN = 1024,
};

static pid_t
wait_end(pid_t pid)
{
	pid_t got;

	while ((got = waitpid(pid, NULL, 0)) == -1 && errno == EINTR)
		;
	return got;
}

/* Close all descriptors but the standard ones and keep. */
static void
keep_only(int keep)
{
	if (keep > 3)
		(void)close_range(3, (unsigned)keep - 1, 0);
	(void)close_range((unsigned)keep + 1, UINT_MAX, 0);
}

static void
tell(int sock, const struct backstage_answer *a)
{
	if (send(sock, a, sizeof(*a), MSG_NOSIGNAL) == -1)
		_exit(1);
}

/* The share of the machine that a program of the mail server may take, if it
 * forks for ever, or eats all memory. */
static void
be_bounded(void)
{
	const struct rlimit processes = { PROCESSES_MAX, PROCESSES_MAX };
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	(void)setrlimit(RLIMIT_NPROC, &processes);
	if (fd == -1)
		return;
	(void)!write(fd, "1000", 4);
	(void)close(fd);
}

/* The process between the caller and the room's first process: a process
 * table of one's own begins with a child. Says the first process's number. */
static _Noreturn void
between(const struct stage_spec *spec, int sock)
{
	struct backstage_answer a = { 0 };
	pid_t pid = -1;
	int machine;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setsid();
	keep_only(sock);
	be_bounded();
	machine = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (room_leave(&a.err) == 0) {
		pid = fork();
		if (pid == -1)
			err_set(&a.err, ERR_IO, "fork: %s", strerror(errno));
	}
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		backstage(spec, sock, machine);
	}
	a.ok = pid != -1;
	a.number = pid;
	tell(sock, &a);
	(void)close(sock);
	if (pid != -1)
		(void)wait_end(pid);
	_exit(0);
}

/* One answer; *fd_r: what came with it, or -1; may be NULL. 0, or -1. */
static int
hear(
    struct stage *stage, struct backstage_answer *a, int *fd_r, struct err *err)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = a, .iov_len = sizeof(*a) };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct pollfd ready = { .fd = stage->sock, .events = POLLIN };
	int64_t until_ms =
	    clock_monotonic_ms() + (int64_t)stage->timeout_ms * ANSWER_TIMEOUTS;
	int fd = -1, n;

	do {
		int64_t left = until_ms - clock_monotonic_ms();

		n = left <= 0 ? 0 : poll(&ready, 1, (int)left);
	} while (n == -1 && errno == EINTR);
	if (n == 0) {
		err_set(err, ERR_BUSY,
		    "the private copy of the mail server gives no answer");
		return -1;
	}
	if (n == -1 ||
	    recvmsg(stage->sock, &msg, MSG_CMSG_CLOEXEC) != sizeof(*a)) {
		err_set(err, ERR_IO,
		    "the private copy of the mail server has ended");
		return -1;
	}
	const struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	if (c != NULL && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	if (fd_r != NULL)
		*fd_r = fd;
	else if (fd != -1)
		(void)close(fd);
	if (a->ok)
		return 0;
	if (err != NULL)
		*err = a->err;
	return -1;
}

int
front_ask(struct stage *stage, const struct backstage_request *r,
    struct backstage_answer *a, int *fd_r, struct err *err)
{
	size_t len = offsetof(struct backstage_request, words) + r->words_len;

	if (fd_r != NULL)
		*fd_r = -1;
	if (send(stage->sock, r, len, MSG_NOSIGNAL) != (ssize_t)len) {
		err_set(err, ERR_IO,
		    "the private copy of the mail server has ended");
		return -1;
	}
	return hear(stage, a, fd_r, err);
}

struct backstage_request *
front_request(struct stage *stage, enum backstage_op op)
{
	struct backstage_request *r = &stage->request;

	r->op = op;
	r->words_len = 0;
	r->number = 0;
	return r;
}

bool
front_word(struct backstage_request *r, const char *word)
{
	size_t len = strlen(word) + 1;

	if (len > sizeof(r->words) - r->words_len)
		return false;
	memcpy(r->words + r->words_len, word, len);
	r->words_len += (uint32_t)len;
	return true;
}

/* The contents of a file, with a NUL after them; closes fd. */
static char *
contents(int fd, size_t *len_r, struct err *err)
{
	struct stat st;
	char *text = NULL;

	if (fstat(fd, &st) == 0)
		text = calloc(1, (size_t)st.st_size + 1);
	if (text == NULL) {
		err_nomem(err, "the answer of the copy", 0);
	} else if (pread(fd, text, (size_t)st.st_size, 0) != st.st_size) {
		err_set(
		    err, ERR_IO, "the answer of the copy: %s", strerror(errno));
		free(text);
		text = NULL;
	}
	(void)close(fd);
	if (text != NULL && len_r != NULL)
		*len_r = (size_t)st.st_size;
	return text;
}

/* The message of a log line, behind "Nov 30 01:02:03 postfix/smtpd[1]: ". */
static const char *
message_of(const char *line)
{
	const char *end = strchr(line, ']');

	return end != NULL && end[1] == ':' && end[2] == ' ' ? end + 3 : line;
}

/* The last line that isn't empty; NULL: there is none. */
static const char *
last_line(const char *log)
{
	size_t n = strlen(log);

	while (n > 0 && log[n - 1] == '\n')
		n--;
	if (n == 0)
		return NULL;
	while (n > 0 && log[n - 1] != '\n')
		n--;
	return log + n;
}

/* Where the log has this word, and not only that there was another error. */
static const char *
telling(const char *log, const char *word)
{
	static const char other[] = "mail system startup failed";
	const char *at = strstr(log, word), *first = at;

	while (
	    at != NULL && strncmp(at + strlen(word), other, strlen(other)) == 0)
		at = strstr(at + 1, word);
	return at != NULL ? at : first;
}

bool
stage_complaint(const char *log, bool last, char *buf, size_t size)
{
	static const char *const words[] = { "fatal: ", "panic: ", "error: " };
	const char *found = NULL;

	for (size_t i = 0;
	     i < sizeof(words) / sizeof(words[0]) && found == NULL; i++)
		found = telling(log, words[i]);
	/* Sendmail's, who writes them for less, too */
	if (found == NULL && last)
		found = telling(log, "SYSERR(");
	if (found == NULL && last)
		found = last_line(log);
	if (found == NULL)
		return false;
	while (found > log && found[-1] != '\n')
		found--;
	found = message_of(found);
	(void)snprintf(buf, size, "%.*s", (int)strcspn(found, "\n"), found);
	return true;
}

/* Add to err what the copy's log complains about; closes log. */
static void
explain(int log, struct err *err)
{
	char *text = contents(log, NULL, NULL);
	char why[300];
	struct err before;

	if (text != NULL && err != NULL &&
	    stage_complaint(text, true, why, sizeof(why))) {
		before = *err;
		err_set(err, before.code, "%.200s: %s", before.text, why);
	}
	free(text);
}

/* popgate-milter beside this program, or where "make install" puts it. */
static int
find_milter(const char *given, char path[PATH_LEN], struct err *err)
{
	static const char *const places[] = { "", "../sbin/",
		"../libexec/popgate/", NULL };
	char self[PATH_LEN];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (given != NULL) {
		(void)snprintf(path, PATH_LEN, "%s", given);
		if (access(path, X_OK) == 0)
			return 0;
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		return -1;
	}
	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash != NULL)
		slash[1] = '\0';
	for (size_t i = 0; places[i] != NULL && slash != NULL; i++)
		if (snprintf(path, PATH_LEN, "%s%spopgate-milter", self,
			places[i]) < PATH_LEN &&
		    access(path, X_OK) == 0)
			return 0;
	err_set(err, ERR_IO, "popgate-milter isn't beside this program, in %s",
	    self);
	return -1;
}

/* Start the processes. 0, or -1 with err; stage_close() in both cases. */
static int
enter(struct stage *stage, const struct stage_spec *spec, struct err *err)
{
	struct backstage_answer a;
	int pair[2], log = -1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1) {
		err_set(err, ERR_IO, "socketpair: %s", strerror(errno));
		return -1;
	}
	stage->sock = pair[0];
	stage->between = fork();
	if (stage->between == 0)
		between(spec, pair[1]);
	(void)close(pair[1]);
	if (stage->between == -1) {
		err_set(err, ERR_IO, "fork: %s", strerror(errno));
		return -1;
	}
	/* two answers, in any order: the one with a log is the last but for
	 * a first process that couldn't be made */
	for (int i = 0; i < 2; i++) {
		int rc = hear(stage, &a, &log, err);

		if (a.number > 0)
			stage->first = pidfd_open((pid_t)a.number, 0);
		if (rc == -1) {
			if (log != -1)
				explain(log, err);
			return -1;
		}
		if (log != -1)
			(void)close(log);
	}
	return 0;
}

int
stage_trusts(const char *path, struct err *err)
{
	static const char *const usual[] = { "/etc/postfix/main.cf",
		"/etc/postfix/master.cf", "/etc/mail/sendmail.cf",
		"/var/lib/exim4/config.autogenerated", "/etc/exim4/exim4.conf",
		"/etc/exim/exim.conf" };

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (strcmp(path, usual[i]) == 0)
			return 0;
	return room_trusts(path, err);
}

/* Root runs what the configuration names, in the room. Programs and files that
 * are included are root's where it is. */
static int
trusts(const struct stage_spec *spec, struct err *err)
{
	static const char *const names[] = { "/main.cf", "/master.cf" };
	char path[PATH_LEN];

	if (spec->dir == NULL)
		return 0;
	if (spec->mta != STAGE_POSTFIX)
		return access(spec->dir, F_OK) == -1
		    ? 0
		    : stage_trusts(spec->dir, err);
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(
		    path, sizeof(path), "%.1000s%s", spec->dir, names[i]);
		if (stage_trusts(path, err) == -1)
			return -1;
	}
	return 0;
}

int
stage_open(
    const struct stage_spec *spec, struct stage **stage_r, struct err *err)
{
	struct stage_spec own = *spec;
	struct network_set addresses = { 0 };
	char milter[PATH_LEN] = "";
	struct stage *stage;
	int rc = -1;

	*stage_r = NULL;
	if (room_possible(err) == -1 || trusts(spec, err) == -1 ||
	    (spec->popgate != NULL &&
		find_milter(spec->milter, milter, err) == -1) ||
	    loopback_machine(&addresses, err) == -1)
		return -1;
	stage = calloc(1, sizeof(*stage));
	if (stage == NULL) {
		err_nomem(err, "a private copy", sizeof(*stage));
		network_set_release(&addresses);
		return -1;
	}
	own.milter = milter;
	if (own.timeout_ms <= 0)
		own.timeout_ms = TIMEOUT_MS;
	own.addresses = &addresses;
	stage->timeout_ms = own.timeout_ms;
	stage->sock = stage->first = stage->between = -1;
	rc = enter(stage, &own, err);
	network_set_release(&addresses);
	if (rc == -1)
		stage_close(&stage);
	*stage_r = stage;
	return rc;
}

/* Whether the room is gone within that time. */
static bool
gone(const struct stage *stage, int ms)
{
	struct pollfd p = { .fd = stage->first, .events = POLLIN };

	return poll(&p, 1, ms) > 0;
}

void
stage_close(struct stage **stage)
{
	struct stage *s = *stage;

	if (s == NULL)
		return;
	if (s->sock != -1)
		(void)close(s->sock);
	if (s->first != -1) {
		while (!gone(s, END_MS))
			(void)pidfd_send_signal(s->first, SIGKILL, NULL, 0);
		(void)close(s->first);
	} else if (s->between > 0) {
		(void)kill(s->between, SIGKILL);
	}
	if (s->between > 0)
		(void)wait_end(s->between);
	free(s);
	*stage = NULL;
}

int
stage_connect(struct stage *stage, const struct addr *from, const char *name,
    const char *service, const char *const *names, size_t n, bool *tls_r,
    unsigned *hops_r, struct err *err)
{
	struct backstage_request *r = front_request(stage, BACKSTAGE_CONNECT);
	struct backstage_answer a;
	bool fits =
	    front_word(r, service) && front_word(r, name == NULL ? "" : name);
	int fd;

	r->addr = *from;
	for (size_t i = 0; i < n && fits; i++)
		fits = front_word(r, names[i]);
	if (!fits) {
		err_set(err, ERR_INVALID, "the names are too long");
		return -1;
	}
	if (front_ask(stage, r, &a, &fd, err) == -1)
		return -1;
	*tls_r = a.tls;
	*hops_r = a.hops;
	return fd;
}

int
stage_login(struct stage *stage, const struct addr *client, const char *user,
    struct err *err)
{
	struct backstage_request *r = front_request(stage, BACKSTAGE_LOGIN);
	struct backstage_answer a;

	r->addr = *client;
	if (!front_word(r, user)) {
		err_set(err, ERR_INVALID, "the user's name is too long");
		return -1;
	}
	return front_ask(stage, r, &a, NULL, err);
}

int
stage_popgate(struct stage *stage, bool up, struct err *err)
{
	struct backstage_request *r = front_request(stage, BACKSTAGE_POPGATE);
	struct backstage_answer a;

	r->up = up;
	return front_ask(stage, r, &a, NULL, err);
}

char *
stage_run(struct stage *stage, const char *const *argv, struct err *err)
{
	struct backstage_request *r = front_request(stage, BACKSTAGE_RUN);
	struct backstage_answer a;
	int fd;

	for (; *argv != NULL; argv++)
		if (!front_word(r, *argv)) {
			err_set(err, ERR_INVALID, "the command is too long");
			return NULL;
		}
	return front_ask(stage, r, &a, &fd, err) == 0 ? contents(fd, NULL, err)
						      : NULL;
}

char *
stage_log(struct stage *stage, struct err *err)
{
	struct backstage_answer a;
	int fd;

	return front_ask(stage, front_request(stage, BACKSTAGE_LOG), &a, &fd,
		   err) == 0
	    ? contents(fd, NULL, err)
	    : NULL;
}

int
stage_decisions(struct stage *stage, size_t min, struct stage_decision **v_r,
    struct err *err)
{
	struct backstage_request *r = front_request(stage, BACKSTAGE_DECISIONS);
	struct backstage_answer a;
	size_t len;
	int fd;

	r->number = (int64_t)min;
	*v_r = NULL;
	if (front_ask(stage, r, &a, &fd, err) == -1)
		return -1;
	*v_r = (void *)contents(fd, &len, err);
	return *v_r == NULL ? -1 : (int)(len / sizeof(**v_r));
}

int
stage_asked(struct stage *stage, const char *address)
{
	struct backstage_request *r = front_request(stage, BACKSTAGE_ASKED);
	struct backstage_answer a;

	return front_word(r, address) &&
		front_ask(stage, r, &a, NULL, NULL) == 0
	    ? (int)a.number
	    : -1;
}
