/* SPDX-License-Identifier: ISC */
/* The findings, by program. docs/DOCTOR.md explains each at length. */
#include "ctl/doctor/doctor.h"

#define RELOAD "\npostfix -c {dir} reload"
#define OPEN SEVERITY_OPEN_RELAY
#define WARN SEVERITY_WARNING
#define INFO SEVERITY_INFO

const struct finding_kind finding_kinds[] = {
	/* --- any --- */
	{ "mta-none", INFO,
	    "Without a mail server's configuration only popgate's own could be "
	    "looked at.",
	    "popgatectl doctor --mta postfix --config-dir /etc/postfix" },

	/* --- Postfix: who may relay --- */
	{ "postfix-unreadable", WARN,
	    "What can't be read can't be called safe.",
	    "postconf -c {dir} -n\npostconf -c {dir} -M" },
	{ "postfix-config-writable", WARN,
	    "Any local user can make this server an open relay by one line.",
	    "chmod o-w {value}" },
	{ "postfix-not-understood", INFO,
	    "The doctor can't tell what this answers; look at it yourself.",
	    "postconf -c {dir} {setting}" },
	{ "postfix-rehearsed-open", OPEN,
	    "A stranger relayed through a private copy of this server: anybody can repeat that dialogue.",
	    "# No edit that was tried on the copy closes this and keeps your own mail." },
	{ "postfix-rehearsed", INFO,
	    "What a private copy of this server was asked, as any stranger can ask.",
	    "popgatectl doctor --mta postfix" },
	{ "postfix-not-rehearsed", INFO,
	    "The configuration was only read: a mail server does more than can be read off its configuration.",
	    "popgatectl doctor --mta postfix    # as root, on the mail server" },
	{ "postfix-not-shown", INFO,
	    "It reads like an open relay, but a private copy of this server let no stranger relay by it.",
	    "popgatectl doctor --probe" },
	{ "postfix-relay-open", OPEN,
	    "Nothing in the restrictions refuses a stranger who sends to other "
	    "people's domains.",
	    "postconf -c {dir} -e 'smtpd_relay_restrictions = "
	    "permit_mynetworks, permit_sasl_authenticated, "
	    "reject_unauth_destination'" RELOAD },
	{ "postfix-no-reject", WARN,
	    "smtpd takes no mail at all like this, and the quick way to calm it "
	    "down (a permit) opens the server.",
	    "postconf -c {dir} -e 'smtpd_relay_restrictions = "
	    "permit_mynetworks, permit_sasl_authenticated, "
	    "reject_unauth_destination'" RELOAD },
	{ "postfix-reject-only-warns", OPEN,
	    "warn_if_reject makes the refusal that protects you a line in the "
	    "log: the mail is relayed.",
	    "postconf -c {dir} -e '{setting} = permit_mynetworks, "
	    "permit_sasl_authenticated, reject_unauth_destination'" RELOAD },
	{ "postfix-permit-all", OPEN,
	    "Everybody gets OK before anything can refuse him.",
	    "postconf -c {dir} -e 'smtpd_relay_restrictions = "
	    "permit_mynetworks, permit_sasl_authenticated, "
	    "reject_unauth_destination'" RELOAD },
	{ "postfix-sender-permits", OPEN,
	    "The sender address is whatever the client types: whoever claims "
	    "this one relays.",
	    "# take the line out of {file} (line {line}), or put the check "
	    "behind reject_unauth_destination:\n"
	    "postconf -c {dir} -e 'smtpd_relay_restrictions = "
	    "permit_mynetworks, permit_sasl_authenticated, "
	    "reject_unauth_destination'" RELOAD },
	{ "postfix-helo-permits", OPEN,
	    "The HELO name is whatever the client types: whoever says this one "
	    "relays.",
	    "# take the line out of {file} (line {line})\n"
	    "postconf -c {dir} -e 'smtpd_relay_restrictions = "
	    "permit_mynetworks, permit_sasl_authenticated, "
	    "reject_unauth_destination'" RELOAD },
	{ "postfix-map-digits", OPEN,
	    "Postfix takes any result of digits only for OK (access(5)), so "
	    "what looks like a refusal or a time permits.",
	    "# in {file} line {line}: REJECT, or \"550 5.7.1 text\", "
	    "then run postmap" RELOAD },
	{ "postfix-recipient-permits", WARN,
	    "Strangers can send through this server to that recipient, which "
	    "isn't yours.",
	    "# take the line out of {file} (line {line}), then run postmap" RELOAD },
	{ "postfix-client-map-open", OPEN,
	    "The table permits nearly every address there is.",
	    "# in {file} line {line}: single addresses only, then run "
	    "postmap" RELOAD },
	{ "postfix-client-map-wide", WARN,
	    "One infected machine in such a wide network sends its spam through "
	    "you.",
	    "# in {file} line {line}: single addresses, or /24 and /48 at most, "
	    "then run postmap" RELOAD },
	{ "postfix-client-name-permits", WARN,
	    "Whoever runs that domain's DNS decides who relays through you.",
	    "# in {file} line {line}: addresses instead of names, then run "
	    "postmap" RELOAD },
	{ "postfix-mynetworks-open", OPEN,
	    "Nearly every address there is counts as your own network.",
	    "postconf -c {dir} -e 'mynetworks = 127.0.0.0/8 [::1]/128'" RELOAD },
	{ "postfix-mynetworks-wide", WARN,
	    "One infected machine in such a wide network sends its spam through "
	    "you.",
	    "postconf -c {dir} -e 'mynetworks = 127.0.0.0/8 [::1]/128'" RELOAD },
	{ "postfix-mynetworks-bridge", WARN,
	    "Connections to a container's published port can come from the "
	    "bridge's address: then the whole world is in mynetworks.",
	    "postconf -c {dir} -e 'mynetworks = 127.0.0.0/8 [::1]/128'" RELOAD },
	{ "postfix-mynetworks-gateway", WARN,
	    "A router that forwards ports with its own address as the source "
	    "puts the whole world into mynetworks.",
	    "postconf -c {dir} -e 'mynetworks = 127.0.0.0/8 [::1]/128'" RELOAD },
	{ "postfix-mynetworks-style", WARN,
	    "mynetworks_style takes whole networks for yours, and more of them "
	    "with every interface.",
	    "postconf -c {dir} -e 'mynetworks_style = host'" RELOAD },
	{ "postfix-mx-backup", WARN,
	    "Anyone can list you as a mail exchanger of his domain and send to "
	    "it through you.",
	    "# take permit_mx_backup out of {setting} and name the domains:\n"
	    "postconf -c {dir} -e 'relay_domains = ...'" RELOAD },
	{ "postfix-any-certificate", WARN,
	    "Every certificate that a known authority signed, or every "
	    "certificate at all, may relay.",
	    "postconf -c {dir} -e 'relay_clientcerts = "
	    "hash:/etc/postfix/relay_clientcerts'\n"
	    "# and permit_tls_clientcerts instead of "
	    "permit_tls_all_clientcerts" RELOAD },
	{ "postfix-sasl-anonymous", OPEN,
	    "SASL ANONYMOUS (RFC 4505) lets everybody log in without a "
	    "password.",
	    "postconf -c {dir} -e 'smtpd_sasl_security_options = "
	    "noanonymous'" RELOAD },
	{ "postfix-auth-without-tls", WARN,
	    "Passwords cross the network readable; whoever reads one relays "
	    "with it.",
	    "postconf -c {dir} -e 'smtpd_tls_auth_only = yes'" RELOAD },
	{ "postfix-relay-domains-all", OPEN,
	    "reject_unauth_destination lets these domains pass: they are "
	    "nearly all there are.",
	    "postconf -c {dir} -e 'relay_domains ='" RELOAD },
	{ "postfix-domains-all", WARN,
	    "Every domain in the world counts as yours, so no restriction that "
	    "asks for foreign domains works.",
	    "# name your domains:\npostconf -c {dir} -e '{setting} = ...'" RELOAD },
	{ "postfix-untrusted-routing", WARN,
	    "Addresses like user%elsewhere@customer are passed on to servers "
	    "that trust you, and relayed there.",
	    "postconf -c {dir} -e 'allow_untrusted_routing = no'" RELOAD },
	{ "postfix-xclient-open", OPEN,
	    "By XCLIENT a client says of itself which address and login it has.",
	    "postconf -c {dir} -e 'smtpd_authorized_xclient_hosts ='" RELOAD },
	{ "postfix-xclient-wide", WARN,
	    "By XCLIENT a client says of itself which address and login it has: "
	    "a right for single proxies, not for networks.",
	    "# name the proxy's address:\n"
	    "postconf -c {dir} -e 'smtpd_authorized_xclient_hosts = ...'" RELOAD },
	{ "postfix-proxy-protocol", WARN,
	    "Whoever reaches this port past the proxy says of himself which "
	    "address he has, 127.0.0.1 for instance.",
	    "# bind it to the address that only the proxy reaches, or:\n"
	    "postconf -c {dir} -e '{setting} ='" RELOAD },
	{ "postfix-qmqpd-open", OPEN,
	    "QMQP takes mail for everywhere from every client that is on this "
	    "list.",
	    "postconf -c {dir} -e 'qmqpd_authorized_clients ='" RELOAD },
	{ "postfix-policy-fails-open", OPEN,
	    "When the policy service doesn't answer, everybody may relay.",
	    "postconf -c {dir} -e 'smtpd_policy_service_default_action = "
	    "451 4.3.5 Server configuration problem'" RELOAD },
	{ "postfix-policy-unknown", INFO,
	    "What another policy service permits is relayed; the doctor can't "
	    "see what it answers.",
	    "" },
	{ "postfix-local-service", INFO,
	    "Only programs on this machine reach it: a form mailer or a local "
	    "user relays by it, a stranger doesn't.",
	    "" },

	/* --- Postfix and popgate --- */
	{ "postfix-sole-gate", INFO,
	    "Postfix is open by itself, and popgate's milter alone guards it: "
	    "it works, but the closed wiring can't fail open.",
	    "popgatectl wiring postfix" },
	{ "postfix-milter-accept", OPEN,
	    "Postfix is open by itself, and when popgate-milter is not there, "
	    "everything is accepted.",
	    "popgatectl wiring postfix" },
	{ "postfix-service-without-popgate", WARN,
	    "Mail that comes in here is neither checked nor recorded by "
	    "popgate.",
	    "# {file} line {line}: give service {service} the same "
	    "smtpd_milters" RELOAD },
	{ "postfix-non-smtpd-popgate", WARN,
	    "Local submission has no client address to decide by: popgate "
	    "refuses it, and somebody will open something to help.",
	    "postconf -c {dir} -e 'non_smtpd_milters ='" RELOAD },
	{ "postfix-macro-auth", WARN,
	    "The milters are told that everybody has logged in: the second lock "
	    "is open.",
	    "postconf -c {dir} -e 'milter_macro_defaults ='" RELOAD },
	{ "postfix-macro-auth-open", OPEN,
	    "Postfix is open by itself, and popgate's milter is told that "
	    "everybody has logged in.",
	    "postconf -c {dir} -e 'milter_macro_defaults ='" RELOAD },
	{ "postfix-chroot-socket", WARN,
	    "smtpd doesn't see popgate's socket from inside its chroot: the "
	    "users of popgate get 451, and nothing is recorded.",
	    "postconf -c {dir} -F {service}/chroot=n" RELOAD },
	{ "postfix-no-milter", WARN,
	    "The second lock is missing: nobody checks or records what Postfix "
	    "lets through by a right of its own.",
	    "popgatectl wiring postfix" },
	{ "postfix-service-without-permit", WARN,
	    "Clients that popgate would let relay are refused by Postfix, in "
	    "its own words.",
	    "popgatectl wiring postfix" },
	{ "postfix-refuses-first", WARN,
	    "Clients that popgate would let relay are refused before popgate is "
	    "asked.",
	    "popgatectl wiring postfix" },
	{ "postfix-auth-only-service", INFO,
	    "Here only AUTH users relay; who logged in by POP or IMAP doesn't.",
	    "popgatectl wiring postfix" },
	{ "postfix-data-not-asked", WARN,
	    "popgate doesn't wait for the disk at each recipient, since it was "
	    "promised a question at DATA: after a crash the record of a relayed "
	    "recipient may be missing.",
	    "popgatectl wiring postfix" },
	{ "postfix-reinjection", WARN,
	    "What a client was allowed to relay is refused on its way back from "
	    "the filter, and bounces after it was accepted.",
	    "" },
	{ "postfix-socket-missing", WARN,
	    "smtpd doesn't find popgate: the users of popgate get 451, and "
	    "nothing is recorded.",
	    "" },
	{ "postfix-socket-denied", WARN,
	    "smtpd may not ask popgate: the users of popgate get 451, and "
	    "nothing is recorded.",
	    "# in popgate.conf: milter: { group = \"postfix\"; };\n"
	    "# and let that group into the socket's directory, then\n"
	    "systemctl restart popgate-milter" },
	{ "postfix-popgate-elsewhere", WARN,
	    "Nobody answers there: the users of popgate get 451, and nothing "
	    "is recorded.",
	    "popgatectl wiring postfix" },
	{ "postfix-popgate-too-late", WARN,
	    "popgate is asked about nobody: the refusal stands before it, and "
	    "somebody will take that out.",
	    "popgatectl wiring postfix" },
	{ "postfix-milter-maps", WARN,
	    "For these clients no milter is asked: nothing checks or records "
	    "what they relay.",
	    "postconf -c {dir} -e 'smtpd_milter_maps ='" RELOAD },

	/* --- Sendmail --- */
	{ "sendmail-unreadable", WARN,
	    "What can't be read can't be called safe.", "ls -l {file}" },
	{ "sendmail-config-writable", WARN,
	    "Any local user can make this server an open relay by one line.",
	    "chmod o-w {value}" },
	{ "sendmail-rehearsed", INFO,
	    "What a private copy of this server was asked, as any stranger can ask.",
	    "popgatectl doctor --mta sendmail" },
	{ "sendmail-not-understood", INFO,
	    "The doctor can't tell what this does; look at it yourself.",
	    "grep -n . {file}" },
	{ "sendmail-promiscuous", OPEN, "Everybody may send to everybody.",
	    "# in sendmail.mc: take FEATURE(`promiscuous_relay') out, then\n"
	    "make -C /etc/mail && /etc/init.d/sendmail restart" },
	{ "sendmail-sole-gate", INFO,
	    "Sendmail is open by itself, and popgate's milter alone guards it: "
	    "it works, but the closed wiring can't fail open.",
	    "popgatectl wiring sendmail" },
	{ "sendmail-milter-accept", OPEN,
	    "Sendmail is open by itself, and without F=T it takes everything "
	    "when popgate-milter is not there.",
	    "popgatectl wiring sendmail" },
	{ "sendmail-mail-from", WARN,
	    "A sender address is whatever the client types; one From: line "
	    "with RELAY opens the server.",
	    "# in sendmail.mc: take FEATURE(`relay_mail_from') out, then\n"
	    "make -C /etc/mail && /etc/init.d/sendmail restart" },
	{ "sendmail-sender-permits", OPEN,
	    "The sender address is whatever the client types: whoever claims "
	    "this one relays.",
	    "# take the line out of {file} (line {line}), then\n"
	    "make -C /etc/mail" },
	{ "sendmail-local-from", OPEN,
	    "The sender address is whatever the client types: whoever claims "
	    "one of yours relays.",
	    "# in sendmail.mc: take FEATURE(`relay_local_from') out, then\n"
	    "make -C /etc/mail && /etc/init.d/sendmail restart" },
	{ "sendmail-sender-rule", OPEN,
	    "The sender address is whatever the client types: whoever says what "
	    "the rule wants relays.",
	    "# take the rule out of LOCAL_RULESETS in sendmail.mc "
	    "({file} line {line}), then\n"
	    "make -C /etc/mail && /etc/init.d/sendmail restart" },
	{ "sendmail-helo-rule", OPEN,
	    "The HELO name is whatever the client types: whoever says what the "
	    "rule wants relays.",
	    "# take the rule out of LOCAL_RULESETS in sendmail.mc "
	    "({file} line {line}), then\n"
	    "make -C /etc/mail && /etc/init.d/sendmail restart" },
	{ "sendmail-entire-domain", WARN,
	    "Every machine in your domain relays: one that is infected is "
	    "enough.",
	    "# in sendmail.mc: take FEATURE(`relay_entire_domain') out, then\n"
	    "make -C /etc/mail && /etc/init.d/sendmail restart" },
	{ "sendmail-mx", WARN,
	    "Anyone can list you as a mail exchanger of his domain and send to "
	    "it through you.",
	    "# in sendmail.mc: take FEATURE(`relay_based_on_MX') out, then\n"
	    "make -C /etc/mail && /etc/init.d/sendmail restart" },
	{ "sendmail-loose", WARN,
	    "user%elsewhere@a-domain-you-relay-for passes, and the server of that "
	    "domain may send it elsewhere in your name.",
	    "# in sendmail.mc: take FEATURE(`loose_relay_check') out, then\n"
	    "make -C /etc/mail && /etc/init.d/sendmail restart" },
	{ "sendmail-drac-fails-open", OPEN,
	    "While the map doesn't answer, everybody may relay.",
	    "# in sendmail.mc: FEATURE(`drac', ...) without -T, then\n"
	    "make -C /etc/mail && /etc/init.d/sendmail restart" },
	{ "sendmail-relay-domains-all", OPEN,
	    "Strangers can send to every domain that ends so, and clients whose "
	    "name ends so can send to everybody.",
	    "# take the line out of {file} (line {line}), then\n"
	    "make -C /etc/mail && /etc/init.d/sendmail restart" },
	{ "sendmail-network-wide", WARN,
	    "One infected machine in such a wide network sends its spam through "
	    "you.",
	    "# in {file} line {line}: single addresses, or three octets at "
	    "least, then\nmake -C /etc/mail && /etc/init.d/sendmail restart" },
	{ "sendmail-network-bridge", WARN,
	    "Connections that a container's port or a router passes on can come "
	    "from that address: then the whole world may relay.",
	    "# in {file} line {line}: only the addresses that need it, then\n"
	    "make -C /etc/mail && /etc/init.d/sendmail restart" },
	{ "sendmail-client-name-permits", WARN,
	    "Whoever runs that domain's DNS decides who relays through you.",
	    "# in {file} line {line}: \"To:\" before the name if its "
	    "recipients are meant, else addresses; then\nmake -C /etc/mail" },
	{ "sendmail-filter-unused", WARN,
	    "Nothing that comes in is checked or recorded by popgate.",
	    "# in sendmail.mc: INPUT_MAIL_FILTER instead of MAIL_FILTER; see\n"
	    "popgatectl wiring sendmail" },
	{ "sendmail-daemon-without-popgate", WARN,
	    "Mail that comes in here is neither checked nor recorded by "
	    "popgate.",
	    "# in sendmail.mc: take InputMailFilters= out of this "
	    "DAEMON_OPTIONS, then\n"
	    "make -C /etc/mail && /etc/init.d/sendmail restart" },
	{ "sendmail-dont-blame", WARN,
	    "Sendmail is told to trust files that every local user can change.",
	    "chmod o-w /etc/mail /etc/mail/*\n"
	    "# and in sendmail.mc: take WorldWritable... out of "
	    "confDONT_BLAME_SENDMAIL" },
	{ "sendmail-auth-anonymous", OPEN,
	    "SASL ANONYMOUS (RFC 4505) lets everybody log in without a "
	    "password.",
	    "# in sendmail.mc: take ANONYMOUS out of TRUST_AUTH_MECH, then\n"
	    "make -C /etc/mail && /etc/init.d/sendmail restart" },
	{ "sendmail-auth-without-tls", WARN,
	    "Passwords cross the network readable; whoever reads one relays "
	    "with it.",
	    "# in sendmail.mc: define(`confAUTH_OPTIONS', `A p y'), then\n"
	    "make -C /etc/mail && /etc/init.d/sendmail restart" },
	{ "sendmail-macro-auth", WARN,
	    "Filters and rules are told that everybody has logged in.",
	    "# take the line out of {file} (line {line}) and of sendmail.mc" },

	{ "sendmail-not-rehearsed", WARN,
	    "Sendmail wasn't asked: what its rules and maps let through isn't "
	    "known.",
	    "# as root, on a kernel with namespaces:\n"
	    "popgatectl doctor --mta sendmail" },
	{ "sendmail-rule-open", OPEN,
	    "A rule of your own lets everybody send to everybody.",
	    "# take the rule out of LOCAL_RULESETS in sendmail.mc "
	    "({file} line {line}), then\n"
	    "make -C /etc/mail && /etc/init.d/sendmail restart" },
	{ "sendmail-recipient-routed", OPEN,
	    "An address in a domain of yours is accepted and sent to the domain "
	    "that its local part names.",
	    "# see where it goes, then take out of sendmail.mc the rule that "
	    "takes the local part apart:\n"
	    "echo '/parse user+elsewhere.example@your-domain' | sendmail -bt" },

	/* --- Exim --- */
	{ "exim-unreadable", WARN, "What can't be read can't be called safe.",
	    "exim4 -C {file} -bP config" },
	{ "exim-config-writable", WARN,
	    "Any local user can make this server an open relay by one line.",
	    "chmod o-w {value}" },
	{ "exim-rehearsed", INFO,
	    "What a private copy of this server was asked, as any stranger can ask.",
	    "popgatectl doctor --mta exim" },
	{ "exim-not-understood", INFO,
	    "What wasn't asked isn't known to be closed.",
	    "popgatectl doctor --mta exim --thorough\n"
	    "# ask the running server, which relays nothing by it:\n"
	    "popgatectl doctor --mta exim --probe\n"
	    "# or Exim itself, as the client 203.0.113.1, line by line:\n"
	    "exim4 -C {file} -bh 203.0.113.1" },
	{ "exim-no-acl", INFO,
	    "Without an ACL nobody can send to this server by SMTP.", "" },
	{ "exim-not-rehearsed", WARN,
	    "Exim wasn't asked: what its ACLs let through isn't known.",
	    "# as root, on a kernel with namespaces:\n"
	    "popgatectl doctor --mta exim" },
	{ "exim-auth-open", OPEN,
	    "AUTH succeeds without the right password, and whoever has passed "
	    "AUTH may send everywhere.",
	    "# in {file}, line {line}: server_condition must be true for the "
	    "right password alone,\n"
	    "# and false for an unknown user and for an empty password" },
	{ "exim-recipient-routed", OPEN,
	    "An address in a domain of yours is accepted and sent to the domain "
	    "that its local part names.",
	    "" },
	{ "exim-relay-open", OPEN,
	    "Nothing refuses a stranger who sends to other people's domains.",
	    "# in {file}, line {line}: before this statement,\n"
	    "    require domains = +local_domains : +relay_to_domains" },
	{ "exim-sender-permits", OPEN,
	    "The sender address is whatever the client types: whoever claims "
	    "what the list wants relays.",
	    "# take the statement out of {file} (line {line}), or add to it:\n"
	    "    domains = +local_domains : +relay_to_domains" },
	{ "exim-helo-permits", OPEN,
	    "The HELO name is whatever the client types: whoever says what the "
	    "condition wants relays.",
	    "# take the statement out of {file} (line {line}), or add to it:\n"
	    "    domains = +local_domains : +relay_to_domains" },
	{ "exim-hosts-open", OPEN, "Nearly every address there is may relay.",
	    "# in {file}:\n    hostlist relay_from_hosts = 127.0.0.1 : ::::1" },
	{ "exim-hosts-wide", WARN,
	    "One infected machine in such a wide network sends its spam through "
	    "you.",
	    "# in {file}: single addresses, or /24 and /48 at most, as\n"
	    "    hostlist relay_from_hosts = 127.0.0.1 : ::::1" },
	{ "exim-client-name-permits", WARN,
	    "Whoever runs that domain's DNS decides who relays through you.",
	    "# in {file}: addresses instead of names, as\n"
	    "    hostlist relay_from_hosts = 127.0.0.1 : ::::1" },
	{ "exim-domains-open", OPEN,
	    "Strangers can send to nearly every domain there is.",
	    "# in {file}: name the domains,\n"
	    "    domainlist relay_to_domains = ..." },
	{ "exim-proxy-protocol", WARN,
	    "Whoever is on this list says of himself which address he has, "
	    "127.0.0.1 for instance.",
	    "# in {file}: the proxy's own address only,\n"
	    "    hosts_proxy = ..." },
	{ "exim-percent-hack", WARN,
	    "user%elsewhere@yours passes for your own recipient, and is sent "
	    "elsewhere.",
	    "# take percent_hack_domains out of {file} (line {line})" },
	{ "exim-auth-without-tls", WARN,
	    "Passwords cross the network readable; whoever reads one relays "
	    "with it.",
	    "# in each authenticator of {file}:\n"
	    "    server_advertise_condition = "
	    "${if eq{$tls_in_cipher}{}{}{*}}" },

	/* --- popgate --- */
	{ "popgate-not-wired", INFO,
	    "Without popgate the mail server decides by itself, and a login by "
	    "POP or IMAP lets nobody relay.",
	    "popgatectl wiring postfix    # or: sendmail, exim" },
	{ "popgate-monitor", WARN,
	    "Nothing is refused there, only recorded: whatever the mail server "
	    "lets through is relayed.",
	    "# in {file}, after a look at popgatectl decisions: take {setting} "
	    "out, then\npopgatectl reload" },
	{ "popgate-never-authorize-empty", WARN,
	    "A login from this machine, a webmail's for instance, lets "
	    "everything relay that comes from its address.",
	    "# take relay.never_authorize out of {file} (line {line}), then\n"
	    "popgatectl reload" },
	{ "popgate-no-limits", WARN,
	    "Who steals one password sends as much spam as the line takes.",
	    "# take the limits of \"off\" out of {file}, then\n"
	    "popgatectl reload" },
	{ "popgate-window-long", WARN,
	    "An address that a provider gives to somebody else in the meantime "
	    "may still relay.",
	    "# in {file}: logins: { window = \"30m\"; };\n"
	    "popgatectl reload" },
	{ "popgate-ipv6-prefix", WARN,
	    "One login lets a whole provider's customers relay.",
	    "# in {file}: relay: { ipv6_prefix = 64; };\npopgatectl reload" },
	{ "popgate-no-grace", INFO,
	    "A dead collector isn't noticed, and its users are refused for "
	    "good.",
	    "# take relay.collector_grace out of {file} (line {line}), then\n"
	    "popgatectl reload" },
	{ "popgate-trusted-open", OPEN,
	    "Nearly every address there is may relay without a login.",
	    "# in {file} line {line}: relay: { trusted_networks = "
	    "[ \"127.0.0.1\", \"::1\" ]; };\npopgatectl reload" },
	{ "popgate-trusted-wide", WARN,
	    "One infected machine in such a wide network sends its spam through "
	    "you.",
	    "# in {file} line {line}: single addresses, or /24 and /48 at "
	    "most, then\npopgatectl reload" },
	{ "popgate-trusted-bridge", WARN,
	    "Connections to a container's published port can come from the "
	    "bridge's address: then the whole world is trusted.",
	    "# in {file} line {line}: the containers' own addresses, then\n"
	    "popgatectl reload" },
	{ "popgate-trusted-gateway", WARN,
	    "A router that forwards ports with its own address as the source "
	    "makes the whole world trusted.",
	    "# in {file} line {line}: only the addresses that need it, then\n"
	    "popgatectl reload" },
	{ "popgate-trusted-proxy", WARN,
	    "Whoever comes through the proxy has its address, and so relays "
	    "without a login.",
	    "# take it out of relay.trusted_networks in {file} (line {line}), "
	    "then\npopgatectl reload" },
	{ "popgate-entry-open", OPEN,
	    "Nearly every address there is may relay.", "" },
	{ "popgate-entry-wide", WARN,
	    "One infected machine in such a wide network sends its spam through "
	    "you.",
	    "" },
	{ "popgate-entry-gateway", WARN,
	    "Connections that a container's port or a router passes on can come "
	    "from that address: then the whole world may relay.",
	    "" },
	{ "popgate-file-writable", WARN,
	    "popgate believes what stands in it: any local user can let himself "
	    "relay.",
	    "chmod o-w {value}" },
	{ "popgate-syslog-network", WARN,
	    "Whoever can send a line to it writes a login into the log, and "
	    "relays by it.",
	    "# take the network input out of {file} (line {line}), or read the "
	    "journal instead:\n"
	    "#     collector: { sources = ( { journal = \"system\"; } ); };" },
	{ "popgate-log-forgeable", INFO,
	    "Any local user can write a line that looks like a login to syslog "
	    "(logger); the journal says who wrote it, a text file doesn't.",
	    "# in popgate.conf, if there is a journal and users who log in:\n"
	    "#     collector: { sources = ( { journal = \"system\"; } ); };" },
	{ "popgate-log-stream", WARN,
	    "Clients choose what stands in a line of this server's output, "
	    "newlines too; such logins don't count in the journal, and in a "
	    "text file can't be told from true ones.",
	    "# let the server log by syslog; nginx: in nginx.conf\n"
	    "#     error_log syslog:server=unix:/dev/log,nohostname info;\n"
	    "# one of collector.custom that escapes newlines and NULs: "
	    "stream = true" },
	{ "popgate-collector-stale", WARN,
	    "Who logs in now can't relay, and whoever lost his right to his "
	    "address may keep it.",
	    "systemctl restart popgate-collector\npopgatectl status" },
	{ "popgate-no-logins", INFO, "popgate-collector has not run yet.",
	    "systemctl enable --now popgate-collector" },
	{ "popgate-table-unreadable", WARN,
	    "While the login table can't be read, nobody who logged in may "
	    "relay.",
	    "popgatectl health" },

	{ "popgate-share-away", WARN,
	    "Machines that don't hear each other go on with what each knows: users who "
	    "logged in elsewhere can't send, and limits are each machine's own.",
	    "popgatectl share test\npopgatectl share status" },
	{ "popgate-share-refused", WARN,
	    "Entries that don't count are a machine with another key or clock, or somebody "
	    "who writes to Redis and shouldn't.",
	    "popgatectl share status" },
	{ "popgate-share-clock", WARN,
	    "What a machine says is dated by its own clock: a wrong one opens for too short "
	    "or too long, or is refused.",
	    "timedatectl" },
	{ "popgate-share-plain", INFO,
	    "Who reads the network sees who logs in from where, and can keep entries from "
	    "coming; he can't forge one.",
	    "# a private network, WireGuard or stunnel between the machines and Redis" },

	/* --- the probe --- */
	{ "probe-open-relay", SEVERITY_OPEN_RELAY,
	    "Anybody can send mail to anybody through this server; spammers find "
	    "such a server within hours.",
	    "# stop it, find the setting, close it, start it:\n"
	    "popgatectl doctor\n"
	    "popgatectl wiring postfix    # or: sendmail, exim" },
	{ "probe-sender-opens", SEVERITY_OPEN_RELAY,
	    "A sender address is what the client says of itself, so whoever "
	    "guesses it relays.",
	    "# find and remove the rule that goes by the sender:\n"
	    "postconf -n | grep -E 'sender_access|sender_restrictions'\n"
	    "grep -nE '^From:|OK|RELAY' /etc/mail/access /etc/postfix/*access*" },
	{ "probe-helo-opens", SEVERITY_OPEN_RELAY,
	    "The name in HELO is what the client says of itself, so whoever "
	    "guesses it relays.",
	    "# find and remove the rule that goes by HELO:\n"
	    "postconf -n | grep -E 'helo_access|helo_restrictions'" },
	{ "probe-xclient-opens", SEVERITY_OPEN_RELAY,
	    "Whoever may say XCLIENT may say that he is this server itself, and "
	    "relays.",
	    "postconf -e smtpd_authorized_xclient_hosts= && postfix reload" },
	{ "probe-form-opens", SEVERITY_OPEN_RELAY,
	    "Whoever writes the recipient in this form relays; spammers try all "
	    "forms.",
	    "postconf -e allow_untrusted_routing=no && postfix reload\n"
	    "# Sendmail: remove FEATURE(`loose_relay_check') and make "
	    "sendmail.cf anew" },
	{ "probe-form-unsure", SEVERITY_WARNING,
	    "Where a domain takes any name, a mailbox with a strange name and a "
	    "relay look alike from outside.",
	    "# have the server refuse unknown names, and probe again:\n"
	    "postconf local_recipient_maps relay_recipient_maps "
	    "virtual_alias_maps" },
	{ "probe-program", SEVERITY_WARNING,
	    "Mail from strangers may reach a program or a file.",
	    "postconf -e allow_mail_to_commands=alias,forward "
	    "allow_mail_to_files=alias,forward" },
	{ "probe-own-refused", SEVERITY_WARNING,
	    "Mail for this domain gets lost, or popgate counts a domain as ours "
	    "that the mail server doesn't.",
	    "popgatectl check --client 203.0.113.1 --to postmaster@example.com\n"
	    "# and compare relay.local_domains with the mail server's own list" },
	{ "probe-own-put-off", SEVERITY_INFO,
	    "Mail for our own domains waits: greylisting, or something that "
	    "doesn't answer.",
	    "popgatectl health" },
	{ "probe-unjudged", SEVERITY_WARNING,
	    "What wasn't answered can't be judged: neither open nor closed.",
	    "popgatectl health\n"
	    "# and probe again when the server answers" },
	{ "probe-login-refused", SEVERITY_WARNING,
	    "A client that has logged in can't send.", "popgatectl why ..." },
	{ "probe-login-relays", SEVERITY_INFO,
	    "A client that has logged in can send, as it should.", "" },
	{ "probe-closed", SEVERITY_INFO,
	    "A stranger is refused in every form that is known to open relays.",
	    "" },
	/* --- block lists --- */
	{ "dnsbl-listed", SEVERITY_WARNING,
	    "Servers that ask this list refuse our mail; most lists take an "
	    "address off by themselves some days after the cause is gone.",
	    "# first the cause, then the list's own web page:\n"
	    "popgatectl doctor --probe\n"
	    "popgatectl doctor --incident --since 7d" },
	{ "dnsbl-refused", SEVERITY_WARNING,
	    "That answer is an error, not a listing: nothing is known of our "
	    "addresses.",
	    "popgatectl doctor --dnsbl --resolver 127.0.0.1 LIST" },
	{ "dnsbl-failed", SEVERITY_WARNING,
	    "Without an answer nothing is known of our addresses.",
	    "popgatectl doctor --dnsbl --timeout 10s LIST" },
	{ "dnsbl-not-working", SEVERITY_WARNING,
	    "What such a list answers means nothing; a mail server that asks it "
	    "refuses everybody or nobody.",
	    "# don't ask it, here or in the mail server:\n"
	    "postconf -n | grep -E 'rbl_client|dnsbl'" },
	{ "dnsbl-no-address", SEVERITY_WARNING,
	    "Behind a translator of addresses, the one that the world sees must "
	    "be named.",
	    "popgatectl doctor --dnsbl --address ADDRESS LIST" },
	{ "dnsbl-clear", SEVERITY_INFO, "The lists know nothing against us.",
	    "" },
	{ "dnsbl-cause-null-sender", SEVERITY_WARNING,
	    "Clients that relay notifications or automatic answers send them to "
	    "people whose addresses spammers forged: backscatter.",
	    "# in popgate.conf, then popgatectl reload:\n"
	    "relay: { null_sender = \"reject\"; };" },
	{ "dnsbl-cause-bounce", SEVERITY_WARNING,
	    "Mail that is accepted and sent back goes to people whose addresses "
	    "spammers forged: backscatter.",
	    "# have unknown names refused at once:\n"
	    "postconf -e '{setting} = ...the table of names that exist...'\n"
	    "postfix reload" },
	{ "dnsbl-cause-responder", SEVERITY_WARNING,
	    "It answers spam, too, to people whose addresses spammers forged: "
	    "backscatter.",
	    "# one that answers only known senders and never lists or spam, as "
	    "Sieve's\n# vacation does (RFC 5230 section 4.5), or none" },
	{ "dnsbl-cause-unknown", SEVERITY_INFO,
	    "Whether this server makes backscatter can't be told without it.",
	    "popgatectl health" },
	{ 0 }
};
