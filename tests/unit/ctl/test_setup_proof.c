/* SPDX-License-Identifier: ISC */
/* A client with a login is refused, and then it can't be asked again. What the
 * proof asks is stood in for. */
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/config/config.h"
#include "common/db/audit.h"
#include "ctl/setup/live.h"
#include "ctl/setup/setup.h"

#include "tests/unit/unit.h"

static int rounds, refusals; /* asked so far; rounds that popgate refuses */

int __wrap_live_ask_user(struct live_service *v, size_t n,
    int (*let)(void *arg, const struct addr *client, bool in, struct err *err),
    void *arg, struct err *err);
int __wrap_audit_open_reader(
    const char *path, struct audit_reader **r, struct err *err);
int __wrap_audit_each(struct audit_reader *r, const struct audit_filter *filter,
    bool (*fn)(void *arg, const struct audit_record *record), void *arg,
    struct err *err);
void __wrap_audit_close_reader(struct audit_reader **r);

int
__wrap_live_ask_user(struct live_service *v, size_t n,
    int (*let)(void *arg, const struct addr *client, bool in, struct err *err),
    void *arg, struct err *err)
{
	(void)let;
	(void)arg;
	assert_int_equal(n, 1);
	if (rounds++ >= refusals) {
		err_set(err, ERR_IO, "no network");
		return -1;
	}
	v->answers = v->asked = true;
	v->relays = false;
	(void)snprintf(v->said, sizeof(v->said), "550 no login");
	return 0;
}

int
__wrap_audit_open_reader(
    const char *path, struct audit_reader **r, struct err *err)
{
	(void)path;
	(void)err;
	*r = NULL;
	return 0;
}

int
__wrap_audit_each(struct audit_reader *r, const struct audit_filter *filter,
    bool (*fn)(void *arg, const struct audit_record *record), void *arg,
    struct err *err)
{
	const struct audit_record rec = { .at_ms = INT64_MAX,
		.last_ms = INT64_MAX,
		.reason = "store-unavailable" };

	(void)r;
	(void)filter;
	(void)err;
	(void)fn(arg, &rec);
	return 0;
}

void
__wrap_audit_close_reader(struct audit_reader **r)
{
	(void)r;
}

/* What setup_prove_login() says after that many refusals and then failures. */
static int
prove(int n, bool *unshown_r, struct err *err)
{
	struct live_service service = { .name = "smtp/inet", .answers = true };
	struct setup s = { .mta = &setup_postfix,
		.live = { .v = &service, .n = 1 } };
	int rc;

	s.cfg = calloc(1, sizeof(*s.cfg));
	assert_non_null(s.cfg);
	s.cfg->audit.database = (char[]){ "/nowhere" };
	rounds = 0;
	refusals = n;
	rc = setup_prove_login(&s, err);
	*unshown_r = s.unshown;
	free(s.cfg);
	return rc;
}

static void
a_refusal_stays(void **state)
{
	struct err err;
	bool unshown;

	(void)state;
	/* nothing was shown, and nothing refused */
	assert_int_equal(prove(0, &unshown, &err), 0);
	assert_true(unshown);
	assert_int_equal(rounds, 1);
	/* refused, and then nobody could ask */
	assert_int_equal(prove(1, &unshown, &err), -1);
	assert_non_null(strstr(err.text, "550 no login"));
	assert_true(rounds > 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refusal_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
