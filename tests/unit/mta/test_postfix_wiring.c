/* SPDX-License-Identifier: ISC */
/* where a Postfix has to ask popgate, and that the edits make it ask: each row
 * is a configuration, and the edits that it wants */
#include "tests/unit/unit.h"

#include "common/base/err.h"
#include "common/mta/postfix_wiring.h"
#include "tests/unit/mta/main_text.h"

enum { TEXT_LEN = 16384 };

#define SMTP "smtp inet n - n - - smtpd\n"
#define SUBMISSION SMTP "submission inet n - n - - smtpd\n"

/* The settings of every configuration; its own lines come after. */
#define BASE                                     \
	"queue_directory = /var/spool/postfix\n" \
	"smtpd_delay_reject = yes\n"             \
	"inet_interfaces = all\n"                \
	"smtpd_sasl_type = dovecot\n"            \
	"mynetworks = 127.0.0.0/8\n"

#define DATA \
	"smtpd_data_restrictions = permit_auth_destination, $popgate_data\n"
#define MILTER "smtpd_milters = $popgate_milter\n"
#define RELAY                                                                     \
	"smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated " \
	"reject_unauth_destination\n"
#define RELAY_WIRED                                                               \
	"smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated " \
	"permit_auth_destination, $popgate_relay_strict, reject_unauth_destination\n"

struct row {
	const char *name;
	const char *main; /* behind BASE */
	const char *services; /* NULL: SMTP */
	const char *overrides;
	const char *policy; /* permit.policy; NULL: below /run */
	/* the edits, but for the definitions: "name = value", "-P ..." */
	const char *want;
	const char *want_error; /* part of it; NULL: none */
};

