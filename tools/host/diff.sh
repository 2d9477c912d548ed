#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the two kernels that IMPL names, then compares them: see diff.py.
set -euo pipefail
export IMPL=${IMPL:-c rust}
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"
check_number COUNT
for impl in $IMPL; do
	IMPL=$impl "$tools/kernel.sh"
done
exec "$tools/diff.py"
