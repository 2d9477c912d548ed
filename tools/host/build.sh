# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Functions on one kernel build directory, $build. Every build directory appears at the same place in the
# sandbox, so that a copy of one is a valid start for another.

kbuild=(make -C /seg6/src O=/seg6/build "LLVM=-$llvm_version" "-j$(nproc)"
	KBUILD_BUILD_TIMESTAMP=@0 KBUILD_BUILD_USER=seg6local KBUILD_BUILD_HOST=localhost KBUILD_BUILD_VERSION=1)
image=arch/x86/boot/bzImage
if [[ $CONFIG == uml* ]]; then
	kbuild+=(ARCH=um)
	image=linux
fi

module=net/ipv6/seg6_local/seg6_local.ko

use_build() { # impl
	build=$(build_dir "$1" "$CONFIG")
	built=$build/.built                   # names the checkout of the last build, if that has succeeded
	boot=$run/boot/$(basename "$build")   # copy of what a guest boots: image and modules
}
use_build "$IMPL"

# Holds the lock `build` until the script ends, and brings the tree to that of this checkout.
take_tree() {
	lock build
	"$tools/tree.py" "$pristine" "$patched"
	[ "$tree" = "$patched" ] || "$tools/tree.py" --mainline "$pristine" "$tree" "$patched"
}

# Runs the kernel's make in $build on the patched tree.
kmake() {
	kmake_binds
	sandbox "${kbuild[@]}" "$@"
}

kmake_binds() {
	binds=(--ro-bind "$tree" /seg6/src --bind "$build" /seg6/build)
}

# A new build directory starts as a copy of the finished one that is nearest to it.
fork_build_dir() {
	local candidate config from='' impl
	[ ! -d "$build" ] || return 0
	for config in "$CONFIG" "${CONFIG%-*}" base; do
		for impl in rust c rust-builtin; do
			candidate=$(build_dir "$impl" "$config")
			[ -n "$from" ] || [ ! -f "$candidate/$image" ] || from=$candidate
		done
	done
	rm -rf "$build.tmp"
	mkdir -p "$cache/build"
	if [ -n "$from" ]; then
		cp -a --reflink=auto "$from" "$build.tmp"
		rm -rf "$build.tmp/$image" "$build.tmp/modules" "$build.tmp/.built"
	fi
	mkdir -p "$build.tmp"
	mv "$build.tmp" "$build"
}

# The fragments of this kernel, later ones win.
fragments() {
	cat "$repo/configs/base.config" "$repo/configs/$IMPL.config"
	case $CONFIG in base | uml-bench) ;; *) cat "$repo/configs/debug.config" ;; esac
	case $CONFIG in
	debug-rt | uml) cat "$repo/configs/$CONFIG.config" ;;
	uml-bench) cat "$repo/configs/uml.config" "$repo/configs/uml-bench.config" ;;
	esac
}

# Whether .config is the answer to the present fragments and Kconfig files.
configured() {
	cmp -s "$build/.fragments" "$build/.fragments.done" && [ -f "$build/.config" ] &&
		[ -z "$(grep Kconfig "$tree.manifest" | (cd "$tree" && xargs -I{} find {} -newer "$build/.config.new"))" ]
}

