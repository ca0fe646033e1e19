/* SPDX-License-Identifier: ISC */
#include "common/share/entry.h"

#include <assert.h>
#include <string.h>

#include "common/base/hex.h"

enum { VERSION = 1, ORIGIN_BYTES = 16, FIXED = 4 + ORIGIN_BYTES + 3 * 8 };

/* The last second that every date routine can print: STORE_FOREVER. */
#define LATEST INT64_C(253402300799)

static_assert(FIXED + 5 * 2 + NETWORK_TEXT_MAX + USERLIST_MAX +
	    2 * LOGIN_WORD_MAX + SHARE_NOTE_MAX + 8 <=
	SHARE_BODY_MAX,
    "the longest entry fits");

/* The fields that a kind has. */
struct shape {
	enum share_kind kind;
	bool number, until, subject, user, words, note;
};

static const struct shape shapes[] = {
	{ .kind = SHARE_LOGIN,
	    .number = true,
	    .subject = true,
	    .user = true,
	    .words = true },
	{ .kind = SHARE_ADD,
	    .until = true,
	    .subject = true,
	    .user = true,
	    .note = true },
	{ .kind = SHARE_DELETE, .subject = true },
	{ .kind = SHARE_DENY_CLIENT,
	    .until = true,
	    .subject = true,
	    .note = true },
	{ .kind = SHARE_DENY_USER, .until = true, .user = true, .note = true },
	{ .kind = SHARE_HELLO, .number = true, .note = true },
	{ .kind = SHARE_RELAYED,
	    .number = true,
	    .until = true,
	    .subject = true,
	    .user = true,
	    .words = true,
	    .note = true },
	{ .kind = SHARE_BREACH_CLIENT,
	    .until = true,
	    .subject = true,
	    .note = true },
	{ .kind = SHARE_BREACH_USER,
	    .until = true,
	    .user = true,
	    .note = true },
	{ .kind = SHARE_BREACH_LOGIN,
	    .until = true,
	    .user = true,
	    .note = true },
};

static const char *const refusal_names[SHARE_REFUSALS] = {
	[SHARE_GOOD] = "good",
	[SHARE_MALFORMED] = "malformed",
	[SHARE_VERSION] = "version",
	[SHARE_FORGED] = "forged",
	[SHARE_FUTURE] = "future",
	[SHARE_COPY] = "copy",
	[SHARE_MISSING] = "missing",
};

const char *
share_refusal_name(enum share_refusal refusal)
{
	assert(refusal < SHARE_REFUSALS);
	return refusal_names[refusal];
}

static const struct shape *
shape_of(int kind)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if ((int)shapes[i].kind == kind)
			return &shapes[i];
	return NULL;
}

static bool
origin_good(const char *origin)
{
	size_t n = 0;

	while (n < SHARE_ORIGIN_MAX && hex_digit(origin[n]) != -1 &&
	    !(origin[n] >= 'A' && origin[n] <= 'F'))
		n++;
	return n == SHARE_ORIGIN_MAX - 1 && origin[n] == '\0';
}

/* The text as the tables have it, and no wider than an admin may add. */
static bool
subject_good(const struct share_entry *e)
{
	char text[NETWORK_TEXT_MAX];
	struct network net;

	if (*e->subject == '\0')
		return e->kind == SHARE_DELETE || e->kind == SHARE_RELAYED;
	if (!network_parse(e->subject, &net) ||
	    strcmp(network_format(&net, text), e->subject) != 0)
		return false;
	if (e->kind == SHARE_DELETE || e->kind == SHARE_DENY_CLIENT)
		return true;
	if (e->kind == SHARE_RELAYED)
		return net.bits == addr_bits(&net.base);
	if (e->kind == SHARE_LOGIN || e->kind == SHARE_BREACH_CLIENT)
		return net.bits >= 32;
	return net.bits >= (net.base.family == ADDR_IPV4 ? SHARE_IPV4_BITS_MIN
							 : SHARE_IPV6_BITS_MIN);
}

/* The name of a machine stands in tables and logs. */
static bool
name_good(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	return len > 0 && len < SHARE_NAME_MAX;
}

/* The parties that are charged, and for how much. */
static bool
relayed_good(const struct share_entry *e)
{
	bool by_client = strcmp(e->service, "client") == 0;

	if (e->number == 0 || e->until < 1 || e->until > SHARE_RELAYED_MAX ||
	    e->messages < 0 || e->messages > e->until || *e->server != '\0')
		return false;
	if (strcmp(e->service, "login") == 0)
		return *e->subject != '\0';
	return by_client ? *e->subject != '\0' && *e->user == '\0'
			 : strcmp(e->service, "auth") == 0 && *e->user != '\0';
}

