#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the kernel that IMPL and CONFIG name and the tests' programs, then fuzzes it: see fuzz.py. A reproducer (REPRO)
# names the kernel that has failed, where IMPL and CONFIG do not name another.
set -euo pipefail
impl=${IMPL:-} config=${CONFIG:-}
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"
check_number SEED COUNT
if [ -n "${REPRO:-}" ]; then
	[ -f "$REPRO" ] || die "REPRO=$REPRO is not a file"
	read -r IMPL CONFIG < <(python3 -c 'import json, sys
made = json.load(open(sys.argv[3]))
print(sys.argv[1] or made["impl"], sys.argv[2] or made["config"])' "$impl" "$config" "$REPRO" 2>/dev/null) ||
		die "REPRO=$REPRO is not a reproducer of make fuzz"
fi
export IMPL CONFIG
"$tools/kernel.sh"
"$tools/programs.sh" tools/testing/selftests/net/seg6_local selftests
exec "$tools/fuzz.py"
