#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs in the guest as root: mounts what tests and tools expect, then runs the command file $1.
set -eu

mounted() { # type directory
	mountpoint -q "$2" || mount -t "$1" "$1" "$2"
}

# virtme-init ends the guest with it.
command -v poweroff >/dev/null || ln -s "$(command -v busybox)" /usr/sbin/poweroff

mounted bpf /sys/fs/bpf
mounted debugfs /sys/kernel/debug
mounted tracefs /sys/kernel/tracing
mounted cgroup2 /sys/fs/cgroup
mkdir -p /run/netns

# Each call that may move the data of a packet does, if the kernel has CONFIG_FAIL_SKB_REALLOC.
realloc=/sys/kernel/debug/fail_skb_realloc
if [ -d "$realloc" ]; then
	echo 0 >"$realloc/verbose"
	echo 1 >"$realloc/interval"
	echo -1 >"$realloc/times"
	echo 100 >"$realloc/probability"
fi
ip link set lo up
export HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin
cd /mnt/host
echo 'seg6: the guest is up' >/dev/kmsg
exec bash "$1"
