#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The first process of a User Mode Linux guest: does what virtme-ng does for one in QEMU, then runs guest.sh with
# the command file. Its output goes to the first serial line; its status is left where vm.sh finds it.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
for directory in /dev/shm /run /tmp /var/log /var/tmp; do
	mount -t tmpfs tmpfs "$directory"
done
mount --bind /seg6/host /mnt/host
exec <>/dev/ttyS0 >&0 2>&1
setsid --ctty --wait bash /seg6/guest.sh /seg6/work/cmd
echo $? >/seg6/work/status
poweroff -f
