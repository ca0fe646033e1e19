/* SPDX-License-Identifier: ISC */
#include "common/base/own_addresses.h"

#include <assert.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/base/err.h"

static bool
add(struct network_set *set, const struct addr *addr)
{
	struct network net = network_of(addr, addr_bits(addr));

	return addr->family == ADDR_NONE || network_set_contains(set, addr) ||
	    network_set_add(set, &net);
}

static bool
add_interfaces(struct network_set *set, const struct ifaddrs *list)
{
	struct addr addr;

	for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
		if (addr_from_sockaddr(i->ifa_addr, &addr) && !add(set, &addr))
			return false;
		if ((i->ifa_flags & IFF_BROADCAST) != 0 &&
		    addr_from_sockaddr(i->ifa_broadaddr, &addr) &&
		    !add(set, &addr))
			return false;
	}
	return true;
}

static int
route_error(struct err *err, int number)
{
	err_set(err, ERR_IO, "rtnetlink: %s", strerror(number));
	return -1;
}

/* The record after this one of len bytes (the macros that do it mix signs, and
 * leave a negative length in the end). */
static const void *
next(const void *record, size_t len, size_t *left)
{
	size_t step = (len + 3) / 4 * 4;

	if (step > *left)
		step = *left;
	*left -= step;
	return (const char *)record + step;
}

/* An attribute that names a gateway; the family is the route's. */
static bool
add_via(struct network_set *set, uint8_t family, const struct rtattr *a)
{
	const uint8_t *bytes = RTA_DATA(a);
	size_t len = RTA_PAYLOAD(a);
	struct addr addr = { .family = ADDR_NONE };

	if (a->rta_type == RTA_VIA && len > sizeof(struct rtvia)) {
		/* of another family: RFC 5549 */
		const struct rtvia *via = RTA_DATA(a);

		family = (uint8_t)via->rtvia_family;
		bytes = via->rtvia_addr;
		len -= sizeof(*via);
	} else if (a->rta_type != RTA_GATEWAY) {
		return true;
	}
	if (family == AF_INET && len == 4)
		addr.family = ADDR_IPV4;
	else if (family == AF_INET6 && len == 16)
		addr.family = ADDR_IPV6;
	else
		return true;
	assert(len <= sizeof(addr.bytes));
	memcpy(addr.bytes, bytes, len);
	return add(set, &addr);
}

static bool
add_nexthops(struct network_set *set, uint8_t family, const struct rtattr *a)
{
	const struct rtnexthop *hop = RTA_DATA(a);
	size_t left = RTA_PAYLOAD(a);

	for (; left >= sizeof(*hop) && hop->rtnh_len >= sizeof(*hop) &&
	     hop->rtnh_len <= left;
	     hop = next(hop, hop->rtnh_len, &left)) {
		const struct rtattr *of = (const void *)(hop + 1);
		size_t len = hop->rtnh_len - sizeof(*hop);

		for (; RTA_OK(of, len); of = next(of, of->rta_len, &len))
			if (!add_via(set, family, of))
				return false;
	}
	return true;
}

/* The gateways of a default route, in whatever table it is. */
static bool
add_route(struct network_set *set, const struct nlmsghdr *msg)
{
	const struct rtmsg *route = NLMSG_DATA(msg);
	size_t len;

	if (msg->nlmsg_type != RTM_NEWROUTE ||
	    msg->nlmsg_len < NLMSG_LENGTH(sizeof(*route)) ||
	    route->rtm_dst_len != 0)
		return true;
	len = RTM_PAYLOAD(msg);
	for (const struct rtattr *a = RTM_RTA(route); RTA_OK(a, len);
	     a = next(a, a->rta_len, &len))
		if (a->rta_type == RTA_MULTIPATH
			? !add_nexthops(set, route->rtm_family, a)
			: !add_via(set, route->rtm_family, a))
			return false;
	return true;
}

/* One answer: 1 more follow, 0 that was the last, -1 with err. */
static int
add_routes(
    struct network_set *set, const void *buf, size_t len, struct err *err)
{
	for (const struct nlmsghdr *msg = buf; NLMSG_OK(msg, len);
	     msg = next(msg, msg->nlmsg_len, &len)) {
		const struct nlmsgerr *e = NLMSG_DATA(msg);

		if (msg->nlmsg_type == NLMSG_DONE)
			return 0;
		if (msg->nlmsg_type == NLMSG_ERROR)
			return route_error(err, -e->error);
		if (!add_route(set, msg)) {
			err_set(err, ERR_NOMEM, "out of memory");
			return -1;
		}
	}
	return 1;
}

/* rtnetlink(7): every route of every table. A dump during which routes change
 * may lack those; the next one has them. */
static int
add_gateways(struct network_set *set, struct err *err)
{
	enum { ANSWER_MAX = 32768 }; /* the kernel's */
	const struct {
		struct nlmsghdr head;
		struct rtmsg route;
	} ask = { .head = { .nlmsg_len = sizeof(ask),
		      .nlmsg_type = RTM_GETROUTE,
		      .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.route = { .rtm_family = AF_UNSPEC } };
	const struct timeval patience = { .tv_sec = 2 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	void *buf = malloc(ANSWER_MAX);
	int more = 1;

	if (buf == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		more = -1;
	} else if (fd == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
		sizeof(patience)) == -1 ||
	    send(fd, &ask, sizeof(ask), 0) == -1) {
		more = route_error(err, errno);
	}
	while (more == 1) {
		ssize_t n = recv(fd, buf, ANSWER_MAX, 0);

		if (n > 0)
			more = add_routes(set, buf, (size_t)n, err);
		else if (n == 0 || errno != EINTR)
			more = route_error(err, n == 0 ? EPROTO : errno);
	}
	if (fd != -1)
		(void)close(fd);
	free(buf);
	return more;
}

int
own_addresses(struct network_set *set, struct err *err)
{
	struct network_set fresh = { 0 };
	struct ifaddrs *list;

	if (getifaddrs(&list) == -1) {
		err_set(err, ERR_IO, "getifaddrs: %s", strerror(errno));
		return -1;
	}
	int ret = add_interfaces(&fresh, list) ? 0 : -1;

	freeifaddrs(list);
	if (ret == -1)
		err_set(err, ERR_NOMEM, "out of memory");
	if (ret == -1 || add_gateways(&fresh, err) == -1) {
		network_set_release(&fresh);
		return -1;
	}
	network_set_release(set);
	*set = fresh;
	return 0;
}
