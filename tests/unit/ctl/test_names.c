/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "ctl/stage/names.h"

enum { A = 1, PTR = 12, MX = 15, AAAA = 28 };

static struct names names;

/* A query for a name; returns its length. */
static size_t
query(unsigned char *out, const char *name, unsigned type)
{
	static const unsigned char head[12] = { 0x12, 0x34, 0x01, 0, 0, 1 };
	size_t n = sizeof(head);

	memcpy(out, head, n);
	while (*name != '\0') {
		size_t label = strcspn(name, ".");

		out[n++] = (unsigned char)label;
		memcpy(out + n, name, label);
		n += label;
		name += label + (name[label] == '.');
	}
	memcpy(out + n,
	    (const unsigned char[]){ 0, 0, (unsigned char)type, 0, 1 }, 5);
	return n + 5;
}

/* The answer's code and how many records it has. */
static int
ask(const char *name, unsigned type, unsigned char *out, size_t *len_r)
{
	unsigned char in[NAMES_PACKET_MAX];
	size_t len = query(in, name, type);

	*len_r = names_answer(&names, in, len, out);
	assert_true(*len_r >= len);
	assert_int_equal(out[0], 0x12);
	assert_true((out[2] & 0x80) != 0);
	return out[3] & 15;
}

static const struct row {
	const char *name;
	const char *asked;
	unsigned type;
	int want_code, want_records;
	const char *want_end; /* the last bytes of the answer */
	size_t want_len;
} rows[] = {
	{ "a domain that is spoken of", "example.org", A, 0, 1,
	    "\xc6\x33\x64\x19", 4 },
	{ "in any case", "EXAMPLE.org", A, 0, 1, "\xc6\x33\x64\x19", 4 },
	{ "it takes mail", "example.org", MX, 0, 1, "\4test", 6 },
	{ "a stranger's that names us second", "popgate-mx-here.com", MX, 0, 2,
	    "\0\24\4here\11exchanger\4test", 23 },
	{ "which we are", "here.exchanger.test", A, 0, 1, "\xc0\0\2\x19", 4 },
	{ "it has no IPv6 address", "example.org", AAAA, 0, 0, "", 0 },
	{ "the exchanger is there", "mx.exchanger.test", A, 0, 1,
	    "\xc6\x33\x64\x19", 4 },
	{ "one with an address of its own", "rspamd", A, 0, 1, "\x7f\0\0\1",
	    4 },
	{ "every other domain", "example.com", A, 0, 1, "\xc6\x33\x64\x19", 4 },
	{ "every host", "www.example.org", MX, 0, 1, "\4test", 6 },
	{ "nothing deeper", "a.www.example.org", A, 3, 0, "", 0 },
	{ "no name alone", "example", A, 3, 0, "", 0 },
	{ "no service", "_imap.example.org", A, 3, 0, "", 0 },
	{ "no block list has a client", "5.113.0.203.zen.example.net", A, 3, 0,
	    "", 0 },
	{ "no block list has a domain", "example.org.dbl.example.net", A, 3, 0,
	    "", 0 },
	{ "a client has a name", "5.113.0.203.in-addr.arpa", PTR, 0, 1,
	    "\10mlaahbaf\6client\4test", 22 },
	{ "which has its address", "mlaahbaf.client.test", A, 0, 1,
	    "\xcb\0\x71\5", 4 },
	{ "and no other", "mlaahbaf.client.test", AAAA, 0, 0, "", 0 },
	{ "a number that is too large", "256.113.0.203.in-addr.arpa", PTR, 3, 0,
	    "", 0 },
	{ "a name of no client", "www.client.test", A, 3, 0, "", 0 },
	{ "half an address", "mlaahba.client.test", A, 3, 0, "", 0 },
};

static void
answers(void **state)
{
	const struct addr nobody = { 0 };
	struct addr loopback;

	(void)state;
	assert_true(addr_parse_n("127.0.0.1", 9, &loopback));
	names_add(&names, "Example.ORG.", &nobody);
	names_add(&names, "rspamd", &loopback);
	assert_true(addr_parse_n("192.0.2.25", 10, &names.here));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		unsigned char out[NAMES_PACKET_MAX];
		size_t len;

		ROW("%s", row->name);
		assert_int_equal(
		    ask(row->asked, row->type, out, &len), row->want_code);
		assert_int_equal(out[7], row->want_records);
		if (row->want_len > 0)
			assert_memory_equal(out + len - row->want_len,
			    row->want_end, row->want_len);
	}
}

