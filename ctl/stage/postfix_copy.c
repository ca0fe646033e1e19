/* SPDX-License-Identifier: ISC */
#include "ctl/stage/postfix_copy.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/run.h"
#include "common/base/strings.h"
#include "common/mta/postfix_wiring.h"
#include "ctl/stage/daemon_copy.h"
#include "ctl/stage/loopback.h"
#include "ctl/stage/program.h"
#include "ctl/stage/room.h"

enum { PATH_LEN = 2048 };

/* The name of Postfix's own log file, which the copy makes anew, in whatever
 * directory it is; "": none. */
static char log_name[NAME_MAX + 1];

static enum room_fate
fate_of_log(const char *name)
{
	return strcmp(name, log_name) == 0 ? ROOM_LEFT_OUT : ROOM_KEPT;
}

/* The directory of that file. It may hold tables, the other directories or the
 * configuration itself: all but the log stays. Does nothing where files can be
 * made already. */
static int
cover_log(const struct postfix_conf *pf, struct err *err)
{
	const char *log = postfix_value(pf, NULL, "maillog_file");
	char dir[PATH_MAX];
	char *slash;

	(void)snprintf(dir, sizeof(dir), "%s", log);
	slash = strrchr(dir, '/');
	if (*log != '/' || slash == dir || strncmp(log, "/dev/", 5) == 0)
		return 0;
	*slash = '\0';
	(void)snprintf(log_name, sizeof(log_name), "%s", slash + 1);
	if (access(dir, W_OK) == 0)
		return 0;
	return errno == ENOENT
	    ? room_writable(dir, err)
	    : room_cover(dir, ROOM_ENTRIES, fate_of_log, err);
}

static enum room_fate
fate_of_file(const char *name)
{
	return strcmp(name, "main.cf") == 0 || strcmp(name, "master.cf") == 0
	    ? ROOM_LEFT_OUT
	    : fate_of_log(name);
}

/* Directories that Postfix itself makes in a queue directory are emptied:
 * postfix-files(5). */
static enum room_fate
fate_of_queue(const char *name)
{
	static const char *const queues[] = { "active", "bounce", "corrupt",
		"defer", "deferred", "flush", "hold", "incoming", "maildrop",
		"pid", "private", "public", "saved", "trace" };

	for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++)
		if (strcmp(name, queues[i]) == 0)
			return ROOM_EMPTIED;
	return ROOM_KEPT;
}

static int
copy_file(const char *dir, const char *name, struct err *err)
{
	char *from;

	if (asprintf(&from, ROOM_REAL "%s/%s", dir, name) == -1) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	/* the copy has the path that the file has on the machine */
	int rc = room_copy(from, from + strlen(ROOM_REAL), err);

	free(from);
	return rc;
}

static int
copy_configuration(const char *dir, struct err *err)
{
	char *real = realpath(dir, NULL);
	int rc = -1;

	if (real == NULL)
		err_set(err, ERR_IO, "%s: %s", dir, strerror(errno));
	else if (room_cover(real, ROOM_ENTRIES, fate_of_file, err) == 0 &&
	    copy_file(real, "main.cf", err) == 0 &&
	    copy_file(real, "master.cf", err) == 0)
		rc = 0;
	free(real);
	return rc;
}

/* A chroot has a resolver configuration of its own. */
static int
use_names(const struct postfix_conf *pf, struct err *err)
{
	char path[PATH_LEN];

	(void)snprintf(path, sizeof(path), "%s/etc/resolv.conf",
	    postfix_value(pf, NULL, "queue_directory"));
	return access(path, F_OK) == -1 ? 0 : room_names(path, err);
}

static int
copy_instance(const char *dir, struct err *err)
{
	struct postfix_conf pf;
	int rc = -1;

	if (postfix_conf_load(dir, &pf, err) == -1)
		return -1;
	/* what is covered last is seen: the log may be above or below */
	if (cover_log(&pf, err) == 0 && copy_configuration(dir, err) == 0 &&
	    room_cover(postfix_value(&pf, NULL, "queue_directory"), ROOM_TREE,
		fate_of_queue, err) == 0 &&
	    room_cover(postfix_value(&pf, NULL, "data_directory"), ROOM_EMPTY,
		NULL, err) == 0 &&
	    cover_log(&pf, err) == 0)
		rc = use_names(&pf, err);
	log_name[0] = '\0';
	postfix_conf_release(&pf);
	return rc;
}

/* The other instances stay as they are on the machine: only their directories
 * are covered, so that nothing is written there. */
static int
copy_others(const char *dir, struct err *err)
{
	struct string_list all = { 0 };
	char *given = realpath(dir, NULL);
	int rc = 0;

	if (given != NULL && postfix_instances(NULL, &all, NULL) == 0)
		for (size_t i = 0; i < all.n && rc == 0; i++) {
			char *other = realpath(all.v[i], NULL);

			if (other != NULL && strcmp(given, other) != 0)
				rc = copy_instance(all.v[i], err);
			free(other);
		}
	free(given);
	string_list_release(&all);
	return rc;
}

int
postfix_copy_make(const char *dir, struct err *err)
{
	return copy_instance(dir, err) == 0 ? copy_others(dir, err) : -1;
}

/* No service of master.cf has a value of its own. */
static int
drop_override(const char *dir, const char *setting, struct err *err)
{
	char word[100];
	const char *const argv[] = { "postconf", "-c", dir, "-PX", word, NULL };

	(void)snprintf(word, sizeof(word), "*/*/%s", setting);
	char *out =
	    run_read((char *const *)(uintptr_t)argv, NULL, RUN_TIMEOUT_S, err);

	free(out);
	return out == NULL ? -1 : 0;
}

