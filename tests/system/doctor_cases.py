# SPDX-License-Identifier: ISC
"""Misconfigurations that popgatectl doctor must name, each for a real server.

A case says how it differs from a good configuration, which finding it is, and
whether a stranger relays there and then ("open", with "how": what he says).
The test of the reading and the test of the live probe share the table.
"""
import dataclasses
import os
import pathlib
import subprocess

from lab.postfix import SERVICES

OURS = "ours.test"          # our domain
FOREIGN = "elsewhere.test"  # nobody's: DNS isn't asked
MILTER = "unix:/run/popgate/milter.sock"
POLICY = "unix:/run/popgate/policy.sock"
SOCKETMAP = "unix:/run/popgate/socketmap.sock"


@dataclasses.dataclass
class Case:
    name: str
    mta: str                    # postfix, sendmail, exim
    want: str                   # the finding above info; "" none
    main: dict = dataclasses.field(default_factory=dict)    # settings
    master: str = ""            # more lines for master.cf
    smtpd: str = ""             # options of the smtp service
    files: dict = dataclasses.field(default_factory=dict)   # name: text
    maps: tuple = ()            # of files: those that postmap indexes
    modes: dict = dataclasses.field(default_factory=dict)   # name: mode
    conf: str = ""              # popgate.conf; @DIR@ is the directory
    entries: tuple = ()         # popgatectl add
    counts: tuple = ()          # (server, reason): one line, now
    machine: str = ""           # shell: a network namespace's interfaces
    open: bool = False          # a stranger relays now
    local: bool = False         # listens to this machine only
    # what he says: sender, helo, recipient, anonymous, xclient, qmqp
    how: dict = dataclasses.field(default_factory=dict)
    info: str = ""              # a finding of severity info, too
    # Sendmail: lines of sendmail.mc before and after the mailers
    before: str = ""
    after: str = ""
    cf: tuple = ()              # (old, new) in the finished sendmail.cf


CONF = f"""\
milter: {{ listen = "{MILTER}"; }};
permit: {{ policy = "{POLICY}"; socketmap = "{SOCKETMAP}"; }};
relay: {{ local_domains = [ "{OURS}" ]; }};
"""

# --- Postfix ---

CLOSED = "permit_mynetworks, reject_unauth_destination"
POSTFIX_MAIN = {
    "compatibility_level": "3.6",
    "queue_directory": "{dir}/queue",
    "data_directory": "{dir}/data",
    "command_directory": "/usr/sbin",
    "daemon_directory": "/usr/lib/postfix/sbin",
    "multi_instance_enable": "no",
    "maillog_file": "{dir}/maillog",
    "maillog_file_prefixes": "{dir}",
    "import_environment": "MAIL_CONFIG",
    "myhostname": "mx." + OURS,
    "mydestination": OURS,
    "local_recipient_maps": "",
    "alias_maps": "", "alias_database": "",
    "mynetworks": "127.0.0.0/8 [::1]/128",
    "in_flow_delay": "0s",      # the probe takes back all that is accepted
    "smtp_host_lookup": "native",
    "smtp_dns_support_level": "disabled",
    "smtpd_relay_restrictions": CLOSED,
}
POSTFIX_MASTER = """\
{port} inet n - n - - smtpd
{smtpd}
""" + SERVICES + "{master}\n"


def postfix(name, want, main=None, **more):
    return Case(name, "postfix", want, main or {}, **more)


def rcpt(check, last="reject_unauth_destination"):
    """Only smtpd_recipient_restrictions, as before Postfix 2.10."""
    return {"smtpd_relay_restrictions": "",
            "smtpd_recipient_restrictions": f"{check}, {last}"}


def relay(check):
    return {"smtpd_relay_restrictions":
            f"permit_mynetworks, {check}, reject_unauth_destination"}


SENDER = {"sender": "boss@friend.test"}