static void
ipv6(void **state)
{
	const char *client = "2001:db8::5";
	char name[80] = "", *p = name;
	unsigned char out[NAMES_PACKET_MAX];
	struct addr addr;
	size_t len;

	(void)state;
	assert_true(addr_parse_n(client, strlen(client), &addr));
	for (int i = 15; i >= 0; i--)
		p += snprintf(p, (size_t)(name + sizeof(name) - p), "%x.%x.",
		    addr.bytes[i] & 15, addr.bytes[i] >> 4);
	(void)snprintf(p, (size_t)(name + sizeof(name) - p), "ip6.arpa");
	assert_int_equal(ask(name, PTR, out, &len), 0);
	assert_int_equal(out[7], 1);
	assert_int_equal(ask("caabanli"
			     "aaaaaaaa"
			     "aaaaaaaa"
			     "aaaaaaaf"
			     ".client.test",
			     AAAA, out, &len),
	    0);
	assert_int_equal(out[7], 1);
	assert_memory_equal(out + len - 16, addr.bytes, 16);
}

/* A client may be called what it likes; its last name counts, both ways. */
static void
given(void **state)
{
	static const char *const words[] = { "a.isp.test", "b.isp.test" };
	unsigned char out[NAMES_PACKET_MAX];
	struct addr addr;
	size_t len;

	(void)state;
	assert_true(addr_parse_n("203.0.113.77", 12, &addr));
	for (size_t i = 0; i < 2; i++) {
		names_client(&names, words[i], &addr);
		assert_int_equal(
		    ask("77.113.0.203.in-addr.arpa", PTR, out, &len), 0);
		assert_memory_equal(out + len - 12,
		    i == 0 ? "\1a\3isp\4test" : "\1b\3isp\4test", 12);
		assert_int_equal(ask(words[i], A, out, &len), 0);
		assert_memory_equal(out + len - 4, addr.bytes, 4);
	}
}

/* Its PTR says a name that has another address. */
static void
claimed(void **state)
{
	unsigned char out[NAMES_PACKET_MAX];
	struct addr addr;
	size_t len;

	(void)state;
	assert_true(addr_parse_n("203.0.113.79", 12, &addr));
	names_claim(&names, "c.isp.test", &addr);
	assert_int_equal(ask("79.113.0.203.in-addr.arpa", PTR, out, &len), 0);
	assert_memory_equal(out + len - 12, "\1c\3isp\4test", 12);
	assert_int_equal(ask("c.isp.test", A, out, &len), 0);
	assert_memory_equal(out + len - 4, "\xc6\x33\x64\x19", 4);
}

/* Or it has none. */
static void
unnamed(void **state)
{
	unsigned char out[NAMES_PACKET_MAX];
	struct addr addr;
	size_t len;

	(void)state;
	assert_true(addr_parse_n("203.0.113.78", 12, &addr));
	names_client(&names, "", &addr);
	assert_int_equal(ask("78.113.0.203.in-addr.arpa", PTR, out, &len), 0);
	assert_int_equal(out[7], 0);
}

/* A packet that is no question gets no answer, and nothing is read beyond
 * it. */
static void
garbage(void **state)
{
	unsigned char good[NAMES_PACKET_MAX], out[NAMES_PACKET_MAX];
	size_t len = query(good, "example.org", A);

	(void)state;
	for (size_t n = 0; n < len; n++) {
		unsigned char *cut = malloc(n + 1);

		assert_non_null(cut);
		memcpy(cut, good, n);
		assert_int_equal(names_answer(&names, cut, n, out), 0);
		free(cut);
	}
	good[12] = 200; /* a label's length */
	assert_int_equal(names_answer(&names, good, len, out), 0);
	good[2] = 0x80; /* an answer */
	assert_int_equal(names_answer(&names, good, len, out), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(ipv6),
		cmocka_unit_test(given),
		cmocka_unit_test(claimed),
		cmocka_unit_test(unnamed),
		cmocka_unit_test(garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
