/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <sys/stat.h>

#include "common/base/err.h"
#include "common/share/entry.h"
#include "common/share/seal.h"

#define ORIGIN "00112233445566778899aabbccddeeff"

static const struct share_entry good[] = {
	{ .kind = SHARE_LOGIN,
	    .origin = ORIGIN,
	    .number = 7,
	    .at = 1700000000,
	    .subject = "192.0.2.1",
	    .user = "alice",
	    .service = "imap",
	    .server = "dovecot" },
	{ .kind = SHARE_LOGIN,
	    .origin = ORIGIN,
	    .number = INT64_MAX,
	    .at = 1,
	    .subject = "2001:db8:1::/64" },
	{ .kind = SHARE_ADD,
	    .origin = ORIGIN,
	    .at = 5,
	    .until = INT64_C(253402300799),
	    .subject = "10.0.0.0/8",
	    .note = "the printer" },
	{ .kind = SHARE_DELETE,
	    .origin = ORIGIN,
	    .at = 5,
	    .subject = "0.0.0.0/0" },
	{ .kind = SHARE_DELETE, .origin = ORIGIN, .at = 5 },
	{ .kind = SHARE_DENY_CLIENT,
	    .origin = ORIGIN,
	    .at = 5,
	    .until = 5,
	    .subject = "192.0.2.0/24" },
	{ .kind = SHARE_DENY_USER,
	    .origin = ORIGIN,
	    .at = 5,
	    .until = 99,
	    .user = "mallory" },
	{ .kind = SHARE_HELLO, .origin = ORIGIN, .at = 5, .note = "mail1" },
	{ .kind = SHARE_RELAYED,
	    .origin = ORIGIN,
	    .number = 9,
	    .at = 5,
	    .until = 20,
	    .messages = 3,
	    .subject = "192.0.2.1",
	    .user = "alice,bob@example.org",
	    .service = "login",
	    .note = "alice@example.org" },
	{ .kind = SHARE_RELAYED,
	    .origin = ORIGIN,
	    .number = 10,
	    .at = 5,
	    .until = 1,
	    .user = "alice",
	    .service = "auth" },
	{ .kind = SHARE_RELAYED,
	    .origin = ORIGIN,
	    .number = 11,
	    .at = 5,
	    .until = SHARE_RELAYED_MAX,
	    .messages = SHARE_RELAYED_MAX,
	    .subject = "2001:db8::1",
	    .service = "client" },
	{ .kind = SHARE_BREACH_CLIENT,
	    .origin = ORIGIN,
	    .at = 5,
	    .until = 99,
	    .subject = "2001:db8::/64",
	    .note = "client_recipients 2000/1h" },
	{ .kind = SHARE_BREACH_USER,
	    .origin = ORIGIN,
	    .at = 5,
	    .until = 5,
	    .user = "mallory" },
	{ .kind = SHARE_BREACH_LOGIN,
	    .origin = ORIGIN,
	    .at = 5,
	    .until = 99,
	    .user = "mallory",
	    .note = "user_recipients 1000/1h" },
};

static void
same_again(void **state)
{
	uint8_t body[SHARE_BODY_MAX], again[SHARE_BODY_MAX];

	(void)state;
	for (size_t i = 0; i < LENGTH(good); i++) {
		struct share_entry got;

		ROW("%zu", i);
		size_t len = share_entry_encode(&good[i], body);

		assert_int_equal(
		    share_entry_decode(body, len, &got), SHARE_GOOD);
		assert_int_equal(share_entry_encode(&got, again), len);
		assert_memory_equal(body, again, len);
		assert_string_equal(got.subject, good[i].subject);
		assert_string_equal(got.user, good[i].user);
		assert_string_equal(got.note, good[i].note);
		assert_int_equal(got.number, good[i].number);
		assert_int_equal(got.at, good[i].at);
		assert_int_equal(got.until, good[i].until);
		assert_int_equal(got.messages, good[i].messages);
		/* cut anywhere, or one byte longer, it is none */
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(share_entry_decode(body, cut, &got),
			    SHARE_MALFORMED);
		body[len] = 0;
		assert_int_equal(
		    share_entry_decode(body, len + 1, &got), SHARE_MALFORMED);
	}
}

