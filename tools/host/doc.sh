#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes the rustdoc of the kernel crate, our abstractions among it, and the manual, as a part of the kernel's networking
# documentation. A warning of Sphinx in a document of ours is an error.
set -euo pipefail
export IMPL=rust
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

"$tools/kernel.sh"
take_tree
output=$build/Documentation/output
manual=$output/networking/seg6local-rust.html

make_manual() {
	kmake_binds
	sandbox make -C /seg6/src htmldocs SPHINXDIRS=networking BUILDDIR=/seg6/build/Documentation/output
}

step "rustdoc" rustdoc.log 0 kmake rustdoc
step "manual" manual.log 0 make_manual
if grep -E 'seg6local-rust.*(WARNING|ERROR)' "$logs/manual.log" >&2; then
	rm -rf "$output/.doctrees"  # Sphinx warns only when it reads a document
	die "Sphinx warns of our documents" "log: $logs/manual.log"
fi
[ -f "$manual" ] || die "Sphinx did not make $manual" "log: $logs/manual.log"
printf '%s\n' "$output/rust/rustdoc/kernel/index.html" "$manual"