POSTFIX = [
    postfix("a good configuration", ""),
    # what lets strangers through
    postfix("permit before the refusal", "postfix-relay-open",
            {"smtpd_relay_restrictions": "",
             "smtpd_restriction_classes": "friends, strict",
             "friends": "permit", "strict": "reject_unauth_destination",
             "smtpd_recipient_restrictions": "friends, strict"},
            open=True),
    postfix("permit before reject_unauth_destination", "postfix-no-reject",
            {"smtpd_relay_restrictions":
             "permit_mynetworks, permit, reject_unauth_destination"}),
    postfix("no refusal at all", "postfix-no-reject",
            {"smtpd_relay_restrictions": "permit_mynetworks"}),
    postfix("both lists are empty", "postfix-no-reject",
            {"smtpd_relay_restrictions": "",
             "smtpd_recipient_restrictions": ""}),
    # smtpd takes no mail at all like this, as the live test found
    postfix("warn_if_reject alone", "postfix-no-reject",
            {"smtpd_relay_restrictions":
             "permit_mynetworks, warn_if_reject reject_unauth_destination"}),
    postfix("warn_if_reject", "postfix-reject-only-warns",
            {"smtpd_relay_restrictions": "permit_mynetworks, "
             "warn_if_reject reject_unauth_destination, friends, reject",
             "smtpd_restriction_classes": "friends", "friends": "permit"},
            open=True),
    postfix("static:OK for clients", "postfix-permit-all",
            relay("check_client_access static:OK"), open=True),
    postfix("static:OK, a service's own", "postfix-permit-all",
            smtpd="    -o smtpd_relay_restrictions="
            "check_client_access,static:OK,reject", open=True),
    # master(8), which listens, doesn't heed it
    postfix("open, and local by -o inet_interfaces", "postfix-permit-all",
            smtpd="    -o inet_interfaces=127.0.0.1\n"
            "    -o smtpd_relay_restrictions="
            "check_client_access,static:OK,reject", open=True),
    postfix("static:OK for senders", "postfix-permit-all",
            relay("check_sender_access static:OK"), open=True),
    postfix("a pattern that matches everybody", "postfix-permit-all",
            relay("check_sender_access regexp:{dir}/all"), open=True,
            files={"all": "/.*/ OK\n"}),
    postfix("static permit_... in a table", "postfix-permit-all",
            relay("check_client_access static:permit"), open=True),
    # who says what he is
    postfix("a whitelist of sender domains", "postfix-sender-permits",
            relay("check_sender_access hash:{dir}/senders"),
            files={"senders": "friend.test OK\nspam.test REJECT\n"},
            maps=("senders",), open=True, how=SENDER),
    postfix("a whitelist of senders, old lists", "postfix-sender-permits",
            rcpt("check_sender_access hash:{dir}/senders"),
            files={"senders": "boss@friend.test OK\n"},
            maps=("senders",), open=True, how=SENDER),
    postfix("a sender whitelist not yet indexed", "postfix-sender-permits",
            relay("check_sender_access hash:{dir}/senders"),
            files={"senders": "friend.test OK\n"}),
    postfix("a sender whitelist inline", "postfix-sender-permits",
            relay("check_sender_access inline:{{friend.test=OK}}"),
            open=True, how=SENDER),
    postfix("a sender whitelist in texthash", "postfix-sender-permits",
            relay("check_sender_access texthash:{dir}/senders"),
            files={"senders": "# friends\n\nfriend.test\n   OK\n"},
            open=True, how=SENDER),
    postfix("a sender whitelist by pattern", "postfix-sender-permits",
            relay("check_sender_access regexp:{dir}/senders"),
            files={"senders": "/@friend\\.test$/ OK\n"},
            open=True, how=SENDER),
    postfix("a sender whitelist in a union of tables",
            "postfix-sender-permits",
            relay("check_sender_access unionmap:{{inline:{{a=DUNNO}}, "
                  "inline:{{friend.test=OK}}}}"), open=True, how=SENDER),
    postfix("a sender whitelist with blanks around it",
            "postfix-sender-permits",
            relay("check_sender_access inline:{{ {{ friend.test = OK }} }}"),
            open=True, how=SENDER),
    postfix("a sender whitelist through proxymap", "postfix-sender-permits",
            dict(relay("check_sender_access proxy:hash:{dir}/senders"),
                 proxy_read_maps="hash:{dir}/senders"),
            # open as well, but smtpd waits for proxymap for ever in the
            # live test's name space
            files={"senders": "friend.test OK\n"}, maps=("senders",)),
    postfix("a sender whitelist in a class", "postfix-sender-permits",
            dict(relay("friends"), smtpd_restriction_classes="friends",
                 friends="check_sender_access inline:{{friend.test=OK}}"),
            open=True, how=SENDER),
    postfix("a sender whitelist by a class in a table",
            "postfix-sender-permits",
            dict(relay("check_sender_access inline:{{friend.test=friends}}"),
                 smtpd_restriction_classes="friends",
                 friends="reject_non_fqdn_sender, permit"),
            open=True, how=SENDER),
    postfix("a sender whitelist of one service", "postfix-sender-permits",
            smtpd="    -o {{ smtpd_relay_restrictions = permit_mynetworks, "
            "check_sender_access inline:{{friend.test=OK}}, reject }}",
            open=True, how=SENDER),
    postfix("OK to the null sender", "postfix-sender-permits",
            relay("check_sender_access inline:{{<>=OK}}"), open=True,
            how={"sender": ""}),
    # "this is not allowed for security reasons", says smtpd, and 451
    postfix("OK to a domain's mail exchangers", "",
            relay("check_sender_mx_access inline:{{192.0.2.9=OK}}")),
    postfix("a HELO name", "postfix-helo-permits",
            relay("check_helo_access inline:{{mail.friend.test=OK}}"),
            open=True, how={"helo": "mail.friend.test"}),
    postfix("a HELO pattern", "postfix-helo-permits",
            relay("check_helo_access pcre:{dir}/helo"),
            files={"helo": "/^scanner-/ OK\n"}),
    postfix("OK to a reverse name nobody verified", "",
            relay("check_reverse_client_hostname_access "
                  "inline:{{.friend.test=OK}}")),
    postfix("a reply code without words", "postfix-map-digits",
            relay("check_sender_access inline:{{friend.test=550}}"),
            open=True, how=SENDER),
    postfix("a time stamp for senders", "postfix-map-digits",
            relay("check_sender_access inline:{{friend.test=1700000000}}"),
            open=True, how=SENDER),
    postfix("a foreign recipient", "postfix-recipient-permits",
            relay("check_recipient_access inline:{{friend.test=OK}}"),
            open=True, how={"recipient": "someone@friend.test"}),
    postfix("every postmaster", "postfix-recipient-permits",
            relay("check_recipient_access inline:{{postmaster@=OK}}"),
            open=True, how={"recipient": "postmaster@" + FOREIGN}),
    postfix("a recipient pattern without an end",
            "postfix-recipient-permits",
            relay("check_recipient_access regexp:{dir}/rcpt"),
            files={"rcpt": "/^abuse@/ OK\n"}, open=True,
            how={"recipient": "abuse@" + FOREIGN}),
    # clients
    postfix("a client table for everybody", "postfix-client-map-open",
            relay("check_client_access cidr:{dir}/clients"),
            files={"clients": "192.0.2.1 OK\n0.0.0.0/0 OK\n"}, open=True),
    postfix("a client table for half of the world",
            "postfix-client-map-open",
            relay("check_client_access cidr:{dir}/clients"),
            files={"clients": "0.0.0.0/1 OK\n128.0.0.0/1 REJECT\n"}),
    postfix("clients without a name", "postfix-client-map-open",
            relay("check_client_access inline:{{unknown=OK}}"), open=True),
    postfix("a client network by octets", "postfix-client-map-wide",
            relay("check_client_access hash:{dir}/clients"),
            files={"clients": "198.51 OK\n192.0.2.7 OK\n"},
            maps=("clients",)),
    postfix("a wide client network", "postfix-client-map-wide",
            relay("check_client_access cidr:{dir}/clients"),
            files={"clients": "198.51.0.0/16 OK\n"}),
    postfix("clients by name", "postfix-client-name-permits",
            relay("check_client_access inline:{{dsl.friend.test=OK}}")),
    postfix("clients by a pattern of names", "postfix-client-name-permits",
            relay("check_client_access regexp:{dir}/clients"),
            files={"clients": "/10\\.0\\./ OK\n"}),
    postfix("clients below a name, where the service looks that up",
            "postfix-client-name-permits",
            relay("check_client_access inline:{{.dsl.friend.test=OK}}"),
            smtpd="    -o parent_domain_matches_subdomains="),
    # mynetworks
    postfix("mynetworks is the world", "postfix-mynetworks-open",
            {"mynetworks": "0.0.0.0/0"}, open=True),
    postfix("mynetworks is half of the world", "postfix-mynetworks-open",
            {"mynetworks": "127.0.0.0/8 192.0.0.0/2"}, open=True),
    postfix("mynetworks is all of IPv6", "postfix-mynetworks-open",
            {"mynetworks": "127.0.0.0/8 [2000::]/3"}),
    postfix("mynetworks from a table that always answers",
            "postfix-mynetworks-open", {"mynetworks": "static:all"},
            open=True),
    postfix("mynetworks from a file", "postfix-mynetworks-open",
            {"mynetworks": "{dir}/networks"},
            files={"networks": "127.0.0.0/8\n0.0.0.0/0 # for a while\n"},
            open=True),
    postfix("mynetworks of one service", "postfix-mynetworks-open",
            smtpd="    -o mynetworks=0.0.0.0/0", open=True),
    postfix("mynetworks by another setting", "postfix-mynetworks-open",
            {"mynetworks": "127.0.0.0/8 $customers",
             "customers": "0.0.0.0/0"}, open=True),
    postfix("a wide mynetworks", "postfix-mynetworks-wide",
            {"mynetworks": "127.0.0.0/8 198.51.0.0/16"}),
    postfix("a wide private mynetworks", "postfix-mynetworks-wide",
            {"mynetworks": "127.0.0.0/8 10.0.0.0/8"}),
    postfix("a wide IPv6 mynetworks", "postfix-mynetworks-wide",
            {"mynetworks": "127.0.0.0/8 [2001:db8::]/32"}),
    postfix("mynetworks_style", "postfix-mynetworks-style",
            {"mynetworks": None, "mynetworks_style": "class"}),
    # other rights
    postfix("permit_mx_backup", "postfix-mx-backup",
            relay("permit_mx_backup")),
    postfix("any certificate", "postfix-any-certificate",
            dict(relay("permit_tls_all_clientcerts"),
                 smtpd_tls_ask_ccert="yes")),
    postfix("any fingerprint", "postfix-any-certificate",
            dict(relay("permit_tls_clientcerts"),
                 relay_clientcerts="static:OK")),
    postfix("AUTH ANONYMOUS", "postfix-sasl-anonymous",
            dict(relay("permit_sasl_authenticated"),
                 smtpd_sasl_auth_enable="yes", smtpd_tls_auth_only="yes",
                 smtpd_sasl_security_options="noplaintext")),
    postfix("AUTH without TLS", "postfix-auth-without-tls",
            dict(relay("permit_sasl_authenticated"),
                 smtpd_sasl_auth_enable="yes")),
    postfix("AUTH without TLS on one service", "postfix-auth-without-tls",
            smtpd="    -o smtpd_sasl_auth_enable=yes"),
    postfix("all of a top level domain", "postfix-relay-domains-all",
            {"relay_domains": "test",
             "parent_domain_matches_subdomains": "relay_domains"},
            open=True),
    postfix("relay_domains is static", "postfix-relay-domains-all",
            {"relay_domains": "static:ok"}, open=True),
    postfix("relay_domains is a pattern for all",
            "postfix-relay-domains-all",
            {"relay_domains": "regexp:{dir}/relay"},
            files={"relay": "/./ ok\n"}, open=True),
    postfix("relay_domains in a wildcard", "postfix-relay-domains-all",
            {"relay_domains": ".test",
             "parent_domain_matches_subdomains": ""}, open=True),
    postfix("relay_domains is static, and what is refused isn't asked of it",
            "postfix-relay-domains-all",
            {"relay_domains": "static:ok", "smtpd_relay_restrictions":
             "permit_mynetworks, permit_auth_destination, reject"},
            open=True),
    postfix("a top level domain besides our own",
            "postfix-relay-domains-all",
            {"relay_domains": "mx " + OURS + " test",
             "parent_domain_matches_subdomains": "relay_domains"},
            open=True),
    postfix("a star is no pattern in relay_domains", "",
            {"relay_domains": "*",
             "parent_domain_matches_subdomains": "relay_domains"}),
    postfix("relay_domains is static, but every service refuses all", "",
            {"relay_domains": "static:ok"},
            smtpd="    -o smtpd_relay_restrictions="
            "permit_sasl_authenticated,reject"),
    postfix("relay_domains is static, but only some clients get that far",
            "", {"relay_domains": "static:ok",
                 "smtpd_client_restrictions":
                 "permit_mynetworks, reject"}),
    postfix("relay_domains is static, for this machine", "",
            {"relay_domains": "static:ok",
             "inet_interfaces": "loopback-only"}, local=True),
    postfix("the default of old, and a host name without a dot", "",
            {"compatibility_level": "0", "myhostname": "ubuntu",
             "mydestination": "$myhostname, ubuntu01, localhost." + OURS +
             ", localhost"}),
    postfix("a relay domain that is no top level domain", "",
            {"relay_domains": "ubuntu01 lan xy-1",
             "parent_domain_matches_subdomains": "relay_domains"}),
    postfix("mydestination is static", "postfix-domains-all",
            {"mydestination": "static:ok"}),
    postfix("routed addresses", "postfix-untrusted-routing",
            {"allow_untrusted_routing": "yes"}),
    postfix("XCLIENT for everybody", "postfix-xclient-open",
            {"smtpd_authorized_xclient_hosts": "static:all"}, open=True,
            how={"xclient": "ADDR=127.0.0.1"}),
    postfix("XCLIENT for a network", "postfix-xclient-wide",
            {"smtpd_authorized_xclient_hosts": "198.51.100.0/24"}),
    postfix("PROXY on the open port", "postfix-proxy-protocol",
            {"smtpd_upstream_proxy_protocol": "haproxy"}),
    postfix("QMQP for everybody", "postfix-qmqpd-open",
            {"qmqpd_authorized_clients": "0.0.0.0/0"},
            master="628 inet n - n - - qmqpd\n"),
    postfix("a policy service that fails open", "postfix-policy-fails-open",
            dict(relay("check_policy_service unix:private/nobody"),
                 smtpd_policy_service_default_action="OK",
                 smtpd_policy_service_try_limit="1"), open=True),
    postfix("a policy service that fails open by itself",
            "postfix-policy-fails-open",
            relay("check_policy_service {{ unix:private/nobody, "
                  "try_limit=1, {{ default_action = permit }} }}"),
            open=True),
    # the files
    postfix("main.cf for everybody", "postfix-config-writable",
            modes={"main.cf": 0o666}),
    postfix("master.cf for everybody", "postfix-config-writable",
            modes={"master.cf": 0o646}),
    postfix("a table for everybody", "postfix-config-writable",
            relay("check_client_access hash:{dir}/clients"),
            files={"clients": "192.0.2.7 OK\n"}, maps=("clients",),
            modes={"clients": 0o666}),
    # popgate's wiring
    postfix("a sole gate that accepts when down", "postfix-milter-accept",
            dict(relay("check_client_access static:OK"),
                 smtpd_milters=MILTER, milter_default_action="accept"),
            conf=CONF, open=True),
    postfix("a sole gate that accepts by itself", "postfix-milter-accept",
            dict(relay("check_client_access static:OK"),
                 smtpd_milters="{{ " + MILTER +
                 ", default_action=accept }}"), conf=CONF, open=True),
    postfix("a sole gate, told that everybody logged in",
            "postfix-macro-auth-open",
            dict(relay("check_client_access static:OK"),
                 smtpd_milters=MILTER,
                 milter_macro_defaults="auth_type=PLAIN, auth_authen=x"),
            conf=CONF),
    postfix("told that everybody logged in", "postfix-macro-auth",
            dict(relay("check_policy_service " + POLICY),
                 smtpd_milters=MILTER,
                 milter_macro_defaults="{{auth_type}}=PLAIN"),
            conf=CONF),
    postfix("a listener without popgate",
            "postfix-service-without-popgate",
            dict(relay("check_policy_service " + POLICY),
                 smtpd_milters=MILTER), conf=CONF,
            master="2587 inet n - n - - smtpd -o smtpd_milters=\n"),
    postfix("a listener that has no milters at all",
            "postfix-service-without-popgate",
            dict(relay("check_policy_service " + POLICY),
                 smtpd_milters=MILTER), conf=CONF,
            master="2587 inet n - n - - smtpd\n"
            "    -o receive_override_options=no_milters\n"),
    postfix("popgate for local submission", "postfix-non-smtpd-popgate",
            dict(relay("check_policy_service " + POLICY),
                 smtpd_milters=MILTER, non_smtpd_milters="$smtpd_milters"),
            conf=CONF),
    postfix("a chroot without the socket", "postfix-chroot-socket",
            dict(relay("check_policy_service " + POLICY),
                 smtpd_milters=MILTER), conf=CONF,
            master="2525 inet n - y - - smtpd\n"),
    postfix("popgate behind the refusal", "postfix-popgate-too-late",
            {"smtpd_relay_restrictions":
             "reject_unauth_destination, check_policy_service " + POLICY},
            conf=CONF),
    postfix("milters turned off for clients", "postfix-milter-maps",
            dict(relay("check_policy_service " + POLICY),
                 smtpd_milters=MILTER,
                 smtpd_milter_maps="cidr:{dir}/milters"), conf=CONF,
            files={"milters": "198.51.100.0/24 DISABLE\n"}),
    # what looks bad and isn't
    postfix("a sender whitelist behind the refusal", "",
            {"smtpd_relay_restrictions": CLOSED + ", "
             "check_sender_access inline:{{friend.test=OK}}"}),
    postfix("a sender whitelist that the other list covers", "",
            {"smtpd_recipient_restrictions":
             "check_sender_access inline:{{friend.test=OK}}, "
             "reject_rbl_client dnsbl.invalid"}),
    postfix("a sender whitelist in the sender restrictions", "",
            {"smtpd_sender_restrictions":
             "check_sender_access inline:{{friend.test=OK}}"}),
    postfix("a sender blacklist", "",
            relay("check_sender_access inline:{{spam.test=REJECT}}")),
    postfix("a sender table that says what to check", "",
            relay("check_sender_access "
                  "inline:{{friend.test=reject_unknown_client_hostname}}")),
    postfix("our own recipient", "",
            relay("check_recipient_access regexp:{dir}/rcpt"),
            files={"rcpt": "/@ours\\.test$/ OK\n"}),
    postfix("a submission service that wants AUTH", "",
            {"mynetworks": "127.0.0.0/8"},
            master="587 inet n - n - - smtpd\n"
            "    -o smtpd_tls_security_level=encrypt\n"
            "    -o smtpd_sasl_auth_enable=yes\n"
            "    -o smtpd_relay_restrictions=\n"
            "    -o smtpd_recipient_restrictions="
            "permit_sasl_authenticated,reject\n"),
    postfix("a client list that refuses the rest", "",
            dict(relay("check_client_access static:OK"),
                 smtpd_client_restrictions="permit_mynetworks, reject")),
    postfix("a content filter's way back", "",
            master="127.0.0.1:10025 inet n - n - - smtpd\n"
            "    -o smtpd_relay_restrictions=\n"
            "    -o smtpd_recipient_restrictions="
            "permit_mynetworks,reject\n"),
    postfix("a local service that relays for all", "",
            master="127.0.0.1:10025 inet n - n - - smtpd\n"
            "    -o smtpd_relay_restrictions="
            "check_client_access,static:OK,reject\n",
            info="postfix-local-service"),
    # nobody answers there; Postfix need not try twice, a second apart
    postfix("another policy service", "",
            relay("check_policy_service inet:127.0.0.1:10031") |
            {"smtpd_policy_service_try_limit": "1"},
            info="postfix-policy-unknown"),
    postfix("a table that can't be listed", "",
            relay("check_sender_access ldap:{dir}/ldap.cf"),
            info="postfix-not-understood"),
]


