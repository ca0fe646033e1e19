/* SPDX-License-Identifier: ISC */
#include "ctl/stage/sendmail_copy.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/mta/conf_file.h"
#include "common/mta/sendmail_cf.h"
#include "ctl/stage/room.h"
#include "ctl/stage/sasl.h"

enum { PATH_LEN = 1024, WORD_LEN = 300 };

/* The lines read so far, and what is collected of them. */
struct reading {
	struct asked *asked;
	size_t n;
};

static void
add(struct reading *r, enum standin_kind kind,
    const struct postfix_endpoint *named)
{
	struct asked *a = &r->asked[r->n];

	if (r->n == ASKED_MAX ||
	    (named->is_unix && strstr(named->path, "popgate") != NULL))
		return;
	*a = (struct asked){ .kind = kind, .named = *named };
	if (named->is_unix)
		(void)snprintf(a->path, sizeof(a->path), "%s", named->path);
	r->n++;
}

/* "unix:/path", "local:/path", "inet:port@host", as libmilter writes it. */
static bool
endpoint(const char *text, struct postfix_endpoint *e)
{
	char word[WORD_LEN];
	const char *at;

	(void)snprintf(
	    word, sizeof(word), "%.*s", (int)strcspn(text, ", \t"), text);
	if (strncmp(word, "inet", 4) != 0)
		return postfix_endpoint_parse(word, e);
	text = strchr(word, ':');
	at = text == NULL ? NULL : strchr(text, '@');
	if (at == NULL)
		return false;
	*e = (struct postfix_endpoint){ .port = (unsigned)strtoul(
					    text + 1, NULL, 10) };
	(void)snprintf(e->host, sizeof(e->host), "%s", at + 1);
	return true;
}

/* "popgate, S=unix:/run/x, F=T" */
static void
take_milter(struct reading *r, const char *text)
{
	struct postfix_endpoint e;
	char value[WORD_LEN];

	if (sendmail_equate(text, 'S', value, sizeof(value)) &&
	    endpoint(value, &e))
		add(r, STANDIN_MILTER, &e);
}

/* "name socket -T<TMPF> unix:/run/x" */
static void
take_map(struct reading *r, const char *text)
{
	const char *words = strpbrk(text, " \t");
	const char *last = strrchr(text, ' ');
	struct postfix_endpoint e;

	if (words != NULL && last != NULL &&
	    strncmp(words + strspn(words, " \t"), "socket", 6) == 0 &&
	    endpoint(last + 1, &e))
		add(r, STANDIN_SOCKETMAP, &e);
}

static void
take_daemon(struct daemon_copy *copy, const char *text)
{
	struct listener l = { .family = ADDR_IPV4, .port = 25 };
	char value[WORD_LEN];

	if (sendmail_equate(text, 'P', value, sizeof(value)))
		l.port = daemon_copy_port(value);
	if (sendmail_equate(text, 'N', value, sizeof(value)))
		(void)snprintf(l.name, sizeof(l.name), "%.60s", value);
	if (sendmail_equate(text, 'F', value, sizeof(value)) &&
	    strcmp(value, "inet6") == 0)
		l.family = ADDR_IPV6;
	if (sendmail_equate(text, 'A', value, sizeof(value)) &&
	    addr_parse_loose(value, &l.addr))
		l.family = l.addr.family;
	/* M=s: TLS from the first byte */
	l.tls = sendmail_equate(text, 'M', value, sizeof(value)) &&
	    strchr(value, 's') != NULL;
	(void)daemon_copy_add(copy, &l);
}

static void
take_daemons(struct daemon_copy *copy, const struct sendmail_cf *lines)
{
	for (size_t i = 0; i < lines->n; i++) {
		const char *value = lines->v[i].kind != 'O'
		    ? NULL
		    : sendmail_option(lines->v[i].text, "DaemonPortOptions");

		if (value != NULL)
			take_daemon(copy, value);
	}
	if (copy->n == 0)
		(void)daemon_copy_add(copy, &(struct listener){ .port = 25 });
}

/* A queue becomes an empty one of ours. With a pattern ("/var/spool/mqueue/q*")
 * it is a directory of queues, of which Sendmail wants at least one. */
static int
take_queue(const char *value, struct err *err)
{
	char dir[PATH_LEN];
	struct stat st;
	glob_t found;
	char *slash;

	(void)snprintf(dir, sizeof(dir), "%s", value);
	slash = strrchr(dir, '/');
	if (slash == NULL || *dir != '/')
		return 0;
	if (strpbrk(slash, "*?[") == NULL)
		return stat(dir, &st) == -1
		    ? room_writable(dir, err)
		    : room_cover(dir, ROOM_EMPTY, NULL, err);
	if (glob(value, GLOB_NOSORT, NULL, &found) != 0)
		return 0; /* Sendmail itself says what lacks */
	*slash = '\0';

	int ret = room_cover(dir, ROOM_EMPTY, NULL, err);

	for (size_t i = 0; ret == 0 && i < found.gl_pathc; i++)
		if (mkdir(found.gl_pathv[i], 0700) == -1) {
			err_set(err, ERR_IO, "%s: %s", found.gl_pathv[i],
			    strerror(errno));
			ret = -1;
		}
	globfree(&found);
	return ret;
}

