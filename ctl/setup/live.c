/* SPDX-License-Identifier: ISC */
#include "ctl/setup/live.h"

#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/mta/conf_file.h"
#include "ctl/smtp/probe_net.h"
#include "ctl/smtp/smtp_talk.h"

enum { TIMEOUT_MS = 20000, RETRY_MS = 3000 };

pid_t
live_process(const char *pid_file, const char *name)
{
	/* not fopen(3), which would wait for a pipe's writer */
	char *text = conf_file_read(pid_file), path[60], comm[40] = "";
	long pid = text == NULL ? 0 : strtol(text, NULL, 10);

	free(text);
	if (pid <= 1 || pid > INT_MAX)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
	FILE *in = fopen(path, "re");

	if (in != NULL && fgets(comm, sizeof(comm), in) == NULL)
		*comm = '\0';
	if (in != NULL)
		(void)fclose(in);
	return strncmp(comm, name, strlen(name)) == 0 ? (pid_t)pid : 0;
}

static bool
is_reachable(const struct addr *a)
{
	struct in6_addr in6;

	if (a->family == ADDR_IPV4)
		return a->bytes[0] != 127 &&
		    (a->bytes[0] != 169 || a->bytes[1] != 254);
	memcpy(&in6, a->bytes, sizeof(in6));
	return !IN6_IS_ADDR_LOOPBACK(&in6) && !IN6_IS_ADDR_LINKLOCAL(&in6);
}

bool
live_addresses(struct network_set *set)
{
	struct ifaddrs *list;

	if (getifaddrs(&list) == -1)
		return false;
	for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
		struct addr a;

		if (!addr_from_sockaddr(i->ifa_addr, &a) || !is_reachable(&a))
			continue;
		struct network net = network_of(&a, addr_bits(&a));

		(void)network_set_add(set, &net);
	}
	freeifaddrs(list);
	return set->n > 0;
}

static int
connect_to(const struct probe_net *net, const struct live_service *v)
{
	const struct timeval patience = { .tv_sec = TIMEOUT_MS / 1000 };
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)v->port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)v->port) };
	bool six = v->to.family == ADDR_IPV6;
	int fd = probe_net_socket(net, v->to.family);

	if (fd == -1)
		return -1;
	memcpy(&in.sin_addr, v->to.bytes, sizeof(in.sin_addr));
	memcpy(&in6.sin6_addr, v->to.bytes, sizeof(in6.sin6_addr));
	(void)setsockopt(
	    fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if ((six ? connect(fd, (const struct sockaddr *)&in6, sizeof(in6))
		 : connect(fd, (const struct sockaddr *)&in, sizeof(in))) == 0)
		return fd;
	int error = errno;

	(void)close(fd);
	errno = error;
	return -1;
}

/* Say something, and note the reply. Was it 2xx? */
static bool
say(struct smtp_talk *t, struct live_service *v, enum smtp_verb verb,
    const char *argument)
{
	struct smtp_reply reply;
	enum talk_result result = smtp_talk_say(
	    t, verb, argument, argument == NULL ? 0 : strlen(argument), &reply);

	if (result == TALK_REPLY)
		(void)snprintf(v->said, sizeof(v->said), "%d %.250s",
		    reply.code, reply.text);
	else
		(void)snprintf(
		    v->said, sizeof(v->said), "%s", talk_words(result));
	return result == TALK_REPLY && reply.code / 100 == 2;
}

/* The relay is asked about last, so that its reply is the one that is kept.
 *   own  NULL: the relay alone
 * false: the server hung up at our own recipient: the relay wasn't asked about.
 */
static bool
ask_open(struct smtp_talk *t, struct live_service *v, const char *own)
{
	char recipient[320];

	if (!say(t, v, SMTP_EHLO, "popgate-setup.example") ||
	    !say(t, v, SMTP_MAIL, "somebody@example.org"))
		return true;
	if (own != NULL) {
		(void)snprintf(recipient, sizeof(recipient), "<%s>", own);
		v->own = say(t, v, SMTP_RCPT, recipient);
	}
	v->asked = true;
	v->relays = say(t, v, SMTP_RCPT, "<friend@example.net>");
	char said[sizeof(v->said)];

	memcpy(said, v->said, sizeof(said));
	(void)say(t, v, SMTP_RSET, NULL);
	(void)say(t, v, SMTP_QUIT, NULL);
	memcpy(v->said, said, sizeof(said));
	return v->relays ||
	    (strchr("45", v->said[0]) != NULL &&
		strncmp(v->said, "421", 3) != 0);
}

