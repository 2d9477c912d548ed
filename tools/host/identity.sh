#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The kernel of IMPL=c is mainline's: with IPV6_SEG6_LOCAL_RUST=n the compiler makes the same code as from the
# unpatched source. Compiles the files that the patches touch from the pristine tree, with the very command of
# that build, and compares the disassembly with all relocations. Prints TAP.
#
# The patches in patches/fixes change what C does, for every kernel that has them; IMPL=c is built without.
set -euo pipefail
# shellcheck source=tools/host/lib.sh
. "$(dirname "$0")/lib.sh"

hold_builds c
use_build c
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
binds=(--ro-bind "$pristine" /seg6/src --ro-bind "$build" /seg6/build --bind "$out" /seg6/out)

# shellcheck disable=SC2016 # for the shell in the sandbox
compare='
	object=$1 base=$(basename "$1" .o) directory=$(dirname "$1")
	command=$(sed -n "s/^savedcmd_[^ ]* := //p" "$directory/.$base.o.cmd")
	command=${command//"$directory/.$base.o.d"//seg6/out/depends}
	eval "${command//"$object"//seg6/out/$base.o}"
	cp "$object" "/seg6/out/$base.patched.o"
	disassemble() {
		"llvm-objdump-$llvm_version" --disassemble --reloc --no-show-raw-insn "/seg6/out/$1.o" | tail -n +3
	}
	disassemble "$base" >"/seg6/out/$base.upstream"
	disassemble "$base.patched" >"/seg6/out/$base.patched"
	wc -l <"/seg6/out/$base.upstream"
	cmp "/seg6/out/$base.upstream" "/seg6/out/$base.patched"
'

number=0
# Not addrconf.o, whose messages tell numbers of lines.
objects=(net/ipv6/{seg6_local,seg6_iptunnel,ip6_fib,fib6_rules,route,ndisc}.o net/core/{dev,filter}.o)
echo "1..${#objects[@]}"
for object in "${objects[@]}"; do
	number=$((number + 1))
	if lines=$(sandbox --chdir /seg6/build --setenv llvm_version "$llvm_version" \
		bash -euc "$compare" compare "$object"); then
		echo "ok $number $object is what the unpatched source gives ($lines lines of disassembly)"
	else
		echo "not ok $number $object is what the unpatched source gives"
	fi
done
