#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the kernel that IMPL and CONFIG name and the tests' programs, then fuzzes it: see fuzz.py.
set -euo pipefail
export IMPL=${IMPL:-rust} CONFIG=${CONFIG:-base}
"$(dirname "$0")/kernel.sh"
"$(dirname "$0")/programs.sh" tools/testing/selftests/net/seg6_local selftests
exec "$(dirname "$0")/fuzz.py"
