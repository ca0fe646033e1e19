/* SPDX-License-Identifier: ISC */
/* lab - a popgate-milter of its own in a new directory, and an MTA's side of
 * the conversation. What all tests of the daemon share. */
#ifndef POPGATE_LAB_H
#define POPGATE_LAB_H

#include "tests/unit/unit.h"

#include <sys/types.h>

#include "tests/bench/mclient.h"

extern char dir[64], sock[96]; /* the directory; milter.listen's path */
extern pid_t daemon_pid; /* 0: none */
extern unsigned daemon_files; /* RLIMIT_NOFILE; 0: as it is */
extern const char *daemon_log; /* its option -l: "stderr" */
/* The child calls this to get another standard error than the file "log". */
extern void (*daemon_log_open)(void);

/* A file in the directory; valid for the next three calls. */
const char *path(const char *name);

/* Write popgate.conf with more settings in these sections, limits that nobody
 * reaches unless there are other ones ("}; limits: { ..." in relay), and those
 * of config_milter in section milter (a short drain_timeout). */
extern const char *config_milter;
extern const char *config_policy; /* permit.policy; NULL: policy.sock */
void write_config(const char *relay, const char *audit);

/* How often the daemon's log holds text; wait until it is want times. */
int logged(const char *text);
void wait_logged(const char *text, int want);

/* Run statements on a database as another process would; sql_int() gives the
 * first column of the first row. */
void sql(const char *db, const char *text);
int sql_int(const char *db, const char *text);
/* The same as soon as it is what it should be: rows that nobody waits for are
 * written a little later. */
void wait_int(const char *db, const char *text, int want);

/* An empty login table whose collector is up to date; a login in it. */
void make_logins(void);
void login(const char *client, int seconds);

/* Start; start and wait until it answers; stop and return the wait status. */
void launch_daemon(void);
void start_daemon(void);
int stop_daemon(int sig);

/* An MTA's connection, through HELO; MAIL, which must be taken. */
struct mclient *mta(const char *client);
/* The same, as often as it is hung up on: connections that have just left may
 * still hold what it needs. */
struct mclient *mta_when_taken(const char *client);
/* The same as mta() of one whose {v} is v, and of a client's port. */
struct mclient *mta_from(const char *v, const char *client, unsigned port);
void mail(struct mclient *mc, const char *sender);
/* Returns "" for CONTINUE, else the reply text. */
const char *rcpt(struct mclient *mc, const char *to, const char *mailer);
/* With queue id "QUEUEID1", or another; returns the reply's code. */
char data(struct mclient *mc);
char data_as(struct mclient *mc, const char *queue_id);

/* RCPT until the answer begins with want, or is "": the daemon looks every now
 * and then at what it depends on. */
void wait_rcpt(struct mclient *mc, const char *to, const char *want);

/* The same as mta() for threads, and without an assertion: negotiation to HELO.
 * Returns false when the daemon is gone. */
bool greets(struct mclient *mc, const char *client);

/* Connect to a socket of the directory, with SOCK_NONBLOCK or 0. Any thread.
 * Returns -1 when nobody takes the connection. */
int connect_to(const char *name, int flags);

/* Ask the policy socket; reply gets what comes until the end. */
void ask(const char *name, const char *request, size_t len, char *reply,
    size_t size);

/* The part of an smtpd: keep a connection to the policy socket, and ask there.
 * The reply, "action=...", is valid until the next one. */
int policy_open(void);
const char *policy_ask(int fd, const char *request, int len);

/* Monotonic. */
int64_t now_ms(void);

/* A page of its status.sock or metrics.sock, with the headers; "" when there
 * is none. Returns text. Any thread. */
const char *
http_get(const char *name, const char *page, char *text, size_t size);
/* A number of the daemon's health page; 1 and 0 for true and false. */
int health_number(const char *key);

#define REMOTE "<x@remote.test>"
#define assert_reply(got, want)                                        \
	do {                                                           \
		const char *got_ = (got);                              \
		if (strncmp(got_, (want), strlen(want)) != 0)          \
			fail_msg("got '%s', want '%s'", got_, (want)); \
	} while (0)
#define assert_accepted(got) assert_string_equal((got), "")

/* cmocka: a directory with a running daemon; and its end, which fails when
 * the daemon's exit status does (a sanitizer's finding makes it). */
int setup(void **state);
int teardown(void **state);

#endif