/* Entries that must never get in, whoever sealed them. */
static void
out_of_limits(void **state)
{
	static const struct {
		const char *name;
		struct share_entry e;
	} rows[] = {
#define LOGIN(...)                \
	{ .kind = SHARE_LOGIN,    \
		.origin = ORIGIN, \
		.number = 1,      \
		.at = 9,          \
		__VA_ARGS__ }
#define ADD(...)                                                           \
	{                                                                  \
		.kind = SHARE_ADD, .origin = ORIGIN, .at = 9, .until = 10, \
		__VA_ARGS__                                                \
	}
		{ "a login of a network", LOGIN(.subject = "192.0.2.0/24") },
		{ "a login of everybody", LOGIN(.subject = "0.0.0.0/0") },
		{ "of half of IPv6", LOGIN(.subject = "8000::/1") },
		{ "of nobody", LOGIN(.user = "alice") },
		{ "not canonical", LOGIN(.subject = "::ffff:192.0.2.1") },
		{ "leading zeros", LOGIN(.subject = "2001:0db8::1") },
		{ "host bits", ADD(.subject = "10.0.0.1/8") },
		{ "too wide to add", ADD(.subject = "0.0.0.0/0") },
		{ "the same, IPv6", ADD(.subject = "2000::/3") },
		{ "added: everybody", ADD(.user = "x") },
		{ "no address", LOGIN(.subject = "mail.test") },
		{ "an end that a login has not",
		    LOGIN(.subject = "192.0.2.1", .until = 10) },
		{ "a note that a login has not",
		    LOGIN(.subject = "192.0.2.1", .note = "x") },
#define RELAYED(number_, until_, messages_, subject_, ...) \
	{ .kind = SHARE_RELAYED,                           \
		.origin = ORIGIN,                          \
		.at = 9,                                   \
		.number = number_,                         \
		.until = until_,                           \
		.messages = messages_,                     \
		.subject = subject_,                       \
		.service = __VA_ARGS__ }
		{ "relayed: nothing", RELAYED(1, 0, 0, "192.0.2.1", "login") },
		{ "too much",
		    RELAYED(
			1, SHARE_RELAYED_MAX + 1, 1, "192.0.2.1", "login") },
		{ "more messages than recipients",
		    RELAYED(1, 2, 3, "192.0.2.1", "login") },
		{ "fewer than none", RELAYED(1, 2, -1, "192.0.2.1", "login") },
		{ "how is that", RELAYED(1, 2, 1, "192.0.2.1", "trust") },
		{ "by whose AUTH", RELAYED(1, 2, 1, "192.0.2.1", "auth") },
		{ "a user who isn't charged",
		    RELAYED(1, 2, 1, "192.0.2.1", "client", .user = "alice") },
		{ "by a network", RELAYED(1, 2, 1, "192.0.2.0/24", "login") },
		{ "by a login of nowhere", RELAYED(1, 2, 1, "", "login") },
		{ "by a server",
		    RELAYED(
			1, 2, 1, "192.0.2.1", "login", .server = "dovecot") },
		{ "relayed: no number",
		    RELAYED(0, 2, 1, "192.0.2.1", "login") },
		{ "messages that a login has not",
		    LOGIN(.subject = "192.0.2.1", .messages = 1) },
		{ "breach: everybody",
		    { .kind = SHARE_BREACH_CLIENT,
			.origin = ORIGIN,
			.at = 9,
			.until = 10,
			.subject = "0.0.0.0/0" } },
		{ "breach: of no user",
		    { .kind = SHARE_BREACH_LOGIN,
			.origin = ORIGIN,
			.at = 9,
			.until = 10 } },
		{ "no number",
		    { .kind = SHARE_LOGIN,
			.origin = ORIGIN,
			.at = 9,
			.subject = "192.0.2.1" } },
		{ "before 1970",
		    { .kind = SHARE_DELETE, .origin = ORIGIN, .at = -1 } },
		{ "beyond every calendar",
		    { .kind = SHARE_DELETE,
			.origin = ORIGIN,
			.at = INT64_C(253402300800) } },
		{ "no origin", { .kind = SHARE_DELETE, .at = 1 } },
		{ "a short origin",
		    { .kind = SHARE_DELETE, .origin = "ab", .at = 1 } },
		{ "an origin with capitals",
		    { .kind = SHARE_DELETE,
			.at = 1,
			.origin = "00112233445566778899AABBCCDDEEFF" } },
		{ "a denial of nobody",
		    { .kind = SHARE_DENY_USER, .origin = ORIGIN, .at = 1 } },
		{ "a machine without a name",
		    { .kind = SHARE_HELLO, .origin = ORIGIN, .at = 1 } },
		{ "a machine whose name writes on terminals",
		    { .kind = SHARE_HELLO,
			.origin = ORIGIN,
			.at = 1,
			.note = "a\x1b[31m" } },
		{ "a kind that isn't",
		    { .kind = (enum share_kind)'X',
			.origin = ORIGIN,
			.at = 1 } },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].name);
		assert_false(share_entry_good(&rows[i].e));
	}
}

