#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ratios.py [--json file]: reads the lines of compare_job.sh from standard input, prints the table.

A ratio is the median over the rounds of (second side / first side), with the smallest and the largest beside it.
Exit status: 0 if every target is met, 1 if one is missed, 2 without results.
"""
import argparse
import json
import statistics
import sys

# case -> least ratio of throughput, highest ratio of CPU time per GiB
TARGETS = {
    "randread-4k": (0.95, 1.1),
    "randread-64k": (0.95, 1.1),
    "read-1m": (0.95, 1.1),
    "randwrite-64k": (0.95, 1.1),
    "sequential-4k": (3.0, None),
    "unaligned-64k": (0.7, None),
    "workers-8-against-1": (0.95, None),
    "workers-8-against-2": (0.95, None),
    "workers-8-against-4": (0.95, None),
    "beside-hung": (0.9, None),
}
# what is no ratio -> its highest value
LIMITS = {
    "engine and plugin, per 4K request, ns": 500,
    "CPU time in 10 s idle, ms": 10,
    "memory per outstanding request, bytes": 256,
}
GIB = 1 << 30


def measured(whole, document):
    """Bytes per second, and CPU seconds per GiB of one run of fio or the bench: of the whole process, and as it says
    itself, which is of fio without its main thread."""
    job = document["jobs"][0]
    sides = [job.get(name, {}) for name in ("read", "write")]
    rate = sum(side.get("bw_bytes", 0) for side in sides)
    # All in percent of the time the job ran.
    own = job["usr_cpu"] + job["sys_cpu"]
    return rate, *(cpu / 100 / (rate / GIB) if rate else float("inf") for cpu in (whole or own, own))


def time_per_request(document):
    """Nanoseconds of user time for each 4 KiB; of the probe, all of the processor's."""
    job = document["jobs"][0]
    return job["usr_cpu"] / 100 / (job["read"]["bw_bytes"] / 4096) * 1e9


def absolute(case, side, document):
    """The name and value of what a measurement says that is no ratio, or nothing."""
    if case == "randread-4k" and side == "second":
        return "user time per 4K request, with the bench, ns", time_per_request(document)
    if case == "requests":
        return "engine and plugin, per 4K request, ns", time_per_request(document)
    if case == "idle-10s":
        job = document["jobs"][0]
        return "CPU time in 10 s idle, ms", job["usr_cpu"] / 100 * job["read"]["runtime_s"] * 1000
    if case == "memory":
        return "memory per outstanding request, bytes", document["benchmarks"][0]["bytes/request"]
    return None


def summary(values):
    return f"{statistics.median(values):6.2f} ({min(values):.2f} - {max(values):.2f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help="write all measurements there, for plot_bench.py")
    parser.add_argument("--emulated", action="store_true", help="the processor was: its times are no measure")
    options = parser.parse_args()
    runs = {}
    values = {}
    for line in sys.stdin:
        if line.startswith("RESTART "):
            runs.clear()
            values.clear()
        if not line.startswith("RESULT "):
            print(line, end="", file=sys.stderr)
            continue
        _, case, side, turn, cpu, text = line.split(" ", 5)
        if turn == "1" and side != "second":
            print(f"compare_with_fio:   {case}", file=sys.stderr)
        document = json.loads(text)
        if value := absolute(case, side, document):
            values.setdefault(value[0], []).append(value[1])
        if side != "only":
            runs.setdefault(case, {"first": [], "second": []})[side].append(measured(None if cpu == "-" else float(cpu), document))
    if not runs:
        print("compare_with_fio: nothing was measured", file=sys.stderr)
        return 2

    missed = []
    print(f"{'case':22} {'first MB/s':>10} {'second':>10}  {'throughput ratio':24} {'CPU per GiB ratio':24} by its own count")
    for case, sides in runs.items():
        pairs = list(zip(sides["first"], sides["second"]))
        if not pairs:
            missed.append(f"{case}: its measurement was broken off")
            continue
        rates = [b[0] / a[0] for a, b in pairs]
        cpus, own = ([b[which] / a[which] for a, b in pairs] for which in (1, 2))
        first, second = (statistics.median(side[0] for side in sides[name]) / 1e6 for name in ("first", "second"))
        print(f"{case:22} {first:10.1f} {second:10.1f}  {summary(rates):24} {summary(cpus):24} {summary(own)}")
        least, most = TARGETS.get(case, (None, None))
        if case == "unaligned-64k" and options.emulated:
            least = None  # what copying costs is for a real processor to say
        if case.startswith("workers") and not options.emulated:
            least = None  # it is with two processors that too many could be in each other's way
        if least is not None and statistics.median(rates) < least:
            missed.append(f"{case}: throughput {statistics.median(rates):.2f}, at least {least} wanted")
        if most is not None and statistics.median(cpus) > most:
            missed.append(f"{case}: CPU {statistics.median(cpus):.2f}, at most {most} wanted")
    for name, all_of_them in values.items():
        limit = LIMITS.get(name)
        print(f"{name:47} {summary(all_of_them)}{f', at most {limit}' if limit else ''}")
        if limit and statistics.median(all_of_them) > limit:
            missed.append(f"{name}: {statistics.median(all_of_them):.1f}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(runs, file)
    for line in missed:
        print("MISSED", line)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
