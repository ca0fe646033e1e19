/* SPDX-License-Identifier: ISC */
#include "common/mta/postfix_literals.h"

#include <ifaddrs.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "common/base/addr.h"
#include "common/base/err.h"
#include "common/mta/postfix_conf.h"
#include "common/mta/postfix_table.h"

struct postfix_literals {
	struct network_set own;
};

static bool
add(struct postfix_literals *l, const struct sockaddr *sa, bool loopback)
{
	struct addr addr;

	if (!addr_from_sockaddr(sa, &addr) ||
	    (loopback && !addr_is_loopback(&addr)))
		return true;
	struct network net = network_of(&addr, addr_bits(&addr));

	return network_set_add(&l->own, &net);
}

static bool
add_interfaces(struct postfix_literals *l, bool loopback)
{
	struct ifaddrs *first;
	bool ok = true;

	if (getifaddrs(&first) == -1)
		return true;
	for (const struct ifaddrs *i = first; ok && i != NULL; i = i->ifa_next)
		ok = add(l, i->ifa_addr, loopback);
	freeifaddrs(first);
	return ok;
}

/* An address, or the name of a host. One that isn't found is nobody's. */
static bool
add_host(struct postfix_literals *l, const char *host)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *first;
	bool ok = true;

	if (getaddrinfo(host, NULL, &hints, &first) != 0)
		return true;
	for (const struct addrinfo *i = first; ok && i != NULL; i = i->ai_next)
		ok = add(l, i->ai_addr, false);
	freeaddrinfo(first);
	return ok;
}

static bool
add_word(struct postfix_literals *l, const char *word, size_t n)
{
	char host[256];

	if (n >= 2 && *word == '[' && word[n - 1] == ']') {
		word++;
		n -= 2;
	}
	if (n >= sizeof(host))
		return true;
	memcpy(host, word, n);
	host[n] = '\0';
	if (strcmp(host, "all") == 0)
		return add_interfaces(l, false);
	return strcmp(host, "loopback-only") == 0 ? add_interfaces(l, true)
						  : add_host(l, host);
}

static int
add_setting(struct postfix_literals *l, const char *dir, const char *setting,
    struct err *err)
{
	char *value = postfix_setting(dir, setting, err);
	const char *at = value, *word;
	bool ok = true;
	size_t n;

	if (value == NULL)
		return -1;
	while (ok && (n = postfix_next_word(&at, &word)) > 0)
		ok = add_word(l, word, n);
	free(value);
	if (ok)
		return 0;
	err_set(err, ERR_NOMEM, "out of memory");
	return -1;
}

int
postfix_literals_load(
    const char *dir, struct postfix_literals **l_r, struct err *err)
{
	struct postfix_literals *l = calloc(1, sizeof(*l));

	*l_r = NULL;
	if (l == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	if (add_setting(l, dir, "inet_interfaces", err) == -1 ||
	    add_setting(l, dir, "proxy_interfaces", err) == -1) {
		postfix_literals_free(l);
		return -1;
	}
	*l_r = l;
	return 0;
}

void
postfix_literals_free(struct postfix_literals *l)
{
	if (l == NULL)
		return;
	network_set_release(&l->own);
	free(l);
}

bool
postfix_literals_has(const struct postfix_literals *l, const char *domain)
{
	size_t n = strlen(domain);
	struct addr addr;

	if (n < 3 || *domain != '[' || domain[n - 1] != ']')
		return false;
	domain++;
	n -= 2;
	if (n > 5 && strncasecmp(domain, "ipv6:", 5) == 0) {
		domain += 5;
		n -= 5;
	} else if (memchr(domain, ':', n) != NULL) {
		return false;
	}
	return addr_parse_n(domain, n, &addr) &&
	    network_set_contains(&l->own, &addr);
}