def write_postfix(case, directory, port=25):
    """The case's configuration, to be started with postfix -c directory."""
    directory = pathlib.Path(directory)
    for name in ("queue", "data"):
        (directory / name).mkdir(exist_ok=True)
    main = {**POSTFIX_MAIN, **case.main}
    fill = {"dir": directory, "port": port}
    (directory / "main.cf").write_text("".join(
        f"{name} = {value.format(**fill)}\n"
        for name, value in main.items() if value is not None))
    (directory / "master.cf").write_text(POSTFIX_MASTER.format(
        smtpd=case.smtpd.format(**fill) if case.smtpd else "#",
        master=case.master, **fill))
    for name, text in case.files.items():
        (directory / name).write_text(text)
    for name in case.maps:
        subprocess.run(["postmap", "-c", directory,
                        f"hash:{directory / name}"], check=True)
    for name, mode in case.modes.items():
        os.chmod(directory / name, mode)
    return directory


# --- Sendmail ---

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("POPGATE_BUILD", TOP / "build")).resolve()
PACKAGE = BUILD / "sendmail"
LIBEXEC = PACKAGE / "usr/libexec/sendmail"
SENDMAIL_MC = """\
divert(-1)
include(`{cf}/m4/cf.m4')
divert(0)dnl
VERSIONID(`doctor')
OSTYPE(`linux')
define(`confDOMAIN_NAME', `mx.{ours}')
define(`confPID_FILE', `{dir}/pid')
define(`QUEUE_DIR', `{dir}/queue')
define(`STATUS_FILE', `{dir}/statistics')
define(`ALIAS_FILE', `')
define(`confCR_FILE', `-o {dir}/relay-domains')
define(`confCW_FILE', `{dir}/local-host-names')
define(`confDONT_PROBE_INTERFACES', `True')
define(`confTO_IDENT', `0')
define(`confBAD_RCPT_THROTTLE', `0')
FEATURE(`use_cw_file')
FEATURE(`nocanonify')
FEATURE(`accept_unresolvable_domains')
FEATURE(`no_default_msa')
FEATURE(`access_db', `hash -T<TMPF> -o {dir}/access')
DAEMON_OPTIONS(`Name=MTA, Port={port}')
{before}
MAILER(`local')
MAILER(`smtp')
{after}
"""