/* Postfix may tell postmaster of what is refused, and an LMTP server of the
 * machine's may be seen in the room: no message of the copy's clients gets that
 * far. The last setting counts. */
int
postfix_copy_quiet(const char *dir, struct err *err)
{
	char path[PATH_LEN];

	if (drop_override(dir, "notify_classes", err) == -1 ||
	    drop_override(dir, "hopcount_limit", err) == -1)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/main.cf", dir);
	FILE *to = fopen(path, "ae");
	bool good = to != NULL &&
	    fprintf(to, "\nnotify_classes =\nhopcount_limit = %d\n",
		DAEMON_COPY_HOPS) >= 0;

	if (to != NULL && fclose(to) != 0)
		good = false;
	if (!good)
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	return good ? 0 : -1;
}

int
postfix_copy_read(struct postfix_copy *copy, const char *dir, struct err *err)
{
	copy->dir = dir;
	return postfix_conf_load(dir, &copy->pf, err);
}

int
postfix_copy_start(const struct postfix_copy *copy, int log, struct err *err)
{
	const char *const argv[] = { "postfix", "-c", copy->dir, "start",
		NULL };

	return program_run(argv, log, err);
}

/* "192.0.2.1:587" into both; the host is "" when there is none. */
static void
split_service(const char *service, char *host, size_t host_size, char *port,
    size_t port_size)
{
	size_t len = strcspn(service, "/");
	const char *colon = NULL;

	for (size_t i = 0; i < len; i++)
		if (service[i] == ':' &&
		    (*service != '[' || memchr(service, ']', i) != NULL))
			colon = service + i;
	*host = '\0';
	if (colon == NULL) {
		(void)snprintf(port, port_size, "%.*s", (int)len, service);
		return;
	}
	(void)snprintf(
	    host, host_size, "%.*s", (int)(colon - service), service);
	(void)snprintf(port, port_size, "%.*s",
	    (int)(len - (size_t)(colon - service) - 1), colon + 1);
}

static bool
resolve(const char *host, enum addr_family family, struct addr *to)
{
	const struct addrinfo hints = {
		.ai_family = family == ADDR_IPV6 ? AF_INET6 : AF_INET,
		.ai_socktype = SOCK_STREAM
	};
	struct addrinfo *found = NULL;
	bool ok = false;

	if (addr_parse_loose(host, to))
		return to->family == family;
	if (getaddrinfo(host, NULL, &hints, &found) == 0) {
		ok = addr_from_sockaddr(found->ai_addr, to);
		freeaddrinfo(found);
	}
	return ok && to->family == family;
}

static bool
is_loopback(const struct addr *addr)
{
	struct addr own;

	loopback_address(addr->family, &own);
	return addr_equal(addr, &own);
}

/* The first of inet_interfaces that another machine of this family can reach;
 * else loopback. */
static void
listening(const struct postfix_copy *copy, const struct network_set *own,
    enum addr_family family, struct addr *to)
{
	const char *text = postfix_value(&copy->pf, NULL, "inet_interfaces");

	if (strcmp(text, "all") == 0) {
		for (size_t i = 0; i < own->n; i++)
			if (own->v[i].base.family == family) {
				*to = own->v[i].base;
				return;
			}
	} else if (strcmp(text, "loopback-only") != 0) {
		while (*text != '\0') {
			size_t len = strcspn(text, ", \t");
			char word[256];

			(void)snprintf(
			    word, sizeof(word), "%.*s", (int)len, text);
			if (len > 0 && resolve(word, family, to) &&
			    !is_loopback(to))
				return;
			text += len + (text[len] != '\0');
		}
	}
	loopback_address(family, to);
}

static const struct postfix_service *
find_service(const struct postfix_copy *copy, const char *service)
{
	size_t len = strcspn(service, "/");

	for (size_t i = 0; i < copy->pf.n_services; i++) {
		const struct postfix_service *s = &copy->pf.services[i];
		char port[64], host[256];

		if (strcmp(s->type, "inet") != 0)
			continue;
		if (strlen(s->name) == len &&
		    strncmp(s->name, service, len) == 0)
			return s;
		split_service(s->name, host, sizeof(host), port, sizeof(port));
		if (*host == '\0' && strchr(service, ':') == NULL &&
		    daemon_copy_port(port) != 0 &&
		    daemon_copy_port(port) == daemon_copy_port(service))
			return s;
	}
	return NULL;
}

int
postfix_copy_where(const struct postfix_copy *copy,
    const struct network_set *own, const char *service,
    const struct addr *client, struct addr *to_r, unsigned *port_r, bool *tls_r,
    struct err *err)
{
	const struct postfix_service *s = find_service(copy, service);
	char host[256], port[64];

	if (s == NULL) {
		err_set(err, ERR_INVALID,
		    "%s: %s is no service of type inet: expected its name, as \"smtp\", or a port",
		    copy->pf.master_cf, service);
		return -1;
	}
	split_service(s->name, host, sizeof(host), port, sizeof(port));
	*port_r = daemon_copy_port(port);
	if (*port_r == 0) {
		err_set(err, ERR_INVALID,
		    "%s: %s: %s is no port that /etc/services knows",
		    copy->pf.master_cf, s->name, port);
		return -1;
	}
	if (*host == '\0') {
		listening(copy, own, client->family, to_r);
	} else if (!resolve(host, client->family, to_r)) {
		char text[ADDR_TEXT_MAX];

		err_set(err, ERR_INVALID, "%s: %s can't be reached from %s",
		    copy->pf.master_cf, s->name, addr_format(client, text));
		return -1;
	}
	*tls_r = postfix_yes(&copy->pf, s, "smtpd_tls_wrappermode");
	return 0;
}
