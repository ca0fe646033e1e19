/* SPDX-License-Identifier: ISC */
/* Addresses that an MTA might read otherwise than we do. */
#include "tests/unit/unit.h"

#include "common/mta/address.h"

static void
inside(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "<a@b>", "a@b" },
		{ "a@b", "a@b" },
		{ "<>", "" },
		{ "<", "<" },
		{ ">", ">" },
		{ "", "" },
		{ "<a@b", "<a@b" },
		{ "a@b>", "a@b>" },
		{ "<<a>>", "<a>" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].text);
		size_t len = strlen(rows[i].text);
		const char *got = address_inside(rows[i].text, &len);

		assert_int_equal(len, strlen(rows[i].want));
		assert_memory_equal(got, rows[i].want, len);
	}
}

/* A folded address is the same to every MTA; one that isn't certain is
 * refused. */
static void
fold(void **state)
{
	static const struct {
		const char *text, *want; /* NULL: refused */
	} rows[] = {
		{ "Alice@Example.COM", "alice@example.com" },
		{ "A-Z_0.9+x@a-z.09_", "a-z_0.9+x@a-z.09_" },
		{ "[@example.com", NULL },
		{ "@Z`{@example.com", NULL },
		{ "`a{@example.com", "`a{@example.com" },
		{ "a@example.com.", "a@example.com" },
		{ "a@example.com..", NULL },
		{ "a@", NULL },
		{ "a", NULL },
		{ "@example.com", NULL },
		{ "", NULL },
		{ "a@b@example.com", NULL },
		{ "a%b@example.com", NULL },
		{ "a@[192.0.2.1]", NULL },
		{ "a@.example.com", NULL },
		{ "a@example..com", NULL },
		{ "a@example.com,b", NULL },
		{ "a@example.com/b", NULL },
		{ "\xc3\xa5@example.com", NULL },
		{ "a\x80@example.com", NULL },
		{ "a\x7f@example.com", NULL },
		{ "a~@example.com", "a~@example.com" },
		{ "a@b\xc3\xbc"
		  "cher.example",
		    "a@xn--bcher-kva.example" },
	};
	char out[ADDRESS_TEXT_MAX];
	const char *domain;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].text);
		bool ok = address_fold(rows[i].text, out, &domain);

		assert_int_equal(ok, rows[i].want != NULL);
		if (!ok)
			continue;
		assert_string_equal(out, rows[i].want);
		assert_string_equal(domain, strchr(rows[i].want, '@') + 1);
	}
}

/* The local part may have ADDRESS_LOCAL_MAX bytes, and no more. */
static void
longest(void **state)
{
	char text[2 * ADDRESS_TEXT_MAX], out[ADDRESS_TEXT_MAX];
	const char *domain;

	(void)state;
	for (size_t n = ADDRESS_LOCAL_MAX - 1; n <= ADDRESS_LOCAL_MAX + 1;
	     n++) {
		ROW("%zu bytes", n);
		memset(text, 'a', n);
		memcpy(text + n, "@b.example", sizeof("@b.example"));
		assert_int_equal(
		    address_fold(text, out, &domain), n <= ADDRESS_LOCAL_MAX);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inside),
		cmocka_unit_test(fold),
		cmocka_unit_test(longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
