# SPDX-License-Identifier: Apache-2.0
"""packaging/monitoring names metrics and labels that the store, the transport and the metadata server really give."""

import json
import os
import re
import subprocess
import urllib.request

import pytest
import yaml

from mooncake_files.store import MooncakeDistributedStore, last_error
from promql import Families, named

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "packaging", "monitoring")


def of_a_store(folder):
    """What a store writes for Prometheus, and what its transport."""
    written = {"MC_STORE_STATS_FILE": folder / "store.prom", "MC_NVMEOF_GENERIC_STATS_FILE": folder / "transport.prom"}
    os.environ.update({name: str(path) for name, path in written.items()})
    pool = "monitoring-pool"  # in the working directory, where direct I/O works
    with open(pool, "wb") as file:
        file.truncate(32 << 20)
    try:
        store = MooncakeDistributedStore()
        code = store.setup_with_files("localhost", "P2PHANDSHAKE", [pool], master_server_addr=str(folder / "store.db"))
        assert code == 0, last_error()
        assert store.put("key", bytes(100_000)) == 0
        assert store.get("key") == bytes(100_000)
        assert store.close() == 0
    finally:
        os.remove(pool)
    return [path.read_text() for path in written.values()]


def of_a_metadata_server():
    server = subprocess.Popen(
        [os.environ["METADATA_SERVER"], "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        address = re.search(r"listening on (http://[0-9.:]+)", server.stdout.readline())[1]
        for path in ("/health", "/metrics"):
            with urllib.request.urlopen(address + path, timeout=60) as answer:
                text = answer.read().decode()
        return text
    finally:
        server.terminate()
        assert server.wait(60) == 0


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    return Families(*of_a_store(tmp_path_factory.mktemp("monitoring")), of_a_metadata_server())


def dashboard():
    with open(os.path.join(FOLDER, "dashboard.json")) as file:
        return json.load(file)


def rules():
    with open(os.path.join(FOLDER, "alerts.yml")) as file:
        groups = yaml.safe_load(file)["groups"]
    assert len({group["name"] for group in groups}) == len(groups)
    return [rule for group in groups for rule in group["rules"]]


def test_the_alerts_ask_for_what_there_is(families):
    found = {rule["alert"]: families.complaints(rule["expr"]) for rule in rules()}
    assert {name: unknown for name, unknown in found.items() if unknown} == {}
    assert len(found) == len(rules()) > 15


def test_the_dashboard_shows_what_there_is(families):
    targets = [target for panel in dashboard()["panels"] for target in panel.get("targets", [])]
    assert len(targets) > 50
    found = {target["expr"]: families.complaints(target["expr"]) for target in targets}
    assert {expression: unknown for expression, unknown in found.items() if unknown} == {}
    for variable in dashboard()["templating"]["list"]:
        for name in re.findall(r"\w+_(?:total|keys)\b", variable["query"]):
            assert name in families.labels


def test_texts_name_labels_that_are_left():
    """What stands in a text of an alert or a legend is a label of its expression's result."""
    pairs = [(str(rule["annotations"]), rule["expr"]) for rule in rules()]
    pairs += [
        (target["legendFormat"], target["expr"])
        for panel in dashboard()["panels"]
        for target in panel.get("targets", [])
    ]
    for text, expression in pairs:
        groups = re.findall(r"\bby \(([^)]*)\)", expression)
        for label in re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}", text):
            assert not groups or all(label in re.findall(r"\w+", group) for group in groups), (text, expression)


def test_alerts_say_how_bad_it_is_and_what_to_do():
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}
        assert all(rule["annotations"].values())
        assert re.fullmatch(r"[0-9]+[smh]", rule.get("for", "0s"))


def test_the_dashboard_s_panels_have_their_own_places():
    taken = set()
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize(
    "expression, unknown",
    [
        ("mooncake_store_gets_total", set()),
        ("rate(mooncake_store_got_total[5m])", {"mooncake_store_got_total"}),
        ('sum by (cause) (rate(mooncake_store_misses_total{cause="absent"}[5m]))', set()),
        ('sum by (reason) (mooncake_store_misses_total{cause="absent"})', {"reason"}),
        ('mooncake_store_gets_total{why="absent"} > 5', {"why"}),
        ("histogram_quantile(0.5, sum by (le) (rate(mooncake_store_get_seconds_bucket[5m])))", set()),
        ("mooncake_store_get_seconds", {"mooncake_store_get_seconds"}),
        ("store_gets_total / 2", {"store_gets_total"}),
    ],
)
def test_what_is_not_there_is_found(families, expression, unknown):
    assert families.complaints(expression) == unknown


def test_names_in_an_expression():
    text = 'sum by (a, b) (rate(one{c=~"x|y", d!="z"}[$__rate_interval])) / on (e) 1.5e3 * two_bucket > 0.9'
    assert named(text) == ({"one", "two_bucket"}, {"a", "b", "c", "d", "e"})
