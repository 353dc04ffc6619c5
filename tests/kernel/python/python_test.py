#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""python_test.py <source folder> <build folder> [Pages] [OverRdma]: what the pages say of Python, on this kernel's nvmet."""

import json
import os
import shutil
import signal
import sys
import unittest

SOURCE, BUILD = sys.argv[1:3]
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from benchmark import Benchmark, address, call, check_all, check_loss, here, wait_for_values  # noqa: E402
from nodes import Node  # noqa: E402
from pages import blocks, the_block  # noqa: E402

README, PAGE = SOURCE + "/README.md", SOURCE + "/docs/python.md"
ROCE = "10.99.0.1"

os.environ["PYTHONPATH"] = BUILD + "/python"
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


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


class OneMachine(unittest.TestCase):
    def setUp(self):
        self.folder = os.path.join(os.environ["NVMEOF_TEST_DIR"], self.id())
        os.mkdir(self.folder)
        self.addCleanup(shutil.rmtree, self.folder)
        os.environ["MC_STORE_DIRECTORY"] = self.folder + "/store.db"

    def here(self, text):
        return here(text, self.folder)

    def scenario(self, trtype, host):
        """Prefill and decode as documented, beside a second node, which is killed while decode reads."""
        benchmark = Benchmark(SOURCE, self.folder)
        files = [self.folder + "/" + name for name in ("a", "b", "c")]
        for path in files:
            call("truncate", "-s", "64M", path)
        other = Node(benchmark.prefill(address(trtype, host, 4421), "--files=" + files[2], values=1))
        wait_for_values(other, 1)
        first = Node(benchmark.prefill(address(trtype, host)))
        wait_for_values(first)
        check_all(Node(benchmark.decode()))

        def kill_other():
            self.assertEqual(other.end(signal.SIGKILL), -signal.SIGKILL)
            # What its service does after it: the kernel would go on to serve the file.
            call("nvmeof_generic_admin", "clean")

        check_loss(lambda *options: Node(benchmark.decode(*options)), files[2:], kill_other)
        first.end(signal.SIGINT)
        self.assertIn("KeyboardInterrupt", first.said["errors"])
        self.assertEqual(exports(), [])


class Pages(OneMachine):
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

    def test_prefill_and_decode_over_tcp(self):
        self.scenario("tcp", "127.0.0.1")


class OverRdma(OneMachine):
    def test_prefill_and_decode_over_rdma(self):
        set_up_roce()
        self.scenario("rdma", ROCE)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], failfast=True, verbosity=2)
