# SPDX-License-Identifier: ISC
# lib.sh - what the parts of tests/package share. They run on a mail server of
# their own, booted by systemd, and change it.
# shellcheck shell=sh
set -eu
deb=$(echo /root/popgate/build-deb/popgate_*.deb)
# the same with another configuration, as an older version
old=$(echo /root/popgate/old/popgate_*.deb)
daemons="popgate-collector popgate-milter"

fail() { echo "FAILED: $*" >&2; exit 1; }
ok() { echo "ok: $*"; }

# expect STATUS COMMAND... - its output is $out
expect() {
	want=$1; shift
	rc=0
	out=$("$@" 2>&1) || rc=$?
	[ $rc = "$want" ] || fail "$*: status $rc, not $want: $out"
}
has() {
	case $out in *"$1"*) ;; *) fail "no '$1' in: $out" ;; esac
}
# wait_for WHAT COMMAND... - a minute at most
wait_for() {
	what=$1; shift
	i=0
	until "$@" >/root/waited 2>&1; do
		i=$((i + 1))
		[ $i -lt 600 ] || fail "waited for $what: $*: $(cat /root/waited)"
		sleep 0.1
	done
}
# apt for a script: the admin's configuration stays
get() {
	apt-get -y --no-install-recommends -o Dpkg::Use-Pty=0 \
	    -o Dpkg::Options::=--force-confold "$@"
}
main_pid() { systemctl show -P MainPID "$1"; }
no_failed_unit() {
	expect 0 systemctl --failed --no-legend --plain
	[ -z "$out" ] || fail "failed units: $out"
}

# a network with two clients, 192.0.2.66 and .77; the server is .1
make_network() {
	ip netns add client
	ip link add mail type veth peer name eth0 netns client
	ip address add 192.0.2.1/24 dev mail
	ip link set mail up
	ip -n client address add 192.0.2.66/24 dev eth0
	ip -n client address add 192.0.2.77/24 dev eth0
	ip -n client link set lo up
	ip -n client link set eth0 up
}
at_client() { nsenter --net=/run/netns/client "$@"; }

# smtp FROM TO [SOURCE] - the server's answer to RCPT
smtp() {
	at_client python3 -c '
import socket, sys
sender, to, source = sys.argv[1:4]
with socket.create_connection(("192.0.2.1", 25), 60, (source, 0)) as s:
    f = s.makefile("rw", newline="\r\n")
    def reply():
        while True:
            line = f.readline()
            if line[3:4] != "-":
                return line.strip()
    said = reply()
    for words in ("EHLO client.example", f"MAIL FROM:<{sender}>",
                  f"RCPT TO:<{to}>"):
        f.write(words + "\n"); f.flush(); said = reply()
    print(said)
' "$1" "$2" "${3:-192.0.2.66}"
}
# the wiring's promises: a login relays, a stranger is refused by popgate, our own
# mail comes in, the mail server asks on every service
relays() { smtp alice@mail.example friend@remote.example | grep -q ^250; }
refused() {
	smtp a@b.example friend@remote.example 192.0.2.77 |
		grep -q '^5.*Relaying denied'
}
promises() {
	wait_for "a login to relay $1" relays
	wait_for "a stranger to be refused $1" refused
	expect 0 smtp a@b.example alice@mail.example 192.0.2.77
	has 250
	wait_for "popgatectl health $1" popgatectl health
	expect 0 popgatectl wiring postfix --check
}
# what is left of them without popgate
closed() {
	for client in 192.0.2.66 192.0.2.77; do
		expect 0 smtp a@b.example friend@remote.example $client
		case $out in 4*) ;; *) fail "without popgate: $out" ;; esac
		expect 0 smtp a@b.example alice@mail.example $client
		has 250
	done
}
# login USER PASSWORD [SOURCE] - by IMAP
login() {
	at_client python3 -c '
import socket, sys
user, password, source = sys.argv[1:4]
with socket.create_connection(("192.0.2.1", 143), 60, (source, 0)) as s:
    f = s.makefile("rw", newline="\r\n")
    f.readline()
    f.write(f"a LOGIN {user} {password}\n"); f.flush()
    said = "*"
    while said.startswith("*"):
        said = f.readline()
    # not sooner: Courier loses what it has read before the login
    f.write("b LOGOUT\n"); f.flush(); f.read()
    sys.exit(not said.startswith("a OK"))
' "$1" "$2" "${3:-192.0.2.66}"
}
