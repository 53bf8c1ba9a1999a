"""The claims about deaths can fail: each sees what it looks for in a made-up run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ops.identity import row
from shm_layout import (
    BET,
    BUY,
    E6,
    INSTRUMENT,
    INTENT,
    KIND_MODEL,
    NO_SNAPSHOT,
    ORIGIN_DESK,
    ORIGIN_DETECTOR,
    PAIR,
    POSITION,
    QUOTE,
    REPORT,
    SELL,
    ST_SETTLED,
    Segment,
    intent_id,
)
from tests.ops.rig import Engine
from tests.session.deaths import Death, Scene, doubled, too_late, untrusted, untrusted_prices
from tests.session.witness import Witness

MS_NS = 1_000_000
SEEN_NS = 5_000 * MS_NS  # of the desk's last look
LATER_NS = 400 * MS_NS  # a busy machine had no time for the bytes
INTENT_ID = intent_id(ORIGIN_DETECTOR, 1, 1)


def shown(record: np.dtype[np.void], **values: Any) -> np.void:
    """One record with these fields."""
    found: np.void = row(record, **values).view(record)[0]
    return found


def quote(scene: Scene, instrument: int, number: int, publish_ns: int, trust: int = 0) -> None:
    """One more quote was seen."""
    scene.witness.quotes[instrument, number] = shown(
        QUOTE, instrument=instrument, number=number, publish_ns=publish_ns, trust=trust, epoch=1
    )


def leg(scene: Scene, number: int, key: int = 7, intent: int = INTENT_ID) -> None:
    """One leg of an intent was sent."""
    scene.witness.legs.append(
        shown(REPORT, intent=intent, leg=number, taken_ns=SEEN_NS, send_ns=SEEN_NS + LATER_NS,
              order_key=[key] * 8)
    )


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Both legs of one intent were sent on trusted quotes of living feeds."""
    segment = Segment.private()
    made = Scene(Engine(tmp_path, "made-up"), Witness(segment))
    for instrument in range(2):
        body = row(INSTRUMENT, index=instrument, feed=instrument)
        segment.write("instruments", instrument, body)
        segment.write("quotes", instrument, row(QUOTE, instrument=instrument, size_min_e6=E6))
        quote(made, instrument, 1, SEEN_NS - 400 * MS_NS)
        leg(made, instrument, key=7 + instrument)
    segment.write("pairs", 0, row(PAIR, index=0, a=0, b=1, same=1, approved=1))
    made.witness.intents[INTENT_ID] = shown(
        INTENT, id=INTENT_ID, leg_count=2,
        instrument_0=0, quote_number_0=1, quote_epoch_0=1,
        instrument_1=1, quote_number_1=1, quote_epoch_1=1,
    )  # fmt: skip
    return made


def test_a_run_in_order_raises_no_complaint(scene: Scene) -> None:
    scene.deaths.append(Death("feed kalshi", 1, SEEN_NS - 240 * MS_NS))
    quote(scene, 0, 2, SEEN_NS - 5 * MS_NS, trust=NO_SNAPSHOT)  # too late for the desk to see
    assert (too_late(scene), untrusted(scene), doubled(scene), scene.lone()) == ([], [], [], {})


def bet(scene: Scene, **price: int) -> list[str]:
    """What is said of a bet on the price of slot 3, of which this is known."""
    cells = row(INTENT, id=INTENT_ID, kind=KIND_MODEL, leg_count=1)
    reasons = cells.view(BET)[0]
    reasons["spot_slot"], reasons["spot_epoch"], reasons["spot_number"] = 3, 1, 9
    scene.witness.intents[INTENT_ID] = cells.view(INTENT)[0]
    del scene.witness.legs[1:]
    if price:
        scene.witness.prices[3, price.get("epoch", 1), 9] = price["trust"], price["recv_ns"]
    return untrusted_prices(scene.witness)


def test_a_bet_on_a_price_that_proves_nothing_is_seen(scene: Scene) -> None:
    assert untrusted_prices(scene.witness) == [], "a pair stands on no price"
    assert bet(scene, trust=0, recv_ns=SEEN_NS - 2_900 * MS_NS) == []
    assert bet(scene, trust=0, recv_ns=SEEN_NS - 3_100 * MS_NS) == [
        "price (3, 1, 9): 3.1 s old when seen"
    ]
    assert bet(scene, trust=2, recv_ns=SEEN_NS) == ["price (3, 1, 9): trust 2"]
    scene.witness.prices.clear()
    assert (
        bet(scene) == bet(scene, epoch=2, trust=0, recv_ns=SEEN_NS) == ["price (3, 1, 9): trust -1"]
    )


@pytest.mark.parametrize("feed", ["feed kalshi", "feed polymarket"])
def test_an_order_long_after_its_writers_death_is_seen(scene: Scene, feed: str) -> None:
    scene.deaths.append(Death(feed, 1, SEEN_NS - 260 * MS_NS))
    assert len(too_late(scene)) == 2  # both legs stood on that quote
    scene.deaths[0] = Death(feed, 2, SEEN_NS - 260 * MS_NS)
    assert too_late(scene) == [], "another life of it"


@pytest.mark.parametrize("instrument", [0, 1])
def test_an_order_on_an_untrusted_quote_is_seen(scene: Scene, instrument: int) -> None:
    quote(scene, instrument, 2, SEEN_NS - 30 * MS_NS, trust=NO_SNAPSHOT)
    assert len(untrusted(scene)) == 2
    quote(scene, instrument, 3, SEEN_NS - 25 * MS_NS)
    assert untrusted(scene) == [], "trusted again before it left"
    quote(scene, instrument, 1, SEEN_NS - 400 * MS_NS, trust=NO_SNAPSHOT)
    assert len(untrusted(scene)) == 2, "decided on it"


