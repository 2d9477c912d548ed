#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Removes what the other scripts made in the cache: clean.sh clean|distclean.
set -euo pipefail
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

paths=("$cache/build" "$cache"/tree-* "$cache/selftests" "$cache/demo" "$cache/patches" "$cache/diff" "$cache/fuzz"
	"$logs")
if [ "$1" = distclean ]; then
	paths+=("$root" "$root.tmp" "$cache"/src-* "$cache/lock" "$cache/kvm" "$cache/CACHEDIR.TAG" "$cache/objects")
fi
[ -f "$cache/CACHEDIR.TAG" ] || { echo "nothing to remove in $cache"; exit 0; }
lock build
for path in "${paths[@]}"; do
	[ -e "$path" ] || continue
	echo "removing $path"
	rm -rf --one-file-system "$path"
done
[ "$1" = clean ] || rmdir --ignore-fail-on-non-empty "$cache" 2>/dev/null || true
