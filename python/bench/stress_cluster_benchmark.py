#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Puts objects into the store (--role=prefill) and gets them on another node (--role=decode).

Each value is made of its key, and decode compares every byte. Rates are those of the time in calls.
Exit status: 0, or 1 where setup fails, no operation succeeds, or a value is wrong.
"""

import argparse
import collections
import hashlib
import json
import sys
import threading
import time

import numpy

from mooncake_files.store import MooncakeDistributedStore, last_error

MIB = 1 << 20
PERCENTILES = (50, 90, 99, 99.9)


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--role", choices=("prefill", "decode"), required=True)
    add("--protocol", default="nvmeof_generic")
    add("--protocol-args", "--device-name", default="",
        help="this node's address: trtype=tcp adrfam=ipv4 traddr=192.0.2.1 trsvcid=4420")
    add("--local-hostname", default="localhost")
    add("--metadata-server", default="P2PHANDSHAKE")
    add("--master-server", default="", help="the directory; empty: $MC_STORE_DIRECTORY")
    add("--local-buffer-size", type=int, default=512, metavar="MB")
    add("--global-segment-size", type=int, default=10000, metavar="MB",
        help="of a scratch file, where --files is not given")
    add("--files", help="that this node gives, separated by blanks; may be empty")
    add("--max-requests", type=int, default=1200, help="values of all workers together")
    add("--value-length", type=int, default=4 * MIB, metavar="BYTES")
    add("--batch-size", type=int, default=1)
    add("--num-workers", type=int, default=1, help="threads on one store")
    add("--wait-time", type=float, default=20, metavar="SECONDS",
        help="that prefill stays there for decode, after it has put everything")
    add("--verify", action=argparse.BooleanOptionalAction, default=True,
        help="compare what decode reads")
    add("--detailed-stats", action="store_true", help="by worker, and the codes of failures")
    add("--json", metavar="FILE", help="the report for programs")
    add("--plot", metavar="FILE", help="latencies as a picture (needs matplotlib)")
    options = parser.parse_args(arguments)
    for name in ("max_requests", "value_length", "batch_size", "num_workers"):
        if getattr(options, name) < 1:
            parser.error("--%s takes 1 or more" % name.replace("_", "-"))
    return options


class Values:
    """The bytes that belong to a key: one pattern, mixed with the key's hash."""

    def __init__(self, length):
        words = (length + 7) // 8
        self.length = length
        self.pattern = numpy.random.default_rng(1).integers(
            0, 2**64, size=words, dtype=numpy.uint64, endpoint=False
        )

    def of(self, key):
        number = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")
        mixed = numpy.bitwise_xor(self.pattern, numpy.uint64(number))
        return mixed.view(numpy.uint8)[: self.length]


class Worker(threading.Thread):
    """One thread with its own keys and memory."""

    def __init__(self, store, options, number, values):
        super().__init__(daemon=True)
        share, rest = divmod(options.max_requests, options.num_workers)
        self.keys = ["worker%d/key%d" % (number, i) for i in range(share + (number < rest))]
        self.store, self.options, self.values = store, options, values
        self.memory = numpy.zeros((options.batch_size, options.value_length), dtype=numpy.uint8)
        self.latencies = []  # of calls, in seconds
        self.codes = collections.Counter()  # of values
        self.wrong = []  # keys
        self.done = 0

    @property
    def good(self):
        return self.codes[0]

    def register(self):
        return self.store.register_buffer(self.memory.ctypes.data, self.memory.nbytes)

    def run(self):
        size, step = self.options.value_length, self.options.batch_size
        base = self.memory.ctypes.data
        for begin in range(0, len(self.keys), step):
            keys = self.keys[begin : begin + step]
            places = [base + i * size for i in range(len(keys))]
            self.call(keys, places, [size] * len(keys))
            self.done += len(keys)

    def call(self, keys, places, sizes):
        puts = self.options.role == "prefill"
        if puts:
            for i, key in enumerate(keys):
                self.memory[i] = self.values.of(key)
        method = self.store.batch_put_from if puts else self.store.batch_get_into
        begin = time.perf_counter()
        results = method(keys, places, sizes)
        self.latencies.append(time.perf_counter() - begin)
        for i, (key, result) in enumerate(zip(keys, results)):
            # A get gives the value's length.
            self.codes[0 if result == (0 if puts else sizes[i]) else result] += 1
            if not puts and result == sizes[i] and self.options.verify:
                if not numpy.array_equal(self.memory[i], self.values.of(key)):
                    self.wrong.append(key)


