# SPDX-License-Identifier: ISC
"""The ways in which Sendmail is set up, each in a few lines of a sendmail.mc:
as the distributions do it, and as administrators go on from there."""
import dataclasses

CF = "include(`/usr/share/sendmail/cf/m4/cf.m4')dnl\n"
OUT = """\
define(`SMART_HOST', `[198.51.100.25]')dnl
define(`RELAY_MAILER_ARGS', `TCP $h 2525')dnl
"""
CALM = """\
define(`confTO_IDENT', `0')dnl
define(`confTO_ICONNECT', `5s')dnl
define(`confQUEUE_LA', `1000000')dnl
define(`confREFUSE_LA', `1000000')dnl
define(`confDONT_PROBE_INTERFACES', `True')dnl
"""
AUTH = "define(`confAUTH_MECHANISMS', `LOGIN PLAIN')dnl\n"
MAILERS = "MAILER(`local')dnl\nMAILER(`smtp')dnl\n"
PORT_25 = "DAEMON_OPTIONS(`Family=inet, Name=MTA, Port=25')dnl\n"


@dataclasses.dataclass
class Shape:
    name: str
    mc: str
    files: dict = dataclasses.field(default_factory=dict)
    ports: tuple = (25,)
    auth_only: tuple = ()       # ports that want AUTH of everybody
    auth: bool = False          # the shape offers AUTH
    trusted: bool = False       # and relays by it, without popgate
    filters: tuple = ()         # in the order in which they are asked
    lists: dict = dataclasses.field(default_factory=dict)  # port: filters
    notes: tuple = ()           # words that the wiring must say
    m4: tuple = ()              # arguments before the .mc
    keep_mc: bool = True
    address: str = "192.0.2.25"
    pid_file: str = "/var/run/sendmail/mta/sendmail.pid"
    own_words: tuple = ()       # (client, sender, recipient, code, text)
    block_lists: bool = False   # 10.9.200.0/24 is in one


