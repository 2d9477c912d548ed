#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the kernel that IMPL and CONFIG name and the tests' programs, then fuzzes it: see fuzz.py.
set -euo pipefail
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"
export IMPL CONFIG
"$tools/kernel.sh"
"$tools/programs.sh" tools/testing/selftests/net/seg6_local selftests
exec "$tools/fuzz.py"
