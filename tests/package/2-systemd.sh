# SPDX-License-Identifier: ISC
# The units under systemd: reload, restart, watchdog, crash, exposure, groups.
. "$(dirname "$0")/lib.sh"

for unit in $daemons; do
	expect 0 systemctl reload $unit
	cp /etc/popgate/popgate.conf /root/good
	echo 'nonsense = 1;' >>/etc/popgate/popgate.conf
	expect 1 systemctl reload $unit
	expect 0 systemctl is-active $unit
	expect 0 journalctl -u $unit -n 20 -o cat
	has nonsense
	cat /root/good >/etc/popgate/popgate.conf
	expect 0 systemctl reload $unit
done
ok "reload; a bad file is a failed reload with its reason"

for unit in $daemons; do
	pid=$(main_pid $unit)
	kill -KILL "$pid"
	another() {
		p=$(main_pid $unit); [ "$p" != 0 ] && [ "$p" != "$pid" ] &&
		    [ "$(systemctl is-active $unit)" = active ]
	}
	wait_for "$unit after a crash" another
	expect 0 systemctl restart $unit
done
promises "after crashes and restarts"
ok "crash, restart"

# stopped and started, as an admin or an upgrade does it
systemctl stop popgate-milter
closed
systemctl start popgate-milter
promises "once popgate-milter is started"
systemctl restart popgate-milter postfix
promises "after a restart of both"
ok "the wiring's promises, across restarts"

# The watchdog of a process that hangs: of two seconds instead of minutes
for unit in $daemons; do
	mkdir -p /run/systemd/system/$unit.service.d
	printf '[Service]\nWatchdogSec=2s\n' \
	    >/run/systemd/system/$unit.service.d/watchdog.conf
done
systemctl daemon-reload
for unit in $daemons; do
	systemctl restart $unit
	pid=$(main_pid $unit)
	kill -STOP "$pid"
	another() {
		p=$(main_pid $unit); [ "$p" != 0 ] && [ "$p" != "$pid" ] &&
		    [ "$(systemctl is-active $unit)" = active ]
	}
	wait_for "$unit after its watchdog" another
done
rm -r /run/systemd/system/popgate-*.d
systemctl daemon-reload
systemctl restart $daemons
wait_for "relaying after watchdogs" relays
ok "watchdog"

for unit in $daemons; do
	expect 0 systemd-analyze security --threshold=20 --no-pager $unit.service
	echo "$out" | grep Overall
done
# shellcheck disable=SC2046 # words without blanks
expect 0 systemd-analyze verify --man=no $(systemctl list-unit-files \
    --no-legend 'popgate-*' | cut -d ' ' -f 1)
case $out in *popgate*) fail "verify: $out" ;; esac

[ "$(stat -c %G /run/popgate-collector/status.sock)" = popgate ] ||
	fail "the collector's status socket: $(ls -l /run/popgate-collector)"
[ "$(stat -c %G /run/popgate/status.sock)" = popgate ] ||
	fail "the milter's status socket: $(ls -l /run/popgate)"
[ "$(stat -c %G /run/popgate/milter.sock)" = postfix ] ||
	fail "the milter's socket: $(ls -l /run/popgate)"
useradd -r -G popgate nagios 2>/dev/null || :
useradd -r stranger 2>/dev/null || :
expect 0 runuser -u nagios -- popgatectl health
expect 3 runuser -u stranger -- popgatectl health
mode=$(stat -c %a /var/lib/popgate/logins.db)
chmod 600 /var/lib/popgate/logins.db
expect 2 runuser -u nagios -- popgatectl health
has "popgate-milter can't read it"
chmod "$mode" /var/lib/popgate/logins.db
systemctl stop popgate-collector
expect 2 runuser -u nagios -- popgatectl health
systemctl start popgate-collector
ok "groups of the sockets, health for a monitoring user"
expect 0 systemctl start popgate-doctor.service
# the file is written when something is found
if grep -qs -e -not-rehearsed /var/lib/popgate-doctor/found; then
	fail "the unit does not let the doctor rehearse"
fi
expect 0 systemctl start popgate-report.service
no_failed_unit
bash -ic '. /usr/share/bash-completion/completions/popgatectl; complete -p popgatectl' \
    2>/dev/null | grep -q _popgatectl || fail "completion"
