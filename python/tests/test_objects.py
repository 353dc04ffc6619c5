# SPDX-License-Identifier: Apache-2.0
"""What the calls take, give and do."""

import array
import os
import re

import numpy
import pytest

from conftest import MIB, address_of, content
from mooncake_files.store import ReplicateConfig, ReplicaStatus, last_error

INVALID = -600
NOT_FOUND = -704


def pool(size):
    memory = bytearray(size)
    return memory, address_of(memory)


# --- put and get


@pytest.mark.parametrize("size", [1, 100, 4096, 5000, MIB, 5 * MIB + 3])
def test_bytes_come_back(store, size):
    assert store.put("key", content("key", size)) == 0
    assert store.get("key") == content("key", size)
    assert store.get_size("key") == size
    assert store.is_exist("key") == 1


def test_the_bytes_lie_in_the_file_that_the_replica_names(new_store, make_file):
    path = make_file("one", 33 * MIB)  # regions of 4 MiB behind a header of 1 MiB
    store = new_store()
    assert store.setup_with_files("localhost", "P2PHANDSHAKE", [path]) == 0
    data = content("key", 3 * MIB)
    assert store.put("key", data) == 0
    (replica,) = store.get_replica_desc("key")
    found = b""
    with open(path, "rb") as file:
        for extent in replica.extents:
            file.seek(MIB + extent.region * 4 * MIB + extent.offset)
            found += file.read(extent.length)
    assert found == data
    assert replica.status == ReplicaStatus.COMPLETE
    assert replica.segment.rpartition(":")[2] == store.get_hostname().rpartition(":")[2]
    assert replica.is_disk_replica() and not replica.is_memory_replica()
    assert not replica.is_local_disk_replica()


@pytest.mark.parametrize(
    "value",
    [
        b"some bytes",
        bytearray(b"some bytes"),
        memoryview(b"some bytes"),
        array.array("d", [1.5, 2.5]),
        numpy.arange(24, dtype=numpy.float32).reshape(2, 3, 4),
    ],
)
def test_any_contiguous_buffer_is_a_value(store, value):
    assert store.put("key", value) == 0
    assert store.get("key") == bytes(memoryview(value).cast("B"))


@pytest.mark.parametrize("value", ["text", 7, None, [1, 2]])
def test_what_is_no_buffer_is_a_type_error(store, value):
    with pytest.raises(TypeError):
        store.put("key", value)


def test_what_is_not_contiguous_is_an_error(store):
    with pytest.raises((ValueError, BufferError)):
        store.put("key", numpy.arange(10)[::2])
    assert store.is_exist("key") == 0


def test_a_key_that_is_there_stays(store):
    assert store.put("key", b"first") == 0
    assert store.put("key", b"second") == 0
    assert store.get("key") == b"first"
    assert store.upsert("key", b"the third one") == 0
    assert store.get("key") == b"the third one"
    assert store.get_size("key") == 13


@pytest.mark.parametrize("key", ["straße/\N{SNOWMAN}", b"\x00\xff binary \x80", "k" * 4096])
def test_keys_are_text_and_any_bytes(store, key):
    assert store.put(key, b"value") == 0
    assert store.get(key) == b"value"
    assert store.batch_is_exist([key, "other"]) == [1, 0]
    assert list(store.batch_get_replica_desc([key, "other"])) == [key]
    assert store.remove(key) == 0


@pytest.mark.parametrize("key", ["", "k" * 4097])
def test_keys_that_cannot_be(store, key):
    assert store.put(key, b"value") == INVALID
    assert store.get(key) == b""
    memory, at = pool(10)
    assert store.get_into(key, at, 10) == INVALID
    assert store.put_from(key, at, 10) == INVALID


def test_text_and_its_bytes_are_one_key(store):
    assert store.put("straße", b"value") == 0
    assert store.get("straße".encode()) == b"value"


