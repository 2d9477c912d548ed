#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs in the guest: each test program of directory $1 that is named, between lines that mark its begin and
# end. A line of output that tells its status is "@@ end NAME STATUS SECONDS".
cd "$1" || exit
shift
for name; do
	echo "@@ begin $name"
	begin=$SECONDS
	timeout --kill-after=10 "${SEG6_TIMEOUT:-$((900 * SEG6_SLOWNESS))}" "./$name" </dev/null 2>&1
	echo "@@ end $name $? $((SECONDS - begin))"
done
