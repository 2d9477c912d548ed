#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the C and the Rust kernel, then counts what a packet costs in them: see bench.py.
set -euo pipefail
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

[ "$CONFIG" = base ] || die "CONFIG=$CONFIG: the figures are those of CONFIG=base"
export NATIVE=${NATIVE:-}
for impl in c rust; do
	IMPL=$impl "$tools/kernel.sh" >&2
done
if [ -n "$NATIVE" ]; then
	for impl in c rust-builtin; do
		IMPL=$impl CONFIG=uml-bench "$tools/kernel.sh" >&2
	done
fi
"$tools/programs.sh" tools/testing/selftests/net/seg6_local selftests >&2
exec "$tools/bench.py"
