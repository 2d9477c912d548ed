#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the kernel with the Rust implementation in the image, then runs its KUnit suites: see kunit.py.
set -euo pipefail
export IMPL=rust-builtin
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"
"$tools/kernel.sh"
exec "$tools/kunit.py"
