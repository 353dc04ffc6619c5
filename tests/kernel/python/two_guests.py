#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The two sides of two_guests_test.sh.

two_guests.py far <address>                                      starts what the other guest asks for, until power is cut
two_guests.py near <address> <far's address> tcp|rdma <source folder>  prefill there, decode here; asks for the cut
"""

import os
import signal
import socket
import sys
import time
from multiprocessing.managers import BaseManager

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from benchmark import Benchmark, address, call, check_all, check_loss, wait_for_values  # noqa: E402
from nodes import LIMIT, Node  # noqa: E402

PORT, ETCD_PORT = 9000, 2379
FOLDER = os.environ["NVMEOF_TEST_DIR"]


class Guest(BaseManager):
    """Processes and commands of the other guest."""


Guest.register("Node", Node)
Guest.register("call", call)


def guest(host):
    return Guest((host, PORT), b"two guests")


def answers(host, port):
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_until(true):
    end = time.monotonic() + LIMIT
    while not true():
        if time.monotonic() > end:
            raise AssertionError("this does not come true")
        time.sleep(0.1)


def near(host, far_host, trtype, source):
    store = "%s:%d/%s" % (host, ETCD_PORT, trtype)
    os.environ["MC_STORE_DIRECTORY"] = store  # for the tool
    wait_until(lambda: answers(host, ETCD_PORT))
    wait_until(lambda: answers(far_host, PORT))
    far = guest(far_host)
    far.connect()
    theirs, own = [FOLDER + "/a", FOLDER + "/b"], FOLDER + "/%s-c" % trtype
    for path in theirs:
        far.call("truncate", "-s", "64M", path)
    call("truncate", "-s", "64M", own)

    benchmark = Benchmark(source, FOLDER)
    cluster = "--master-server=" + store
    here, there = [cluster, "--local-hostname=" + host], [cluster, "--local-hostname=" + far_host]
    beside = Node(benchmark.prefill(address(trtype, host), *here, "--files=" + own, values=1))
    wait_for_values(beside, 1)
    first = far.Node(benchmark.prefill(address(trtype, far_host), *there))
    wait_for_values(first)
    check_all(Node(benchmark.decode(*here)))

    def cut_power():
        print("cut the power", flush=True)
        wait_until(lambda: not answers(far_host, PORT))

    check_loss(lambda *options: Node(benchmark.decode(*here, *options)), theirs, cut_power)
    beside.end(signal.SIGINT)
    print("decode went on over " + trtype, flush=True)
    os._exit(0)  # what is there of the other guest would be told of the end first


if sys.argv[1] == "far":
    guest(sys.argv[2]).get_server().serve_forever()
else:
    near(*sys.argv[2:])
