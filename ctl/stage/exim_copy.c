/* SPDX-License-Identifier: ISC */
#include "ctl/stage/exim_copy.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/run.h"
#include "ctl/stage/room.h"
#include "ctl/stage/sasl.h"

enum { WORD_LEN = 200, HOPS_MAX = 1000 };

const char *
exim_copy_program(const char *program)
{
	static const char *const usual[] = { "/usr/sbin/exim4",
		"/usr/sbin/exim", "/usr/exim/bin/exim" };

	for (size_t i = 0;
	     i < sizeof(usual) / sizeof(usual[0]) && program == NULL; i++)
		if (access(usual[i], X_OK) == 0)
			return usual[i];
	return program == NULL ? "exim" : program;
}

/* The output of "exim -bP name"; to be freed; NULL with err. */
static char *
print(const struct exim_program *exim, const char *name, struct err *err)
{
	const char *argv[6] = { exim_copy_program(exim->program) };
	size_t n = 1;

	if (exim->file != NULL) {
		argv[n++] = "-C";
		argv[n++] = exim->file;
	}
	argv[n++] = "-bP";
	argv[n++] = name;
	argv[n] = NULL;
	return run_read(
	    (char *const *)(uintptr_t)argv, NULL, RUN_TIMEOUT_S, err);
}

/* A setting's value, to be freed; NULL with err. */
static char *
setting(const struct exim_program *exim, const char *name, struct err *err)
{
	char *text = print(exim, name, err);
	const char *equals = text == NULL ? NULL : strstr(text, " = ");
	char *value;

	if (text == NULL)
		return NULL;
	value = strdup(equals == NULL ? "" : equals + 3);
	free(text);
	if (value == NULL)
		err_nomem(err, name, 0);
	else
		value[strcspn(value, "\n")] = '\0';
	return value;
}

/* Is an option of this name true? "no_NAME" is printed where it isn't. */
static bool
is_set(const struct exim_program *exim, const char *name, struct err *err)
{
	char *text = print(exim, name, err);
	bool set = text != NULL && strncmp(text, name, strlen(name)) == 0;

	free(text);
	return set;
}

/* The next item of an Exim list, whose separator "<;" may set; false at the
 * end. */
static bool
next_item(const char **at, char *separator, char *item, size_t size)
{
	const char *p = *at;
	size_t n;

	p += strspn(p, " \t");
	if (p[0] == '<' && p[1] != '\0') {
		*separator = p[1];
		p += 2;
	}
	p += strspn(p, " \t");
	if (*p == '\0')
		return false;
	n = strcspn(p, (char[]){ *separator, '\0' });
	(void)snprintf(item, size, "%.*s", (int)n, p);
	*at = p + n + (p[n] != '\0');
	for (n = strlen(item); n > 0 && item[n - 1] == ' '; n--)
		item[n - 1] = '\0';
	return true;
}

/* Is this port in a list of ports? */
static bool
has_port(const char *list, unsigned port)
{
	char item[WORD_LEN], separator = ':';

	while (next_item(&list, &separator, item, sizeof(item)))
		if (daemon_copy_port(item) == port)
			return true;
	return false;
}

/* Each port on the first interface of each family, or on any. */
static void
add_listeners(struct daemon_copy *copy, const char *interfaces,
    const char *ports, const char *tls_ports, bool without_ipv6)
{
	char item[WORD_LEN], separator = ':', between = ':';
	struct addr addr[2] = { { .family = ADDR_NONE },
		{ .family = ADDR_NONE } };

	while (next_item(&interfaces, &between, item, sizeof(item))) {
		struct addr a;

		if (addr_parse_loose(item, &a) &&
		    (a.family == ADDR_IPV4 || !without_ipv6) &&
		    addr[a.family == ADDR_IPV6].family == ADDR_NONE)
			addr[a.family == ADDR_IPV6] = a;
	}
	while (next_item(&ports, &separator, item, sizeof(item)))
		for (int i = 0; i < 2; i++) {
			struct listener l = { .addr = addr[i],
				.family = addr[i].family,
				.port = daemon_copy_port(item) };
			static const struct addr zero4 = { .family =
							       ADDR_IPV4 };
			static const struct addr zero6 = { .family =
							       ADDR_IPV6 };

			/* 0.0.0.0 and ::0 are all addresses */
			if (addr_equal(&l.addr, &zero4) ||
			    addr_equal(&l.addr, &zero6))
				l.addr.family = ADDR_NONE;
			/* one of two families may be left out */
			if (l.family == ADDR_NONE && i == 1)
				continue;
			l.tls = has_port(tls_ports, l.port);
			(void)daemon_copy_add(copy, &l);
		}
}

int
exim_copy_listeners(
    struct daemon_copy *copy, const struct exim_program *exim, struct err *err)
{
	char *interfaces = setting(exim, "local_interfaces", err);
	char *ports =
	    interfaces == NULL ? NULL : setting(exim, "daemon_smtp_ports", err);
	char *tls_ports =
	    ports == NULL ? NULL : setting(exim, "tls_on_connect_ports", err);
	int rc = tls_ports == NULL ? -1 : 0;

	if (rc == 0)
		add_listeners(copy, interfaces, *ports == '\0' ? "smtp" : ports,
		    tls_ports, is_set(exim, "disable_ipv6", err));
	free(interfaces);
	free(ports);
	free(tls_ports);
	return rc;
}

