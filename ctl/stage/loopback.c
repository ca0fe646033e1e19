/* SPDX-License-Identifier: ISC */
#include "ctl/stage/loopback.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/err.h"

enum { LO = 1, ATTRIBUTES_MAX = 64 };

/* A request with one kind of body, and room for attributes. */
struct request {
	struct nlmsghdr head;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg address;
		struct rtmsg route;
	} body;
	char attributes[ATTRIBUTES_MAX];
};

static void
begin(struct request *r, unsigned short type, unsigned short flags, size_t body)
{
	memset(r, 0, sizeof(*r));
	r->head.nlmsg_type = type;
	r->head.nlmsg_flags =
	    (unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags);
	r->head.nlmsg_len = (uint32_t)NLMSG_LENGTH(body);
}

static void
attribute(struct request *r, unsigned short type, const void *data, size_t len)
{
	struct rtattr *a = (void *)((char *)r + NLMSG_ALIGN(r->head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	r->head.nlmsg_len =
	    (uint32_t)(NLMSG_ALIGN(r->head.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

/* 0 or an errno value. */
static int
ask(const struct request *r)
{
	union {
		struct nlmsghdr head;
		char bytes[1024];
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int error = 0;

	if (fd == -1 || send(fd, r, r->head.nlmsg_len, 0) == -1)
		error = errno;
	else if (recv(fd, &answer, sizeof(answer), 0) <
	    (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)))
		error = EPROTO;
	else
		error =
		    -((const struct nlmsgerr *)NLMSG_DATA(&answer.head))->error;
	if (fd != -1)
		(void)close(fd);
	return error;
}

static unsigned char
family_of(const struct addr *addr)
{
	return addr->family == ADDR_IPV6 ? AF_INET6 : AF_INET;
}

static size_t
bytes_of(const struct addr *addr)
{
	return addr->family == ADDR_IPV6 ? 16 : 4;
}

static int
add_address(const struct network *own, struct err *err)
{
	struct request r;
	char text[ADDR_TEXT_MAX];
	int error;

	begin(
	    &r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(r.body.address));
	r.body.address = (struct ifaddrmsg){ .ifa_family =
						 family_of(&own->base),
		.ifa_prefixlen = own->bits,
		.ifa_flags = own->base.family == ADDR_IPV6 ? IFA_F_NODAD : 0,
		.ifa_index = LO };
	attribute(&r, IFA_LOCAL, own->base.bytes, bytes_of(&own->base));
	attribute(&r, IFA_ADDRESS, own->base.bytes, bytes_of(&own->base));
	error = ask(&r);
	if (error == 0 || error == EEXIST)
		return 0;
	err_set(err, ERR_IO, "give loopback the address %s: %s",
	    addr_format(&own->base, text), strerror(error));
	return -1;
}

int
loopback_up(const struct network_set *own, struct err *err)
{
	struct request r;
	int error;

	begin(&r, RTM_NEWLINK, 0, sizeof(r.body.link));
	r.body.link = (struct ifinfomsg){ .ifi_family = AF_UNSPEC,
		.ifi_index = LO,
		.ifi_flags = IFF_UP,
		.ifi_change = IFF_UP };
	error = ask(&r);
	if (error != 0) {
		err_set(err, ERR_IO, "bring loopback up: %s", strerror(error));
		return -1;
	}
	for (size_t i = 0; i < own->n; i++)
		/* a machine without IPv6 inside is no reason to give up */
		if (add_address(&own->v[i], err) == -1 &&
		    own->v[i].base.family == ADDR_IPV4)
			return -1;
	return 0;
}

void
loopback_address(enum addr_family family, struct addr *addr)
{
	const char *text = family == ADDR_IPV6 ? "::1" : "127.0.0.1";

	(void)addr_parse_n(text, strlen(text), addr);
}

int
loopback_stranger(const struct addr *addr, struct err *err)
{
	const unsigned lo = LO;
	struct request r;
	char text[ADDR_TEXT_MAX];
	int error;

	begin(
	    &r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(r.body.route));
	r.body.route = (struct rtmsg){ .rtm_family = family_of(addr),
		.rtm_dst_len = addr_bits(addr),
		.rtm_table = RT_TABLE_LOCAL,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = RT_SCOPE_HOST,
		.rtm_type = RTN_LOCAL };
	attribute(&r, RTA_DST, addr->bytes, bytes_of(addr));
	attribute(&r, RTA_OIF, &lo, sizeof(lo));
	error = ask(&r);
	if (error == 0 || error == EEXIST)
		return 0;
	err_set(err, ERR_IO, "make %s reachable: %s", addr_format(addr, text),
	    strerror(error));
	return -1;
}

/* How many bits of a netmask are set. */
static uint8_t
mask_bits(const struct sockaddr *mask)
{
	struct addr addr;
	const struct sockaddr_in6 *six = (const void *)mask;
	const struct sockaddr_in *four = (const void *)mask;
	unsigned n = 0;

	memset(&addr, 0, sizeof(addr));
	if (mask->sa_family == AF_INET6)
		memcpy(addr.bytes, &six->sin6_addr, 16);
	else
		memcpy(addr.bytes, &four->sin_addr, 4);
	for (size_t i = 0; i < sizeof(addr.bytes); i++)
		n += (unsigned)__builtin_popcount(addr.bytes[i]);
	return (uint8_t)n;
}

/* Loopback's own, or link-local. */
static bool
stays_here(const struct addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	if (a->family == ADDR_IPV4)
		return a->bytes[0] == 127;
	return memcmp(a->bytes, one, sizeof(one)) == 0 ||
	    (a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80);
}

int
loopback_machine(struct network_set *set, struct err *err)
{
	struct ifaddrs *all;
	int rc = 0;

	network_set_release(set);
	if (getifaddrs(&all) == -1) {
		err_set(err, ERR_IO, "the machine's addresses: %s",
		    strerror(errno));
		return -1;
	}
	for (const struct ifaddrs *i = all; i != NULL && rc == 0;
	     i = i->ifa_next) {
		struct network own;

		if (!addr_from_sockaddr(i->ifa_addr, &own.base) ||
		    stays_here(&own.base))
			continue;
		own.bits = i->ifa_netmask == NULL ? addr_bits(&own.base)
						  : mask_bits(i->ifa_netmask);
		if (!network_set_add(set, &own)) {
			err_nomem(err, "the machine's addresses",
			    sizeof(struct network));
			rc = -1;
		}
	}
	freeifaddrs(all);
	return rc;
}
