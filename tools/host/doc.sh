#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes the rustdoc of the kernel crate, our abstractions among it.
set -euo pipefail
export IMPL=rust
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

"$tools/kernel.sh"
lock build
"$tools/tree.py" "$pristine" "$tree"
step "rustdoc" rustdoc.log 0 kmake rustdoc
echo "$build/Documentation/output/rust/rustdoc/kernel/index.html"