SHAPES = [
    Shape("debian", """\
divert(-1)dnl
# This file is used to configure Sendmail for use with Debian systems.
divert(0)dnl
define(`_USE_ETC_MAIL_')dnl
""" + CF + """\
VERSIONID(`$Id: sendmail.mc $')
OSTYPE(`debian')dnl
DOMAIN(`debian-mta')dnl
undefine(`confHOST_STATUS_DIRECTORY')dnl        #DAEMON_HOSTSTATS=
FEATURE(`no_default_msa')dnl
dnl DAEMON_OPTIONS(`Family=inet6, Name=MTA-v6, Port=smtp, Addr=::1')dnl
DAEMON_OPTIONS(`Family=inet,  Name=MTA-v4, Port=smtp')dnl
DAEMON_OPTIONS(`Family=inet,  Name=MSP-v4, Port=submission, M=Ea')dnl
define(`confPRIVACY_FLAGS',dnl
`needmailhelo,needexpnhelo,needvrfyhelo,restrictqrun,restrictexpand,nobodyreturn,authwarnings')dnl
define(`confCONNECTION_RATE_THROTTLE', `15')dnl
define(`confCONNECTION_RATE_WINDOW_SIZE',`10m')dnl
FEATURE(`use_cw_file')dnl
FEATURE(`access_db', , `skip')dnl
FEATURE(`greet_pause', `10')dnl
FEATURE(`delay_checks', `friend', `n')dnl
FEATURE(`conncontrol', `nodelay', `terminate')dnl
FEATURE(`ratecontrol', `nodelay', `terminate')dnl
include(`/etc/mail/m4/dialup.m4')dnl
include(`/etc/mail/m4/provider.m4')dnl
""" + CALM + OUT + AUTH + "MAILER_DEFINITIONS\n" + MAILERS,
          ports=(25, 587), auth_only=(587,), auth=True,
          notes=("MSP-v4 wants AUTH",)),

    Shape("redhat", """\
divert(-1)dnl
dnl # /etc/mail/make makes /etc/mail/sendmail.cf of this file.
""" + CF + """\
VERSIONID(`setup for linux')dnl
OSTYPE(`linux')dnl
define(`confDEF_USER_ID', ``8:12'')dnl
define(`confTRY_NULL_MX_LIST', `True')dnl
define(`QUEUE_DIR', `/var/spool/mqueue/q*')dnl
define(`confPRIVACY_FLAGS', `authwarnings,novrfy,noexpn,restrictqrun')dnl
define(`confAUTH_OPTIONS', `A')dnl
define(`confAUTH_REALM', `mail')dnl
TRUST_AUTH_MECH(`EXTERNAL DIGEST-MD5 CRAM-MD5 LOGIN PLAIN')dnl
define(`confAUTH_MECHANISMS', `EXTERNAL GSSAPI DIGEST-MD5 CRAM-MD5 LOGIN PLAIN')dnl
define(`confCACERT_PATH', `/etc/ssl/certs')dnl
define(`confCACERT', `@CERT@')dnl
define(`confSERVER_CERT', `@CERT@')dnl
define(`confSERVER_KEY', `@CERT@')dnl
FEATURE(`no_default_msa', `dnl')dnl
FEATURE(`mailertable', `hash -o /etc/mail/mailertable.db')dnl
FEATURE(`virtusertable', `hash -o /etc/mail/virtusertable.db')dnl
FEATURE(redirect)dnl
FEATURE(always_add_domain)dnl
FEATURE(use_cw_file)dnl
FEATURE(use_ct_file)dnl
FEATURE(`access_db', `hash -T<TMPF> -o /etc/mail/access.db')dnl
FEATURE(`blacklist_recipients')dnl
EXPOSED_USER(`root')dnl
DAEMON_OPTIONS(`Port=smtp, Name=MTA')dnl
DAEMON_OPTIONS(`Port=submission, Name=MSA, M=Ea')dnl
DAEMON_OPTIONS(`Port=smtps, Name=TLSMTA, M=s')dnl
FEATURE(`accept_unresolvable_domains')dnl
LOCAL_DOMAIN(`localhost.localdomain')dnl
""" + CALM + OUT + "MAILER(smtp)dnl\nMAILER(local)dnl\n",
          files={"access": "Connect:localhost.localdomain RELAY\n"
                           "To:blocked@lab.test REJECT\n"},
          ports=(25, 587, 465), auth_only=(587,), auth=True, trusted=True,
          notes=("MSA wants AUTH",),
          own_words=(("stranger", "x@far.test", "blocked@lab.test", 550,
                      "Mailbox disabled"),)),

    Shape("redhat-loopback", """\
divert(-1)dnl
""" + CF + """\
OSTYPE(`linux')dnl
define(`confAUTH_OPTIONS', `A')dnl
FEATURE(`no_default_msa', `dnl')dnl
FEATURE(use_cw_file)dnl
FEATURE(`access_db', `hash -T<TMPF> -o /etc/mail/access.db')dnl
DAEMON_OPTIONS(`Port=smtp,Addr=127.0.0.1, Name=MTA')dnl
MASQUERADE_AS(`lab.test')dnl
FEATURE(masquerade_envelope)dnl
""" + CALM + OUT + MAILERS,
          address="127.0.0.1", notes=("loopback",)),

    Shape("never-undiverted", "divert(-1)\n" + CF + """\
define(`confDEF_USER_ID',``8:12'')
OSTYPE(`linux')
undefine(`UUCP_RELAY')
define(`confTRY_NULL_MX_LIST',true)
define('ALIAS_FILE','/etc/mail/aliases')
define(`confPRIVACY_FLAGS',`authwarnings,novrfy,noexpn,noetrn')
TRUST_AUTH_MECH(`LOGIN PLAIN GSSAPI DIGEST-MD5 CRAM-MD5')
define(`confAUTH_MECHANISMS',`LOGIN PLAIN GSSAPI DIGEST-MD5 CRAM-MD5')
FEATURE(`mailertable',`hash -o /etc/mail/mailertable')
FEATURE(redirect)
dnl FEATURE(`no_default_msa')
FEATURE(always_add_domain)
FEATURE(use_cw_file)
FEATURE(`access_db')
FEATURE(`blacklist_recipients')
""" + CALM + OUT + "MAILER(smtp)\nMAILER(local)\n",
          ports=(25, 587), auth=True, trusted=True),

    Shape("features-behind-mailers", CF + """\
OSTYPE(`linux')dnl
FEATURE(`use_cw_file')dnl
FEATURE(`delay_checks')dnl
""" + PORT_25 + CALM + OUT + AUTH + MAILERS + """
dnl # Masquerading options
FEATURE(`always_add_domain')dnl
MASQUERADE_AS(`lab.test')dnl
FEATURE(`allmasquerade')dnl
FEATURE(`masquerade_envelope')""",      # no newline at its end
          ports=(25, 587), auth=True),

    Shape("filters", CF + """\
OSTYPE(`linux')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`use_cw_file')dnl
DAEMON_OPTIONS(`Port=25, Name=MTA')dnl
DAEMON_OPTIONS(`Port=587, Name=MSA, M=E, InputMailFilters=second')dnl
DAEMON_OPTIONS(`Port=10025, Name=Back, Addr=127.0.0.1, I=second')dnl
INPUT_MAIL_FILTER(`first', `S=unix:/run/filters/first.sock, F=T, T=S:1m;R:1m')dnl
MAIL_FILTER(`second', `S=unix:/run/filters/second.sock, F=5')dnl
MAIL_FILTER(`unused', `S=unix:/run/filters/unused.sock')dnl
define(`confINPUT_MAIL_FILTERS', `second, first')dnl
""" + CALM + OUT + AUTH + MAILERS,
          ports=(25, 587), auth=True, filters=("second", "first"),
          lists={25: ("second", "first"), 587: ("second",)}),

    Shape("own-rules", CF + """\
OSTYPE(`linux')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`use_cw_file')dnl
define(`confRELAY_MSG', `"550 5.7.1 No relaying through $j"')dnl
""" + PORT_25 + CALM + OUT + AUTH + MAILERS + """\
LOCAL_CONFIG
Kforbidden regex -a@MATCH forbidden
LOCAL_RULESETS
SLocal_check_mail
R$*		$: $(forbidden $1 $)
R$*@MATCH	$#error $@ 5.7.1 $: "550 forbidden sender"
SLocal_check_rcpt
R$*		$: $1 $| $&{client_addr}
R<special@$*> $| $*	$#error $@ 5.7.1 $: "550 special is not at home"
R$* $| 10.9.250.3	$# OK
R$*		$: whatever is left
""",
          auth=True, notes=("rules of your own",),
          own_words=(
              ("stranger", "x@far.test", "special@lab.test", 550,
               "special is not at home"),
              ("logged in", "x@far.test", "special@remote.test", 550,
               "special is not at home"),
              ("logged in", "x-forbidden@far.test", "user@remote.test", 550,
               "forbidden sender"),
          )),

    Shape("rules-included", CF + """\
OSTYPE(`linux')dnl
FEATURE(`use_cw_file')dnl
include(`/etc/mail/m4/features.m4')dnl
""" + PORT_25 + CALM + OUT + MAILERS +
          "include(`/etc/mail/m4/rules.m4')dnl\n",
          files={"m4/features.m4":
                 "FEATURE(`access_db')dnl\nFEATURE(`delay_checks')dnl\n"
                 "INPUT_MAIL_FILTER(`first', "
                 "`S=unix:/run/filters/first.sock, F=T')dnl\n",
                 "m4/rules.m4":
                 "LOCAL_RULESETS\nSLocal_check_rcpt\n"
                 "R<special@$*>\t$#error $@ 5.7.1 $: \"550 special is "
                 "not at home\"\n",
                 "access": "Connect:10.9.250.5 REJECT\n"},
          filters=("first",), lists={25: ("first",)},
          notes=("rules of your own",),
          own_words=(("stranger", "x@far.test", "special@lab.test", 550,
                      "special is not at home"),)),

    Shape("old-sole-gate", "dnl # Ansible managed\n" + CF + """\
OSTYPE(`linux')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`use_cw_file')dnl
FEATURE(`promiscuous_relay')dnl
INPUT_MAIL_FILTER(`popgate', `S=unix:/run/popgate/milter.sock, F=T')dnl
""" + PORT_25 + CALM + OUT + AUTH + MAILERS,
          auth=True, notes=("open relay", "a program writes it",
                            "popgate's filter stands here")),

    Shape("old-closed", CF + """\
OSTYPE(`linux')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`use_cw_file')dnl
include(`/etc/mail/m4/popgate-old.m4')dnl
""" + PORT_25 + CALM + OUT + AUTH + MAILERS + """\
dnl Sendmail, closed, with popgate's socket map (recommended).
dnl First lock.
dnl
LOCAL_CONFIG
D{popgateEnd}\\"\\n\\"
Ksendmail socket -f -q -T<TMPF> unix:/run/popgate/elsewhere.sock
LOCAL_RULESETS
SLocal_check_rcpt
R$*			$: $1 $| $>"Basic_check_rcpt" $1
# every way in which Relay_ok says no
R$* $| $#error $* confRELAY_MSG $*	$: <ask> $1
R<ask> $*		$: $(sendmail $&{client_addr} $: <none> $)
R<permit>		$#OK
R$* <TMPF>		$#error $@ 4.3.0 $: "451 4.3.0 unavailable"
R$*			$@ popgate has no say
dnl Second lock and record
dnl
INPUT_MAIL_FILTER(`popgate', `S=unix:/run/popgate/other.sock, F=, T=S:10s;R:10s')dnl
""",
          files={"m4/popgate-old.m4": "dnl\n"}, auth=True,
          notes=("is replaced", "replaced by a file of their own")),

    Shape("relays-by-itself", CF + """\
OSTYPE(`linux')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`use_cw_file')dnl
FEATURE(`access_db')dnl
FEATURE(`relay_entire_domain')dnl
FEATURE(`relay_based_on_MX')dnl
RELAY_DOMAIN(`relay.test')dnl
""" + PORT_25 + CALM + OUT + AUTH + MAILERS,
          files={"access": "Connect:10.9.250.7 RELAY\nTo:to.test RELAY\n"},
          auth=True, notes=("relay_entire_domain", "relay_based_on_MX",
                            "access map relay")),

    Shape("no-sources", CF + """\
OSTYPE(`linux')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`use_cw_file')dnl
TRUST_AUTH_MECH(`PLAIN LOGIN')dnl
DAEMON_OPTIONS(`Port=25, Name=MTA')dnl
DAEMON_OPTIONS(`Port=587, Name=MSA, M=E, InputMailFilters=first')dnl
INPUT_MAIL_FILTER(`second', `S=unix:/run/filters/second.sock')dnl
MAIL_FILTER(`first', `S=unix:/run/filters/first.sock')dnl
""" + CALM + OUT + AUTH + MAILERS + """\
LOCAL_RULESETS
SLocal_check_rcpt
R<special@$*>	$#error $@ 5.7.1 $: "550 special is not at home"
""",
          ports=(25, 587), auth=True, trusted=True, keep_mc=False,
          filters=("first", "second"),
          lists={25: ("second",), 587: ("first",)},
          notes=("edited itself", "rules of your own"),
          own_words=(("stranger", "x@far.test", "special@lab.test", 550,
                      "special is not at home"),)),

    Shape("block-lists", CF + """\
OSTYPE(`linux')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`use_cw_file')dnl
FEATURE(`access_db', `hash -T<TMPF> -o /etc/mail/access')dnl
FEATURE(`dnsbl', `bl.test', `"550 refused, see http://bl.test/?" $&{client_addr}')dnl
FEATURE(`enhdnsbl', `bl.test', `', `t')dnl
""" + PORT_25 + CALM + OUT + AUTH + MAILERS,
          files={"access": "Connect:10.9.200.99 REJECT\n"}, auth=True,
          block_lists=True, notes=("isn't looked up in the DNS block lists",
                                   "access map's entries")),

    Shape("block-lists-delayed", "divert(-1)\n" + CF + """\
OSTYPE(`linux')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`use_cw_file')dnl
FEATURE(`delay_checks')dnl
FEATURE(`enhdnsbl', `bl.test')dnl
""" + PORT_25 + CALM + OUT + AUTH + MAILERS, auth=True, block_lists=True,
          keep_mc=False),

    Shape("no-cf.m4", """\
dnl ## paths and macros of its own
VERSIONID(`sendmail.mc')dnl
OSTYPE(`linux')dnl
define(`CF',`/etc/mail')dnl
define(`ZERO',`0s')dnl
define(`QUEUE_DIR',`/var/spool/mqueue')dnl
define(`ALIAS_FILE',`CF/aliases')
define(`confPID_FILE',`/run/sendmail/own.pid')dnl
define(`confDEF_USER_ID',`mail')dnl
define(`confPRIVACY_FLAGS',`goaway')dnl
define(`confMAX_RCPTS_PER_MESSAGE',`4')dnl
define(`confBAD_RCPT_THROTTLE',`3')dnl
define(`confTO_IDENT',`ZERO')dnl
DAEMON_OPTIONS(``Port=25,Addr=0.0.0.0,Name=MTA'')dnl
DAEMON_OPTIONS(``Port=587,Addr=0.0.0.0,Name=MSA,Modify=E'')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`use_cw_file')dnl
FEATURE(`access_db',`hash -T<TMPF> CF/access')dnl
FEATURE(`virtusertable',`hash CF/virtusertable')dnl
VIRTUSER_DOMAIN_FILE(`CF/local-host-names')dnl
RELAY_DOMAIN_FILE(`CF/relay-domains')dnl
""" + CALM + OUT + AUTH + MAILERS,
          m4=("/usr/share/sendmail/cf/m4/cf.m4",), ports=(25, 587), auth=True,
          pid_file="/run/sendmail/own.pid"),
]
