#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Boots a built kernel in QEMU, or as User Mode Linux (CONFIG=uml), with the toolchain root as its root file
# system, and runs a command in it. The only place that knows their command lines. Input, from the environment:
#
#   IMPL, CONFIG   which kernel; the selftests of its source are in the guest at /seg6/selftests
#   CMD            bash commands that run as root in the guest; empty: an interactive shell
#   DIR            directory that is writable in the guest at /mnt/host (default: the repository)
#   VM_OUTPUT      directory that the command finds under the name in $SEG6_OUTPUT
#   VM_CPUS, VM_MEMORY, VM_APPEND   size of the guest, additional kernel parameters (User Mode Linux has one CPU)
#   VM_TIMEOUT     seconds after which a guest that runs CMD is ended (default: 1800)
#   VM_QUIET       seconds without a kernel message after which a guest that has not begun with CMD is started again
#                  (default: 100; both are multiplied by 6 unless CONFIG is base: the checkers take their time)
#   VM_CONSOLE     file that gets the kernel's console output
#   VM_ACCEL       kvm or tcg (default: what works), for QEMU
#   ICOUNT         not empty: a guest with one CPU whose clock counts instructions, one as a nanosecond, and skips
#                  the time that it is idle (QEMU's -icount; each iteration of a `rep` string instruction counts)
#   VM_QEMU_OPTS   more options for QEMU
#   VM_QEMU_DIR    directory that QEMU may write to, as /seg6/qemu
#
# Prints what CMD prints. Exit status: that of CMD, 124 after a timeout, 125 if the guest ended without
# one (a panic, for example: see the console file).
set -euo pipefail
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

bootable=$boot/$(basename "$image")
slowness=6 memory=3G
[ "$CONFIG" != base ] || slowness=1 memory=1G
: "${VM_CONSOLE:=$logs/console-$(basename "$build").log}" "${VM_CPUS:=2}" "${VM_MEMORY:=$memory}"
timeout=$((${VM_TIMEOUT:-1800} * slowness)) quiet_time=$((${VM_QUIET:-100} * slowness))

(find_for_guests) || exit
check_guest
mkdir -p "$(dirname "$VM_CONSOLE")"
: >"$VM_CONSOLE"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# KVM can be present, open and still hang the guest, so it is used only after a boot with it has worked.
# The verdict holds until the host reboots.
find_accelerator() {
	local verdict=$cache/kvm boot_id
	[ -w /dev/kvm ] || { echo tcg; return; }
	boot_id=$(cat /proc/sys/kernel/random/boot_id)
	if ! grep -qs "^$boot_id " "$verdict"; then
		if VM_ACCEL=kvm CMD=true VM_TIMEOUT=20 VM_CONSOLE=$logs/console-kvm.log "$0" >/dev/null 2>&1; then
			echo "$boot_id kvm" >"$verdict"
		else
			echo "$boot_id tcg" >"$verdict"
		fi
	fi
	sed -n "s/^$boot_id //p" "$verdict"
}
kernel=/seg6/build/$(basename "$bootable")
binds=(--dir /seg6/build --ro-bind "$bootable" "$kernel"
	--ro-bind "$boot/modules" /usr/lib/modules
	--ro-bind "$tools/guest.sh" /seg6/guest.sh --ro-bind "$work" /seg6/work --bind "$(realpath "$DIR")" /seg6/host
	--ro-bind "$pristine/tools/testing/selftests" /seg6/selftests
	--chdir /tmp)
[ -z "${VM_OUTPUT:-}" ] || binds+=(--ro-bind "$VM_OUTPUT" /seg6/output)

# $machine is the command line of the guest. The kernel's console is standard error, the command's output standard
# output. A guest on a busy host may fail the kernel's test of its timer.
qemu() {
	[ -z "${ICOUNT:-}" ] || VM_ACCEL=tcg VM_CPUS=1
	: "${VM_ACCEL:=$(find_accelerator)}"
	machine=(vng --run "$kernel" --disable-microvm --force-9p --user root --cwd / --rwdir=/mnt/host=/seg6/host
		--cpus "$VM_CPUS" --memory "$VM_MEMORY"
		--append "root=/dev/root log_buf_len=8M no_timer_check ${VM_APPEND:-}")
	binds+=(--ro-bind "$tools/guest-udev.sh" /usr/bin/udevadm)
	case $VM_ACCEL in
	kvm) binds+=(--dev-bind /dev/kvm /dev/kvm) ;;
	*) machine+=(--disable-kvm) ;;
	esac
	local options=${ICOUNT:+-icount shift=0,sleep=off }${VM_QEMU_OPTS:-}
	[ -z "$options" ] || machine+=("--qemu-opts=$options")
	[ -z "${VM_QEMU_DIR:-}" ] || binds+=(--bind "$VM_QEMU_DIR" /seg6/qemu)
	if [ -n "${CMD:-}" ]; then
		machine+=(--verbose --exec 'bash /seg6/guest.sh /seg6/work/cmd 2>&1')
	else
		machine+=(--rwdir=/seg6/work)
		# legacy.conf: systemd-tmpfiles complains of it
		binds+=(--ro-bind /dev/null /usr/lib/tmpfiles.d/legacy.conf
			--ro-bind "$tools/guest-bashrc.sh" /root/.bashrc --bind "$work" /seg6/work)
	fi
}

