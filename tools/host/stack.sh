#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Measures the stack that packets take, in the objects of the kernels that were built: see stack.py. Its options are
# those of stack.py; STACK_BUILD is the build directory of the Rust implementation, if it is another one.
set -euo pipefail
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

[ "$(uname -m)" = x86_64 ] || { echo "not measured on $(uname -m)"; exit 0; }
c=$(build_dir c "$CONFIG") rust=${STACK_BUILD:-$(build_dir rust "$CONFIG")}
[ -f "$c/$image" ] || die "there is no $c/$image: run 'make kernel IMPL=c'"
[ -f "$rust/net/ipv6/seg6_local/seg6_local.o" ] || die "there is no module in $rust: run 'make kernel IMPL=rust'"
binds=(--ro-bind "$tools" /seg6/tools --ro-bind "$c" /seg6/c --ro-bind "$rust" /seg6/rust)
sandbox --setenv llvm_version "$llvm_version" python3 -B /seg6/tools/stack.py "$@" /seg6/c /seg6/rust
