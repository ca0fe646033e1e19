# SPDX-License-Identifier: ISC
# After a reboot all is as before; then upgrade, remove, install, purge.
. "$(dirname "$0")/lib.sh"
make_network
for unit in $daemons; do expect 0 systemctl is-active $unit; done
no_failed_unit
relays() { smtp alice@mail.example friend@remote.example | grep -q ^250; }
systemctl restart postfix
wait_for "the login from before the reboot" relays
ok "reboot"

cp /etc/popgate/popgate.conf /root/conf
expect 0 apt-get -y --reinstall --no-install-recommends install "$deb"
cmp /etc/popgate/popgate.conf /root/conf
wait_for "relaying after the upgrade" relays
ok "upgrade keeps the configuration"

cp /etc/postfix/main.cf /root/main.cf
pids="$(main_pid popgate-collector) $(main_pid popgate-milter)"
expect 0 apt-get -y remove popgate
has "STILL ASKS POPGATE"
has /etc/postfix/main.cf
cmp /etc/postfix/main.cf /root/main.cf
for unit in $daemons; do
	! systemctl is-active -q $unit || fail "$unit runs"
done
for pid in $pids; do [ ! -e "/proc/$pid" ] || fail "process $pid runs"; done
[ -e /var/lib/popgate/logins.db ] || fail "remove removed data"
expect 0 smtp a@b.example friend@remote.example
has 451
expect 0 smtp a@b.example alice@mail.example
has 250
ok "removed: data stays, the mail server's wiring is named"

expect 0 apt-get -y --no-install-recommends install "$deb"
wait_for "relaying when it is back" relays
expect 0 popgatectl setup --undo
expect 0 apt-get -y purge popgate
case $out in *"STILL ASKS"*) fail "nothing is wired: $out" ;; esac
for path in /var/lib/popgate /var/lib/popgate-setup /etc/popgate \
    /run/systemd/system/popgate* /etc/systemd/system/*/popgate*; do
	[ ! -e "$path" ] || fail "$path stays"
done
getent passwd popgate popgate-collector >/dev/null || fail "users are gone"
no_failed_unit
ok "purged"
