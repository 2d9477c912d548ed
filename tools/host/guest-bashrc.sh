# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Stands in for root's .bashrc in a QEMU guest with an interactive shell, as virtme-ng starts one there: that runs
# guest.sh, and leaves its status where vm.sh finds it.
[ -z "${SEG6_IMPL:-}" ] || return
bash /seg6/guest.sh /seg6/work/cmd
echo $? >/seg6/work/status
exit
