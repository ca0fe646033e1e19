/* SPDX-License-Identifier: ISC */
#include "ctl/stage/names.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RFC 1035 section 3.2.2, RFC 3596 */
enum { TYPE_A = 1, TYPE_PTR = 12, TYPE_MX = 15, TYPE_AAAA = 28 };
enum { HEAD = 12, NXDOMAIN = 3, TTL_S = 60 };

/* Clients' names: a letter for each half byte of the address. Not digits: mail
 * servers refuse names that look as those of dialled-in clients do. */
#define CLIENTS ".client.test"
/* The mail exchanger of every domain. */
#define EXCHANGER "mx.exchanger.test"
/* The machine itself, as an exchanger. */
#define HERE "here.exchanger.test"
/* TEST-NET-2 of RFC 5737: nobody is there. */
#define NOBODY "198.51.100.25"

static void
lower(char *to, const char *name, size_t size)
{
	size_t n = 0;

	while (name[n] != '\0' && n + 1 < size) {
		to[n] = (char)tolower((unsigned char)name[n]);
		n++;
	}
	if (n > 0 && to[n - 1] == '.')
		n--;
	to[n] = '\0';
}

void
names_add(struct names *names, const char *name, const struct addr *addr)
{
	unsigned n = atomic_load(&names->n);
	char small[NAME_LEN];

	lower(small, name, sizeof(small));
	for (unsigned i = 0; i < n && i < NAMES_MAX; i++)
		if (strcmp(names->v[i].name, small) == 0)
			return;
	names->v[n % NAMES_MAX].addr = *addr;
	names->v[n % NAMES_MAX].client = false;
	names->v[n % NAMES_MAX].claimed = false;
	if (addr->family == ADDR_NONE)
		(void)addr_parse_n(
		    NOBODY, strlen(NOBODY), &names->v[n % NAMES_MAX].addr);
	memcpy(names->v[n % NAMES_MAX].name, small, sizeof(small));
	atomic_store(&names->n, n + 1);
}

static void
add_client(struct names *names, const char *name, const struct addr *addr,
    bool claimed)
{
	unsigned n = atomic_load(&names->n);

	names->v[n % NAMES_MAX].addr = *addr;
	names->v[n % NAMES_MAX].client = true;
	names->v[n % NAMES_MAX].claimed = claimed;
	lower(names->v[n % NAMES_MAX].name, name, NAME_LEN);
	atomic_store(&names->n, n + 1);
}

void
names_client(struct names *names, const char *name, const struct addr *addr)
{
	add_client(names, name, addr, false);
}

void
names_claim(struct names *names, const char *name, const struct addr *addr)
{
	add_client(names, name, addr, true);
}

/* The name that addr was given last. */
static bool
given_name(const struct names *names, const struct addr *addr, char *buf)
{
	unsigned n = atomic_load(&names->n);

	for (unsigned i = 0; i < n && i < NAMES_MAX; i++) {
		unsigned at = (n - 1 - i) % NAMES_MAX;

		if (names->v[at].client &&
		    addr_equal(&names->v[at].addr, addr)) {
			memcpy(buf, names->v[at].name, NAME_LEN);
			return true;
		}
	}
	return false;
}

static bool
ends_in(const char *name, const char *end)
{
	size_t n = strlen(name), len = strlen(end);

	return n > len && strcmp(name + n - len, end) == 0;
}

/* A name of a client into its address. */
static bool
client_address(const char *name, struct addr *addr)
{
	size_t len = strlen(name) - strlen(CLIENTS);

	if (len != 8 && len != 32)
		return false;
	*addr = (struct addr){ .family = len == 8 ? ADDR_IPV4 : ADDR_IPV6 };
	for (size_t i = 0; i < len; i++) {
		unsigned value = (unsigned)(name[i] - 'a');

		if (name[i] < 'a' || name[i] > 'p')
			return false;
		addr->bytes[i / 2] =
		    (uint8_t)((unsigned)addr->bytes[i / 2] << 4 | value);
	}
	return true;
}

