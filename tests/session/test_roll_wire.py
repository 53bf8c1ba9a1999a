"""Three rolls of windows of a minute, on both venues, with real processes: nothing but the windows
trades here, and time runs six times as fast. Meanwhile the catalog is killed, the settings are
read again, and the index relay falls silent while one of the windows begins.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.order_record import INTENT_HEAD
from ops import clock, control, supervisor_cli
from ops.tally import RingReader
from shm_layout import (
    ACTIVE,
    BUY,
    E6,
    INSTRUMENT,
    INSTRUMENTS_MAX,
    K_INSTRUMENT,
    KIND_MODEL,
    RUN_CLOCK,
    ST_SETTLED,
    VENUES,
    Segment,
    cells_to_text,
    cells_to_uint256,
)
from tests.ops.rig import engine
from tests.orders.checker import violations
from tests.orders.evidence import Evidence, Keeper, gather
from tests.session.rolling import ASKED, LEAD_S, LENGTHS_S, TABLE
from tests.session.witness import Witness

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]
SPEED = 6
SECOND = clock.SECOND_NS
MUTE = 1  # the window whose beginning is not heard: the second
FAULT = f"""
[[fault]]
venue = "polybolt"
kind = "freeze"
at_ms = {1_000 * (LEAD_S + 60 * MUTE - 10)}
for_ms = {25_000 // SPEED}
"""
SETTINGS = {
    "ARB_GATEWAY_DRIFT_CHECK_MS": "10000", "ARB_EDGE_COOLDOWN_MS": "5000", "ARB_SPOT_BINANCE": "0",
    "ARB_SPOT_KRAKEN": "0", "ARB_SPOT_COINGECKO": "0",
}  # fmt: skip
LOOK_NS = SECOND // 4
VENUES_OF = (("kalshi", 60), ("polymarket", 60), ("polymarket", 120))
VENUES_TRADED = ("kalshi", "polymarket")
Name = tuple[int, int]  # an instrument's number and generation


@dataclass(frozen=True)
class Window:
    """A window as the tables had it."""

    name: Name
    venue: str
    ticker: str
    length_s: int
    open_s: int
    tokens: tuple[str, str]

    @property
    def close_s(self) -> int:
        return self.open_s + self.length_s


@dataclass
class Tables:
    """Every row of an instrument that was ever told, as it came."""

    segment: Segment
    windows: dict[Name, Window] = field(default_factory=dict)
    ended: set[Name] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._ring = RingReader(self.segment, "control_ring")
        for index in range(INSTRUMENTS_MAX):
            row = self.segment.read("instruments", index)
            if row is not None:
                self._take(row)

    def poll(self) -> None:
        for kind, body in self._ring.drain():
            if kind == K_INSTRUMENT:
                self._take(body.view(INSTRUMENT)[0])
        assert self._ring.lost == 0

    def _take(self, row: np.void) -> None:
        venue, ticker = VENUES[int(row["venue"])], cells_to_text(row["ticker"].tolist())
        open_s = int(row["open_epoch_ns"]) // SECOND
        series = TABLE.of(venue, ticker, open_s)
        name = int(row["index"]), int(row["generation"])
        if series is None or not row["settlement_rule"]:
            return  # a market of the world that is no window
        tokens = tuple(
            str(cells_to_uint256(row[each].tolist())) for each in ("token_yes", "token_no")
        )
        length_s = LENGTHS_S[series.interval]
        self.windows[name] = Window(
            name, venue, ticker, length_s, open_s, (tokens[0], tokens[1])
        )  # fmt: skip
        if not row["live"]:
            self.ended.add(name)

    def of(self, venue: str, length_s: int) -> list[Window]:
        """In the order of their beginnings."""
        found = [
            one for one in self.windows.values() if (one.venue, one.length_s) == (venue, length_s)
        ]  # fmt: skip
        return sorted(found, key=lambda one: one.open_s)


@dataclass(frozen=True)
class Found:
    """What the run left."""

    tables: Tables
    witness: Witness
    evidence: Evidence
    journal: Path
    asked: dict[str, set[str]]  # subscribed at the end, by venue
    status: dict[str, Any]
    summary: dict[str, Any]
    first_s: int  # when the first window begins

    def run_s(self, at_ns: int) -> float:
        """Run time of a machine stamp."""
        row = self.witness.segment.read("run_clock")
        assert row is not None and RUN_CLOCK.names is not None
        passed_ns = (at_ns - int(row["mono_base_ns"])) * int(row["speed_e6"]) // 10**6
        return (int(row["begin_epoch_ns"]) + passed_ns) / SECOND

    def legs(self) -> Iterator[tuple[Name, np.void, int]]:
        """Every leg of every intent of the detector."""
        for intent in self.witness.intents.values():
            for leg in range(int(intent["leg_count"])):
                yield (
                    (int(intent[f"instrument_{leg}"]), int(intent[f"generation_{leg}"])),
                    intent, leg,
                )  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """One run, until everything of the first window after the start has been forgotten."""
    state_dir = tmp_path_factory.mktemp("roll")
    plan = state_dir / "faults.toml"
    plan.write_text(FAULT)
    command = [sys.executable, "-m", "tests.session.rolling"]
    with engine(state_dir, command=command, settings=SETTINGS) as made:
        made.start("--speed", str(SPEED), "--faults", str(plan), "--json")
        witness, keeper = Witness.of(made), Keeper(state_dir)
        made.wait_until_trading()
        keeper.poll()
        tables = Tables(witness.segment)
        first_s = tables.of("kalshi", 60)[0].open_s

        made.kill("catalog")
        assert made.run("reload").returncode == 0

        due_ns = 0

        def is_over() -> bool:
            nonlocal due_ns
            if clock.mono_ns() < due_ns:
                return False
            due_ns = clock.mono_ns() + LOOK_NS
            tables.poll()
            if witness.trading_state() == ACTIVE and "HALTED" in made.status().get("gate", ""):
                control.ask(state_dir, "resume")  # the operator has looked
            again = {w.venue for w in tables.windows.values() if w.name[1] > 1}
            closed = {w.name for w in tables.windows.values() if w.close_s <= first_s + 60}
            return closed <= tables.ended and again == {"kalshi", "polymarket"}

        witness.until(is_over, 75, "windows that are forgotten, numbers that are used again")
        status = made.status()
        assert "error" not in control.ask(state_dir, "halt")
        witness.until(lambda: witness.intents.keys() <= witness.ends.keys(), 10, "last words")
        ended_ns = clock.mono_ns()
        assert "error" not in control.ask(state_dir, "stop")
        summary = witness.to_the_end(made, 60)
        tables.poll()
    keeper.poll()
    (journal,) = (state_dir / "journal").iterdir()
    asked: dict[str, set[str]] = {}
    for line in (state_dir / "log" / ASKED).read_text().splitlines():
        told = json.loads(line)
        asked[told["venue"]] = set(told["names"])
    evidence = gather(state_dir, keeper, witness, ended_ns)
    return Found(tables, witness, evidence, journal, asked, status, summary, first_s)


def test_both_venues_roll_and_numbers_are_used_again(found: Found) -> None:
    tables = found.tables
    for venue, length_s in VENUES_OF:
        windows = tables.of(venue, length_s)
        assert {b.open_s - a.open_s for a, b in pairwise(windows)} == {length_s}
        assert any(one.name[1] > 1 for one in tables.windows.values() if one.venue == venue)
    (catalog,) = [row for row in found.status["processes"] if row["name"] == "catalog"]
    assert catalog["restarts"] == 1 and catalog["pid"]
    told = found.status["windows"]
    assert told["refused"] == 0 and told["overdue"] == []
    assert told["forgotten"] == len(tables.ended) > 0


def test_a_window_is_subscribed_before_it_opens(found: Found) -> None:
    first: dict[Name, float] = {}
    for quote in found.witness.quotes.values():
        name = int(quote["instrument"]), int(quote["generation"])
        at_s = found.run_s(int(quote["publish_ns"]))
        first[name] = min(first.get(name, at_s), at_s)
    opened = [w for w in found.tables.windows.values() if w.open_s <= found.first_s + 120]
    assert len(opened) >= 3 + 3 + 2
    assert [w for w in opened if first[w.name] >= w.open_s] == []


def test_no_order_is_decided_on_a_window_that_is_not_open(found: Found) -> None:
    seen = 0
    for name, intent, leg in found.legs():
        window = found.tables.windows.get(name)
        assert window is not None, "only windows trade here"
        at_s = found.run_s(int(intent["decide_ns"]))
        assert window.open_s <= at_s < window.close_s, (window, at_s)
        quote = found.witness.quotes[name[0], int(intent[f"quote_number_{leg}"])]
        assert quote["generation"] == name[1], "a quote of the window before"
        seen += 1
    assert seen > 0 and not found.witness.lost


def test_a_window_trades_only_if_its_start_was_heard(found: Found) -> None:
    """Nobody heard the second begin."""
    traded: defaultdict[int, int] = defaultdict(int)
    for name, _, _ in found.legs():
        window = found.tables.windows[name]
        if window.venue == "polymarket":  # Kalshi tells its strikes
            traded[(window.open_s - found.first_s) // 60] += 1
    assert 0 in traded and MUTE not in traded, dict(traded)


def assert_cash_is_the_venues(evidence: Evidence) -> None:
    """To the unit, but for what a result paid after the gateway's last look, on the way down: of
    what only the desk still holds, at most a dollar a contract.
    """
    for venue in VENUES_TRADED:
        ours, theirs = (
            sum(cash_e6 for (name, _), cash_e6 in cash.items() if name == venue)
            for cash in (evidence.desk_cash, evidence.venue_cash)
        )
        late_e6 = sum(
            abs(held_e6) for name, held_e6 in evidence.desk_held.items()
            if name[0] == venue and name not in evidence.venue_held
        )  # fmt: skip
        assert 0 <= theirs - ours <= late_e6, (venue, ours, theirs, late_e6)


def test_what_is_held_of_a_window_that_is_over_is_settled_and_gone(found: Found) -> None:
    """Journal and venues say the same, to the cent."""
    settled = {
        (record["instrument"], record["generation"])
        for record in found.evidence.records
        if record["k"] == "settle"
    }
    assert {found.tables.windows[name].venue for name in settled} == {"kalshi", "polymarket"}
    late = found.evidence.desk_held.keys() - found.evidence.venue_held.keys()
    wrong = violations(found.evidence)
    assert [each for each in wrong if not (late and each.startswith("apart: "))] == []
    assert_cash_is_the_venues(found.evidence)
    over = {n for w in found.tables.windows.values() if w.name in found.tables.ended
            for n in (w.ticker, *w.tokens)}  # fmt: skip
    assert not over & {name for _, name in found.evidence.venue_held}


def test_a_bet_is_paid_by_what_its_window_settled_at_and_forgotten(found: Found) -> None:
    """Everything that was traded in a window of a bet, from the journal's trades, against what was
    booked when it settled, and that against what its venue told. The cash is the venues' own."""
    evidence, witness = found.evidence, found.witness
    sides: dict[str, tuple[Name, int]] = {}
    bets: set[Name] = set()
    for record in evidence.records:
        if record["k"] != "order":
            continue
        for _, _, number, generation, side, _, _, key in record["orders"]:
            sides[key] = (number, generation), side
            if record["intent"][INTENT_HEAD.index("kind")] == KIND_MODEL:
                bets.add((number, generation))
    trades = {(r["key"], r["trade"]): r for r in evidence.records if r["k"] == "trade"}
    held: defaultdict[Name, int] = defaultdict(int)  # YES less NO
    for (key, _), trade in trades.items():
        name, side = sides[key]
        held[name] += trade["size"] if side == BUY else -trade["size"]
    paid = {(r["instrument"], r["generation"]): r for r in evidence.records if r["k"] == "settle"}
    told = {
        (int(quote["instrument"]), int(quote["generation"])): int(quote["settlement_e6"])
        for quote in witness.quotes.values()
        if quote["status"] == ST_SETTLED
    }
    settled = {name for name in bets if held[name] and name in found.tables.ended}
    assert settled, "no bet of this run lived to its settlement"
    for name in settled:
        record = paid[name]
        assert record["yes"] - record["no"] == held[name], name
        assert record["value"] == told[name], name
        worth_e6 = record["yes"] * told[name] + record["no"] * (E6 - told[name])
        assert record["paid"] == worth_e6 // E6, name
    names = {(w.venue, n) for w in map(found.tables.windows.__getitem__, settled)
             for n in (w.ticker, *w.tokens)}  # fmt: skip
    assert not names & evidence.desk_held.keys() and not names & evidence.venue_held.keys()
    assert_cash_is_the_venues(evidence)


def test_what_is_forgotten_is_subscribed_no_more(found: Found) -> None:
    live = [w for name, w in found.tables.windows.items() if name not in found.tables.ended]
    over = [found.tables.windows[name] for name in found.tables.ended]
    for names, of in (
        (found.asked["kalshi"], lambda w: {w.ticker}),
        (found.asked["polymarket"], lambda w: set(w.tokens)),
    ):
        venue = "kalshi" if names is found.asked["kalshi"] else "polymarket"
        assert all(of(w) <= names for w in live if w.venue == venue)
        assert not any(of(w) & names for w in over if w.venue == venue)


def test_every_cent_of_it_is_explained(found: Found, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    arguments = ["explain", "--all", "--json", "--journal", str(found.journal)]
    code, told = supervisor_cli.main(arguments), json.loads(capsys.readouterr().out)
    assert code == 0 and told["differences"] == []