static const struct row rows[] = {
	{ "a filter's way back that refuses, beside one that relays",
	    "smtpd_relay_restrictions = reject\n",
	    SMTP "127.0.0.1:10025 inet n - n - - smtpd\n"
		 "127.0.0.1:10026 inet n - n - - smtpd\n",
	    "smtp/inet/smtpd_proxy_filter = 127.0.0.1:10081\n"
	    "smtp/inet/smtpd_relay_restrictions = reject_unauth_destination\n"
	    "127.0.0.1:10025/inet/smtpd_relay_restrictions = "
	    "permit_mynetworks,reject\n"
	    "127.0.0.1:10026/inet/smtpd_relay_restrictions = "
	    "reject_unauth_destination\n",
	    NULL,
	    "-P 127.0.0.1:10025/inet/smtpd_milters=\n"
	    "-P 127.0.0.1:10026/inet/smtpd_milters=\n"
	    "-P 127.0.0.1:10026/inet/smtpd_relay_restrictions="
	    "permit_mynetworks,reject_unauth_destination\n" MILTER DATA
	    "-P smtp/inet/smtpd_relay_restrictions=permit_auth_destination,"
	    "$popgate_relay_strict,reject_unauth_destination\n",
	    NULL },
	{ "a filter's one way back relays for nobody",
	    "smtpd_relay_restrictions = reject_unauth_destination\n"
	    "content_filter = scan:[127.0.0.1]:10024\n",
	    SMTP "127.0.0.1:10025 inet n - n - - smtpd\n",
	    "127.0.0.1:10025/inet/content_filter =\n", NULL, "",
	    "127.0.0.1:10025/inet: a content filter gives its mail back here" },
	{ "a filter's way back that other machines reach isn't opened",
	    "smtpd_relay_restrictions = permit_mynetworks, "
	    "reject_unauth_destination\n"
	    "content_filter = scan:[192.0.2.9]:10024\n",
	    SMTP "10025 inet n - n - - smtpd\n",
	    "10025/inet/content_filter =\n"
	    "10025/inet/mynetworks = 127.0.0.0/8 192.0.2.9\n"
	    "10025/inet/smtpd_relay_restrictions = reject_unauth_destination\n"
	    "10025/inet/smtpd_recipient_restrictions = "
	    "permit_mynetworks,reject\n",
	    NULL, "", "10025/inet: a content filter gives its mail back here" },
	{ "a filter's way back for a machine of its own",
	    "smtpd_relay_restrictions = reject_unauth_destination\n"
	    "content_filter = scan:[192.0.2.9]:10024\n",
	    "10025 inet n - n - - smtpd\n",
	    "10025/inet/content_filter =\n"
	    "10025/inet/mynetworks = 192.0.2.9\n"
	    "10025/inet/smtpd_relay_restrictions = permit_mynetworks,reject\n",
	    NULL, "", NULL },
	{ "relay list as Debian has it", RELAY, NULL, NULL, NULL,
	    MILTER DATA RELAY_WIRED, NULL },
	{ "no permits at all",
	    "smtpd_relay_restrictions = reject_unauth_destination\n", NULL,
	    NULL, NULL,
	    MILTER DATA "smtpd_relay_restrictions = permit_auth_destination, "
			"$popgate_relay_strict, reject_unauth_destination\n",
	    NULL },
	{ "everything in the recipient list, checks behind",
	    "smtpd_recipient_restrictions = permit_mynetworks, "
	    "reject_unauth_destination, check_policy_service inet:127.0.0.1:1\n",
	    NULL, NULL, NULL,
	    MILTER DATA "smtpd_recipient_restrictions = permit_mynetworks, "
			"$popgate_recipient, reject_unauth_destination, "
			"check_policy_service inet:127.0.0.1:1\n",
	    NULL },
	{ "checks in front of the permits stay there",
	    RELAY "smtpd_recipient_restrictions = reject_non_fqdn_recipient, "
		  "permit_sasl_authenticated, permit_mynetworks, "
		  "reject_rbl_client zen.example\n",
	    NULL, NULL, NULL,
	    MILTER DATA RELAY_WIRED
	    "smtpd_recipient_restrictions = reject_non_fqdn_recipient, "
	    "permit_sasl_authenticated, permit_mynetworks, "
	    "$popgate_recipient_early, reject_rbl_client zen.example\n",
	    NULL },
	{ "what AUTH users meet, too, isn't ours",
	    RELAY "smtpd_sender_restrictions = reject_unknown_sender_domain\n"
		  "smtpd_helo_restrictions = reject_invalid_helo_hostname, "
		  "permit_sasl_authenticated\n",
	    NULL, NULL, NULL, MILTER DATA RELAY_WIRED, NULL },
	{ "client list that ends in a refusal",
	    RELAY "smtpd_client_restrictions = check_client_access "
		  "hash:/x, reject\n",
	    NULL, NULL, NULL,
	    MILTER DATA
	    "smtpd_client_restrictions = check_client_access hash:/x, "
	    "$popgate_client_strict, reject\n" RELAY_WIRED,
	    NULL },
	{ "a table that refuses everybody",
	    RELAY "smtpd_sender_restrictions = check_sender_access "
		  "static:REJECT\n",
	    NULL, NULL, NULL,
	    MILTER DATA
	    "smtpd_sender_restrictions = $popgate_sender, check_sender_access "
	    "static:REJECT\n" RELAY_WIRED,
	    NULL },
	{ "behind a permit nothing is asked",
	    RELAY "smtpd_sender_restrictions = permit, reject\n", NULL, NULL,
	    NULL, MILTER DATA RELAY_WIRED, NULL },
	{ "warn_if_reject stays with what it warns of",
	    RELAY "smtpd_client_restrictions = permit_mynetworks, "
		  "warn_if_reject reject_rbl_client x, reject_rbl_client y\n",
	    NULL, NULL, NULL,
	    MILTER DATA
	    "smtpd_client_restrictions = permit_mynetworks, $popgate_client_early, "
	    "warn_if_reject reject_rbl_client x, reject_rbl_client y\n" RELAY_WIRED,
	    NULL },
	{ "a class that refuses is asked in front of",
	    RELAY
	    "smtpd_restriction_classes = strict\n"
	    "strict = reject_unauth_destination\n"
	    "smtpd_recipient_restrictions = strict, reject_rbl_client x\n",
	    NULL, NULL, NULL,
	    MILTER DATA RELAY_WIRED
	    "smtpd_recipient_restrictions = $popgate_recipient, strict, "
	    "reject_rbl_client x\n",
	    NULL },
	{ "services have lists of their own", RELAY, SUBMISSION,
	    "submission/inet/smtpd_relay_restrictions = "
	    "permit_sasl_authenticated,reject\n"
	    "submission/inet/smtpd_data_restrictions =\n"
	    "submission/inet/smtpd_milters =\n",
	    NULL,
	    MILTER "-P submission/inet/smtpd_milters=$popgate_milter\n" DATA
		   "-P submission/inet/smtpd_data_restrictions="
		   "permit_auth_destination,$popgate_data\n" RELAY_WIRED
		   "-P submission/inet/smtpd_relay_restrictions="
		   "permit_sasl_authenticated,$popgate_relay_strict,reject\n",
	    NULL },
	{ "a list by a name of its own is edited there",
	    RELAY "mua = permit_sasl_authenticated, reject\n", SUBMISSION,
	    "submission/inet/smtpd_client_restrictions = $mua\n", NULL,
	    MILTER DATA RELAY_WIRED "mua = permit_sasl_authenticated, "
				    "$popgate_client_strict, reject\n",
	    NULL },
	{ "a name that other lists share is written out",
	    RELAY "mua = permit_sasl_authenticated, reject\n"
		  "smtpd_etrn_restrictions = $mua\n",
	    SUBMISSION, "submission/inet/smtpd_client_restrictions = $mua\n",
	    NULL,
	    MILTER DATA RELAY_WIRED
	    "-P submission/inet/smtpd_client_restrictions="
	    "permit_sasl_authenticated,$popgate_client_strict,reject\n",
	    NULL },
	{ "names beside the place stay names",
	    RELAY "ours = permit_mynetworks, permit_sasl_authenticated\n"
		  "smtpd_client_restrictions = $ours reject_rbl_client $zone\n"
		  "zone = zen.example\n",
	    NULL, NULL, NULL,
	    MILTER DATA
	    "smtpd_client_restrictions = $ours $popgate_client_early, "
	    "reject_rbl_client $zone\n" RELAY_WIRED,
	    NULL },
	{ "milters stay, and non_smtpd_milters has what it had",
	    RELAY "smtpd_milters = inet:127.0.0.1:11332\n"
		  "non_smtpd_milters = $smtpd_milters\n",
	    NULL, NULL, NULL,
	    "non_smtpd_milters = inet:127.0.0.1:11332\n"
	    "smtpd_milters = inet:127.0.0.1:11332, $popgate_milter\n" DATA
		RELAY_WIRED,
	    NULL },
	{ "the pasted wiring of before, by another socket",
	    "smtpd_milters = { unix:/var/popgate/milter.sock, "
	    "default_action=accept }\n"
	    "smtpd_relay_restrictions = permit_auth_destination, "
	    "check_policy_service { unix:/var/popgate/policy.sock, timeout=10s, "
	    "policy_context=asked-at-data }, reject_unauth_destination\n"
	    "smtpd_data_restrictions = reject_unauth_pipelining, "
	    "permit_auth_destination, check_policy_service "
	    "unix:/var/popgate/policy.sock\n",
	    NULL, NULL, NULL,
	    MILTER "smtpd_data_restrictions = reject_unauth_pipelining, "
		   "permit_auth_destination, $popgate_data\n"
		   "smtpd_relay_restrictions = permit_auth_destination, "
		   "$popgate_relay_strict, reject_unauth_destination\n",
	    NULL },
	{ "checks between the permits and the refusal hear of strangers",
	    "smtpd_recipient_restrictions = permit_mynetworks, "
	    "permit_sasl_authenticated, check_policy_service inet:127.0.0.1:1, "
	    "reject_unauth_destination, check_policy_service inet:127.0.0.1:2\n"
	    "smtpd_client_restrictions = permit_sasl_authenticated, "
	    "reject_rbl_client x, reject\n",
	    NULL, NULL, NULL,
	    MILTER DATA
	    "smtpd_client_restrictions = permit_sasl_authenticated, "
	    "$popgate_client_first, reject_rbl_client x, "
	    "$popgate_client_strict, reject\n"
	    "smtpd_recipient_restrictions = permit_mynetworks, "
	    "permit_sasl_authenticated, $popgate_recipient_first, "
	    "check_policy_service inet:127.0.0.1:1, $popgate_recipient, "
	    "reject_unauth_destination, check_policy_service inet:127.0.0.1:2\n",
	    NULL },
	{ "a wiring that asked once, and both questions in the wrong places",
	    "smtpd_recipient_restrictions = permit_sasl_authenticated, "
	    "$popgate_recipient, reject_rbl_client x, "
	    "reject_unauth_destination\n"
	    "smtpd_relay_restrictions = $popgate_relay_strict, "
	    "permit_sasl_authenticated, reject_rbl_client x, "
	    "$popgate_relay_first, reject_unauth_destination\n",
	    NULL, NULL, NULL,
	    MILTER DATA
	    "smtpd_relay_restrictions = permit_sasl_authenticated, "
	    "$popgate_relay_first, reject_rbl_client x, "
	    "permit_auth_destination, $popgate_relay_strict, "
	    "reject_unauth_destination\n"
	    "smtpd_recipient_restrictions = permit_sasl_authenticated, "
	    "$popgate_recipient_first, reject_rbl_client x, "
	    "permit_auth_destination, $popgate_recipient_strict, "
	    "reject_unauth_destination\n",
	    NULL },
	{ "both questions in a value that is named",
	    "ours = permit_sasl_authenticated, reject_rbl_client x, "
	    "reject_unauth_destination\n"
	    "smtpd_relay_restrictions = reject_non_fqdn_sender, $ours\n",
	    NULL, NULL, NULL,
	    MILTER DATA
	    "ours = permit_sasl_authenticated, $popgate_relay_first, "
	    "reject_rbl_client x, permit_auth_destination, "
	    "$popgate_relay_strict, reject_unauth_destination\n",
	    NULL },
	{ "an early question by a socket of another name",
	    RELAY "smtpd_recipient_restrictions = permit_sasl_authenticated, "
		  "permit_mynetworks, check_policy_service { "
		  "inet:127.0.0.1:9999, policy_context=asked-later/recipient "
		  "}, reject_rbl_client zen.example\n",
	    NULL, NULL, NULL,
	    MILTER DATA RELAY_WIRED
	    "smtpd_recipient_restrictions = permit_sasl_authenticated, "
	    "permit_mynetworks, $popgate_recipient_early, "
	    "reject_rbl_client zen.example\n",
	    NULL },
	{ "the pasted wiring by a socketmap",
	    "smtpd_relay_restrictions = permit_auth_destination, "
	    "permit_sasl_authenticated, check_client_access "
	    "socketmap:unix:/run/popgate/socketmap.sock:popgate, "
	    "reject_unauth_destination\n",
	    NULL, NULL, NULL,
	    MILTER DATA "smtpd_relay_restrictions = permit_auth_destination, "
			"permit_sasl_authenticated, $popgate_relay_strict, "
			"reject_unauth_destination\n",
	    NULL },
	{ "the pasted wiring that opens Postfix",
	    "smtpd_relay_restrictions = check_client_access static:OK, reject\n"
	    "smtpd_milters = { unix:/run/popgate/milter.sock, "
	    "default_action=tempfail }\n",
	    NULL, NULL, NULL,
	    "smtpd_relay_restrictions = permit_auth_destination, "
	    "$popgate_relay_strict, reject_unauth_destination\n" MILTER DATA,
	    NULL },
	{ "the same, and a content filter that gives mail back",
	    "smtpd_relay_restrictions = check_client_access static:OK, reject\n"
	    "content_filter = smtp:[127.0.0.1]:10024\n"
	    "smtpd_milters = { unix:/run/popgate/milter.sock, "
	    "default_action=tempfail }\n",
	    SMTP "127.0.0.1:10025 inet n - n - - smtpd\n",
	    "127.0.0.1:10025/inet/content_filter =\n", NULL,
	    "-P 127.0.0.1:10025/inet/smtpd_relay_restrictions="
	    "permit_mynetworks,reject_unauth_destination\n"
	    "-P 127.0.0.1:10025/inet/smtpd_milters=\n"
	    "smtpd_relay_restrictions = permit_auth_destination, "
	    "$popgate_relay_strict, reject_unauth_destination\n" MILTER DATA,
	    NULL },
	{ "the same, and a service of this machine that it guards, too",
	    "smtpd_relay_restrictions = check_client_access static:OK, reject\n"
	    "smtpd_milters = { unix:/run/popgate/milter.sock, "
	    "default_action=tempfail }\n",
	    SMTP "127.0.0.1:10025 inet n - n - - smtpd\n", NULL, NULL,
	    "-P 127.0.0.1:10025/inet/smtpd_relay_restrictions="
	    "permit_auth_destination,reject_unauth_destination\n"
	    "-P 127.0.0.1:10025/inet/smtpd_milters=\n"
	    "smtpd_relay_restrictions = permit_auth_destination, "
	    "$popgate_relay_strict, reject_unauth_destination\n" MILTER DATA,
	    NULL },
	{ "the same without popgate's milter",
	    "smtpd_relay_restrictions = check_client_access static:OK, "
	    "reject\n",
	    NULL, NULL, NULL, "", "close the server first" },
	{ "chroot: out of it", RELAY, "smtp inet n - y - - smtpd\n", NULL, NULL,
	    "-F smtp/inet/chroot=n\n" MILTER DATA RELAY_WIRED, NULL },
	{ "chroot: sockets below the queue", RELAY,
	    "smtp inet n - y - - smtpd\n", NULL,
	    "unix:/var/spool/postfix/popgate/policy.sock",
	    MILTER DATA RELAY_WIRED, NULL },
	{ "chroot that SASL needs",
	    RELAY "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = cyrus\n",
	    "smtp inet n - y - - smtpd\n", NULL, NULL, "", "saslauthd" },
	{ "what another milter's path means in the chroot, it means outside",
	    RELAY "smtpd_milters = local:/opendkim/sock\n",
	    "smtp inet n - y - - smtpd\n", NULL, NULL,
	    "-F smtp/inet/chroot=n\n"
	    "smtpd_milters = local:opendkim/sock, $popgate_milter\n" DATA
		RELAY_WIRED,
	    NULL },
	{ "a path in the chroot that a smtpd outside reads otherwise",
	    RELAY "smtpd_sasl_auth_enable = yes\n"
		  "smtpd_sasl_path = /auth\n",
	    "smtp inet n - y - - smtpd\nsubmission inet n - n - - smtpd\n",
	    NULL, NULL,
	    "-F smtp/inet/chroot=n\n"
	    "-P smtp/inet/smtpd_sasl_path=auth\n" MILTER DATA RELAY_WIRED,
	    NULL },
	{ "chroot that a milter behind another name needs",
	    RELAY "dkim = unix:/opendkim/sock\nsmtpd_milters = $dkim\n",
	    "smtp inet n - y - - smtpd\n", NULL, NULL, "",
	    "smtpd_milters unix:/opendkim/sock" },
	{ "a content filter gives mail back",
	    RELAY "content_filter = smtp:[127.0.0.1]:10024\n"
		  "smtpd_milters = inet:127.0.0.1:1\n"
		  "smtpd_client_restrictions = permit_sasl_authenticated, "
		  "reject_rbl_client x\n",
	    SMTP "127.0.0.1:10025 inet n - n - - smtpd\n",
	    "127.0.0.1:10025/inet/content_filter =\n", NULL,
	    "-P 127.0.0.1:10025/inet/smtpd_client_restrictions="
	    "permit_sasl_authenticated,reject_rbl_client,x\n"
	    "-P 127.0.0.1:10025/inet/smtpd_milters=inet:127.0.0.1:1\n"
	    "smtpd_milters = inet:127.0.0.1:1, $popgate_milter\n" DATA
	    "smtpd_client_restrictions = permit_sasl_authenticated, "
	    "$popgate_client_early, reject_rbl_client x\n" RELAY_WIRED,
	    NULL },
	{ "behind postscreen", RELAY,
	    "smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\n",
	    NULL, NULL, MILTER DATA RELAY_WIRED, NULL },
	{ "this machine only", RELAY "inet_interfaces = loopback-only\n", NULL,
	    NULL, NULL, "", NULL },
	{ "an open relay", "smtpd_relay_restrictions = permit\n", NULL, NULL,
	    NULL, "", "close the server first" },
	{ "lists of before a recipient is known",
	    RELAY "smtpd_delay_reject = no\n"
		  "smtpd_client_restrictions = reject_unauth_destination\n"
		  "smtpd_helo_restrictions = permit_mynetworks, reject\n",
	    NULL, NULL, NULL,
	    MILTER DATA "smtpd_helo_restrictions = permit_mynetworks, "
			"$popgate_helo_strict, reject\n" RELAY_WIRED,
	    NULL },
	{ "macros as other milters want them",
	    RELAY "milter_mail_macros = i {mail_addr} {auth_authen}\n"
		  "milter_protocol = 2\n",
	    NULL, NULL, NULL,
	    "milter_mail_macros = i {mail_addr} {auth_authen} {auth_type}\n" MILTER
		DATA RELAY_WIRED,
	    NULL },
	{ "too old a Postfix", RELAY "mail_version = 2.11.3\n", NULL, NULL,
	    NULL, "", "3.1 or newer" },
	{ "a form of $ that can't be followed",
	    "x = reject_unauth_destination\n"
	    "smtpd_relay_restrictions = ${x?permit_mynetworks}, $x\n",
	    NULL, NULL, NULL,
	    MILTER DATA "smtpd_relay_restrictions = ${x?permit_mynetworks}, "
			"permit_auth_destination, $popgate_relay_strict, $x\n",
	    NULL },
	{ "a class that refuses to relay, and checks our own mail, too",
	    RELAY "smtpd_restriction_classes = inner, outer\n"
		  "inner = reject_unauth_destination, reject_rbl_client x\n"
		  "outer = inner\n"
		  "smtpd_recipient_restrictions = permit_mynetworks, outer\n",
	    NULL, NULL, NULL,
	    MILTER DATA RELAY_WIRED
	    "smtpd_recipient_restrictions = permit_mynetworks, "
	    "$popgate_recipient, outer\n",
	    NULL },
	{ "a class that other lists use, too, asks for a decision",
	    "smtpd_restriction_classes = users\n"
	    "users = permit_sasl_authenticated, reject_rbl_client x\n"
	    "smtpd_sender_restrictions = check_sender_access static:users\n"
	    "smtpd_relay_restrictions = users, permit_mynetworks, "
	    "reject_unauth_destination\n",
	    NULL, NULL, NULL,
	    MILTER DATA "users = permit_sasl_authenticated, $popgate_sender, "
			"reject_rbl_client x\n"
			"smtpd_relay_restrictions = users, permit_mynetworks, "
			"permit_auth_destination, $popgate_relay_strict, "
			"reject_unauth_destination\n",
	    NULL },
	{ "a class that checks our own mail, and then refuses to relay",
	    "smtpd_restriction_classes = ours\n"
	    "ours = check_recipient_access hash:/x, "
	    "reject_unauth_destination\n"
	    "smtpd_relay_restrictions = permit_mynetworks, ours\n",
	    NULL, NULL, NULL,
	    MILTER DATA "smtpd_relay_restrictions = permit_mynetworks, "
			"$popgate_relay, ours\n",
	    NULL },
	{ "a name that a service's list goes on behind is written out",
	    RELAY "ours = permit_mynetworks, reject_unauth_destination\n"
		  "smtpd_recipient_restrictions = $ours\n",
	    SUBMISSION,
	    "submission/inet/smtpd_recipient_restrictions = "
	    "$ours,reject_rbl_client,x\n",
	    NULL,
	    MILTER DATA RELAY_WIRED
	    "smtpd_recipient_restrictions = permit_mynetworks, "
	    "permit_auth_destination, $popgate_recipient_strict, "
	    "reject_unauth_destination\n"
	    "-P submission/inet/smtpd_recipient_restrictions="
	    "permit_mynetworks,$popgate_recipient,reject_unauth_destination,"
	    "reject_rbl_client,x\n",
	    NULL },
	{ "a class behind a table whose key is DNS's: no OK counts in it",
	    RELAY "smtpd_restriction_classes = strict\n"
		  "strict = permit_sasl_authenticated, reject\n"
		  "smtpd_client_restrictions = "
		  "check_reverse_client_hostname_access static:strict\n",
	    NULL, NULL, NULL, MILTER DATA RELAY_WIRED, NULL },
	{ "the same of a name server's name",
	    RELAY "smtpd_restriction_classes = strict\n"
		  "strict = permit_sasl_authenticated, reject\n"
		  "smtpd_client_restrictions = "
		  "check_client_ns_access static:strict\n",
	    NULL, NULL, NULL, MILTER DATA RELAY_WIRED, NULL },
	{ "the same of a mail exchanger's name",
	    RELAY "smtpd_restriction_classes = strict\n"
		  "strict = permit_sasl_authenticated, reject\n"
		  "smtpd_helo_restrictions = "
		  "check_helo_mx_access static:strict\n",
	    NULL, NULL, NULL, MILTER DATA RELAY_WIRED, NULL },
	{ "a table whose key is DNS's refuses everybody",
	    RELAY "smtpd_sender_restrictions = check_sender_mx_access "
		  "static:REJECT\n",
	    NULL, NULL, NULL,
	    MILTER DATA "smtpd_sender_restrictions = $popgate_sender, "
			"check_sender_mx_access static:REJECT\n" RELAY_WIRED,
	    NULL },
	{ "an OK of a table whose key is DNS's permits nobody",
	    RELAY "smtpd_sender_restrictions = check_sender_ns_access "
		  "static:OK, reject\n",
	    NULL, NULL, NULL,
	    MILTER DATA
	    "smtpd_sender_restrictions = check_sender_ns_access static:OK, "
	    "$popgate_sender_strict, reject\n" RELAY_WIRED,
	    NULL },
	{ "a sender that is an AUTH user's",
	    RELAY "smtpd_sasl_auth_enable = yes\n"
		  "smtpd_sender_login_maps = hash:/x\n"
		  "smtpd_sender_restrictions = reject_sender_login_mismatch\n",
	    NULL, NULL, NULL,
	    MILTER DATA "smtpd_sender_restrictions = $popgate_sender, "
			"reject_sender_login_mismatch\n" RELAY_WIRED,
	    NULL },
};

