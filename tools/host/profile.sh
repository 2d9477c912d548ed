#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the C and the Rust kernel, has QEMU count how often each instruction of them is executed in rows of
# `make bench`, and prints where the instructions of a packet go: see profile.py. Input, from the environment:
#
#   ROW     pattern of the names of rows (default: End; End.BPF, nothing; End.DT6 table)
#   RST     not empty: the tables are for the documentation
#   INLINE  not empty: shows also which inlined functions and which lines the instructions are from
set -euo pipefail
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

[ "$CONFIG" = base ] || die "CONFIG=$CONFIG: the figures are those of CONFIG=base"
rows=(End 'End.BPF, nothing' 'End.DT6 table')
[ -z "${ROW:-}" ] || rows=("$ROW")
for impl in c rust; do
	IMPL=$impl "$tools/kernel.sh" >&2
done
"$tools/programs.sh" tools/testing/selftests/net/seg6_local selftests >&2

lock profile
results=$cache/profile c=$(build_dir c "$CONFIG") rust=$(build_dir rust "$CONFIG")
mkdir -p "$results"/{c,rust}
binds=(--ro-bind "$tools" /seg6/tools --bind "$results" /seg6/results)
step "plugin for QEMU" profile-plugin.log 0 \
	sandbox gcc -O2 -Wall -shared -fPIC -o /seg6/results/plugin.so /seg6/tools/profile_plugin.c

# Runs the rows in one of the kernels. QEMU writes what it has counted into a folder of the results.
measure() { # impl build
	local folder=$results/$1 start
	cp "$2/System.map" "$results/plugin.so" "$folder"
	start=$(sed -n 's/ T bpf_prog_test_run_xdp$//p' "$folder/System.map")
	IMPL=$1 ICOUNT=1 VM_OUTPUT=$run/selftests VM_CONSOLE=$logs/profile-$1.log VM_QEMU_DIR=$folder \
		VM_QEMU_OPTS="-plugin file=/seg6/qemu/plugin.so,start=$start,output=/seg6/qemu/counts" \
		CMD="/mnt/host/tools/testing/selftests/net/seg6_local/profile_rows.py $(printf '%q ' "${rows[@]}")" \
		exec "$tools/vm.sh" >"$folder/output"
}

trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
measure c "$c" &
pids=($!)
measure rust "$rust" &
pids+=($!)
for pid in "${pids[@]}"; do
	wait "$pid" || die "a row failed: $(grep -h '^error' "$results"/{c,rust}/output || echo "see $results")"
done
hold_builds c rust
binds+=(--ro-bind "$c" /seg6/build/c --ro-bind "$rust" /seg6/build/rust --setenv llvm_version "$llvm_version"
	--setenv RST "${RST:-}" --setenv INLINE "${INLINE:-}")
sandbox python3 -B /seg6/tools/profile.py /seg6/results /seg6/build "${rows[@]}"
