#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes the toolchain root: a small Debian in the cache with compilers, QEMU and network tools. It is made
# once; when packages.txt names a package that it lacks, it gets that package (as root) or is made anew.
set -euo pipefail
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

packages=$(sed -e 's/#.*//' -e '/^ *$/d' "$tools/packages.txt" | sort)

# What virtme-ng's init calls, but only busybox has here, and what it and systemd-tmpfiles miss aloud.
finish_root() { # directory
	ln -sf ../bin/busybox "$1/usr/sbin/poweroff"
	ln -sf ../bin/busybox "$1/usr/sbin/deallocvt"
	mkdir -p "$1/etc/lvm"
	printf '%032d\n' 1 >"$1/etc/machine-id"
	echo "$packages" >"$1${root_stamp#"$root"}"
}

make_root() {
	rm -rf "$root.tmp"
	mkdir -p "$root.tmp"
	mmdebstrap --variant=minbase --include="$(paste -sd, <<<"$packages")" "$debian_suite" - |
		tar -C "$root.tmp" -xpf - --exclude='./dev/*'
	finish_root "$root.tmp"
	rm -rf "$root"
	mv "$root.tmp" "$root"
}

# The root is writable here, and only here.
add_packages() {
	# shellcheck disable=SC2046,SC2086 # one word per package
	bwrap --die-with-parent --unshare-pid --bind "$root" / --dev /dev --proc /proc --tmpfs /tmp \
		--ro-bind /etc/resolv.conf /etc/resolv.conf --setenv DEBIAN_FRONTEND noninteractive \
		--setenv PATH /usr/sbin:/usr/bin:/sbin:/bin \
		sh -c 'apt-get -o APT::Sandbox::User=root update &&
			apt-get -o APT::Sandbox::User=root install --yes --no-install-recommends "$@"' sh $packages
	finish_root "$root"
}


lock root
if [ -d "$root" ] && [ -z "$(comm -13 <(sort "$root_stamp" 2>/dev/null) <(echo "$packages"))" ]; then
	exit 0
elif [ -d "$root" ] && [ "$EUID" = 0 ]; then
	step "adding packages to the toolchain root" root.log 0 add_packages
else
	step "making the toolchain root (2 GB, $root)" root.log 0 make_root
fi