struct texts {
	char main[TEXT_LEN], overrides[TEXT_LEN], services[TEXT_LEN];
};

static struct wiring_sockets
sockets_of(const struct row *row)
{
	return (struct wiring_sockets){
		.milter = row->policy == NULL
		    ? "unix:/run/popgate/milter.sock"
		    : "unix:/var/spool/postfix/popgate/milter.sock",
		.policy = row->policy == NULL ? "unix:/run/popgate/policy.sock"
					      : row->policy,
	};
}

static int
plan(const struct texts *t, const struct row *row, struct postfix_conf *pf,
    struct wiring_plan *p, struct err *err)
{
	const struct wiring_sockets sockets = sockets_of(row);

	assert_int_equal(
	    postfix_conf_parse(&(struct postfix_conf_text){ .main = t->main,
				   .services = t->services,
				   .overrides = t->overrides },
		pf, err),
	    0);
	return postfix_wiring_plan(pf, &sockets, p, err);
}

static void
apply(struct texts *t, const struct wiring_plan *p, char *edits)
{
	char name[400];

	for (size_t i = 0; i < p->n_edits; i++) {
		const struct wiring_edit *e = &p->edits[i];

		assert_true(*e->why != '\0');
		switch (e->kind) {
		case EDIT_MAIN:
			text_set(t->main, TEXT_LEN, e->name, e->value);
			if (strncmp(e->name, "popgate_", 8) != 0)
				text_add(edits, TEXT_LEN, "%s = %s\n", e->name,
				    e->value);
			break;
		case EDIT_SERVICE:
			assert_null(strpbrk(e->value, " \t\n"));
			(void)snprintf(
			    name, sizeof(name), "%s/%s", e->service, e->name);
			text_set(t->overrides, TEXT_LEN, name, e->value);
			text_add(edits, TEXT_LEN, "-P %s=%s\n", name, e->value);
			break;
		case EDIT_FIELD:
			text_add(edits, TEXT_LEN, "-F %s/%s=%s\n", e->service,
			    e->name, e->value);
			(void)snprintf(t->services, TEXT_LEN, SMTP);
			break;
		}
	}
}

