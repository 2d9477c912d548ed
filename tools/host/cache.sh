#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes the cache folder and marks it as ours; `make clean` only works in a folder with that mark. Prints its path.
set -euo pipefail
export SEG6_RUN=none
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

# What cp and mkdir say tells why.
cannot() {
	die "the cache folder $cache ${1:-cannot be made}" "SEG6_CACHE=path takes another one"
}

if [ ! -f "$cache/CACHEDIR.TAG" ]; then
	mkdir -p "$cache" || cannot
	exec {fd}<"$cache"
	flock "$fd"  # another run may make it, too
fi
if [ ! -f "$cache/CACHEDIR.TAG" ]; then
	[ -z "$(find "$cache" -mindepth 1 -not -name lost+found -print -quit)" ] ||
		die "SEG6_CACHE=$cache exists and holds something else"
	cat >"$cache/CACHEDIR.TAG" <<-END || cannot "cannot be written to"
		Signature: 8a477f597d28d172789f06886806bc55
		# Made by seg6local-rust (see https://bford.info/cachedir): toolchain, kernel source and builds.
	END
fi
[ -w "$cache" ] || cannot "cannot be written to"
[ -f "$cache/.gitignore" ] || echo '*' >"$cache/.gitignore"
echo "$cache"