def statistics(workers, seconds, length):
    latencies = numpy.array([t for worker in workers for t in worker.latencies]) * 1000
    codes = sum((worker.codes for worker in workers), collections.Counter())
    good = codes.pop(0, 0)
    # Values are made and compared between the calls.
    busy = latencies.sum() / 1000 / len(workers) or seconds
    report = {
        "values": sum(len(worker.keys) for worker in workers),
        "good": good,
        "failed": sum(codes.values()),
        "wrong": sum(len(worker.wrong) for worker in workers),
        "codes": {str(code): count for code, count in sorted(codes.items())},
        "seconds": seconds,
        "seconds_in_calls": busy,
        "bytes": good * length,
        "values_per_second": good / busy,
        "MB_per_second": good * length / 1e6 / busy,
    }
    if latencies.size:
        report["latency_ms"] = {
            "mean": latencies.mean(), "min": latencies.min(), "max": latencies.max(),
            **{"P%g" % p: numpy.percentile(latencies, p) for p in PERCENTILES},
        }  # fmt: skip
    return report


def show(report, options, workers):
    print("%s: %d of %d values, %d failed, %d wrong" % (
        options.role, report["good"], report["values"], report["failed"], report["wrong"]))
    print("%.2f GB in %.2f s, %.2f of them in calls: %.1f MB/s, %.1f values/s" % (
        report["bytes"] / 1e9, report["seconds"], report["seconds_in_calls"],
        report["MB_per_second"], report["values_per_second"]))
    latency = report.get("latency_ms", {})
    print("latency of a call of %d, ms: " % options.batch_size
          + ", ".join("%s %.3f" % pair for pair in latency.items()))
    if options.role == "decode":
        print("every byte compared" if options.verify else "bytes not compared (--no-verify)")
    if options.detailed_stats:
        for code, count in report["codes"].items():
            print("  code %s: %d" % (code, count))
        for i, worker in enumerate(workers):
            times = numpy.array(worker.latencies or [0]) * 1000
            print("  worker %d: %d good, mean %.3f ms, max %.3f ms" % (
                i, worker.good, times.mean(), times.max()))


def plot(path, workers, options):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    for i, worker in enumerate(workers):
        pyplot.plot(numpy.array(worker.latencies) * 1000, ".", label="worker %d" % i)
    pyplot.xlabel("call")
    pyplot.ylabel("ms")
    pyplot.title("%s, %d values of %d bytes a call" % (
        options.role, options.batch_size, options.value_length))
    pyplot.legend()
    pyplot.savefig(path)


def set_up(options):
    store = MooncakeDistributedStore()
    local_buffer = options.local_buffer_size * MIB
    if options.files is None:
        code = store.setup(
            options.local_hostname, options.metadata_server, options.global_segment_size * MIB,
            local_buffer, options.protocol, options.protocol_args, options.master_server,
        )  # fmt: skip
    else:
        code = store.setup_with_files(
            options.local_hostname, options.metadata_server, options.files.split(), local_buffer,
            options.protocol, options.protocol_args, options.master_server,
        )  # fmt: skip
    if code != 0:
        sys.exit("setup gives %d: %s" % (code, last_error()))
    return store


def follow(workers, total):
    """Until they have ended."""
    while any(worker.is_alive() for worker in workers):
        next(worker for worker in workers if worker.is_alive()).join(0.1)
        done = sum(worker.done for worker in workers)
        print("\r%d of %d values" % (done, total), end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def main(arguments=None):
    options = parse(arguments)
    store = set_up(options)
    values = Values(options.value_length)
    workers = [Worker(store, options, i, values) for i in range(options.num_workers)]
    for worker in workers:
        if worker.register() != 0:
            sys.exit("memory is not registered: " + last_error())
    begin = time.perf_counter()
    for worker in workers:
        worker.start()
    follow(workers, options.max_requests)
    report = statistics(workers, time.perf_counter() - begin, options.value_length)
    show(report, options, workers)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"options": vars(options), **report}, file, indent=2)
    if options.plot:
        plot(options.plot, workers, options)
    sys.stdout.flush()
    if options.role == "prefill" and report["good"]:
        time.sleep(options.wait_time)
    store.close()
    lost = report["values"] - report["good"] - report["failed"]
    return 1 if report["wrong"] or lost or not report["good"] else 0


if __name__ == "__main__":
    sys.exit(main())
