# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Long steps: progress while they run; warnings in our files in the end; errors and the log when they fail.

elapsed() { # since
	printf '%d:%02d' $(((SECONDS - $1) / 60)) $(((SECONDS - $1) % 60))
}

# How far a step is: the objects that it has made out of those that it was expected to make, as long as these are
# enough; or, if none were, the last thing that it said.
progress() { # log expected
	local made
	if [ "$2" -gt 0 ]; then
		made=$(grep -cE '^  [A-Z]+ .*\.o$' "$1" || true)
		[ "$made" -gt "$2" ] && echo "$made objects" || echo "$made of about $2 objects"
	else
		tail -n 1 "$1" | cut -c 1-60
	fi
}

# Runs a command with its output in a log. A line appears when it starts, every half minute (on a terminal
# every second, in place), and when it ends.
step() { # title log expected-objects command...
	local title=$1 log=$logs/$2 expected=$3 start=$SECONDS pid status=0 i
	shift 3
	mkdir -p "$logs"
	echo "$title ..." >&2
	set -m  # a process group of its own, which can be ended as a whole
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	set +m
	# shellcheck disable=SC2064 # this process
	trap "kill -- -$pid 2>/dev/null || true" EXIT
	for ((i = 1; ; i++)); do
		sleep 1
		kill -0 "$pid" 2>/dev/null || break
		if [ -t 2 ]; then
			printf '\r\033[K%s: %s, %s' "$title" "$(elapsed "$start")" "$(progress "$log" "$expected")" >&2
		elif ((i % 30 == 0)); then
			echo "$title: $(elapsed "$start"), $(progress "$log" "$expected")" >&2
		fi
	done
	[ ! -t 2 ] || printf '\r\033[K' >&2
	wait "$pid" || status=$?
	trap - EXIT
	if [ "$status" != 0 ]; then
		"$tools/diagnostics.py" errors "$log" "$tree" >&2
		die "$title failed after $(elapsed "$start"), status $status" "log: $log"
	fi
	"$tools/diagnostics.py" warnings "$log" "$tree" >&2
	echo "$title: done in $(elapsed "$start")" >&2
}
