#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""plot_bench.py <results.json> <picture.png>: draws what compare_with_fio.sh wrote with RESULTS set.

Two rows of bars over the cases: throughput and CPU time per GiB of the second side, as a ratio to the first, with the
spread over the rounds.
"""
import json
import statistics
import sys

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402, the backend has to be chosen first


def ratios(sides, index):
    return [second[index] / first[index] for first, second in zip(sides["first"], sides["second"])]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        runs = json.load(file)
    figure, rows = pyplot.subplots(2, 1, sharex=True, figsize=(10, 7))
    for row, title, index in zip(rows, ("throughput, ratio", "CPU time per GiB, ratio"), (0, 1)):
        values = [ratios(sides, index) for sides in runs.values()]
        middle = [statistics.median(v) for v in values]
        below = [m - min(v) for m, v in zip(middle, values)]
        above = [max(v) - m for m, v in zip(middle, values)]
        row.bar(range(len(values)), middle, yerr=(below, above), capsize=4, color="#4477aa")
        row.axhline(1, color="black", linewidth=0.8)
        row.set_ylabel(title)
    rows[-1].set_xticks(range(len(runs)), runs.keys(), rotation=30, ha="right")
    figure.tight_layout()
    figure.savefig(sys.argv[2], dpi=120)


if __name__ == "__main__":
    main()
