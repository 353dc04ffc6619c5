# SPDX-License-Identifier: Apache-2.0
"""Many threads on one store, and asyncio."""

import asyncio
import itertools
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import MIB, address_of, content
from mooncake_files.async_store import MooncakeDistributedStoreAsync
from mooncake_files.store import MooncakeDistributedStore


def test_eight_threads(new_store):
    store = new_store()
    assert store.setup("localhost", "P2PHANDSHAKE", 256 * MIB, 64 * MIB, "tcp", "", "") == 0

    def work(thread):
        memory = bytearray(MIB)
        at = address_of(memory)
        for i in range(10):
            key = "%d/%d" % (thread, i)
            memory[:] = content(key, MIB)
            if store.put_from(key, at, MIB) != 0:
                return key
            memory[:] = bytes(MIB)
            if store.get_into(key, at, MIB) != MIB or memory != content(key, MIB):
                return key
            if store.get(key) != content(key, MIB):
                return key
        return None

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [None] * 8
    keys = ["%d/%d" % (thread, i) for thread in range(8) for i in range(10)]
    assert store.batch_is_exist(keys) == [1] * 80


def test_ranges_of_an_object_that_others_replace(store):
    """It may grow between the question for its size and its reading."""
    small, large = b"s" * 100, b"l" * 20000
    assert store.upsert("key", small) == 0
    stop = threading.Event()

    def replace():
        while not stop.is_set():
            assert store.upsert("key", large) == 0
            assert store.upsert("key", small) == 0

    memory = bytearray(10)
    with ThreadPoolExecutor(1) as pool:
        replaced = pool.submit(replace)
        try:
            for _ in range(300):
                found = store.get_into_ranges([address_of(memory)], [["key"]], [[[0]]], [[[5]]], [[[10]]])
                assert found == [[[10]]]
                assert memory in (small[:10], large[:10])
        finally:
            stop.set()
        replaced.result()


# A call of each kind; each is made again and again.
WAITS = {
    "put": lambda store, at, i: store.put("put%d" % i, b"value"),
    "put_from": lambda store, at, i: store.put_from("from%d" % i, at, MIB),
    "get": lambda store, at, i: store.get("key"),
    "get_buffer": lambda store, at, i: store.get_buffer("key"),
    "get_into": lambda store, at, i: store.get_into("key", at, MIB),
    "get_into_ranges": lambda store, at, i: store.get_into_ranges(
        [at], [["key"]], [[[0]]], [[[0]]], [[[100]]]
    ),
    "is_exist": lambda store, at, i: store.is_exist("none"),
    "batch_is_exist": lambda store, at, i: store.batch_is_exist(["none%d" % j for j in range(100)]),
    "get_replica_desc": lambda store, at, i: store.get_replica_desc("key"),
    "batch_get_replica_desc": lambda store, at, i: store.batch_get_replica_desc(["key"]),
    "register_buffer": lambda store, at, i: store.register_buffer(at, 100),
    "unregister_buffer": lambda store, at, i: store.unregister_buffer(at),
    "health_check": lambda store, at, i: store.health_check(),
    "metrics": lambda store, at, i: store.metrics(),
    "setup": lambda store, at, i: MooncakeDistributedStore().setup_with_files(
        "localhost", "P2PHANDSHAKE", ["/does/not/exist"]
    ),
}


@pytest.mark.parametrize("name", WAITS)
def test_other_threads_run_while_one_waits(store, name):
    assert store.put("key", bytes(MIB)) == 0
    assert runs_beside(lambda i, at: WAITS[name](store, at, i))


def test_other_threads_run_while_a_file_is_mounted_and_unmounted(store, make_file):
    path = make_file("more")

    def mount(*_):
        assert store.mount_file_segment(path) == 0

    def unmount(*_):
        assert store.unmount_file_segment(path) == 0

    assert runs_beside(mount, after=unmount)
    # It is mounted now.
    assert runs_beside(unmount, after=mount)


def test_other_threads_run_while_one_closes(new_store):
    stores = []
    for _ in range(4):
        stores.append(new_store())
        assert stores[-1].setup("localhost", "P2PHANDSHAKE", 0, 0, "tcp", "", "") == 0
    assert runs_beside(lambda i, at: stores.pop().close() if stores else None)


