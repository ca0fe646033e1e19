/* SPDX-License-Identifier: ISC */
/* Files that popgatectl's subcommands read and write, what they change in the
 * tables, row after row, and what they refuse. */
#include "tests/unit/ctl/commands.h"

static void
files(void **state)
{
	static const struct row rows[] = {
		{ &cmd_export, "--format makemap", 0,
		    "192.0.2.1\t1772538600\n"
		    "popgatectl: export: note: network 198.51.100.0/24 is left out: only cidr, json and csv can say it\n"
		    "2001:db8::7\t1772539140\n" },
		{ &cmd_export, "--format relayhosts", 0,
		    "192.0.2.1\n"
		    "popgatectl: export: note: network 198.51.100.0/24 is left out: only cidr, json and csv can say it\n"
		    "2001:db8::7\n" },
		{ &cmd_export, "--format relayhostsusers", 0,
		    "192.0.2.1 alice\n"
		    "192.0.2.1 bob\n"
		    "popgatectl: export: note: network 198.51.100.0/24 is left out: only cidr, json and csv can say it\n"
		    "2001:db8::7 carol\n" },
		{ &cmd_export, "--format access --value RELAY", 0,
		    "192.0.2.1\tRELAY\n"
		    "popgatectl: export: note: network 198.51.100.0/24 is left out: only cidr, json and csv can say it\n"
		    "2001:db8::7\tRELAY\n" },
		{ &cmd_export, "--format cidr", 0,
		    "192.0.2.1\tOK\n"
		    "198.51.100.0/24\tOK\n"
		    "2001:db8::7\tOK\n" },
		{ &cmd_export, "--format json", 0,
		    "{\"client\":\"192.0.2.1\",\"user\":\"alice\",\"service\":\"imap\",\"server\":\"dovecot\",\"first_at\":\"2026-03-03T11:50:00+00:00\",\"last_at\":\"2026-03-03T11:50:00+00:00\",\n"
		    "{\"client\":\"192.0.2.1\",\"user\":\"bob\",\"service\":\"pop3\",\"server\":\"courier\",\"first_at\":\"2026-03-03T11:40:00+00:00\",\"last_at\":\"2026-03-03T11:40:00+00:00\",\"e\n"
		    "{\"client\":\"198.51.100.0/24\",\"user\":\"\",\"service\":\"manual\",\"server\":\"popgatectl\",\"first_at\":\"2026-03-03T10:00:00+00:00\",\"last_at\":\"2026-03-03T10:00:00+0\n"
		    "{\"client\":\"2001:db8::7\",\"user\":\"carol\",\"service\":\"imap\",\"server\":\"dovecot\",\"first_at\":\"2026-03-03T11:59:00+00:00\",\"last_at\":\"2026-03-03T11:59:00+00:00\n"
		    "{\"client\":\"203.0.113.66\",\"user\":\"eve\",\"service\":\"imap\",\"server\":\"dovecot\",\"first_at\":\"2026-03-03T11:59:00+00:00\",\"last_at\":\"2026-03-03T11:59:00+00:00\"\n" },
		{ &cmd_export, "--format csv", 0,
		    "client,user,service,server,first_at,last_at,expires_at,count\n"
		    "192.0.2.1,alice,imap,dovecot,2026-03-03T11:50:00+00:00,2026-03-03T11:50:00+00:00,2026-03-03T12:20:00+00:00,1\n"
		    "192.0.2.1,bob,pop3,courier,2026-03-03T11:40:00+00:00,2026-03-03T11:40:00+00:00,2026-03-03T12:10:00+00:00,1\n"
		    "198.51.100.0/24,,manual,popgatectl,2026-03-03T10:00:00+00:00,2026-03-03T10:00:00+00:00,forever,1\n"
		    "2001:db8::7,carol,imap,dovecot,2026-03-03T11:59:00+00:00,2026-03-03T11:59:00+00:00,2026-03-03T12:29:00+00:00,1\n"
		    "203.0.113.66,eve,imap,dovecot,2026-03-03T11:59:00+00:00,2026-03-03T11:59:00+00:00,2026-03-03T12:29:00+00:00,1\n" },
		{ &cmd_export, "--format csv --output %out.csv", 0, "" },
		{ &cmd_import, "--dry-run %out.csv", 0,
		    "5 entries would be imported, 0 too old, 0 left out\n" },
		{ &cmd_import, "%out.csv", 0,
		    "5 entries imported, 0 too old, 0 left out\n" },
		{ &cmd_export, "--format json --output %out.json", 0, "" },
		{ &cmd_import, "--format json %out.json", 0,
		    "5 entries imported, 0 too old, 0 left out\n" },
		{ &cmd_import, "--for 10m %hosts.txt", 65,
		    "2 entries imported, 0 too old, 1 left out\n" },
		{ &cmd_import, "--forever --dry-run %hosts.txt", 65,
		    "2 entries would be imported, 0 too old, 1 left out\n" },
		{ &cmd_import, "%nosuch", 66, "" },
		{ &cmd_replay, "%mail.log", 0,
		    "SERVER   VERDICT        LINES\n"
		    "dovecot  login              1\n"
		    "dovecot  not-a-login        1\n"
		    "-        other-program      1\n"
		    "-        no-prefix          1\n"
		    "4 lines, 1 logins; 1 of them would still count now.\n" },
		{ &cmd_replay, "--each --reason %mail.log", 0,
		    "login\tann\t203.0.113.5\tlogin\n"
		    "ignore\t-\t-\tnot-a-login\n"
		    "ignore\t-\t-\tother-program\n"
		    "ignore\t-\t-\tno-prefix\n" },
		{ &cmd_replay, "--each --servers courier %mail.log", 0,
		    "ignore\t-\t-\n"
		    "ignore\t-\t-\n"
		    "ignore\t-\t-\n"
		    "ignore\t-\t-\n" },
		{ &cmd_replay, "--zone +05:00 --each %mail.log", 0,
		    "login\tann\t203.0.113.5\n"
		    "ignore\t-\t-\n"
		    "ignore\t-\t-\n"
		    "ignore\t-\t-\n" },
		{ &cmd_check_config, "", 0,
		    "popgatectl: check-config: note: no permit channel is set (permit.policy or permit.socketmap): a closed MTA stays closed for everybody\n" },
		{ &cmd_dump_config, "", 0,
		    "logins:\n"
		    "    window = \"30m\";\n"
		    "    # default\n"
		    "    sessions = false;\n"
		    "    # default\n" },
		{ &cmd_list, "--sort client --all", 0,
		    "CLIENT           USER   SERVICE  SERVER      LAST LOGIN  EXPIRES    LOGINS  NOTE\n"
		    "192.0.2.1        alice  manual   popgatectl  10 min ago  in 20 min       1  -\n"
		    "192.0.2.1        bob    manual   popgatectl  20 min ago  in 10 min       1  -\n"
		    "192.0.2.9        dora   imap     dovecot     5 h ago     4 h ago         1  -\n"
		    "192.0.2.77       -      manual   popgatectl  now         in 10 min       1  -\n"
		    "198.51.100.0/24  -      manual   popgatectl  2 h ago     for ever        1  -\n"
		    "198.51.100.0/25  -      manual   popgatectl  now         in 10 min       1  -\n" },
	};

	(void)state;
	put("hosts.txt",
	    "192.0.2.77\n198.51.100.0/25\tOK\n# comment\nnonsense here\n");
	put("mail.log",
	    "Mar  3 11:50:00 mail dovecot: imap-login: Login: user=<ann>, method=PLAIN, rip=203.0.113.5, lip=192.0.2.1, mpid=1, TLS, session=<x>\n"
	    "Mar  3 11:51:00 mail dovecot: imap-login: Disconnected (auth failed): user=<ann>, rip=203.0.113.6, lip=192.0.2.1\n"
	    "Mar  3 11:52:00 mail postfix/smtpd[11]: connect from x[203.0.113.9]\n"
	    "no prefix at all\n");
	assert_rows(rows, LENGTH(rows));
	fill();
}

