#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes the cache folder and marks it as ours; `make clean` only works in a folder with that mark.
set -euo pipefail
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

if [ ! -f "$cache/CACHEDIR.TAG" ]; then
	[ ! -d "$cache" ] || rmdir "$cache" 2>/dev/null || die "SEG6_CACHE=$cache exists and holds something else"
	mkdir -p "$cache"
	cat >"$cache/CACHEDIR.TAG" <<-END
		Signature: 8a477f597d28d172789f06886806bc55
		# Made by seg6local-rust (see https://bford.info/cachedir): toolchain, kernel source and builds.
	END
fi
mkdir -p "$logs"