def sendmail(name, want, before="", **more):
    return Case(name, "sendmail", want, before=before, **more)


def feature(name, *args):
    return f"FEATURE({', '.join(f'`{a}' + chr(39) for a in (name, *args))})"


def access(text, **more):
    return {"files": {"access": text}, "maps": ("access",), **more}


FILTER = f"S={MILTER}, F=, T=S:10s;R:10s"
TRUSTING = f"INPUT_MAIL_FILTER(`popgate', `S={MILTER}, F=T')"

VIRTUAL = "FEATURE(`virtusertable', `hash -o {dir}/virtusertable')"

SENDMAIL = [
    sendmail("a good configuration", "",
             **access("Connect:127 RELAY\nConnect:192.0.2.7 RELAY\n"
                      "To:relay.test RELAY\nspam.test REJECT\n"
                      "From:friend.test OK\n")),
    sendmail("promiscuous_relay", "sendmail-promiscuous",
             feature("promiscuous_relay"), open=True),
    sendmail("relay_local_from", "sendmail-local-from",
             feature("relay_local_from"), open=True,
             how={"sender": "boss@" + OURS}),
    sendmail("relay_mail_from without a sender", "sendmail-mail-from",
             feature("relay_mail_from")),
    sendmail("relay_mail_from", "sendmail-sender-permits",
             feature("relay_mail_from"),
             **access("From:boss@friend.test RELAY\n", open=True,
                      how=SENDER)),
    sendmail("relay_mail_from by domain", "sendmail-sender-permits",
             feature("relay_mail_from", "domain"),
             **access("From:friend.test RELAY\n", open=True, how=SENDER)),
    sendmail("relay_mail_from, not yet made into a map",
             "sendmail-mail-from", feature("relay_mail_from"),
             files={"access": "From:boss@friend.test\tRELAY\n"}),
    sendmail("relay_entire_domain", "sendmail-entire-domain",
             feature("relay_entire_domain")),
    sendmail("a virtual domain whose mail goes to one place outside", "",
             VIRTUAL + "\nVIRTUSER_DOMAIN(`virt.test')",
             files={"virtusertable": "@virt.test\t%1@friend.test\n"},
             maps=("virtusertable",)),
    sendmail("relay_based_on_MX", "sendmail-mx",
             feature("relay_based_on_MX")),
    sendmail("loose_relay_check", "sendmail-loose",
             feature("loose_relay_check")),
    sendmail("drac with -T", "sendmail-drac-fails-open",
             feature("drac", "socket -T<TMPF> unix:{dir}/nobody"),
             open=True),
    sendmail("delay_checks is harmless", "",
             feature("delay_checks", "friend", "n")),
    sendmail("relay_hosts_only is harmless", "",
             feature("relay_hosts_only")),
    sendmail("unqualified senders are harmless", "",
             feature("accept_unqualified_senders")),
    sendmail("a top level domain in relay-domains",
             "sendmail-relay-domains-all",
             files={"relay-domains": "relay.test\ntest # all of it\n"},
             open=True),
    sendmail("a top level domain in class R", "sendmail-relay-domains-all",
             "RELAY_DOMAIN(`relay.test test')", open=True),
    sendmail("a top level domain in a class that R takes in",
             "sendmail-relay-domains-all",
             "VIRTUSER_DOMAIN(`virt.test test')\n" + VIRTUAL,
             files={"virtusertable": ""}, maps=("virtusertable",), open=True),
    sendmail("a top level domain in the file of a class that R takes in",
             "sendmail-relay-domains-all",
             "VIRTUSER_DOMAIN_FILE(`{dir}/virtual')\n" + VIRTUAL,
             files={"virtual": "virt.test\ntest\n", "virtusertable": ""},
             maps=("virtusertable",), open=True),
    sendmail("a class that R takes in is no domain", "",
             "VIRTUSER_DOMAIN_FILE(`{dir}/virtual')\n" + VIRTUAL,
             files={"virtual": "virt.test\n", "virtusertable": ""},
             maps=("virtusertable",)),
    sendmail("the access map that Red Hat ships", "",
             **access("Connect:localhost.localdomain\t\tRELAY\n"
                      "Connect:localhost\t\tRELAY\n"
                      "Connect:127.0.0.1\t\tRELAY\n")),
    sendmail("clients by name, of this machine only", "",
             cf=("Name=MTA, Port=", "Name=MTA, Addr=127.0.0.1, Port="),
             local=True, **access("Connect:dsl.friend.test RELAY\n")),
    sendmail("a network in relay-domains", "sendmail-network-wide",
             files={"relay-domains": "198.51\n"}),
    sendmail("an IPv6 network in relay-domains", "sendmail-network-wide",
             files={"relay-domains": "IPv6:2001:db8\n"}),
    sendmail("a top level domain in the access map",
             "sendmail-relay-domains-all",
             **access("To:test RELAY\n", open=True)),
    sendmail("a network in the access map", "sendmail-network-wide",
             **access("Connect:198.51 RELAY\n")),
    sendmail("a network in the access map, without a tag",
             "sendmail-network-wide", **access("10 RELAY\n")),
    sendmail("clients by name", "sendmail-client-name-permits",
             **access("Connect:dsl.friend.test RELAY\n")),
    sendmail("a relay domain without a tag", "sendmail-client-name-permits",
             **access("friend.test RELAY\n")),
    sendmail("a rule for a sender", "sendmail-sender-rule",
             after="LOCAL_RULESETS\nSLocal_check_rcpt\n"
             "R$*\t\t$: <$&f>\n"
             "R<$* @ friend.test>\t\t$#OK\n"
             "R$*\t\t$@ NO\n", open=True, how=SENDER),
    sendmail("a rule for a HELO name", "sendmail-helo-rule",
             after="LOCAL_RULESETS\nSLocal_check_rcpt\n"
             "R$*\t\t$: <$&s>\n"
             "R<mail.friend.test>\t\t$#OK\n"
             "R$*\t\t$@ NO\n", open=True,
             how={"helo": "mail.friend.test"}),
    sendmail("a class from a program", "", info="sendmail-not-understood",
             after="LOCAL_CONFIG\nFR|/bin/echo test\n", local=True),
    sendmail("a rule for an address", "",
             after="LOCAL_RULESETS\nSLocal_check_rcpt\n"
             "R$*\t\t$: <$&{{client_addr}}>\n"
             "R<192.0.2.7>\t\t$#OK\n"
             "R$*\t\t$@ NO\n"),
    sendmail("a rule for everybody", "sendmail-rule-open",
             after="LOCAL_RULESETS\nSLocal_check_rcpt\n"
             "R$*\t\t$# accepted\n", open=True),
    sendmail("a rule that routes by the local part",
             "sendmail-recipient-routed",
             after="LOCAL_RULE_0\n"
             "R$+ + $+ < @ ours.test. >\t\t"
             "$#smtp $@ $2 $: $1 < @ $2 >\n"),
    sendmail("a rule that calls one for a sender", "sendmail-sender-rule",
             after="LOCAL_RULESETS\nSLocal_check_rcpt\n"
             "R$*\t\t$: $>Friends $&f\n"
             "SFriends\n"
             "R$+ @ friend.test\t\t$#ok\n", open=True, how=SENDER),
    sendmail("AUTH ANONYMOUS", "sendmail-auth-anonymous",
             "TRUST_AUTH_MECH(`ANONYMOUS CRAM-MD5')\n"
             "define(`confAUTH_MECHANISMS', `ANONYMOUS CRAM-MD5')"),
    sendmail("AUTH ANONYMOUS that isn't offered", "",
             "TRUST_AUTH_MECH(`ANONYMOUS CRAM-MD5')"),
    sendmail("AUTH without TLS", "sendmail-auth-without-tls",
             "define(`confAUTH_MECHANISMS', `PLAIN LOGIN')"),
    sendmail("DontBlameSendmail", "sendmail-dont-blame",
             "define(`confDONT_BLAME_SENDMAIL', `WorldWritableAliasFile')"),
    sendmail("AUTH in a D line", "sendmail-macro-auth",
             after="LOCAL_CONFIG\nD{{auth_type}}PLAIN\n"),
    sendmail("the access map for everybody", "sendmail-config-writable",
             **access("spam.test REJECT\n", modes={"access": 0o666})),
    sendmail("relay-domains for everybody", "sendmail-config-writable",
             files={"relay-domains": "relay.test\n"},
             modes={"relay-domains": 0o646}),
    sendmail("sendmail.cf for everybody", "sendmail-config-writable",
             modes={"sendmail.cf": 0o666}),
    # popgate's wiring
    sendmail("a sole gate without F=T", "sendmail-milter-accept",
             feature("promiscuous_relay") +
             f"\nINPUT_MAIL_FILTER(`popgate', `{FILTER}')", conf=CONF,
             open=True),
    sendmail("a sole gate without F=T at two ports", "sendmail-milter-accept",
             feature("promiscuous_relay") +
             f"\nINPUT_MAIL_FILTER(`popgate', `{FILTER}')"
             "\nDAEMON_OPTIONS(`Name=MSA, Port=2587')", conf=CONF,
             open=True),
    sendmail("promiscuous_relay at two ports", "sendmail-promiscuous",
             feature("promiscuous_relay") +
             "\nDAEMON_OPTIONS(`Name=MSA, Port=2587')", open=True),
    sendmail("a listener without popgate", "sendmail-daemon-without-popgate",
             TRUSTING + "\nDAEMON_OPTIONS(`Name=MSA, Port=2587, "
             "InputMailFilters=')", conf=CONF),
    sendmail("a listener with another filter",
             "sendmail-daemon-without-popgate",
             TRUSTING + "\nMAIL_FILTER(`clamav', `S=unix:/run/clamav')\n"
             "DAEMON_OPTIONS(`Name=MSA, Port=2587, "
             "InputMailFilters=clamav')", conf=CONF),
    sendmail("a filter that is defined only", "sendmail-filter-unused",
             f"MAIL_FILTER(`popgate', `{FILTER}')", conf=CONF),
    sendmail("a sole gate that holds", "",
             feature("promiscuous_relay") + "\n" + TRUSTING, conf=CONF,
             info="sendmail-sole-gate"),
]


