# SPDX-License-Identifier: GPL-2.0-or-later
"""Draws rows of `make bench`, from JSON on standard input: one bar for each, as long as Rust / C. Prints SVG."""

import io
import json
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "seg6local", "font.size": 9,
                            "font.family": "sans-serif"})

from matplotlib import pyplot  # noqa: E402  pylint: disable=wrong-import-position

LESS, MORE, LINE = "#4878a8", "#c46a4a", "#404040"


def draw(rows):
    """A figure of the rows, the first one at the top."""
    rows = rows[::-1]
    figure, axes = pyplot.subplots(figsize=(9, 0.6 + 0.19 * len(rows)), layout="constrained")
    ratios = [row["ratio"] for row in rows]
    axes.barh([row["name"] for row in rows], ratios, height=0.72,
              color=[LESS if round(ratio, 2) <= 1 else MORE for ratio in ratios])
    axes.axvline(1, color=LINE, linewidth=0.8)
    for index, row in enumerate(rows):
        axes.text(max(1, row["ratio"]) + 0.01, index, f"{row['ratio']:.2f}   {row['rust']:.0f} : {row['c']:.0f}",
                  va="center", fontsize=7)
    axes.set_xlim(0, max(1, *ratios) + 0.25)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_title("Instructions per packet, Rust : C", loc="left")
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure


def main():
    """See the documentation of the module."""
    drawn = io.StringIO()
    draw(json.load(sys.stdin)).savefig(drawn, format="svg", metadata={"Date": None})
    print("\n".join(line.rstrip() for line in drawn.getvalue().splitlines()))


if __name__ == "__main__":
    main()