def runs_beside(call, after=lambda: None):
    """Whether another thread has a turn within one of the calls, call(i, address of 1 MiB)."""
    turns = 0
    stop = threading.Event()

    def count():
        nonlocal turns
        while not stop.is_set():
            turns += 1
            time.sleep(0.0001)

    memory = bytearray(MIB)
    interval = sys.getswitchinterval()
    moved = False
    with ThreadPoolExecutor(1) as pool:
        pool.submit(count)
        try:
            # Nobody is interrupted: another thread has a turn only where this one gives the GIL back.
            sys.setswitchinterval(1000)
            until = time.monotonic() + 20
            for i in itertools.count():
                before = turns
                call(i, address_of(memory))
                moved = turns != before
                if moved or time.monotonic() > until:
                    break
                after()
        finally:
            sys.setswitchinterval(interval)
            stop.set()
    return moved


@pytest.mark.parametrize("threads, times", [(4, 5), (64, 1)])
def test_close_while_others_call(new_store, threads, times):
    for _ in range(times):
        store = new_store()
        assert store.setup("localhost", "P2PHANDSHAKE", 64 * MIB, 16 * MIB, "tcp", "", "") == 0
        begun = threading.Barrier(threads + 1)

        def work(thread):
            begun.wait()
            codes = set()
            for i in range(10_000):
                code = store.put("%d/%d" % (thread, i), content("key", 5000))
                codes.add(code)
                if code != 0:
                    break
            return codes

        with ThreadPoolExecutor(threads) as pool:
            calls = [pool.submit(work, thread) for thread in range(threads)]
            begun.wait()
            assert store.close() == 0
            # What was under way has ended well, or has found the store closed.
            for call in calls:
                assert call.result() <= {0, -600, -1010}
                assert call.result() != {0}


def test_setup_by_two_threads(new_store):
    store = new_store()
    begun = threading.Barrier(2)

    def setup():
        begun.wait()
        return store.setup("localhost", "P2PHANDSHAKE", 16 * MIB, MIB, "tcp", "", "")

    with ThreadPoolExecutor(2) as pool:
        codes = sorted(call.result() for call in [pool.submit(setup), pool.submit(setup)])
    assert codes == [-600, 0]
    assert store.put("key", b"value") == 0


def test_asyncio(folder):
    async def work():
        store = MooncakeDistributedStoreAsync()
        assert (
            await store.async_setup("localhost", "P2PHANDSHAKE", 64 * MIB, 16 * MIB, "tcp", "", "")
            == 0
        )
        codes = await asyncio.gather(
            *(store.async_put("key%d" % i, content("key%d" % i, 10_000)) for i in range(20))
        )
        assert codes == [0] * 20
        values = await asyncio.gather(*(store.async_get("key%d" % i) for i in range(20)))
        assert values == [content("key%d" % i, 10_000) for i in range(20)]
        assert await store.async_is_exist(key="key0") == 1
        assert await store.async_put_parts("parts", b"a", b"b") == 0
        assert store.get("parts") == b"ab"
        assert await store.async_close() == 0
        assert await store.async_get("key0") == b""

    asyncio.run(work())


def test_the_async_store_has_every_method():
    for name in dir(MooncakeDistributedStore):
        if not name.startswith("_"):
            assert hasattr(MooncakeDistributedStoreAsync, "async_" + name)


def test_to_thread_with_a_time_out(store):
    assert store.put("key", content("key", MIB)) == 0

    async def work():
        memory = bytearray(MIB)
        into = asyncio.to_thread(store.batch_get_into, ["key"], [address_of(memory)], [MIB])
        assert await asyncio.wait_for(into, 60) == [MIB]
        assert memory == content("key", MIB)

    asyncio.run(work())


def test_a_time_out_ends_the_waiting_and_not_the_call(store):
    assert store.put("key", content("key", MIB)) == 0
    memory = bytearray(MIB)
    begins, goes_on, ended = threading.Event(), threading.Event(), threading.Event()
    results = []

    def get():
        begins.set()
        goes_on.wait()
        results.append(store.batch_get_into(["key"], [address_of(memory)], [MIB]))
        ended.set()

    async def work():
        waiting = asyncio.create_task(asyncio.to_thread(get))
        await asyncio.to_thread(begins.wait)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(waiting, 0.001)
        goes_on.set()
        await asyncio.to_thread(ended.wait)

    asyncio.run(work())
    assert results == [[MIB]]
    assert memory == content("key", MIB)
    assert store.close() == 0