def write_sendmail(case, directory, port=25):
    """The case's configuration, to be started with sendmail -C."""
    directory = pathlib.Path(directory)
    (directory / "queue").mkdir(exist_ok=True, mode=0o700)
    fill = {"dir": directory, "port": port, "ours": OURS,
            "cf": PACKAGE / "usr/share/sendmail/cf"}
    (directory / "local-host-names").write_text(OURS + "\n")
    for name, text in case.files.items():
        (directory / name).write_text(text)
    mc, cf = directory / "sendmail.mc", directory / "sendmail.cf"
    mc.write_text(SENDMAIL_MC.format(before=case.before.format(**fill),
                                     after=case.after.format(**fill),
                                     **fill))
    made = subprocess.run(["m4", f"-D_CF_DIR_={fill['cf']}/", mc],
                          capture_output=True, text=True, check=True)
    assert "ERROR" not in made.stderr, made.stderr
    cf.write_text(made.stdout.replace(*case.cf) if case.cf
                  else made.stdout)
    for name in case.maps:
        subprocess.run([LIBEXEC / "makemap", "-C", cf, "hash",
                        directory / name],
                       stdin=open(directory / name), check=True)
    for name, mode in case.modes.items():
        os.chmod(directory / name, mode)
    return cf


# --- Exim ---

