# SPDX-License-Identifier: ISC
# A bare system on which no systemd runs: the package goes in whole, works, and
# leaves nothing when it is purged.
. "$(dirname "$0")/../lib.sh"

# everything but what apt, its log and this test write
files() {
	find / -xdev \( -path /root -o -path /tmp -o -path /var/tmp \
	    -o -path /var/log -o -path /var/cache -o -path /var/lib/apt \
	    -o -path /var/lib/dpkg/'*-old' -o -path /var/lib/dpkg/status \
	    -o -path /var/lib/dpkg/lock'*' -o -path /var/lib/dpkg/tmp.ci -o -path /var/lib/dpkg/triggers \
	    -o -path '/etc/*passwd*' -o -path '/etc/*group*' \
	    -o -path '/etc/*shadow*' -o -path '/etc/sub?id*' -o -path /etc/.pwd.lock \) -prune -o \
	    ! -type d -printf '%p %y %m %u %g %s %l\n' -o \
	    -printf '%p %y %m %u %g\n' | sort
}
purged() {
	expect 0 get purge popgate
	files >/root/after
	diff /root/before /root/after || fail "purging left or took something"
	[ -z "$(ls -d /run/popgate* 2>/dev/null)" ] || fail "/run/popgate stays"
}

expect 0 apt-get -qq update
expect 0 get satisfy "$(dpkg-deb -f "$deb" Depends)" python3-minimal procps
files >/root/before

# no room, and then a /usr that can't be written to
mkdir -p /usr/share/popgate
mount -t tmpfs -o nr_inodes=1 tmpfs /usr/share/popgate
expect 100 get install "$deb"
has "No space left"
umount /usr/share/popgate
rmdir /usr/share/popgate
mount --bind /usr /usr
mount -o remount,bind,ro /usr
expect 100 get install "$deb"
has "Read-only file system"
umount -l /usr # this umount is in it
[ ! -e /usr/sbin/popgatectl ] || fail "half installed"
expect 0 get install "$deb"
purged
ok "no room, a read-only /usr: refused, and good when given again"

# Ended half-way, apt, dpkg and its scripts together, as by ^C or a terminal that
# is closed: the same command, or what apt asks for, goes on from there.
cat >/root/ender <<'END'
#!/bin/sh
# dpkg tells it each state of a package
while read -r said; do
	case $said in *popgate*": $STATE") kill -"$SIGNAL" 0 ;; esac
done
END
chmod 755 /root/ender
SIGNAL='' STATE=''
export SIGNAL STATE
for SIGNAL in INT HUP KILL; do
	for STATE in half-installed unpacked half-configured; do
		# to its end in spite of it is as well
		setsid sh -c 'exec apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 \
		    -o Dpkg::Options::=--status-logger=/root/ender \
		    install "$1"' sh "$deb" >/root/said 2>&1 &&
			[ "$SIGNAL" = KILL ] && fail "killed when $STATE, and is good"
		get install "$deb" >/root/said 2>&1 || {
			grep -q 'dpkg --configure -a' /root/said ||
				fail "$SIGNAL when $STATE: $(cat /root/said)"
			dpkg --configure -a >/dev/null 2>&1 || :
			expect 0 get install "$deb"
		}
		expect 0 dpkg -V popgate
		expect 0 popgatectl check-config
		purged
	done
done
ok "ended half-way: good when given again"

# another init: by the scripts, with directories that are gone after a boot
expect 0 get install "$deb"
expect 0 ls /etc/rc2.d/S*popgate-collector /etc/rc2.d/S*popgate-milter
rm -rf /run/popgate /run/popgate-collector
for daemon in $daemons; do
	expect 3 /etc/init.d/$daemon status
	expect 0 /etc/init.d/$daemon start
	expect 0 /etc/init.d/$daemon start
	expect 0 /etc/init.d/$daemon status
done
pid=$(pgrep -x popgate-milter)
[ "$(stat -c %U "/proc/$pid")" = popgate ] || fail "it runs as root"
for daemon in $daemons; do
	expect 0 /etc/init.d/$daemon reload
	expect 0 /etc/init.d/$daemon restart
done
[ "$(pgrep -x popgate-milter)" != "$pid" ] || fail "not restarted"
for daemon in $daemons; do expect 0 /etc/init.d/$daemon stop; done
[ -z "$(pgrep popgate || :)" ] || fail "still there: $(pgrep -a popgate)"
purged
ok "init scripts"

userdel popgate
userdel popgate-collector
groupadd popgate-collector
useradd -M -u 1500 -s /bin/bash popgate
expect 0 get install "$deb"
has "popgatectl setup"
has "the user popgate was here before (uid 1500)"
case $out in *"user popgate-collector was"*) fail "$out" ;; esac
expect 0 sh debian/tests/answers
has "action=OK"
purged
userdel popgate
userdel popgate-collector
ok "a user and a group that exist"

expect 0 get install "$old"
echo '# a line of the admin' >>/etc/popgate/popgate.conf
cp /etc/popgate/popgate.conf /root/conf
expect 0 popgatectl check-config
expect 0 sh debian/tests/answers
expect 0 get install "$deb"
cmp /etc/popgate/popgate.conf /root/conf
expect 0 sh debian/tests/answers
touch /var/lib/popgate/logins.db
expect 0 get remove popgate
has "these stay"
[ -e /var/lib/popgate/logins.db ] || fail "removing took data"
cmp /etc/popgate/popgate.conf /root/conf
expect 0 get install "$deb"
cmp /etc/popgate/popgate.conf /root/conf
expect 0 get remove popgate
purged
expect 0 get install "$deb"
purged
expect 0 getent passwd popgate popgate-collector
ok "installed, upgraded, removed, purged: nothing stays but the users"
