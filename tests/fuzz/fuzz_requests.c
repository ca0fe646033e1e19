/* SPDX-License-Identifier: ISC */
/* Sequences of requests to the permit channel, of both protocols, on one
 * connection. Whatever came before, a client that shows no right of its own in
 * a request is not permitted, and no recipient is permitted for the first time
 * without a row on its way to the disk.
 *
 * A byte of the input chooses an attribute (upper bits) and a value. */
#include <stdbool.h>
#include <strings.h>

#include "common/base/addr.h"
#include "common/policy/rcpt.h"
#include "milter/permit_answer.h"
#include "tests/fuzz/fuzz_gate.h"

enum { END = 0xff, FREE_TEXT = 0x0f };

static const char *const names[] = { "client_address", "client_port",
	"client_name", "sender", "recipient", "sasl_method", "sasl_username",
	"queue_id", "instance", "protocol_state", "policy_context",
	"ccert_subject", "popgate_permitted", "popgate_mta", "helo_name",
	"request" };

static const char *const values[][15] = {
	{ FRIEND, STRANGER, "::ffff:" STRANGER, "::ffff:" FRIEND,
	    "[" STRANGER "]", "127.0.0.1", "::1", "", "192.0.2.10",
	    "192.0.2.1%25", "unknown", "0.0.0.0", "IPv6:::ffff:192.0.2.1",
	    "2001:db8::1", "192.0.2.01" },
	{ "25", "65535", "0", "4000", "x" },
	{ "unknown", "mail.lab.test" },
	{ "", "a@lab.test", "al@example.org", "root@" },
	{ "b@lab.test", "b@elsewhere.test", "b%elsewhere.test@lab.test",
	    "postmaster", "c@elsewhere.test", "@lab.test:b@elsewhere.test",
	    "\"b@elsewhere.test\"@lab.test", "", "b@[203.0.113.9]",
	    "elsewhere.test!b" },
	{ "", "PLAIN", "ANONYMOUS", "anonymous", "plain", "not a mechanism" },
	{ "", "al", "al@lab.test" },
	{ "", "4ABC", "4ABD" },
	{ "1.2.3.4", "1.2.3.5", "", "ffff.1.1.1" },
	{ "RCPT", "DATA", "MAIL", "CONNECT", "HELO", "END-OF-MESSAGE", "VRFY" },
	{ "", "asked-at-data", "asked-at-data/client", "recipient", "relay",
	    "asked-at-data/sender", "asked-later/helo",
	    "asked-at-data/relay/again", "client" },
	{ "", "CN=friend" },
	{ "", "0", "1", "99999999999999999999" },
	{ "", "Exim 4.96" },
	{ "", "h" },
	{ "smtpd_access_policy", "junk" },
};
enum { NAMES = sizeof(names) / sizeof(*names) };
static const char *const maps[] = { "popgate ", "sendmail ", "sendmail_client ",
	"other " };

struct input {
	const uint8_t *p, *end;
};

static uint8_t
take(struct input *in)
{
	return in->p < in->end ? *in->p++ : END;
}

/* The value that a byte chooses: one of the table, or bytes of the input. */
static size_t
value(struct input *in, unsigned name, unsigned which, char *buf, size_t room)
{
	size_t n = 0;

	if (which != FREE_TEXT) {
		const char *text = values[name][which];

		n = text == NULL ? 0 : strlen(text);
		n = n < room ? n : room;
		if (n > 0)
			memcpy(buf, text, n);
		return n;
	}
	for (uint8_t c; n < room && (c = take(in)) != END;)
		buf[n++] = (char)c;
	return n;
}

static size_t
policy_request(struct input *in, char *buf, size_t size)
{
	size_t n = 0;
	unsigned seen = 0;

	for (uint8_t b; (b = take(in)) != END && n + 200 < size;) {
		unsigned name = b >> 4;

		if (seen & 1U << name)
			continue;
		seen |= 1U << name;
		n += (size_t)snprintf(buf + n, size - n, "%s=", names[name]);
		n += value(in, name, b & 0xf, buf + n, 100);
		buf[n++] = '\n';
	}
	/* most inputs shall be whole requests */
	if (!(seen & 1U << (NAMES - 1)))
		n += (size_t)snprintf(
		    buf + n, size - n, "request=smtpd_access_policy\n");
	buf[n++] = '\n';
	return n;
}

