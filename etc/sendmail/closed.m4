dnl Sendmail, closed, with popgate's socket map (recommended).
dnl In sendmail.mc, after the MAILER() lines:
dnl      include(`/etc/popgate/sendmail/closed.m4')dnl
dnl then make sendmail.cf and restart Sendmail.
dnl
dnl First lock.  Sendmail judges every recipient by itself, as if popgate did
dnl not exist.  Only where its verdict is "Relaying denied" popgate is asked, and
dnl only popgate's <permit> relays; <refuse> and <tempfail> bring their own
dnl words.  Whatever else comes back, Sendmail's verdict stands.  So mail for our
dnl own recipients never waits for popgate, and popgate down means 451 for those
dnl who would be refused anyway.
dnl
dnl Rules of your own that stood in SLocal_check_rcpt go into SOwn_check_rcpt:
dnl they are asked first, and a recipient that they accept or refuse ($#OK,
dnl $#error) is never shown to popgate.
dnl
dnl Don't use TRUST_AUTH_MECH: popgate permits SMTP AUTH by itself, writes down
dnl why, and when it is down nothing is relayed for anybody.  Where it is used,
dnl AUTH relays by Sendmail's word alone, and the second lock writes it down.
dnl
dnl The key names client, AUTH mechanism and user, sender and recipient, and of a
dnl client certificate what Sendmail makes of it, subject, issuer and (with
dnl CertFingerprintAlgorithm) fingerprint, each followed by a quoted line feed.  No SMTP command can contain a line feed, so
dnl no address can pretend to be two fields.  Map flags: -f keep upper case,
dnl -q keep quotes, -T mark a failed lookup, which then matches none of the
dnl answers that relay.
dnl
dnl The socket's directory and all above it must be writable by root or their
dnl owner only, else Sendmail calls it unsafe and doesn't use it.
dnl
LOCAL_CONFIG
D{popgateEnd}\"\n\"
Ksendmail socket -f -q -T<TMPF> unix:/run/popgate/socketmap.sock
LOCAL_RULESETS
SOwn_check_rcpt
SLocal_check_rcpt
# rules of the administrator have the first word
R$*			$: $1 $| $>"Own_check_rcpt" $1
R$* $| $#$*		$#$2
R$* $| $*		$: $1
R$*			$: $1 $| $>"Basic_check_rcpt" $1
# every way in which Relay_ok says no
R$* $| $#error $* "550 Relaying denied" $*	$: <ask> $1
R$* $| $#error $* "550 Relaying denied. Proper authentication required." $*	$: <ask> $1
ifdef(`confRELAY_MSG', `R$* $| $#error $* confRELAY_MSG $*	$: <ask> $1
')dnl
R$* $| $#error $* "550 Relaying denied. IP name possibly forged " $*	$: <ask> $1
R$* $| $#error $* "550 Relaying denied. IP name lookup failed " $*	$: <ask> $1
R$* $| $#error $* "450 Relaying temporarily denied. Cannot resolve PTR record for " $*	$: <ask> $1
R<ask> $*		$: $(sendmail $&{client_addr} $&{popgateEnd} $&{auth_type} $&{popgateEnd} $&{auth_authen} $&{popgateEnd} $&f $&{popgateEnd} $1 $&{popgateEnd} $&{verify} $&{popgateEnd} $&{cert_subject} $&{popgateEnd} $&{cert_issuer} $&{popgateEnd} $&{cert_fp} $&{popgateEnd} $: <none> $)
R<permit>		$#OK
R<refuse> $+		$#error $@ 5.7.1 $: $1
R<tempfail> $+		$#error $@ 4.7.1 $: $1
R$* <TMPF>		$#error $@ 4.3.0 $: "451 4.3.0 Relaying is temporarily unavailable"
# Sendmail's own verdict, whatever it was
R$*			$@ popgate has no say
dnl Second lock and record: popgate sees every recipient that Sendmail let
dnl through for whatever reason, and refuses those it wouldn't permit.
dnl
dnl No F= flag is right here, and only here: Sendmail is closed, so a missing
dnl second lock opens nothing, while F=T would stop mail for our own domains as
dnl long as popgate is down.
dnl
INPUT_MAIL_FILTER(`popgate', `S=unix:/run/popgate/milter.sock, F=, T=S:10s;R:10s')dnl
