#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Gets the iproute2 of an older and of the newest Debian suite, for the tests of control planes; that of the
# toolchain root is between them. A guest finds each as $SEG6_OUTPUT/clients/iproute2-SUITE/ip.
set -euo pipefail
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

clients=$cache/selftests/clients

# From the mirror that the root itself was made from. A mirror that stands still serves the index of sid past its
# date, so that is not looked at; the signature is.
# shellcheck disable=SC2016 # for the shell in the sandbox
download='
set -e
main=" $suite main"
sed -n "s|^\(deb .*\)$main\$|\1 $other main|p" /etc/apt/sources.list | sort -u >/tmp/other.list
mkdir -p /tmp/lists/partial /tmp/archives/partial
set -- -o APT::Sandbox::User=root -o Dir::Etc::SourceList=/tmp/other.list -o Dir::Etc::SourceParts=/dev/null \
	-o Dir::State::Lists=/tmp/lists -o Dir::Cache=/tmp -o Dir::State::Status=/var/lib/dpkg/status \
	-o Acquire::Check-Valid-Until=false -o Acquire::Languages=none
apt-get "$@" update
cd /tmp
apt-get "$@" download "iproute2/$other"
dpkg-deb -x iproute2_*.deb unpacked
find unpacked -path "*bin/ip" -type f -exec cp {} /seg6/out \;
/seg6/out/ip -V
'
fetch() { # suite
	local out=$clients/iproute2-$1
	rm -rf "$out.tmp"
	mkdir -p "$out.tmp"
	binds=(--ro-bind /etc/resolv.conf /etc/resolv.conf --bind "$out.tmp" /seg6/out
		--setenv suite "$debian_suite" --setenv other "$1")
	sandbox sh -c "$download"
	mv "$out.tmp" "$out"
}

lock clients
for suite in bookworm sid; do
	[ -d "$clients/iproute2-$suite" ] || step "iproute2 of Debian $suite" "clients-$suite.log" 0 fetch "$suite"
done
