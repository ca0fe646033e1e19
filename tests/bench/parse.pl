#!/usr/bin/perl
# SPDX-License-Identifier: ISC
# What the old tools do: a loop over the log with regular expressions.
#   parse.pl one FILE    one alternation of anchored patterns
#   parse.pl turn FILE   the patterns tried in turn
# Prints lines, logins and seconds. The patterns are of the same servers that
# popgate's grammars know, written as such tools write them, but anchored.
use strict;
use warnings;
use Time::HiRes qw(time);

my $ip = '(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)';
my $time = '^(\w{3} [ \d]\d \d\d:\d\d:\d\d) \S+ ';
my @bodies = (
    'dovecot(?:\[\d+\])?: (?:imap|pop3)-login: (?:Login|Logged in): ' .
	'user=<([^>]+)>, method=\S+, rip=' . $ip . ', lip=\S+.*$',
    '(?:courier)?(?:pop3|imap)(?:login|d|d-ssl): LOGIN, user=([^,]+), ' .
	'ip=\[' . $ip . '\].*$',
    '(?:cyrus/)?(?:pop3|imap)[ds]?\[\d+\]: login: [^[\s]*\s*\[' . $ip .
	'\] (\S+) \S+ User logged in.*$',
    '(?:ipop3s?d|imaps?d)\[\d+\]: (?:Login|Authenticated|Auth|APOP) ' .
	'user=(\S+) host=(?:\S+ )?\[' . $ip . '\].*$',
    '(?:in\.)?q?popper\[\d+\]: \([^)]*\) POP login by user "([^"]+)" at ' .
	'\([^)]+\) ' . $ip . '.*$',
    '(?:in\.)?q?popper\[\d+\]: Stats: (\S+) \d+ \d+ \d+ \d+ (?:\S+ )?' .
	$ip . '.*$',
    'gnu-pop3d\[\d+\]: User (\S+) logged in with mailbox \S+ from ' .
	$ip . '$',
    'vpopmail\[\d+\]: vchkpw-(?:pop3|imap)s?: \(\S+\) login success ' .
	'([^:]+):' . $ip . '$',
    'cucipop\[\d+\]: (\S+) ' . $ip . ' \d+, \d+ \(\d+\), \d+ \(\d+\)$',
    'vm-pop3d\[\d+\]: User \'(\S+)\'.* logged in from ' . $ip . '$',
    'popa3d\[\d+\]: Authentication passed for (\S+) -- \[' . $ip . '\]$',
    'perdition\S*\[\d+\]: Auth: ' . $ip . ':\d+->\S+ .*' .
	'authentication_id="([^"]+)" .* status="ok"$',
    's(?:olid-)?pop3d\[\d+\]: (?:mapped )?user (\S+) authenticated.* - ' .
	$ip . '$',
    'teapop\[\d+\]: Successful login for (\S+) \[\S+\] from \S+ \[' . $ip .
	'\]$',
    'tpop3d\[\d+\]: fork_child: \[\d+\]' . $ip . '\S*: began session for ' .
	'`([^\']+)\' with \S+; child PID is \d+$',
    'in\.imapproxyd\[\d+\]: LOGIN: \'([^\']+)\' \(' . $ip .
	':\d+\) on (?:new|existing) sd \[\d+\]$',
    'nginx: \S+ \S+ \[info\] \S+ \*\d+ client logged in, client: ' . $ip .
	'.*, login: "([^"]+)".*$',
    'dbmail\S+\[\d+\]: Notice:.* login accepted: id \[\d+\] user ' .
	'\[([^]]+)\] from \[' . $ip . ':\d+\]$',
    'AppleMailServer: IMAP User "([^"]+)" log on successful from ' .
	$ip . '$',
    'vpop3d\[\d+\]: vpop3d: \(([^,]+),' . $ip . '\) Authenticated$',
);

my ($mode, $file) = @ARGV;
my ($lines, $logins) = (0, 0);
my $start = time;
open(my $log, '<', $file) or die "$file: $!\n";
if ($mode eq 'one') {
	my $all = join('|', map { "(?:$_)" } @bodies);
	my $re = qr/$time(?:$all)/;

	while (<$log>) {
		$lines++;
		$logins++ if /$re/o;
	}
} else {
	my @re = map { qr/$time$_/ } @bodies;

	while (my $line = <$log>) {
		$lines++;
		foreach my $re (@re) {
			if ($line =~ $re) {
				$logins++;
				last;
			}
		}
	}
}
printf "%d %d %.4f\n", $lines, $logins, time - $start;
