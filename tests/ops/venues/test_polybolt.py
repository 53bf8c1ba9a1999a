"""The simulated PolyBolt: credentials, snapshots, numbers, limits and close codes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.frames import Opcode

from ops.venues.numerals import MS_NS
from tests.conftest import reference
from tests.ops.venues.relay_rig import CREDENTIALS, PRICE_E8, Ear, Relay, signed_in
from tests.ops.venues.rig import BEGIN_NS, shape

SPOT = {"channel": "price.crypto", "filter": {"symbol": "btcusd"}}
TWAP = {"channel": "price.crypto.twap", "filter": {"symbol": "btcusd", "window_seconds": 60}}
BEGIN_MS = BEGIN_NS // MS_NS


def subscribe(*rows: dict[str, Any], rid: str = "s1") -> dict[str, Any]:
    return {"op": "subscribe", "rid": rid, "subscriptions": list(rows)}


def fixture(name: str) -> Any:
    path = reference("fixtures/spot/polymarket_polybolt.jsonl")
    rows = {row["id"]: row for row in map(json.loads, path.read_text().splitlines())}
    return json.loads(rows[name]["raw"])


def test_frames_have_the_keys_and_kinds_of_the_fixtures() -> None:
    relay = Relay()
    ear = Ear(relay)
    ear.say({"op": "subscribe", "rid": "s1", "subscriptions": [SPOT]})
    assert ear.take() == [fixture("pb-auth-required")]
    ear.say({**fixture("pb-auth"), "rid": "a1"})
    assert ear.take() == [fixture("pb-auth-invalid")]
    ear.say({"op": "auth", "rid": "a1", "auth": CREDENTIALS})
    assert ear.take() == [fixture("pb-authed")]
    ear.say(fixture("pb-ping"))
    assert ear.take() == [fixture("pb-pong")]
    zec = {"channel": "price.crypto.twap", "filter": {"symbol": "ethusd", "window_seconds": 60}}
    ear.say(subscribe(zec))
    _, empty = ear.take()
    assert shape(empty) == shape(fixture("pb-snap-empty"))
    relay.seconds(70)
    ear.take()
    ear.say(fixture("pb-sub"))
    acked, snapshot, _, _ = ear.take()
    assert acked == fixture("pb-subscribed")
    assert shape(snapshot) == shape(fixture("pb-snap"))
    relay.second(70)
    frames = {frame["channel"]: frame for frame in ear.take()}
    assert shape(frames["price.crypto"]) == shape(fixture("pb-upd"))
    assert shape(frames["price.crypto.twap"]) == shape(fixture("pb-twap"))


def test_values_are_plain_decimals_and_come_late() -> None:
    relay = Relay()
    ear = signed_in(relay)
    ear.say(subscribe(SPOT))
    relay.seconds(4)
    frames = ear.take()[2:]
    told = [(each["payload"]["timestamp"], each["payload"]["full_accuracy_value"], each["ts"])
            for each in frames]  # fmt: skip
    assert told == [
        (BEGIN_MS, "90000.00000000", BEGIN_MS + 2_000),
        (BEGIN_MS + 1_000, "90000.00000001", BEGIN_MS + 3_000),
    ]
    assert {each["payload"]["source"] for each in frames} == {"chainlink"}


def test_the_twap_is_the_mean_of_its_last_sixty_seconds() -> None:
    relay = Relay()
    ear = signed_in(relay)
    ear.say(subscribe(TWAP))
    relay.seconds(62)
    (frame,) = ear.take()[2:]
    assert frame["payload"]["timestamp"] == BEGIN_MS + 59_000
    # 0 … 59 above the price: their mean is 29.5, a half goes up
    assert frame["payload"]["full_accuracy_value"] == "90000.00000030"
    assert frame["payload"]["window_seconds"] == 60


def test_numbers_run_per_channel_over_all_symbols_and_count_snapshots() -> None:
    relay = Relay()
    ear = signed_in(relay)
    eth = {"channel": "price.crypto", "filter": {"symbol": "ethusd"}}
    ear.say(subscribe(SPOT, eth, TWAP))
    relay.seconds(4)
    frames = [frame for frame in ear.take() if "seq" in frame]
    numbers = [frame["seq"] for frame in frames if frame["channel"] == "price.crypto"]
    assert numbers == list(range(1, 7))
    assert [frame["seq"] for frame in frames if frame["channel"] == "price.crypto.twap"] == [1]
    again = signed_in(relay)
    again.say(subscribe(SPOT))
    assert again.take()[1]["seq"] == 1


def test_a_snapshot_holds_two_minutes_and_comes_once() -> None:
    relay = Relay()
    relay.seconds(200)
    ear = signed_in(relay)
    ear.say(subscribe(SPOT))
    acked, snapshot = ear.take()
    assert len(snapshot["payload"]["data"]) == 120
    assert snapshot["payload"]["data"][-1]["timestamp"] == BEGIN_MS + 197_000
    ear.say(subscribe(SPOT, rid="s2"))
    assert ear.take() == [{"op": "subscribed", "channel": "price.crypto", "rid": "s2"}]
    assert acked["rid"] == "s1"
    ear.say({"op": "unsubscribe", "subscriptions": [SPOT]})
    assert ear.take() == [{"op": "unsubscribed", "channel": "price.crypto"}]
    relay.second(200)
    assert ear.take() == []


@pytest.mark.parametrize(
    "row",
    [
        {"channel": "price.crypto", "filter": {"symbol": "btc/usd"}},
        {"channel": "price.crypto", "filter": {"symbol": "btcusdt"}},
        {"channel": "price.crypto", "filter": {"symbol": "BTCUSD"}},
        {"channel": "price.crypto", "filter": {}},
        {"channel": "price.crypto", "filter": '{"symbol":"btcusd"}'},
        {"channel": "price.crypto"},
        {"channel": "price.crypto", "filter": {"symbol": "btcusd", "provider": "binance"}},
        {"channel": "price.crypto.twap", "filter": {"symbol": "btcusd"}},
        {"channel": "price.crypto.twap", "filter": {"symbol": "btcusd", "window_seconds": 30}},
        {"channel": "price.equity", "filter": {"symbol": "btcusd"}},
        {"channel": "nothing", "filter": {"symbol": "btcusd"}},
    ],
)
def test_a_bad_filter_is_refused_and_the_connection_stays(row: dict[str, Any]) -> None:
    ear = signed_in(Relay())
    ear.say(subscribe(row))
    told = {"op": "error", "code": "bad_filter", "channel": row["channel"], "rid": "s1"}
    assert ear.take() == [told]
    assert ear.closed_with is None


def test_a_provider_can_be_pinned_and_is_said() -> None:
    ear = signed_in(Relay())
    row = {"channel": "price.crypto", "filter": {"symbol": "btcusd", "provider": "pyth"}}
    ear.say(subscribe(row))
    assert ear.take()[1]["payload"]["source"] == "pyth"


def test_who_reads_too_slowly_is_told_how_many_he_lost() -> None:
    relay = Relay()
    ear = signed_in(relay)
    ear.say(subscribe(SPOT))
    ear.backlog = 2 << 20
    relay.seconds(5)
    ear.take()
    ear.backlog = 0
    relay.second(5)
    (frame,) = ear.take()
    assert shape(frame) == shape(fixture("pb-dropped"))
    assert (frame["dropped"], frame["seq"]) == (3, 5)
    relay.second(6)
    assert "dropped" not in ear.take()[0]


def test_twenty_subscribe_frames_a_second_and_no_more() -> None:
    ear = signed_in(Relay())
    for _ in range(21):
        ear.say(subscribe(SPOT))
    codes = [frame.get("code") for frame in ear.take()]
    assert codes.count("rate_limited") == 1
    assert codes[-1] == "rate_limited"
    ear.relay.now_ns += 10**9
    ear.say(subscribe(SPOT))
    assert ear.take()[-1]["op"] == "subscribed"


@pytest.mark.parametrize("text", ["{", "[]", '{"op":"dance"}', '{"op":1}', "x" * (65 << 10)])
def test_a_clients_bug_closes_with_4008(text: str) -> None:
    ear = signed_in(Relay())
    ear.say(text)
    assert ear.closed_with == 4008


def test_the_ninth_auth_frame_closes_with_4001() -> None:
    ear = Ear(Relay())
    for _ in range(9):
        assert ear.closed_with is None
        ear.say({"op": "auth", "rid": "a", "auth": {"apiKey": "no"}})
    codes = [frame["code"] for frame in ear.take()]
    assert codes == ["auth_invalid"] * 8 + ["auth_attempts"]
    assert ear.closed_with == 4001


def test_two_missed_pongs_close_with_4002() -> None:
    relay = Relay()
    quick, slow = signed_in(relay), signed_in(relay)
    for _ in range(4):
        relay.venue._ping()
        assert quick.on_control is not None
        quick.on_control(Opcode.PONG, b"")
    assert (quick.closed_with, slow.closed_with) == (None, 4002)
    assert (quick.pinged, slow.pinged) == (4, 2)
    assert {delay for delay, _ in relay.put_off} == {25 * 10**9}


def test_draining_closes_everyone_with_4003() -> None:
    relay = Relay()
    ears = [signed_in(relay), signed_in(relay)]
    relay.venue.drain()
    assert [ear.closed_with for ear in ears] == [4003, 4003]


def test_sixty_four_subscriptions_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.venues.polybolt.PAIRS_MAX", 1)
    ear = signed_in(Relay())
    ear.say(subscribe(SPOT, TWAP))
    assert [frame.get("code") for frame in ear.take()] == [None, None, "sub_limit"]


def test_prices_stand_where_they_were_put() -> None:
    relay = Relay()
    ear = signed_in(relay)
    ear.say(subscribe(SPOT))
    relay.second(0, btcusd=PRICE_E8 + 123)
    relay.second(2)
    assert ear.take()[2]["payload"]["full_accuracy_value"] == "90000.00000123"
