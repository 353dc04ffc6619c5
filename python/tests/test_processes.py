# SPDX-License-Identifier: Apache-2.0
"""Fork, other processes, and the end of the interpreter."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import textwrap

import pytest

from conftest import MIB, content
from mooncake_files.store import MooncakeDistributedStore, last_error

LIMIT = 120
BEGIN = """
import os, sys, threading, time
from mooncake_files.store import MooncakeDistributedStore
store = MooncakeDistributedStore()
assert store.setup("localhost", "P2PHANDSHAKE", 64 << 20, 16 << 20, "tcp", "", "") == 0
"""

FORKS_FIRST = """
import os, sys
from mooncake_files.store import MooncakeDistributedStore

def uses_a_store(key):
    store = MooncakeDistributedStore()
    return (
        store.setup("localhost", "P2PHANDSHAKE", 16 << 20, 16 << 20, "tcp", "", "") == 0
        and store.put(key, b"value") == 0
        and store.get(key) == b"value"
    )

child = os.fork()
if child == 0:
    print(uses_a_store("child"), flush=True)
    sys.exit(7)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(uses_a_store("parent"), status)
"""


def start(text, **options):
    return subprocess.Popen(
        [sys.executable, "-c", BEGIN + textwrap.dedent(text)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def run(text):
    process = start(text)
    output, errors = process.communicate(timeout=LIMIT)
    return process.returncode, output, errors


def scratch_files(folder):
    return [name for name in os.listdir(folder) if name.startswith("mooncake-scratch-")]


def in_child(work):
    """What work() gives in a forked child of this process, 0 to 255."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(work())
        finally:
            os._exit(255)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


# --- fork


def test_in_a_forked_child_a_store_is_not_set_up(store):
    assert store.put("key", content("key", MIB)) == 0
    handle = store.get_buffer("key")

    def work():
        good = store.get("key") == b"" and store.put("other", b"value") == -600
        good = good and store.health_check() == 1 and store.get_hostname() == ""
        good = good and bytes(handle) == content("key", MIB)
        return 0 if good and store.close() == 0 else 1

    assert in_child(work) == 0
    assert store.get("key") == content("key", MIB)
    assert store.put("other", b"value") == 0


def test_a_forked_child_cannot_set_up_its_own(store, folder):
    def work():
        other = MooncakeDistributedStore()
        for one in (store, other):
            if one.setup("localhost", "P2PHANDSHAKE", 16 << 20, 1 << 20, "tcp", "", "") != -600:
                return 1
        return 0 if "spawn" in last_error() and store.put("own", b"value") == -600 else 2

    assert in_child(work) == 0
    assert len(scratch_files(folder)) == 1
    assert store.put("key", b"value") == 0
    assert store.get("key") == b"value"


def test_a_child_that_was_forked_before_sets_up_its_own(folder):
    process = subprocess.run(
        [sys.executable, "-c", FORKS_FIRST], capture_output=True, text=True, timeout=LIMIT
    )
    assert process.stdout == "True\nTrue 7\n", process.stderr
    assert scratch_files(folder) == []


def test_a_forked_child_drops_the_store(folder):
    stores = [MooncakeDistributedStore()]
    assert stores[0].setup("localhost", "P2PHANDSHAKE", 1, MIB, "tcp", "", "") == 0

    def work():
        stores.clear()
        return 0

    assert in_child(work) == 0
    assert len(scratch_files(folder)) == 1
    assert stores[0].put("key", b"value") == 0
    assert stores[0].close() == 0


def test_a_forked_child_that_ends_by_itself_leaves_its_parent_alone(folder):
    code, output, errors = run(
        """
        assert store.put("key", b"value") == 0
        calls = threading.Thread(target=lambda: [store.get("key") for _ in range(2000)])
        calls.start()
        children = []
        for _ in range(5):
            child = os.fork()
            if child == 0:
                sys.exit(7)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        calls.join()
        print(codes, store.get("key"))
        """
    )
    assert (code, output) == (0, "[7, 7, 7, 7, 7] b'value'\n"), errors
    assert scratch_files(folder) == []


def _of_a_process(queue, folder, name):
    os.environ["MC_STORE_DIRECTORY"] = folder + "/" + name + ".db"
    store = MooncakeDistributedStore()
    code = store.setup("localhost", "P2PHANDSHAKE", 16 * MIB, MIB, "tcp", "", "")
    queue.put((code, store.put(name, b"value"), store.get(name)))


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_multiprocessing(store, folder, method):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    processes = [
        context.Process(target=_of_a_process, args=(queue, folder, "%s%d" % (method, i)))
        for i in range(2)
    ]
    for process in processes:
        process.start()
    assert [queue.get(timeout=LIMIT) for _ in processes] == [(0, 0, b"value")] * 2
    for process in processes:
        process.join(LIMIT)
        assert process.exitcode == 0
    assert store.put("key", b"value") == 0