static void
changing(void **state)
{
	static const struct row rows[] = {
		{ &cmd_add, "192.0.2.200 --note test", 0,
		    "192.0.2.200 may relay until 2026-03-03 12:30:00 +0000 (in 30 min)\n" },
		{ &cmd_add, "192.0.2.201 --user zoe --for 2h", 0,
		    "192.0.2.201 may relay until 2026-03-03 14:00:00 +0000 (in 2 h)\n" },
		{ &cmd_add, "192.0.2.128/25 --forever", 0,
		    "192.0.2.128/25 may relay until it is deleted\n" },
		{ &cmd_add, "192.0.2.202 --until 2026-03-04_12:00", 0,
		    "192.0.2.202 may relay until 2026-03-04 12:00:00 +0000 (in 24 h)\n" },
		{ &cmd_add, "192.0.2.203 1772539000", 0, "" },
		{ &cmd_list, "--client 192.0.2.128/25 --sort client", 0,
		    "CLIENT          USER  SERVICE  SERVER      LAST LOGIN  EXPIRES    LOGINS  NOTE\n"
		    "192.0.2.128/25  -     manual   popgatectl  now         for ever        1  -\n"
		    "192.0.2.200     -     manual   popgatectl  now         in 30 min       1  -\n"
		    "192.0.2.201     zoe   manual   popgatectl  now         in 2 h          1  -\n"
		    "192.0.2.202     -     manual   popgatectl  now         in 24 h         1  -\n"
		    "192.0.2.203     -     manual   popgatectl  3 min ago   in 26 min       1  -\n" },
		{ &cmd_delete, "192.0.2.201 192.0.2.202", 1,
		    "192.0.2.201 deleted (1 entry)\n"
		    "popgatectl: delete: 192.0.2.201 may still relay, by a network that holds it: see 'popgatectl why 192.0.2.201'\n"
		    "192.0.2.202 deleted (1 entry)\n"
		    "popgatectl: delete: 192.0.2.202 may still relay, by a network that holds it: see 'popgatectl why 192.0.2.202'\n" },
		{ &cmd_delete, "192.0.2.1", 0,
		    "192.0.2.1 deleted (2 entries)\n"
		    "A login after this brings it back; 'popgatectl deny' keeps a client out.\n" },
		{ &cmd_delete, "192.0.2.1", 1,
		    "popgatectl: delete: 192.0.2.1 is not in the table\n" },
		{ &cmd_delete, "198.51.100.5", 1,
		    "popgatectl: delete: 198.51.100.5 may still relay, by a network that holds it: see 'popgatectl why 198.51.100.5'\n" },
		{ &cmd_deny, "192.0.2.210 --for 1h --reason abuse", 0,
		    "client 192.0.2.210 is denied until 2026-03-03 13:00:00 +0000 (in 60 min)\n" },
		{ &cmd_deny, "carol", 0,
		    "user carol is denied until 'popgatectl undeny'\n" },
		{ &cmd_deny, "--user 192.0.2.1 --until 13:00", 0,
		    "user 192.0.2.1 is denied until 2026-03-03 13:00:00 +0000 (in 60 min)\n" },
		{ &cmd_deny, "--list", 0,
		    "SUBJECT       KIND    SINCE                                   UNTIL                                  REASON\n"
		    "192.0.2.210   client  2026-03-03 12:00:00 +0000 (now)         2026-03-03 13:00:00 +0000 (in 60 min)  abuse\n"
		    "203.0.113.66  client  2026-03-03 11:00:00 +0000 (60 min ago)  2026-03-03 13:00:00 +0000 (in 60 min)  spam (by root)\n"
		    "192.0.2.1     user    2026-03-03 12:00:00 +0000 (now)         2026-03-03 13:00:00 +0000 (in 60 min)\n"
		    "carol         user    2026-03-03 12:00:00 +0000 (now)         for ever                             \n"
		    "mallory       user    2026-03-03 11:00:00 +0000 (60 min ago)  for ever                               by root\n"
		    "bob           user    2026-03-03 11:30:00 +0000 (30 min ago)  2026-03-03 13:00:00 +0000 (in 60 min)  over limits.user_recipients = 2000/1h\n" },
		{ &cmd_undeny, "carol", 0,
		    "carol is denied no longer: a login counts again\n" },
		{ &cmd_undeny, "carol", 1,
		    "popgatectl: undeny: user 'carol' is not denied\n" },
		{ &cmd_undeny, "bob", 0,
		    "bob is denied no longer: a login counts again\n"
		    "It went over a limit: in a second or so it is counted anew\n" },
		{ &cmd_expire, "", 0, "1 entry deleted\n" },
		{ &cmd_list, "--all --sort client", 0,
		    "CLIENT           USER   SERVICE  SERVER      LAST LOGIN  EXPIRES    LOGINS  NOTE\n"
		    "192.0.2.128/25   -      manual   popgatectl  now         for ever        1  -\n"
		    "192.0.2.200      -      manual   popgatectl  now         in 30 min       1  -\n"
		    "192.0.2.203      -      manual   popgatectl  3 min ago   in 26 min       1  -\n"
		    "198.51.100.0/24  -      manual   popgatectl  2 h ago     for ever        1  -\n"
		    "203.0.113.66     eve    imap     dovecot     60 s ago    in 29 min       1  -\n"
		    "2001:db8::7      carol  imap     dovecot     60 s ago    in 29 min       1  -\n" },
	};

	(void)state;
	assert_rows(rows, LENGTH(rows));
	fill();
}

