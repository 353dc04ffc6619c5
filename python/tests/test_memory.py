# SPDX-License-Identifier: Apache-2.0
"""Memory that this process cannot touch, as that of a GPU: every call refuses it, and goes on."""

import ctypes
import mmap

import pytest

from conftest import MIB, address_of, content
from mooncake_files.store import last_error

PAGE = mmap.PAGESIZE


@pytest.fixture
def beyond():
    """The address of a page that cannot be touched, behind one that can."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    begin = libc.mmap(None, 2 * PAGE, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
    assert libc.mprotect(begin + PAGE, PAGE, 0) == 0
    yield begin + PAGE
    libc.munmap(begin, 2 * PAGE)


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