/* Does main.cf define each $popgate_ that it names? */
static void
assert_defined(const char *text)
{
	char name[100];

	for (const char *at = strstr(text, "$popgate_"); at != NULL;
	     at = strstr(at + 1, "$popgate_")) {
		size_t n = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz_");

		(void)snprintf(name, sizeof(name), "\n%.*s = ", (int)n, at + 1);
		assert_non_null(strstr(text, name));
	}
}

static void
edits(void **state)
{
	static struct texts t;
	static char got[TEXT_LEN];

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		const struct row *row = &rows[i];
		struct postfix_conf pf;
		struct wiring_plan p;
		struct err err;

		ROW("%s", row->name);
		(void)snprintf(t.main, TEXT_LEN, "%s", BASE);
		/* a later line of the same name is postconf's only one */
		for (const char *at = row->main; *at != '\0';) {
			size_t n = strcspn(at, "=");
			char name[100], value[1000];

			(void)snprintf(
			    name, sizeof(name), "%.*s", (int)n - 1, at);
			at += n + 1 + strspn(at + n + 1, " ");
			n = strcspn(at, "\n");
			(void)snprintf(
			    value, sizeof(value), "%.*s", (int)n, at);
			text_set(t.main, TEXT_LEN, name, value);
			at += n + 1;
		}
		(void)snprintf(t.services, TEXT_LEN, "%s",
		    row->services == NULL ? SMTP : row->services);
		(void)snprintf(t.overrides, TEXT_LEN, "%s",
		    row->overrides == NULL ? "" : row->overrides);
		got[0] = '\0';
		int rc = plan(&t, row, &pf, &p, &err);

		assert_int_equal(rc, row->want_error == NULL ? 0 : -1);
		if (row->want_error != NULL)
			assert_non_null(strstr(err.text, row->want_error));
		apply(&t, &p, got);
		assert_string_equal(got, row->want);
		wiring_plan_release(&p);
		postfix_conf_release(&pf);
		if (rc == -1)
			continue;
		assert_defined(t.main);
		/* once is enough */
		assert_int_equal(plan(&t, row, &pf, &p, &err), 0);
		assert_int_equal(p.n_edits, 0);
		for (size_t n = 0; n < p.n_notes; n++)
			if (wiring_note_is_gap(p.notes[n].kind))
				fail_msg("wired, but: %s: %s",
				    wiring_note_name(p.notes[n].kind),
				    p.notes[n].text);
		wiring_plan_release(&p);
		postfix_conf_release(&pf);
	}
}

