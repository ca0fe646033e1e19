/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <time.h>

#include "ctl/causes.h"

enum { NOW = 1772526000 }; /* 2026-03-03 08:20:00 UTC */

#define LOGIN \
	"imap-login: Login: user=<u>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1, session=<s>"

static void
words(void **state)
{
	static const struct {
		const char *name;
		struct cause cause;
		const char *want; /* NULL: no words */
	} rows[] = {
		{ "a tag of the admin's",
		    { FATE_UNKNOWN_TAG, "dovecot", 6,
			"Mar  3 08:01:11 mail dovecot-backend: " LOGIN, NOW,
			{ 0 } },
		    "collector.tags = { dovecot = [ \"dovecot-backend\" ]; }" },
		{ "a journal entry's",
		    { FATE_UNKNOWN_TAG, "cyrus", 6,
			"2026-03-03T08:01:11.000001Z mail x/imap[7]: login: y",
			NOW, { 0 } },
		    "collector.tags = { cyrus = [ \"x/imap\" ]; }" },
		{ "its own, but collector.servers leaves it out",
		    { FATE_UNKNOWN_TAG, "dovecot", 1,
			"Mar  3 08:01:11 mail dovecot: " LOGIN, NOW, { 0 } },
		    "collector.servers doesn't name dovecot" },
		{ "no prefix",
		    { FATE_UNKNOWN_PREFIX, "", 5, LOGIN, NOW, { 0 } },
		    "5 lines don't count" },
		{ "late by an hour, the machine at +01:00",
		    { FATE_LATE, "dovecot", 2,
			"Mar  3 08:19:30 mail dovecot: " LOGIN, NOW, { 0 } },
		    "60 min behind, as those of another time zone: zone = \"UTC\" belongs" },
		{ "late by an hour, the source said to be UTC",
		    { FATE_LATE, "dovecot", 2,
			"Mar  3 07:19:30 mail dovecot: " LOGIN, NOW,
			{ true, 0 } },
		    "zone = \"-01:00\" belongs" },
		{ "late, but the stamp names its zone",
		    { FATE_LATE, "dovecot", 2,
			"2026-03-03T07:19:30Z mail dovecot: " LOGIN, NOW,
			{ 0 } },
		    "look at the clock" },
		{ "late by no zone's difference",
		    { FATE_LATE, "dovecot", 2,
			"Mar  3 08:12:30 mail dovecot: " LOGIN, NOW, { 0 } },
		    "look at the clock" },
		{ "late, the sample is lost",
		    { FATE_LATE, "dovecot", 2, "", NOW, { 0 } },
		    "look at the clock" },
		{ "what journald dropped",
		    { FATE_DROPPED, "dovecot", 3, "Suppressed 4 messages", NOW,
			{ 0 } },
		    "LogRateLimitIntervalSec=0" },
		{ "a sender that may not speak",
		    { FATE_FORGED, "dovecot", 3, "x", NOW, { 0 } },
		    "journalctl -t dovecot -o verbose" },
		{ "Zimbra's proxy",
		    { FATE_AMBIGUOUS, "zimbra", 3, "[ip=1;oip=2;]", NOW,
			{ 0 } },
		    "can be set by the client" },
		{ "the address is Dovecot's last element",
		    { FATE_TRUNCATED, "dovecot", 3,
			"Mar  3 08:12:30 mail dovecot: imap-login: Login: user=<u>, lip=192.0.2.1, rip=192.0.2.7",
			NOW, { 0 } },
		    "put another element behind rip=%r" },
		{ "cut anywhere else",
		    { FATE_TRUNCATED, "dovecot", 3, LOGIN "<", NOW, { 0 } },
		    NULL },
		{ "another server's, cut",
		    { FATE_TRUNCATED, "cyrus", 3, "x rip=192.0.2.7", NOW,
			{ 0 } },
		    NULL },
		{ "ambiguous for another reason",
		    { FATE_AMBIGUOUS, "zimbra", 3, "x", NOW, { 0 } }, NULL },
		{ "another server's",
		    { FATE_AMBIGUOUS, "dovecot", 3, "oip=", NOW, { 0 } },
		    NULL },
		{ "a login", { FATE_LOGIN, "dovecot", 3, "x", NOW, { 0 } },
		    NULL },
		{ "a failed one",
		    { FATE_FAILED_LOGIN, "dovecot", 3, "x", NOW, { 0 } },
		    NULL },
	};

	(void)state;
	assert_int_equal(setenv("TZ", "XYZ-1", 1), 0);
	tzset();
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].name);
		char got[CAUSE_TEXT_MAX];

		assert_int_equal(cause_words(&rows[i].cause, got, sizeof(got)),
		    rows[i].want != NULL);
		if (rows[i].want != NULL && strstr(got, rows[i].want) == NULL)
			fail_msg("%s", got);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(words) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