EXIM = BUILD / "exim/usr/sbin/exim4"
EXIM_CONF = """\
keep_environment =
log_file_path = {dir}/log/%slog
spool_directory = {dir}/spool
pid_file_path = {dir}/pid
primary_hostname = mx.{ours}
daemon_smtp_ports = {port}
domainlist local_domains = @ : {ours}
domainlist relay_to_domains = {domains}
hostlist relay_from_hosts = {hosts}
{top}
{rcpt}

begin acl

{acls}
acl_check_rcpt:
  accept
    hosts = :
    control = dkim_disable_verify
{acl}

begin routers

outside:
  driver = manualroute
  domains = ! +local_domains
  transport = out
  route_list = * 127.0.0.1
  self = send

all:
  driver = accept
  transport = nowhere

begin transports

out:
  driver = smtp
  port = 2526
  allow_localhost

nowhere:
  driver = appendfile
  file = /dev/null
  user = nobody

begin authenticators

{auth}
"""
BEFORE = """\
  deny
    domains = +local_domains
    local_parts = ^[.] : ^.*[@%!/|]
    message = Restricted characters in address
"""
REST = """\
  accept
    hosts = +relay_from_hosts
    control = submission
  accept
    authenticated = *
    control = submission
  require
    message = relay not permitted
    domains = +local_domains : +relay_to_domains
  require
    verify = recipient
  accept
"""


def exim(name, want, acl="", rest=REST, **more):
    return Case(name, "exim", want,
                main={"acl": BEFORE + acl + rest, **more.pop("main", {})},
                **more)


