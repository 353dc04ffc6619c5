# SPDX-License-Identifier: Apache-2.0
import copy
import time

import pytest

from mooncake_files.store import ReplicateConfig, SoftPinAction


def test_both_vocabularies_and_their_defaults():
    config = ReplicateConfig()
    found = {name: getattr(config, name) for name in dir(config) if not name.startswith("_")}
    assert found == {
        "replica_num": 1,
        "with_soft_pin": False,
        "preferred_segment": "",
        "prefer_alloc_in_same_node": False,
        "nof_replica_num": 0,
        "dfs_replica_num": 0,
        "soft_pin_action": SoftPinAction.PRESERVE,
        "soft_pin_ttl_ms": None,
        "with_hard_pin": False,
        "preferred_segments": [],
        "preferred_nof_segments": [],
        "data_type": 0,
        "group_ids": [],
    }


def test_an_attribute_that_is_not_there():
    config = ReplicateConfig()
    assert not hasattr(config, "with_warp")
    with pytest.raises(AttributeError):
        config.with_warp = True
    with pytest.raises(TypeError, match="with_warp"):
        ReplicateConfig(with_warp=True)


def test_attributes_by_name_and_in_the_text():
    config = ReplicateConfig(replica_num=2, preferred_segment="node:1")
    assert (config.replica_num, config.preferred_segment) == (2, "node:1")
    assert "2" in str(config) and "node:1" in str(config)
    config.preferred_segments = ["a", "b"]
    other = copy.deepcopy(config)
    other.replica_num = 3
    assert (config.replica_num, other.preferred_segments) == (2, ["a", "b"])


@pytest.mark.parametrize("value", [-1, 2**64, "soon"])
def test_a_time_that_cannot_be(value):
    with pytest.raises(TypeError):
        ReplicateConfig().soft_pin_ttl_ms = value


@pytest.mark.parametrize(
    "fields, code",
    [
        ({}, 0),
        ({"replica_num": 3}, 0),
        ({"replica_num": 0}, -600),
        ({"replica_num": 0, "nof_replica_num": 1}, 0),
        ({"replica_num": 17}, -600),
        ({"with_soft_pin": True, "soft_pin_ttl_ms": 5}, 0),
        ({"soft_pin_action": SoftPinAction.ENABLE, "soft_pin_ttl_ms": 5}, 0),
        ({"soft_pin_action": SoftPinAction.DISABLE, "soft_pin_ttl_ms": 5}, -600),
        ({"soft_pin_ttl_ms": 5}, -600),
        ({"with_hard_pin": True}, 0),
        ({"preferred_segment": "nobody", "preferred_segments": ["neither"]}, 0),
        ({"group_ids": ["a"], "data_type": 3, "prefer_alloc_in_same_node": True}, 0),
    ],
)
def test_what_a_put_says_of_it(store, fields, code):
    config = ReplicateConfig(**fields)
    assert store.put("key", b"value", config) == code
    assert store.put_parts("parts", b"value", config=config) == code
    assert store.put_batch(["batch"], [b"value"], config) == code
    assert store.batch_is_exist(["key", "parts", "batch"]) == [int(code == 0)] * 3


def test_copies_are_on_different_nodes(new_store):
    stores = [new_store(), new_store(), new_store()]
    for store in stores:
        assert store.setup("localhost", "P2PHANDSHAKE", 16 << 20, 1 << 20, "tcp", "", "") == 0
    # A node hears of another one's file a moment after it was mounted.
    limit = time.monotonic() + 30
    copies = []
    while len(copies) < 2 and time.monotonic() < limit:
        assert stores[0].upsert("two", b"value", ReplicateConfig(replica_num=2)) == 0
        copies = stores[1].get_replica_desc("two")
    assert len({copy.segment for copy in copies}) == 2


def test_the_preferred_node_has_the_first_copy(new_store):
    stores = [new_store(), new_store(), new_store()]
    for store in stores:
        assert store.setup("localhost", "P2PHANDSHAKE", 16 << 20, 1 << 20, "tcp", "", "") == 0
    for store in stores:
        name = store.get_hostname()
        config = ReplicateConfig(preferred_segment=name)
        for i in range(4):
            key = "%s/%d" % (name, i)
            assert stores[0].put(key, b"value", config) == 0
            (copy_,) = stores[0].get_replica_desc(key)
            assert copy_.segment == name
