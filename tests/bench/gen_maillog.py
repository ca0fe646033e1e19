#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Write a synthetic mail log: gen_maillog.py LINES [SEED] > FILE

Four lines of five are an MTA's, as on a busy mail host; of the rest about
half are logins, of several servers. The same seed gives the same log."""
import random
import sys
import time


def main():
    lines = int(sys.argv[1])
    rnd = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    at = 1772496000
    out = []
    qid = 0

    def client():
        return "%d.%d.%d.%d" % (rnd.randrange(11, 220), rnd.randrange(256),
                                rnd.randrange(256), rnd.randrange(1, 255))

    def user():
        return "user%d@example.org" % rnd.randrange(50000)

    def session():
        return "".join(rnd.choices(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz012345", k=16))

    def noise():
        ip = client()
        pid = rnd.randrange(1000, 30000)
        q = "%X" % (0x4A000000 + qid)
        return rnd.choice((
            "postfix/smtpd[%d]: connect from unknown[%s]" % (pid, ip),
            "postfix/smtpd[%d]: disconnect from unknown[%s] ehlo=1 mail=1 "
            "rcpt=1 data=1 quit=1 commands=5" % (pid, ip),
            "postfix/smtpd[%d]: %s: client=mail.example.net[%s]"
            % (pid, q, ip),
            "postfix/cleanup[%d]: %s: message-id=<%d.%d@mail.example.net>"
            % (pid, q, pid, qid),
            "postfix/qmgr[%d]: %s: from=<%s>, size=%d, nrcpt=1 (queue active)"
            % (pid, q, user(), rnd.randrange(1000, 90000)),
            "postfix/local[%d]: %s: to=<%s>, relay=local, delay=0.05, "
            "delays=0.03/0/0/0.02, dsn=2.0.0, status=sent (delivered to "
            "maildir)" % (pid, q, user()),
            "postfix/smtp[%d]: %s: to=<%s>, relay=mx.example.net[%s]:25, "
            "delay=1.2, delays=0.1/0/0.4/0.7, dsn=2.0.0, status=sent (250 "
            "2.0.0 Ok: queued as 4bX2k)" % (pid, q, user(), ip),
            "postfix/smtpd[%d]: NOQUEUE: reject: RCPT from unknown[%s]: 554 "
            "5.7.1 <%s>: Relay access denied; from=<a@example.com> to=<%s> "
            "proto=ESMTP helo=<pc>" % (pid, ip, user(), user()),
            "sendmail[%d]: a23K0Abc%06d: from=<%s>, size=%d, class=0, "
            "nrcpts=1, proto=ESMTP, daemon=MTA, relay=[%s]"
            % (pid, qid % 1000000, user(), rnd.randrange(1000, 90000), ip),
            "postfix/qmgr[%d]: %s: removed" % (pid, q),
        ))

    def login():
        ip, u, pid = client(), user(), rnd.randrange(1000, 30000)
        kind = rnd.random()
        if kind < 0.70:
            return ("dovecot: %s-login: Login: user=<%s>, method=PLAIN, "
                    "rip=%s, lip=198.51.100.5, mpid=%d, TLS, session=<%s>"
                    % (rnd.choice(("imap", "pop3")), u, ip, pid, session()))
        if kind < 0.80:
            return ("imapd: LOGIN, user=%s, ip=[::ffff:%s], port=[%d], "
                    "protocol=IMAP" % (u, ip, pid))
        if kind < 0.88:
            return ("cyrus/imaps[%d]: login: pc.example.net [%s] %s "
                    "plaintext+TLS User logged in SESSIONID=<mail-%d>"
                    % (pid, ip, u, pid))
        if kind < 0.94:
            return ("ipop3d[%d]: Login user=%s host=pc.example.net [%s] "
                    "nmsgs=3/3" % (pid, u, ip))
        if kind < 0.97:
            return ("popper[%d]: (v4.0.9) POP login by user \"%s\" at "
                    "(pc.example.net) %s [pop_log.c:244]" % (pid, u, ip))
        return ("vpopmail[%d]: vchkpw-pop3: (PLAIN) login success %s:%s"
                % (pid, u, ip))

    def quiet():
        ip, u, pid = client(), user(), rnd.randrange(1000, 30000)
        return rnd.choice((
            "dovecot: imap(%s)<%d><%s>: Disconnected: Logged out in=96 "
            "out=1022 deleted=0 expunged=0 trashed=0 hdr_count=0 hdr_bytes=0 "
            "body_count=0 body_bytes=0" % (u, pid, session()),
            "dovecot: pop3(%s)<%d><%s>: Disconnected: Logged out top=0/0, "
            "retr=0/0, del=0/7, size=31224" % (u, pid, session()),
            "dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 "
            "secs): user=<%s>, method=PLAIN, rip=%s, lip=198.51.100.5, TLS, "
            "session=<%s>" % (u, ip, session()),
            "imapd: LOGOUT, user=%s, ip=[::ffff:%s], port=[%d], headers=0, "
            "body=0, rcvd=32, sent=401, time=2" % (u, ip, pid),
            "imapd: Connection, ip=[::ffff:%s], port=[%d]" % (ip, pid),
        ))

    stamp, stamp_at = "", -1
    for i in range(lines):
        if i % 40 == 0:
            at += 1
        if stamp_at != at:
            t = time.gmtime(at)
            stamp = time.strftime("%b ", t) + "%2d" % t.tm_mday + \
                time.strftime(" %H:%M:%S mail ", t)
            stamp_at = at
        qid += 1
        kind = rnd.random()
        body = noise() if kind < 0.80 else \
            login() if kind < 0.90 else quiet()
        out.append(stamp + body + "\n")
        if len(out) == 100000:
            sys.stdout.write("".join(out))
            out = []
    sys.stdout.write("".join(out))


main()
