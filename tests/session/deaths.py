"""A trading engine whose processes are killed, and what must hold whatever dies when.

`Scene` kills and remembers when. The claims are asked of what a `Witness` read meanwhile.
"""

from __future__ import annotations

import os
import re
import signal
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ops import clock, control
from shm_layout import (
    ACTIVE,
    BET,
    BUY,
    CANCELLER,
    COUNTERS,
    DETECTOR,
    E6,
    FEED_ROLE,
    GATEWAY,
    HALTED,
    KIND_MODEL,
    LEGS_MAX,
    NO_INSTRUMENT,
    REASONS,
    SELL,
    SIGNER,
    ST_SETTLED,
    VENUES,
)
from tests.ops.rig import REAL, Engine, engine
from tests.session.witness import Witness

DEATH_MAX_NS = 250 * clock.MS_NS  # after its writer's death nothing leaves on a quote
LOOK_NS = 20 * clock.MS_NS  # from the stamp of a quote until the desk can see it, on a busy machine
PRICE_MAX_NS = 3 * clock.SECOND_NS  # of a price that a bet stands on
WAIT_S = 60  # for what must come, however busy the machine is
PAIRS_LOOKED_AT = 64
DUST_E6 = 200_000  # dollars: an imbalance worth less is left, and counted (gateway/params.py)
ROLES = {
    "feed kalshi": FEED_ROLE + VENUES.index("kalshi"),
    "feed polymarket": FEED_ROLE + VENUES.index("polymarket"),
    "feed coinbase": FEED_ROLE + VENUES.index("coinbase"),
    "detector": DETECTOR,
    "gateway": GATEWAY,
    "signer": SIGNER,
    "canceller": CANCELLER,
}


@dataclass(frozen=True)
class Death:
    """Who was killed or frozen, in which life, and the machine stamp just after: it did nothing
    any more."""

    name: str
    epoch: int
    at_ns: int


