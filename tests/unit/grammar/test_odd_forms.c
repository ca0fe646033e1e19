/* SPDX-License-Identifier: ISC */
/* Odd forms of lines that servers and syslog daemons write, or that published
 * lines are one step from: each is a login of the right user and address, or
 * none, for a reason that an admin is told. 6.6.6.6 is written by a client or
 * by its DNS, and never comes out. */
#include "tests/unit/unit.h"

#include <string.h>

#include "common/base/addr.h"
#include "common/base/err.h"
#include "common/grammar/guess.h"
#include "common/grammar/parse.h"
#include "common/grammar/prefix.h"

enum { NOW = 1772550000 }; /* 2026-03-03 15:00:00 UTC */

static const struct row {
	const char *name;
	enum fate want;
	const char *want_user, *want_addr; /* of a login */
	const char *line;
} rows[] = {
	{ "a stamp with nanoseconds", FATE_LOGIN, "alice", "192.0.2.10",
	    "2026-03-03T08:01:11.123456789+01:00 mail dovecot: imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "a comma in front of the fraction", FATE_LOGIN, "alice", "192.0.2.10",
	    "2026-03-03T08:01:11,123+01:00 mail dovecot: imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "a blank for the T, no zone", FATE_LOGIN, "alice", "192.0.2.10",
	    "2026-03-03 08:01:11.123456 mail dovecot: imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "an unknown local offset", FATE_LOGIN, "alice", "192.0.2.10",
	    "2026-03-03T08:01:11-00:00 mail dovecot: imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "a zone of three quarters", FATE_LOGIN, "alice", "192.0.2.10",
	    "2026-03-03T08:01:11+05:45 mail dovecot: imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "RFC 3164 with a fraction", FATE_LOGIN, "alice", "192.0.2.10",
	    "Mar  3 08:01:11.123456 mail dovecot: imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "asctime(3)'s stamp", FATE_LOGIN, "alice", "192.0.2.10",
	    "Tue Mar  3 08:01:11 2026 mail dovecot: imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "RFC 5424", FATE_LOGIN, "alice", "192.0.2.10",
	    "<22>1 2026-03-03T08:01:11Z mail dovecot 812 - - imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "facility and priority behind the host", FATE_LOGIN, "alice",
	    "192.0.2.10",
	    "Mar  3 08:01:11 mail mail.info dovecot: imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "facility and priority in brackets", FATE_LOGIN, "alice",
	    "192.0.2.10",
	    "Mar  3 08:01:11 <mail.info> mail dovecot: imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "a host named mail.info", FATE_LOGIN, "alice", "192.0.2.10",
	    "Mar  3 08:01:11 mail.info dovecot: imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "hours only in a zone", FATE_BAD_TIME, NULL, NULL,
	    "2026-03-03T08:01:11.123456+01 mail dovecot: imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "a zone by name", FATE_UNKNOWN_PREFIX, NULL, NULL,
	    "Mar  3 08:01:11 CET mail dovecot: imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "RFC 5424 without its PRI", FATE_UNKNOWN_PREFIX, NULL, NULL,
	    "1 2026-03-03T08:01:11Z mail dovecot 812 - - imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "RFC 5424 without PRI and version", FATE_UNKNOWN_PREFIX, NULL, NULL,
	    "2026-03-03T08:01:11Z mail dovecot 812 - - imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "facility and priority in front of the host", FATE_UNKNOWN_PREFIX,
	    NULL, NULL,
	    "Mar  3 08:01:11 mail.info mail dovecot: imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "facility and priority in front of all", FATE_UNKNOWN_PREFIX, NULL,
	    NULL, "mail.info: Mar  3 08:01:11 mail dovecot: imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "dovecot: 2.4's word", FATE_LOGIN, "alice", "192.0.2.10",
	    "Mar  3 08:01:11 mail dovecot: imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "dovecot: 2.4, no lip", FATE_LOGIN, "alice", "192.0.2.10",
	    "Mar  3 08:01:11 mail dovecot: imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, TLS" },
	{ "dovecot: 2.4, ports", FATE_LOGIN, "alice", "192.0.2.10",
	    "Mar  3 08:01:11 mail dovecot: pop3-login: Logged in: user=<alice>, method=APOP, rip=192.0.2.10, rport=1234, lip=198.51.100.5, lport=110, mpid=1, TLS, session=<a>" },
	{ "dovecot: own log by stderr", FATE_LOGIN, "alice", "192.0.2.10",
	    "Mar  3 08:01:11 mail dovecot: imap-login: Info: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "dovecot: 2.4, a word between", FATE_UNKNOWN_SHAPE, NULL, NULL,
	    "Mar  3 08:01:11 mail dovecot: imap-login: Logged in as master: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "dovecot: 2.4, a reason of a failure", FATE_UNKNOWN_SHAPE, NULL, NULL,
	    "Mar  3 08:01:11 mail dovecot: imap-login: Logged in (auth failed, 1 attempts): user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "dovecot: 2.4, a failure", FATE_FAILED_LOGIN, NULL, NULL,
	    "Mar  3 08:01:11 mail dovecot: imap-login: Login aborted: Logged out (auth failed, 1 attempts in 2 secs) (auth_failed): user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "dovecot: referral", FATE_NOT_A_LOGIN, NULL, NULL,
	    "Mar  3 08:01:11 mail dovecot: imap-login: Login with referral [PROXY]: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "dovecot: address last", FATE_TRUNCATED, NULL, NULL,
	    "Mar  3 08:01:11 mail dovecot: imap-login: Login: user=<alice>, method=PLAIN, lip=198.51.100.5, rip=192.0.2.10" },
	{ "dovecot: address last, in 2.4", FATE_TRUNCATED, NULL, NULL,
	    "Mar  3 08:01:11 mail dovecot: imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10" },
	{ "dovecot: address last, another in the name", FATE_AMBIGUOUS, NULL,
	    NULL,
	    "Mar  3 08:01:11 mail dovecot: imap-login: Login: user=<x>, method=PLAIN, lip=198.51.100.5, rip=6.6.6.6>, method=PLAIN, lip=198.51.100.5, rip=192.0.2.1" },
	{ "dovecot: a second address behind the session", FATE_AMBIGUOUS, NULL,
	    NULL,
	    "Mar  3 08:01:11 mail dovecot: imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>, rip=6.6.6.6" },
	{ "dovecot: another user's name behind", FATE_AMBIGUOUS, NULL, NULL,
	    "Mar  3 08:01:11 mail dovecot: imap-login: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>, auth_user=<b>" },
	{ "dovecot: mapped IPv4", FATE_LOGIN, "alice", "192.0.2.10",
	    "Mar  3 08:01:11 mail dovecot: imap-login: Login: user=<alice>, method=PLAIN, rip=::ffff:192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "dovecot: mapped IPv4 in hexadecimal", FATE_LOGIN, "alice",
	    "192.0.2.10",
	    "Mar  3 08:01:11 mail dovecot: imap-login: Login: user=<alice>, method=PLAIN, rip=::ffff:c000:20a, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "dovecot: leading zero", FATE_BAD_ADDRESS, NULL, NULL,
	    "Mar  3 08:01:11 mail dovecot: imap-login: Login: user=<alice>, method=PLAIN, rip=192.0.2.010, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "dovecot: a network", FATE_BAD_ADDRESS, NULL, NULL,
	    "Mar  3 08:01:11 mail dovecot: imap-login: Login: user=<alice>, method=PLAIN, rip=192.0.2.10/32, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "dovecot: brackets", FATE_BAD_ADDRESS,
	    NULL, NULL, "Mar  3 08:01:11 mail dovecot: imap-login: Login: user=<alice>, method=PLAIN, rip=[2001:db8::1], lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "dovecot: an interface", FATE_BAD_ADDRESS, NULL, NULL,
	    "Mar  3 08:01:11 mail dovecot: imap-login: Login: user=<alice>, method=PLAIN, rip=fe80::1%eth0, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "dovecot: TLS with an error", FATE_LOGIN, "alice", "192.0.2.10",
	    "Mar  3 08:01:11 mail dovecot: imap-login: Login: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS: SSL_read() failed: error:0A000126, session=<a>" },
	{ "dovecot: anonymous, said last", FATE_ANONYMOUS, NULL, NULL,
	    "Mar  3 08:01:11 mail dovecot: imap-login: Login: user=<a>, rip=192.0.2.1, lip=198.51.100.5, session=<a>, method=ANONYMOUS" },
	{ "dovecot: no user", FATE_NO_USER, NULL, NULL,
	    "Mar  3 08:01:11 mail dovecot: imap-login: Login: user=<>, method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=1, TLS, session=<a>" },
	{ "cyrus: address in brackets alone", FATE_LOGIN, "moni", "192.0.2.84",
	    "Mar  3 08:01:11 mail imap[4]: event=login.good r.sessionid=m r.clienthost=[192.0.2.84] u.username=moni login.mech=plaintext" },
	{ "cyrus: address bare: as a name of DNS may be", FATE_BAD_ADDRESS,
	    NULL, NULL,
	    "Mar  3 08:01:11 mail imap[4]: event=login.good r.sessionid=m r.clienthost=192.0.2.84 u.username=moni login.mech=plaintext" },
	{ "cyrus: a name alone", FATE_BAD_ADDRESS, NULL, NULL,
	    "Mar  3 08:01:11 mail imap[4]: event=login.good r.sessionid=m r.clienthost=pc.example.net u.username=moni login.mech=plaintext" },
	{ "cyrus: no host", FATE_BAD_ADDRESS, NULL, NULL,
	    "Mar  3 08:01:11 mail imap[4]: event=login.good r.sessionid=m r.clienthost=~null~ u.username=moni login.mech=plaintext" },
	{ "cyrus: DNS names an address", FATE_LOGIN, "moni", "192.0.2.84",
	    "Mar  3 08:01:11 mail imap[4]: event=login.good r.sessionid=m r.clienthost=6.6.6.6[192.0.2.84] u.username=moni login.mech=plaintext" },
	{ "cyrus: two in brackets", FATE_BAD_ADDRESS, NULL, NULL,
	    "Mar  3 08:01:11 mail imap[4]: event=login.good r.sessionid=m r.clienthost=\"[6.6.6.6] [192.0.2.84]\" u.username=moni login.mech=plaintext" },
	{ "cyrus: a failure whose user is an event", FATE_FAILED_LOGIN, NULL,
	    NULL,
	    "Mar  3 08:01:11 mail imap[4]: event=login.bad r.clienthost=\"x [192.0.2.84]\" u.username=\"a event=login.good r.clienthost=[6.6.6.6]\"" },
	{ "cyrus: old, bare address", FATE_TRUNCATED, NULL, NULL,
	    "Mar  3 08:01:11 mail imap[4]: login: 192.0.2.80 heike plaintext+TLS User logged in" },
	{ "cyrus: old, no name", FATE_LOGIN, "heike", "192.0.2.80",
	    "Mar  3 08:01:11 mail imap[4]: login: [192.0.2.80] heike plaintext+TLS User logged in" },
	{ "cyrus: old, mapped", FATE_LOGIN, "heike", "192.0.2.80",
	    "Mar  3 08:01:11 mail imap[4]: login: pc.example.net [::ffff:192.0.2.80] heike PLAIN+TLS User logged in" },
	{ "cyrus: old, as in mail", FATE_BAD_ADDRESS, NULL, NULL,
	    "Mar  3 08:01:11 mail imap[4]: login: pc.example.net [IPv6:2001:db8::1] heike plaintext User logged in" },
	{ "cyrus: old, two in brackets", FATE_AMBIGUOUS, NULL, NULL,
	    "Mar  3 08:01:11 mail imap[4]: login: h [6.6.6.6] [192.0.2.80] heike plaintext+TLS User logged in" },
	{ "courier: no port", FATE_LOGIN, "ralf", "192.0.2.91",
	    "Mar  3 08:01:11 mail imapd: LOGIN, user=ralf, ip=[192.0.2.91]" },
	{ "courier: no port, a protocol", FATE_LOGIN, "ralf", "192.0.2.91",
	    "Mar  3 08:01:11 mail imapd: LOGIN, user=ralf, ip=[::ffff:192.0.2.91], protocol=IMAP" },
	{ "courier: port without brackets", FATE_UNKNOWN_SHAPE, NULL, NULL,
	    "Mar  3 08:01:11 mail imapd: LOGIN, user=ralf, ip=[192.0.2.91], port=40101, protocol=IMAP" },
	{ "courier: address without brackets", FATE_TRUNCATED, NULL, NULL,
	    "Mar  3 08:01:11 mail imapd: LOGIN, user=ralf, ip=::ffff:192.0.2.91, port=[40101], protocol=IMAP" },
	{ "courier: port without brackets, in the name", FATE_AMBIGUOUS, NULL,
	    NULL,
	    "Mar  3 08:01:11 mail imapd: LOGIN, user=x, ip=[6.6.6.6], port=40101, ip=[192.0.2.91], port=[1]" },
	{ "courier: multilog's word", FATE_LOGIN, "ralf", "192.0.2.91",
	    "Mar  3 08:01:11 mail imapd: INFO: LOGIN, user=ralf, ip=[192.0.2.91], port=[1]" },
	{ "courier: a tag of the admin's", FATE_UNKNOWN_TAG, NULL, NULL,
	    "Mar  3 08:01:11 mail courier-imapd: LOGIN, user=ralf, ip=[192.0.2.91], port=[1], protocol=IMAP" },
	{ "courier: a command that is a login", FATE_NOT_A_LOGIN, NULL, NULL,
	    "Mar  3 08:01:11 mail imapd: LOGIN: DEBUG: ip=[192.0.2.1], command=LOGIN, user=x, ip=[6.6.6.6], port=[1]" },
	{ "uw: host cut", FATE_TRUNCATED, NULL, NULL,
	    "Mar  3 08:01:11 mail ipop3d[9]: Login user=a host=pc [192.0.2.7" },
	{ "uw: address bare", FATE_TRUNCATED, NULL, NULL,
	    "Mar  3 08:01:11 mail ipop3d[9]: Login user=a host=192.0.2.7 nmsgs=1/1" },
	{ "uw: mapped", FATE_LOGIN, "cleo", "192.0.2.72",
	    "Mar  3 08:01:11 mail ipop3d[9]: Auth user=cleo host=[::ffff:192.0.2.72] nmsgs=0/0" },
	{ "qpopper: DNS names an address", FATE_LOGIN, "a", "192.0.2.7",
	    "Mar  3 08:01:11 mail popper[5]: (v4.0.9) POP login by user \"a\" at (6.6.6.6) 192.0.2.7" },
	{ "qpopper: statistics, DNS names an address", FATE_LOGIN, "arno",
	    "192.0.2.102",
	    "Mar  3 08:01:11 mail popper[9]: Stats: arno 0 0 5 21004 6.6.6.6 192.0.2.102" },
	{ "dbmail: mapped, with its port", FATE_LOGIN, "e", "192.0.2.1",
	    "Mar  3 08:01:11 mail dbmail-imapd[9]: Notice:[imap] _ic_login_enter(+1455): [0x55d0] login accepted: id [12] user [e] from [::ffff:192.0.2.1:40600]" },
	{ "dbmail: a second in the name", FATE_AMBIGUOUS, NULL, NULL,
	    "Mar  3 08:01:11 mail dbmail-imapd[9]: Notice:[imap] _ic_login_enter(+1455): [0x55d0] login accepted: id [12] user [x] from [6.6.6.6:1] from [192.0.2.1:2]" },
	{ "perdition: IPv6 in brackets", FATE_LOGIN, "paul",
	    "2001:db8::1", "Mar  3 08:01:11 mail perdition[9]: Auth: [2001:db8::1]:40200->[2001:db8::2]:143 client-secure=ssl authorisation_id=NONE authentication_id=\"paul\" server=\"i:143\" protocol=IMAP4 server-secure=plaintext status=\"ok\"" },
	{ "perdition: mapped", FATE_LOGIN, "paul", "192.0.2.123",
	    "Mar  3 08:01:11 mail perdition[9]: Auth: ::ffff:192.0.2.123:40200->198.51.100.5:143 client-secure=plaintext authorisation_id=NONE authentication_id=\"paul\" server=\"i:143\" protocol=IMAP4 server-secure=plaintext status=\"ok\"" },
	{ "imapproxy: IPv6 with its port", FATE_LOGIN, "tom", "2001:db8::1",
	    "Mar  3 08:01:11 mail in.imapproxyd[9]: LOGIN: 'tom' (2001:db8::1:40300) on new sd [12]" },
	{ "imapproxy: a second in the name", FATE_AMBIGUOUS, NULL, NULL,
	    "Mar  3 08:01:11 mail in.imapproxyd[9]: LOGIN: 'x' (6.6.6.6:1) on new sd [1]' (192.0.2.126:4) on new sd [12]" },
	{ "nginx: IPv6", FATE_LOGIN, "vito", "2001:db8::1",
	    "Mar  3 08:01:11 mail nginx: 2026/03/03 09:20:00 [info] 1402#0: *31 client logged in, client: 2001:db8::1, server: [::]:993, login: \"vito\", upstream: 198.51.100.1:143" },
	{ "nginx: a local socket", FATE_BAD_ADDRESS, NULL, NULL,
	    "Mar  3 08:01:11 mail nginx: 2026/03/03 09:20:00 [info] 1402#0: *31 client logged in, client: unix:, server: 0.0.0.0:993, login: \"vito\", upstream: 198.51.100.1:143" },
	{ "nginx: client with a port", FATE_BAD_ADDRESS, NULL, NULL,
	    "Mar  3 08:01:11 mail nginx: 2026/03/03 09:20:00 [info] 1402#0: *31 client logged in, client: 192.0.2.128:4711, server: 0.0.0.0:993, login: \"vito\", upstream: 198.51.100.1:143" },
	{ "nginx: submission", FATE_OTHER_SERVICE, NULL, NULL,
	    "Mar  3 08:01:11 mail nginx: 2026/03/03 09:20:00 [info] 1402#0: *31 client logged in, client: 192.0.2.128, server: 0.0.0.0:587, login: \"vito\", upstream: 198.51.100.1:143" },
	{ "stalwart: IPv6", FATE_LOGIN, "u@d", "2001:db8::1",
	    "2026-03-03T09:50:00Z INFO Authentication successful (auth.success) listenerId = \"imaptls\", localPort = 993, remoteIp = 2001:db8::1, remotePort = 40700, accountName = \"u@d\", accountId = 12" },
	{ "stalwart: mapped", FATE_LOGIN, "u@d", "192.0.2.1",
	    "2026-03-03T09:50:00Z INFO Authentication successful (auth.success) listenerId = \"imap\", localPort = 143, remoteIp = ::ffff:192.0.2.1, remotePort = 40700, accountName = \"u@d\", accountId = 12" },
	{ "stalwart: submission", FATE_OTHER_SERVICE, NULL, NULL,
	    "2026-03-03T09:50:00Z INFO Authentication successful (auth.success) listenerId = \"submissions\", localPort = 465, remoteIp = 192.0.2.1, remotePort = 40700, accountName = \"u@d\", accountId = 12" },
	{ "stalwart: the level padded", FATE_UNKNOWN_PREFIX, NULL, NULL,
	    "2026-03-03T09:50:00Z  INFO Authentication successful (auth.success) listenerId = \"imaptls\", localPort = 993, remoteIp = 192.0.2.1, remotePort = 40700, accountName = \"u@d\", accountId = 12" },
	{ "zimbra: through its proxy", FATE_AMBIGUOUS, NULL, NULL,
	    "2026-03-03 09:35:00,120 INFO  [ImapSSLServer-15] [name=u@d;ip=198.51.100.9;oip=6.6.6.6;] imap - user u@d authenticated, mechanism=PLAIN [TLS]" },
	{ "zimbra: an agent with an address", FATE_AMBIGUOUS, NULL, NULL,
	    "2026-03-03 09:35:00,120 INFO  [ImapServer-15] [name=u@d;ip=192.0.2.136;ua=x;ip=6.6.6.6;] imap - user u@d authenticated, mechanism=PLAIN [TLS]" },
	{ "vpopmail: mapped", FATE_LOGIN, "pia@example.org", "192.0.2.130", "Mar  3 08:01:11 mail vpopmail[9]: vchkpw-pop3: (PLAIN) login success pia@example.org:::ffff:192.0.2.130" },
	{ "vpopmail: two addresses", FATE_AMBIGUOUS, NULL, NULL,
	    "Mar  3 08:01:11 mail vpopmail[9]: vchkpw-imap: (CRAM-MD5) login success pia@example.org:6.6.6.6:192.0.2.130" },
	{ "vpopmail: SMTP", FATE_OTHER_SERVICE, NULL, NULL,
	    "Mar  3 08:01:11 mail vpopmail[9]: vchkpw-smtp: (PLAIN) login success pia@example.org:192.0.2.130" },
	{ "tpop3d: IPv6", FATE_LOGIN, "hans", "2001:db8::1",
	    "Mar  3 08:01:11 mail tpop3d[9]: fork_child: [6]2001:db8::1: began session for `hans' with pam; child PID is 77" },
	{ "tpop3d: name and address", FATE_BAD_ADDRESS, NULL, NULL,
	    "Mar  3 08:01:11 mail tpop3d[9]: fork_child: [6][192.0.2.1]pc.example.net: began session for `hans' with pam; child PID is 77" },
	{ "gnu-pop3d: a second in the name", FATE_AMBIGUOUS, NULL, NULL,
	    "Mar  3 08:01:11 mail gnu-pop3d[9]: User x logged in with mailbox y from 6.6.6.6 logged in with mailbox /m from 192.0.2.110" },
	{ "solid-pop3d: a name alone", FATE_BAD_ADDRESS, NULL, NULL,
	    "Mar  3 08:01:11 mail solid-pop3d[9]: user mara authenticated - pc.example.net" },
	{ "teapop: no name of DNS", FATE_UNKNOWN_SHAPE, NULL, NULL,
	    "Mar  3 08:01:11 mail teapop[9]: Successful login for fritz [198.51.100.5] from [192.0.2.112]" },
	{ "vpop3d: a second in the name", FATE_AMBIGUOUS, NULL, NULL,
	    "Mar  3 08:01:11 mail vpop3d: (x,6.6.6.6) Authenticated,192.0.2.146) Authenticated" },
	{ "cucipop: a second in the name", FATE_NOT_A_LOGIN, NULL, NULL,
	    "Mar  3 08:01:11 mail cucipop[9]: x 6.6.6.6 192.0.2.119 0, 3 (4821), 0 (0)" },
	{ "mailutils: no address", FATE_NO_ADDRESS, NULL, NULL,
	    "Mar  3 08:01:11 mail pop3d[9]: user `elke' logged in with mailbox `/m' (4 messages)" },
	{ "apple: another form of stamp and tag", FATE_NO_PREFIX, NULL, NULL,
	    "Mar 03 2026 10:00:00 mail IMAP User \"ilse\" log on successful from 192.0.2.145" },
};

