#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the kernel that IMPL and CONFIG name, then lets what SIDs use come and go in it: see faults.py.
set -euo pipefail
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"
check_number SEG6_SECONDS
"$tools/kernel.sh"
"$tools/programs.sh" tools/testing/selftests/net/seg6_local selftests
exec "$tools/faults.py"
