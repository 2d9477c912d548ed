#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the kernel that IMPL and CONFIG name, then runs CMD or a shell in it: see vm.sh.
set -euo pipefail
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"
check_guest
"$tools/kernel.sh"
exec "$tools/vm.sh"