static void
client_name(const struct addr *addr, char buf[NAME_LEN])
{
	size_t n = addr->family == ADDR_IPV4 ? 8 : 32;
	struct addr nameless;

	*buf = '\0';
	if (addr_parse_n(NAMES_NAMELESS, strlen(NAMES_NAMELESS), &nameless) &&
	    addr_equal(addr, &nameless))
		return;
	for (size_t i = 0; i < n; i++)
		buf[i] = (char)('a' +
		    (i % 2 == 0 ? addr->bytes[i / 2] >> 4
				: addr->bytes[i / 2] & 15));
	(void)snprintf(buf + n, NAME_LEN - n, CLIENTS);
}

/* "5.113.0.203.in-addr.arpa", or 32 digits and "ip6.arpa", into the name. */
static bool
reverse_name(const struct names *names, const char *name, char buf[NAME_LEN])
{
	struct addr addr = { .family = ADDR_IPV4 };
	unsigned b[4];
	int used = 0;

	if (sscanf(name, "%3u.%3u.%3u.%3u.in-addr.arpa%n", &b[3], &b[2], &b[1],
		&b[0], &used) == 4 &&
	    used > 0 && name[used] == '\0' && b[0] < 256 && b[1] < 256 &&
	    b[2] < 256 && b[3] < 256) {
		for (size_t i = 0; i < 4; i++)
			addr.bytes[i] = (uint8_t)b[i];
		if (!given_name(names, &addr, buf))
			client_name(&addr, buf);
		return true;
	}
	if (!ends_in(name, ".ip6.arpa") ||
	    strlen(name) != 64 + strlen("ip6.arpa"))
		return false;
	addr.family = ADDR_IPV6;
	for (size_t i = 0; i < 32; i++) {
		char digit[2] = { name[62 - 2 * i], '\0' };
		unsigned value = (unsigned)strtoul(digit, NULL, 16) & 15;

		addr.bytes[i / 2] =
		    (uint8_t)((unsigned)addr.bytes[i / 2] << 4 | value);
	}
	if (!given_name(names, &addr, buf))
		client_name(&addr, buf);
	return true;
}

/* Two or three labels, the last of letters: no address, and nothing below a
 * block list's name. */
static bool
is_domain(const char *name)
{
	unsigned dots = 0;

	for (const char *c = name; *c != '\0'; c++)
		dots += *c == '.';
	return (dots == 1 || dots == 2) &&
	    isalpha((unsigned char)strrchr(name, '.')[1]) &&
	    !ends_in(name, ".arpa") && *name != '_';
}

static bool
find(const struct names *names, const char *name, struct addr *addr)
{
	unsigned n = atomic_load(&names->n);

	if (ends_in(name, CLIENTS))
		return client_address(name, addr);
	if (strcmp(name, HERE) == 0) {
		*addr = names->here;
		return addr->family != ADDR_NONE;
	}
	if (strcmp(name, EXCHANGER) == 0)
		return addr_parse_n(NOBODY, strlen(NOBODY), addr);
	for (unsigned i = 0; i < n && i < NAMES_MAX; i++) {
		unsigned at = (n - 1 - i) % NAMES_MAX;

		if (!names->v[at].claimed &&
		    strcmp(names->v[at].name, name) == 0) {
			*addr = names->v[at].addr;
			return true;
		}
	}
	return is_domain(name) && addr_parse_n(NOBODY, strlen(NOBODY), addr);
}

/* The question's name as text, and where it ends; 0: it is none. */
static size_t
read_name(const unsigned char *query, size_t len, char *name, size_t size)
{
	size_t at = HEAD, n = 0;

	while (at < len && query[at] != 0) {
		size_t label = query[at];

		if (label > 63 || at + 1 + label >= len || n + label + 2 > size)
			return 0;
		if (n > 0)
			name[n++] = '.';
		for (size_t i = 0; i < label; i++)
			name[n++] = (char)tolower(query[at + 1 + i]);
		at += label + 1;
	}
	name[n] = '\0';
	/* the NUL, type and class */
	return n > 0 && at + 5 <= len && memchr(name, '\0', n) == NULL ? at + 5
								       : 0;
}