bool
share_entry_good(const struct share_entry *e)
{
	const struct shape *s = shape_of((int)e->kind);

	if (s == NULL || !origin_good(e->origin) || e->at < 1 ||
	    e->at > LATEST || e->number < 0 || e->until < 0 ||
	    e->until > LATEST)
		return false;
	if ((!s->number && e->number != 0) || (!s->until && e->until != 0) ||
	    (!s->user && *e->user != '\0') || (!s->note && *e->note != '\0') ||
	    (!s->words && (*e->service != '\0' || *e->server != '\0')))
		return false;
	if (e->kind == SHARE_RELAYED)
		return relayed_good(e) && subject_good(e);
	if (e->messages != 0 || strlen(e->user) >= LOGIN_USER_MAX)
		return false;
	if ((e->kind == SHARE_LOGIN && e->number == 0) ||
	    ((e->kind == SHARE_DENY_USER || e->kind == SHARE_BREACH_USER ||
		 e->kind == SHARE_BREACH_LOGIN) &&
		*e->user == '\0') ||
	    (e->kind == SHARE_HELLO && !name_good(e->note)))
		return false;
	return s->subject ? subject_good(e) : *e->subject == '\0';
}

/* --- writing --- */

static uint8_t *
put_number(uint8_t *p, int64_t n)
{
	for (int shift = 56; shift >= 0; shift -= 8)
		*p++ = (uint8_t)((uint64_t)n >> shift);
	return p;
}

static uint8_t *
put_text(uint8_t *p, const char *text)
{
	size_t len = strlen(text);

	assert(len < USERLIST_MAX);
	*p++ = (uint8_t)(len >> 8);
	*p++ = (uint8_t)len;
	memcpy(p, text, len);
	return p + len;
}

size_t
share_entry_encode(const struct share_entry *e, uint8_t body[SHARE_BODY_MAX])
{
	uint8_t *p = body;

	assert(share_entry_good(e));
	*p++ = 'P';
	*p++ = 'G';
	*p++ = VERSION;
	*p++ = (uint8_t)e->kind;
	for (size_t i = 0; i < ORIGIN_BYTES; i++) {
		int high = hex_digit(e->origin[2 * i]);
		int low = hex_digit(e->origin[2 * i + 1]);

		assert(high >= 0 && low >= 0);
		*p++ = (uint8_t)(high * 16 + low);
	}
	p = put_number(p, e->number);
	p = put_number(p, e->at);
	p = put_number(p, e->until);
	p = put_text(p, e->subject);
	p = put_text(p, e->user);
	p = put_text(p, e->service);
	p = put_text(p, e->server);
	p = put_text(p, e->note);
	if (e->kind == SHARE_RELAYED)
		p = put_number(p, e->messages);
	assert(p <= body + SHARE_BODY_MAX);
	return (size_t)(p - body);
}

/* --- reading --- */

static int64_t
get_number(const uint8_t *p)
{
	uint64_t n = 0;

	for (int i = 0; i < 8; i++)
		n = n << 8 | p[i];
	return n > INT64_MAX ? -1 : (int64_t)n;
}

struct input {
	const uint8_t *p, *end;
};

static bool
get_text(struct input *in, char *text, size_t size)
{
	if (in->end - in->p < 2)
		return false;
	size_t len = (size_t)in->p[0] << 8 | in->p[1];

	in->p += 2;
	if (len >= size || (size_t)(in->end - in->p) < len ||
	    memchr(in->p, '\0', len) != NULL)
		return false;
	memcpy(text, in->p, len);
	text[len] = '\0';
	in->p += len;
	return true;
}

static bool
get_messages(struct input *in, struct share_entry *e)
{
	if (e->kind != SHARE_RELAYED)
		return true;
	if (in->end - in->p < 8)
		return false;
	e->messages = get_number(in->p);
	in->p += 8;
	return true;
}

static void
get_origin(const uint8_t *p, char origin[SHARE_ORIGIN_MAX])
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < ORIGIN_BYTES; i++) {
		*origin++ = hex[p[i] >> 4];
		*origin++ = hex[p[i] & 15];
	}
	*origin = '\0';
}

enum share_refusal
share_entry_decode(const uint8_t *body, size_t len, struct share_entry *e)
{
	struct input in = { .p = body + FIXED, .end = body + len };

	*e = (struct share_entry){ .at = 0 };
	if (len < 4 || body[0] != 'P' || body[1] != 'G')
		return SHARE_MALFORMED;
	if (body[2] > VERSION)
		return SHARE_VERSION;
	if (body[2] != VERSION || len < FIXED || len > SHARE_BODY_MAX ||
	    shape_of(body[3]) == NULL)
		return SHARE_MALFORMED;
	e->kind = (enum share_kind)body[3];
	get_origin(body + 4, e->origin);
	e->number = get_number(body + 4 + ORIGIN_BYTES);
	e->at = get_number(body + 4 + ORIGIN_BYTES + 8);
	e->until = get_number(body + 4 + ORIGIN_BYTES + 16);
	if (!get_text(&in, e->subject, sizeof(e->subject)) ||
	    !get_text(&in, e->user, sizeof(e->user)) ||
	    !get_text(&in, e->service, sizeof(e->service)) ||
	    !get_text(&in, e->server, sizeof(e->server)) ||
	    !get_text(&in, e->note, sizeof(e->note)) || !get_messages(&in, e) ||
	    in.p != in.end)
		return SHARE_MALFORMED;
	return share_entry_good(e) ? SHARE_GOOD : SHARE_MALFORMED;
}
