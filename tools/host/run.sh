#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs a command as one run: run.sh COMMAND... Each script that uses the cache starts itself with it, if it is not part
# of a run already.
#
# Runs at the same time, of one checkout or of several that share the cache, do not mix:
#
# - A build holds the lock `build` from where it brings the source tree to that of its checkout to where it has copied
#   what guests boot, image and modules, to the run's own folder. Guests use this copy, so that another run may build
#   while they live.
# - The run's folder $SEG6_RUN holds its logs and the programs of the tests, too. The folder of a run that is alone is
#   the cache itself; a run that finds it taken gets $cache/run-2, and so on. Folders are used again: what is in them
#   stays until then. A folder is taken as long as a process of the run lives, as its processes inherit the lock.
set -euo pipefail
cache=$("$(dirname "$0")/cache.sh")
mkdir -p "$cache/lock"
number=1 folder=$cache
while exec {fd}>"$cache/lock/run-$number" && ! flock --nonblock "$fd"; do
	exec {fd}>&-
	number=$((number + 1))
	folder=$cache/run-$number
done
[ "$number" = 1 ] || echo "note: another run uses this cache: logs are in $folder/log" >&2
rm -rf "${folder:?}/boot"
mkdir -p "$folder/log"
export SEG6_RUN=$folder
exec "$@"
