#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds what the tests need, then runs them: test.sh [quick|all|upstream], see test.py.
set -euo pipefail
impls=${IMPL:-rust rust-builtin c}
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"
"$tools/test.py" --check "$@"
# shellcheck disable=SC2086 # one word per implementation
check_space $impls
for impl in $impls; do
	IMPL=$impl "$tools/kernel.sh"
done
"$tools/programs.sh" tools/testing/selftests/net/seg6_local selftests
"$tools/clients.sh"
exec "$tools/test.py" "$@"
