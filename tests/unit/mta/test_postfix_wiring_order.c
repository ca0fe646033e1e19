/* SPDX-License-Identifier: ISC */
/* the edits of a Postfix that several services share don't hang on the order in
 * which master.cf names these */
#include "tests/unit/unit.h"

#include "common/base/err.h"
#include "common/mta/postfix_wiring.h"
#include "tests/unit/mta/main_text.h"

enum { SERVICES = 4, TEXT_LEN = 4096, EDITS_MAX = 64 };

#define BASE                                             \
	"queue_directory = /var/spool/postfix\n"         \
	"smtpd_delay_reject = yes\n"                     \
	"inet_interfaces = all\n"                        \
	"smtpd_sasl_type = dovecot\n"                    \
	"smtpd_sender_login_maps = hash:/logins\n"       \
	"mynetworks = 127.0.0.0/8\n"                     \
	"mine = reject_rbl_client x\n"                   \
	"smtpd_relay_restrictions = permit_mynetworks, " \
	"permit_sasl_authenticated, reject_unauth_destination\n"

/* What a service has of its own: the lists that all share look different to
 * it. */
static const struct own {
	const char *name, *value;
} own[] = {
	{ "smtpd_sasl_auth_enable", "yes" },
	{ "smtpd_delay_reject", "no" },
	{ "smtpd_relay_before_recipient_restrictions", "yes" },
	{ "smtpd_relay_restrictions", "permit_sasl_authenticated,reject" },
	{ "smtpd_recipient_restrictions", "reject_unauth_destination" },
	{ "mine", "reject" },
	{ "mine", "permit_sasl_authenticated" },
};

static const char *const lists[] = {
	"smtpd_sender_restrictions = permit_mynetworks, "
	"reject_sender_login_mismatch\n",
	"smtpd_sender_restrictions = permit_sasl_authenticated, "
	"check_policy_service inet:127.0.0.1:1, "
	"reject_sender_login_mismatch, reject_rbl_client x\n",
	"smtpd_helo_restrictions = permit_sasl_authenticated, "
	"reject_unauth_destination, reject_rbl_client x\n",
	"smtpd_client_restrictions = permit_mynetworks, $mine, "
	"reject_unauth_destination\n",
	"smtpd_recipient_restrictions = permit_mynetworks, "
	"check_policy_service inet:127.0.0.1:1\n",
	"smtpd_recipient_restrictions = permit_mynetworks, $mine, "
	"reject_sender_login_mismatch\n",
	"smtpd_recipient_restrictions = permit_sasl_authenticated, $mine, "
	"reject_unauth_destination\n",
};

struct texts {
	char main[TEXT_LEN], overrides[TEXT_LEN];
};

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
plan(const struct texts *t, const char *const *names, struct postfix_conf *pf,
    struct wiring_plan *p)
{
	const struct wiring_sockets sockets = { "unix:/run/popgate/milter.sock",
		"unix:/run/popgate/policy.sock" };
	char services[400] = "";
	struct err err;

	for (int i = 0; i < SERVICES; i++)
		(void)snprintf(services + strlen(services),
		    sizeof(services) - strlen(services),
		    "%s inet n - n - - smtpd\n", names[i]);
	assert_int_equal(
	    postfix_conf_parse(&(struct postfix_conf_text){ .main = t->main,
				   .services = services,
				   .overrides = t->overrides },
		pf, &err),
	    0);
	if (postfix_wiring_plan(pf, &sockets, p, &err) == -1)
		fail_msg("%s", err.text);
}

/* Make the edits in t. They are also returned, sorted, a line each; the caller
 * frees them. */
static char *
wire(struct texts *t, const char *const *names)
{
	char *lines[EDITS_MAX], *all;
	struct postfix_conf pf;
	struct wiring_plan p;
	size_t len = 0;

	plan(t, names, &pf, &p);
	assert_true(p.n_edits <= EDITS_MAX);
	for (size_t i = 0; i < p.n_edits; i++) {
		const struct wiring_edit *e = &p.edits[i];
		char name[200];
		int n = asprintf(&lines[i], "%s %s=%s\n",
		    e->service == NULL ? "" : e->service, e->name, e->value);

		assert_true(n > 0);
		len += (size_t)n;
		(void)snprintf(name, sizeof(name), "%s/%s",
		    e->service == NULL ? "" : e->service, e->name);
		if (e->service == NULL)
			text_set(t->main, TEXT_LEN, e->name, e->value);
		else
			text_set(t->overrides, TEXT_LEN, name, e->value);
	}
	qsort(lines, p.n_edits, sizeof(*lines), compare);
	all = calloc(1, len + 1);
	assert_non_null(all);
	for (size_t i = 0; i < p.n_edits; i++) {
		(void)strncat(all, lines[i], len);
		free(lines[i]);
	}
	wiring_plan_release(&p);
	postfix_conf_release(&pf);
	return all;
}

/* Wired, each service asks, and nothing is left to do. */
static void
assert_wired(const struct texts *t, const char *const *names)
{
	struct postfix_conf pf;
	struct wiring_plan p;

	plan(t, names, &pf, &p);
	for (size_t i = 0; i < p.n_edits; i++)
		fail_msg("once more: %s: %s, not %s", p.edits[i].name,
		    p.edits[i].value, p.edits[i].old);
	for (size_t i = 0; i < p.n_notes; i++)
		if (wiring_note_is_gap(p.notes[i].kind))
			fail_msg("%s: %s", p.notes[i].service, p.notes[i].text);
	wiring_plan_release(&p);
	postfix_conf_release(&pf);
}

/* Of every order of four services, two of which have something of their own. */
static void
any_order(void **state)
{
	static const char *const names[SERVICES] = { "smtp", "587", "2525",
		"submission" };

	(void)state;
	for (size_t i = 0; i < LENGTH(lists) * LENGTH(own) * LENGTH(own); i++) {
		const char *list = lists[i % LENGTH(lists)];
		const struct own *one = &own[i / LENGTH(lists) % LENGTH(own)];
		const struct own *two = &own[i / LENGTH(lists) / LENGTH(own)];
		char main[TEXT_LEN], overrides[1000], *want = NULL;
		static struct texts t;

		if (one == two)
			continue;
		(void)snprintf(main, sizeof(main), "%s%s", BASE, list);
		(void)snprintf(overrides, sizeof(overrides),
		    "587/inet/%s = %s\nsubmission/inet/%s = %s\n", one->name,
		    one->value, two->name, two->value);
		ROW("%s%s", list, overrides);
		for (unsigned order = 0; order < 24; order++) {
			const char *left[SERVICES], *these[SERVICES];
			unsigned code = order;

			memcpy(left, names, sizeof(left));
			for (unsigned k = 0; k < SERVICES; k++) {
				unsigned at = code % (SERVICES - k);

				code /= SERVICES - k;
				these[k] = left[at];
				left[at] = left[SERVICES - k - 1];
			}
			(void)snprintf(t.main, TEXT_LEN, "%s", main);
			(void)snprintf(t.overrides, TEXT_LEN, "%s", overrides);
			char *got = wire(&t, these);

			assert_wired(&t, these);
			if (want == NULL) {
				want = got;
				continue;
			}
			assert_string_equal(got, want);
			free(got);
		}
		free(want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
