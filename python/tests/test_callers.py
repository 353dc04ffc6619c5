# SPDX-License-Identifier: Apache-2.0
"""Programs that call the store as its known callers do: in their order, with their arguments, their
buffers, and reading the results their way."""

import asyncio
import ctypes
import hashlib
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest

from conftest import MIB, content
from mooncake_files.store import MooncakeDistributedStore, ReplicateConfig


def numpy_pool(size, offset=0):
    """As a pinned pool that a tensor library has made: one range, from any address."""
    memory = numpy.zeros(size + offset, dtype=numpy.uint8)
    return memory[offset:], memory.ctypes.data + offset


class LMCache:
    """A connector with one pool of pinned memory for all chunks, on asyncio."""

    LIMIT = 100  # seconds; here a loaded machine does not decide

    def __init__(self, pool_size):
        self.store = MooncakeDistributedStore()
        self.store.setup(
            "localhost", "P2PHANDSHAKE", 256 * MIB, 64 * MIB, "tcp", "", ""
        )  # its result is not looked at
        self.pool, self.base = numpy_pool(pool_size, 36)
        assert self.store.register_buffer(self.base, pool_size) == 0
        self.config = ReplicateConfig()
        self.config.replica_num = 1
        self.config.preferred_segment = self.store.get_hostname()

    @staticmethod
    def key(chunk):
        return "vllm@meta-llama/Llama-3.1-8B@1@0@" + hashlib.sha256(chunk).hexdigest()

    async def call(self, method, *args):
        return await asyncio.wait_for(asyncio.to_thread(method, *args), self.LIMIT)

    async def put_chunk(self, key, offset, size):
        return await self.call(
            self.store.put_from, key, self.base + offset, size, self.config
        )

    async def put_with_header(self, key, header, data):
        return await asyncio.wait_for(
            asyncio.to_thread(lambda: self.store.put_parts(key, header, data)), self.LIMIT
        )

    async def lookup(self, keys):
        """How many of the first ones are there; an error counts as being there."""
        found = await self.call(self.store.batch_is_exist, keys)
        return next((i for i, there in enumerate(found) if not there), len(keys))

    async def get_chunks(self, keys, offsets, sizes):
        got = await self.call(
            self.store.batch_get_into, keys, [self.base + at for at in offsets], sizes
        )
        return [bytes(self.pool[at : at + n]) if n > 0 else None for at, n in zip(offsets, got)]

    def close(self):
        assert self.store.unregister_buffer(self.base) == 0
        self.store.close()


def test_lmcache():
    sizes = [MIB, MIB, MIB, 300_000]  # the last chunk is a part of one
    offsets = [0, MIB, 2 * MIB, 3 * MIB]
    data = [content("chunk%d" % i, size) for i, size in enumerate(sizes)]
    keys = [LMCache.key(chunk) for chunk in data]

    async def work():
        connector = LMCache(8 * MIB)
        assert not bool(connector.store.is_exist(keys[0]))
        for chunk, at, size, key in zip(data, offsets, sizes, keys):
            connector.pool[at : at + size] = numpy.frombuffer(chunk, dtype=numpy.uint8)
            assert await connector.put_chunk(key, at, size) == 0
        assert bool(connector.store.is_exist(keys[0]))
        assert await connector.lookup([*keys, "vllm@m@1@0@none"]) == 4
        connector.pool[:] = 0
        # Room for whole chunks: the result says how much of it the last one has.
        got = await connector.get_chunks([*keys, "vllm@m@1@0@none"], [*offsets, 5 * MIB], [MIB] * 5)
        assert got == [*data, None]
        header = struct.pack("<7I", 1, 2, 3, 4, 5, 6, 7)
        assert await connector.put_with_header("with-header", header, memoryview(data[3])) == 0
        (handle,) = connector.store.batch_get_buffer(["with-header"])
        view = memoryview(handle)
        assert bytes(view[:28]) == header and bytes(view[28:]) == data[3]
        assert connector.store.batch_get_buffer(["none"]) == [None]
        connector.close()

    asyncio.run(work())


