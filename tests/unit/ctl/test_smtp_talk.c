/* SPDX-License-Identifier: ISC */
/* Messages and answers that can't be said to a mail server of this machine's
 * own network. */
#include "ctl/smtp/smtp_talk.h"

#include <errno.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"

/* A talk with a server that has greeted; fd[1] is the server's end. */
static struct smtp_talk *
greeted(int fd[2])
{
	static const char greeting[] = "220 mx.test ESMTP\r\n";
	struct smtp_talk *t;
	struct smtp_reply reply;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	assert_int_equal(write(fd[1], greeting, strlen(greeting)),
	    (int)strlen(greeting));
	assert_int_equal(
	    smtp_talk_begin(fd[0], false, 5000, &t, &reply), TALK_REPLY);
	return t;
}

static void
test_never_said(void **state)
{
	struct smtp_reply reply;
	bool taken = true;
	int fd[2];
	char buf[8];

	(void)state;
	struct smtp_talk *t = greeted(fd);

	/* no message where it could be a real server */
	smtp_talk_private(t, 10);
	assert_int_equal(
	    smtp_talk_message(t, &taken, &reply), TALK_BAD_ARGUMENT);
	assert_false(taken);
	/* no answer that nobody asked for: it would be a command */
	assert_int_equal(smtp_talk_say(t, SMTP_ANSWER, "DATA", 4, &reply),
	    TALK_BAD_ARGUMENT);
	assert_int_equal(recv(fd[1], buf, sizeof(buf), MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	smtp_talk_close(&t);
	(void)close(fd[1]);
}

/* A running server is asked from another network, too, as live.c does. */
static void
test_not_private(void **state)
{
	struct smtp_reply reply = { 0 };
	bool taken = true;
	int fd[2];
	char buf[8];

	(void)state;
	struct smtp_talk *t = greeted(fd);

	if (unshare(CLONE_NEWNET) == -1 &&
	    unshare(CLONE_NEWUSER | CLONE_NEWNET) == -1) {
		smtp_talk_close(&t);
		(void)close(fd[1]);
		skip();
	}
	assert_int_equal(
	    smtp_talk_message(t, &taken, &reply), TALK_BAD_ARGUMENT);
	assert_false(taken);
	/* one that may hear it, and whose limit isn't known */
	smtp_talk_private(t, 0);
	assert_int_equal(smtp_talk_message(t, &taken, &reply), TALK_REPLY);
	assert_true(taken);
	assert_int_equal(recv(fd[1], buf, sizeof(buf), MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	smtp_talk_close(&t);
	(void)close(fd[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never_said),
		cmocka_unit_test(test_not_private), /* last: it goes elsewhere */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