static size_t
map_request(struct input *in, char *buf, size_t size)
{
	static const unsigned fields[] = { 0, 5, 6, 3, 4 };
	char text[1000];
	unsigned map = take(in) % 4;
	size_t n = (size_t)snprintf(text, sizeof(text), "%s", maps[map]);

	for (unsigned i = 0; i < (map == 1 ? 5 : 1); i++) {
		unsigned which = take(in) & 0xf;

		n += value(in, fields[i], which, text + n, 100);
		if (map == 1)
			n += (size_t)snprintf(
			    text + n, sizeof(text) - n, "\"\n\"");
	}
	size_t head = (size_t)snprintf(buf, size, "%zu:", n);

	memcpy(buf + head, text, n);
	buf[head + n] = ',';
	return head + n + 1;
}

/* The rights of a request, said a second time. */
static bool
has_right(const struct protocol_request *req)
{
	struct addr client, friend;

	if (*req->auth_user != '\0' && *req->auth_type != '\0' &&
	    strcasecmp(req->auth_type, "ANONYMOUS") != 0)
		return true;
	return addr_parse_n(FRIEND, strlen(FRIEND), &friend) &&
	    addr_parse_loose(req->client, &client) &&
	    addr_equal(&client, &friend);
}

static bool
permits(const struct permit_reply *reply)
{
	return memmem(reply->text, reply->len, "action=OK", 9) != NULL ||
	    memmem(reply->text, reply->len, "OK <permit>", 11) != NULL ||
	    memmem(reply->text, reply->len, "OK OK", 5) != NULL;
}

static bool
is_ours(const char *recipient)
{
	struct gate_config *gc = gate_config_take();
	bool ours = rcpt_ask(recipient, NULL, &gc->cfg->relay.local_mailers,
			&gc->lists.domains, true) == DOMAIN_OURS;

	gate_config_give(gc);
	return ours;
}

static void
wait_for_disk(struct permit_reply *reply)
{
	while (reply->ticket != 0 && !permit_answer_ready(reply))
		(void)usleep(100);
}

static void
answer(struct permit_peer *peer, const struct protocol_request *req)
{
	static struct permit_reply reply;
	bool relay = peer->kind == PROTOCOL_POLICY &&
	    strcmp(req->state, "RCPT") == 0 && req->list == LIST_UNKNOWN &&
	    *req->recipient != '\0' && !is_ours(req->recipient);

	reply.ticket = 0;
	if (!permit_can_answer(req))
		fuzz_die("request", "would have to wait");
	permit_answer(peer, req, &reply);
	if (reply.ticket == 0 && permits(&reply) && relay)
		fuzz_die(req->recipient, "relayed without a row");
	wait_for_disk(&reply);
	if (permits(&reply) && !has_right(req)) {
		(void)fwrite(reply.text, 1, reply.len, stderr);
		fuzz_die(req->client, "was permitted");
	}
}

static void
start(void)
{
	struct gate_config *gc = fuzz_config();
	struct err err;

	if (gate_start(gc, NULL, NULL, &err) == -1)
		fuzz_die("gate_start", err.text);
	permit_answer_start();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	static char buf[PROTOCOL_FRAME_MAX];
	struct input in = { data, data + size };
	struct protocol_request req;
	struct permit_peer peer;
	size_t used;
	const char *why;

	if (!started)
		start();
	started = true;
	if (size < 1 || size > 600)
		return 0;
	enum protocol_kind kind =
	    take(&in) % 4 == 0 ? PROTOCOL_SOCKETMAP : PROTOCOL_POLICY;

	permit_peer_begin(&peer, kind, true);
	while (in.p < in.end) {
		size_t len = kind == PROTOCOL_POLICY
		    ? policy_request(&in, buf, sizeof(buf))
		    : map_request(&in, buf, sizeof(buf));

		if (protocol_parse(kind, buf, len, &req, &used, &why) !=
		    PROTOCOL_REQUEST)
			break;
		answer(&peer, &req);
	}
	permit_peer_end(&peer);
	return 0;
}
