# SPDX-License-Identifier: GPL-2.0-or-later
# The front door. `make` prints what it can do; the work is done in tools/host.

host := tools/host

# As it was typed: a $ in CMD belongs to the guest's shell.
override CMD := $(value CMD)
export CMD

define help
make demo                     build what is missing, then show End.BPF at work in a virtual machine
make test [T=name] [IMPL=..]  build what is missing, then run the tests, or one
make test-all                 the same with all of upstream's selftests on each implementation
make test-upstream            only upstream's selftests, as they are in the kernel tree

make vm [CMD='..'] [DIR=path] boot the kernel and run CMD as root, or an interactive shell;
                              DIR (default: this folder) is writable there at /mnt/host; ICOUNT=1: with one CPU
                              and a clock that counts instructions, one as a nanosecond
make kernel                   build the kernel and its modules
make module                   build only seg6_local.ko, of a kernel that was built
make diff [SEED=n] [COUNT=n]  send the same random packets through random SIDs on C and on Rust, and compare;
                              CASE=n shows one case in full
make fuzz [KIND=k] [SEED=n]   broken packets, hostile programs and netlink messages; KIND is packets, programs
          [COUNT=n]           or netlink; GUIDED=1 lets coverage guide it (CONFIG=uml); with REPRO=file do again
                              what has failed
make fuzz-host [REPRO=file]   fuzz the parsers without a kernel, SEED=n COUNT=n; or replay one case
make faults [SECONDS=600]     let SIDs and what they use come and go under traffic; with another CONFIG than base
                              allocations of memory fail meanwhile
make churn [SEED=n] [COUNT=n] change routes, rules, links and more under traffic, and compare where packets of SIDs go
           [EPISODE=n]        with where the stack sends them, on C and on Rust; CONFIG=uml: under KASAN
make bench [ROW='End*']       what a packet costs in C and in Rust: a table of instructions, with NATIVE=1 one of
           [JSON=1]           the time in User Mode Linux, too; JSON=1 prints only JSON, CHART=path draws the ratios
                              as SVG, ACCEPT=1 makes those of the short rows the ones that `make test` accepts
make profile [ROW='End*']     where the instructions of a packet go, by function, C beside Rust; INLINE=1 shows the
             [INLINE=1]       lines of the source, too, and RST=1 prints tables for the documentation
make check-commands [T='..']  run these commands the way a person would, with builds, twice in a row, two at once,
                              interrupted; T: names or patterns of some; those that need no build are in `make test`
make kunit                    run the KUnit suites and the Rust doctests
make lint                     rustfmt, clippy, W=1, checkpatch, shellcheck, stack; counts unsafe blocks
make doc                      rustdoc of the kernel crate with our abstractions, and the manual with Sphinx
make patches                  export the work as a series for git am
make clean                    remove what was built; make distclean also the toolchain and the source

IMPL=rust|rust-builtin|c      which implementation: Rust module, Rust in the image, mainline's C
CONFIG=base|debug|debug-rt    debug: with KASAN, UBSAN, lockdep, kmemleak; debug-rt: and with PREEMPT_RT;
       |uml|uml-bench         uml: User Mode Linux with KASAN and UBSAN, for fuzzing; uml-bench: without them
KERNEL_SERIES=7.3|7.2         which kernel; KERNEL_SRC=path takes your own tree instead
SEG6_CACHE=path               where all this is kept (default: ~/.cache/seg6local)
endef

help:
	$(info $(help))
	@:

demo:
	@$(host)/demo.sh

test:
	@$(host)/test.sh

test-all test-upstream:
	@$(host)/test.sh $(@:test-%=%)

kernel:
	@$(host)/kernel.sh

module:
	@$(host)/kernel.sh module

vm:
	@$(host)/boot.sh

diff:
	@$(host)/diff.sh

faults:
	@SEG6_SECONDS=$(or $(SECONDS),600) $(host)/faults.sh

bench:
	@$(host)/bench.sh

profile:
	@$(host)/profile.sh

churn:
	@$(host)/churn.sh

check-commands:
	@$(host)/commands.py all

kunit:
	@$(host)/kunit.sh

lint doc patches fuzz fuzz-host:
	@$(host)/$@.sh

clean distclean:
	@$(host)/clean.sh $@

.PHONY: help demo test test-all test-upstream kernel module vm diff faults churn kunit lint doc patches fuzz fuzz-host
.PHONY: bench profile check-commands clean distclean
