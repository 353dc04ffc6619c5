# SPDX-License-Identifier: Apache-2.0
"""Before setup() and after close() each call gives its error."""

import pytest

from conftest import MIB, address_of
from mooncake_files.store import MooncakeDistributedStore, ReplicateConfig

E = -600
MEMORY = bytearray(64)
AT = address_of(MEMORY)
KEYS = ["a", "b"]
CONFIG = ReplicateConfig()

CALLS = {
    "put": (("a", b"x", CONFIG), E),
    "upsert": (("a", b"x"), E),
    "put_parts": (("a", b"x", b"y"), E),
    "upsert_parts": (("a", b"x", b"y"), E),
    "put_batch": ((KEYS, [b"x", b"y"], CONFIG), E),
    "upsert_batch": ((KEYS, [b"x", b"y"], CONFIG), E),
    "put_from": (("a", AT, 8, CONFIG), E),
    "upsert_from": (("a", AT, 8), E),
    "put_from_with_metadata": (("a", AT, AT, 8, 8, CONFIG), E),
    "batch_put_from": ((KEYS, [AT, AT], [8, 8], CONFIG), [E, E]),
    "batch_upsert_from": ((KEYS, [AT, AT], [8, 8]), [E, E]),
    "batch_put_from_multi_buffers": ((KEYS, [[AT], [AT]], [[8], [8]], CONFIG), [E, E]),
    "put_tensor": (("a", 7), E),
    "get": (("a",), b""),
    "get_batch": ((KEYS,), [b""]),
    "get_buffer": (("a",), None),
    "batch_get_buffer": ((KEYS,), [None, None]),
    "get_into": (("a", AT, 64), E),
    "batch_get_into": ((KEYS, [AT, AT], [64, 64]), [E, E]),
    "batch_get_into_multi_buffers": ((KEYS, [[AT], [AT]], [[64], [64]], False), [E, E]),
    "get_into_ranges": (([AT], [["a"]], [[[0, 1]]], [[[0, 1]]], [[[1, 1]]]), [[[E, E]]]),
    "get_tensor": (("a",), None),
    "is_exist": (("a",), E),
    "batch_is_exist": ((KEYS,), [E, E]),
    "get_size": (("a",), E),
    "remove": (("a", True), E),
    "batch_remove": ((KEYS,), [E, E]),
    "remove_by_regex": (("a",), E),
    "remove_all": ((), E),
    "get_replica_desc": (("a",), []),
    "batch_get_replica_desc": ((KEYS,), {}),
    "register_buffer": ((AT, 64), E),
    "unregister_buffer": ((AT,), E),
    "mount_file_segment": (("/dev/null",), E),
    "unmount_file_segment": (("/dev/null",), E),
    "get_hostname": ((), ""),
    "health_check": ((), 1),
    "metrics": ((), ""),
    "close": ((), 0),
}


def test_no_method_is_forgotten():
    methods = {name for name in dir(MooncakeDistributedStore) if not name.startswith("_")}
    assert methods - {"setup", "setup_with_files", "init_all"} == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_before_setup(name):
    arguments, expected = CALLS[name]
    assert getattr(MooncakeDistributedStore(), name)(*arguments) == expected


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    store = MooncakeDistributedStore()
    db = str(tmp_path_factory.mktemp("closed") / "store.db")
    assert store.setup("localhost", "P2PHANDSHAKE", 0, MIB, "tcp", "", db) == 0
    assert store.close() == 0
    return store


@pytest.mark.parametrize("name", CALLS)
def test_after_close(closed, name):
    arguments, expected = CALLS[name]
    assert getattr(closed, name)(*arguments) == expected
