#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Lays patches/ and the overlay of this repository over a kernel source.

    tree.py PRISTINE TREE
    tree.py --mainline PRISTINE TREE NEIGHBOR
                            the same without patches/fixes, which change what C does
    tree.py --list          names of the files to lay over

TREE starts as a copy of PRISTINE made of hard links, or of NEIGHBOR, a tree with the fixes, so that what is equal has
the same time. Patches are applied to copies of the files that they touch, and only files whose content differs are then
replaced in TREE: what did not change keeps its time and is not built again, also from a fresh clone. Files of an earlier
run that are no longer patched or overlaid go back to what they were.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
OVERLAY = (
    "Documentation",
    "include",
    "net",
    "rust",
    "samples/bpf/seg6local",
    "tools/testing/selftests/net/seg6_local",
)


def copy_tree(source, tree):
    """Makes the tree: hard links where possible, written under another name first."""
    staging = Path(f"{tree}.tmp")
    shutil.rmtree(staging, ignore_errors=True)
    if subprocess.run(["cp", "-al", source, staging], check=False, stderr=subprocess.DEVNULL).returncode:
        shutil.rmtree(staging, ignore_errors=True)
        subprocess.run(["cp", "-a", "--reflink=auto", source, staging], check=True)
    manifest = Path(f"{source}.manifest")
    if manifest.exists():
        shutil.copy(manifest, f"{tree}.manifest")
    staging.rename(tree)


def overlay_files():
    """Names of the files to lay over: those that git knows or would add."""
    git = ["git", "-c", "safe.directory=*", "-C", REPO, "ls-files", "-z", "-co", "--exclude-standard", "--"]
    try:
        names = subprocess.run([*git, *OVERLAY], check=True, capture_output=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):  # a tarball, or no git
        names = [os.path.relpath(path, REPO) for top in OVERLAY for path in (REPO / top).rglob("*")]
    return [name for name in sorted(names) if (REPO / name).is_file() and name]


def names_in(name):
    """The names of patches in a list."""
    return (REPO / "patches" / name).read_text().split()


def patches(pristine, left_out):
    """The patches in the order of patches/series; patches/7.2/NAME takes the place of NAME for Linux 7.2."""
    makefile = (pristine / "Makefile").read_text()
    version = ".".join(re.findall(r"^(?:VERSION|PATCHLEVEL) = (\d+)$", makefile, re.MULTILINE))
    for name in names_in("series"):
        variant = REPO / "patches" / version / name
        if name not in left_out:
            yield variant if variant.exists() else REPO / "patches" / name


def apply_patches(pristine, stage, left_out):
    """Applies the patches in the stage, which gets a copy of each file that they name."""
    for patch in patches(pristine, left_out):
        for touched in re.findall(r"^(?:---|\+\+\+) [ab]/(\S+)", patch.read_text(), re.MULTILINE):
            if (pristine / touched).exists() and not (stage / touched).exists():
                copy(pristine / touched, stage / touched)
        args = ["patch", "-p1", "--batch", "--forward", "--no-backup-if-mismatch", "-d", stage, "-i", patch]
        run = subprocess.run(args, check=False, capture_output=True, text=True)
        if run.returncode:
            rejects = "".join(path.read_text() for path in stage.rglob("*.rej"))
            sys.exit(f"error: {patch} does not apply to {pristine}:\n{run.stdout}{run.stderr}{rejects}")


def apply_overlay(pristine, stage):
    """Adds our own files to the stage; one of the kernel's may only change through a patch."""
    for name in overlay_files():
        if (pristine / name).exists():
            sys.exit(f"error: {name} is a file of the kernel: change it with a patch in patches/")
        copy(REPO / name, stage / name)


def copy(source, target):
    """Copies content and permissions, as a new file with the present time."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def replace(source, target):
    """Puts a file in its place unless the same content is there; never writes through a hard link."""
    if target.is_file() and target.read_bytes() == source.read_bytes():
        return False
    fresh = target.with_name(f".{target.name}.seg6-new")
    copy(source, fresh)
    fresh.replace(target)
    return True


def sync(pristine, stage, tree):
    """Brings the tree to pristine plus stage."""
    manifest = Path(f"{tree}.manifest")
    names = sorted(str(path.relative_to(stage)) for path in stage.rglob("*") if path.is_file())
    before = manifest.read_text().splitlines() if manifest.exists() else []
    manifest.write_text("".join(f"{name}\n" for name in sorted({*before, *names})))
    changed = [name for name in names if replace(stage / name, tree / name)]
    if changed:
        print(f"{tree}: {len(changed)} files updated, {changed[0]} first", file=sys.stderr)
    for name in set(before) - set(names):
        if (pristine / name).exists():
            replace(pristine / name, tree / name)
        else:
            (tree / name).unlink(missing_ok=True)
    manifest.write_text("".join(f"{name}\n" for name in names))


def main():
    """See the documentation of the module."""
    if sys.argv[1:] == ["--list"]:
        print(*overlay_files(), sep="\n")
        return
    is_mainline = sys.argv[1] == "--mainline"
    pristine, tree, *neighbor = map(Path, sys.argv[2:] if is_mainline else sys.argv[1:])
    pristine = pristine.resolve()
    if not tree.exists():
        copy_tree(*neighbor or [pristine], tree)
    with tempfile.TemporaryDirectory() as directory:
        stage = Path(directory)
        apply_patches(pristine, stage, names_in("fixes") if is_mainline else ())
        apply_overlay(pristine, stage)
        sync(pristine, stage, tree)


if __name__ == "__main__":
    main()
