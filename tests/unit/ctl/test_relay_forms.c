/* SPDX-License-Identifier: ISC */
/* The forms of the probe: every one that an open server relayed is there, and
 * no value can end a command. */
#include "tests/unit/unit.h"

#include "ctl/smtp/relay_forms.h"

static const struct form_values values = { .domain = "lab.test",
	.host = "mail.lab.test",
	.ip = "127.0.0.1",
	.foreign = "remote.test" };

static size_t
find(const char *want, size_t want_len)
{
	size_t found = 0;

	for (const struct relay_form *f = relay_forms; f->text != NULL; f++) {
		char text[FORM_TEXT_MAX];
		size_t n = form_expand(f->text, &values, text);

		assert_true(n > 0);
		found += n == want_len && memcmp(text, want, n) == 0;
	}
	return found;
}

/* tests/data/forms writes "user" where the probe has one that nobody has, and
 * "alice" for its postmaster; \x09 and \x00 stand for those bytes. */
static size_t
translate(const char *form, char *out)
{
	size_t n = 0;

	while (*form != '\0') {
		if (strncmp(form, "\\x09", 4) == 0 ||
		    strncmp(form, "\\x00", 4) == 0) {
			out[n++] = form[3] == '9' ? '\t' : '\0';
			form += 4;
		} else if (strncmp(form, "user", 4) == 0) {
			memcpy(out + n, "popgate-probe", 13);
			n += 13;
			form += 4;
		} else if (strncmp(form, "alice", 5) == 0) {
			memcpy(out + n, "postmaster", 10);
			n += 10;
			form += 5;
		} else {
			out[n++] = *form++;
		}
	}
	return n;
}

/* Column i of a line with tabs; cuts the line up. */
static char *
column(char *line, int i)
{
	char *field = NULL;

	for (; i >= 0; i--)
		field = strsep(&line, "\t");
	return field;
}

static void
all_relayed_forms(void **state)
{
	static const char *const files[] = { "forms/postfix.tsv",
		"forms/sendmail-esmtp.tsv", "forms/sendmail-smart.tsv" };
	/* kinds that are the same to the probe as one that it has: other
	 * domains of ours, other literals, the admin's own forwarding */
	static const char *const same[] = { "valias-out", "relaydom",
		"relaydom-unk", "remote", "remote-literal", "remote-literal6",
		"remote-ip", "phrase", "utf8" };
	unsigned seen = 0, missing = 0;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		FILE *in = fopen(unit_data(files[i]), "r");
		char line[2048], copy[2048], form[2048];

		assert_non_null(in);
		while (fgets(line, sizeof(line), in) != NULL) {
			bool skip = strstr(line, "RELAYED:") == NULL;

			(void)strcpy(copy, line);
			const char *kind = column(copy, 0);

			for (size_t k = 0; k < LENGTH(same); k++)
				skip |= strcmp(kind, same[k]) == 0;
			const char *text = column(line, 1);

			/* other domains of ours take lab.test's place */
			if (skip || strstr(text, "relay.test") != NULL ||
			    strstr(text, "vmail.test") != NULL ||
			    strstr(text, "localhost") != NULL)
				continue;
			size_t n = translate(text, form);
			/* "@other.test" is the probe's "@other.invalid" */
			if (strstr(text, "other.test") == NULL &&
			    find(form, n) == 0)
				print_error(
				    "%s: %s isn't asked\n", files[i], text),
				    missing++;
			seen++;
		}
		(void)fclose(in);
	}
	assert_int_equal(missing, 0);
	assert_true(seen > 60);
}

static void
harmless(void **state)
{
	static const char *const bad[] = { "a\r\nDATA", "a\nb", "a\tb",
		"a\x7f" };
	struct form_values v = values;
	char text[FORM_TEXT_MAX], big[FORM_TEXT_MAX + 1];

	(void)state;
	for (size_t i = 0; i < LENGTH(bad); i++) {
		ROW("%s", bad[i]);
		v.foreign = bad[i];
		assert_int_equal(form_expand("<x@$f>", &v, text), 0);
	}
	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	v.foreign = big;
	assert_int_equal(form_expand("<x@$f>", &v, text), 0);
	assert_int_equal(form_expand("$f", &v, text), 0);
	big[FORM_TEXT_MAX - 1] = '\0';
	assert_int_equal(form_expand("$f", &v, text), FORM_TEXT_MAX - 1);
	/* a dollar that is no placeholder is itself */
	assert_int_equal(form_expand("$q$", &values, text), 3);
	assert_string_equal(text, "$q$");
	for (const struct relay_form *f = relay_forms; f->text != NULL; f++) {
		size_t n = form_expand(f->text, &values, text);

		assert_null(memchr(text, '\r', n));
		assert_null(memchr(text, '\n', n));
		assert_int_equal(f->domain, strstr(f->text, "$d") != NULL);
	}
	assert_true(relay_forms_n >= 80);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_relayed_forms),
		cmocka_unit_test(harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
