# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Paths and functions that the host scripts share. Source it; it runs nothing but, outside of a run, the script again
# as one (see run.sh).

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$tools/../.." && pwd)
[ -n "${SEG6_RUN:-}" ] || exec "$tools/run.sh" "$tools/$(basename "$0")" "$@"
# shellcheck source=tools/host/versions.sh
. "$tools/versions.sh"

: "${CONFIG:=base}"
case $CONFIG in
uml*) : "${IMPL:=rust-builtin}" ;;
*) : "${IMPL:=rust}" ;;
esac
cache=${SEG6_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/seg6local}
root=$cache/root                          # toolchain root, also the guest's root file system
root_stamp=$root/etc/seg6local-packages   # its packages
run=$SEG6_RUN                             # folder of this run
logs=$run/log
variant=$KERNEL_SERIES
pristine=$cache/src-$variant              # kernel source as it came
if [ -n "${KERNEL_SRC:-}" ]; then
	pristine=$(realpath "$KERNEL_SRC")
	variant=own-$(cksum <<<"$pristine" | cut -d' ' -f1)
fi
patched=$cache/tree-$variant              # with patches and overlay
tree=$patched
[ "$IMPL" != c ] || tree=$cache/tree-mainline-$variant # without patches/fixes: C is that of mainline

# Directory of one kernel build.
build_dir() { # impl config
	echo "$cache/build/$1-$2-$variant"
}

die() {
	printf 'error: %s\n' "$@" >&2
	exit 1
}

# Holds the lock of that name until the script ends.
lock() { # name
	local fd
	mkdir -p "$cache/lock"
	exec {fd}>"$cache/lock/$1"
	flock --timeout 10 "$fd" && return  # guests that start at once hold it for moments
	echo "waiting for another run that holds $cache/lock/$1" >&2
	flock "$fd"
}

# Runs a command in the toolchain root, which is read-only there. Everything that is ours appears below
# /seg6; $binds holds more options for bubblewrap. Nothing in it survives the end of the caller.
binds=()
sandbox() {
	(exec_sandbox "$@")
}

# The same in place of the present shell: an element of a pipeline, for example.
exec_sandbox() {
	local user=()
	[ "$EUID" = 0 ] || user=(--unshare-user --uid 0 --gid 0)
	mkdir -p "$root/seg6" "$root/mnt/host" "$root/usr/lib/modules"
	exec bwrap "${user[@]}" --die-with-parent --unshare-pid --unshare-ipc --unshare-uts --clearenv \
		--setenv PATH /usr/sbin:/usr/bin:/sbin:/bin --setenv HOME /tmp --setenv LANG C.UTF-8 \
		--setenv TERM "${TERM:-dumb}" \
		--ro-bind "$root" / --dev /dev --proc /proc --tmpfs /tmp --tmpfs /seg6 "${binds[@]}" "$@"
}

# Downloads a package of another suite, from the mirror that the root was made from, and runs commands in the sandbox
# in the directory of the .deb, where /seg6/out is a directory of the host. apt checks the signature.
from_suite() { # suite package directory commands [apt option...]
	binds=(--ro-bind /etc/resolv.conf /etc/resolv.conf --bind "$3" /seg6/out --setenv main " $debian_suite main"
		--setenv suite "$1" --setenv package "$2" --setenv commands "$4")
	# shellcheck disable=SC2016 # for the shell in the sandbox
	sandbox sh -ec '
		sed -n "s|^\(deb .*\)$main\$|\1 $suite main|p" /etc/apt/sources.list | sort -u >/tmp/suite.list
		mkdir -p /tmp/lists/partial /tmp/archives/partial /tmp/deb
		set -- -o APT::Sandbox::User=root -o Dir::Etc::SourceList=/tmp/suite.list \
			-o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists=/tmp/lists -o Dir::Cache=/tmp \
			-o Dir::State::Status=/var/lib/dpkg/status "$@"
		cd /tmp/deb
		apt-get "$@" update
		apt-get "$@" download "$package"
		eval "$commands"' sh "${@:5}"
}

# shellcheck source=tools/host/check.sh
. "$tools/check.sh"
# shellcheck source=tools/host/step.sh
. "$tools/step.sh"
# shellcheck source=tools/host/build.sh
. "$tools/build.sh"
