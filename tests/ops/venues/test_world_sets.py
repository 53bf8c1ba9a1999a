"""Sets of the seeded world: no book ever crosses, and gaps that pay open and close."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile
from typing import Any

import pytest

from ops.venues.kalshi import Kalshi
from ops.venues.kalshi_rest import KalshiRest
from ops.venues.polymarket import Polymarket
from ops.venues.polymarket_rest import PolymarketRest
from ops.venues.script import BID, BookSet, Event, LevelSet, Script, SetSpec
from ops.venues.session import RunClock, VenueLog
from ops.venues.world import WorldScript, make_world
from tests.ops.venues.rig import KalshiKey
from tests.session.line import Answers, spec_of

BEGIN = 1_795_000_000 * 10**9
SECOND = 10**9
FIRST = 14  # markets of pairs before them
Touch = tuple[int, int]  # best bid and ask


def world(seed: int, *, windows: int = 0) -> Script:
    return make_world(seed, begin_epoch_ns=BEGIN, windows=windows, has_sets=True)


def begun(script: Script, seconds: int) -> list[Event]:
    end = BEGIN + seconds * SECOND
    return list(takewhile(lambda event: event.at_epoch_ns < end, script.events()))


def touches(script: Script, seconds: int) -> Iterator[tuple[int, dict[int, Touch]]]:
    """After each change of a set's market: the time, and the touch of every one of them."""
    books: dict[int, tuple[dict[int, int], dict[int, int]]] = {}
    for event in begun(script, seconds):
        if not isinstance(event, BookSet | LevelSet) or event.market < FIRST:
            continue
        if isinstance(event, BookSet):
            books[event.market] = dict(event.bids), dict(event.asks)
        elif event.size_e6:
            books[event.market][event.side][event.price_e6] = event.size_e6
        else:
            del books[event.market][event.side][event.price_e6]
        found = {at: (max(bids), min(asks)) for at, (bids, asks) in books.items() if bids and asks}
        if len(found) == len(script.markets) - FIRST:
            yield event.at_epoch_ns, found


def left_e6(script: Script, spec: SetSpec, found: dict[int, Touch], side: int) -> int:
    """What a contract of each leaves after fees: all bought, all sold, or the two of a ladder."""
    numbers = {market.ticker: at for at, market in enumerate(script.markets)}
    places = [numbers[ticker] for ticker in spec.tickers]
    is_ladder = spec.way == "ladder"
    sides = [1, BID] if is_ladder else [side] * len(places)
    left = 10**6 if side or is_ladder else (len(places) - 1) * 10**6
    for at, taken in zip(places, sides, strict=True):
        price = found[at][taken]
        left -= price if taken else 10**6 - price
        left -= -(-script.markets[at].fee_rate_e6 * price * (10**6 - price) // 10**12)
    return left


def test_no_book_of_a_set_crosses_and_gaps_open_and_close() -> None:
    script, opened, pays = world(7), Counter[tuple[int, int]](), set[tuple[int, int]]()
    quiet = total = 0
    for _, found in touches(script, 120):
        assert all(bid < ask for bid, ask in found.values())
        now = {
            (at, side) for at, spec in enumerate(script.sets) for side in (0, 1)
            if left_e6(script, spec, found, side) > 0
        }  # fmt: skip
        opened.update(now - pays)
        pays, quiet, total = now, quiet + (not now), total + 1
    assert {at for at, _ in opened} == {0, 1, 2} and {side for _, side in opened} == {0, 1}
    assert quiet > total * 2 // 3, "quiet is the rule"


def test_the_markets_of_pairs_play_the_same_beside_them() -> None:
    plain = make_world(7, begin_epoch_ns=BEGIN, windows=0)
    beside = [event for event in begun(world(7), 3) if getattr(event, "market", 0) < FIRST]
    assert beside == begun(plain, 3)


def test_one_seed_is_one_script_and_windows_come_behind() -> None:
    script, other = world(3, windows=1), world(4)
    assert begun(script, 3) == begun(script, 3)
    assert script.digest != other.digest
    sets = {(spec.venue, ticker) for spec in script.sets for ticker in spec.tickers}
    assert {(m.venue, m.ticker) for m in script.markets[FIRST : FIRST + 7]} == sets
    assert all(market.index for market in script.markets[FIRST + 7 :])


def rest_of(script: Script, venue: str) -> Answers:
    """What a venue of the script answers."""
    clock = RunClock(script.timeline, mono=lambda: 0, wall=lambda: 0)
    spec, log = spec_of(script, KalshiKey().public_pem()), VenueLog()
    markets = {at: market for at, market in enumerate(script.markets) if market.venue == venue}
    if venue == "kalshi":
        kalshi = Kalshi(spec, markets, clock=clock, log=log, on_subscribed=lambda: None)
        return Answers(KalshiRest(kalshi).routes)
    made = Polymarket(
        spec, markets, clock=clock, log=log, later=lambda *_: None, on_subscribed=lambda: None
    )
    return Answers(PolymarketRest(made, orders_per_s=600, heartbeat_ns=10**10).routes)


def asked(rest: Answers, path: str, **query: str) -> Any:
    return json.loads(asyncio.run(rest.get(path, query)))


@pytest.mark.parametrize("is_other", [False, True])
def test_the_venues_say_of_their_events_what_the_registry_says(is_other: bool) -> None:
    """Also where that says something else."""
    script = world(3)
    assert isinstance(script, WorldScript)
    game, ladder, answers = script.sets
    if is_other:
        sets = replace(game, is_exclusive=False), ladder, replace(answers, is_augmented=True)
        script, (game, ladder, answers) = replace(script, sets=sets), sets
    told = asked(rest_of(script, "kalshi"), "/trade-api/v2/events", with_nested_markets="true")
    events = {tuple(m["ticker"] for m in one["markets"]): one for one in told["events"]}
    exclusive = {names for names, one in events.items() if one["mutually_exclusive"]}
    assert exclusive == ({game.tickers} if game.is_exclusive else set())
    assert events.keys() >= {game.tickers, ladder.tickers}
    rungs = [m["floor_strike"] for m in events[ladder.tickers]["markets"]]
    assert rungs == sorted(set(rungs)), "the lower strike first"
    rows = asked(rest_of(script, "polymarket"), "/events", limit="100")
    events = {tuple(m["slug"] for m in one["markets"]): one for one in rows}
    assert events[answers.tickers]["negRiskAugmented"] is answers.is_augmented
    assert all(one["negRiskAugmented"] for names, one in events.items()
               if one["negRisk"] and names != answers.tickers), "nobody says that they are whole"
    assert not any("negRiskAugmented" in one for one in events.values() if not one["negRisk"])
    group, markets = events[answers.tickers], events[answers.tickers]["markets"]
    assert {m["negRiskMarketID"] for m in markets} == {group["negRiskMarketID"]}
    assert len({m["negRiskRequestID"] for m in markets}) == len(markets) == 3