def test_a_leg_that_went_out_twice_is_seen(scene: Scene) -> None:
    leg(scene, 1, key=9)
    assert len(doubled(scene)) == 1


def hold(scene: Scene, instrument: int, position_e6: int, price_e6: int) -> None:
    """What the gateway reports as held, bought at this price."""
    cost_e6 = abs(position_e6) * price_e6 // E6
    body = row(POSITION, instrument=instrument, position_e6=position_e6, cost_e6=cost_e6)
    scene.witness.segment.write("positions", instrument, body)


def test_a_leg_alone_is_seen_unless_it_is_dust(scene: Scene) -> None:
    hold(scene, 0, 5 * E6, 400_000)
    hold(scene, 1, -4 * E6, 580_000)
    assert scene.imbalances() == {0: (frozenset((0, 1)), E6)}
    hold(scene, 1, -4 * E6 - 10_000, 580_000)
    assert scene.lone() == {}, "no order can be of less than a contract"
    hold(scene, 0, 5 * E6, 30_000)
    hold(scene, 1, 0, 0)
    assert scene.lone() == {}, "worth less than $0.20"
    hold(scene, 0, 5 * E6, 50_000)
    assert set(scene.lone()) == {0}
    leg(scene, 0, key=5, intent=INTENT_ID + 1)
    assert scene.lone() == {}, "less than $0.20 of each intent"
    hold(scene, 0, 5 * E6, 400_000)
    hold(scene, 1, 0, 0)
    assert set(scene.lone()) == {0}
    hold(scene, 0, 0, 0)
    assert scene.lone() == {}


def fill(
    scene: Scene, intent: int, instrument: int, size_e6: int, limit_e6: int, **more: int
) -> None:
    """A leg report: bought, or (a negative size) sold."""
    side = BUY if size_e6 > 0 else SELL
    scene.witness.legs.append(
        shown(
            REPORT, intent=intent, leg=instrument, instrument=instrument, side=side,
            filled_e6=abs(size_e6), limit_e6=limit_e6, **more,
        )
    )  # fmt: skip


def test_a_bet_is_no_leg_alone_and_hides_none(scene: Scene) -> None:
    hold(scene, 0, 5 * E6, 400_000)
    assert set(scene.lone()) == {0}
    fill(scene, intent_id(ORIGIN_DETECTOR, 1, 3), 0, 2 * E6, 400_000, intent_kind=KIND_MODEL)
    assert scene.imbalances() == {0: (frozenset((0, 1)), 3 * E6)}
    fill(scene, intent_id(ORIGIN_DETECTOR, 1, 3), 0, 5 * E6, 400_000, intent_kind=KIND_MODEL)
    assert scene.lone() == {}, "the newest report of it counts"
    hold(scene, 0, 0, 0)
    assert scene.imbalances() == {0: (frozenset((0, 1)), -5 * E6)}, "one of a pair against it"
    settled = row(QUOTE, instrument=0, size_min_e6=E6, status=ST_SETTLED)
    scene.witness.segment.write("quotes", 0, settled)
    assert scene.lone() == {}, "booked with its market's result"
    hold(scene, 0, 5 * E6, 400_000)
    fill(scene, intent_id(ORIGIN_DETECTOR, 1, 4), 0, E6, 400_000, generation=2)
    assert scene.lone() == {}, "a leg of a pair, in another market"


@pytest.mark.parametrize("sign", [1, -1])
def test_a_leg_of_a_set_alone_is_seen_whichever_it_is(scene: Scene, sign: int) -> None:
    segment = scene.witness.segment
    segment.write("pairs", 1, row(PAIR, index=1, a=2, b=3, c=4, more=1, approved=1))
    for instrument in (2, 3, 4):
        segment.write("quotes", instrument, row(QUOTE, instrument=instrument, size_min_e6=E6))
        hold(scene, instrument, sign * 5 * E6, 300_000)
    assert scene.lone() == {}
    for instrument in (2, 3, 4):
        hold(scene, instrument, sign * 3 * E6, 300_000)
        assert scene.imbalances() == {1: (frozenset((2, 3, 4)), 2 * E6)}
        hold(scene, instrument, sign * 5 * E6, 300_000)
    hold(scene, 4, -sign * 5 * E6, 300_000)
    assert scene.imbalances() == {1: (frozenset((2, 3, 4)), 10 * E6)}, "the other way round"


@pytest.mark.parametrize(("limit_e6", "is_seen"), [(39_000, False), (41_000, True)])
@pytest.mark.parametrize("sign", [1, -1])
def test_dust_that_a_successor_counts_at_a_dollar_is_dust(
    scene: Scene, sign: int, limit_e6: int, is_seen: bool
) -> None:
    """Five contracts left of a hundred, of which a predecessor had seen none being bought."""
    hold(scene, 0, sign * 100 * E6, E6)
    hold(scene, 1, -sign * 95 * E6, E6)
    assert scene.imbalances() == {0: (frozenset((0, 1)), sign * 5 * E6)}
    found = intent_id(ORIGIN_DETECTOR, 1, 2)
    fill(scene, found, 0, sign * 100 * E6, limit_e6 if sign > 0 else E6 - limit_e6)
    fill(scene, found, 1, -sign * 60 * E6, 500_000)
    assert set(scene.lone()) == {0}
    fill(scene, intent_id(ORIGIN_DESK, 2, 1), 1, -sign * 35 * E6, 500_000, parent=found)
    assert bool(scene.lone()) is is_seen
    hold(scene, 1, 0, 0)
    assert set(scene.lone()) == {0}, "dust explains no more than itself"
