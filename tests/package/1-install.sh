# SPDX-License-Identifier: ISC
# Installed beside stock servers: the daemons run, and open nothing; then the
# story of the demo through the real units, and how long each step took.
#
#   1-install.sh [STACK]   default: postfix-dovecot
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/servers.sh"
stack=${1:-postfix-dovecot}
dialogue() { smtp alice@mail.example "$1" "${2:-192.0.2.66}"; }
relays() { dialogue friend@remote.example | grep -q ^250; }
ours() { dialogue alice@mail.example | grep -q ^250; }
# took WHAT - since the step before
took() {
	now=$(date +%s%N)
	echo "took: $(( (now - last + 500000000) / 1000000000 )) s  $1"
	last=$now
}

make_network
id alice >/dev/null 2>&1 || useradd -m alice
echo alice:secret | chpasswd
configure "$stack"
wait_for "the mail server" ours

# autopkgtest has installed it
last=$(date +%s%N)
if [ ! -e /usr/sbin/popgatectl ]; then
	cd /root/popgate
	# as in the README, but for the questions
	expect 0 apt -y --no-install-recommends install \
	    ./build-deb/popgate_*.deb
	has "popgatectl setup"
	took "apt install ./build-deb/popgate_*.deb"
	ok "installed; the next step is named"
fi
for unit in $daemons; do
	expect 0 systemctl is-active $unit
	expect 0 systemctl is-enabled $unit
done
no_failed_unit
expect 0 popgatectl check-config
# nothing is read: no answer but a temporary refusal
expect 75 popgatectl check --client 192.0.2.66 --to x@y.example --exit-code
expect 0 dialogue friend@remote.example
case $out in 250*) fail "the server relays: $out" ;; esac
ok "the daemons run, and open nothing"

login alice secret
expect 0 popgatectl list
has Nobody
last=$(date +%s%N)
expect 0 popgatectl setup
took "popgatectl setup"
expect 0 popgatectl setup --apply
took "popgatectl setup --apply"
ok "setup"
expect 0 dialogue friend@remote.example 192.0.2.77
case $out in 5*|4*) ;; *) fail "a stranger relays: $out" ;; esac
expect 0 dialogue alice@mail.example 192.0.2.77
has 250
last=$(date +%s%N)
login alice secret
wait_for "the login to count" relays
took "a login, and a message from its address"
expect 0 popgatectl list
has 192.0.2.66
expect 0 popgatectl why 192.0.2.66
ok "a login relays, a stranger does not"
last=$(date +%s%N)
expect 0 popgatectl doctor
took "popgatectl doctor"
ok "no open relay"
