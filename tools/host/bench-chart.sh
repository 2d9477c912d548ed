#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Draws the rows of `make bench` that come as JSON on standard input; prints SVG. The toolchain root has the library.
set -euo pipefail
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

"$tools/root.sh" >&2
binds=(--ro-bind "$tools/bench_chart.py" /seg6/bench_chart.py --setenv MPLCONFIGDIR /tmp)
sandbox python3 -B /seg6/bench_chart.py
