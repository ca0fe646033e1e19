/* SPDX-License-Identifier: ISC */
#include "tests/unit/daemon/get.h"

#include <stdbool.h>
#include <sys/stat.h>

#include "common/base/metrics.h"
#include "common/daemon/health.h"

static char dir[64], status[80], metrics[80];
static char status_at[90], metrics_at[90];
static int can_say; /* what add_metrics() returns */

static void
add_members(struct json *j)
{
	json_number(j, "own", 42);
}

static int
add_metrics(FILE *to)
{
	metrics_gauge(to, "own_thing", NULL, "A thing of its own.", 7);
	return can_say;
}

static int
setup(void **state)
{
	const struct health_pages pages = {
		.status_key = "test.status",
		.status = status_at,
		.metrics_key = "metrics.test",
		.metrics = metrics_at,
		.gid = (gid_t)-1,
		.add_members = add_members,
		.add_metrics = add_metrics,
	};

	(void)state;
	can_say = 0;
	health_open(&pages);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	health_close();
	assert_int_equal(access(status, F_OK), -1);
	assert_int_equal(access(metrics, F_OK), -1);
	return 0;
}

/* The object of the page /health. */
static const char *
health(void)
{
	const char *reply = get_page(status, HEALTH_PATH);
	const char *body = strstr(reply, "\r\n\r\n");

	assert_non_null(strstr(reply, "application/json"));
	assert_non_null(body);
	return body + 4;
}

static void
a_daemon_says_who_it_is(void **state)
{
	const char *page = health();
	char text[100];
	int64_t n;

	(void)state;
	assert_true(json_find_text(page, "daemon", text, sizeof(text)));
	assert_string_equal(text, "popgate-test");
	assert_true(json_find_text(page, "config", text, sizeof(text)));
	assert_string_equal(text, "/etc/test.conf");
	assert_true(json_find_text(page, "state", text, sizeof(text)));
	assert_string_equal(text, "running");
	assert_true(json_find_number(page, "pid", &n));
	assert_int_equal(n, getpid());
	assert_true(json_find_number(page, "own", &n));
	assert_int_equal(n, 42);
}

static void
a_bad_reload_is_said_until_a_good_one(void **state)
{
	const char *page;
	char text[100];
	bool good;
	int64_t n;

	(void)state;
	health_reloaded(false, "line 3: nonsense");
	page = health();
	assert_true(json_find_bool(page, "reload_good", &good));
	assert_false(good);
	assert_true(json_find_text(page, "reload_text", text, sizeof(text)));
	assert_string_equal(text, "line 3: nonsense");
	health_reloaded(true, "");
	page = health();
	assert_true(json_find_bool(page, "reload_good", &good));
	assert_true(good);
	assert_false(json_find_text(page, "reload_text", text, sizeof(text)));
	assert_true(json_find_number(page, "reloads", &n));
	assert_int_equal(n, 2);
}

static void
metrics_are_a_whole_page(void **state)
{
	const char *page;

	(void)state;
	page = get_page(metrics, "/metrics");
	assert_non_null(strstr(page, METRICS_TYPE));
	assert_non_null(strstr(page,
	    "popgate_build_info{daemon=\""
	    "popgate-test\""));
	assert_non_null(strstr(page, "\npopgate_own_thing 7\n"));
	assert_string_equal(page + strlen(page) - 6, "# EOF\n");
}

static void
what_cannot_be_said_is_an_error(void **state)
{
	(void)state;
	can_say = -1;
	assert_non_null(strstr(get_page(metrics, "/metrics"), " 500 "));
	assert_non_null(strstr(health(), "\"own\""));
}

/* Monitoring is no reason not to start; it comes when it can be had. */
static void
what_cannot_be_served_is_served_later(void **state)
{
	char late[100], path[120], at[140];
	const struct health_pages pages = {
		.status_key = "test.status",
		.status = at,
		.metrics_key = "metrics.test",
		.metrics = "",
		.gid = (gid_t)-1,
		.add_members = add_members,
		.add_metrics = add_metrics,
	};

	(void)state;
	(void)snprintf(late, sizeof(late), "%s/late", dir);
	(void)snprintf(path, sizeof(path), "%s/socket", late);
	(void)snprintf(at, sizeof(at), "unix:%s", path);
	health_open(&pages);
	assert_int_equal(mkdir(late, 0700), 0);
	while (access(path, F_OK) == -1) {
		health_tick();
		(void)usleep(1000);
	}
	assert_non_null(
	    strstr(get_page(path, HEALTH_PATH), "application/json"));
	health_close();
	assert_int_equal(rmdir(late), 0);
	/* what was closed stays closed */
	health_tick();
}

static void
draining(void **state)
{
	char text[100];

	(void)state;
	health_draining();
	assert_true(json_find_text(health(), "state", text, sizeof(text)));
	assert_string_equal(text, "draining");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_daemon_says_who_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_bad_reload_is_said_until_a_good_one, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    metrics_are_a_whole_page, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    what_cannot_be_said_is_an_error, setup, teardown),
		cmocka_unit_test(what_cannot_be_served_is_served_later),
		/* last: there is no way back */
		cmocka_unit_test_setup_teardown(draining, setup, teardown),
	};

	health_start("popgate-test", "/etc/test.conf");
	(void)snprintf(dir, sizeof(dir), "%s", unit_dir());
	(void)snprintf(status, sizeof(status), "%s/s", dir);
	(void)snprintf(metrics, sizeof(metrics), "%s/m", dir);
	(void)snprintf(status_at, sizeof(status_at), "unix:%s", status);
	(void)snprintf(metrics_at, sizeof(metrics_at), "unix:%s", metrics);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	(void)rmdir(dir);
	return failed;
}
