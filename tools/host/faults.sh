#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the kernel that IMPL and CONFIG name, then lets what SIDs use come and go in it: see faults.py.
set -euo pipefail
"$(dirname "$0")/kernel.sh"
"$(dirname "$0")/programs.sh" tools/testing/selftests/net/seg6_local selftests
exec "$(dirname "$0")/faults.py"
