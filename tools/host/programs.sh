#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Compiles the BPF programs of a directory of the patched tree: programs.sh DIRECTORY NAME puts them into
# the folder NAME of the run's folder.
set -euo pipefail
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

take_tree
mkdir -p "$run/$2"
binds=(--ro-bind "$tree" /seg6/src --bind "$run/$2" /seg6/output)
step "BPF programs of $1" "programs-$2.log" 0 sandbox make -C "/seg6/src/$1" OUTPUT=/seg6/output all
