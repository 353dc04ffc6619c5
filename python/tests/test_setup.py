# SPDX-License-Identifier: Apache-2.0
import inspect
import os

import pytest

from conftest import MIB, content
from mooncake_files.store import MooncakeDistributedStore, last_error

INVALID = -600


def scratch_files(folder):
    return [name for name in os.listdir(folder) if name.startswith("mooncake-scratch-")]


def no_directory(folder):
    """Of a file that is none of SQLite's."""
    path = os.path.join(folder, "text")
    with open(path, "w") as file:
        file.write("no database" * 1000)
    return path


def test_seven_values_by_position(new_store):
    store = new_store()
    assert store.setup("localhost", "P2PHANDSHAKE", 32 * MIB, 16 * MIB, "tcp", "", "") == 0
    host, port = store.get_hostname().split(":")
    assert host == "localhost"
    assert 12300 <= int(port) <= 14300
    assert store.health_check() == 0


def test_all_values_by_name(new_store, folder):
    store = new_store()
    assert (
        store.setup(
            local_hostname="127.0.0.1:0",
            metadata_server="P2PHANDSHAKE",
            global_segment_size=32 * MIB,
            local_buffer_size=0,
            protocol="nvmeof_generic",
            rdma_devices="trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420",
            master_server_addr="sqlite://" + folder + "/other.db",
            engine=None,
            enable_ssd_offload=False,
            ssd_offload_path="",
            tenant_id="default",
            enable_client_http_server=False,
            client_http_port=9300,
        )
        == 0
    )
    assert os.path.exists(folder + "/other.db")
    port = int(store.get_hostname().rpartition(":")[2])
    assert port > 0


def test_a_port_in_the_name_is_kept(new_store):
    first = new_store()
    assert first.setup("127.0.0.1", "P2PHANDSHAKE", 0, 0, "tcp", "", "") == 0
    name = first.get_hostname()
    assert first.close() == 0
    second = new_store()
    assert second.setup(name, "P2PHANDSHAKE", 0, 0, "tcp", "", "") == 0
    assert second.get_hostname() == name


def test_an_unknown_keyword_is_named(new_store):
    with pytest.raises(TypeError, match="'enable_warp_drive'"):
        new_store().setup("localhost", "P2PHANDSHAKE", 0, 0, "tcp", "", "", enable_warp_drive=True)


def test_what_is_missing_or_of_another_type_is_a_type_error(new_store):
    store = new_store()
    with pytest.raises(TypeError):
        store.setup("localhost", "P2PHANDSHAKE", 0, 0, "tcp", "")
    with pytest.raises(TypeError):
        store.setup("localhost", "P2PHANDSHAKE", "much", 0, "tcp", "", "")
    with pytest.raises(TypeError):
        store.setup("localhost", "P2PHANDSHAKE", -1, 0, "tcp", "", "")


def test_the_docstring_names_the_later_keywords():
    text = inspect.getdoc(MooncakeDistributedStore.setup)
    for name in ("engine", "enable_ssd_offload", "ssd_offload_path", "tenant_id"):
        assert name in text


def test_an_engine_and_a_server_of_metrics_are_warned_of(new_store):
    with pytest.warns(RuntimeWarning, match="engine is not used"):
        assert new_store().setup("localhost", "P2PHANDSHAKE", 0, 0, "tcp", "", "", object()) == 0
    with pytest.warns(RuntimeWarning, match="enable_client_http_server"):
        code = new_store().setup(
            "localhost", "P2PHANDSHAKE", 0, 0, "tcp", "", "", enable_client_http_server=True
        )
    assert code == 0


def test_tenants_are_refused(new_store):
    store = new_store()
    assert store.setup("h", "P2PHANDSHAKE", 0, 0, "tcp", "", "", tenant_id="other") == INVALID
    assert "tenant" in last_error()


@pytest.mark.parametrize("size", [64 * MIB, "64MB", "64 MB", "0.0625 GiB", "65536k", str(64 * MIB)])
def test_a_dict_with_sizes_as_text(new_store, folder, size):
    store = new_store()
    config = {
        "local_hostname": "localhost",
        "metadata_server": "P2PHANDSHAKE",
        "global_segment_size": size,
        "local_buffer_size": "4MB",
    }
    assert store.setup(config) == 0
    (name,) = scratch_files(folder)
    assert os.path.getsize(os.path.join(folder, name)) == 64 * MIB
    assert store.put("fits", bytes(4 * MIB)) == 0
    assert store.put("does not", bytes(4 * MIB + 1)) == INVALID


