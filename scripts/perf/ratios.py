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
    "own-file-4k-d1": (0.95, None),
    "own-file-1m-d8": (0.95, None),
    "poll-only-4k": (1.0, None),
    "poll-only-64k": (1.0, None),
    **{f"matrix-{threads}t-{files}f-d{depth}": (0.95, None) for threads in (1, 2) for files in (1, 2, 16) for depth in (1, 4, 16)},
}
# The highest ratio of the 99th percentile of latency, where both sides say it.
LATENCY_TARGET = 1.5
# what is no ratio -> its highest value
LIMITS = {
    "engine and plugin, per 4K request, ns": 500,
    "CPU time in 10 s idle, ms": 10,
    "memory per outstanding request, bytes": 256,
    "fixed-latency-64-threads: cpu_us_per_request": 25,
    "fixed-latency-64-threads: switches_per_request": 1.5,
    "striped-256-over-16: io_submit_calls_striped": 16,
    "striped-256-over-16: us_per_request_striped": 0.6,
    "locked-instructions: locked_instructions": 20,
    "locked-instructions: lines_of_all_threads": 0,
    "two-threads-own-files: two_threads_against_one": 1.1,
    "segments-128: 128_segments_against_1": 1.3,
    "setup-beside-pollers: open_ms": 100,
    "setup-beside-pollers: uninstall_ms": 100,
    "setup-beside-pollers: install_ms": 100,
    "wait-returns: wait_ms_own": 1,
    "wait-returns: wait_ms_select_loop": 1,
    "wait-returns: wait_ms_two_engines": 1,
    "wait-returns: wait_ms_many_threads": 1,
    "wait-returns: wait_ms_consumer_beside_hung": 1,
    "wait-returns: wait_ms_own_beside_hung": 1,
}
GIB = 1 << 30


def latency(document):
    """The 99th percentile in nanoseconds, counted from the submission on, or nothing."""
    read = document["jobs"][0].get("read", {})
    for name in ("lat_ns", "clat_ns"):  # the bench has only the second, and counts that way
        if value := read.get(name, {}).get("percentile", {}).get("99.000000"):
            return value
    return None


def measured(whole, document):
    """Bytes per second, CPU seconds per GiB of one run of fio or the bench (of the whole process, and as it says
    itself, which is of fio without its main thread), and the 99th percentile of latency."""
    job = document["jobs"][0]
    sides = [job.get(name, {}) for name in ("read", "write")]
    rate = sum(side.get("bw_bytes", 0) for side in sides)
    # All in percent of the time the job ran.
    own = job["usr_cpu"] + job["sys_cpu"]
    if "fio version" in document:  # which gives the mean of its jobs
        own *= int(job.get("job options", {}).get("numjobs", 1))
    return rate, *(cpu / 100 / (rate / GIB) if rate else float("inf") for cpu in (whole or own, own)), latency(document)


def time_per_request(document):
    """Nanoseconds of user time for each 4 KiB; of the probe, all of the processor's."""
    job = document["jobs"][0]
    return job["usr_cpu"] / 100 / (job["read"]["bw_bytes"] / 4096) * 1e9


def absolute(case, side, document):
    """The names and values of what a measurement says that are no ratios."""
    if "values" in document:
        return [(f"{case}: {name}", value) for name, value in document["values"].items()]
    value = one_value(case, side, document)
    return [value] if value else []


def one_value(case, side, document):
    """The same of a measurement in fio's form, or nothing."""
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
    missed = []
    for line in sys.stdin:
        if line.startswith("RESTART "):
            runs.clear()
            values.clear()
            missed.clear()
        if line.startswith("MISSING "):
            missed.append(line.split(" ", 1)[1].strip())
            continue
        if not line.startswith("RESULT "):
            print(line, end="", file=sys.stderr)
            continue
        _, case, side, turn, cpu, text = line.split(" ", 5)
        if turn == "1" and side != "second":
            print(f"compare_with_fio:   {case}", file=sys.stderr)
        document = json.loads(text)
        for name, value in absolute(case, side, document):
            values.setdefault(name, []).append(value)
        if side != "only":
            runs.setdefault(case, {"first": [], "second": []})[side].append(measured(None if cpu == "-" else float(cpu), document))
    if not runs and not values and not missed:
        print("compare_with_fio: nothing was measured", file=sys.stderr)
        return 2

    if runs:
        print(f"{'case':22} {'first MB/s':>10} {'second':>10}  {'throughput ratio':24} {'CPU per GiB ratio':24} "
              f"{'by its own count':24} 99 % latency ratio")
    for case, sides in runs.items():
        pairs = list(zip(sides["first"], sides["second"]))
        if not pairs:
            missed.append(f"{case}: its measurement was broken off")
            continue
        rates = [b[0] / a[0] for a, b in pairs]
        cpus, own = ([b[which] / a[which] for a, b in pairs] for which in (1, 2))
        latencies = [b[3] / a[3] for a, b in pairs if a[3] and b[3]] if case.startswith("matrix") else []
        first, second = (statistics.median(side[0] for side in sides[name]) / 1e6 for name in ("first", "second"))
        print(f"{case:22} {first:10.1f} {second:10.1f}  {summary(rates):24} {summary(cpus):24} {summary(own):24} "
              f"{summary(latencies) if latencies else ''}".rstrip())
        least, most = TARGETS.get(case, (None, None))
        if case == "unaligned-64k" and options.emulated:
            least = None  # what copying costs is for a real processor to say
        if case.startswith("workers") and not options.emulated:
            least = None  # it is with two processors that too many could be in each other's way
        if least is not None and statistics.median(rates) < least:
            missed.append(f"{case}: throughput {statistics.median(rates):.2f}, at least {least} wanted")
        if most is not None and statistics.median(cpus) > most:
            missed.append(f"{case}: CPU {statistics.median(cpus):.2f}, at most {most} wanted")
        if latencies and statistics.median(latencies) > LATENCY_TARGET:
            missed.append(f"{case}: 99 % latency {statistics.median(latencies):.2f}, at most {LATENCY_TARGET} wanted")
    for name, all_of_them in values.items():
        limit = LIMITS.get(name)
        print(f"{name:58} {summary(all_of_them)}{f', at most {limit}' if limit is not None else ''}")
        if limit is not None and statistics.median(all_of_them) > limit:
            missed.append(f"{name} {statistics.median(all_of_them):.2f}, at most {limit} wanted")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"ratios": runs, "values": values}, file)
    for line in missed:
        print("MISSED", line)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
