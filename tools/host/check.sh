# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Says what is wrong with a request or with the host, before the first long step.

check_choice() { # variable allowed...
	local name=$1 value=${!1} choice
	shift
	for choice; do [ "$value" != "$choice" ] || return 0; done
	die "$name=$value is not one of: $*"
}

version_of() { # tree
	sed -nE 's/^(VERSION|PATCHLEVEL|SUBLEVEL) = //p' "$1/Makefile" 2>/dev/null | paste -sd.
}

check_source() { # tree
	case $(version_of "$1") in
	7.2.* | 7.3.*) ;;
	*) die "KERNEL_SRC=$1 is not the source of Linux 7.2 or 7.3" ;;
	esac
	if [ -e "$1/.config" ] || [ -d "$1/include/config" ]; then
		die "KERNEL_SRC=$1 was built in: run 'make mrproper' there"
	fi
}

check_kernel() {
	local series=("${!kernel_tested_@}")
	series=("${series[@]#kernel_tested_}")
	check_choice IMPL rust c rust-builtin
	check_choice CONFIG base debug debug-rt uml uml-bench
	check_choice KERNEL_SERIES "${series[@]/_/.}"
	[[ "$IMPL $CONFIG" != "rust uml"* ]] ||
		die "User Mode Linux cannot load modules in Rust (R_X86_64_GOTPCREL): use IMPL=rust-builtin or c"
	[ -z "${KERNEL_SRC:-}" ] || check_source "$KERNEL_SRC"
}

check_number() { # variable...
	local name
	for name; do
		[[ ${!name:-0} =~ ^[0-9]+$ ]] || die "$name=${!name} is not a number"
	done
}

# DIR, and for an interactive shell a terminal.
check_guest() {
	[ -d "${DIR:=$repo}" ] || die "DIR=$DIR is not a directory"
	[ -n "${CMD:-}" ] || [ -t 0 ] || die "a shell needs a terminal: give CMD='command' to run one without"
}

# What bubblewrap and mmdebstrap need of a user who is not root.
check_namespaces() {
	local names said
	said=$(bwrap --unshare-user --unshare-pid --uid 0 --gid 0 --ro-bind / / true 2>&1) && names=$(id -un) &&
		grep -qs "^\($names\|$EUID\):" /etc/subuid && return
	[ -n "$said" ] || said="$names has no line in /etc/subuid"
	die "this user may not create user namespaces: $said" "run it as root, or allow user namespaces" \
		"(sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0," \
		"user.max_user_namespaces=10000; usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un))"
}

# Free space in the cache for what is not there yet: the toolchain root, the source, and a build of each kernel.
check_space() { # impl...
	local impl need=0 free
	[ -d "$root" ] || need=$((need + 3000))
	[ -d "$pristine" ] || need=$((need + 2000))
	for impl; do [ -d "$(build_dir "$impl" "$CONFIG")" ] || need=$((need + 1900)); done
	free=$(df --output=avail --block-size=MB "$cache" | tr -dc '0-9')
	((free >= need)) || die "this needs $need MB in $cache, where $free MB are free" "SEG6_CACHE=path takes another folder"
}
