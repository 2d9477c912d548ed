#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Removes what the other scripts made in the cache: clean.sh clean|distclean.
set -euo pipefail
export SEG6_RUN=none
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

paths=("$cache/build" "$cache"/tree-* "$cache/boot" "$cache/selftests" "$cache/demo" "$cache/patches" "$cache/diff"
	"$cache/fuzz" "$cache/profile" "$cache/log" "$cache"/run-*)
if [ "$1" = distclean ]; then
	paths+=("$root" "$root.tmp" "$cache"/src-* "$cache/lock" "$cache/kvm" "$cache/CACHEDIR.TAG" "$cache/.gitignore"
		"$cache"/objects*)
fi
[ -f "$cache/CACHEDIR.TAG" ] || { echo "nothing to remove in $cache"; exit 0; }
for run in "$cache"/lock/run-*; do
	[ ! -e "$run" ] || flock --nonblock "$run" true || die "another run uses $cache: let it end first"
done
for path in "${paths[@]}"; do
	[ -e "$path" ] || continue
	echo "removing $path"
	rm -rf --one-file-system "$path"
done
[ "$1" = clean ] || rmdir --ignore-fail-on-non-empty "$cache" 2>/dev/null || true
