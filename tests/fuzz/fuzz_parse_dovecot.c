/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar dovecot: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES(
    { .program = "dovecot",
	.success = true,
	.msg = "imap-login: Login: user=<" FIRST ">, method=PLAIN, rip=" GENUINE
	       ", lip=198.51.100.5, mpid=1, TLS, session=<abc>" },
    { .program = "dovecot",
	.success = true,
	.msg = "pop3-login: Logged in: user=<" FIRST
	       ">, method=PLAIN, rip=" GENUINE ", lip=198.51.100.5" },
    { .program = "dovecot",
	.success = true,
	.msg = "imap-login: Login: rip=" GENUINE
	       ", lip=198.51.100.5, user=<" FIRST ">, method=PLAIN" },
    { .program = "dovecot",
	.success = true,
	.msg = "imap-login: Login: user=<" FIRST ">, method=PLAIN, rip=" GENUINE
	       ", lip=198.51.100.5, local_name=" SECOND ", TLS" },
    { .program = "imap-login",
	.success = true,
	.msg = "Login: " FIRST " [" GENUINE "]" },
    { .program = "dovecot",
	.success = false,
	.msg = "imap-login: Disconnected (auth failed, 1 attempts in 2 "
	       "secs): user=<" FIRST ">, method=PLAIN, rip=" GENUINE
	       ", lip=198.51.100.5, TLS, session=<abc>" },
    { .program = "dovecot",
	.success = false,
	.msg = "imap-login: Login aborted: Connection closed "
	       "(auth_failed): user=<" FIRST ">, method=PLAIN, rip=" GENUINE
	       ", lip=198.51.100.5" },
    { .program = "dovecot",
	.success = false,
	.msg = "imap-login: ID sent: name=" FIRST ", version=" SECOND
	       ": user=<>, rip=" GENUINE ", lip=198.51.100.5" },
    { .program = "dovecot",
	.success = false,
	.msg = "imap-login: proxy(" FIRST
	       "): started proxying to 192.0.2.250:143: user=<" FIRST
	       ">, method=PLAIN, rip=" GENUINE ", lip=198.51.100.5" },
    { .program = "dovecot",
	.success = false,
	.msg = "auth: passwd-file(" FIRST "," GENUINE
	       ",<x>): unknown user (given password: " SECOND ")" },
    { .program = "dovecot",
	.success = false,
	.msg = "imap(" FIRST ")<1><x>: Logged out in=1 out=2" },
    { .program = "dovecot",
	.success = false,
	.msg = "lmtp(" FIRST ")<1><x>: msgid=<" SECOND
	       ">: saved mail to INBOX" });