static void
found(void **state)
{
	static const struct {
		const char *name, *main, *services, *overrides;
		const char *want; /* kinds of notes that are gaps */
	} notes[] = {
		{ "nothing", RELAY, SMTP, "", "never-asks no-milter " },
		{ "asked, but refused before",
		    RELAY_WIRED MILTER
		    "popgate_milter = unix:/run/popgate/milter.sock\n"
		    "popgate_relay_strict = check_policy_service { "
		    "unix:/run/popgate/policy.sock }\n"
		    "smtpd_client_restrictions = reject\n",
		    SMTP, "", "refuses-first " },
		{ "left to a later list, and there is none",
		    MILTER
		    "popgate_milter = unix:/run/popgate/milter.sock\n"
		    "popgate_recipient_early = check_policy_service { "
		    "unix:/run/popgate/policy.sock }\n"
		    "smtpd_recipient_restrictions = "
		    "$popgate_recipient_early, reject_unauth_destination\n",
		    SMTP, "", "never-asks " },
		{ "another socket",
		    RELAY_WIRED MILTER
		    "popgate_milter = unix:/run/popgate/old.sock\n"
		    "popgate_relay_strict = check_policy_service { "
		    "unix:/run/popgate/old.sock }\n",
		    SMTP, "", "never-asks old-wiring old-wiring " },
		{ "no milters",
		    RELAY_WIRED MILTER
		    "popgate_milter = unix:/run/popgate/milter.sock\n"
		    "receive_override_options = no_milters\n"
		    "popgate_relay_strict = check_policy_service { "
		    "unix:/run/popgate/policy.sock }\n",
		    SMTP, "", "no-milter " },
		{ "open", "smtpd_relay_restrictions = permit, reject\n", SMTP,
		    "", "never-asks open no-milter " },
	};
	const struct row row = { .name = "" };

	(void)state;
	for (size_t i = 0; i < LENGTH(notes); i++) {
		static struct texts t;
		char got[1000] = "";
		struct postfix_conf pf;
		struct wiring_plan p;
		struct err err;

		ROW("%s", notes[i].name);
		(void)snprintf(t.main, TEXT_LEN, "%s%s", BASE, notes[i].main);
		(void)snprintf(t.services, TEXT_LEN, "%s", notes[i].services);
		(void)snprintf(t.overrides, TEXT_LEN, "%s", notes[i].overrides);
		(void)plan(&t, &row, &pf, &p, &err);
		for (size_t n = 0; n < p.n_notes; n++)
			if (wiring_note_is_gap(p.notes[n].kind)) {
				strcat(got, wiring_note_name(p.notes[n].kind));
				strcat(got, " ");
			}
		assert_string_equal(got, notes[i].want);
		wiring_plan_release(&p);
		postfix_conf_release(&pf);
	}
}

