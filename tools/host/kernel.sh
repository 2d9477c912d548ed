#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the kernel that IMPL and CONFIG name, with everything that it needs first. With the argument
# "module" only seg6_local.ko, if the kernel is there and nothing else has changed since it was built.
set -euo pipefail
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

check_kernel
[ "${1:-}" != module ] || [ "$IMPL" = rust ] || die "IMPL=$IMPL has no module: run 'make kernel IMPL=$IMPL'"
"$tools/host-packages.sh"
check_space "$IMPL"
"$tools/root.sh"
"$tools/source.sh"
take_tree
fork_build_dir
configure

build_all() {
	local missing=0
	[ -f "$build/vmlinux" ] || missing=$(objects_missing)
	step "kernel IMPL=$IMPL CONFIG=$CONFIG" "$(basename "$build").log" "$missing" kmake "$(basename "$image")" modules
	count_objects >"$cache/objects-$CONFIG"
	install_modules
}

build_module() {
	step "$(basename "$module")" module.log 0 kmake "$module"
	install_module
}

if is_built; then
	echo "kernel IMPL=$IMPL CONFIG=$CONFIG: up to date" >&2
else
	what=all
	[ "${1:-}" != module ] || ! is_built "$(dirname "$module")" || what=module
	rm -f "$built"
	"build_$what"
fi
echo "$repo" >"$built"
keep_for_guests
