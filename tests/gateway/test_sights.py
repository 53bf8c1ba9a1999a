"""What an intent was decided on stands in the journal: books, fees and stamps, in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gateway import journal as j
from gateway.intent import from_cells, to_cells
from gateway.memory import LOOKS_AT, Memory
from gateway.sights import BACK_MAX, FIELDS, KEPT_MAX, Sights
from shm_layout import BODY, BUY, INTENT, K_QUOTE, QUOTE, Words, ring_append
from tests.gateway.rig import FAK_NONE, kalshi_filled, play, poly_filled, running
from tests.gateway.scene import EPOCH, KALSHI, Scene, body


class Kept:
    """Sights on a scene, without a desk: their records come here."""

    def __init__(self) -> None:
        self.scene, self.memory = Scene(), Memory()
        self.records: list[dict[str, Any]] = []
        self.sights = Sights(
            words=self.scene.segment.words, memory=self.memory,
            accounts=self.scene.tell(self.memory), append=self._append,
        )  # fmt: skip

    def _append(self, record: dict[str, Any]) -> bool:
        self.records.append(record)
        return True

    def publish(self, instrument: int, **more: int) -> None:
        """A new quote, in its slot and in its feed's ring."""
        scene, segment = self.scene, self.scene.segment
        scene.quote(instrument, bid=400_000, ask=420_000, **more)
        row = segment.read("quotes", instrument)
        assert row is not None
        ring = f"changes_{instrument}"
        at, entries = segment.at(ring), segment.entries(ring)
        ring_append(segment.words, at, entries, K_QUOTE, _cells(row), BODY)

    def keep(self, number: int) -> None:
        """An intent of one leg that was decided on this quote; the newest was looked at."""
        leg = (KALSHI, KALSHI, 1, BUY, 420_000, 10_000_000, 0, number, EPOCH, 1)
        cells = body(INTENT, id=77, leg_count=1, profit_e6=8, fees_e6=9, venue_0=leg)
        row = self.scene.segment.read("quotes", KALSHI)
        assert row is not None
        self.memory.words[LOOKS_AT : LOOKS_AT + BODY] = _cells(row)
        self.sights.keep(from_cells(cells.tolist()), 5, [6])


def _cells(row: np.void) -> Words:
    return body(QUOTE, **{name: row[name].tolist() for name in QUOTE.names or ()})


def test_both_books_fees_and_stamps_stand_behind_the_order(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.kalshi.script, rig.poly.script = [kalshi_filled("10.00")], [poly_filled("5", "10")]
            number = rig.fire()
            await rig.end_of(number)
        found = j.read(j.files(rig.folder)[-1]).records
        kinds = [record["k"] for record in found]
        opened, order, seen = (found[kinds.index(kind)] for kind in ("opened", "order", "seen"))
        assert kinds.index("opened") < kinds.index("order") < kinds.index("seen")
        assert [row[:3] for row in opened["cash"]] == [[0, "kalshi", 2], [1, "polymarket", 2]]
        assert opened["held"] == [] and opened["run"] == order["run"]
        markets = [record for record in found if record["k"] == "market"]
        assert [(row["ticker"], row["nets"]) for row in markets] == [
            ("KX-1", True), ("slug-1", False)]  # fmt: skip
        assert markets[1]["yes"] == "111" and markets[1]["no"] == "222"
        assert seen["intent"] == number
        first, second = seen["legs"]
        assert first["same"] and second["same"] and first["book"] is None
        assert first["look"]["asks"] == [[420_000, 100_000_000]] and first["look"]["trust"] == 0
        assert second["look"]["bids"] == [[500_000, 100_000_000]]
        assert first["fee"] == 170_600 and second["fee"] == 125_000
        assert set(first["look"]) == {*FIELDS, "bids", "asks"}
        assert order["taken_ns"] <= seen["put"] <= min(seen["sent"]) and len(seen["sent"]) == 2

    play(story, tmp_path)


def test_a_second_order_names_its_markets_no_more(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            for size_e6 in (10_000_000, 20_000_000):
                rig.kalshi.script, rig.poly.script = [kalshi_filled("0.00")], [FAK_NONE]
                await rig.end_of(rig.fire(size_e6=size_e6))
        kinds = [record["k"] for record in j.read(j.files(rig.folder)[-1]).records]
        assert kinds.count("seen") == 2 and kinds.count("market") == 2

    play(story, tmp_path)


def test_the_book_decided_on_is_found_when_a_newer_one_was_looked_at() -> None:
    kept = Kept()
    kept.publish(KALSHI, size=1_000_000)
    decided = kept.scene.numbers[KALSHI]
    for _ in range(3):
        kept.publish(KALSHI, size=2_000_000)
    kept.keep(decided)
    kept.keep(decided + 3)
    kept.sights.write()
    older, newest = (record for record in kept.records if record["k"] == "seen")
    (leg,) = older["legs"]
    assert not leg["same"]
    assert leg["book"]["number"] == decided and leg["book"]["asks"] == ((420_000, 1_000_000),)
    assert leg["look"]["number"] == decided + 3 and leg["look"]["asks"] == ((420_000, 2_000_000),)
    assert newest["legs"][0]["same"] and newest["legs"][0]["book"] is None
    assert (older["profit"], older["fees"], older["put"], older["sent"]) == (8, 9, 5, [6])


def test_a_book_that_is_no_more_in_reach_is_not_guessed() -> None:
    kept = Kept()
    kept.publish(KALSHI)
    decided = kept.scene.numbers[KALSHI]
    for _ in range(BACK_MAX):
        kept.publish(KALSHI)
    kept.keep(decided)
    kept.keep(decided + 10_000)
    kept.sights.write()
    seen = [record for record in kept.records if record["k"] == "seen"]
    legs = [leg for record in seen for leg in record["legs"]]
    assert [(leg["same"], leg["book"]) for leg in legs] == [(False, None)] * 2


def test_what_waits_is_bounded() -> None:
    kept = Kept()
    kept.publish(KALSHI)
    for _ in range(KEPT_MAX + 5):
        kept.keep(kept.scene.numbers[KALSHI])
    kept.sights.write()
    kept.sights.write()
    assert sum(record["k"] == "seen" for record in kept.records) == KEPT_MAX


def test_what_an_intent_should_bring_survives_its_wait_for_a_signature() -> None:
    cells = body(INTENT, id=77, leg_count=1, profit_e6=8, fees_e6=9).tolist()
    intent = from_cells(cells)
    assert (intent.profit_e6, intent.fees_e6) == (8, 9)
    assert from_cells(to_cells(intent)) == intent
