#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Gets the kernel source: the linux-source package of the suite's backports, verified by apt, or the tree
# that KERNEL_SRC names.
set -euo pipefail
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

[ -z "${KERNEL_SRC:-}" ] || exit 0
lock source
[ ! -d "$pristine" ] || exit 0

# Unpacked where it ends up: /tmp of the sandbox is memory.
fetch() {
	rm -rf "$pristine.tmp"
	mkdir -p "$pristine.tmp"
	from_suite "$debian_suite-backports" "linux-source-$KERNEL_SERIES" "$pristine.tmp" '
		dpkg-deb --fsys-tarfile linux-source-*.deb |
			tar -C /seg6/out -xf - --wildcards --strip-components=3 "./usr/src/*.tar.*"
		cd /seg6/out
		tar -xf linux-source-*.tar.* --strip-components=1
		rm linux-source-*'
	mv "$pristine.tmp" "$pristine"
}
step "kernel source linux-source-$KERNEL_SERIES from $debian_suite-backports" source.log 0 fetch

got=$(version_of "$pristine")
tested=kernel_tested_${KERNEL_SERIES/./_}
[ "$got" = "${!tested:-}" ] ||
	echo "note: this is Linux $got; the project was tested with ${!tested:-another series}" >&2
