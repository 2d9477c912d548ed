#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Stands in for udevd and udevadm in the guest: names the ports through which virtme-ng talks to the host. That is all
# it needs of udev, which takes most of the time of a boot, and on a busy host more than virtme-ng waits for.
[ "$1" = --daemon ] || exit 0
mkdir -p /dev/virtio-ports
names=()
! grep -q virtme.exec /proc/cmdline || names=(stdin stdout stderr dev_stdout dev_stderr ret)

name_ports() {
	local port
	for port in /sys/class/virtio-ports/*/name; do
		[ ! -s "$port" ] || ln -sf "../$(basename "${port%/name}")" "/dev/virtio-ports/$(<"$port")"
	done
}

name_ports
for name in "${names[@]}"; do
	until [ -e "/dev/virtio-ports/virtme.$name" ]; do
		sleep 0.1
		name_ports
	done
done
