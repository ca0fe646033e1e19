/* SPDX-License-Identifier: ISC */
/* The output of popgatectl's subcommands about the tables. */
#include "tests/unit/ctl/commands.h"

static void
reading(void **state)
{
	static const struct row rows[] = {
		{ &cmd_list, "", 0,
		    "CLIENT           USER   SERVICE  SERVER      LAST LOGIN  EXPIRES    LOGINS  NOTE\n"
		    "192.0.2.1        alice  imap     dovecot     10 min ago  in 20 min       1  -\n"
		    "192.0.2.1        bob    pop3     courier     20 min ago  in 10 min       1  -\n"
		    "198.51.100.0/24  -      manual   popgatectl  2 h ago     for ever        1  -\n"
		    "203.0.113.66     eve    imap     dovecot     60 s ago    in 29 min       1  -\n"
		    "2001:db8::7      carol  imap     dovecot     60 s ago    in 29 min       1  -\n" },
		{ &cmd_list, "--wide --all", 0,
		    "CLIENT           USER   SERVICE  SERVER      SINCE                      LAST LOGIN  EXPIRES    LOGINS  NOTE\n"
		    "192.0.2.1        alice  imap     dovecot     2026-03-03 11:50:00 +0000  10 min ago  in 20 min       1  -\n"
		    "192.0.2.1        bob    pop3     courier     2026-03-03 11:40:00 +0000  20 min ago  in 10 min       1  -\n"
		    "192.0.2.9        dora   imap     dovecot     2026-03-03 07:00:00 +0000  5 h ago     4 h ago         1  -\n"
		    "198.51.100.0/24  -      manual   popgatectl  2026-03-03 10:00:00 +0000  2 h ago     for ever        1  -\n"
		    "203.0.113.66     eve    imap     dovecot     2026-03-03 11:59:00 +0000  60 s ago    in 29 min       1  -\n"
		    "2001:db8::7      carol  imap     dovecot     2026-03-03 11:59:00 +0000  60 s ago    in 29 min       1  -\n" },
		{ &cmd_list, "--expired", 0,
		    "CLIENT     USER  SERVICE  SERVER   LAST LOGIN  EXPIRES  LOGINS  NOTE\n"
		    "192.0.2.9  dora  imap     dovecot  5 h ago     4 h ago       1  -\n" },
		{ &cmd_list, "--ticks", 0,
		    "192.0.2.1\t1772538600\n"
		    "192.0.2.1\t1772538000\n"
		    "198.51.100.0/24\t253402298999\n"
		    "2001:db8::7\t1772539140\n"
		    "203.0.113.66\t1772539140\n" },
		{ &cmd_list, "--json --sort client", 0,
		    "{\"client\":\"192.0.2.1\",\"user\":\"alice\",\"service\":\"imap\",\"server\":\"dovecot\",\"first_at\":\"2026-03-03T11:50:00+00:00\",\"last_at\":\"2026-03-03T11:50:00+00:00\",\n"
		    "{\"client\":\"192.0.2.1\",\"user\":\"bob\",\"service\":\"pop3\",\"server\":\"courier\",\"first_at\":\"2026-03-03T11:40:00+00:00\",\"last_at\":\"2026-03-03T11:40:00+00:00\",\"e\n"
		    "{\"client\":\"198.51.100.0/24\",\"user\":\"\",\"service\":\"manual\",\"server\":\"popgatectl\",\"first_at\":\"2026-03-03T10:00:00+00:00\",\"last_at\":\"2026-03-03T10:00:00+0\n"
		    "{\"client\":\"203.0.113.66\",\"user\":\"eve\",\"service\":\"imap\",\"server\":\"dovecot\",\"first_at\":\"2026-03-03T11:59:00+00:00\",\"last_at\":\"2026-03-03T11:59:00+00:00\"\n"
		    "{\"client\":\"2001:db8::7\",\"user\":\"carol\",\"service\":\"imap\",\"server\":\"dovecot\",\"first_at\":\"2026-03-03T11:59:00+00:00\",\"last_at\":\"2026-03-03T11:59:00+00:00\n" },
		{ &cmd_list, "--sort count --reverse --limit 2", 0,
		    "There are more than these 2: see --limit.\n"
		    "CLIENT        USER   SERVICE  SERVER   LAST LOGIN  EXPIRES    LOGINS  NOTE\n"
		    "2001:db8::7   carol  imap     dovecot  60 s ago    in 29 min       1  -\n"
		    "203.0.113.66  eve    imap     dovecot  60 s ago    in 29 min       1  -\n" },
		{ &cmd_list, "--sort user", 0,
		    "CLIENT           USER   SERVICE  SERVER      LAST LOGIN  EXPIRES    LOGINS  NOTE\n"
		    "198.51.100.0/24  -      manual   popgatectl  2 h ago     for ever        1  -\n"
		    "192.0.2.1        alice  imap     dovecot     10 min ago  in 20 min       1  -\n"
		    "192.0.2.1        bob    pop3     courier     20 min ago  in 10 min       1  -\n"
		    "2001:db8::7      carol  imap     dovecot     60 s ago    in 29 min       1  -\n"
		    "203.0.113.66     eve    imap     dovecot     60 s ago    in 29 min       1  -\n" },
		{ &cmd_list, "--sort server", 0,
		    "CLIENT           USER   SERVICE  SERVER      LAST LOGIN  EXPIRES    LOGINS  NOTE\n"
		    "192.0.2.1        bob    pop3     courier     20 min ago  in 10 min       1  -\n"
		    "192.0.2.1        alice  imap     dovecot     10 min ago  in 20 min       1  -\n"
		    "203.0.113.66     eve    imap     dovecot     60 s ago    in 29 min       1  -\n"
		    "2001:db8::7      carol  imap     dovecot     60 s ago    in 29 min       1  -\n"
		    "198.51.100.0/24  -      manual   popgatectl  2 h ago     for ever        1  -\n" },
		{ &cmd_list, "--sort since", 0,
		    "CLIENT           USER   SERVICE  SERVER      LAST LOGIN  EXPIRES    LOGINS  NOTE\n"
		    "198.51.100.0/24  -      manual   popgatectl  2 h ago     for ever        1  -\n"
		    "192.0.2.1        bob    pop3     courier     20 min ago  in 10 min       1  -\n"
		    "192.0.2.1        alice  imap     dovecot     10 min ago  in 20 min       1  -\n"
		    "203.0.113.66     eve    imap     dovecot     60 s ago    in 29 min       1  -\n"
		    "2001:db8::7      carol  imap     dovecot     60 s ago    in 29 min       1  -\n" },
		{ &cmd_list, "--sort last", 0,
		    "CLIENT           USER   SERVICE  SERVER      LAST LOGIN  EXPIRES    LOGINS  NOTE\n"
		    "198.51.100.0/24  -      manual   popgatectl  2 h ago     for ever        1  -\n"
		    "192.0.2.1        bob    pop3     courier     20 min ago  in 10 min       1  -\n"
		    "192.0.2.1        alice  imap     dovecot     10 min ago  in 20 min       1  -\n"
		    "203.0.113.66     eve    imap     dovecot     60 s ago    in 29 min       1  -\n"
		    "2001:db8::7      carol  imap     dovecot     60 s ago    in 29 min       1  -\n" },
		{ &cmd_list, "--sort expires", 0,
		    "CLIENT           USER   SERVICE  SERVER      LAST LOGIN  EXPIRES    LOGINS  NOTE\n"
		    "192.0.2.1        bob    pop3     courier     20 min ago  in 10 min       1  -\n"
		    "192.0.2.1        alice  imap     dovecot     10 min ago  in 20 min       1  -\n"
		    "203.0.113.66     eve    imap     dovecot     60 s ago    in 29 min       1  -\n"
		    "2001:db8::7      carol  imap     dovecot     60 s ago    in 29 min       1  -\n"
		    "198.51.100.0/24  -      manual   popgatectl  2 h ago     for ever        1  -\n" },
		{ &cmd_list, "--client 192.0.2.0/24 --user alice", 0,
		    "CLIENT     USER   SERVICE  SERVER   LAST LOGIN  EXPIRES    LOGINS  NOTE\n"
		    "192.0.2.1  alice  imap     dovecot  10 min ago  in 20 min       1  -\n" },
		{ &cmd_list, "--server courier", 0,
		    "CLIENT     USER  SERVICE  SERVER   LAST LOGIN  EXPIRES    LOGINS  NOTE\n"
		    "192.0.2.1  bob   pop3     courier  20 min ago  in 10 min       1  -\n" },
		{ &cmd_list, "--user nobody", 0,
		    "Nobody may relay by a login now.\n" },
		{ &cmd_dump, "", 0,
		    "192.0.2.1\t1772538600\n"
		    "192.0.2.9\t1772521200\n"
		    "198.51.100.0/24\t253402298999\n"
		    "2001:db8::7\t1772539140\n"
		    "203.0.113.66\t1772539140\n" },
		{ &cmd_deny, "--list", 0,
		    "SUBJECT       KIND    SINCE                                   UNTIL                                  REASON\n"
		    "203.0.113.66  client  2026-03-03 11:00:00 +0000 (60 min ago)  2026-03-03 13:00:00 +0000 (in 60 min)  spam (by root)\n"
		    "mallory       user    2026-03-03 11:00:00 +0000 (60 min ago)  for ever                               by root\n"
		    "bob           user    2026-03-03 11:30:00 +0000 (30 min ago)  2026-03-03 13:00:00 +0000 (in 60 min)  over limits.user_recipients = 2000/1h\n" },
		{ &cmd_deny, "--list --json", 0,
		    "{\"subject\":\"203.0.113.66\",\"kind\":\"client\",\"created_at\":\"2026-03-03T11:00:00+00:00\",\"expires_at\":\"2026-03-03T13:00:00+00:00\",\"reason\":\"spam (by root)\"}\n"
		    "{\"subject\":\"mallory\",\"kind\":\"user\",\"created_at\":\"2026-03-03T11:00:00+00:00\",\"expires_at\":null,\"reason\":\"by root\"}\n"
		    "{\"subject\":\"bob\",\"kind\":\"user\",\"created_at\":\"2026-03-03T11:30:00+00:00\",\"expires_at\":\"2026-03-03T13:00:00+00:00\",\"reason\":\"over limits.user_recipients\n" },
		{ &cmd_decisions, "", 0,
		    "2026-03-03 11:51:00 +0000  accept   recent-login       192.0.2.1  <alice@example.com> -> <friend@far.test>  user alice  4QAAA\n"
		    "2026-03-03 11:51:00 +0000  accept   recent-login       192.0.2.1  <alice@example.com> -> <other@far.test>  user alice  4QAAA\n"
		    "2026-03-03 10:00:00 +0000  reject   no-login           203.0.113.9  <> -> <victim@far.test>\n"
		    "2026-03-03 09:00:00 +0000  accept   authenticated      192.0.2.50  <bob@example.com> -> <x@far.test>  auth bob  4QBBB\n"
		    "2026-03-02 10:00:00 +0000  tempfail store-unavailable  192.0.2.1  <alice@example.com> -> <late@far.test>\n" },
		{ &cmd_decisions, "--json --client 192.0.2.1", 0,
		    "{\"id\":1,\"at\":\"2026-03-03T11:51:00+00:00\",\"at_ms\":1772538660000,\"session\":\"s1\",\"queue_id\":\"4QAAA\",\"client\":\"192.0.2.1\",\"client_name\":\"home.example\",\"he\n"
		    "{\"id\":2,\"at\":\"2026-03-03T11:51:00+00:00\",\"at_ms\":1772538660000,\"session\":\"s1\",\"queue_id\":\"4QAAA\",\"client\":\"192.0.2.1\",\"client_name\":\"home.example\",\"he\n"
		    "{\"id\":5,\"at\":\"2026-03-02T10:00:00+00:00\",\"at_ms\":1772445600000,\"session\":\"s4\",\"queue_id\":null,\"client\":\"192.0.2.1\",\"client_name\":\"\",\"helo\":\"laptop\",\"s\n" },
		{ &cmd_decisions, "--csv --verdict reject", 0,
		    "id,at,session,queue_id,client,client_name,helo,sender,recipient,class,verdict,reason,auth_user,login_user,login_at,rule,reply,channel,mta,certificate,\n"
		    "3,2026-03-03T10:00:00+00:00,s2,,203.0.113.9,unknown,evil\\x1b[31m,<>,<victim@far.test>,relay,reject,no-login,,,,14,550 5.7.1 log in first,milter,,,1,20\n" },
		{ &cmd_decisions, "--since 2026-03-03_11:00 --channels", 0,
		    "No such decision is recorded.\n" },
		{ &cmd_decisions, "--queue-id 4QBBB --user bob", 0,
		    "2026-03-03 09:00:00 +0000  accept   authenticated      192.0.2.50  <bob@example.com> -> <x@far.test>  auth bob  4QBBB\n" },
		{ &cmd_decisions,
		    "--sender <alice@example.com> --recipient <friend@far.test>",
		    0,
		    "2026-03-03 11:51:00 +0000  accept   recent-login       192.0.2.1  <alice@example.com> -> <friend@far.test>  user alice  4QAAA\n" },
		{ &cmd_decisions, "--reason no-login --until 2026-03-03_11:00",
		    0,
		    "2026-03-03 10:00:00 +0000  reject   no-login           203.0.113.9  <> -> <victim@far.test>\n" },
		{ &cmd_decisions, "--client 192.0.2.77", 0,
		    "No such decision is recorded.\n" },
		{ &cmd_why, "192.0.2.1", 0,
		    "until it does, no login opens anything. 'popgatectl status' says more.\n"
		    "By the tables alone:\n"
		    "192.0.2.1 may relay until 2026-03-03 12:20:00 +0000 (in 20 min).\n"
		    "Policy row 10, recent-login: one of several users, last login 2026-03-03 11:50:00 +0000 (10 min ago), counts until 2026-03-03 12:20:00 +0000 (in 20 mi\n"
		    "Logins:\n"
		    "  USER   SERVICE  SERVER   LOGINS  LAST LOGIN  EXPIRES    CLIENT\n"
		    "  alice  imap     dovecot       1  10 min ago  in 20 min  192.0.2.1\n"
		    "  bob    pop3     courier       1  20 min ago  in 10 min  192.0.2.1\n"
		    "  2 users logged in from there: a relayed message is by one of 2,\n" },
		{ &cmd_why, "192.0.2.9", 0,
		    "until it does, no login opens anything. 'popgatectl status' says more.\n"
		    "By the tables alone:\n"
		    "192.0.2.9 may not relay now.\n"
		    "Policy row 11, login-expired: dora, last login 2026-03-03 07:00:00 +0000 (5 h ago), expired 2026-03-03 08:00:00 +0000 (4 h ago).\n"
		    "It is told: 550 5.7.1 Relaying denied for 192.0.2.9: your last login expired 4 hours ago, check your mail again, or use SMTP AUTH on port 587\n"
		    "Logins:\n"
		    "  USER  SERVICE  SERVER   LOGINS  LAST LOGIN  EXPIRES  CLIENT\n"
		    "  dora  imap     dovecot       1  5 h ago     4 h ago  192.0.2.9\n"
		    "Evidence, newest first:\n" },
		{ &cmd_why, "203.0.113.66", 0,
		    "until it does, no login opens anything. 'popgatectl status' says more.\n"
		    "By the tables alone:\n"
		    "203.0.113.66 may not relay now.\n"
		    "Policy row 2, denied: popgatectl deny --list says why.\n"
		    "It is told: 550 5.7.1 Relaying denied for 203.0.113.66: blocked by the postmaster of this server\n"
		    "Denied: client 203.0.113.66 since 2026-03-03 11:00:00 +0000 (60 min ago), until 2026-03-03 13:00:00 +0000 (in 60 min): spam (by root)\n"
		    "Logins:\n"
		    "  USER  SERVICE  SERVER   LOGINS  LAST LOGIN  EXPIRES    CLIENT\n"
		    "  eve   imap     dovecot       1  60 s ago    in 29 min  203.0.113.66\n" },
		{ &cmd_why, "--json 192.0.2.1", 0, "" },
		{ &cmd_why, "2001:db8::7", 0,
		    "until it does, no login opens anything. 'popgatectl status' says more.\n"
		    "By the tables alone:\n"
		    "2001:db8::7 may relay until 2026-03-03 12:29:00 +0000 (in 29 min).\n"
		    "Policy row 10, recent-login: carol, last login 2026-03-03 11:59:00 +0000 (60 s ago), counts until 2026-03-03 12:29:00 +0000 (in 29 min).\n"
		    "Logins:\n"
		    "  USER   SERVICE  SERVER   LOGINS  LAST LOGIN  EXPIRES    CLIENT\n"
		    "  carol  imap     dovecot       1  60 s ago    in 29 min  2001:db8::7\n"
		    "Evidence, newest first:\n"
		    "  2026-03-03 11:59:00 +0000 (60 s ago)  carol  imap dovecot\n" },
		{ &cmd_why, "198.51.100.20", 0,
		    "until it does, no login opens anything. 'popgatectl status' says more.\n"
		    "By the tables alone:\n"
		    "198.51.100.20 may relay, without an end.\n"
		    "Policy row 10, recent-login: nobody by name, last login 2026-03-03 10:00:00 +0000 (2 h ago), counts until for ever.\n"
		    "Logins:\n"
		    "  USER      SERVICE  SERVER      LOGINS  LAST LOGIN  EXPIRES   CLIENT\n"
		    "  (nobody)  manual   popgatectl       1  2 h ago     for ever  198.51.100.0/24\n"
		    "Evidence: none is kept any more (logins.keep).\n" },
		{ &cmd_why, "4QAAA", 0,
		    "Message 4QAAA, client 192.0.2.1 (home.example) HELO laptop, MTA :\n"
		    "  2026-03-03 11:51:00 +0000  accept   recent-login       192.0.2.1  <alice@example.com> -> <friend@far.test>  user alice  4QAAA\n"
		    "    policy row 13, channel milter, by the login of 2026-03-03 11:50:00 +0000\n"
		    "  2026-03-03 11:51:00 +0000  accept   recent-login       192.0.2.1  <alice@example.com> -> <other@far.test>  user alice  4QAAA\n"
		    "    policy row 13, channel milter, by the login of 2026-03-03 11:50:00 +0000\n"
		    "Say 'popgatectl why ADDRESS' for what that client may do now.\n" },
		{ &cmd_why, "bob", 0,
		    "User bob:\n"
		    "Limit: user bob went over limits.user_recipients = 2000/1h 2026-03-03 11:30:00 +0000 (30 min ago) (client 192.0.2.50, user bob, sender <<bob@example.c\n"
		    "Logins:\n"
		    "  CLIENT     SERVICE  SERVER   LOGINS  LAST LOGIN  EXPIRES\n"
		    "  192.0.2.1  pop3     courier       1  20 min ago  in 10 min\n"
		    "  the user is denied: no login of its counts, from 1 address\n"
		    "Evidence, newest first:\n"
		    "  2026-03-03 11:40:00 +0000 (20 min ago)  bob  pop3 courier\n"
		    "    file:/var/log/mail.log at byte 100:\n" },
		{ &cmd_check,
		    "--client 192.0.2.1 --from alice@example.com --to friend@far.test",
		    0,
		    "until it does, no login opens anything. 'popgatectl status' says more.\n"
		    "By the tables alone:\n"
		    "asked:   client 192.0.2.1, from <alice@example.com>, to <friend@far.test>, no SMTP AUTH\n"
		    "rows:     1   no   recipient is ours                    friend@far.test is none of ours: this would be relaying\n"
		    "          2   no   client or user is denied             nobody denied it\n"
		    "          3   no   SMTP AUTH succeeded                  no SMTP AUTH in this session\n"
		    "          4   no   certificate on our list              relay.certificates is empty\n"
		    "          5   no   client is in trusted_networks        none of relay.trusted_networks\n"
		    "          6   no   client can't have a login of its own an address that may have logins\n" },
		{ &cmd_check,
		    "--json --client 203.0.113.66 --to friend@far.test", 0,
		    "" },
		{ &cmd_check,
		    "--exit-code --client 203.0.113.9 --to friend@far.test", 1,
		    "until it does, no login opens anything. 'popgatectl status' says more.\n"
		    "By the tables alone:\n"
		    "asked:   client 203.0.113.9, from <>, to <friend@far.test>, no SMTP AUTH\n"
		    "rows:     1   no   recipient is ours                    friend@far.test is none of ours: this would be relaying\n"
		    "          2   no   client or user is denied             nobody denied it\n"
		    "          3   no   SMTP AUTH succeeded                  no SMTP AUTH in this session\n"
		    "          4   no   certificate on our list              relay.certificates is empty\n"
		    "          5   no   client is in trusted_networks        none of relay.trusted_networks\n"
		    "          6   no   client can't have a login of its own an address that may have logins\n" },
		{ &cmd_check, "--client 203.0.113.9 --to me@example.com", 0,
		    "until it does, no login opens anything. 'popgatectl status' says more.\n"
		    "By the tables alone:\n"
		    "asked:   client 203.0.113.9, from <>, to <me@example.com>, no SMTP AUTH\n"
		    "rows:     1   yes  recipient is ours                    me@example.com is delivered here\n"
		    "answer:  accept (local-recipient, row 1)\n"
		    "reply:   none of popgate's: the MTA delivers as it always would\n" },
		{ &cmd_check,
		    "--client 203.0.113.9 --auth carol --to friend@far.test", 0,
		    "until it does, no login opens anything. 'popgatectl status' says more.\n"
		    "By the tables alone:\n"
		    "asked:   client 203.0.113.9, from <>, to <friend@far.test>, SMTP AUTH as carol\n"
		    "rows:     1   no   recipient is ours                    friend@far.test is none of ours: this would be relaying\n"
		    "          2   no   client or user is denied             nobody denied it\n"
		    "          9   no   rows 3 to 5, but over the limits     user_recipients 0 of 1000/1h, user_messages 0 of 500/1h, user_clients 0 of 50/1d\n"
		    "          3   yes  SMTP AUTH succeeded                  SMTP AUTH succeeded\n"
		    "answer:  accept (authenticated, row 3)\n"
		    "reply:   none of popgate's: the permit channel opens the MTA, the milter lets it pass\n" },
		{ &cmd_check,
		    "--client 192.0.2.1 --at 14:00 --to friend@far.test", 0,
		    "asked:   client 192.0.2.1, from <>, to <friend@far.test>, no SMTP AUTH\n"
		    "rows:     1   no   recipient is ours                    friend@far.test is none of ours: this would be relaying\n"
		    "          2   no   client or user is denied             nobody denied it\n"
		    "          3   no   SMTP AUTH succeeded                  no SMTP AUTH in this session\n"
		    "          4   no   certificate on our list              relay.certificates is empty\n"
		    "          5   no   client is in trusted_networks        none of relay.trusted_networks\n"
		    "          6   no   client can't have a login of its own an address that may have logins\n"
		    "          8   no   login, but not by this sender        no login that counts\n"
		    "          9   no   login, but over the limits           no login that counts\n" },
	};

	(void)state;
	assert_rows(rows, LENGTH(rows));
}