# It has one CPU, as it has to trace the processes in the guest: the alternative, seccomp, does not work on all hosts.
# Its own exit status says nothing; the guest leaves that of the command in a file.
uml() {
	local console=null,fd:2 serial=null,fd:1
	binds+=(--ro-bind "$tools/uml-init.sh" /seg6/uml-init.sh --bind "$work" /seg6/work)
	[ -n "${CMD:-}" ] || console=null,null serial=fd:0,fd:1
	# shellcheck disable=SC2016,SC2206 # expanded in the sandbox; parameters are words
	machine=(sh -c '"$@"; exit "$(cat /seg6/work/status || echo 255)"' uml
		"$kernel" "mem=$VM_MEMORY" rootfstype=hostfs rootflags=/ rw
		init=/seg6/uml-init.sh con=null "con0=$console" ssl=null "ssl0=$serial" ${VM_APPEND:-})
}

[ -z "${ICOUNT:-}" ] || [[ $CONFIG != uml* ]] || die "User Mode Linux does not count instructions: use another CONFIG"
# What a terminal on a serial line does not know by itself, and where one is.
shell() {
	local size
	size=$(stty size)
	cat <<-END
		export TERM=${TERM:-dumb} EDITOR=nano PAGER=less
		stty rows ${size% *} cols ${size#* }
		clear
		echo "Linux $IMPL $CONFIG, as root. Here, in /mnt/host, is $(realpath "$DIR") of the host, writable."
		echo "'exit' or Ctrl-D ends the guest, with the status of the shell."
		exec bash
	END
}

command=${CMD:-}
[ -n "$command" ] || command=$(shell)
printf '%s\n' "export SEG6_IMPL=$IMPL SEG6_CONFIG=$CONFIG SEG6_OUTPUT=/seg6/output SEG6_SLOWNESS=$slowness" \
	"$command" >"$work/cmd"
if [[ $CONFIG == uml* ]]; then uml; else qemu; fi

if [ -z "${CMD:-}" ]; then
	sandbox "${machine[@]}" || true
	exit "$(cat "$work/status" 2>/dev/null || echo 125)"
fi

# Starts the guest as $guest. Its standard output is a pipe, because QEMU opens it again by name and would truncate
# a file.
start() {
	exec_sandbox timeout --foreground --kill-after=5 "$timeout" "${machine[@]}" \
		</dev/null >"$work/out" 2>>"$VM_CONSOLE" &
	guest=$!
	cat "$work/out" &
}

# Whether the guest has begun with the command, or ended, before it fell silent: on a busy host a boot may hang.
has_booted() {
	local quiet=0 size=0 now
	while ((quiet++ < quiet_time)); do
		! grep -qs 'seg6: the guest is up' "$VM_CONSOLE" || return 0
		kill -0 "$guest" 2>/dev/null || return 0
		sleep 1
		now=$(stat -c %s "$VM_CONSOLE")
		[ "$now" = "$size" ] || quiet=0
		size=$now
	done
	return 1
}

mkfifo "$work/out"
trap 'kill "$guest" 2>/dev/null || true; rm -rf "$work"' EXIT
start
for attempt in 2 3; do
	! has_booted || break
	echo "note: the guest was silent in boot for $quiet_time s and is started again ($attempt of 3)" >&2
	kill "$guest"
	wait || true
	start
done
status=0
wait "$guest" || status=$?
wait
case $status in
124 | 137) die "the guest was ended after $timeout seconds; console: $VM_CONSOLE" ;;
255) echo "error: the guest ended without a status (panic?); console: $VM_CONSOLE" >&2; exit 125 ;;
esac
exit "$status"
