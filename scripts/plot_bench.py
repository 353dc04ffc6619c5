#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""plot_bench.py <results.json> <picture>: draws what compare_with_fio.sh wrote with RESULTS set; .svg, .png, .pdf.

Two rows of bars over the cases: throughput and CPU time per GiB of the second side, as a ratio to the first, with the
spread over the rounds, and a red line where the target lies: above it for throughput, below it for CPU time.
"""
import json
import pathlib
import statistics
import sys

import matplotlib

matplotlib.use("Agg")
# Figures that say the same are the same file.
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "compare_with_fio"})
from matplotlib import pyplot  # noqa: E402, the backend has to be chosen first

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "perf"))
from ratios import TARGETS  # noqa: E402, found there


def ratios(sides, index):
    return [second[index] / first[index] for first, second in zip(sides["first"], sides["second"])]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        runs = json.load(file)["ratios"]
    figure, rows = pyplot.subplots(2, 1, sharex=True, figsize=(10, 7))
    for row, title, index in zip(rows, ("throughput, ratio", "CPU time per GiB, ratio"), (0, 1)):
        values = [ratios(sides, index) for sides in runs.values()]
        middle = [statistics.median(v) for v in values]
        below = [m - min(v) for m, v in zip(middle, values)]
        above = [max(v) - m for m, v in zip(middle, values)]
        # From 1 up or down: a logarithm shows twice as much and half as much alike.
        row.set_yscale("log", base=2)
        row.bar(range(len(values)), [m - 1 for m in middle], bottom=1, yerr=(below, above), capsize=4, color="#4477aa")
        row.axhline(1, color="black", linewidth=0.8)
        for place, case in enumerate(runs):
            if target := TARGETS.get(case, (None, None))[index]:
                row.hlines(target, place - 0.4, place + 0.4, color="#cc3311")
        row.yaxis.set_major_formatter("{x:g}")
        row.set_ylabel(title)
    rows[-1].set_xticks(range(len(runs)), runs.keys(), rotation=30, ha="right")
    figure.tight_layout()
    metadata = {"Date": None} if sys.argv[2].endswith(".svg") else None
    figure.savefig(sys.argv[2], dpi=120, metadata=metadata)


if __name__ == "__main__":
    main()
