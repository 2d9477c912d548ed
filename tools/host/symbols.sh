#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# No C implementation is in a kernel that was built with the Rust one: each function that only
# net/ipv6/seg6_local.c has in the IMPL=c kernel, and those of net/core/filter.c behind the helpers, must be
# missing from the image and the module of the others. Prints TAP.
set -euo pipefail
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

behind_helpers=(bpf_update_srh_state)

hold_builds c rust rust-builtin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Writes the sorted names of the functions in a file of a build.
functions() { # impl file list
	binds=(--ro-bind "$(build_dir "$1" "$CONFIG")" /seg6/build --chdir /seg6/build)
	sandbox "llvm-nm-$llvm_version" --defined-only --format=posix "$2" |
		awk '$2 ~ /^[tT]$/ { print $1 }' | sort >"$work/$3"
}

functions c net/ipv6/seg6_local.o c_file
functions c vmlinux c
functions rust vmlinux rust
functions rust net/ipv6/seg6_local/seg6_local.ko module
functions rust-builtin vmlinux rust-builtin
comm -12 <(uniq "$work/c_file") <(uniq -u "$work/c") | sort - <(printf '%s\n' "${behind_helpers[@]}") >"$work/c_only"

number=0
result() { # description names-that-should-not-be-there
	number=$((number + 1))
	[ -z "$2" ] || printf 'not '
	echo "ok $number $1"
	[ -z "$2" ] || echo "# $(paste -sd' ' <<<"$2")"
}

echo 1..5
result "the C kernel has these $(wc -l <"$work/c_only") functions" "$(comm -23 "$work/c_only" "$work/c")"
for list in rust module rust-builtin; do
	result "none of them is in: $list" "$(comm -12 "$work/c_only" "$work/$list")"
done
result "the module is Rust" "$(grep -q '^_R.*10seg6_local' "$work/module" || echo "no Rust symbol of the crate")"
