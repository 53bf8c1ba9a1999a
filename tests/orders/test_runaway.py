"""A detector that runs away: 5,000 intents a second, repeated, resized, a thousand times as large,
with their legs swapped. Only the burst that the limits allow is read at the venues, every order of
it is known, and the gateway trades on.

`pytest -m kill` floods for 30 s, a continuous integration (ARB_TEST_SHORT) for 5 s. A gateway whose
limits were raised is caught by the same claims.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ops import clock
from shm_layout import GATEWAY, INSTRUMENTS_MAX
from tests.ops.rig import engine, until
from tests.orders.checker import violations
from tests.orders.evidence import Evidence, Keeper, Sent, gather
from tests.session.deaths import Scene
from tests.session.runaway import FORMS, RATE
from tests.session.witness import Witness

pytestmark = [pytest.mark.kill, pytest.mark.timeout(900)]

FLOOD_S = 5 if os.environ.get("ARB_TEST_SHORT") else 30
COMMAND = [sys.executable, "-m", "tests.session.runaway"]
HARMFUL = ("enlarged", "sides swapped", "venues swapped")  # may not leave even once
SETTINGS = {
    "ARB_EDGE_COOLDOWN_MS": "100", "ARB_PROCESSES_HANG_MAX_MS": "60000",
    "ARB_UPDOWN_BETS": "0", "ARB_SIM_SETS": "0",  # its forms exchange two legs of two venues
    "ARB_SPOT_BINANCE": "0", "ARB_SPOT_KRAKEN": "0", "ARB_SPOT_COINGECKO": "0",
    "ARB_FEEDS_LANES": "1", "ARB_LIMITS_SIZE_MAX": "100", "ARB_LIMITS_ORDER_MAX": "100",
}  # fmt: skip
TIGHT = {
    "ARB_LIMITS_ORDERS_PER_SECOND": "8",
    "ARB_LIMITS_ORDERS_PER_MINUTE": "60",
    "ARB_LIMITS_ORDERS_PER_DAY": "100",
    "ARB_LIMITS_MARKET_MAX": "400",
}
LOOSE = {
    "ARB_LIMITS_ORDERS_PER_SECOND": "1000",
    "ARB_LIMITS_ORDERS_PER_MINUTE": "60000",
    "ARB_LIMITS_MARKET_MAX": "10000",
}
SPANS = {"second": 1, "minute": 60, "day": 86_400}
MARKET_MAX_E6 = 400_000_000
RECORDS_MAX = 50  # of a journal, for each order of it
EARLY_S = 120
QUIET_NS = 5 * clock.SECOND_NS


@dataclass(frozen=True)
class Flood:
    """What came of one. `forms`: by intent; `costs_e6`: of what is held at the end, by
    instrument; `limited`: intents that nothing but the rate was wrong of."""

    evidence: Evidence
    forms: Mapping[int, str]
    costs_e6: Mapping[int, int]
    limited: int


def opening(evidence: Evidence) -> list[Sent]:
    """Opening orders that a venue has read, in the order of their records."""
    read = {read.key for read in evidence.reads}
    found = [order for order in evidence.sent if order.key in read and not order.is_unwind]
    return sorted(found, key=lambda order: order.taken_ns)


def beyond(found: Flood) -> Iterator[str]:
    """What left and should not have, in words."""
    orders = opening(found.evidence)
    for name, seconds in SPANS.items():
        most = int(TIGHT[f"ARB_LIMITS_ORDERS_PER_{name.upper()}"])
        for early, late in zip(orders, orders[most:], strict=False):
            if late.taken_ns - early.taken_ns < seconds * clock.SECOND_NS:
                yield f"more than {most} orders within a {name}"
                break
    for form in HARMFUL:
        count = sum(found.forms.get(order.intent) == form for order in orders)
        if count:
            yield f"{count} orders of intents that were {form}"
    unwound_e6: Counter[int] = Counter()
    for order in found.evidence.sent:
        unwound_e6[order.instrument] += order.size_e6 if order.is_unwind else 0
    for instrument, cost_e6 in found.costs_e6.items():
        if cost_e6 > MARKET_MAX_E6 + unwound_e6[instrument]:
            yield f"instrument {instrument}: {cost_e6}e-6 dollars at risk"


def costs(witness: Witness) -> dict[int, int]:
    """Dollars in 1e-6 that what is held has cost, by instrument."""
    rows = {index: witness.segment.read("positions", index) for index in range(INSTRUMENTS_MAX)}
    return {index: int(row["cost_e6"]) for index, row in rows.items() if row is not None}



def until_told(witness: Witness) -> None:
    """Until nothing is in flight and the gateway has had nothing to tell for a while: lone legs
    are given back and exact amounts are known by then."""
    told, since_ns = 0, clock.mono_ns()

    def is_told() -> bool:
        nonlocal told, since_ns
        rows = (witness.segment.read("positions", index) for index in range(INSTRUMENTS_MAX))
        is_open = any(row is not None and row["open_e6"] for row in rows)
        if is_open or len(witness.legs) != told:
            told, since_ns = len(witness.legs), clock.mono_ns()
        return clock.mono_ns() - since_ns > QUIET_NS

    witness.until(is_told, 120, "nothing more to tell")


def flood(tmp_path: Path, settings: dict[str, str], *, settles: bool = True) -> Flood:
    """One engine, one flood, trading afterwards, an end in order; before it, with `settles`, what
    is under way comes to its end.
    """
    told = tmp_path / "flooded"
    more = {"ARB_TEST_FLOOD_S": str(FLOOD_S), "ARB_TEST_FLOOD_TOLD": str(told)}
    with engine(tmp_path, command=COMMAND, settings=SETTINGS | settings | more) as made:
        made.start("--seed", "11", "--speed", "10", "--json")
        witness, keeper = Witness.of(made), Keeper(tmp_path)
        scene = Scene(made, witness)
        made.wait_until_trading()
        keeper.poll()
        scene.until_trading(EARLY_S)
        made.kill("detector", signal.SIGUSR1)

        def is_over() -> bool:
            if scene.is_halted_by_gateway():
                scene.command("resume")
            return told.exists()

        until(is_over, 3 * FLOOD_S + 120, "the end of the flood")
        scene.command("halt")
        if settles:
            until_told(witness)
        held, limited = costs(witness), witness.counter(GATEWAY, "rate_limited")
        ended_ns = clock.mono_ns()
        scene.command("stop")
        witness.to_the_end(made, 180)
    keeper.poll()
    lines = (line.split(" ", 1) for line in told.read_text().splitlines())
    forms = {int(number): form for number, form in lines}
    return Flood(gather(tmp_path, keeper, witness, ended_ns), forms, held, limited)


def test_only_the_burst_that_is_allowed_leaves(tmp_path: Path) -> None:
    found = flood(tmp_path, TIGHT)
    assert violations(found.evidence) == []
    assert list(beyond(found)) == []
    written, orders = Counter(found.forms.values()), opening(found.evidence)
    left = Counter(found.forms[order.intent] for order in orders if order.intent in found.forms)
    sys.stdout.write(f"written {dict(written)}, left {dict(left)}, rate limited {found.limited}\n")
    assert set(written) == set(FORMS) and len(found.forms) > FLOOD_S * RATE // 4, written
    # How many of the flood left is the machine's: on one that starves its own decisions used the
    # limit up. Last words are the ring's newest thousand, of bases whose quotes have moved by then:
    # the gateway's own count saw all of them.
    assert found.limited > 0
    assert len(found.evidence.records) < RECORDS_MAX * len(found.evidence.sent)


def test_a_gateway_with_looser_limits_is_caught(tmp_path: Path) -> None:
    found = flood(tmp_path, LOOSE, settles=False)
    complaints: Sequence[str] = list(beyond(found))
    assert any("within a second" in line for line in complaints), complaints
