# SPDX-License-Identifier: Apache-2.0
"""Prefill and decode as the page has them, and what decode has to do when a node is lost while it reads."""

import json
import os
import re
import signal
import subprocess

from nodes import LIMIT
from pages import commands, the_block

COUNT = 120  # values
SHAPE = ["--value-length=100001", "--batch-size=4", "--num-workers=2"]
ADDRESS = "trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420"  # as the page has it


def call(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    if done.returncode != 0:
        raise AssertionError("%s gives %d: %s%s" % (command, done.returncode, done.stdout, done.stderr))
    return done.stdout


def here(text, folder):
    """With a folder in place of the page's."""
    return re.sub(r"(?<![\w/])/(srv|data)/", folder + "/", text)


def address(trtype, host, port=4420):
    return "trtype=%s adrfam=ipv4 traddr=%s trsvcid=%d" % (trtype, host, port)


class Benchmark:
    """Its words for Node. What a later option says counts."""

    def __init__(self, source, folder):
        documented = commands(the_block(source + "/docs/python.md", "sh", "--role=decode"))
        program = ["python3", "stress_cluster_benchmark.py"]
        if [words[:3] for words in documented] != [[*program, "--role=" + role] for role in ("prefill", "decode")]:
            raise AssertionError("not prefill and decode: %s" % documented)
        if "--protocol-args=" + ADDRESS not in documented[0]:
            raise AssertionError("prefill has another address: %s" % documented[0])
        program = source + "/python/bench/stress_cluster_benchmark.py"
        self._prefill, self._decode = (
            [program, *(here(word, folder) for word in words[2:]), *SHAPE] for words in documented
        )

    def prefill(self, where, *more, values=COUNT):
        """Stays until it is ended."""
        words = [word.replace(ADDRESS, where) for word in self._prefill]
        return [*words, "--max-requests=%d" % values, "--wait-time=10000", *more]

    def decode(self, *more):
        return [*self._decode, "--max-requests=%d" % COUNT, *more]


def wait_for_values(prefill, count=COUNT):
    prefill.wait_for("output", "prefill: %d of %d values, 0 failed" % (count, count))


def check_all(decode):
    """That it has read every value."""
    status, said = decode.end(), decode.said
    if status != 0 or "decode: %d of %d values, 0 failed, 0 wrong" % (COUNT, COUNT) not in said["output"]:
        raise AssertionError("decode gives %d: %s" % (status, said))
    if "every byte compared" not in said["output"]:
        raise AssertionError("not compared: %s" % said)


def keys_on(paths):
    """Those of the values that files have."""

    def shown(what):
        return json.loads(call("mooncake_file_store", what, "--json"))

    numbers = {file["number"] for file in shown("status")["files"] if file["mount"]["path"] in paths}
    objects = shown("list")["objects"]
    if len(numbers) != len(paths) or len(objects) != COUNT:
        raise AssertionError("not what was put: %s of %s, %d objects" % (numbers, paths, len(objects)))
    return [
        one["key"]
        for one in objects
        if any(extent["file"] in numbers for copy in one["copies"] for extent in copy)
    ]


def check_loss(start, paths, lose):
    """That decode goes on with what is left, when a node with files is lost while it reads.

    start(*options) starts it, lose() is called when it has read some, and not all.
    """
    there = keys_on(paths)
    if not COUNT / 10 < len(there) < COUNT * 9 / 10:
        raise AssertionError("not on both nodes: %d of %d values are there" % (len(there), COUNT))
    report = os.path.join(os.environ["NVMEOF_TEST_DIR"], "report")
    decode = start("--json=" + report, "--batch-size=1")
    decode.wait_for("errors", r"\r[1-9][0-9]* of ")
    decode.signal(signal.SIGSTOP)
    lose()
    decode.signal(signal.SIGCONT)
    status = decode.end()
    if status != 0:
        raise AssertionError("decode gives %d: %s" % (status, decode.said))
    with open(report) as file:
        found = json.load(file)
    if found["wrong"] != 0 or found["good"] + found["failed"] != COUNT or found["failed"] > len(there):
        raise AssertionError("wrong, lost or failed elsewhere: %s, %d were there" % (found, len(there)))
    if found["failed"] == 0:
        raise AssertionError("the node was lost too late: %s" % decode.said["errors"])
    if not set(found["codes"]) <= {"-704", "-800"}:
        raise AssertionError("other codes: %s" % found["codes"])
    print("%d of %d values failed in %.1f s, slowest call %.1f s" % (
        found["failed"], COUNT, found["seconds"], found["latency_ms"]["max"] / 1000))  # fmt: skip
