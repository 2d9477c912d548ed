#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Fuzzes the parsers that need no kernel, from the files of the module, against the models in tools/fuzz: COUNT cases
# (default: 500000) for each, led by coverage, the same ones for the same SEED (default: 1). REPRO=file replays a case
# that a run has written. Prints TAP.
set -euo pipefail
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"
check_number SEED COUNT

: "${COUNT:=500000}" "${SEED:=1}" "${REPRO:=}"
out=$cache/fuzz

# With counters on each branch, which lead libFuzzer. The operands of comparisons would too, but among them are
# addresses, and no run would be like another.
flags=(--edition 2021 -D warnings -O -C debug-assertions -C overflow-checks -C panic=abort --out-dir /seg6/out
	-C codegen-units=1 -C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=4
	-C llvm-args=-sanitizer-coverage-inline-8bit-counters -C llvm-args=-sanitizer-coverage-pc-table)
link=(-C "linker=clang++-$llvm_version" -C default-linker-libraries
	-C "link-arg=/usr/lib/llvm-$llvm_version/lib/libFuzzer.a")

compile() {
	sandbox rustc --crate-type rlib --crate-name parsers "${flags[@]}" tools/fuzz/lib.rs &&
		sandbox rustc --crate-name fuzz "${flags[@]}" "${link[@]}" --extern parsers=/seg6/out/libparsers.rlib \
			tools/fuzz/main.rs
}

# Runs a parser's fuzzer with libFuzzer's arguments.
fuzz() { # parser argument...
	sandbox --setenv TARGET "$1" /seg6/out/fuzz -timeout=60 -max_len=512 -print_final_stats=1 \
		"-artifact_prefix=/seg6/out/$1-" "${@:2}" >"$logs/fuzz-$1.log" 2>&1
}

# The numbers of cases of each class.
classes() { # parser
	sed -n 's/^class: //p' "$logs/fuzz-$1.log" | paste -sd, | sed 's/,/, /g'
}

# Says in comments of TAP how a run has failed, and how to replay the case.
explain() { # parser status
	local log=$logs/fuzz-$1.log file
	echo "# status $2, log $log: $(classes "$1")"
	sed -n -e '/^thread .* panicked/,/^note:/p' -e '/^SUMMARY:/p' "$log" | sed -e '/^note:/d' -e 's/^/# /'
	file=$(sed -n 's|.*Test unit written to /seg6/out/||p' "$log")
	[ -z "$file" ] || echo "# make fuzz-host REPRO=$out/$file"
}

# Whether a run had all cases, and some of each class.
is_complete() { # parser
	grep -qx "stat::number_of_executed_units: $COUNT" "$logs/fuzz-$1.log" &&
		! grep -q '^class: 0 ' "$logs/fuzz-$1.log"
}

failed=0
run() { # number parser
	local status=0 start=$SECONDS
	fuzz "$2" "-seed=$SEED" "-runs=$COUNT" || status=$?
	if [ "$status" = 0 ] && is_complete "$2"; then
		echo "ok $1 $2: $COUNT cases of seed $SEED, $((SECONDS - start)) s: $(classes "$2")"
	else
		explain "$2" "$status"
		echo "not ok $1 $2: $COUNT cases of seed $SEED, and some of each class"
		failed=1
	fi
}

replay() {
	local parser status=0
	[ -f "$REPRO" ] || die "there is no file $REPRO"
	parser=$(basename "$REPRO")
	parser=${parser%%-*}
	binds+=(--ro-bind "$(realpath "$REPRO")" /seg6/case)
	fuzz "$parser" /seg6/case || status=$?
	[ "$status" = 0 ] || { explain "$parser" "$status"; printf 'not '; failed=1; }
	echo "ok 1 $parser: $REPRO"
}

"$tools/host-packages.sh"
"$tools/root.sh"
lock fuzz
mkdir -p "$out"
binds=(--ro-bind "$repo" /seg6/repo --bind "$out" /seg6/out --chdir /seg6/repo)
step "fuzzers of the parsers" fuzz-build.log 0 compile

if [ -n "$REPRO" ]; then
	echo 1..1
	replay
else
	parsers=("$repo"/tools/fuzz/check/*.rs)
	echo "1..${#parsers[@]}"
	for index in "${!parsers[@]}"; do
		run $((index + 1)) "$(basename "${parsers[index]}" .rs)"
	done
fi
exit "$failed"
