#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the two kernels that IMPL names, then compares them: see diff.py.
set -euo pipefail
export IMPL=${IMPL:-c rust}
for impl in $IMPL; do
	IMPL=$impl "$(dirname "$0")/kernel.sh"
done
exec "$(dirname "$0")/diff.py"