static void
roles(void **state)
{
	static const struct {
		const char *name, *main, *services, *overrides;
		enum wiring_role want; /* of the first */
	} services[] = {
		{ "smtp", "", SMTP, "", ROLE_CLIENTS },
		{ "not smtpd", "", "smtp inet n - n - 1 postscreen\n", "",
		    ROLE_OTHER },
		{ "smtp client", "", "smtp unix - - n - - smtp\n", "",
		    ROLE_OTHER },
		{ "one address", "", "192.0.2.1:25 inet n - n - - smtpd\n", "",
		    ROLE_CLIENTS },
		{ "loopback", "", "localhost:2525 inet n - n - - smtpd\n", "",
		    ROLE_LOOPBACK },
		{ "loopback by a setting that has no effect there", "",
		    "submission inet n - n - - smtpd\n",
		    "submission/inet/inet_interfaces = 127.0.0.1\n",
		    ROLE_CLIENTS },
		{ "behind HAProxy", "", "127.0.0.1:2525 inet n - n - - smtpd\n",
		    "127.0.0.1:2525/inet/smtpd_upstream_proxy_protocol = "
		    "haproxy\n",
		    ROLE_CLIENTS },
		{ "a filter's", "content_filter = smtp:[127.0.0.1]:10024\n",
		    "[::1]:10025 inet n - n - - smtpd\n",
		    "[::1]:10025/inet/content_filter =\n", ROLE_REINJECTION },
		{ "a filter's on another machine",
		    "content_filter = smtp:[192.0.2.9]:10024\n",
		    "10025 inet n - n - - smtpd\n",
		    "10025/inet/content_filter =\n"
		    "10025/inet/mynetworks = 192.0.2.9\n"
		    "10025/inet/smtpd_recipient_restrictions = "
		    "permit_mynetworks,reject\n",
		    ROLE_REINJECTION },
		{ "submission without the filter",
		    "content_filter = smtp:[127.0.0.1]:10024\n",
		    "submission inet n - n - - smtpd\n",
		    "submission/inet/content_filter =\n", ROLE_CLIENTS },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(services); i++) {
		struct postfix_conf pf;
		struct err err;
		char main[2000];

		ROW("%s", services[i].name);
		(void)snprintf(
		    main, sizeof(main), "%s%s", BASE, services[i].main);
		assert_int_equal(postfix_conf_parse(
				     &(struct postfix_conf_text){ .main = main,
					 .services = services[i].services,
					 .overrides = services[i].overrides },
				     &pf, &err),
		    0);
		assert_int_equal(postfix_service_role(&pf, &pf.services[0]),
		    services[i].want);
		postfix_conf_release(&pf);
	}
}

