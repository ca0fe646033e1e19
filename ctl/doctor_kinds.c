/* The findings, by program. docs/DOCTOR.md explains each at length. */
#include "doctor.h"

const struct finding_kind finding_kinds[] = {
    /* --- any --- */
    {"mta-none", SEVERITY_INFO,
	"Without a mail server's configuration only popgate's own could be "
	"looked at.",
	"popgatectl doctor --mta postfix --config-dir /etc/postfix"},
    /* --- the probe --- */
    {"probe-open-relay", SEVERITY_OPEN_RELAY,
	"Anybody can send mail to anybody through this server; spammers find "
	"such a server within hours.",
	"# stop it, find the setting, close it, start it:\n"
	"popgatectl doctor\n"
	"popgatectl wiring postfix    # or: sendmail"},
    {"probe-sender-opens", SEVERITY_OPEN_RELAY,
	"A sender address is what the client says of itself, so whoever "
	"guesses it relays.",
	"# find and remove the rule that goes by the sender:\n"
	"postconf -n | grep -E 'sender_access|sender_restrictions'\n"
	"grep -nE '^From:|OK|RELAY' /etc/mail/access /etc/postfix/*access*"},
    {"probe-helo-opens", SEVERITY_OPEN_RELAY,
	"The name in HELO is what the client says of itself, so whoever "
	"guesses it relays.",
	"# find and remove the rule that goes by HELO:\n"
	"postconf -n | grep -E 'helo_access|helo_restrictions'"},
    {"probe-form-opens", SEVERITY_OPEN_RELAY,
	"Whoever writes the recipient in this form relays; spammers try all "
	"forms.",
	"postconf -e allow_untrusted_routing=no && postfix reload\n"
	"# Sendmail: remove FEATURE(`loose_relay_check') and make "
	"sendmail.cf anew"},
    {"probe-form-unsure", SEVERITY_WARNING,
	"Where a domain takes any name, a mailbox with a strange name and a "
	"relay look alike from outside.",
	"# have the server refuse unknown names, and probe again:\n"
	"postconf local_recipient_maps relay_recipient_maps "
	"virtual_alias_maps"},
    {"probe-program", SEVERITY_WARNING,
	"Mail from strangers may reach a program or a file.",
	"postconf -e allow_mail_to_commands=alias,forward "
	"allow_mail_to_files=alias,forward"},
    {"probe-own-refused", SEVERITY_WARNING,
	"Mail for this domain gets lost, or popgate counts a domain as ours "
	"that the mail server doesn't.",
	"popgatectl check --client 203.0.113.1 --to postmaster@example.com\n"
	"# and compare relay.local_domains with the mail server's own list"},
    {"probe-own-put-off", SEVERITY_INFO,
	"Mail for our own domains waits: greylisting, or something that "
	"doesn't answer.",
	"popgatectl health"},
    {"probe-unjudged", SEVERITY_WARNING,
	"What wasn't answered can't be judged: neither open nor closed.",
	"popgatectl health\n"
	"# and probe again when the server answers"},
    {"probe-login-refused", SEVERITY_WARNING,
	"A client that has logged in can't send.", "popgatectl why ..."},
    {"probe-login-relays", SEVERITY_INFO,
	"A client that has logged in can send, as it should.", ""},
    {"probe-closed", SEVERITY_INFO,
	"A stranger is refused in every form that is known to open relays.",
	""},
    {0}};