unsigned
exim_copy_hops(const struct exim_program *exim)
{
	char *value = setting(exim, "received_headers_max", NULL);
	unsigned long hops = value == NULL ? 0 : strtoul(value, NULL, 10);

	free(value);
	return hops <= HOPS_MAX ? (unsigned)hops : 0;
}

/* A directory that it writes to becomes an empty one of ours. */
static int
cover(const char *dir, struct err *err)
{
	struct stat st;

	if (*dir != '/')
		return 0;
	return stat(dir, &st) == 0 ? room_cover(dir, ROOM_EMPTY, NULL, err)
				   : room_writable(dir, err);
}

static int
cover_spool(const struct exim_program *exim, struct err *err)
{
	char *spool = setting(exim, "spool_directory", err);
	int rc = spool == NULL ? -1 : cover(spool, err);

	free(spool);
	return rc;
}

static int
cover_pid_file(const struct exim_program *exim, struct err *err)
{
	char *pid = setting(exim, "pid_file_path", err);
	char *slash = pid == NULL ? NULL : strrchr(pid, '/');
	int rc = pid == NULL ? -1 : 0;

	if (slash != NULL && slash != pid) {
		*slash = '\0';
		rc = room_writable(pid, err);
	}
	free(pid);
	return rc;
}

/* "/var/log/exim4/%slog", perhaps beside "syslog" in a list. */
static int
cover_log(
    const struct exim_program *exim, char log[EXIM_LOG_MAX], struct err *err)
{
	char *value = setting(exim, "log_file_path", err);
	char dir[EXIM_LOG_MAX], item[EXIM_LOG_MAX - 8], separator = ':';
	const char *at = value;
	int rc = value == NULL ? -1 : 0;

	*log = '\0';
	while (rc == 0 && next_item(&at, &separator, item, sizeof(item))) {
		char *slash = strrchr(item, '/');
		char *percent = strstr(item, "%s");

		if (slash == NULL || slash == item)
			continue;
		(void)snprintf(
		    dir, sizeof(dir), "%.*s", (int)(slash - item), item);
		if (percent != NULL)
			(void)snprintf(log, EXIM_LOG_MAX, "%.*smain%s",
			    (int)(percent - item), item, percent + 2);
		rc = cover(dir, err);
	}
	free(value);
	return rc;
}

static void
add_auth(
    struct asked *asked, size_t *n, enum standin_kind kind, const char *path)
{
	struct asked *a = &asked[*n];

	if (*n == ASKED_MAX || *path != '/')
		return;
	*a = (struct asked){ .kind = kind, .named = { .is_unix = true } };
	(void)snprintf(a->named.path, sizeof(a->named.path), "%s", path);
	(void)snprintf(a->path, sizeof(a->path), "%s", path);
	(*n)++;
}

/* The sockets of authenticators whose driver is dovecot. */
static int
find_auth(const struct exim_program *exim, struct asked *asked, size_t *n_r,
    struct err *err)
{
	static const char name[] = "server_socket = ";
	char *text = print(exim, "authenticators", err);

	*n_r = 0;
	if (text == NULL)
		return -1;
	for (const char *p = text; (p = strstr(p, name)) != NULL;) {
		char path[POSTFIX_ENDPOINT_MAX];

		p += strlen(name);
		(void)snprintf(
		    path, sizeof(path), "%.*s", (int)strcspn(p, "\n"), p);
		add_auth(asked, n_r, STANDIN_AUTH, path);
	}
	free(text);
	add_auth(asked, n_r, STANDIN_SASLAUTHD, SASL_SOCKET);
	return 0;
}

/* The file of exim_copy_unmake(), for leave_out(). */
static const char *made_file;

static enum room_fate
leave_out(const char *name)
{
	return strcmp(name, made_file) == 0 ? ROOM_LEFT_OUT : ROOM_KEPT;
}

int
exim_copy_unmake(const char *file, struct err *err)
{
	char dir[EXIM_LOG_MAX];
	const char *slash = file == NULL ? NULL : strrchr(file, '/');

	if (slash == NULL || slash == file) {
		err_set(err, ERR_INVALID,
		    "a configuration that is made needs the path of its file");
		return -1;
	}
	(void)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - file), file);
	made_file = slash + 1;
	return room_cover(dir, ROOM_ENTRIES, leave_out, err) == 0
	    ? room_writable("/tmp", err)
	    : -1;
}

int
exim_copy_make(struct daemon_copy *copy, const struct exim_program *exim,
    struct asked *asked, size_t *n_r, char log[EXIM_LOG_MAX], struct err *err)
{
	return exim_copy_listeners(copy, exim, err) == 0 &&
		cover_spool(exim, err) == 0 && cover_pid_file(exim, err) == 0 &&
		cover_log(exim, log, err) == 0
	    ? find_auth(exim, asked, n_r, err)
	    : -1;
}

int
exim_copy_start(const struct daemon_copy *copy, const struct exim_program *exim,
    const struct network_set *own, int log, int timeout_ms, struct err *err)
{
	const char *argv[6] = { exim_copy_program(exim->program), "-bdf" };
	size_t n = 2;

	if (exim->file != NULL) {
		argv[n++] = "-C";
		argv[n++] = exim->file;
	}
	if (exim->trace)
		argv[n] = EXIM_TRACE_SELECTORS;
	return daemon_copy_start(copy, argv, own, log, timeout_ms, err);
}
