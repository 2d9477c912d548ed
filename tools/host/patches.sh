#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Exports the work as a series for `git am` on a kernel tree: first our own files, which nothing uses yet,
# then patches/. The author is whoever git says runs this.
set -euo pipefail
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

out=$cache/patches
author=$(git var GIT_AUTHOR_IDENT | sed 's/>.*/>/')
mapfile -t series < <(sed -e '/^#/d' -e '/^ *$/d' "$repo/patches/series")
number=0

# Writes standard input, a subject line and all that follows, as the next mail of the series.
mail() { # name
	number=$((number + 1))
	{
		printf 'From %040d Mon Sep 17 00:00:00 2001\nFrom: %s\n' 0 "$author"
		sed "1s|^Subject: |&[PATCH $number/$((${#series[@]} + 1))] |"
	} >"$out/$(printf '%04d' "$number")-$1.patch"
}

overlay() {
	printf 'Subject: net: ipv6: seg6_local: add the Rust implementation\n\n'
	printf 'The module, the abstractions that it needs, the shim for the BPF verifier,\n'
	printf 'samples, tests and documentation. The next patches connect them.\n---\n'
	"$tools/tree.py" --list | while read -r name; do
		git diff --no-index --binary /dev/null "$name" || true
	done
}

cd "$repo"
rm -rf "$out"
mkdir -p "$out"
mail add-the-rust-implementation < <(overlay)
for name in "${series[@]}"; do
	mail "$(sed -E 's/^[0-9]+-//; s/\.patch$//' <<<"$name")" <"patches/$name"
done
echo "$out"
