#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""python_test.py <source folder> <build folder> [options of unittest]: what the pages say of Python, on this kernel's nvmet."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import unittest

SOURCE, BUILD = sys.argv[1:3]
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from nodes import LIMIT, Node  # noqa: E402
from pages import blocks, commands, the_block  # noqa: E402

README, PAGE = SOURCE + "/README.md", SOURCE + "/docs/python.md"
BENCHMARK = SOURCE + "/python/bench/stress_cluster_benchmark.py"
ROCE = "10.99.0.1"
COUNT = 120  # values of a scenario

os.environ["PYTHONPATH"] = BUILD + "/python"
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


def call(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, **options)
    if done.returncode != 0:
        raise AssertionError("%s gives %d: %s%s" % (command, done.returncode, done.stdout, done.stderr))
    return done.stdout


def set_up_roce():
    if os.path.exists("/sys/class/net/roce0"):
        return
    call("modprobe", "-a", "dummy", "rdma_rxe", "nvme-rdma", "nvmet-rdma")
    call("ip", "link", "add", "roce0", "type", "dummy")
    call("ip", "address", "add", ROCE + "/24", "dev", "roce0")
    call("ip", "link", "set", "roce0", "up")
    call("rdma", "link", "add", "rxe_roce0", "type", "rxe", "netdev", "roce0")


def exports():
    return json.loads(call("nvmeof_generic_admin", "list", "--json"))["subsystems"]


def connections():
    """Of this kernel to targets, all that there have been."""
    return call("dmesg").count("new ctrl: ")


# Another node, which gives nothing. The first one may not have mounted its files yet.
OTHER_NODE = """
import time
from mooncake_files.store import MooncakeDistributedStore
store = MooncakeDistributedStore()
assert store.setup_with_files("127.0.0.1", "P2PHANDSHAKE", []) == 0
until = time.monotonic() + 20
while (code := store.put("key", b"value")) == -200 and time.monotonic() < until:
    time.sleep(0.1)
print(code, store.get("key"))
"""