class SGLang:
    """HiCache: pages of a host pool, keys and values apart, existence asked before each put."""

    OPTIONAL = {
        "enable_client_http_server": False,
        "client_http_port": 9300,
        "enable_ssd_offload": False,
        "ssd_offload_path": "",
        "tenant_id": "default",
        "a_keyword_of_tomorrow": 1,
    }

    def __init__(self, pages, page_size):
        self.store = MooncakeDistributedStore()
        optional = dict(self.OPTIONAL)
        while True:
            try:
                code = self.store.setup(
                    "localhost", "P2PHANDSHAKE", 128 * MIB, 16 * MIB, "tcp", "", "", None, **optional
                )
                break
            except TypeError as error:
                refused = [name for name in optional if name in str(error)]
                if not refused:
                    raise
                for name in refused:
                    del optional[name]
        assert code == 0
        self.kept = optional
        self.page_size = page_size
        self.pool, self.base = numpy_pool(2 * pages * page_size)
        assert self.store.register_buffer(self.base, self.pool.nbytes) == 0
        self.warm_up()

    def warm_up(self):
        value = bytes(4096)
        for _ in range(10):
            if self.store.put("sglang_warm_up", value) == 0:
                break
        assert self.store.is_exist("sglang_warm_up") == 1
        assert self.store.get("sglang_warm_up") == value

    def places(self, pages):
        keys, addresses = [], []
        for page in pages:
            name = hashlib.sha256(b"%d" % page).hexdigest()
            for half, suffix in enumerate("kv"):
                keys.append("tag_%s_0_%s" % (name, suffix))
                addresses.append(self.base + (2 * page + half) * self.page_size)
        return keys, addresses, [self.page_size] * len(keys)

    def batch_set(self, pages):
        keys, addresses, sizes = self.places(pages)
        there = self.store.batch_is_exist(keys)
        new = [i for i, exists in enumerate(there) if exists != 1]
        results = [0] * len(keys)
        codes = self.store.batch_put_from(
            [keys[i] for i in new], [addresses[i] for i in new], [sizes[i] for i in new]
        )
        for i, code in zip(new, codes):
            results[i] = code
        return [results[2 * i] == 0 and results[2 * i + 1] == 0 for i in range(len(pages))]

    def batch_get(self, pages):
        got = self.store.batch_get_into(*self.places(pages))
        return [got[2 * i] > 0 and got[2 * i + 1] > 0 for i in range(len(pages))]


def test_sglang():
    hicache = SGLang(pages=160, page_size=40_960)
    assert "a_keyword_of_tomorrow" not in hicache.kept
    pages = list(range(128))
    fill = numpy.frombuffer(content("pool", hicache.pool.nbytes), dtype=numpy.uint8)
    hicache.pool[:] = fill
    assert all(hicache.batch_set(pages))
    assert all(hicache.batch_set(pages))
    hicache.pool[:] = 0
    got = hicache.batch_get(list(range(130)))
    assert got == [True] * 128 + [False] * 2
    size = 128 * 2 * hicache.page_size
    assert (hicache.pool[:size] == fill[:size]).all()
    config = ReplicateConfig()
    if hasattr(config, "group_ids"):
        config.group_ids = ["group"]
    keys, addresses, sizes = hicache.places([150])
    assert hicache.store.batch_put_from_multi_buffers(
        ["two-halves"], [addresses], [sizes], config
    ) == [0]
    assert hicache.store.batch_get_into_multi_buffers(["two-halves"], [addresses], [sizes]) == [
        2 * hicache.page_size
    ]
    assert hicache.store.remove_all() == 2 * 128 + 2
    # It never closes.


class VLLM:
    """The store connector's worker: a block is a key, its layers are buffers."""

    def __init__(self, layers, blocks, piece):
        self.store = MooncakeDistributedStore()
        code = self.store.setup("localhost", "P2PHANDSHAKE", 128 * MIB, 16 * MIB, "tcp", "", "")
        assert code == 0
        self.layers = [numpy_pool(blocks * piece, 8 * i) for i in range(layers)]
        self.piece = piece
        for memory, base in self.layers:
            assert self.store.register_buffer(base, memory.nbytes) == 0
        self.config = ReplicateConfig()
        self.config.preferred_segment = self.store.get_hostname()

    @staticmethod
    def key(block):
        name = hashlib.sha256(b"block%d" % block).hexdigest()
        return "model@tp_rank:0@pcp0@dcp0@pp_rank:0@group:0@" + name

    def lists(self, blocks):
        addresses = [[base + block * self.piece for _, base in self.layers] for block in blocks]
        return [self.key(b) for b in blocks], addresses, [[self.piece] * len(self.layers)] * len(blocks)


def test_vllm():
    worker = VLLM(layers=16, blocks=40, piece=12_345)
    fills = []
    for i, (memory, _) in enumerate(worker.layers):
        fills.append(numpy.frombuffer(content("layer%d" % i, memory.nbytes), dtype=numpy.uint8))
        memory[:] = fills[-1]
    keys, addresses, sizes = worker.lists(range(32))
    codes = worker.store.batch_put_from_multi_buffers(keys, addresses, sizes, worker.config)
    assert codes == [0] * 32
    for memory, _ in worker.layers:
        memory[:] = 0
    more = worker.lists(range(33))
    got = worker.store.batch_get_into_multi_buffers(*more)
    assert got == [16 * worker.piece] * 32 + [-704]
    for (memory, _), fill in zip(worker.layers, fills):
        assert (memory[: 32 * worker.piece] == fill[: 32 * worker.piece]).all()
    # Looked up by tens of thousands.
    many = [worker.key(block) for block in range(20_000)]
    assert worker.store.batch_is_exist(many) == [1] * 32 + [0] * 19_968
    tiers = worker.store.batch_get_replica_desc(more[0])
    assert set(tiers) == set(keys)
    assert not any(copy.is_memory_replica() for copies in tiers.values() for copy in copies)
    assert worker.store.remove_all(force=True) == 32
    assert worker.store.close() == 0