EXIM_CASES = [
    exim("a good configuration", ""),
    exim("accept for everybody", "exim-relay-open", "  accept\n",
         open=True),
    exim("accept with a condition that is met", "exim-relay-open",
         "  accept\n    verify = sender\n", open=True),
    exim("no require", "exim-relay-open", rest="  accept\n", open=True),
    exim("require what everybody is", "exim-domains-open", open=True,
         rest="  require\n    domains = *\n  accept\n"),
    exim("the story's whitelist", "exim-sender-permits",
         "  accept\n    sender_domains = friend.test\n", open=True,
         how=SENDER),
    exim("a whitelist of senders", "exim-sender-permits",
         "  accept\n    senders = boss@friend.test\n"
         "    delay = 0s\n", open=True, how=SENDER),
    exim("a whitelist of senders in a file", "exim-sender-permits",
         "  accept\n    senders = lsearch*@;{dir}/whitelist\n",
         files={"whitelist": "friend.test\nboss@friend.test\n"},
         open=True, how=SENDER),
    exim("a whitelist by expression", "exim-sender-permits",
         "  accept\n    condition = "
         "${{if eq{{$sender_address_domain}}{{friend.test}}}}\n",
         open=True, how=SENDER),
    exim("deny all but senders", "exim-sender-permits",
         rest="  deny\n    !domains = +local_domains\n"
         "    !senders = *@friend.test\n    !hosts = +relay_from_hosts\n"
         "  accept\n", open=True, how=SENDER),
    exim("a HELO name", "exim-helo-permits",
         "  accept\n    condition = "
         "${{if eq{{$sender_helo_name}}{{scanner}}}}\n", open=True,
         how={"helo": "scanner"}),
    exim("hosts is everybody", "exim-hosts-open",
         main={"hosts": "*"}, open=True),
    exim("hosts is the world", "exim-hosts-open",
         main={"hosts": "127.0.0.1 : 0.0.0.0/0"}, open=True),
    exim("hosts by exception", "exim-hosts-open",
         main={"hosts": "! 192.0.2.66"}, open=True),
    exim("hosts from a file", "exim-hosts-open",
         main={"hosts": "127.0.0.1 : {dir}/hosts"},
         files={"hosts": "192.0.2.7\n0.0.0.0/0\n"}, open=True),
    exim("hosts is a wide network", "exim-hosts-wide",
         main={"hosts": "127.0.0.1 : 198.51.0.0/16"}),
    exim("hosts is a wide IPv6 network", "exim-hosts-wide",
         main={"hosts": "<; 127.0.0.1 ; 2001:db8::/32"}),
    exim("hosts by name", "exim-client-name-permits",
         main={"hosts": "127.0.0.1 : *.dsl.friend.test"}),
    exim("all domains", "exim-domains-open", main={"domains": "*"},
         open=True),
    exim("a top level domain", "exim-domains-open",
         main={"domains": "relay.test : *.test"}, open=True),
    exim("recipients everywhere", "exim-domains-open",
         "  accept\n    recipients = postmaster@{ours} : *@*\n", open=True),
    exim("recipients here", "",
         "  accept\n    hosts = :\n"
         "  accept\n    recipients = postmaster@{ours} : abuse@{ours} : "
         "*@{ours}\n    senders = !*@spam.test\n"),
    exim("whoever lists us", "exim-domains-open",
         main={"domains": "@mx_any"}),
    exim("percent_hack_domains", "exim-percent-hack",
         main={"top": "percent_hack_domains = *"}),
    exim("AUTH without TLS", "exim-auth-without-tls",
         main={"auth": "plain:\n  driver = plaintext\n"
               "  public_name = PLAIN\n  server_prompts = :\n"
               "  server_condition = false\n"}),
    exim("AUTH with TLS only", "",
         main={"auth": "plain:\n  driver = plaintext\n"
               "  public_name = PLAIN\n  server_prompts = :\n"
               "  server_condition = false\n"
               "  server_advertise_condition = "
               "${{if def:tls_in_cipher}}\n"}),
    exim("the file for everybody", "exim-config-writable",
         modes={"exim.conf": 0o666}),
    exim("a list for everybody", "exim-config-writable",
         main={"domains": "{dir}/domains"},
         files={"domains": "relay.test\n"}, modes={"domains": 0o646}),
    exim("a whitelist for our own domains", "",
         "  accept\n    sender_domains = friend.test\n"
         "    domains = +local_domains\n"),
    exim("a whitelist behind the refusal", "",
         rest=REST.replace("  accept\n", "  accept\n")
         + "  accept\n    senders = *@friend.test\n"),
    exim("a blacklist", "",
         "  deny\n    senders = *@spam.test\n"
         "  deny\n    dnslists = dnsbl.invalid\n"),
    exim("an expression the doctor can't judge", "",
         "  accept\n    condition = ${{if exists{{{dir}/open}}}}\n"),
    exim("an expression that is true", "exim-relay-open",
         "  accept\n    condition = ${{if exists{{{dir}/exim.conf}}}}\n",
         open=True),
    exim("lists by expression, as containers have them", "",
         rest="  accept\n    hosts = ${{env{{RELAY_FROM_HOSTS}}{{$value}}"
         "{{127.0.0.1}}}}\n  require\n    domains = +local_domains : "
         "${{env{{RELAY_TO}}{{$value}}{{@}}}}\n  accept\n"),
    exim("no ACL", "", main={"rcpt": ""}, info="exim-no-acl"),
    exim("an ACL that asks another", "",
         "  accept\n    acl = acl_ours\n",
         main={"acls": "acl_ours:\n  accept\n"
               "    domains = +local_domains\n"}),
]


EXIM_USER = {"passwd": "Debian-exim:x:64920:64920::/:/usr/sbin/nologin\n",
             "group": "Debian-exim:x:64920:\n"}


def write_exim(case, directory, port=25):
    """The case's configuration, to be started with exim -C; directory/exim
    runs the program with the user that it wants to exist."""
    directory = pathlib.Path(directory)
    for name in ("spool", "log"):
        (directory / name).mkdir(exist_ok=True)
        os.chown(directory / name, 64920, 64920)
    fill = {"dir": directory, "port": port, "ours": OURS}
    parts = {"domains": "", "hosts": "127.0.0.1 : ::::1", "top": "",
             "rcpt": "acl_smtp_rcpt = acl_check_rcpt", "acls": "", "auth": "", **case.main}
    parts = {name: text.format(**fill) for name, text in parts.items()}
    for name, text in case.files.items():
        (directory / name).write_text(text)
    conf = directory / "exim.conf"
    conf.write_text(EXIM_CONF.format(**fill, **parts))
    for name in ("passwd", "group"):
        (directory / name).write_text(
            pathlib.Path("/etc", name).read_text() + EXIM_USER[name])
    program = directory / "exim"
    program.write_text(f"""\
#!/bin/sh
grep -q '^Debian-exim:x:64920:' /etc/passwd && exec {EXIM} "$@"
exec unshare -m sh -c 'mount --bind {directory}/passwd /etc/passwd &&
    mount --bind {directory}/group /etc/group && exec {EXIM} "$@"' sh "$@"
""")
    program.chmod(0o755)
    for name, mode in case.modes.items():
        os.chmod(directory / name, mode)
    return conf


