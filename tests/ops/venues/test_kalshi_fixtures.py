"""Every fixture of Kalshi's REST: the simulated venue, brought into that situation over its own
routes, answers with the same status and body. A file without a scene fails.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ops.venues.kalshi_auth import KalshiGate
from ops.venues.script import Timeline
from ops.venues.session import RunClock
from tests.conftest import REFERENCE, reference
from tests.ops.venues.kalshi_alike import Scene, differences
from tests.ops.venues.kalshi_desk_rig import KEY, Desk
from tests.ops.venues.kalshi_scenes import COMPOSED, ERRORS, REST, bitcoin
from tests.ops.venues.kalshi_stages import book, tennis
from tests.ops.venues.rig import KEY_ID, MS

FOLDER = "fixtures/kalshi"
TABLES = {"rest": REST, "rest/errors": ERRORS, "composed": COMPOSED}
REQUESTS = {"order_create_v2_request"}  # a client's words, not the venue's


def files() -> list[tuple[str, str]]:
    """(folder, name) of every body there is; of the tables where the fixtures are absent."""
    if not (REFERENCE / FOLDER).exists():
        return [(folder, name) for folder, table in TABLES.items() for name in table]
    return [
        (folder, path.stem)
        for folder in TABLES
        for path in sorted((REFERENCE / FOLDER / folder).glob("*.json"))
        if path.stem not in REQUESTS
    ]


def load(path: str) -> Any:
    return json.loads(reference(f"{FOLDER}/{path}").read_text())


@pytest.mark.parametrize(("folder", "name"), files())
def test_the_venue_answers_as_the_fixture(folder: str, name: str) -> None:
    wanted = load(f"{folder}/{name}.json")
    scene = TABLES[folder].get(name)
    assert scene is not None, f"{folder}/{name}.json has no scene in kalshi_scenes.py"
    status, body = scene.play()
    assert status == scene.status, body
    assert not differences(scene.pick(body), scene.trim(wanted), scene)


def test_a_wrong_answer_is_seen() -> None:
    """The negative control of `differences`: value, key, kind, length, removed and new keys."""
    scene = Scene(play=lambda: (200, None), added=frozenset({"new"}))
    wanted = {"a": "1", "rows": [{"order_id": "b1f0c3de-0001-4c7e-9a55-000000000002"}]}
    good = {"a": "1", "new": 1, "rows": [{"order_id": "00000000-0001-4c7e-9a55-000000000002"}]}
    assert not differences(good, wanted, scene)
    row = good["rows"]
    for wrong in (
        {**good, "a": "2"},
        {**good, "a": 1},
        {"new": 1, "rows": row},
        {**good, "b": 1},
        {**good, "rows": []},
        {**good, "rows": [{"order_id": "5"}]},
        {**good, "service": "exchange"},
    ):
        assert differences(wrong, wanted, scene), wrong


def test_statuses_are_those_of_the_index() -> None:
    rows = load("index.json")["fixtures"]
    told = {row["file"]: row["status"] for row in rows if "status" in row}
    for folder, table in TABLES.items():
        for name, scene in table.items():
            assert told.get(f"{folder}/{name}.json", scene.status) == scene.status, name


def test_the_composed_request_is_taken() -> None:
    desk = bitcoin()
    book(desk, (("0.52", "10"),), ())
    body = load("composed/order_create_v2_request.json")
    status, answer = desk.call("POST", "/portfolio/events/orders", body)
    assert (status, answer["fill_count"]) == (201, "10.00")


# ---- what is no more


def test_v1_is_gone_whatever_is_sent_to_it() -> None:
    old = load("legacy/order_v1_create_response_2026-06.json")
    desk, gone = tennis(), load("rest/errors/410_v1_create_order.json")
    body = next(row for row in load("index.json")["fixtures"] if "order_v1" in row["file"])
    for method, path in (
        ("POST", "/portfolio/orders"),
        ("DELETE", f"/portfolio/orders/{old['order']['order_id']}"),
        ("POST", f"/portfolio/orders/{old['order']['order_id']}/amend"),
        ("POST", f"/portfolio/orders/{old['order']['order_id']}/decrease"),
        ("POST", "/portfolio/orders/batched"),
        ("DELETE", "/portfolio/orders/batched"),
    ):
        assert desk.call(method, path, body["request_body"]) == (410, gone)


def test_every_legacy_file_is_looked_at() -> None:
    """The two of snapshots are in test_kalshi_ws_fixtures.py."""
    found = {path.name for path in Path(reference(f"{FOLDER}/legacy")).iterdir()}
    assert found == {
        "order_v1_create_response_2026-06.json",
        "ws_snapshot_cents_2025.jsonl",
        "ws_snapshot_three_forms_until_2026-03-12.jsonl",
    }


# ---- signatures


def _clock_at(stamp_ms: int) -> RunClock:
    return RunClock(Timeline(begin_epoch_ns=0), mono=lambda: 0, wall=lambda: stamp_ms * MS)


def test_what_is_signed_is_time_method_and_path() -> None:
    for case in load("auth/signing_strings.json")["cases"]:
        stamp_ms = int(case["timestamp"])
        clock = _clock_at(stamp_ms)
        gate = KalshiGate(key_id=KEY_ID, public_pem=KEY.public_pem(), clock=clock)
        path = "/" + case["url"].split("/", 3)[3].partition("?")[0]
        headers = {
            "KALSHI-ACCESS-KEY": KEY_ID,
            "KALSHI-ACCESS-TIMESTAMP": case["timestamp"],
            "KALSHI-ACCESS-SIGNATURE": KEY.sign(case["signed_text"]),
        }
        assert gate.refusal(case["method"], path, headers) is None
        assert gate.refusal(case["method"], path + "/more", headers) is not None
    assert Desk().call("GET", "/portfolio/balance", query="limit=5")[0] == 200