def test_misses(store):
    memory, at = pool(8)
    assert store.get("none") == b""
    assert store.get_batch(["none", "neither"]) == [b"", b""]
    assert store.get_buffer("none") is None
    assert store.batch_get_buffer(["none"]) == [None]
    assert store.get_into("none", at, 8) == NOT_FOUND
    assert store.get_size("none") == NOT_FOUND
    assert store.is_exist("none") == 0
    assert store.remove("none") == NOT_FOUND
    assert store.get_replica_desc("none") == []


def test_nothing_is_no_value(store):
    memory, at = pool(8)
    assert store.put("key", b"") == INVALID
    assert store.put_parts("key") == 0
    assert store.put_parts("key", b"", b"") == 0
    assert store.put_from("key", at, 0) == 0
    assert store.batch_put_from(["key", "other"], [at, at], [0, 8]) == [INVALID, 0]
    assert store.is_exist("key") == 0


def test_what_is_larger_than_the_local_buffer_is_not_copied(new_store):
    store = new_store()
    assert store.setup("localhost", "P2PHANDSHAKE", 64 * MIB, MIB, "tcp", "", "") == 0
    large = bytearray(content("key", 2 * MIB))
    assert store.put("key", large) == INVALID
    assert store.put_parts("key", large) == INVALID
    assert store.put_batch(["key"], [large]) == INVALID
    assert store.put_from("key", address_of(large), len(large)) == 0
    assert store.get("key") == b""
    assert store.get_batch(["key"]) == [b""]
    assert store.get_buffer("key") is None
    memory, at = pool(2 * MIB)
    assert store.get_into("key", at, 2 * MIB) == 2 * MIB
    assert memory == large


# --- parts and batches


def test_parts_are_one_object(store):
    header, data = b"h" * 28, content("key", 5000)
    assert store.put_parts("key", header, data, config=ReplicateConfig()) == 0
    assert store.get("key") == header + data
    assert store.upsert_parts("key", data, bytearray(header)) == 0
    assert store.get("key") == data + header


def test_parts_have_one_dimension(store):
    with pytest.raises(RuntimeError, match="one dimension"):
        store.put_parts("key", numpy.zeros((2, 2), dtype=numpy.uint8))


def test_a_batch_of_values(store):
    keys = ["key%d" % i for i in range(10)]
    assert store.put_batch(keys, [content(key, 1000) for key in keys]) == 0
    assert store.get_batch(keys + ["none"]) == [content(key, 1000) for key in keys] + [b""]
    assert store.put_batch(["a", "b"], [b"only one"]) == INVALID
    assert store.put_batch([], []) == 0
    assert store.put_batch(["good", ""], [b"value", b"value"]) == INVALID
    assert store.get("good") == b"value"
    assert store.upsert_batch(["good"], [b"another"]) == 0
    assert store.get("good") == b"another"
    assert store.get_batch([]) == [b""]


def test_handles(store):
    data = content("key", 100_000)
    assert store.put("key", data) == 0
    handle = store.get_buffer("key")
    assert handle.size() == len(handle) == len(data)
    view = memoryview(handle)
    assert (view.format, view.ndim, view.readonly, bytes(view)) == ("c", 1, False, data)
    assert numpy.frombuffer(handle, dtype=numpy.uint8).ctypes.data == handle.ptr()
    one, none, other = store.batch_get_buffer(["key", "none", "key"])
    assert none is None
    assert bytes(one) == bytes(other) == data
    assert one.ptr() != other.ptr()
    assert store.batch_get_buffer([]) == []


def test_handles_take_room_and_outlive_the_store(new_store):
    store = new_store()
    assert store.setup("localhost", "P2PHANDSHAKE", 64 * MIB, 2 * MIB, "tcp", "", "") == 0
    data = content("key", MIB)
    assert store.put("key", data) == 0
    handles = store.batch_get_buffer(["key"] * 3)
    assert handles[2] is None
    assert store.get_buffer("key") is None
    assert bytes(handles[0]) == data
    del handles[0]
    again = store.get_buffer("key")
    assert store.close() == 0
    del store
    assert bytes(again) == bytes(handles[0]) == data