# --- popgate and its machine, behind a good Postfix ---

BRIDGE = """\
ip link add docker0 type bridge
ip addr add 198.51.100.1/24 dev docker0
ip link set docker0 up
"""
GATEWAY = """\
ip link add lan type bridge
ip addr add 198.51.100.2/24 dev lan
ip link set lan up
ip route add default via 198.51.100.1
"""
TABLES = """\
logins: { database = "@DIR@/logins.db"; };
audit: { database = "@DIR@/audit.db"; };
"""


def popgate(name, want, conf="", relay="", **more):
    return Case(name, "postfix", want, conf=TABLES + conf +
                f'relay: {{ local_domains = [ "{OURS}" ]; {relay} }};\n',
                **more)


POPGATE = [
    popgate("popgate's defaults", "", info="popgate-not-wired"),
    popgate("monitor mode", "popgate-monitor", relay='mode = "monitor";'),
    popgate("monitor mode on a channel", "popgate-monitor",
            relay='monitor_listeners = [ "milter" ];'),
    popgate("monitor mode for a network", "popgate-monitor",
            relay='monitor_networks = [ "198.51.100.0/24" ];'),
    popgate("a login on this machine counts",
            "popgate-never-authorize-empty", relay="never_authorize = [ ];"),
    popgate("no limits", "popgate-no-limits", conf="limits: { "
            'client_recipients = "off"; client_messages = "off"; '
            'user_recipients = "off"; user_messages = "off"; };\n'),
    Case("a long window", "postfix", "popgate-window-long",
         conf='logins: { window = "7d"; };\n'),
    popgate("a wide prefix", "popgate-ipv6-prefix",
            relay="ipv6_prefix = 32;"),
    popgate("no grace", "", relay='collector_grace = "0s";',
            info="popgate-no-grace"),
    popgate("the world is trusted", "popgate-trusted-open",
            relay='trusted_networks = [ "0.0.0.0/0" ];'),
    popgate("half of the world is trusted", "popgate-trusted-open",
            relay='trusted_networks = [ "128.0.0.0/1" ];'),
    popgate("a wide network is trusted", "popgate-trusted-wide",
            relay='trusted_networks = [ "10.0.0.0/8" ];'),
    popgate("a wide IPv6 network is trusted", "popgate-trusted-wide",
            relay='trusted_networks = [ "2001:db8::/32" ];'),
    popgate("a proxy is trusted", "popgate-trusted-proxy",
            relay='trusted_networks = [ "198.51.100.0/28" ]; '
            'proxy_networks = [ "198.51.100.3" ];'),
    popgate("a bridge is trusted", "popgate-trusted-bridge",
            relay='trusted_networks = [ "198.51.100.0/24" ];',
            machine=BRIDGE),
    popgate("a gateway is trusted", "popgate-trusted-gateway",
            relay='trusted_networks = [ "198.51.100.0/28" ];',
            machine=GATEWAY),
    postfix("a bridge in mynetworks", "postfix-mynetworks-bridge",
            {"mynetworks": "127.0.0.0/8 198.51.100.0/24"}, machine=BRIDGE),
    postfix("a gateway in mynetworks", "postfix-mynetworks-gateway",
            {"mynetworks": "127.0.0.0/8 198.51.100.0/28"}, machine=GATEWAY),
    sendmail("a bridge in relay-domains", "sendmail-network-bridge",
             files={"relay-domains": "198.51.100\n"}, machine=BRIDGE),
    popgate("a wide entry", "popgate-entry-wide",
            entries=("198.51.0.0/16",)),
    popgate("an entry for a gateway", "popgate-entry-gateway",
            entries=("198.51.100.0/28",), machine=GATEWAY),
    popgate("a good entry", "", entries=("198.51.100.0/28",)),
    popgate("popgate.conf for everybody", "popgate-file-writable",
            modes={"popgate.conf": 0o666}),
    Case("a file of domains for everybody", "postfix",
         "popgate-file-writable", conf=TABLES +
         'relay: { local_domains = [ "file:@DIR@/domains" ]; };\n',
         files={"domains": OURS + "\n"}, modes={"domains": 0o666}),
    Case("a log for everybody", "postfix", "popgate-file-writable",
         conf=TABLES + f'relay: {{ local_domains = [ "{OURS}" ]; }};\n'
         'collector: { sources = ( { file = "@DIR@/mail.log"; } ); };\n',
         files={"mail.log": ""}, modes={"mail.log": 0o666},
         info="popgate-log-forgeable"),
    popgate("logins in a server's output", "popgate-log-stream",
            entries=("198.51.100.7",), counts=(("nginx", "stream-piece"),)),
    popgate("other lines in a server's output", "",
            entries=("198.51.100.7",), counts=(("nginx", "not-a-login"),)),
    popgate("the login table for everybody", "popgate-file-writable",
            entries=("198.51.100.7",), modes={"logins.db": 0o666}),
    Case("a directory for everybody", "postfix", "popgate-file-writable",
         conf=TABLES + f'relay: {{ local_domains = [ "{OURS}" ]; }};\n'
         'collector: { sources = ( { file = "@DIR@/log/mail.log"; } ); };\n',
         files={"log/mail.log": ""}, modes={"log": 0o777}),
]

CASES = POSTFIX + SENDMAIL + EXIM_CASES + POPGATE
WRITE = {"postfix": write_postfix, "sendmail": write_sendmail,
         "exim": write_exim}


def write(case, directory, port=25):
    """Write the case's configuration; what --config-dir takes."""
    directory = pathlib.Path(directory)
    conf = directory / "popgate.conf"
    conf.write_text((case.conf or TABLES + CONF).replace(
        "@DIR@", str(directory)))
    for name in case.files:
        (directory / name).parent.mkdir(exist_ok=True)
    for entry in case.entries:
        subprocess.run([BUILD / "popgatectl", "-c", conf, "add", entry],
                       check=True, capture_output=True)
    for server, reason in case.counts:
        subprocess.run(["sqlite3", directory / "logins.db",
                        "INSERT INTO source_count SELECT 'journal:system', "
                        f"'{server}', '{reason}', 1, 1, unixepoch(), "
                        "unixepoch(), '', 0"], check=True)
    return WRITE[case.mta](case, directory, port)
