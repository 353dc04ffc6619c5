# SPDX-License-Identifier: Apache-2.0
"""Stores of one process on SQLite and local files."""

import ctypes
import hashlib
import os
import shutil
import tempfile

import pytest

from mooncake_files.store import MooncakeDistributedStore

MIB = 1 << 20


def content(key, size):
    """An object's bytes: they name its key and the place within it."""
    text = key if isinstance(key, bytes) else key.encode()
    return hashlib.shake_128(text).digest(size)


def address_of(buffer):
    """Of a writable buffer."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


@pytest.fixture
def folder():
    """In the working directory, where direct I/O works."""
    path = tempfile.mkdtemp(dir=os.getcwd(), prefix="python-")
    yield path
    shutil.rmtree(path)


@pytest.fixture(autouse=True)
def environment(folder, monkeypatch):
    monkeypatch.setenv("MC_STORE_SCRATCH_FOLDER", folder)
    monkeypatch.delenv("MC_STORE_FILES", raising=False)
    monkeypatch.setenv("MC_STORE_DIRECTORY", folder + "/store.db")


@pytest.fixture
def make_file(folder):
    def make(name, size=33 * MIB):
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.truncate(size)
        return path

    return make


@pytest.fixture
def new_store():
    """Makes stores that are closed at the end."""
    stores = []

    def make():
        stores.append(MooncakeDistributedStore())
        return stores[-1]

    yield make
    for store in stores:
        assert store.close() == 0


@pytest.fixture
def store(new_store):
    """One with a scratch file."""
    store = new_store()
    assert store.setup("localhost", "P2PHANDSHAKE", 64 * MIB, 16 * MIB, "tcp", "", "") == 0
    return store