@pytest.mark.parametrize("size", ["50%", "", "much", "-1", "1 1", "1XB", "1e30", "nan"])
def test_what_is_no_size_is_told_by_the_code(new_store, size):
    config = {
        "local_hostname": "localhost",
        "metadata_server": "P2PHANDSHAKE",
        "global_segment_size": size,
    }
    assert new_store().setup(config) == INVALID
    assert "global_segment_size" in last_error()


@pytest.mark.parametrize("missing", ["local_hostname", "metadata_server"])
def test_a_dict_without_what_it_must_have(new_store, missing):
    config = {"local_hostname": "localhost", "metadata_server": "P2PHANDSHAKE"}
    del config[missing]
    assert new_store().setup(config) == INVALID
    assert missing in last_error()


def test_a_dict_names_files(new_store, make_file):
    store = new_store()
    config = {
        "local_hostname": "localhost",
        "metadata_server": "P2PHANDSHAKE",
        "files": [make_file("one")],
    }
    assert store.setup(config) == 0
    assert store.put("key", b"value") == 0
    assert store.close() == 0
    assert store.setup(config) == 0
    assert store.get("key") == b"value"


def test_the_scratch_file_goes_with_close(new_store, folder):
    store = new_store()
    setup = ("localhost", "P2PHANDSHAKE", 1, 16 * MIB, "tcp", "", "")
    assert store.setup(*setup) == 0
    assert len(scratch_files(folder)) == 1
    assert store.put("key", b"value") == 0
    assert store.close() == 0
    assert store.close() == 0
    assert scratch_files(folder) == []
    assert store.setup(*setup) == 0
    assert store.get("key") == b""


def test_the_scratch_file_is_where_offloaded_objects_would_be(new_store, folder):
    other = os.path.join(folder, "other")
    os.mkdir(other)
    store = new_store()
    assert (
        store.setup(
            "localhost", "P2PHANDSHAKE", 1, 0, "tcp", "", "",
            enable_ssd_offload=True, ssd_offload_path=other,
        )
        == 0
    )  # fmt: skip
    assert len(scratch_files(other)) == 1
    assert scratch_files(folder) == []


def test_a_store_that_is_set_up_refuses_setup(store):
    assert store.put("key", b"value") == 0
    assert store.setup("localhost", "P2PHANDSHAKE", 0, 0, "tcp", "", "") == INVALID
    assert "close it first" in last_error()
    assert store.get("key") == b"value"


def test_a_failed_setup_can_be_repeated(new_store, folder):
    store = new_store()
    bad = no_directory(folder)
    assert store.setup("localhost", "P2PHANDSHAKE", 0, 0, "tcp", "", bad) == INVALID
    assert bad in last_error()
    assert store.health_check() == 1
    assert store.setup("no.such.host.invalid", "P2PHANDSHAKE", 1, 0, "tcp", "", "") == INVALID
    assert store.setup("localhost", "P2PHANDSHAKE", 1, 0, "warp", "", "") == INVALID
    assert store.setup("localhost", "P2PHANDSHAKE", 0, 0, "tcp", "", "") == 0


def test_init_all_tells_what_is_missing(new_store, monkeypatch, folder):
    monkeypatch.setenv("MC_STORE_DIRECTORY", no_directory(folder))
    assert new_store().init_all("tcp", "", 16 * MIB) == INVALID


def test_files_keep_their_objects(new_store, make_file):
    files = [make_file("one"), make_file("two")]
    store = new_store()
    assert store.setup_with_files("localhost", "P2PHANDSHAKE", files) == 0
    for key in ("a", "b", "c"):
        assert store.put(key, content(key, MIB)) == 0
    assert store.close() == 0
    again = new_store()
    assert (
        again.setup_with_files(
            local_hostname="localhost",
            metadata_server="P2PHANDSHAKE",
            files=files,
            local_buffer_size=2 * MIB,
            protocol="nvmeof_generic",
            protocol_arg="trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420",
            master_server_addr="",
            engine=None,
        )
        == 0
    )
    for key in ("a", "b", "c"):
        assert again.get(key) == content(key, MIB)
    assert all(os.path.exists(path) for path in files)