def test_from_and_into_addresses(store):
    size = 3 * MIB + 17
    source = bytearray(content("key", size))
    assert store.put_from("key", address_of(source), size) == 0
    memory, at = pool(size + 100)
    assert store.get_into("key", at, size + 100) == size
    assert memory[:size] == source
    assert memory[size:] == bytes(100)
    memory, at = pool(size)
    assert store.get_into("key", at, size - 1) == INVALID
    assert memory == bytes(size)
    assert store.get_into("key", 0, size) == INVALID
    assert store.put_from("other", 0, 10) == INVALID
    assert store.upsert_from("key", address_of(source), 10) == 0
    assert store.get("key") == source[:10]


def test_metadata_and_data_are_one_object(store):
    metadata, data = bytearray(content("m", 77)), bytearray(content("d", 9000))
    code = store.put_from_with_metadata("key", address_of(data), address_of(metadata), 9000, 77)
    assert code == 0
    assert store.get("key") == metadata + data


@pytest.mark.parametrize("offset", [0, 1, 3, 4, 512])
def test_batches_at_any_offset(store, offset):
    sizes = [1, 4096, 10_000, 65536, MIB]
    keys = ["k%d" % i for i in range(len(sizes))]
    source, begin = pool(2 * MIB + offset)
    places, at = [], offset
    for key, size in zip(keys, sizes):
        source[at : at + size] = content(key, size)
        places.append(at)
        at += size
    assert store.batch_put_from(keys, [begin + at for at in places], sizes) == [0] * 5
    memory, into = pool(len(source))
    found = store.batch_get_into(
        ["none", *keys], [into, *(into + at for at in places)], [10, *sizes]
    )
    assert found == [NOT_FOUND, *sizes]
    for key, at, size in zip(keys, places, sizes):
        assert memory[at : at + size] == content(key, size)


def test_lists_of_different_lengths(store):
    memory, at = pool(8)
    assert store.batch_put_from(["a", "b"], [at], [8, 8]) == [INVALID] * 2
    assert store.batch_put_from(["a", "b"], [at, at], [8]) == [INVALID] * 2
    assert store.batch_get_into(["a", "b"], [at, at], [8]) == [INVALID] * 2
    assert store.batch_put_from_multi_buffers(["a", "b"], [[at]], [[8]]) == [INVALID] * 2
    assert store.batch_get_into_multi_buffers(["a"], [], []) == [INVALID]
    assert store.batch_put_from_multi_buffers(["a", "b"], [[at], [at]], [[8], [8, 8]]) == [
        0,
        INVALID,
    ]
    for empty in ("batch_put_from", "batch_get_into", "batch_put_from_multi_buffers"):
        assert getattr(store, empty)([], [], []) == []
    assert store.batch_is_exist([]) == []
    assert store.batch_remove([]) == []


def test_the_last_of_a_key_that_is_there_twice_counts(store):
    memory = bytearray(b"first" + b"other")
    at = address_of(memory)
    assert store.batch_put_from(["key", "key"], [at, at + 5], [5, 5]) == [0, 0]
    assert store.get("key") == b"other"


def test_batch_upsert(store):
    memory = bytearray(b"first" + b"other")
    at = address_of(memory)
    assert store.batch_put_from(["key"], [at], [5]) == [0]
    assert store.batch_upsert_from(["key", "new"], [at + 5, at], [5, 5]) == [0, 0]
    assert store.get_batch(["key", "new"]) == [b"other", b"first"]


def test_many_buffers_of_an_object(store):
    layers = [bytearray(content("l%d" % i, 3000 + i)) for i in range(20)]
    addresses = [address_of(layer) for layer in layers]
    sizes = [len(layer) for layer in layers]
    assert store.batch_put_from_multi_buffers(["key"], [addresses], [sizes]) == [0]
    assert store.get("key") == b"".join(layers)
    back = [bytearray(size) for size in sizes]
    got = store.batch_get_into_multi_buffers(
        ["key", "none"], [[address_of(b) for b in back], addresses], [sizes, sizes], False
    )
    assert got == [sum(sizes), NOT_FOUND]
    assert back == layers


# --- ranges


