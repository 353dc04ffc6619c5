# SPDX-License-Identifier: Apache-2.0
"""Memory that this process cannot touch, as that of a GPU, or not write to: calls refuse it, and go on."""

import ctypes
import mmap

import pytest

from conftest import MIB, address_of, content
from mooncake_files.store import last_error

PAGE = mmap.PAGESIZE


def page_behind_one(protection):
    """The address of a page with this protection, behind one that can be read and written."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    begin = libc.mmap(None, 2 * PAGE, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
    ctypes.memset(begin, ord("?"), 2 * PAGE)
    assert libc.mprotect(begin + PAGE, PAGE, protection) == 0
    yield begin + PAGE
    libc.munmap(begin, 2 * PAGE)


@pytest.fixture
def beyond():
    yield from page_behind_one(0)


@pytest.fixture
def read_only():
    yield from page_behind_one(mmap.PROT_READ)


@pytest.mark.parametrize("offset", [0, -1, -PAGE])
def test_a_put(store, beyond, offset):
    at, size = beyond + offset, PAGE - offset
    for put in (store.put_from, store.upsert_from):
        assert put("key", at, size) == -600
        assert "GPU" in last_error()
    assert store.put_from_with_metadata("key", at, beyond - 1, size, 1) == -600
    assert store.is_exist("key") == 0
    assert store.put_from("key", beyond - PAGE, PAGE) == 0


@pytest.mark.parametrize("offset", [0, -1, -PAGE])
def test_a_get(store, beyond, offset):
    assert store.put("key", content("key", PAGE)) == 0
    assert store.get_into("key", beyond + offset, PAGE - offset) == -600
    assert "GPU" in last_error()
    assert store.get_into("key", beyond - PAGE, PAGE) == PAGE
    assert ctypes.string_at(beyond - PAGE, PAGE) == content("key", PAGE)


@pytest.mark.parametrize("offset", [0, 1, -1, -PAGE])
def test_a_get_to_what_is_read_only(store, read_only, offset):
    at, size = read_only + offset, PAGE - offset
    memory = bytearray(PAGE)
    assert store.put("key", content("key", 100)) == 0
    assert store.get_into("key", at, size) == -600
    assert "written" in last_error()
    places = [at, address_of(memory)]
    assert store.batch_get_into(["key", "key"], places, [size, PAGE]) == [-600, 100]
    assert store.get_into_ranges(
        [at], [["key"]], [[[0, PAGE - offset - 100]]], [[[0, 0]]], [[[100, 100]]]
    ) == [[[100 if offset == -PAGE else -600, -600]]]
    assert memory[:100] == content("key", 100)
    assert ctypes.string_at(read_only, PAGE) == b"?" * PAGE
    # It can be read.
    assert store.register_buffer(at, size) == 0
    assert store.put_from("read only", read_only, PAGE) == 0
    assert store.get("read only") == b"?" * PAGE


def test_who_asks_changes_nothing(store):
    """Another thread may write to what lies behind the object."""
    assert store.put("key", b"value") == 0
    memory = bytearray(b"?" * 3 * PAGE)
    assert store.get_into("key", address_of(memory), len(memory)) == 5
    assert memory == b"value" + b"?" * (3 * PAGE - 5)


def test_the_others_of_a_batch_are_served(store, beyond):
    memory = bytearray(content("pool", 3000))
    base = address_of(memory)
    keys = ["a", "b", "c"]
    places = [[base, base + 500], [base + 1000, beyond], [base + 2000]]
    sizes = [[500, 500], [500, 500], [1000]]
    assert store.batch_put_from_multi_buffers(keys, places, sizes) == [0, -600, 0]
    assert store.batch_put_from(["d", "e"], [base, beyond], [1000, 1000]) == [0, -600]
    assert store.put("b", bytes(1000)) == 0
    memory[:] = bytes(3000)
    assert store.batch_get_into_multi_buffers(keys, places, sizes) == [1000, -600, 1000]
    assert memory == content("pool", 3000)[:1000] + bytes(1000) + content("pool", 3000)[2000:]
    assert store.batch_get_into(["a", "c"], [beyond, base], [1000, 1000]) == [-600, 1000]


def test_many_pieces_of_which_the_last_is_bad(store, beyond):
    memory = bytearray(MIB)
    base = address_of(memory)
    places = [base + 100 * i for i in range(2000)]
    assert store.batch_put_from_multi_buffers(["good"], [places], [[100] * 2000]) == [0]
    assert store.batch_put_from_multi_buffers(["bad"], [[*places, beyond]], [[100] * 2001]) == [-600]


def test_ranges_and_registration(store, beyond):
    assert store.put("key", content("key", 1000)) == 0
    memory = bytearray(100)
    results = store.get_into_ranges(
        [address_of(memory), beyond], [["key"], ["key"]], [[[0]], [[0]]], [[[7]], [[7]]], [[[100]], [[100]]]
    )
    assert results == [[[100]], [[-600]]]
    assert memory == content("key", 1000)[7:107]
    assert store.register_buffer(beyond - PAGE, 2 * PAGE) == -600
    assert "GPU" in last_error()
    assert store.register_buffer(beyond - PAGE, PAGE) == 0