static size_t
put_name(unsigned char *out, const char *name)
{
	size_t n = 0;

	while (*name != '\0') {
		size_t label = strcspn(name, ".");

		out[n++] = (unsigned char)label;
		memcpy(out + n, name, label);
		n += label;
		name += label + (name[label] == '.');
	}
	out[n++] = 0;
	return n;
}

static size_t
put16(unsigned char *out, unsigned value)
{
	out[0] = (unsigned char)(value >> 8);
	out[1] = (unsigned char)value;
	return 2;
}

/* One resource record for the question's name, with its data. */
static size_t
put_record(
    unsigned char *out, unsigned type, const unsigned char *data, size_t len)
{
	size_t n = put16(out, 0xc000 | HEAD);

	n += put16(out + n, type);
	n += put16(out + n, 1);
	n += put16(out + n, 0);
	n += put16(out + n, TTL_S);
	n += put16(out + n, (unsigned)len);
	memcpy(out + n, data, len);
	return n + len;
}

static size_t
put_mx(unsigned char *out, unsigned preference, const char *exchanger)
{
	unsigned char data[NAME_LEN + 8] = { 0 };

	(void)put16(data, preference);
	return put_record(
	    out, TYPE_MX, data, 2 + put_name(data + 2, exchanger));
}

/* The records that answer, into out; 0: there is none. *n_r: how many.
 * *exists_r: the name has other records, at least. */
static size_t
records(const struct names *names, const char *name, unsigned type,
    unsigned char *out, unsigned *n_r, bool *exists_r)
{
	unsigned char data[NAME_LEN + 8] = { 0 };
	char text[NAME_LEN];
	struct addr addr;

	*exists_r = true;
	*n_r = 1;
	if (reverse_name(names, name, text))
		return type == TYPE_PTR && *text != '\0'
		    ? put_record(out, type, data, put_name(data, text))
		    : 0;
	*exists_r = find(names, name, &addr);
	if (!*exists_r)
		return 0;
	if (type == TYPE_MX && !ends_in(name, CLIENTS) &&
	    strcmp(name, EXCHANGER) != 0 && strcmp(name, HERE) != 0) {
		size_t len = put_mx(out, 10, EXCHANGER);

		if (strstr(name, NAMES_MX_HERE) == NULL)
			return len;
		*n_r = 2;
		return len + put_mx(out + len, 20, HERE);
	}
	if (type == TYPE_A && addr.family == ADDR_IPV4)
		return put_record(out, type, addr.bytes, 4);
	if (type == TYPE_AAAA && addr.family == ADDR_IPV6)
		return put_record(out, type, addr.bytes, 16);
	return 0;
}

size_t
names_answer(const struct names *names, const unsigned char *query, size_t len,
    unsigned char *out)
{
	unsigned char rr[NAME_LEN + 32];
	char name[NAME_LEN];
	size_t end, rr_len;
	unsigned n;
	bool exists;

	/* a plain question of one name */
	if (len < HEAD || (query[2] & 0xf8) != 0 || query[4] != 0 ||
	    query[5] != 1)
		return 0;
	end = read_name(query, len, name, sizeof(name));
	if (end == 0 || end + sizeof(rr) > NAMES_PACKET_MAX)
		return 0;
	rr_len = records(names, name,
	    (unsigned)query[end - 4] << 8 | query[end - 3], rr, &n, &exists);
	memcpy(out, query, end);
	/* a response, authoritative; recursion is as good as there */
	out[2] = (unsigned char)(0x84 | (query[2] & 1));
	out[3] = (unsigned char)(0x80 | (exists ? 0 : NXDOMAIN));
	memset(out + 6, 0, 6);
	out[7] = (unsigned char)(rr_len > 0 ? n : 0);
	memcpy(out + end, rr, rr_len);
	return end + rr_len;
}
