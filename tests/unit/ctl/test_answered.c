/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "common/base/err.h"
#include "common/config/config.h"
#include "ctl/stage/stage.h"
#include "ctl/wiring/answered.h"

static const struct row {
	enum stage_step step;
	int code;
	const char *text;
	enum answered want;
	const char *want_who; /* a part of it */
} rows[] = {
	{ STAGE_RCPT, 250, "2.1.5 Ok", ANSWERED_NOBODY, "" },
	{ STAGE_RCPT, 550,
	    "5.7.1 <b@other.test>: Recipient address rejected: Relaying denied for 203.0.113.5: check your mail by POP3 or IMAP first, or use SMTP AUTH on port 587",
	    ANSWERED_POPGATE, "popgate" },
	{ STAGE_RCPT, 554, "5.7.1 <b@other.test>: Relay access denied",
	    ANSWERED_MTA, "reject_unauth_destination" },
	{ STAGE_RCPT, 554,
	    "5.7.1 <unknown[203.0.113.5]>: Client host rejected: Access denied",
	    ANSWERED_MTA, "smtpd_client_restrictions" },
	{ STAGE_RCPT, 553, "5.7.1 <>: Sender address rejected: not logged in",
	    ANSWERED_MTA, "smtpd_sender_restrictions" },
	{ STAGE_RCPT, 504,
	    "5.5.2 <x>: Helo command rejected: need fully-qualified hostname",
	    ANSWERED_MTA, "smtpd_helo_restrictions" },
	{ STAGE_MAIL, 451, "4.7.1 Service unavailable - try again later",
	    ANSWERED_MTA, "a milter" },
	{ STAGE_MAIL, 530, "5.7.0 Must issue a STARTTLS command first",
	    ANSWERED_MTA, "TLS" },
	{ STAGE_RCPT, 550, "5.7.1 <b@other.test>... Relaying denied",
	    ANSWERED_MTA, "Sendmail" },
	{ STAGE_RCPT, 550, "relay not permitted", ANSWERED_MTA, "Exim" },
	{ STAGE_CONNECT, 554, "go away", ANSWERED_MTA, "before MAIL" },
	{ STAGE_RCPT, 550, "never", ANSWERED_MTA, "the mail server" },
};

static void
whoever_answered(void **state)
{
	const char *path = unit_file(0, "");
	struct config *cfg;
	struct err err;

	(void)state;
	assert_int_equal(config_load(path, &cfg, &err), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stage_reply reply = { .step = rows[i].step,
			.reply.code = rows[i].code,
			.accepted = rows[i].code == 250 };
		const char *who;

		ROW("%s", rows[i].text);
		(void)snprintf(reply.reply.text, sizeof(reply.reply.text), "%s",
		    rows[i].text);
		assert_int_equal(answered_by(cfg, &reply, &who), rows[i].want);
		assert_non_null(strstr(who, rows[i].want_who));
	}
	config_free(cfg);
	(void)unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whoever_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
