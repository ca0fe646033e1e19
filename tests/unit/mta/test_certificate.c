/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "common/mta/certificate.h"

#define SHA1 "aabbccddeeff00112233445566778899aabbccdd"
#define SHA1_COLONS                                              \
	"AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:" \
	"CC:DD"
#define OTHER "aabbccddeeff00112233445566778899aabbccde"

static void
digests(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ SHA1, SHA1 },
		{ SHA1_COLONS, SHA1 },
		{ "AABBCCDDEEFF00112233445566778899AABBCCDD", SHA1 },
		{ SHA1 "112233445566778899001122",
		    SHA1 "112233445566778899001122" },
		{ "", NULL },
		{ ":", NULL },
		{ "aa", NULL },
		/* MD5 */
		{ "aabbccddeeff00112233445566778899", NULL },
		{ SHA1 ":", NULL },
		{ ":" SHA1, NULL },
		{ SHA1 "a", NULL },
		{ "A:ABBCCDDEEFF00112233445566778899AABBCCDD", NULL },
		{ "AA::BBCCDDEEFF00112233445566778899AABBCCDD", NULL },
		{ "xabbccddeeff00112233445566778899aabbccdd", NULL },
		{ " " SHA1, NULL },
		{ SHA1 "\n", NULL },
		{ SHA1 SHA1 SHA1 SHA1 SHA1, NULL },
	};
	char out[CERTIFICATE_DIGEST_MAX];

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("'%s'", rows[i].text);
		bool good = certificate_digest(rows[i].text, out);

		assert_int_equal(good, rows[i].want != NULL);
		assert_string_equal(out, good ? rows[i].want : "");
	}
}

static void
names(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "/O=maillab/CN=client+20one", "/O=maillab/CN=client one" },
		{ "a+2Bb", "a+b" },
		{ "a+2bb", "a+b" },
		{ "", "" },
		{ "+C3+A9", "\xc3\xa9" },
		{ "a+", NULL },
		{ "a+2", NULL },
		{ "a+2g", NULL },
		{ "a+0Ab", NULL },
		{ "a+00b", NULL },
		{ "a\nb", NULL },
		{ "a+7F", NULL },
	};
	char out[CERTIFICATE_NAME_MAX], big[2000];

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("'%s'", rows[i].text);
		bool good = certificate_decode(rows[i].text, out);

		assert_int_equal(good, rows[i].want != NULL);
		assert_string_equal(out, good ? rows[i].want : "");
	}
	memset(big, 'x', sizeof(big));
	big[CERTIFICATE_NAME_MAX - 1] = '\0';
	assert_true(certificate_decode(big, out));
	big[CERTIFICATE_NAME_MAX - 1] = 'x';
	big[CERTIFICATE_NAME_MAX] = '\0';
	assert_false(certificate_decode(big, out));
	assert_string_equal(out, "");
}

static bool
sendmail(const char *verify, const char *subject, const char *issuer,
    const char *digest)
{
	const struct certificate_entry list[] = {
		{ .subject = (char[]){ "/CN=one two" },
		    .issuer = (char[]){ "/CN=ca" } },
		{ .fingerprint = (char[]){ SHA1 } },
	};
	struct certificate c;

	return certificate_from_sendmail(&c, verify, subject, issuer, digest) &&
	    certificate_listed(list, 2, &c);
}

static bool
postfix(bool encoded, const char *subject, const char *issuer,
    const char *digest, const char *key)
{
	const struct certificate_entry list[] = {
		{ .subject = (char[]){ "one two" },
		    .issuer = (char[]){ "ca" } },
		{ .fingerprint = (char[]){ SHA1 } },
		{ .public_key = (char[]){ OTHER } },
	};
	struct certificate c;

	return certificate_from_postfix(
		   &c, encoded, subject, issuer, digest, key) &&
	    certificate_listed(list, 3, &c);
}

static void
who_is_listed(void **state)
{
	static const char *const not_ok[] = { "", "NO", "NOT", "FAIL", "NONE",
		"TEMP", "PROTOCOL", "SOFTWARE", "ok", "OK ", "TRUSTED",
		"DANE_OK" };
	const struct certificate_entry half = { .subject = (char[]){ "x" } };
	struct certificate c;

	(void)state;
	assert_true(sendmail("OK", "/CN=one+20two", "/CN=ca", NULL));
	for (size_t i = 0; i < LENGTH(not_ok); i++) {
		ROW("%s", not_ok[i]);
		assert_false(
		    sendmail(not_ok[i], "/CN=one+20two", "/CN=ca", NULL));
	}
	assert_false(sendmail(NULL, "/CN=one+20two", "/CN=ca", SHA1));
	assert_false(sendmail("OK", "/CN=one+20two", "/CN=other", NULL));
	assert_false(sendmail("OK", "/CN=one+20two", "", NULL));
	assert_false(sendmail("OK", "/CN=one+20two", NULL, NULL));
	assert_false(sendmail("OK", "/CN=ca", "/CN=one+20two", NULL));
	assert_false(sendmail("OK", "/CN=one+20TWO", "/CN=ca", NULL));
	assert_false(sendmail("OK", "/CN=one+20two+00", "/CN=ca", NULL));
	assert_false(sendmail("OK", "", "", ""));
	assert_true(sendmail("OK", "", "", SHA1_COLONS));
	assert_true(sendmail("FAIL", "", "", SHA1_COLONS));
	assert_false(sendmail("TEMP", "", "", SHA1_COLONS));
	assert_false(sendmail("NO", "", "", SHA1_COLONS));
	assert_false(sendmail("OK", "", "", OTHER));

	assert_true(postfix(false, "one two", "ca", NULL, NULL));
	assert_true(postfix(true, "one+20two", "ca", NULL, NULL));
	/* a CN with a plus sign is none with a space */
	assert_false(postfix(false, "one+20two", "ca", NULL, NULL));
	assert_false(postfix(true, "one+2B20two", "ca", NULL, NULL));
	assert_false(postfix(true, "one+20two", "", NULL, NULL));
	assert_false(postfix(true, "", "ca", NULL, NULL));
	assert_true(postfix(true, "", "", SHA1_COLONS, ""));
	assert_true(postfix(true, "", "", "", OTHER));
	/* the digest of one thing is not that of the other */
	assert_false(postfix(true, "", "", OTHER, SHA1));

	/* what no configuration makes */
	assert_true(certificate_from_postfix(&c, false, "x", "y", NULL, NULL));
	assert_false(certificate_listed(&half, 1, &c));
	assert_false(certificate_listed(NULL, 0, &c));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests),
		cmocka_unit_test(names),
		cmocka_unit_test(who_is_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