/* Bytes that no share_entry_encode() writes. */
static void
foreign_bytes(void **state)
{
	uint8_t body[SHARE_BODY_MAX + 1];
	struct share_entry got;
	size_t len = share_entry_encode(&good[0], body);

	(void)state;
	body[2] = 2;
	assert_int_equal(share_entry_decode(body, len, &got), SHARE_VERSION);
	body[2] = 0;
	assert_int_equal(share_entry_decode(body, len, &got), SHARE_MALFORMED);
	body[2] = 1;
	body[3] = 'X';
	assert_int_equal(share_entry_decode(body, len, &got), SHARE_MALFORMED);
	body[3] = 'L';
	body[20] = 0x80; /* a negative number */
	assert_int_equal(share_entry_decode(body, len, &got), SHARE_MALFORMED);
	body[20] = 0;
	body[44] = 0xff; /* a text longer than all */
	assert_int_equal(share_entry_decode(body, len, &got), SHARE_MALFORMED);
	body[44] = 0;
	body[46] = '\0'; /* "\0" "92.0.2.1" */
	assert_int_equal(share_entry_decode(body, len, &got), SHARE_MALFORMED);
	memset(body, 'P', sizeof(body));
	assert_int_equal(
	    share_entry_decode(body, sizeof(body), &got), SHARE_MALFORMED);
}

#ifdef POPGATE_SHARE
static struct share_keys
keys_of(const char *first, const char *second)
{
	struct share_keys keys = { .n = 0 };
	struct err err;

	if (share_key_read(unit_file(0, first), &keys, &err) == -1)
		fail_msg("%s", err.text);
	if (second != NULL &&
	    share_key_read(unit_file(1, second), &keys, &err) == -1)
		fail_msg("%s", err.text);
	return keys;
}

static void
seals(void **state)
{
	char one[SHARE_KEY_TEXT_MAX], two[SHARE_KEY_TEXT_MAX];
	uint8_t sealed[SHARE_SEALED_MAX + 1];
	struct share_entry got;
	struct err err;

	(void)state;
	assert_int_equal(share_key_make(one, &err), 0);
	assert_int_equal(share_key_make(two, &err), 0);
	assert_string_not_equal(one, two);
	struct share_keys a = keys_of(one, NULL), b = keys_of(two, NULL);
	struct share_keys both = keys_of(two, one);
	size_t len = share_seal(&a, "popgate", &good[0], sealed);

	assert_int_equal(
	    share_open(&a, "popgate", sealed, len, &got), SHARE_GOOD);
	assert_string_equal(got.user, "alice");
	/* while the key changes, both open */
	assert_int_equal(
	    share_open(&both, "popgate", sealed, len, &got), SHARE_GOOD);
	/* another key, another site's stream */
	assert_int_equal(
	    share_open(&b, "popgate", sealed, len, &got), SHARE_FORGED);
	assert_int_equal(
	    share_open(&a, "popgate2", sealed, len, &got), SHARE_FORGED);
	assert_int_equal(
	    share_open(&a, "popgat", sealed, len, &got), SHARE_FORGED);
	for (size_t i = 0; i < len; i++) {
		sealed[i] ^= 1;
		assert_int_equal(
		    share_open(&a, "popgate", sealed, len, &got), SHARE_FORGED);
		sealed[i] ^= 1;
	}
	for (size_t cut = 0; cut < len; cut++)
		assert_int_not_equal(
		    share_open(&a, "popgate", sealed, cut, &got), SHARE_GOOD);
	assert_int_equal(
	    share_open(&a, "popgate", sealed, sizeof(sealed), &got),
	    SHARE_MALFORMED);
}

static void
key_files(void **state)
{
	static const char hex[] = "00112233445566778899aabbccddeeff"
				  "00112233445566778899aabbccddeeff";
	static const struct {
		const char *before; /* the key */
		int digits;
		const char *behind;
		mode_t mode;
		const char *want; /* NULL: a key */
	} rows[] = {
		{ "", 64, "\n", 0600, NULL },
		{ "", 64, "", 0640, NULL },
		{ "", 64, "\n", 0644, "others than" },
		{ "", 64, "\n", 0660, "others than" },
		{ "", 64, "\n\n", 0600, "64 hexadecimal digits" },
		{ "", 64, "0\n", 0600, "64 hexadecimal digits" },
		{ "x", 63, "\n", 0600, "64 hexadecimal digits" },
		{ "", 63, "\n", 0600, "64 hexadecimal digits" },
		{ "", 0, "", 0600, "64 hexadecimal digits" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct share_keys keys = { .n = 0 };
		struct err err = { .text = "" };
		char text[100];

		ROW("%zu", i);
		(void)snprintf(text, sizeof(text), "%s%.*s%s", rows[i].before,
		    rows[i].digits, hex, rows[i].behind);
		const char *path = unit_file(0, text);

		assert_int_equal(chmod(path, rows[i].mode), 0);
		int got = share_key_read(path, &keys, &err);

		if (rows[i].want != NULL)
			assert_contains(err.text, rows[i].want);
		assert_int_equal(got, rows[i].want == NULL ? 0 : -1);
		(void)unlink(path);
	}
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_again),
		cmocka_unit_test(out_of_limits),
		cmocka_unit_test(foreign_bytes),
#ifdef POPGATE_SHARE
		cmocka_unit_test(seals),
		cmocka_unit_test(key_files),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
