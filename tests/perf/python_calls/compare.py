# SPDX-License-Identifier: Apache-2.0
"""Calls of the store from Python against the same from C++, turn and turn about: see --help, and scripts/python_bench.sh."""

import argparse
import ctypes
import json
import mmap
import os
import random
import statistics
import sys
import threading
import time

from mooncake_files.store import MooncakeDistributedStore, last_error

MIB = 1 << 20
POOL = 1025 * MIB


class PythonSide:
    def __init__(self, directory, file):
        self.store = MooncakeDistributedStore()
        address = "trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420"
        code = self.store.setup_with_files(
            "127.0.0.1", "P2PHANDSHAKE", [], 16 * MIB, "nvmeof_generic", address, directory
        )
        if code != 0 or self.store.mount_file_segment(file, True) != 0:
            raise SystemExit("setting a store up: " + last_error())

    def close(self):
        self.store.close()

    def run(self, writes, first, objects, size, batch, threads, calls):
        begin, end = [threading.Barrier(threads, action=lambda: times.append(time.perf_counter())) for _ in "be"]
        times, failed = [], []

        def work(thread):
            # Private, as that of the C++ side: shared memory has smaller pages.
            memory = mmap.mmap(-1, batch * size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            view = (ctypes.c_char * (batch * size)).from_buffer(memory)
            base = ctypes.addressof(view)
            ctypes.memmove(base, random.Random(thread).randbytes(batch * size), batch * size)
            places, sizes = [base + i * size for i in range(batch)], [size] * batch
            numbers = [(i * threads + thread) * batch % objects for i in range(calls)]
            keys = [[key_of(first + number + j) for j in range(batch)] for number in numbers]
            method = self.store.batch_put_from if writes else self.store.batch_get_into
            good = [0] * batch if writes else sizes
            if batch == 1:
                method, good = (self.store.put_from, 0) if writes else (self.store.get_into, size)
                keys, places, sizes = [one[0] for one in keys], base, size
            for i, one in enumerate(keys):
                if i == 1:
                    begin.wait()
                if method(one, places, sizes) != good:
                    failed.append(last_error())
            end.wait()

        workers = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if failed:
            raise SystemExit("Python's calls fail: " + failed[0])
        return times[1] - times[0]


class CppSide:
    def __init__(self, library, directory, file):
        self.library = library
        self.pool = library.cppSideOpen(directory.encode(), file.encode())
        if not self.pool:
            raise SystemExit("setting the C++ side up: see above")

    def close(self):
        self.library.cppSideClose(self.pool)

    def run(self, writes, first, objects, size, batch, threads, calls):
        seconds = self.library.cppSideRun(self.pool, writes, first, objects, size, batch, threads, calls)
        if seconds < 0:
            raise SystemExit("the C++ side fails: see above")
        return seconds


def key_of(number):
    """As long as those of the C++ side."""
    return "model@tp_rank:0@pcp0@dcp0@pp_rank:0@%064x" % number


def open_library(path):
    library = ctypes.CDLL(path)
    library.cppSideOpen.restype = ctypes.c_void_p
    library.cppSideOpen.argtypes = [ctypes.c_char_p] * 2
    library.cppSideClose.argtypes = [ctypes.c_void_p]
    library.cppSideRun.restype = ctypes.c_double
    library.cppSideRun.argtypes = [ctypes.c_void_p, ctypes.c_bool, ctypes.c_uint64, *[ctypes.c_size_t] * 5]
    return library


def measure(side, scale):
    """Seconds of a call (of one thread) or of all calls (of several), by case."""
    got = {}
    first = 0

    def take(name, writes, objects, size, batch, threads, calls):
        seconds = side.run(writes, first, objects, size, batch, threads, calls)
        got[name] = seconds / ((calls - 1) * threads)

    take("put 64 x 1 MiB", True, 6 * 64, MIB, 64, 1, 1 + 5)
    take("get 64 x 1 MiB", False, 6 * 64, MIB, 64, 1, 1 + 10 * scale)
    for threads in (1, 8):
        take("get 1 MiB, %d" % threads, False, 6 * 64, MIB, 1, threads, 1 + 640 * scale // threads)
    for label, size in (("4 KiB", 4096), ("64 KiB", 65536)):
        first += 10_000
        side.run(True, first, 512, size, 64, 1, 8)
        for threads in (1, 8):
            calls = 16_000 * scale if size == 4096 else 4000 * scale
            take("get %s, %d" % (label, threads), False, 512, size, 1, threads, 1 + calls // threads)
    return got


def measure_call(sides):
    """Seconds of one call of 4 KiB, by side: the best of many short pieces, turn and turn about. How long the device's
    thread and the caller's take to wake each other differs by more than a language does; the best piece has least of it."""
    pieces = {name: [] for name in sides}
    for side in sides.values():
        side.run(True, 0, 512, 4096, 64, 1, 8)
    for piece in range(40):
        for name in sorted(sides, reverse=piece % 2 == 0):
            pieces[name].append(sides[name].run(False, 0, 512, 4096, 1, 1, 1 + 500) / 500)
    return {name: min(of_side) for name, of_side in pieces.items()}


def rows(python, cpp, calls):
    """Name, unit, values, at least, at most."""

    def ratio(of, to):
        return [b / a for a, b in zip(of, to)]

    def column(side, name):
        return [turn[name] for turn in side]

    for name in ("put 64 x 1 MiB", "get 64 x 1 MiB"):
        yield name + ": throughput against C++", "", ratio(column(python, name), column(cpp, name)), 0.97, None
    beyond = [(pair["python"] - pair["cpp"]) * 1e6 for pair in calls]
    yield "get_into of 4 KiB: a call beyond C++", "us", beyond, None, 5
    yield "get_into of 4 KiB: a call", "us", [pair["python"] * 1e6 for pair in calls], None, None
    for size, least in (("1 MiB", 0.9), ("64 KiB", 0.9), ("4 KiB", None)):
        scales = [
            ratio(column(side, "get %s, 8" % size), column(side, "get %s, 1" % size)) for side in (python, cpp)
        ]
        yield "get_into of %s: 8 threads against 1, in C++" % size, "", scales[1], None, None
        yield (
            "get_into of %s: 8 threads against 1, Python's against that" % size, "",
            [a / b for a, b in zip(*scales)], least, None,
        )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", required=True, help="libstore_cpp_side.so of the build")
    parser.add_argument("--folder", required=True, help="for two files of 1 GiB")
    parser.add_argument("--turns", type=int, default=11)
    parser.add_argument("--scale", type=int, default=1, help="longer turns: so many times as many calls")
    parser.add_argument("--json", help="writes all values there")
    options = parser.parse_args()
    library = open_library(options.library)
    makers = {"python": PythonSide, "cpp": lambda *where: CppSide(library, *where)}
    values, calls = {name: [] for name in makers}, []
    files = {name: os.path.join(options.folder, name) for name in makers}
    for path in files.values():
        with open(path, "wb") as file:
            for _ in range(POOL // MIB):
                file.write(bytes(MIB))
    for turn in range(options.turns + 1):
        # Who is first changes. The first turn is not counted.
        names = sorted(makers, reverse=turn % 2 == 0)

        def opened(name, what):
            return makers[name](os.path.join(options.folder, "%s-%s-%d.db" % (name, what, turn)), files[name])

        for name in names:
            side = opened(name, "all")
            values[name].append(measure(side, options.scale))
            side.close()
        sides = {name: opened(name, "call") for name in names}
        calls.append(measure_call(sides))
        for side in sides.values():
            side.close()
        print("\rturn %d of %d" % (turn, options.turns), end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    missed, report = [], {}
    for name, unit, all_values, least, most in rows(values["python"][1:], values["cpp"][1:], calls[1:]):
        middle = statistics.median(all_values)
        report[name] = all_values
        wanted = "at least %g" % least if least else "at most %g" % most if most else ""
        print("%-70s %8.3f (%.3f - %.3f) %-3s %s" % (name, middle, min(all_values), max(all_values), unit, wanted))
        if (least and middle < least) or (most and middle > most):
            missed.append(name)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"rows": report, "seconds": values, "calls": calls}, file, indent=1)
    for name in missed:
        print("MISSED " + name)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
