# SPDX-License-Identifier: Apache-2.0
"""Many threads on one store, and asyncio."""

import asyncio
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

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


def test_other_threads_run_while_one_waits(store):
    turns = 0
    stop = threading.Event()

    def count():
        nonlocal turns
        while not stop.is_set():
            turns += 1
            time.sleep(0.0001)

    memory = bytearray(8 * MIB)
    interval = sys.getswitchinterval()
    # Nobody is interrupted: another thread has a turn only where this one gives the GIL back.
    sys.setswitchinterval(1000)
    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(count)
            moved = 0
            for i in range(20):
                before = turns
                code = store.put_from("key%d" % i, address_of(memory), len(memory))
                moved += turns - before
                assert code == 0
            stop.set()
    finally:
        sys.setswitchinterval(interval)
    assert moved > 0


def test_close_while_others_call(new_store):
    for _ in range(5):
        store = new_store()
        assert store.setup("localhost", "P2PHANDSHAKE", 64 * MIB, 16 * MIB, "tcp", "", "") == 0
        begun = threading.Barrier(5)

        def work(thread):
            begun.wait()
            codes = set()
            for i in range(10_000):
                code = store.put("%d/%d" % (thread, i), content("key", 5000))
                codes.add(code)
                if code != 0:
                    break
            return codes

        with ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(work, thread) for thread in range(4)]
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