@dataclass
class Scene:
    """One engine under load. `lifted`: for what its gateway may halt and be resumed; the second by
    a venue too busy to answer in time.
    """

    engine: Engine
    witness: Witness
    deaths: list[Death] = field(default_factory=list)
    lifted: tuple[str, ...] = ("one_legged", "unknown_outcome")

    def kill(self, name: str) -> None:
        """SIGKILL for one of its processes."""
        self._end(name, signal.SIGKILL)

    def freeze(self, name: str) -> None:
        """One of its processes does nothing from now on: as good as dead."""
        self._end(name, signal.SIGSTOP)

    def _end(self, name: str, number: signal.Signals) -> None:
        pid = self.engine.pid(name)
        assert pid, f"{name} does not run"
        epoch = self.witness.live_epoch(ROLES[name]) if name in ROLES else 0
        os.kill(pid, number)
        self.deaths.append(Death(name, epoch, clock.mono_ns()))

    def times(self, name: str) -> int:
        """How often it was killed."""
        return sum(death.name == name for death in self.deaths)

    def events(self) -> list[str]:
        """What status tells that happened."""
        return [event["text"] for event in self.engine.status().get("events", [])]

    def until_told(self, text: str, *, times: int = 1) -> str:
        """Until status tells of it, so many times in all; what it told last."""
        found: list[str] = []

        def told() -> bool:
            found[:] = [line for line in self.events() if line.startswith(text)]
            return len(found) >= times

        self.witness.until(told, WAIT_S, f"{text!r} in status")
        return found[-1]

    def until_lowered(self, name: str, state: int, *, times: int) -> None:
        """Until the trading state is at most this; or, who looks late, until it was lifted again:
        only what was lowered for it is lifted and told.
        """

        def lowered() -> bool:
            back = [line for line in self.events() if line.startswith(f"{name} is back: ")]
            return self.witness.trading_state() <= state or len(back) >= times

        self.witness.until(lowered, WAIT_S, f"trading state {state}")

    def until_trading(self, seconds: float = WAIT_S) -> None:
        """Until both legs of an intent written from now on have been sent.

        A lone leg that cannot be given back within its caps halts the gateway, as it must (see
        `lifted`); the operator then looks and resumes.
        """
        known, now_ns = len(self.witness.opened()), clock.mono_ns()

        def is_trading() -> bool:
            if self.is_halted_by_gateway() and self.witness.trading_state() == ACTIVE:
                self.command("resume")
            fresh = self.witness.opened()[known:]
            return len([leg for leg in fresh if leg["decide_ns"] > now_ns]) >= 2

        try:
            self.witness.until(is_trading, seconds, "another order")
        except AssertionError as late:
            late.add_note(f"{self.why_not()}")
            raise

    def until_quiet(self, seconds: float = WAIT_S) -> None:
        """No new intent by order of the operator; then until no leg stands alone in silence: it was
        given back, or the gateway has halted and named it.
        """
        self.command("halt")

        def is_quiet() -> bool:
            named = self.named()
            return all(not pair.isdisjoint(named) for pair in self.lone().values())

        try:
            self.witness.until(is_quiet, seconds, "every lone leg given back or named")
        except AssertionError as late:
            late.add_note(f"imbalances: {self.imbalances()}, named: {self.named()}")
            raise

    def command(self, word: str) -> None:
        """Of the operator, over the control socket."""
        assert "error" not in control.ask(self.engine.state_dir, word)

    def is_halted_by_gateway(self) -> bool:
        """By its own gate, for what an operator resumes."""
        gate = self.witness.segment.table("gate")[0]
        return bool(gate["state"] == HALTED and REASONS[int(gate["reason"])] in self.lifted)

    def why_not(self) -> dict[str, Any]:
        """What may keep an engine from trading."""
        asked = ("state", "supervisor", "gate", "standing", "blocked", "refusals", "pool")
        found, witness = self.engine.status(), self.witness
        signer = {name: witness.counter(SIGNER, name) for name in COUNTERS["signer"]}
        last = Counter(why for _, why in witness.terminals[-20:])
        return {name: found.get(name) for name in asked} | {
            "events": self.events()[-5:], "signer": signer, "last words": dict(last),
        }  # fmt: skip

    def named(self) -> set[int]:
        """Instruments whose lone leg the gateway has given up and named in the run's log."""
        log = (self.engine.state_dir / "log" / "engine.log").read_text(errors="replace")
        return {int(text) for text in re.findall(r"one leg alone: instrument (\d+),", log)}

    def lone(self) -> dict[int, frozenset[int]]:
        """Pairs that hold contracts on one side alone, with their instruments."""
        return {pair: both for pair, (both, _) in self.imbalances().items()}

    def imbalances(self) -> dict[int, tuple[frozenset[int], int]]:
        """By pair (or set) what one side holds beyond the other (one leg beyond another), if it is
        more than the dust that the gateway may have left of each intent: instruments and contracts
        in 1e-6. Dust that the reports account for is taken off first: a successor counts what it
        did not see being bought at a dollar a contract.
        """
        segment, found = self.witness.segment, {}
        intents = Counter(int(leg["pair"]) for leg in self.witness.opened() if not leg["leg"])
        for index in range(PAIRS_LOOKED_AT):
            pair = segment.read("pairs", index)
            if pair is None:
                break
            if pair["b"] == NO_INSTRUMENT:  # a bet has no other leg
                continue
            legs = [int(pair[name]) for name in "abcd"[: 2 + pair["more"]]]
            held = {leg: self._held(leg) for leg in legs}
            nets = [net for net, _ in held.values()]
            is_same = bool(pair["same"])
            rest = _apart(nets, is_same) - self._dust_e6(index, legs, is_same)
            more = max(legs, key=lambda leg: abs(held[leg][0]))
            unit_e6 = held[more][1]
            facts = segment.read("quotes", more)
            assert facts is not None
            dust_e6 = DUST_E6 * max(intents[index], 1)
            if abs(rest) >= facts["size_min_e6"] and abs(rest) * unit_e6 > dust_e6 * E6:
                found[index] = frozenset(legs), rest
        return found

    def _dust_e6(self, pair: int, of: list[int], is_same: bool) -> int:
        """Contracts of all intents that ended unequal by less than is worth an order."""
        last = {
            (int(leg["intent"]), int(leg["leg"])): leg
            for leg in self.witness.legs if leg["pair"] == pair
        }  # fmt: skip
        families: defaultdict[int, list[np.void]] = defaultdict(list)
        for leg in last.values():  # what gives back or completes names its parent
            families[int(leg["parent"]) or int(leg["intent"])].append(leg)
        return sum(_dust_of(legs, of, is_same) for legs in families.values())

    def _held(self, instrument: int) -> tuple[int, int]:
        """Signed contracts that pairs have bought, and what one of them cost: those of bets, which
        have no other leg, are taken off, until what is held was booked with its market's result."""
        row = self.witness.segment.read("positions", instrument)
        quote = self.witness.segment.read("quotes", instrument)
        if row is None or quote is None:
            return 0, 0
        held_e6, cost_e6 = int(row["position_e6"]), abs(int(row["cost_e6"]))
        unit_e6 = min(-(-cost_e6 * E6 // abs(held_e6)), E6) if held_e6 else E6
        is_booked = held_e6 == 0 and quote["status"] == ST_SETTLED
        bets_e6 = 0 if is_booked else self._bet_e6(instrument, int(row["generation"]))
        return held_e6 - bets_e6, unit_e6

    def _bet_e6(self, instrument: int, generation: int) -> int:
        """Signed contracts that bets have bought in a market."""
        last = {
            int(leg["intent"]): int(leg["filled_e6"]) * (1 if leg["side"] == BUY else -1)
            for leg in self.witness.legs
            if leg["intent_kind"] == KIND_MODEL and leg["instrument"] == instrument
            and leg["generation"] == generation
        }  # fmt: skip
        return sum(last.values())


def _apart(nets: list[int], is_same: bool) -> int:
    """What the legs of a row hold beyond each other: of two the first beyond the second, of more
    the most beyond the least.
    """
    if len(nets) == 2:
        return nets[0] + nets[1] if is_same else nets[0] - nets[1]
    return max(nets) - min(nets)


def _dust_of(legs: list[np.void], of: list[int], is_same: bool) -> int:
    """What one intent and its unwinds hold on one side alone, as `imbalances` counts; 0 if it is
    more than dust at the worst limit it was bought for.
    """
    net = Counter(dict.fromkeys(of, 0))
    for leg in legs:
        net[int(leg["instrument"])] += int(leg["filled_e6"]) * (1 if leg["side"] == BUY else -1)
    rest = _apart([net[one] for one in of], is_same)
    more = max(of, key=lambda one: abs(net[one]))
    side = BUY if net[more] > 0 else SELL
    paid = [
        int(leg["limit_e6"]) if side == BUY else E6 - int(leg["limit_e6"])
        for leg in legs
        if leg["instrument"] == more and leg["side"] == side and leg["filled_e6"]
    ]
    return rest if abs(rest) * max(paid, default=E6) <= DUST_E6 * E6 else 0


@contextmanager
def trading(tmp_path: Path, seed: int, **settings: str) -> Iterator[Scene]:
    """A seeded world at five times its pace, once it trades: several orders a second. Without the
    spot exchanges that no claim here is about: they would take half of the venues' time."""
    settings = {f"ARB_SPOT_{name}": "0" for name in ("BINANCE", "KRAKEN", "COINGECKO")} | settings
    settings["ARB_EDGE_BEAT_MAX_MS"] = str(DEATH_MAX_NS // clock.MS_NS)
    with engine(tmp_path, command=list(REAL), settings=settings) as made:
        made.start("--seed", str(seed), "--speed", "5", "--json")
        scene = Scene(made, Witness.of(made))
        made.wait_until_trading()
        scene.until_trading()
        yield scene


# ---- claims


def too_late(scene: Scene) -> list[str]:
    """Opening orders for which the desk's last look saw a quote whose writer had been dead for
    250 ms. Bytes leave in the same turn, however long a busy machine makes that.
    """
    found = []
    for leg, intent in _opened(scene.witness):
        for instrument, _, epoch in _quotes_of(intent):
            venue = scene.witness.segment.read("instruments", instrument)
            assert venue is not None
            role = FEED_ROLE + int(venue["feed"])
            for death in scene.deaths:
                late_ns = int(leg["taken_ns"]) - death.at_ns
                is_its = (ROLES.get(death.name), death.epoch) == (role, epoch)
                if is_its and late_ns > DEATH_MAX_NS:
                    found.append(f"{death.name}: taken {late_ns / 1e6:.0f} ms after its death")
    return found


def untrusted(scene: Scene) -> list[str]:
    """Opening orders of a scene on untrusted quotes."""
    return untrusted_of(scene.witness)


def untrusted_of(witness: Witness) -> list[str]:
    """Opening orders decided on an untrusted quote, or of which the desk's last look has seen one.

    The newest quote that it must have seen is the one of LOOK_NS before the look.
    """
    found = []
    for leg, intent in _opened(witness):
        for instrument, number, _ in _quotes_of(intent):
            quotes = witness.quotes
            decided = quotes[instrument, number]
            if decided["trust"]:
                found.append(f"quote {instrument}/{number}: trust {decided['trust']}")
            seen = decided
            while (instrument, number + 1) in quotes:
                number += 1
                quote = quotes[instrument, number]
                if quote["publish_ns"] > leg["taken_ns"] - LOOK_NS:
                    break
                seen = quote
            if seen["trust"]:
                found.append(
                    f"quote {instrument}/{seen['number']}: trust {seen['trust']}"
                    f" {(leg['taken_ns'] - seen['publish_ns']) / 1e6:.1f} ms before the last look"
                )
    return found


def untrusted_prices(witness: Witness) -> list[str]:
    """Bets decided on a price that was not trusted, too old, or that nobody published."""
    found = []
    for leg, intent in _opened(witness):
        if intent["kind"] != KIND_MODEL:
            continue
        bet = np.array([intent]).view(np.int64).view(BET)[0]
        name = int(bet["spot_slot"]), int(bet["spot_epoch"]), int(bet["spot_number"])
        trust, recv_ns = witness.prices.get(name, (-1, 0))
        if trust:
            found.append(f"price {name}: trust {trust}")
        elif leg["taken_ns"] - recv_ns > PRICE_MAX_NS:
            found.append(f"price {name}: {(leg['taken_ns'] - recv_ns) / 1e9:.1f} s old when seen")
    return found


def doubled(scene: Scene) -> list[str]:
    """Legs that went out as more than one order."""
    keys: dict[tuple[int, int], set[bytes]] = {}
    for leg in scene.witness.legs:
        if leg["order_key"].any():
            name = (int(leg["intent"]), int(leg["leg"]))
            keys.setdefault(name, set()).add(leg["order_key"].tobytes())
    return [f"{name}: {len(of)} orders" for name, of in keys.items() if len(of) > 1]


def _opened(witness: Witness) -> Iterator[tuple[np.void, np.void]]:
    for leg in witness.opened():
        intent = witness.intents.get(int(leg["intent"]))
        assert intent is not None, f"an order of no intent: {leg['intent']}"
        yield leg, intent


def _quotes_of(intent: Any) -> Iterator[tuple[int, int, int]]:
    """(instrument, quote number, epoch) that an intent was decided on."""
    for leg in range(min(int(intent["leg_count"]), LEGS_MAX)):
        names = ("instrument", "quote_number", "quote_epoch")
        yield tuple(int(intent[f"{name}_{leg}"]) for name in names)  # type: ignore[misc]
