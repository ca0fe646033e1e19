/* SPDX-License-Identifier: ISC */
/* The forms of recipient that two real MTAs were asked to take, with where
 * each one really went: nothing that left may count as ours. */
#include "tests/unit/unit.h"

#include "common/base/err.h"
#include "common/mta/domains.h"
#include "common/policy/rcpt.h"

static char *mailers_v[] = { "local", "virtual", "lmtp", "cyrus", "cyrusv2",
	"procmail", "prog", "*file*" };
static const struct string_list mailers = { .v = mailers_v, .n = 8 };
static char *domains_v[] = { "lab.test", "mail.lab.test", "localhost",
	"vmail.test", "valias.test", "relay.test" };
static struct domain_set domains;

enum { KIND, FORM, REPLY, ARG, MAILER, HOST, ADDR, WENT, COLUMNS };

/* "\x5c" in the recorded argument is the byte itself. */
static void
unescape(char *text)
{
	char *out = text;

	for (; *text != '\0'; text++) {
		unsigned byte;

		if (sscanf(text, "\\x%2x", &byte) == 1) {
			*out++ = (char)byte;
			text += 3;
		} else {
			*out++ = *text;
		}
	}
	*out = '\0';
}

/* The admin himself sends these on. */
static bool
forwarded_by_admin(const char *kind)
{
	return strcmp(kind, "valias-out") == 0 ||
	    strcmp(kind, "relaydom") == 0 || strcmp(kind, "relaydom-unk") == 0;
}

static bool
legitimate(const char *kind)
{
	return strcmp(kind, "local") == 0 || strcmp(kind, "vmail") == 0 ||
	    strcmp(kind, "valias") == 0 || forwarded_by_admin(kind);
}

static void
check_row(char *const col[COLUMNS], const char *file, unsigned *relayed,
    unsigned *ours)
{
	char *arg = col[ARG];
	size_t len = strlen(arg);

	if (strcmp(arg, "(not called)") == 0 ||
	    strncmp(col[REPLY], "250", 3) != 0)
		return;
	assert_true(len > 2 && arg[0] == '[' && arg[len - 1] == ']');
	arg[len - 1] = '\0';
	arg++;
	unescape(arg);
	bool by_mailer =
	    rcpt_ask(arg, col[MAILER], &mailers, &domains, true) == DOMAIN_OURS;
	bool by_text =
	    rcpt_ask(arg, NULL, &mailers, &domains, true) == DOMAIN_OURS;
	bool left = strncmp(col[WENT], "LOCAL:", 6) != 0;

	if (left && !forwarded_by_admin(col[KIND])) {
		++*relayed;
		if (by_mailer || by_text)
			fail_msg("%s: %s went to %s but counts as ours%s", file,
			    arg, col[WENT],
			    by_text ? " without the mailer" : "");
	}
	if (legitimate(col[KIND])) {
		++*ours;
		if (!by_mailer)
			fail_msg("%s: %s is legitimate and counts as a "
				 "relay",
			    file, arg);
	}
}

static void
forms(void **state)
{
	static const char *const files[] = { "forms/postfix.tsv",
		"forms/sendmail-esmtp.tsv", "forms/sendmail-smart.tsv" };
	char line[1024];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		FILE *in = fopen(unit_data(files[i]), "r");
		unsigned relayed = 0, ours = 0, rows = 0;

		assert_non_null(in);
		while (fgets(line, sizeof(line), in) != NULL) {
			char *col[COLUMNS] = { NULL }, *p = line;

			line[strcspn(line, "\n")] = '\0';
			for (int c = 0; c < COLUMNS && p != NULL; c++)
				col[c] = strsep(&p, "\t");
			assert_non_null(col[WENT]);
			if (rows++ > 0)
				check_row(col, files[i], &relayed, &ours);
		}
		(void)fclose(in);
		/* the file was really read */
		assert_int_equal(rows, 90);
		assert_true(relayed > 30);
		assert_true(ours >= 13);
	}
}

