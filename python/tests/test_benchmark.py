# SPDX-License-Identifier: Apache-2.0
"""stress_cluster_benchmark.py in its two roles, on one node's file."""

import json
import os
import subprocess
import sys

import pytest

from conftest import MIB
from mooncake_files.store import MooncakeDistributedStore

PROGRAM = os.path.join(os.path.dirname(__file__), "..", "bench", "stress_cluster_benchmark.py")
LIMIT = 200
SHAPE = ["--max-requests=22", "--value-length=300001", "--batch-size=4", "--num-workers=3"]


@pytest.fixture
def run(folder, make_file):
    path = make_file("one", 65 * MIB)

    def run(role, *more):
        report = os.path.join(folder, role + ".json")
        done = subprocess.run(
            [
                sys.executable, PROGRAM, "--role=" + role, "--protocol=nvmeof_generic",
                "--protocol-args=trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420",
                "--local-buffer-size=16", "--files=" + path, "--wait-time=0", "--json=" + report,
                "--detailed-stats", *SHAPE, *more,
            ],
            capture_output=True, text=True, timeout=LIMIT,
        )  # fmt: skip
        with open(report) as file:
            return done, json.load(file)

    run.path = path
    return run


def test_what_prefill_puts_decode_gets_and_compares(run):
    done, report = run("prefill")
    assert done.returncode == 0, done.stderr
    assert (report["good"], report["failed"]) == (22, 0)
    done, report = run("decode")
    assert done.returncode == 0, done.stderr
    assert (report["good"], report["failed"], report["wrong"]) == (22, 0, 0)
    assert report["bytes"] == 22 * 300_001
    assert set(report["latency_ms"]) == {"mean", "min", "max", "P50", "P90", "P99", "P99.9"}
    assert "every byte compared" in done.stdout
    assert "worker 2: 7 good" in done.stdout
    assert "22 of 22 values" in done.stderr


def test_a_wrong_value_is_found(run):
    assert run("prefill")[0].returncode == 0
    store = MooncakeDistributedStore()
    assert store.setup_with_files("localhost", "P2PHANDSHAKE", [run.path]) == 0
    value = bytearray(store.get("worker1/key3"))
    value[-1] ^= 1
    assert store.upsert("worker1/key3", value) == 0
    assert store.remove("worker0/key0") == 0
    assert store.close() == 0
    done, report = run("decode")
    assert done.returncode == 1
    assert (report["good"], report["wrong"], report["codes"]) == (21, 1, {"-704": 1})
    done, report = run("decode", "--no-verify")
    assert (done.returncode, report["wrong"]) == (0, 0)


def test_nothing_to_get_and_no_setup(run):
    done, report = run("decode")
    assert (done.returncode, report["codes"]) == (1, {"-704": 22})
    done = subprocess.run(
        [sys.executable, PROGRAM, "--role=decode", "--files=/does/not/exist"],
        capture_output=True, text=True, timeout=LIMIT,
    )  # fmt: skip
    assert done.returncode == 1
    assert "setup gives -600" in done.stderr
