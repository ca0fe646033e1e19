# SPDX-License-Identifier: ISC
# packages.sh - install Debian packages without starting a service and without
# removing anything. Read by tests/deps.sh and tests/system/deps.sh.
# shellcheck shell=sh

packages_dir=$(cd "$(dirname "$0")" && pwd)
packages_dir=${packages_dir%/system}
# its packages were not there before; of them an interrupted run may have
# installed a part
unfinished=${POPGATE_BUILD:-${packages_dir%/tests}/build}/.installing

stop() {
	echo "deps.sh: $*" >&2
	exit 69
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		stop "installing packages takes root: be root, or install sudo"
	fi
}

updated=
# Without a network apt-get only warns, and takes the lists of before: then
# hundreds of packages can't be fetched, one by one.
update() {
	[ -z "$updated" ] || return 0
	as_root true
	if ! said=$(as_root env LC_ALL=C apt-get -q \
	    -o APT::Update::Error-Mode=any update 2>&1); then
		echo "$said" | grep '^[WE]: ' >&2 || :
		echo "$said" | grep -q '^\(Get\|Hit\):' ||
			stop "no list of packages could be fetched: is there a" \
			    "network? Nothing was installed"
	fi
	updated=yes
}

installed() {
	dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null |
		grep -qx installed
}

# Can this release install it?
known() {
	apt-cache policy "$1" 2>/dev/null | grep -q '^  Candidate: [^(]'
}

# choose_package 'NAME|NAME|...' - the first that is installed, else the first
# that this release has, else the last: packages are called otherwise from
# release to release. With nothing behind the last "|": else none.
choose_package() {
	names=$(echo "$1" | tr '|' ' ')
	for name in $names; do
		! installed "$name" || { echo "$name"; return; }
	done
	for name in $names; do
		! known "$name" || { echo "$name"; return; }
	done
	echo "${1##*|}"
}

choose_packages() {
	for word in "$@"; do choose_package "$word"; done
}

install_packages() {
	missing=
	for word in "$@"; do
		there=
		for name in $(echo "$word" | tr '|' ' '); do
			! installed "$name" || there=yes
		done
		case $word in
		*\|) known "${word%|}" || there=none ;;
		esac
		[ -n "$there" ] || missing="$missing $word"
	done
	interrupted=
	if [ -e "$unfinished" ]; then
		interrupted=--again
		missing="$(cat "$unfinished") $missing"
	fi
	[ -n "$missing" ] || return 0
	update
	# shellcheck disable=SC2086 # a list of words
	missing=$(choose_packages $missing | sort -u | tr '\n' ' ')
	# shellcheck disable=SC2086 # a list of words
	removed=$(would "Remv" $missing)
	[ -z "$removed" ] || stop "to install ${missing% } would remove" \
	    "${removed% }, which is in use here, perhaps: nothing was done." \
	    "Use a machine or container without it"
	# shellcheck disable=SC2086 # a list of words
	added=$(would Inst $missing)
	[ -z "$added" ] || echo "deps.sh: installing: $(echo "$added" | fold -s -w 60 |
	    sed '2,$s/^/    /')"
	mkdir -p "${unfinished%/*}"
	echo "$missing" >"$unfinished"
	# shellcheck disable=SC2086 # lists of words
	as_root sh "$packages_dir/install.sh" $interrupted $missing ||
		stop "not all packages are installed: see above. When that is" \
		    "mended, give the same command again"
	rm -f "$unfinished"
}

# would Remv|Inst PACKAGE... - what apt-get would remove, or install, for these.
would() {
	what_apt_says=$1
	shift
	apt-get -s -qq --no-install-recommends install "$@" 2>/dev/null |
		awk -v what="$what_apt_says" '$1 == what { printf "%s ", $2 }'
}
