#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes sure that the host has the few programs that cannot come from the toolchain root, and lets them work.
set -euo pipefail
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

programs=(bwrap:bubblewrap mmdebstrap:mmdebstrap patch:patch python3:python3)
[ "$EUID" = 0 ] || programs+=(newuidmap:uidmap)

missing=()
for program in "${programs[@]}"; do
	command -v "${program%:*}" >/dev/null || missing+=("${program#*:}")
done
if [ ${#missing[@]} = 0 ]; then
	[ "$EUID" = 0 ] || check_namespaces
	exit
fi

[ "$EUID" = 0 ] || die "packages are missing, run as root:  apt-get install ${missing[*]}"
install() {
	apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${missing[@]}"
}
step "installing ${missing[*]}" host-packages.log 0 install