static void
counting(void **state)
{
	static const struct row
	    rows[] = {
		    { &cmd_stats, "", 0,
			"HOUR              RECIPIENTS  ACCEPTED  ABORTED  REFUSED  PUT OFF  MONITORED  MESSAGES  SENDERS  CLIENTS  USERS  LAST\n"
			"2026-03-03 09:00           1         1        0        0        0          0         1        1        1      1  3 h ago\n"
			"2026-03-03 10:00           1         0        0        1        0          0         1        1        1      0  2 h ago\n"
			"2026-03-03 11:00           2         2        0        0        0          0         1        1        1      1  9 min ago\n"
			"0 recipients of our own were counted beside.\n" },
		    { &cmd_stats, "--json", 0,
			"{\"hour\":\"2026-03-03 09:00\",\"recipients\":1,\"accepted\":1,\"aborted\":0,\"rejected\":0,\"tempfailed\":0,\"would_refuse\":0,\"messages\":1,\"senders\":1,\"clients\":1,\"\n"
			"{\"hour\":\"2026-03-03 10:00\",\"recipients\":1,\"accepted\":0,\"aborted\":0,\"rejected\":1,\"tempfailed\":0,\"would_refuse\":0,\"messages\":1,\"senders\":1,\"clients\":1,\"\n"
			"{\"hour\":\"2026-03-03 11:00\",\"recipients\":2,\"accepted\":2,\"aborted\":0,\"rejected\":0,\"tempfailed\":0,\"would_refuse\":0,\"messages\":1,\"senders\":1,\"clients\":1,\"\n" },
		    { &cmd_stats, "--since 2026-03-01 --by hour", 0,
			"HOUR              RECIPIENTS  ACCEPTED  ABORTED  REFUSED  PUT OFF  MONITORED  MESSAGES  SENDERS  CLIENTS  USERS  LAST\n"
			"2026-03-02 10:00           1         0        0        0        1          0         1        1        1      0  26 h ago\n"
			"2026-03-03 09:00           1         1        0        0        0          0         1        1        1      1  3 h ago\n"
			"2026-03-03 10:00           1         0        0        1        0          0         1        1        1      0  2 h ago\n"
			"2026-03-03 11:00           2         2        0        0        0          0         1        1        1      1  9 min ago\n"
			"0 recipients of our own were counted beside.\n" },
		    { &cmd_stats, "--since 2026-03-01 --by day", 0,
			"DAY         RECIPIENTS  ACCEPTED  ABORTED  REFUSED  PUT OFF  MONITORED  MESSAGES  SENDERS  CLIENTS  USERS  LAST\n"
			"2026-03-02           1         0        0        0        1          0         1        1        1      0  26 h ago\n"
			"2026-03-03           4         3        0        1        0          0         3        3        3      2  9 min ago\n"
			"0 recipients of our own were counted beside.\n" },
		    { &cmd_stats, "--since 2026-03-01 --by client", 0,
			"CLIENT       RECIPIENTS  ACCEPTED  ABORTED  REFUSED  PUT OFF  MONITORED  MESSAGES  SENDERS  CLIENTS  USERS  LAST\n"
			"192.0.2.1             3         2        0        0        1          0         2        1        1      1  9 min ago\n"
			"192.0.2.50            1         1        0        0        0          0         1        1        1      1  3 h ago\n"
			"203.0.113.9           1         0        0        1        0          0         1        1        1      0  2 h ago\n"
			"0 recipients of our own were counted beside.\n" },
		    { &cmd_top, "", 0,
			"CLIENT       RECIPIENTS  ACCEPTED  ABORTED  REFUSED  PUT OFF  MONITORED  MESSAGES  SENDERS  CLIENTS  USERS  LAST\n"
			"192.0.2.1             2         2        0        0        0          0         1        1        1      1  9 min ago\n"
			"192.0.2.50            1         1        0        0        0          0         1        1        1      1  3 h ago\n"
			"203.0.113.9           1         0        0        1        0          0         1        1        1      0  2 h ago\n"
			"SENDER               RECIPIENTS  ACCEPTED  ABORTED  REFUSED  PUT OFF  MONITORED  MESSAGES  SENDERS  CLIENTS  USERS  LAST\n"
			"<alice@example.com>           2         2        0        0        0          0         1        1        1      1  9 min ago\n"
			"<>                            1         0        0        1        0          0         1        1        1      0  2 h ago\n" },
		    { &cmd_top, "--by user --since 2026-03-01", 0,
			"USER   RECIPIENTS  ACCEPTED  ABORTED  REFUSED  PUT OFF  MONITORED  MESSAGES  SENDERS  CLIENTS  USERS  LAST\n"
			"alice           2         2        0        0        0          0         1        1        1      1  9 min ago\n"
			"bob             1         1        0        0        0          0         1        1        1      1  3 h ago\n" },
		    { &cmd_top, "--by sender --json", 0,
			"{\"sender\":\"<alice@example.com>\",\"recipients\":2,\"accepted\":2,\"aborted\":0,\"rejected\":0,\"tempfailed\":0,\"would_refuse\":0,\"messages\":1,\"senders\":1,\"clients\n"
			"{\"sender\":\"<>\",\"recipients\":1,\"accepted\":0,\"aborted\":0,\"rejected\":1,\"tempfailed\":0,\"would_refuse\":0,\"messages\":1,\"senders\":1,\"clients\":1,\"users\":0,\"fi\n"
			"{\"sender\":\"<bob@example.com>\",\"recipients\":1,\"accepted\":1,\"aborted\":0,\"rejected\":0,\"tempfailed\":0,\"would_refuse\":0,\"messages\":1,\"senders\":1,\"clients\":\n" },
		    { &cmd_top, "--by recipient --limit 1", 0,
			"RECIPIENT        RECIPIENTS  ACCEPTED  ABORTED  REFUSED  PUT OFF  MONITORED  MESSAGES  SENDERS  CLIENTS  USERS  LAST\n"
			"friend@far.test           1         1        0        0        0          0         1        1        1      1  9 min ago\n" },
		    { &cmd_top, "--by reason", 0,
			"REASON         RECIPIENTS  ACCEPTED  ABORTED  REFUSED  PUT OFF  MONITORED  MESSAGES  SENDERS  CLIENTS  USERS  LAST\n"
			"recent-login            2         2        0        0        0          0         1        1        1      1  9 min ago\n"
			"authenticated           1         1        0        0        0          0         1        1        1      1  3 h ago\n"
			"no-login                1         0        0        1        0          0         1        1        1      0  2 h ago\n" },
		    { &cmd_spam, "", 0, "Nothing looks like a hijack.\n" },
		    { &cmd_spam, "--json", 0, "" },
		    { &cmd_dependents, "", 0,
			"USER   SINCE       RECIPIENTS  MESSAGES  CLIENTS  LAST RELAY  FROM       HELO    SENDER\n"
			"alice  2026-03-03           2         1        1  9 min ago   192.0.2.1  laptop  <alice@example.com>\n" },
		    { &cmd_dependents, "--json", 0, "{\"user\":\"alice\",\"state\":\"depends\",\"recipients\":2,\"messages\":1,\"clients\":1,\"first_at\":\"2026-03-03T11:51:00+00:00\",\"last_at\":\"2026-03-03T11:51:00+00:00\"\n" },
		    { &cmd_report, "--since 2026-03-01", 0,
			"2026-03-01 00:00 to 2026-03-03 12:00, UTC (UTC+00:00)\n"
			"          3  relayed recipients\n"
			"          1  refused\n"
			"          1  put off (temporary failures)\n"
			"          0  recipients of our own, only counted\n"
			"          2  clients that relayed\n"
			"          -  new addresses\n"
			"          1  users who depend on a login\n"
			"          0  users who moved to SMTP AUTH\n"
			"          1  limits reached\n"
			"          3  denied now\n"
			"By hour\n"
			"                                       RECIPIENTS    RELAYED    REFUSED    PUT OFF\n"
			"2026-03-03 10:00 ##########                     1          0          1          0\n" },
		    { &cmd_report, "--since 2026-03-01 --json", 0, "" },
		    { &cmd_report, "--since 2026-03-01 --html %page.html", 0,
			"" },
	    };

	(void)state;
	assert_rows(rows, LENGTH(rows));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reading),
		cmocka_unit_test(counting),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
