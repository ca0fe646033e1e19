# SPDX-License-Identifier: ISC
# After a reboot all is as before; then upgrade, remove, install, purge.
. "$(dirname "$0")/lib.sh"
make_network
for unit in $daemons; do expect 0 systemctl is-active $unit; done
no_failed_unit
systemctl restart postfix
promises "by its login from before the reboot"
systemctl stop popgate-milter
closed
systemctl start popgate-milter
promises "once popgate-milter is started"
ok "reboot: the wiring's promises hold again"

# kept: what "popgatectl setup" and the admin made of the configuration and the
# mail server, what was recorded, what runs and what was switched off
same_files() {
	sha256sum /etc/popgate/popgate.conf /etc/postfix/main.cf \
	    /etc/postfix/master.cf
}
recorded() { popgatectl decisions --since 1d --json | grep -c verdict; }
echo '# a line of the admin' >>/etc/popgate/popgate.conf
expect 0 get --allow-downgrades install "$old"
expect 0 systemctl enable --now popgate-doctor.timer
same_files >/root/files
rows=$(recorded)
pids="$(main_pid popgate-collector) $(main_pid popgate-milter)"
expect 0 get install "$deb"
case $out in *"next step"*) fail "this was no first installation: $out" ;; esac
same_files | cmp - /root/files || fail "the upgrade changed a file"
for pid in $pids; do
	[ ! -e "/proc/$pid" ] || fail "process $pid is the old one"
done
for unit in $daemons popgate-doctor.timer; do
	expect 0 systemctl is-active $unit
	expect 0 systemctl is-enabled $unit
done
[ "$(recorded)" -ge "$rows" ] && [ "$rows" -gt 0 ] ||
	fail "decisions: $rows, now $(recorded)"
wait_for "relaying after the upgrade" relays
systemctl disable -q --now popgate-doctor.timer $daemons
expect 0 get --reinstall install "$deb"
for unit in $daemons popgate-doctor.timer; do
	expect 1 systemctl is-enabled $unit
	expect 3 systemctl is-active $unit
done
systemctl enable -q --now $daemons
wait_for "relaying again" relays
ok "upgrade keeps configuration, data and what runs"

# a database of a newer version: the daemon doesn't touch it, and says why
systemctl stop popgate-milter
version=$(sqlite3 /var/lib/popgate/audit.db 'PRAGMA user_version')
sqlite3 /var/lib/popgate/audit.db 'PRAGMA user_version = 999'
expect 0 get --reinstall install "$deb"
expect 0 journalctl -u popgate-milter -n 20 -o cat
has 999
sqlite3 /var/lib/popgate/audit.db "PRAGMA user_version = $version"
systemctl restart popgate-milter
wait_for "relaying with our database" relays
ok "a newer database"

pids="$(main_pid popgate-collector) $(main_pid popgate-milter)"
cp /etc/postfix/main.cf /root/main.cf
systemctl enable -q --now popgate-doctor.timer
expect 0 get remove popgate
has "STILL ASKS POPGATE"
has /etc/postfix/main.cf
cmp /etc/postfix/main.cf /root/main.cf
for unit in $daemons popgate-doctor.timer; do
	! systemctl is-active -q $unit || fail "$unit runs"
done
for pid in $pids; do [ ! -e "/proc/$pid" ] || fail "process $pid runs"; done
[ -e /var/lib/popgate/logins.db ] || fail "remove removed data"
expect 0 smtp a@b.example friend@remote.example
has 451
expect 0 smtp a@b.example alice@mail.example
has 250
ok "removed: data stays, the mail server's wiring is named"

expect 0 get install "$deb"
wait_for "relaying when it is back" relays
# its own it takes back; what the admin has changed since, it leaves
sed -i '/^# a line of the admin$/d' /etc/popgate/popgate.conf
expect 0 popgatectl setup --undo
expect 0 apt -y purge popgate
case $out in *"STILL ASKS"*) fail "nothing is wired: $out" ;; esac
for path in /var/lib/popgate* /run/popgate* /etc/popgate \
    /run/systemd/system/popgate* /etc/systemd/system/*/popgate* \
    /var/lib/systemd/deb-systemd-helper-*/*popgate*; do
	[ ! -e "$path" ] || fail "$path stays"
done
getent passwd popgate popgate-collector >/dev/null || fail "users are gone"
no_failed_unit
ok "purged"
