#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The demonstration: builds what is missing, then runs samples/bpf/seg6local/demo.py in a guest.
set -euo pipefail
export IMPL=rust
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

"$tools/kernel.sh"
"$tools/programs.sh" samples/bpf/seg6local demo
export VM_OUTPUT=$run/demo
CMD=samples/bpf/seg6local/demo.py DIR=$repo exec "$tools/vm.sh"
