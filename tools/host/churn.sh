#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the kernels that IMPL names (default: the Rust one of CONFIG and, with CONFIG=base, the C one) and the tests'
# programs, then lets the network change under packets through SIDs: see churn.py.
set -euo pipefail
both=${IMPL:+no}
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"
check_number SEED COUNT EPISODE
impls=$IMPL
[ -n "$both" ] || [ "$CONFIG" != base ] || impls="$IMPL c"
for impl in $impls; do
	IMPL=$impl "$tools/kernel.sh"
done
"$tools/programs.sh" tools/testing/selftests/net/seg6_local selftests
IMPL=$impls CONFIG=$CONFIG exec "$tools/churn.py"
