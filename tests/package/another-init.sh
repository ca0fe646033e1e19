# SPDX-License-Identifier: ISC
# Booted by another init than systemd, sysvinit or OpenRC: what its scripts do
# with the daemons, and the story of the demo. Played twice: the second time after
# a boot, when popgate is set up.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/servers.sh"
relays() { smtp alice@mail.example friend@remote.example | grep -q ^250; }
ours() { smtp alice@mail.example alice@mail.example | grep -q ^250; }
running() { service "$1" status; }
pid_of() { pgrep -f "^/usr/sbin/$1 "; }

make_network
if [ -e /usr/sbin/popgatectl ]; then
	for daemon in $daemons; do wait_for "$daemon at boot" running $daemon; done
	wait_for "the login from before the boot" relays
	expect 0 popgatectl health
	expect 0 get purge popgate
	[ -z "$(pgrep popgate || :)" ] || fail "still there: $(pgrep -a popgate)"
	ls /etc/rc?.d | grep popgate && fail "it would be started at boot"
	ok "booted, and gone"
	exit
fi

id alice >/dev/null 2>&1 || useradd -m alice
echo alice:secret | chpasswd
configure postfix-dovecot
wait_for "the mail server" ours
expect 0 get install "$deb"
! dpkg -l systemd 2>/dev/null | grep -q ^ii || fail "it needed systemd"
for daemon in $daemons; do
	expect 0 running $daemon
	pid=$(pid_of $daemon)
	expect 0 service $daemon start
	[ "$(pid_of $daemon)" = "$pid" ] || fail "a second $daemon"
	expect 0 service $daemon reload
	cp /etc/popgate/popgate.conf /root/good
	echo 'nonsense = 1;' >>/etc/popgate/popgate.conf
	expect 1 service $daemon reload
	has nonsense
	expect 0 running $daemon
	cat /root/good >/etc/popgate/popgate.conf
	expect 0 service $daemon restart
	[ "$(pid_of $daemon)" != "$pid" ] || fail "$daemon wasn't restarted"
	expect 0 service $daemon stop
	expect 3 running $daemon
	[ -z "$(pid_of $daemon || :)" ] || fail "$daemon still runs"
	expect 0 service $daemon start
	expect 0 running $daemon
done
ok "start, status, reload, a bad file, restart, stop"

expect 0 popgatectl setup --apply
expect 0 smtp alice@mail.example friend@remote.example
case $out in 5*) ;; *) fail "a stranger: $out" ;; esac
login alice secret
wait_for "the login to count" relays
expect 0 popgatectl doctor
ok "set up, a login relays, no open relay"