static void
sockets(void **state)
{
	static const struct {
		const char *endpoint, *listen;
		bool chroot, want;
	} names[] = {
		{ "unix:/run/popgate/x", "unix:/run/popgate/x", false, true },
		{ "{ unix:/run/popgate/x, timeout=1s }", "unix:/run/popgate/x",
		    false, true },
		{ "local:/run/popgate/x", "unix:/run/popgate/x", false, true },
		{ "unix:/run/popgate/x", "unix:/run/popgate/x", true, false },
		{ "unix:/run/popgate/xy", "unix:/run/popgate/x", false, false },
		{ "unix:popgate/x", "unix:/var/spool/postfix/popgate/x", false,
		    true },
		{ "unix:popgate/x", "unix:/var/spool/postfix/popgate/x", true,
		    true },
		{ "unix:/popgate/x", "unix:/var/spool/postfix/popgate/x", true,
		    true },
		{ "unix:/popgate/x", "unix:/var/spool/postfix/popgate/x", false,
		    false },
		{ "inet:127.0.0.1:8891", "inet:8891@127.0.0.1", true, true },
		{ "inet:localhost:8892", "inet:8891@127.0.0.1", false, false },
		{ "inet:127.0.0.1:8891", "unix:/x", false, false },
		{ "unix:/x", "", false, false },
	};
	struct postfix_conf pf;
	struct err err;

	(void)state;
	assert_int_equal(
	    postfix_conf_parse(
		&(struct postfix_conf_text){ .main = BASE, .services = SMTP },
		&pf, &err),
	    0);
	for (size_t i = 0; i < LENGTH(names); i++) {
		ROW("%s for %s", names[i].endpoint, names[i].listen);
		pf.services[0].chroot = names[i].chroot;
		assert_int_equal(postfix_names_socket(&pf, &pf.services[0],
				     names[i].endpoint, names[i].listen),
		    names[i].want);
	}
	postfix_conf_release(&pf);
}

/* A database that Cyrus SASL finds outside of the chroot, too, doesn't keep
 * smtpd in it. */