/* The directory that a path of an option is in becomes ours. */
static int
take_directory(const char *value, struct err *err)
{
	char dir[PATH_LEN];
	char *slash;

	(void)snprintf(dir, sizeof(dir), "%s", value);
	slash = strrchr(dir, '/');
	if (slash == NULL || slash == dir || *dir != '/')
		return 0;
	*slash = '\0';
	return room_writable(dir, err);
}

static int
take_option(const char *text, struct err *err)
{
	const char *value;

	if ((value = sendmail_option(text, "QueueDirectory")) != NULL)
		return take_queue(value, err);
	if ((value = sendmail_option(text, "PidFile")) != NULL ||
	    (value = sendmail_option(text, "StatusFile")) != NULL ||
	    (value = sendmail_option(text, "ControlSocketName")) != NULL)
		return take_directory(value, err);
	return 0;
}

/* Sendmail waits for a minute where the machine's name has no domain. */
static int
qualify(struct err *err)
{
	char name[256] = "";
	char full[300];

	(void)gethostname(name, sizeof(name) - 1);
	if (strchr(name, '.') != NULL)
		return 0;
	(void)snprintf(
	    full, sizeof(full), "%s.stage.test", *name == '\0' ? "mail" : name);
	if (sethostname(full, strlen(full)) == 0)
		return 0;
	err_set(err, ERR_IO, "the host name of the copy: %s", strerror(errno));
	return -1;
}

static int
read_cf(const char *cf, struct sendmail_cf *lines, struct err *err)
{
	char *text = conf_file_read(cf);

	if (text == NULL)
		err_set(err, ERR_IO, "%s: %s", cf, strerror(errno));
	else if (!sendmail_cf_parse(text, lines))
		err_nomem(err, cf, 0);
	else
		return 0;
	return -1;
}

int
sendmail_copy_listeners(
    struct daemon_copy *copy, const char *cf, struct err *err)
{
	struct sendmail_cf lines;

	if (read_cf(cf, &lines, err) == -1)
		return -1;
	take_daemons(copy, &lines);
	sendmail_cf_release(&lines);
	return 0;
}

int
sendmail_copy_make(struct daemon_copy *copy, const char *cf,
    struct asked *asked, size_t *n_r, struct err *err)
{
	struct postfix_endpoint saslauthd = { .is_unix = true,
		.path = SASL_SOCKET };
	struct reading r = { .asked = asked };
	struct sendmail_cf lines;
	int rc = 0;

	if (read_cf(cf, &lines, err) == -1)
		return -1;
	take_daemons(copy, &lines);
	for (size_t i = 0; i < lines.n && rc == 0; i++) {
		if (lines.v[i].kind == 'O')
			rc = take_option(lines.v[i].text, err);
		else if (lines.v[i].kind == 'X')
			take_milter(&r, lines.v[i].text);
		else if (lines.v[i].kind == 'K')
			take_map(&r, lines.v[i].text);
	}
	sendmail_cf_release(&lines);
	add(&r, STANDIN_SASLAUTHD, &saslauthd);
	*n_r = r.n;
	/* where m4(1) makes a sendmail.cf, it writes */
	if (rc == 0)
		rc = room_writable("/tmp", err);
	if (rc == 0)
		rc = sasl_ask_stand_in("Sendmail", NULL, err);
	return rc == 0 ? qualify(err) : -1;
}

const char *
sendmail_copy_program(const char *program)
{
	static const char *const usual[] = { "/usr/libexec/sendmail/sendmail",
		"/usr/lib/sm.bin/sendmail", "/usr/sbin/sendmail.sendmail",
		"/usr/sbin/sendmail-mta", "/usr/sbin/sendmail" };

	for (size_t i = 0;
	     i < sizeof(usual) / sizeof(usual[0]) && program == NULL; i++)
		if (access(usual[i], X_OK) == 0)
			program = usual[i];
	return program;
}

int
sendmail_copy_start(const struct daemon_copy *copy, const char *program,
    const char *cf, const struct network_set *own, int log, int timeout_ms,
    struct err *err)
{
	char file[PATH_LEN], hops[40];

	program = sendmail_copy_program(program);
	if (program == NULL) {
		err_set(err, ERR_IO, "Sendmail's program isn't here");
		return -1;
	}
	(void)snprintf(file, sizeof(file), "-C%s", cf);
	(void)snprintf(
	    hops, sizeof(hops), "-OMaxHopCount=%d", DAEMON_COPY_HOPS);
	/* -q is never given: nothing is delivered, whatever is accepted. The
	 * load is the machine's, and no reason to refuse or delay the copy's
	 * clients. */
	const char *const argv[] = { program, file, "-bD", "-ODeliveryMode=q",
		"-ORefuseLA=1000000", "-ODelayLA=0", "-OQueueLA=1000000",
		hops, NULL };

	return daemon_copy_start(copy, argv, own, log, timeout_ms, err);
}
