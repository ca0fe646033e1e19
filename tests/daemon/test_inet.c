/* SPDX-License-Identifier: ISC */
/* A milter that listens on an inet socket, where all other tests use a Unix
 * socket: it starts, answers, and nudges libmilter. */
#include "tests/daemon/lab.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

/* A port that nobody used a moment ago. */
static unsigned
free_port(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_not_equal(fd, -1);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	(void)close(fd);
	return ntohs(sin.sin_port);
}

/* write_config() writes "unix:" before sock. */
static void
listen_at_port(unsigned port)
{
	static char text[20000];
	FILE *file = fopen(path("popgate.conf"), "r");
	char unix_listen[128];

	assert_non_null(file);
	size_t len = fread(text, 1, sizeof(text) - 1, file);

	(void)fclose(file);
	text[len] = '\0';
	(void)snprintf(unix_listen, sizeof(unix_listen), "\"unix:%s\"", sock);
	char *at = strstr(text, unix_listen);

	assert_non_null(at);
	file = fopen(path("popgate.conf"), "w");
	assert_non_null(file);
	(void)fprintf(file, "%.*s\"inet:%u@127.0.0.1\"%s", (int)(at - text),
	    text, port, at + strlen(unix_listen));
	assert_int_equal(fclose(file), 0);
	(void)snprintf(sock, sizeof(sock), "inet:%u@127.0.0.1", port);
}

static void
answers(void **state)
{
	struct mclient *mc = NULL;

	(void)state;
	assert_int_equal(stop_daemon(SIGTERM), 0);
	listen_at_port(free_port());
	launch_daemon();
	wait_until((mc = mclient_open(sock, 60000)) != NULL);
	mclient_close(&mc);
	mc = mta("198.51.100.7");
	mail(mc, "<s@y.test>");
	/* so many steps of one session that libmilter is nudged */
	for (int i = 0; i < 40; i++) {
		assert_accepted(rcpt(mc, REMOTE, "smtp"));
		(void)usleep(5000);
	}
	assert_int_equal(data(mc), 'c');
	mclient_close(&mc);
	mc = mta("203.0.113.9");
	mail(mc, "<s@y.test>");
	assert_reply(rcpt(mc, REMOTE, "smtp"), "550");
	mclient_close(&mc);
	assert_int_equal(health_number("sockets_good"), 1);
	assert_int_equal(stop_daemon(SIGTERM), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
