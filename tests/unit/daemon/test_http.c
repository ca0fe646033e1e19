/* SPDX-License-Identifier: ISC */
#include "tests/unit/daemon/get.h"

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/daemon/http.h"

static char dir[64], path[80], where[90];

static int
write_good(FILE *to)
{
	(void)fputs("it is well\n", to);
	return 0;
}

static int
write_bad(FILE *to)
{
	(void)fputs("half a pa", to);
	return -1;
}

/* Print the request's argument "a". */
static int
write_echo(FILE *to, const struct http_request *request)
{
	const char *a = http_argument(request, "a");

	(void)fprintf(to, "[%s]", a == NULL ? "none" : a);
	return 0;
}

static const struct http_page pages[] = {
	{ "/good", "text/x-good", write_good, NULL },
	{ "/bad", "text/x-bad", write_bad, NULL },
	{ "/echo", "text/x-echo", NULL, write_echo },
	{ 0 },
};

static int
setup(void **state)
{
	struct http *h;
	struct err err;

	if (http_open("test.status", where, (gid_t)-1, pages, &h, &err) == -1)
		fail_msg("%s", err.text);
	*state = h;
	return 0;
}

static int
teardown(void **state)
{
	struct http *h = *state;

	http_close(&h);
	assert_null(h);
	assert_int_equal(access(path, F_OK), -1); /* the socket is removed */
	http_close(&h);
	return 0;
}

static void
replies(void **state)
{
	static const struct {
		const char *name, *request;
		const char *want, *want_too, *not ;
	} rows[] = {
		{ "a page", "GET /good HTTP/1.0\r\n\r\n", " 200 ",
		    "\r\n\r\nit is well\n", NULL },
		{ "its type", "GET /good HTTP/1.0\r\n\r\n", " 200 ",
		    "Content-Type: text/x-good\r\n", NULL },
		{ "nobody caches it", "GET /good HTTP/1.0\r\n\r\n", " 200 ",
		    "Cache-Control: no-store\r\n", NULL },
		{ "HEAD", "HEAD /good HTTP/1.0\r\n\r\n", " 200 ",
		    "Content-Length: 11\r\n", "it is well" },
		{ "a page that isn't there", "GET /else HTTP/1.0\r\n\r\n",
		    " 404 ", "no such page\n", NULL },
		{ "a page below one", "GET /good/more HTTP/1.0\r\n\r\n",
		    " 404 ", "no such page\n", NULL },
		{ "a page that can't be written", "GET /bad HTTP/1.0\r\n\r\n",
		    " 500 ", "this can't be said now\n", "half" },
		{ "an argument", "GET /echo?b=1&a=%3C+x%25%3e HTTP/1.0\r\n\r\n",
		    " 200 ", "\r\n\r\n[< x%>]", NULL },
		{ "no argument", "GET /echo?b=1 HTTP/1.0\r\n\r\n", " 200 ",
		    "\r\n\r\n[none]", NULL },
		{ "another method", "DELETE /good HTTP/1.0\r\n\r\n", " 405 ",
		    "Allow: GET, HEAD\r\n", "it is well" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *got = get_ask(get_connect(path), rows[i].request);

		if (strstr(got, rows[i].want) == NULL ||
		    strstr(got, rows[i].want_too) == NULL ||
		    (rows[i].not != NULL && strstr(got, rows[i].not ) != NULL))
			fail_msg("%s: got '%s'", rows[i].name, got);
	}
}

static void
a_body_is_not_taken(void **state)
{
	(void)state;
	const char *got = get_ask(get_connect(path),
	    "POST /good HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello");

	assert_null(strstr(got, "it is well"));
}

static void
its_readers_are_the_group(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
}

/* With 64 descriptors to be had, two connections are served at once. */
static void
one_too_many_waits(void **state)
{
	struct rlimit was, few;
	struct err err;
	struct http *h;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = was;
	few.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(
	    http_open("test.status", where, (gid_t)-1, pages, &h, &err), 0);
	int first = get_connect(path), second = get_connect(path);
	int third = get_connect(path);

	/* answered when it is its turn, and not dropped before */
	(void)close(first);
	assert_non_null(
	    strstr(get_ask(third, "GET /good HTTP/1.0\r\n\r\n"), " 200 "));
	(void)close(second);
	http_close(&h);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
}

static void
what_is_no_address_is_an_error(void **state)
{
	struct err err = { .code = ERR_NONE };
	struct http *h;

	(void)state;
	assert_int_equal(
	    http_open("test.status", "nonsense", (gid_t)-1, pages, &h, &err),
	    -1);
	assert_null(h);
	assert_int_not_equal(err.code, ERR_NONE);
	assert_int_equal(http_open("test.status", "unix:/no/such/dir/socket",
			     (gid_t)-1, pages, &h, &err),
	    -1);
	assert_null(h);
	assert_non_null(strstr(err.text, "/no/such/dir"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(replies, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_body_is_not_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    its_readers_are_the_group, setup, teardown),
		cmocka_unit_test(one_too_many_waits),
		cmocka_unit_test(what_is_no_address_is_an_error),
	};

	(void)snprintf(dir, sizeof(dir), "%s", unit_dir());
	(void)snprintf(path, sizeof(path), "%s/s", dir);
	(void)snprintf(where, sizeof(where), "unix:%s", path);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	(void)rmdir(dir);
	return failed;
}