def test_vllm_without_room():
    """-200 is what it backs off from."""
    store = MooncakeDistributedStore()
    assert store.setup("localhost", "P2PHANDSHAKE", 0, 16 * MIB, "tcp", "", "") == 0
    memory, base = numpy_pool(4096)
    assert store.batch_put_from_multi_buffers(["key"], [[base]], [[4096]]) == [-200]
    assert store.close() == 0


def test_old_vllm(store):
    """Whole tensors as bytes; what is falsy is a miss."""
    value = content("kv", 100_000)
    assert not store.get("key")
    store.put("key", value)
    assert store.get("key") == value


def test_vllm_ascend():
    """Reads the signature, sets up by keywords, and keeps what it stores on its own node."""
    text = MooncakeDistributedStore.setup.__doc__
    supported = "enable_ssd_offload" in text
    store = MooncakeDistributedStore()
    arguments = dict(
        local_hostname="localhost", metadata_server="P2PHANDSHAKE", global_segment_size=64 * MIB,
        local_buffer_size=0, protocol="tcp", rdma_devices="", master_server_addr="", engine=None,
    )  # fmt: skip
    if supported:
        arguments["enable_ssd_offload"] = False
    assert store.setup(**arguments) == 0
    memory, base = numpy_pool(60_000, 4)
    fill = numpy.frombuffer(content("layers", 60_000), dtype=numpy.uint8)
    memory[:] = fill
    assert store.register_buffer(base, memory.nbytes) == 0
    keys = ["block%d" % i for i in range(3)]
    addresses = [[base + 20_000 * i, base + 20_000 * i + 10_000] for i in range(3)]
    sizes = [[10_000, 10_000]] * 3
    config = ReplicateConfig()
    config.prefer_alloc_in_same_node = True
    assert store.batch_is_exist(keys) == [0, 0, 0]
    assert store.batch_put_from_multi_buffers(keys, addresses, sizes, config) == [0, 0, 0]
    assert store.batch_is_exist(keys) == [1, 1, 1]
    memory[:] = 0
    assert store.batch_get_into_multi_buffers(keys, addresses, sizes, True) == [20_000] * 3
    assert (memory == fill).all()
    assert store.close() == 0


def test_setup_of_a_dict_and_plain_calls():
    """As Dynamo, TransferQueue and others do."""
    store = MooncakeDistributedStore()
    config = {
        "local_hostname": "localhost",
        "metadata_server": "P2PHANDSHAKE",
        "global_segment_size": str(64 * MIB),
        "local_buffer_size": "16MB",
        "protocol": "tcp",
        "rdma_devices": "",
        "master_server_addr": "",
    }
    assert store.setup(config) == 0
    keys = ["sample/%d" % i for i in range(300)]
    assert store.put_batch(keys, [content(key, 2000) for key in keys]) == 0
    assert store.get_batch(keys) == [content(key, 2000) for key in keys]
    buffer = (ctypes.c_char * 2000)()
    assert store.get_into(keys[7], ctypes.addressof(buffer), 2000) == 2000
    assert bytes(buffer) == content(keys[7], 2000)
    assert store.batch_remove(keys) == [0] * 300
    assert store.close() == 0


@pytest.mark.parametrize("key", [b"\x00" * 16 + b"-0-1", bytes(range(240, 256)) + b"-7-3"])
def test_keys_of_raw_hashes(store, key):
    assert store.put(key, b"value") == 0
    assert store.batch_is_exist([key]) == [1]


def test_several_hundred_keys_by_eight_threads(new_store):
    store = new_store()
    assert store.setup("localhost", "P2PHANDSHAKE", 256 * MIB, 16 * MIB, "tcp", "", "") == 0

    def work(thread):
        count, size = 300, 5000
        memory, base = numpy_pool(count * size, thread)
        keys = ["%d/%d" % (thread, i) for i in range(count)]
        addresses = [base + i * size for i in range(count)]
        fill = numpy.frombuffer(content("t%d" % thread, count * size), dtype=numpy.uint8)
        memory[:] = fill
        if store.batch_put_from(keys, addresses, [size] * count) != [0] * count:
            return "put"
        memory[:] = 0
        if store.batch_get_into(keys, addresses, [size] * count) != [size] * count:
            return "get"
        return None if (memory == fill).all() else "bytes"

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [None] * 8