# Writes .config, unless it is the same, and checks that each requested symbol was taken.
configure() {
	local new=/seg6/build/.config.new
	fragments >"$build/.fragments"
	configured && return
	{
		kmake -s "KCONFIG_CONFIG=$new" allnoconfig &&
			cat "$build/.fragments" >>"$build/.config.new" &&
			kmake -s "KCONFIG_CONFIG=$new" olddefconfig
	} >"$logs/config.log" 2>&1 || die "the kernel configuration failed" "log: $logs/config.log"
	cmp -s "$build/.config.new" "$build/.config" || cp "$build/.config.new" "$build/.config"
	awk '
		FNR == NR && sub(/^# /, "") && / is not set$/ { want[$1] = "n"; next }
		FNR == NR && split($0, part, "=") == 2 && /^CONFIG_/ { want[part[1]] = part[2]; next }
		FNR == NR { next }
		split($0, part, "=") == 2 { have[part[1]] = part[2] }
		END {
			for (name in want)
				if (want[name] != (name in have ? have[name] : "n"))
					printf "%s=%s\n", name, want[name]
		}' "$build/.fragments" "$build/.config" >"$logs/config.missing"
	[ ! -s "$logs/config.missing" ] ||
		die "the kernel configuration did not take: $(paste -sd' ' "$logs/config.missing")"
	mv "$build/.fragments" "$build/.fragments.done"
}

count_objects() {
	find "$build" -name '*.o' | wc -l
}

# About how many objects a build lacks, by the last one of this CONFIG; 0 if nobody knows.
objects_missing() {
	local all=0 missing
	[ "$CONFIG" != base ] || all=1800
	all=$(cat "$cache/objects-$CONFIG" 2>/dev/null || echo "$all")
	missing=$((all - $(count_objects)))
	echo $((missing > 0 ? missing : 0))
}

# Whether the last build has succeeded and nothing that it depends on has changed since, but for what is in directories
# of the tree.
is_built() { # directory...
	local other=(-path "$tree/Documentation" -o -path "$tree/samples/bpf" -o -path "$tree/tools/testing") directory
	for directory; do other+=(-o -path "$tree/$directory"); done
	[ -f "$built" ] && [ -f "$build/$image" ] && [ "$built" -nt "$build/.config" ] && [ "$built" -nt "$root_stamp" ] &&
		[ -z "$(find "$tree" \( "${other[@]}" \) -prune -o -newer "$built" -print -quit)" ]
}

# Installs the modules where the guest finds them, if one of them is new.
install_modules() {
	local stamp=$build/modules/stamp
	[ -f "$stamp" ] && [ "$build/modules.order" -ot "$stamp" ] &&
		[ -z "$(find "$build/net" "$build/lib" "$build/samples" -name '*.ko' -newer "$stamp" 2>/dev/null)" ] && return
	kmake INSTALL_MOD_PATH=/seg6/build/modules modules_install >"$logs/modules_install.log" 2>&1 ||
		die "installing the modules failed" "log: $logs/modules_install.log"
	touch "$stamp"
}

# Keeps what guests boot for this run, while the lock `build` is held: a later build writes into these very files.
keep_for_guests() {
	rm -rf "$boot" "$boot.tmp"
	mkdir -p "$boot.tmp" "$build/modules/lib/modules"
	cp -a --reflink=auto "$build/$image" "$boot.tmp/"
	cp -a --reflink=auto "$build/modules/lib/modules" "$boot.tmp/modules"
	mv "$boot.tmp" "$boot"
}

# The same in a run that has not built: if the last build was of this checkout and has succeeded.
find_for_guests() {
	local hint="run 'make kernel IMPL=$IMPL CONFIG=$CONFIG'"
	[ ! -d "$boot" ] || return 0
	[ -f "$build/$image" ] || die "there is no $build/$image: $hint"
	lock build
	[ ! -d "$boot" ] || return 0
	[ -f "$built" ] || die "the last build in $build has failed: $hint"
	[ "$(cat "$built")" = "$repo" ] || die "the last build in $build is of $(cat "$built"): $hint"
	keep_for_guests
}

# Holds the lock `build` until the script ends, for a look into builds; ends it if these are no longer what this run's
# guests boot.
hold_builds() { # impl...
	local impl
	for impl; do (use_build "$impl" && find_for_guests) || exit; done
	lock build
	for impl; do
		(
			use_build "$impl"
			cmp -s "$build/$image" "$boot/$(basename "$image")" &&
				diff -rq --no-dereference "$build/modules/lib/modules" "$boot/modules" >/dev/null
		) || die "another run has changed the build of IMPL=$impl meanwhile"
	done
}

# Installs only seg6_local.ko, as modules_install does: the kernel's make deletes modules.order when it has built a
# single module.
install_module() {
	local release
	release=$(cat "$build/include/config/kernel.release")
	cp "$build/$module" "$build/modules/lib/modules/$release/kernel/$module"
	kmake_binds
	sandbox depmod -b /seg6/build/modules "$release"
}
