# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# The versions that everything else is built with: the only place where they are written down.

: "${KERNEL_SERIES:=7.3}"          # patches/ applies to 7.3 and to 7.2
kernel_tested_7_3=7.3.4
kernel_tested_7_2=7.2.12
debian_suite=trixie                # of the toolchain root; the kernel source is in its backports
llvm_version=19                    # clang and rustc of that suite share it, as inline helpers need
