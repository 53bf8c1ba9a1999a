"""The simulated RTDS and its traps."""

from __future__ import annotations

import json
from typing import Any

from tests.conftest import reference
from tests.ops.venues.relay_rig import Ear, Relay
from tests.ops.venues.rig import shape

MINUTE_NS = 60 * 10**9


def rtds(relay: Relay | None = None) -> Ear:
    return Ear(relay or Relay(), path="/")


def subscribe(*rows: tuple[str, str | None]) -> dict[str, Any]:
    made = [{"topic": topic, "type": "update"} for topic, _ in rows]
    for row, (_, filters) in zip(made, rows, strict=True):
        if filters is not None:
            row["filters"] = filters
    return {"action": "subscribe", "subscriptions": made}


def raw(name: str) -> str:
    path = reference("fixtures/spot/polymarket_rtds.jsonl")
    rows = {row["id"]: row["raw"] for row in map(json.loads, path.read_text().splitlines())}
    return str(rows[name])


def kinds(ear: Ear) -> list[str]:
    return [frame["type"] if frame else "" for frame in ear.take()]


def test_frames_have_the_keys_and_kinds_of_the_fixtures() -> None:
    relay = Relay()
    relay.seconds(70)
    ear = rtds(relay)
    topics = ("crypto_prices_chainlink", "crypto_prices_twap_thirty", "crypto_prices_twap_sixty")
    one = '{"symbol":"btc/usd"}'
    ear.say(subscribe(*((topic, one) for topic in topics)))
    frames = ear.take()
    assert frames[::2] == [raw("rt-empty")] * 3
    chainlink, thirty, sixty = frames[1::2]
    assert shape(chainlink) == shape(json.loads(raw("rt-snap-binance")))
    assert chainlink["topic"] == "crypto_prices"  # mislabelled, as seen on 2026-09-05
    assert chainlink["payload"]["symbol"] == "btc/usd"
    assert shape(thirty) == shape(json.loads(raw("rt-snap-twap30")))
    assert shape(sixty) == shape(json.loads(raw("rt-snap-twap30")))
    relay.second(70)
    updates = {frame["topic"]: frame for frame in ear.take()}
    for topic, name in zip(topics, ("rt-chainlink", "rt-twap30", "rt-twap60"), strict=True):
        assert shape(updates[topic]) == shape(json.loads(raw(name)))


def test_exact_values_are_integers_in_1e_18() -> None:
    relay = Relay()
    ear = rtds(relay)
    ear.say(subscribe(("crypto_prices_chainlink", None)))
    relay.seconds(4)
    frames = [frame for frame in ear.take() if frame and frame["type"] == "update"]
    rows = [frame["payload"] for frame in frames]
    values = [row["full_accuracy_value"] for row in rows if row["symbol"] == "btc/usd"]
    assert values == ["90000000000000000000000", "90000000000010000000000"]


def test_without_a_filter_every_symbol_comes() -> None:
    relay = Relay()
    ear = rtds(relay)
    ear.say(json.loads(raw("rt-sub-all")))
    relay.seconds(3)
    symbols = [frame["payload"]["symbol"] for frame in ear.take() if frame and "payload" in frame]
    assert symbols == ["btc/usd", "eth/usd"] * 2  # history, then the first second


def test_a_filter_with_a_blank_brings_history_and_then_silence() -> None:
    relay = Relay()
    relay.seconds(5)
    ear = rtds(relay)
    ear.say(raw("rt-sub-spaced"))
    assert kinds(ear) == ["", "subscribe"]
    relay.second(5)
    assert kinds(ear) == []
    tight = rtds(relay)
    tight.say(raw("rt-sub-spaced").replace(': \\"btc', ':\\"btc'))
    relay.second(6)
    assert kinds(tight) == ["", "subscribe", "update"]


def test_a_list_of_symbols_brings_nothing() -> None:
    relay = Relay()
    relay.seconds(5)
    ear = rtds(relay)
    ear.say(subscribe(("crypto_prices_chainlink", '{"symbol":"btc/usd,eth/usd"}')))
    relay.second(5)
    assert kinds(ear) == [""]


def test_only_the_first_filter_of_a_topic_holds() -> None:
    relay = Relay()
    ear = rtds(relay)
    ear.say(subscribe(("crypto_prices_chainlink", '{"symbol":"btc/usd"}')))
    ear.say(subscribe(("crypto_prices_chainlink", '{"symbol":"eth/usd"}')))
    ear.take()
    relay.seconds(3)
    assert {frame["payload"]["symbol"] for frame in ear.take()} == {"btc/usd"}


def test_an_unknown_topic_kills_the_whole_batch() -> None:
    relay = Relay()
    ear = rtds(relay)
    ear.say(subscribe(("crypto_prices_chainlink", None), ("definitely_not_a_topic", None)))
    assert ear.take() == [json.loads(raw("rt-error"))]
    relay.seconds(5)
    assert ear.take() == []


def test_a_filter_that_is_no_text_kills_the_batch_too() -> None:
    ear = rtds()
    row = {"topic": "crypto_prices_chainlink", "type": "update", "filters": {"symbol": "btc/usd"}}
    ear.say({"action": "subscribe", "subscriptions": [row]})
    assert ear.take()[0]["statusCode"] == 401


def test_without_a_ping_it_falls_silent_and_says_nothing() -> None:
    relay = Relay()
    quiet, awake = rtds(relay), rtds(relay)
    for ear in (quiet, awake):
        ear.say(subscribe(("crypto_prices_chainlink", None)))
    relay.seconds(3)
    assert kinds(quiet)[-1] == kinds(awake)[-1] == "update"
    relay.now_ns += 5 * MINUTE_NS
    awake.say("PING")
    assert awake.take() == []  # no PONG
    relay.second(400)
    relay.second(402)
    assert kinds(quiet) == []
    assert quiet.closed_with is None
    assert kinds(awake).count("update") >= 1


def test_nonsense_is_not_answered() -> None:
    ear = rtds()
    for text in ("PONG", "{", "[1]", '{"action":"unsubscribe","subscriptions":[{}]}', "{}"):
        ear.say(text)
    assert ear.take() == []
