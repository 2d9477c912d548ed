# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Long steps: progress while they run; the log and its errors when they fail.

elapsed() { # since
	printf '%d:%02d' $(((SECONDS - $1) / 60)) $(((SECONDS - $1) % 60))
}

# Number of objects that a kernel build has made so far, by its log.
objects() { # log
	grep -cE '^  [A-Z]+' "$1" || true
}

# How far a step is: its objects out of those of the last full build, or the last thing that it said.
progress() { # log expected
	if [ "$2" -gt 0 ]; then
		echo "$(objects "$1") of about $2 objects"
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
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	# shellcheck disable=SC2064 # this process
	trap "kill $pid 2>/dev/null || true" EXIT
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
		grep -E -i -A 3 'error|undefined|\*\*\*|^E: ' "$log" | tail -n 20 >&2 || tail -n 20 "$log" >&2
		die "$title failed after $(elapsed "$start"), status $status" "log: $log"
	fi
	echo "$title: done in $(elapsed "$start")" >&2
}