static void
rules(void **state)
{
	static const struct {
		const char *name, *arg, *mailer;
		bool want;
	} rows[] = {
		{ "plain", "<a@lab.test>", "smtp", true },
		{ "no brackets", "a@lab.test", NULL, true },
		{ "case and dot", "<a@LAB.test.>", NULL, true },
		{ "two dots", "<a@lab.test..>", NULL, false },
		{ "plus", "<a+b=c@lab.test>", NULL, true },
		{ "postmaster", "<postmaster>", NULL, true },
		{ "plain user", "<alice>", NULL, true },
		{ "foreign", "<a@remote.test>", "smtp", false },
		{ "foreign, no macro", "<a@remote.test>", NULL, false },
		{ "foreign, empty macro", "<a@remote.test>", "", false },
		{ "subdomain is not listed", "<a@x.lab.test>", NULL, false },
		{ "suffix is no subdomain", "<a@evillab.test>", NULL, false },
		{ "null", "<>", "local", false },
		{ "empty", "", "local", false },
		{ "no local part", "<@lab.test>", "smtp", false },
		{ "no domain", "<a@>", "smtp", false },
		{ "literal not listed", "<a@[192.0.2.1]>", NULL, false },
		{ "percent at lmtp", "<a%b@lab.test>", "lmtp", false },
		{ "quoted at virtual", "<\"a@b\"@lab.test>", "virtual", false },
		{ "mailer names are exact", "<a@remote.test>", "Local", false },
		{ "error is no local mailer", "<a@remote.test>", "error",
		    false },
		{ "space", "<a b@lab.test>", NULL, false },
		{ "tab in front", "<\ta@lab.test>", NULL, false },
		{ "8 bit in the local part", "<\xc3\xa5lice@lab.test>", NULL,
		    true },
		{ "control byte", "<a\x01@lab.test>", NULL, false },
		{ "two addresses", "<a@lab.test>,<b@remote.test>", "esmtp",
		    false },
		{ "brackets at the front only", "<a@lab.test", NULL, false },
		{ "behind the brackets", "<b@remote.test>@lab.test", "esmtp",
		    false },
		{ "bang", "<remote.test!a>", NULL, false },
		{ "bang at ours", "<remote.test!a@lab.test>", NULL, false },
		{ "routing that local saw through", "<a%b@lab.test>", "local",
		    true },
		{ "two signs", "<a@remote.test@lab.test>", "smtp", false },
		{ "a local mailer takes any domain", "<a@remote.test>", "lmtp",
		    true },
		{ "ours, by a mailer that isn't local", "<a@lab.test>", "relay",
		    true },
		{ "no mailer, no domain", "<>", NULL, false },
		{ "no mailer, no local part", "<@lab.test>", "", false },
		{ "a part of a mailer's name", "<a@remote.test>", "loca",
		    false },
		{ "more than a mailer's name", "<a@remote.test>", "locals",
		    false },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].name);
		assert_int_equal(rcpt_ask(rows[i].arg, rows[i].mailer, &mailers,
				     &domains, true),
		    rows[i].want ? DOMAIN_OURS : DOMAIN_FOREIGN);
	}
}

/* A local part that is plain in no MTA's eyes may be a route to elsewhere: of
 * each byte that one may have, and of the mailers none but "local" saw it. */
static void
bytes(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		ROW("byte 0x%02x", (unsigned)c);
		char arg[] = "<a.b@lab.test>";
		bool plain = c > ' ' && c != 0x7f &&
		    strchr("%!@:\"\\<>()[],;", c) == NULL;
		enum domain_answer want = plain ? DOMAIN_OURS : DOMAIN_FOREIGN;

		arg[2] = (char)c;
		assert_int_equal(
		    rcpt_ask(arg, NULL, &mailers, &domains, true), want);
		assert_int_equal(
		    rcpt_ask(arg, "lmtp", &mailers, &domains, true), want);
		assert_int_equal(
		    rcpt_ask(arg, "local", &mailers, &domains, true),
		    DOMAIN_OURS);
	}
}

static int
setup(void **state)
{
	const struct string_list names = { .v = domains_v, .n = 6 };

	(void)state;
	return domains_load(&names, &domains, NULL);
}

static int
teardown(void **state)
{
	(void)state;
	domains_release(&domains);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(rules),
		cmocka_unit_test(bytes),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
