#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds what the tests need, then runs them: test.sh [quick|all|upstream], see test.py.
set -euo pipefail
impls=${IMPL:-rust rust-builtin c}
for impl in $impls; do
	IMPL=$impl "$(dirname "$0")/kernel.sh"
done
"$(dirname "$0")/programs.sh" tools/testing/selftests/net/seg6_local selftests
"$(dirname "$0")/clients.sh"
exec "$(dirname "$0")/test.py" "$@"