static void
mistakes(void **state)
{
	static const struct row rows[] = {
		{ &cmd_list, "--sort nothing", 64,
		    "popgatectl: list: can't sort by 'nothing': expected client, user, server, since, last, expires or count\n" },
		{ &cmd_list, "--nosuch", 64,
		    "popgatectl: list: there is no option '--nosuch'; see 'popgatectl help list'\n" },
		{ &cmd_list, "--limit -1", 64,
		    "popgatectl: list: '-1' is not a number from 0 to 1000000000\n" },
		{ &cmd_list, "--help", 0,
		    "usage: popgatectl [-c FILE] list [--client NETWORK] [--user USER] [--server NAME] [--expired | --all] [--sort KEY] [--limit N] [--wide | --json] [MINU\n"
		    "who may relay now\n"
		    "With MINUTES: those whose last login is longer ago than that. Trusted networks and\n"
		    "SMTP AUTH let clients relay without an entry here: see 'popgatectl check'.\n"
		    "  --client ADDRESS|NETWORK only clients in it\n"
		    "  --user USER          only this user\n"
		    "  --server NAME        only logins at dovecot, courier, ...; popgatectl: added by hand\n" },
		{ &cmd_list, "--client 10.0.0", 64,
		    "popgatectl: list: '10.0.0' is not an IP address or network\n" },
		{ &cmd_add, "", 64,
		    "popgatectl: add: usage: popgatectl add ADDRESS|NETWORK [--user USER] [--for DURATION | --until TIME | --forever] [--note TEXT]\n" },
		{ &cmd_add, "300.1.1.1", 64,
		    "popgatectl: add: '300.1.1.1' is not an IP address or network\n" },
		{ &cmd_add, "0.0.0.0/0", 64,
		    "popgatectl: add: 0.0.0.0/0 is too wide: letting it relay makes an open relay (at least /8 is asked for)\n" },
		{ &cmd_add, "192.0.2.1 --for 0s", 64,
		    "popgatectl: add: --for '0s' is out of range: expected 1s to 36600d\n" },
		{ &cmd_add, "192.0.2.1 --for 1h --forever", 64,
		    "popgatectl: add: --for and --forever exclude each other\n" },
		{ &cmd_add, "192.0.2.1 1772539000 --forever", 64,
		    "popgatectl: add: ticks and --forever exclude each other\n" },
		{ &cmd_add, "192.0.2.1 --until yesterday", 64,
		    "popgatectl: add: 'yesterday' is not a time like '2026-03-01 12:00', 12:00, 2h or @1772366400\n" },
		{ &cmd_delete, "x", 64,
		    "popgatectl: delete: 'x' is not an IP address or network\n" },
		{ &cmd_deny, "", 64,
		    "popgatectl: deny: whom? usage: popgatectl deny ADDRESS|NETWORK|USER [--for DURATION] [--reason TEXT]\n" },
		{ &cmd_deny, "a --for 1h --until 13:00", 64,
		    "popgatectl: deny: --for and --until exclude each other\n" },
		{ &cmd_deny, "a --until 11:00", 0,
		    "user a is denied until 2026-03-04 11:00:00 +0000 (in 23 h)\n" },
		{ &cmd_deny, "10.0.0", 64,
		    "popgatectl: deny: '10.0.0' is not an IP address or network\n" },
		{ &cmd_stats, "--by colour", 64,
		    "popgatectl: stats: 'colour' is nothing to count by: expected hour, day, client, user, sender, recipient or reason\n" },
		{ &cmd_deny, "a --for 0", 64,
		    "popgatectl: deny: --for '0' is out of range: expected 1s to 36600d\n" },
		{ &cmd_import, "--for 0m %hosts.txt", 64,
		    "popgatectl: import: --for '0m' is out of range: expected 1s to 36600d\n" },
		{ &cmd_import, "--until 2026-03-02 --forever %hosts.txt", 64,
		    "popgatectl: import: --until and --forever exclude each other\n" },
		{ &cmd_import, "--until 2026-03-02 %hosts.txt", 64,
		    "popgatectl: import: '2026-03-02' is in the past\n" },
		{ &cmd_export, "--format jpeg", 64,
		    "popgatectl: export: 'jpeg' is no format: expected makemap, relayers.db, relayhosts, relayhostsusers, access, hash, cidr, json, csv\n" },
		{ &cmd_import, "--format jpeg %hosts.txt", 64,
		    "popgatectl: import: 'jpeg' is no format: expected relayers.db, text, json or csv\n" },
		{ &cmd_decisions, "--verdict maybe", 64,
		    "popgatectl: decisions: 'maybe' is not a verdict: expected accept, aborted, reject, tempfail, would-reject, would-tempfail or would-accept\n" },
		{ &cmd_decisions, "--reason because", 64,
		    "popgatectl: decisions: 'because' is not a reason; popgatectl(8) lists them\n" },
		{ &cmd_decisions, "--since 2026-03-03 --until 2026-03-02", 64,
		    "popgatectl: decisions: --since is not before --until: nothing lies between them\n" },
		{ &cmd_decisions, "--json --csv", 64,
		    "popgatectl: decisions: --json and --csv exclude each other\n" },
		{ &cmd_check, "--client 192.0.2.1", 64,
		    "popgatectl: check: --client and --to are needed\n" },
		{ &cmd_check, "--client nonsense --to a@b.test", 64,
		    "popgatectl: check: 'nonsense' is not an IP address\n" },
		{ &cmd_replay, "--servers nosuch %mail.log", 64,
		    "popgatectl: replay: unknown server \"nosuch\"; expected \"all\" or names like \"dovecot\"\n" },
		{ &cmd_replay, "--zone nowhere %mail.log", 64,
		    "popgatectl: replay: --zone nowhere: expected UTC or an offset like +01:00\n" },
		{ &cmd_replay, "%nosuch", 66, "" },
		{ &cmd_why, "''", 1,
		    "popgatectl: why: '' is no IP address, and neither a user nor a queue id that is recorded\n" },
		{ &cmd_report, "--json --html %page.html", 64,
		    "popgatectl: report: --html and --json don't go together\n" },
		{ &cmd_wiring, "--nosuch", 64,
		    "popgatectl: wiring: there is no option '--nosuch'; see 'popgatectl help wiring'\n" },
		{ &cmd_help, "dleete", 64,
		    "popgatectl: there is no subcommand 'dleete'; did you mean 'delete'?\n" },
		{ &cmd_help, "ban", 64,
		    "popgatectl: there is no subcommand 'ban'; did you mean 'deny'?\n" },
		{ &cmd_help, "deny", 0,
		    "usage: popgatectl [-c FILE] deny ADDRESS|NETWORK|USER [--for DURATION | --until TIME] [--reason TEXT] | --list [--json]\n"
		    "keep a client or user out, whatever logins say\n"
		    "Beats every login and SMTP AUTH. A deleted entry comes back with the next login,\n"
		    "a denied one does not.\n"
		    "  --for DURATION       default: until undeny\n"
		    "  --until TIME         '2026-03-01 12:00', 12:00, @unix\n"
		    "  --reason TEXT        why; 'popgatectl why' shows it\n" },
		{ &cmd_completion, "bash", 0,
		    "# bash completion of popgatectl; popgatectl completion bash > /usr/share/bash-completion/completions/popgatectl\n"
		    "_popgatectl() {\n"
		    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} cmd= words= i\n"
		    "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		    "\t\tcase ${COMP_WORDS[i]} in\n" },
		{ &cmd_completion, "zsh", 0,
		    "#compdef popgatectl\n"
		    "# zsh completion of popgatectl; popgatectl completion zsh > _popgatectl\n"
		    "_popgatectl() {\n"
		    "\tlocal -a commands\n"
		    "\tlocal line state\n" },
		{ &cmd_completion, "fish", 64,
		    "popgatectl: completion: 'fish' is no shell that can be completed: expected bash or zsh\n" },
	};

	(void)state;
	assert_rows(rows, LENGTH(rows));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files),
		cmocka_unit_test(changing),
		cmocka_unit_test(mistakes),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