def test_setup_with_files_by_position(new_store, make_file, folder):
    args = ["localhost", "P2PHANDSHAKE", [make_file("one")], MIB, "tcp", "", folder + "/store.db"]
    store = new_store()
    assert store.setup_with_files(*args) == 0
    assert store.close() == 0
    assert store.setup_with_files(*args, None) == 0


@pytest.mark.parametrize("files", [[], [""]])
def test_no_files_is_a_node_that_gives_none(new_store, files):
    store = new_store()
    assert store.setup_with_files("localhost", "P2PHANDSHAKE", files, protocol_arg="") == 0
    assert store.put("key", b"value") == -200
    assert store.get("key") == b""


def test_a_file_that_cannot_be_mounted_gives_its_code(new_store, make_file, folder):
    store = new_store()
    code = store.setup_with_files("localhost", "P2PHANDSHAKE", [folder + "/missing"])
    assert code == INVALID
    assert "missing" in last_error()
    path = make_file("taken")
    assert store.setup_with_files("localhost", "P2PHANDSHAKE", [path]) == 0
    assert new_store().setup_with_files("localhost", "P2PHANDSHAKE", [path]) == -102


def test_files_of_the_environment(new_store, make_file, monkeypatch, folder):
    monkeypatch.setenv("MC_STORE_FILES", make_file("one") + " " + make_file("two"))
    store = new_store()
    assert store.setup("localhost", "P2PHANDSHAKE", 1, MIB, "tcp", "", "") == 0
    assert scratch_files(folder) == []
    assert store.put("key", b"value") == 0
    # Another process of the machine has the same environment: it uses what the first one serves.
    second = new_store()
    assert second.setup("localhost", "P2PHANDSHAKE", 1, MIB, "tcp", "", "") == 0
    assert second.get("key") == b"value"
    # Who gives nothing gives no files.
    assert store.close() == 0
    pure = new_store()
    assert pure.setup("localhost", "P2PHANDSHAKE", 0, MIB, "tcp", "", "") == 0
    assert pure.is_exist("key") == 0


def test_the_address_of_the_environment(new_store, monkeypatch):
    monkeypatch.setenv("MC_STORE_PROTOCOL_ARG", "trtype=nonsense")
    assert new_store().setup("localhost", "P2PHANDSHAKE", 1, 0, "tcp", "", "") == INVALID


def test_files_come_and_go(store, make_file, folder):
    path = make_file("more")
    assert store.mount_file_segment(path) == 0
    assert store.mount_file_segment(path) == INVALID
    assert store.unmount_file_segment(path) == 0
    assert store.unmount_file_segment(path) == INVALID
    other = make_file("other")
    with open(other, "r+b") as file:
        file.write(b"somebody's data" * 100)
        os.fsync(file.fileno())
    assert store.mount_file_segment(other) < 0
    assert store.mount_file_segment(other, overwrite=True) == 0


def test_registered_memory(store):
    memory = bytearray(MIB)
    from conftest import address_of

    at = address_of(memory)
    assert store.register_buffer(at, MIB) == 0
    assert store.register_buffer(at + 4096, 4096) == INVALID
    assert store.register_buffer(0, 4096) == INVALID
    assert store.register_buffer(at, 0) == INVALID
    assert store.unregister_buffer(at) == 0
    assert store.unregister_buffer(at) == INVALID


def test_several_stores_in_one_process(new_store):
    stores = [new_store() for _ in range(3)]
    for store in stores:
        assert store.setup("localhost", "P2PHANDSHAKE", 16 * MIB, MIB, "tcp", "", "") == 0
    assert len({store.get_hostname() for store in stores}) == 3
    assert stores[0].put("key", content("key", MIB)) == 0
    for store in stores:
        assert store.get("key") == content("key", MIB)
    assert stores[0].close() == 0
    assert stores[1].put("other", b"value") == 0
    assert stores[2].get("other") == b"value"


def test_a_store_that_is_dropped_is_closed(folder):
    store = MooncakeDistributedStore()
    assert store.setup("localhost", "P2PHANDSHAKE", 1, 0, "tcp", "", "") == 0
    assert len(scratch_files(folder)) == 1
    del store
    assert scratch_files(folder) == []
