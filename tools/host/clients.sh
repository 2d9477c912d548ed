#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Gets the iproute2 of an older and of the newest Debian suite, for the tests of control planes; that of the
# toolchain root is between them. A guest finds each as $SEG6_OUTPUT/clients/iproute2-SUITE/ip.
set -euo pipefail
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

clients=$cache/selftests/clients

# A mirror that stands still serves the index of sid past its date, so that is not looked at.
fetch() { # suite
	local out=$clients/iproute2-$1
	rm -rf "$out.tmp"
	mkdir -p "$out.tmp"
	from_suite "$1" "iproute2/$1" "$out.tmp" '
		dpkg-deb -x iproute2_*.deb unpacked
		find unpacked -path "*bin/ip" -type f -exec cp {} /seg6/out \;
		/seg6/out/ip -V' -o Acquire::Check-Valid-Until=false -o Acquire::Languages=none
	mv "$out.tmp" "$out"
}

lock clients
for suite in bookworm sid; do
	[ -d "$clients/iproute2-$suite" ] || step "iproute2 of Debian $suite" "clients-$suite.log" 0 fetch "$suite"
done
[ "$run" != "$cache" ] || exit 0
rm -rf "$run/selftests/clients"
cp -alT "$clients" "$run/selftests/clients"
