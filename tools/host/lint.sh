#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Checks the style of everything that is ours, in a build directory of its own, and the stack that it uses; counts
# unsafe blocks. The kernel with the C implementation, to compare with, has to be there.
set -euo pipefail
export IMPL=rust CONFIG=base
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

"$tools/kernel.sh"
take_tree
use_build lint
fork_build_dir
configure
cd "$repo"
failed=0

# Runs a check with its output in a log; shows the log if the check fails.
check() { # name command...
	local log=$logs/lint-$1.log
	if "${@:2}" >"$log" 2>&1; then
		echo "ok      $1"
	else
		echo "FAILED  $1"
		cat "$log"
		echo "log: $log"
		failed=1
	fi
}

files() { # pattern...
	git -c safe.directory='*' ls-files -co --exclude-standard -- "$@"
}

# Builds with warnings; only those in our files count. What is built again is removed first, because a
# warning is printed only once.
warnings() { # objects-to-remove... -- make arguments
	local objects=() found=warnings
	while [ "$1" != -- ]; do objects+=("$build/$1"); shift; done
	shift
	rm -f "${objects[@]}"
	kmake "$@" >"$logs/lint-make.log" 2>&1 || found=errors
	"$tools/diagnostics.py" "$found" "$logs/lint-make.log" "$tree" | tee "$logs/lint-found.log"
	[ "$found" = warnings ] && [ ! -s "$logs/lint-found.log" ]
}

in_tree() {
	binds=(--ro-bind "$tree" /seg6/src --ro-bind "$repo" /seg6/repo --chdir /seg6/src)
	sandbox "$@"
}

# No Signed-off-by here: whoever submits the series adds it.
checkpatch() {
	local sources status=0
	local args=(perl scripts/checkpatch.pl --strict --terse --no-summary --max-line-length=100
		--ignore 'MISSING_SIGN_OFF,FILE_PATH_CHANGES')
	mapfile -t sources < <(files '*.c' '*.h' ':!tools/host')
	in_tree "${args[@]}" --file "${sources[@]}" || status=1
	mapfile -t sources < <(files 'patches/*.patch')
	in_tree "${args[@]}" "${sources[@]/#//seg6/repo/}" || status=1
	return "$status"
}

shell_scripts() {
	local scripts
	mapfile -t scripts < <(files '*.sh' .ci/run)
	binds=(--ro-bind "$repo" /seg6/repo --chdir /seg6/repo)
	sandbox shellcheck "${scripts[@]}"
}

python_files() {
	local scripts
	mapfile -t scripts < <(files '*.py')
	python3 -c 'import sys; [compile(open(name).read(), name, "exec") for name in sys.argv[1:]]' "${scripts[@]}"
}

# They are no part of the kernel tree.
fuzzers() {
	binds=(--ro-bind "$repo" /seg6/repo --chdir /seg6/repo)
	sandbox sh -euxc '
		set -- --edition 2021 -D warnings -D clippy::all --out-dir /tmp
		rustfmt --edition 2021 --check tools/fuzz/lib.rs tools/fuzz/main.rs
		clippy-driver "$@" -D missing_docs --crate-name parsers --crate-type rlib tools/fuzz/lib.rs
		clippy-driver "$@" --emit metadata --extern parsers=/tmp/libparsers.rlib tools/fuzz/main.rs'
}

# What the compiler may call for arithmetic of 128 bits panics in the kernel.
wide_arithmetic() {
	binds=(--ro-bind "$build" /seg6/build)
	! sandbox "llvm-nm-$llvm_version" --undefined-only "/seg6/build/$leaf/seg6_local.o" | grep -E '__[a-z]+ti3'
}

unsafe_blocks() { # area file...
	printf '%4d  %s\n' "$(cat "${@:2}" /dev/null | grep -vE '^ *//' | grep -cE 'unsafe \{')" "$1"
}

leaf=net/ipv6/seg6_local
check rustfmt kmake rustfmtcheck
check compilers warnings rust/kernel.o "$leaf/seg6_local.o" net/core/lwt_seg6local.o -- \
	CLIPPY=1 W=1 "$leaf/" net/core/lwt_seg6local.o
check checkpatch checkpatch
check shellcheck shell_scripts
check fuzzers fuzzers
check python python_files
check arithmetic wide_arithmetic
check stack "$tools/stack.sh"
[ "$failed" = 1 ] || cat "$logs/lint-stack.log"

echo "unsafe blocks:"
mapfile -t rust < <(files 'rust/*.rs')
mapfile -t other < <(files "$leaf/*.rs" | grep -v -x -e "$leaf/ffi.rs" -e "$leaf/bpf.rs" -e "$leaf/bpf/edit.rs")
unsafe_blocks rust/kernel "${rust[@]}"
unsafe_blocks "$leaf/ffi.rs" "$leaf/ffi.rs"
unsafe_blocks "$leaf/bpf.rs" "$leaf/bpf.rs" "$leaf/bpf/edit.rs"
unsafe_blocks "$leaf, other files" "${other[@]}"
exit "$failed"
