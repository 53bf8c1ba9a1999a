"""Random histories with faults: what a feed trusts is the venue's book, and trust comes back.

The real simulated venues against the real feed (handlers, lanes, race, facts, REST) in virtual
time; `histories.py` plays, `oracle.py` judges. 500 in the ordinary tests, 10,000 more with
`pytest -m books` (ARB_TEST_SHORT: 25). A failing one names its seed and the command that plays
it again.
"""

from __future__ import annotations

import gc
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from feeds.feed import Feed
from feeds.kalshi import Kalshi
from feeds.lane import Lane
from feeds.levels import BOARD, LEAD, SEAT, STRIDE
from feeds.polymarket import Polymarket
from feeds.polymarket_check import BookCheck
from feeds.seat import Seat
from feeds.shard import Shard
from ops.venues.faults import Fault
from tests.feeds.histories import KINDS, History, history
from tests.feeds.oracle import Wrong
from tests.feeds.play import Play, play

BATCHES, EACH = 8, 25
MANY = 25 if os.environ.get("ARB_TEST_SHORT") else 10_000
SAY_EVERY = 25
TRUSTED_LEAST = 0.5  # of the looks: a feed that trusts nothing would be right for nothing


@pytest.fixture(autouse=True, scope="module")
def _frozen() -> Iterator[None]:
    """What was there before is looked at by no collection: a sixth of the time."""
    gc.freeze()
    yield
    gc.unfreeze()


def played(seeds: Iterable[int]) -> tuple[int, int]:
    """Looks, and those at a trusted quote."""
    looks = trusted = 0
    for seed in seeds:
        oracle = play(history(seed))
        looks, trusted = looks + oracle.checked, trusted + oracle.trusted
    return looks, trusted


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_trusted_book_is_the_venues_and_trust_comes_back(batch: int) -> None:
    looks, trusted = played(range(batch * EACH, (batch + 1) * EACH))
    assert trusted > TRUSTED_LEAST * looks, (trusted, looks)


@pytest.mark.books
@pytest.mark.timeout(6 * 3600)
def test_ten_thousand_histories(capsys: pytest.CaptureFixture[str]) -> None:
    first, looks, trusted = BATCHES * EACH, 0, 0
    wrong: list[str] = []
    for seed in range(first, first + MANY):
        try:
            counted = played((seed,))
        except Wrong as error:
            wrong.append(str(error))
            counted = 0, 0
        looks, trusted = looks + counted[0], trusted + counted[1]
        if (seed + 1 - first) % SAY_EVERY == 0:
            with capsys.disabled():
                done = f"{seed + 1 - first} of {MANY} histories, {len(wrong)} wrong"
                sys.stdout.write(f"\r{done}, {trusted} of {looks} looks at a trusted quote")
                sys.stdout.flush()
    assert not wrong, "\n".join(wrong[:20])


def test_the_sample_has_every_fault_both_venues_and_one_and_two_connections() -> None:
    told = [history(seed) for seed in range(BATCHES * EACH)]
    kinds = Counter(fault.kind for each in told for fault in each.faults)
    assert set(kinds) == set(KINDS) and min(kinds.values()) >= 10, kinds
    shapes = Counter((each.venue, each.lanes) for each in told)
    assert len(shapes) == 4 and min(shapes.values()) > BATCHES * EACH // 8, shapes


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
@pytest.mark.parametrize("kind", sorted(set(KINDS)))
def test_every_fault_strikes(kind: str, venue: str) -> None:
    for told in some(venue, 1, kind=kind):
        stage = Play(told)
        stage.run()
        if kind in {row.kind for row in stage.log.faults}:
            return
    pytest.fail(f"no {kind} has struck")


def test_a_seed_is_a_history() -> None:
    first, second = (Play(history(7)) for _ in range(2))
    assert first.run().moments == second.run().moments
    assert [row.mono_ns for row in first.log.faults] == [row.mono_ns for row in second.log.faults]


# ---- negative controls: with a rule removed some history goes red


LOSSY = Fault(venue="polymarket", kind="gap", machine_ms=500, count=60, every=3)


def red(told: Iterable[History]) -> str:
    """What is wrong with the first of these histories that fails. "": with none."""
    for each in told:
        try:
            play(each)
        except Wrong as error:
            return str(error)
    return ""


def some(venue: str, lanes: int, *, kind: str = "", tries: int = 60) -> Iterator[History]:
    """Histories of one shape, with such a fault."""
    for seed in range(tries):
        told = history(seed, venue=venue, lanes=lanes)
        if not kind or kind in {fault.kind for fault in told.faults}:
            yield told


def lossy() -> Iterator[History]:
    """Polymarket loses one frame of three."""
    return (replace(told, faults=(LOSSY,)) for told in some("polymarket", 1))


def test_without_the_gap_check_it_goes_red(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kalshi, "_gap", lambda self, recv_ns: None)
    found = red(some("kalshi", 1, kind="gap"))
    assert "is trusted and shows" in found
    assert re.search(r"python -m tests\.feeds \d+ kalshi 1$", found), found


def test_without_the_touch_check_it_goes_red(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, put = Polymarket.frame, Polymarket._put

    def decoded(self: Polymarket, payload: bytes | memoryview, recv_ns: int, last: bool) -> None:
        frame(self, bytes(payload), recv_ns, last)

    def blind(self: Polymarket, *what: Any) -> int:
        return put(self, *what[:6])  # what the venue says of its touch comes after these

    monkeypatch.setattr(Polymarket, "frame", decoded)
    monkeypatch.setattr(Polymarket, "_put", blind)
    assert "is trusted and shows" in red(lossy())


def test_without_the_look_at_rest_it_goes_red(monkeypatch: pytest.MonkeyPatch) -> None:
    async def blind(self: BookCheck) -> list[str]:
        return []

    monkeypatch.setattr(BookCheck, "turn", blind)
    assert "at the end" in red(lossy())


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
def test_a_laggard_that_is_published_is_seen(venue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    on_text = Lane.on_text

    def leading(self: Lane, payload: bytes | memoryview, recv_ns: int, last: bool) -> None:
        state = self.seat.state
        for local in range(self.seat.count_max):
            state[state[BOARD] + local * state[STRIDE] + LEAD] = state[SEAT]
        on_text(self, payload, recv_ns, last)

    monkeypatch.setattr(Lane, "on_text", leading)
    assert "is trusted and shows" in red(some(venue, 2))


def test_increments_of_two_connections_in_one_book_are_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lane = Feed._lane

    def merged(self: Feed, seat: Seat, shard: Shard) -> Lane:
        return lane(self, shard.seats[0], shard)

    monkeypatch.setattr(Feed, "_lane", merged)
    assert red(some("kalshi", 2))


def test_a_venue_that_lies_within_the_rules_is_seen_by_the_judge() -> None:
    """The judge does not believe the wire: a size a hundred times as big is only a size."""
    lie = Fault(venue="kalshi", kind="drift", field="delta_fp", how="rescaled", machine_ms=500,
                channel="orderbook_delta", count=5)  # fmt: skip
    told = (replace(each, faults=(lie,)) for each in some("kalshi", 1))
    assert "is trusted and shows" in red(told)