/* As the collector reads it: what no grammar reads is asked what it looks like.
 */
static enum fate
fate_of(struct parser *parser, const char *line, struct parse_result *got)
{
	static char scratch[PREFIX_SCRATCH];
	size_t len = strlen(line);
	struct prefix prefix;

	parser_line(parser, line, len, NOW, got);
	if (got->fate == FATE_NO_PREFIX && guess_words(span_of(line, len)))
		return FATE_UNKNOWN_PREFIX;
	if (got->fate == FATE_OTHER_PROGRAM &&
	    prefix_split(line, len, false, &prefix, scratch) == PREFIX_OK &&
	    guess_server(prefix.program, prefix.msg) != NULL)
		return FATE_UNKNOWN_TAG;
	return got->fate;
}

static void
each_has_its_verdict(void **state)
{
	const struct parser_options options = { .servers = NULL };
	struct parser *parser;
	struct parse_result got;
	char addr[ADDR_TEXT_MAX];

	(void)state;
	assert_int_equal(parser_new(&options, &parser, NULL), 0);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].name);
		assert_string_equal(
		    fate_name(fate_of(parser, rows[i].line, &got)),
		    fate_name(rows[i].want));
		if (rows[i].want != FATE_LOGIN)
			continue;
		assert_string_equal(got.login.user, rows[i].want_user);
		assert_string_equal(
		    addr_format(&got.login.client, addr), rows[i].want_addr);
	}
	parser_free(&parser);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(
	    each_has_its_verdict) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