# --- the end of the interpreter


@pytest.mark.parametrize(
    "end, code",
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("raise ValueError", 1),
        ("del store", 0),
        ("store.keep = store", 0),
        ("sys.modules['__main__'].handle = store.get_buffer('key')", 0),
    ],
)
def test_an_end_without_close(folder, end, code):
    found, _, errors = run("assert store.put('key', b'value') == 0\n" + end)
    assert found == code, errors
    assert scratch_files(folder) == []


def test_an_end_with_daemon_threads_in_calls(folder):
    code, output, errors = run(
        """
        value = bytes(1 << 20)
        def work(thread):
            for i in range(10 ** 9):
                store.put("%d/%d" % (thread, i), value)
                store.get("%d/%d" % (thread, i))
        for thread in range(6):
            threading.Thread(target=work, args=(thread,), daemon=True).start()
        while store.is_exist("3/5") != 1:
            pass
        print("ends", flush=True)
        """
    )
    assert (code, output) == (0, "ends\n"), errors
    assert "terminate" not in errors and "Fatal" not in errors
    assert scratch_files(folder) == []


def test_a_store_cannot_be_set_up_at_the_end(folder):
    code, output, errors = run(
        """
        class AtTheEnd:
            def __del__(self):
                print(store.put("key", b"value"), store.get("key"), flush=True)
                print(store.setup("localhost", "P2PHANDSHAKE", 1, 1, "tcp", "", ""), flush=True)
        sys.modules["kept"] = AtTheEnd()
        """
    )
    assert (code, output) == (0, "-600 b''\n-600\n"), errors
    assert scratch_files(folder) == []


IN_SETUP = """
import os, sys, threading, time
from mooncake_files.store import MooncakeDistributedStore

store = MooncakeDistributedStore()
arguments = ("localhost", "http://127.0.0.1:%s/metadata" % sys.argv[1], 0, 0, "tcp", "", "")
caller = threading.Thread(target=store.setup, args=arguments, daemon=True)
caller.start()

class AtTheEnd:
    # Late: the interpreter waits here for the thread, if nobody has waited for it before.
    def __del__(self, exists=os.path.exists, sleep=time.sleep, clock=time.monotonic,
                thread="/proc/self/task/%d" % caller.native_id, until=time.monotonic() + 60):
        while exists(thread) and clock() < until:
            sleep(0.01)

sys.modules["kept"] = AtTheEnd()
sys.stdin.readline()
print("ends", flush=True)
"""


def test_an_end_while_a_daemon_thread_sets_a_store_up():
    """A thread that comes back into an interpreter that ends would end the process in the wrong way."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = subprocess.Popen(
            [sys.executable, "-c", IN_SETUP, str(silent.getsockname()[1])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        silent.settimeout(LIMIT)
        connection, _ = silent.accept()
        with connection:
            process.stdin.write("go on\n")
            process.stdin.flush()
            assert process.stdout.readline() == "ends\n"
    # Now it is told that nobody is there.
    _, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, errors
    assert "terminate" not in errors and "Fatal" not in errors


@pytest.mark.parametrize("call", ["store.put('key%d' % i, value)", "store.batch_is_exist(keys)"])
def test_control_c_in_a_call(folder, call):
    process = start(
        """
        value = bytes(16 << 20)
        keys = ["key%%d" %% i for i in range(20000)]
        print("begins", flush=True)
        for i in range(10 ** 9):
            %s
        """
        % call
    )
    assert process.stdout.readline() == "begins\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=LIMIT)
    assert process.returncode in (-signal.SIGINT, 130), errors
    assert "KeyboardInterrupt" in errors
    assert scratch_files(folder) == []


def test_what_a_killed_process_has_left_goes(folder, new_store):
    process = start("print('begins', flush=True)\ntime.sleep(1000)", stdin=subprocess.PIPE)
    assert process.stdout.readline() == "begins\n"
    assert len(scratch_files(folder)) == 1
    process.kill()
    process.communicate(timeout=LIMIT)
    left = scratch_files(folder)
    assert len(left) == 1
    # One that was just made may be that of a process that starts at this moment.
    os.utime(os.path.join(folder, left[0]), (0, 0))
    store = new_store()
    assert store.setup("localhost", "P2PHANDSHAKE", 16 * MIB, MIB, "tcp", "", "") == 0
    assert len(scratch_files(folder)) == 1
    assert scratch_files(folder) != left
