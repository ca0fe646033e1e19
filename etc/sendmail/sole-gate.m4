dnl Sendmail, open, with popgate's milter as the only gate.  DANGER.
dnl
dnl    promiscuous_relay makes this Sendmail an OPEN RELAY.  The filter is all
dnl    that stands between it and the world's spam.  It stays an open relay
dnl    - without F=T (Sendmail's default is to let mail pass when the filter is
dnl      not there),
dnl    - when the filter is taken out but promiscuous_relay stays,
dnl    - on a DAEMON_OPTIONS line with an InputMailFilters= of its own.
dnl    Use closed.m4: it does the same for your users, and none of this can
dnl    happen.  This variant exists for set-ups that can have a milter only.
dnl
dnl In sendmail.mc, before the MAILER() lines:
dnl      include(`/etc/popgate/sendmail/sole-gate.m4')dnl
dnl
dnl F=T: popgate down means that no mail at all comes in, our own included, until
dnl it is back.  Nothing else is safe.
dnl
FEATURE(`promiscuous_relay')dnl
INPUT_MAIL_FILTER(`popgate', `S=unix:/run/popgate/milter.sock, F=T, T=S:10s;R:10s')dnl