static void
sasl_outside(void **state)
{
	static const char text[] = "smtpd_sasl_auth_enable = yes\n"
				   "smtpd_sasl_type = cyrus\n"
				   "smtpd_sasl_path = smtpd\n" RELAY BASE;
	struct postfix_conf pf;
	struct err err;

	(void)state;
	assert_int_equal(
	    postfix_conf_parse(&(struct postfix_conf_text){ .main = text,
				   .services = "smtp inet n - y - - smtpd\n" },
		&pf, &err),
	    0);
	for (int outside = 0; outside < 2; outside++) {
		const struct wiring_sockets sockets = {
			"unix:/run/popgate/milter.sock",
			"unix:/run/popgate/policy.sock"
		};
		struct wiring_plan p = { 0 };
		bool leaves = false;

		pf.sasl_outside = outside == 1;
		assert_int_equal(postfix_wiring_plan(&pf, &sockets, &p, &err),
		    outside == 1 ? 0 : -1);
		for (size_t i = 0; i < p.n_edits; i++)
			leaves |= p.edits[i].kind == EDIT_FIELD &&
			    strcmp(p.edits[i].name, "chroot") == 0;
		assert_true(leaves || outside == 0);
		wiring_plan_release(&p);
	}
	postfix_conf_release(&pf);
}

/* Is it said of a table that Postfix relays for clients by it? */
static void
permits(void **state)
{
	static const struct {
		const char *check;
		bool want;
	} checks[] = {
		{ "check_client_access static:OK", true },
		{ "check_client_ns_access static:OK", false },
		{ "check_client_ns_access static:DUNNO", false },
	};
	const struct row row = { .name = "" };

	(void)state;
	for (size_t i = 0; i < LENGTH(checks); i++) {
		static struct texts t;
		struct postfix_conf pf;
		struct wiring_plan p;
		struct err err;
		bool got = false;

		ROW("%s", checks[i].check);
		(void)snprintf(t.main, TEXT_LEN,
		    BASE "smtpd_recipient_restrictions = %s\n",
		    checks[i].check);
		text_add(t.main, TEXT_LEN, "%s",
		    "smtpd_relay_restrictions = reject_unauth_destination\n");
		(void)snprintf(t.services, TEXT_LEN, SMTP);
		t.overrides[0] = '\0';
		assert_int_equal(plan(&t, &row, &pf, &p, &err), 0);
		for (size_t n = 0; n < p.n_notes; n++)
			got |= p.notes[n].kind == NOTE_OTHER_PERMIT;
		assert_int_equal(got, checks[i].want);
		wiring_plan_release(&p);
		postfix_conf_release(&pf);
	}
}

/* The advice to listen in the chroot is whole, though a struct err has an end.
 */
static void
advice(void **state)
{
	static const char long_queue[] =
	    "/srv/mail/spool/second-instance/postfix1";
	static const struct {
		const char *name, *service, *queue, *settings, *want;
	} chroots[] = {
		{ "as Debian has it", "smtp", "/var/spool/postfix",
		    "smtpd_sasl_type = cyrus\n", "Cyrus SASL's saslauthd" },
		{ "submission", "submission", "/var/spool/postfix",
		    "smtpd_sasl_type = cyrus\n", "Cyrus SASL's saslauthd" },
		{ "long names", "192.0.2.1:submission", long_queue,
		    "smtpd_sasl_type = cyrus\n", "Cyrus SASL's saslauthd" },
		{ "long names, and a long setting", "192.0.2.1:submission",
		    long_queue,
		    "dkim = unix:/opendkim/sock\n"
		    "smtpd_milters = $dkim, { unix:/another/milter.sock, "
		    "default_action=accept }, { unix:/a-third/milter.sock, "
		    "default_action=accept }, inet:localhost:11332\n",
		    "smtpd_milters unix:/opend" },
	};
	const struct wiring_sockets sockets = { "unix:/run/popgate/milter.sock",
		"unix:/run/popgate/policy.sock" };

	(void)state;
	assert_int_equal(strlen(long_queue), 40);
	for (size_t i = 0; i < LENGTH(chroots); i++) {
		static char text[TEXT_LEN];
		char services[100], want[100];
		struct wiring_plan p = { 0 };
		struct postfix_conf pf;
		struct err err;

		ROW("%s", chroots[i].name);
		(void)snprintf(text, TEXT_LEN, "%s%s%s",
		    RELAY "smtpd_sasl_auth_enable = yes\nqueue_directory = ",
		    chroots[i].queue, "\n");
		text_add(text, TEXT_LEN, "%s", chroots[i].settings);
		(void)snprintf(services, sizeof(services),
		    "%s inet n - y - - smtpd\n", chroots[i].service);
		(void)snprintf(want, sizeof(want), "ReadWritePaths=-%s/popgate",
		    chroots[i].queue);
		assert_int_equal(postfix_conf_parse(
				     &(struct postfix_conf_text){
					 .main = text, .services = services },
				     &pf, &err),
		    0);
		assert_int_equal(
		    postfix_wiring_plan(&pf, &sockets, &p, &err), -1);
		assert_non_null(strstr(err.text, chroots[i].want));
		assert_true(strlen(err.text) > strlen(want));
		assert_string_equal(
		    err.text + strlen(err.text) - strlen(want), want);
		wiring_plan_release(&p);
		postfix_conf_release(&pf);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edits),
		cmocka_unit_test(permits),
		cmocka_unit_test(advice),
		cmocka_unit_test(sasl_outside),
		cmocka_unit_test(found),
		cmocka_unit_test(roles),
		cmocka_unit_test(sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