class Pages(unittest.TestCase):
    def setUp(self):
        self.folder = os.path.join(os.environ["NVMEOF_TEST_DIR"], self.id())
        os.mkdir(self.folder)
        self.addCleanup(shutil.rmtree, self.folder)
        os.environ["MC_STORE_DIRECTORY"] = self.folder + "/store.db"

    def here(self, text):
        """With this test's folder in place of the page's."""
        return re.sub(r"(?<![\w/])/(srv|data)/", self.folder + "/", text)

    def test_the_first_program(self):
        program = blocks(PAGE, "python")[0]
        self.assertLessEqual(len(program.strip().splitlines()), 10)
        self.assertEqual(call(sys.executable, "-c", self.here(program)), "b'value'\n")

    def test_the_first_put_at_a_prompt(self):
        lines = the_block(README, "sh", "python3").splitlines()
        packages = next(i for i, line in enumerate(lines) if "apt install" in line)
        *before, prompt = [self.here(line).replace("sudo ", "") for line in lines[packages + 1 :]]
        for line in before:
            call("sh", "-c", line)
        seen = connections()
        session = os.path.join(self.folder, "session")
        with open(session, "w") as file:
            file.write(self.here(the_block(README, "python", ">>>")))
        output = call("sh", "-c", prompt + " -m doctest -v " + session)
        self.assertIn("0 failed", output)
        self.assertGreater(connections(), seen, "the bytes did not go over NVMe-oF")

    def test_a_node_that_only_gives_files(self):
        program = self.here(next(block for block in blocks(PAGE, "python") if "sigwait" in block))
        for given, used in (("192.0.2.1", "127.0.0.1"), ("192.0.2.9:2379", os.environ["MC_STORE_DIRECTORY"])):
            self.assertIn(given, program)
            program = program.replace(given, used)
        for name in ("a", "b"):
            call("truncate", "-s", "32M", self.here("/data/" + name))
        node = Node(["-c", program])
        node.wait_for("errors", "Serving subsystem")
        got = call(sys.executable, "-c", OTHER_NODE)
        self.assertEqual(got, "0 b'value'\n", node.said)
        self.assertEqual(node.end(signal.SIGTERM), 0, node.said)
        self.assertEqual(exports(), [])

    def scenario(self, trtype, address):
        """Prefill and decode as documented, beside a second node, which is killed while decode reads."""
        documented = commands(the_block(PAGE, "sh", "--role=decode"))
        self.assertEqual([words[:3] for words in documented], [
            ["python3", "stress_cluster_benchmark.py", "--role=" + role] for role in ("prefill", "decode")
        ])  # fmt: skip
        prefill, decode = ([BENCHMARK, *words[2:]] for words in documented)
        said = "trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420"
        self.assertIn("--protocol-args=" + said, prefill)
        ours = said.replace("tcp", trtype).replace("127.0.0.1", address)
        shape = ["--value-length=100001", "--batch-size=4", "--num-workers=2"]
        files = [self.folder + "/" + name for name in ("a", "b", "c")]
        for path in files:
            call("truncate", "-s", "64M", path)

        def started(command, requests, wait, *more):
            words = [self.here(word).replace(said, ours) for word in command]
            return Node([*words, *shape, "--max-requests=%d" % requests, "--wait-time=%d" % wait, *more])

        other = started(
            prefill, 1, 10_000, "--files=" + files[2], "--protocol-args=" + ours.replace("4420", "4421")
        )
        other.wait_for("output", r"prefill: 1 of 1 values, 0 failed")
        first = started(prefill, COUNT, 10_000)
        first.wait_for("output", r"prefill: %d of %d values, 0 failed" % (COUNT, COUNT))
        report = os.path.join(self.folder, "report")

        reader = started(decode, COUNT, 0)
        self.assertEqual(reader.end(), 0, reader.said)
        self.assertIn("decode: %d of %d values, 0 failed, 0 wrong" % (COUNT, COUNT), reader.said["output"])
        self.assertIn("every byte compared", reader.said["output"])

        pool = json.loads(call("mooncake_file_store", "status", "--json"))
        number = {file["mount"]["path"]: file["number"] for file in pool["files"]}
        objects = json.loads(call("mooncake_file_store", "list", "--json"))["objects"]
        of_other = [
            one["key"]
            for one in objects
            if any(extent["file"] == number[files[2]] for copy in one["copies"] for extent in copy)
        ]
        self.assertEqual(len(objects), COUNT)
        self.assertTrue(COUNT / 10 < len(of_other) < COUNT * 9 / 10, of_other)

        reader = started(decode, COUNT, 0, "--json=" + report, "--batch-size=1")
        reader.wait_for("errors", r"\r[1-9][0-9]* of ")
        reader.signal(signal.SIGSTOP)
        self.assertEqual(other.end(signal.SIGKILL), -signal.SIGKILL)
        # What its service does after it: the kernel would go on to serve the file.
        call("nvmeof_generic_admin", "clean")
        reader.signal(signal.SIGCONT)
        self.assertEqual(reader.end(), 0, reader.said)
        with open(report) as file:
            found = json.load(file)
        self.assertEqual(found["wrong"], 0)
        self.assertEqual(found["good"] + found["failed"], COUNT)
        self.assertLessEqual(found["failed"], len(of_other))
        self.assertGreater(found["failed"], 0, "the node was killed too late: " + reader.said["errors"])
        self.assertLessEqual(set(found["codes"]), {"-704", "-800"})
        first.end(signal.SIGINT)
        self.assertIn("KeyboardInterrupt", first.said["errors"])
        self.assertEqual(exports(), [])

    def test_prefill_and_decode_over_tcp(self):
        self.scenario("tcp", "127.0.0.1")

    def test_prefill_and_decode_over_rdma(self):
        set_up_roce()
        self.scenario("rdma", ROCE)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], failfast=True, verbosity=2)