def test_ranges(store):
    a, b = content("a", 10_000), content("b", 20_000)
    assert store.put_batch(["a", "b"], [a, b]) == 0
    first, second = bytearray(1000), bytearray(500)
    results = store.get_into_ranges(
        [address_of(first), address_of(second)],
        [["a", "b"], ["b", "none"]],
        [[[0, 300], [600]], [[10], [0]]],
        [[[5, 9900], [0]], [[19_900], [0]]],
        [[[200, 100], [400]], [[100], [1]]],
    )
    assert results == [[[200, 100], [400]], [[100], [NOT_FOUND]]]
    assert first[:200] == a[5:205]
    assert first[300:400] == a[9900:]
    assert first[600:] == b[:400]
    assert second[10:110] == b[19_900:]


def test_ranges_outside_of_the_object_or_the_registered_buffer(store):
    assert store.put("key", content("key", 1000)) == 0
    memory, at = pool(4096)
    assert store.register_buffer(at, 100) == 0
    results = store.get_into_ranges(
        [at],
        [["key"]],
        [[[0, 0, 50, 99, 100, 2**64 - 1]]],
        [[[0, 999, 0, 0, 0, 0]]],
        [[[100, 2, 51, 1, 1, 1]]],
    )
    assert results == [[[100, INVALID, INVALID, 1, INVALID, INVALID]]]
    assert memory[100:] == bytes(3996)


def test_ranges_whose_lists_do_not_match(store):
    assert store.put("key", b"value") == 0
    memory, at = pool(100)
    assert store.get_into_ranges(
        [at], [["key", "key"]], [[[0], [0]]], [[[0, 1], [0]]], [[[1], [1]]]
    ) == [[[INVALID], [1]]]
    assert store.get_into_ranges([], [["key"]], [[[0]]], [[[0]]], [[[1]]]) == [[[INVALID]]]
    assert store.get_into_ranges([], [], [], [], []) == []


# --- the rest


def test_removals(store):
    keys = ["a/%d" % i for i in range(5)] + ["b/0"]
    assert store.put_batch(keys, [b"value"] * 6) == 0
    assert store.remove("a/0") == 0
    assert store.remove("a/0", force=True) == NOT_FOUND
    assert store.batch_remove(["a/1", "none"], force=False) == [0, NOT_FOUND]
    assert store.remove_by_regex("^a/[23]$") == 2
    assert store.remove_by_regex("(", force=True) == INVALID
    assert "regular expression" in last_error()
    assert store.batch_is_exist(keys) == [0, 0, 0, 0, 1, 1]
    assert store.remove_all(force=True) == 2
    assert store.remove_all() == 0
    assert store.batch_is_exist(keys) == [0] * 6


def test_damage_is_never_given(new_store, make_file):
    path = make_file("one")
    store = new_store()
    assert store.setup_with_files("localhost", "P2PHANDSHAKE", [path]) == 0
    assert store.put("key", content("key", 10_000)) == 0
    (replica,) = store.get_replica_desc("key")
    place = MIB + replica.extents[0].region * 4 * MIB + replica.extents[0].offset + 5000
    descriptor = os.open(path, os.O_RDWR)
    byte = os.pread(descriptor, 1, place)
    os.pwrite(descriptor, bytes([byte[0] ^ 1]), place)
    os.fsync(descriptor)
    os.close(descriptor)
    memory, at = pool(10_000)
    assert store.get_into("key", at, 10_000) == -801
    assert store.get("key") == b""


def test_a_full_pool_evicts(new_store):
    store = new_store()
    assert store.setup("localhost", "P2PHANDSHAKE", 32 * MIB, 4 * MIB, "tcp", "", "") == 0
    keys = ["key%d" % i for i in range(40)]
    for key in keys:
        assert store.put(key, content(key, MIB)) == 0
    there = [key for key in keys if store.get(key)]
    assert keys[-1] in there
    assert len(there) < 40
    assert all(store.get(key) in (b"", content(key, MIB)) for key in keys)


def test_metrics_tell_of_what_was_done(store):
    assert store.put("key", b"value") == 0
    store.get("key")
    for name in ("stored", "hits"):
        assert re.search(r'^mooncake_store_%s_total\{process="[^"]+"\} 1$' % name, store.metrics(), re.MULTILINE)