/* false: as ask_open(). */
static bool
ask_once(const struct probe_net *net, struct live_service *v, const char *own)
{
	struct smtp_talk *t = NULL;
	struct smtp_reply reply;
	int fd = connect_to(net, v);
	bool asked = true;

	v->answers = v->asked = v->relays = false;
	if (fd == -1) {
		(void)snprintf(v->said, sizeof(v->said), "no connection: %s",
		    strerror(errno));
		return true;
	}
	enum talk_result result =
	    smtp_talk_begin(fd, v->tls, TIMEOUT_MS, &t, &reply);

	v->answers = result == TALK_REPLY && reply.code / 100 == 2;
	if (v->answers)
		asked = ask_open(t, v, own);
	else if (result == TALK_REPLY)
		(void)snprintf(v->said, sizeof(v->said), "%d %.250s",
		    reply.code, reply.text);
	else
		(void)snprintf(
		    v->said, sizeof(v->said), "%s", talk_words(result));
	smtp_talk_close(&t);
	return asked;
}

/* A server that hangs up at the first error, as Postfix does under stress, is
 * asked about the relay by itself. */
static void
ask(const struct probe_net *net, struct live_service *v, const char *own)
{
	v->own = false;
	if (!ask_once(net, v, own))
		(void)ask_once(net, v, NULL);
}

/* The kernel takes the one before away a little after it is closed. */
static int
open_net(struct probe_net *net, enum addr_family family, struct err *err)
{
	const struct timespec pause = { .tv_nsec = 100 * 1000000L };
	const struct addr any = { .family = ADDR_NONE };
	int64_t until_ms = clock_monotonic_ms() + RETRY_MS;

	for (;;) {
		if (probe_net_open(net, family, &any, err) == 0)
			return 0;
		probe_net_close(net);
		if (clock_monotonic_ms() > until_ms)
			return -1;
		(void)nanosleep(&pause, NULL);
	}
}

/* How services are asked. */
struct way {
	const char *own; /* live_ask(): a recipient of ours */
	/* live_ask_user() */
	int (*let)(
	    void *arg, const struct addr *client, bool in, struct err *err);
	void *arg;
};

static void
ask_one(
    const struct way *w, const struct probe_net *net, struct live_service *v)
{
	if (w->let == NULL)
		ask(net, v, w->own);
	else
		(void)ask_once(net, v, NULL);
}

static int
ask_family(const struct way *w, enum addr_family family, struct live_service *v,
    size_t n, struct err *err)
{
	struct probe_net net;
	int ret = open_net(&net, family, err);

	if (ret == -1)
		return -1;
	if (w->let != NULL)
		ret = w->let(w->arg, &net.source, true, err);
	for (size_t i = 0; i < n && ret == 0; i++)
		if (v[i].to.family == family)
			ask_one(w, &net, &v[i]);
	if (w->let != NULL &&
	    w->let(w->arg, &net.source, false, ret == 0 ? err : NULL) == -1)
		ret = -1;
	probe_net_close(&net);
	return ret;
}

static int
ask_all(const struct way *w, struct live_service *v, size_t n, struct err *err)
{
	static const enum addr_family families[] = { ADDR_IPV4, ADDR_IPV6 };
	int ret = 0;

	for (size_t f = 0; f < 2 && ret == 0; f++) {
		bool any_of_it = false;

		for (size_t i = 0; i < n; i++)
			any_of_it |= v[i].to.family == families[f];
		if (any_of_it)
			ret = ask_family(w, families[f], v, n, err);
	}
	return ret;
}

int
live_ask(struct live_service *v, size_t n, const char *own, struct err *err)
{
	const struct way w = { .own = own };

	return ask_all(&w, v, n, err);
}

int
live_ask_user(struct live_service *v, size_t n,
    int (*let)(void *arg, const struct addr *client, bool in, struct err *err),
    void *arg, struct err *err)
{
	const struct way w = { .let = let, .arg = arg };

	return ask_all(&w, v, n, err);
}
