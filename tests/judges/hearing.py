"""A hearing: the simulated venues on loopback, an official client's script beside them, its calls.

The script runs under the client's own Python, knows addresses and keys and nothing else of ours.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops.venues.script import BookSet, Event, MarketSpec, Timeline
from ops.venues.tls import TlsPaths
from tests.ops.venues import rig

HERE = Path(__file__).resolve().parent
JUDGE_MAX_S = 300.0
_SECOND_NS = 10**9
_HOUR_NS = 3_600 * _SECOND_NS

TICKER, SHARD2 = "KXJUDGE-26DEC31-A", "KXBTC15M-26DEC31-B"
TOKENS = (rig.TOKEN_YES, rig.TOKEN_NO)
NEG_TOKENS = (
    "7801379431173669218797457326011007381787421690433107601194878326565027841326",
    "108267851861634013550421747281304409998795577288693656776713536152599085101",
)
# Ids of the second protocol (reference section 4): module 1, the outcome in the last byte.
POSITIONS = tuple(str((1 << 248) | (0xABCDEF << 104) | (0x12345678 << 8) | at) for at in (0, 1))
CONDITION, NEG_CONDITION = rig.CONDITION, "0x" + "5e" * 32
POSITION_CONDITION = f"0x{int(POSITIONS[0]) >> 8:062x}"

BIDS = rig.levels(("0.47", "30"), ("0.46", "100"))
ASKS = rig.levels(("0.52", "20"), ("0.53", "50.5"), ("0.60", "1000"))


def _markets(begin_ns: int) -> tuple[MarketSpec, ...]:
    life: dict[str, Any] = {
        "open_epoch_ns": begin_ns - _HOUR_NS,
        "close_epoch_ns": begin_ns + 24 * _HOUR_NS,
    }
    polymarket: dict[str, Any] = {
        "venue": "polymarket",
        "size_min_e6": 5_000_000,
        "fee_kind": "polymarket",
        **life,
    }
    return (
        MarketSpec(venue="kalshi", ticker=TICKER, title="Will A happen?", event="a", **life),
        MarketSpec(
            venue="kalshi", ticker=SHARD2, title="Will B?", event="b", exchange_index=2, **life
        ),
        MarketSpec(
            ticker="will-a-happen",
            title="Will A happen?",
            event="a",
            condition_id=CONDITION,
            token_yes=TOKENS[0],
            token_no=TOKENS[1],
            fee_rate_e6=70_000,
            **polymarket,
        ),
        MarketSpec(
            ticker="who-wins-c",
            title="Will C win?",
            event="c",
            condition_id=NEG_CONDITION,
            token_yes=NEG_TOKENS[0],
            token_no=NEG_TOKENS[1],
            fee_rate_e6=40_000,
            neg_risk=True,
            **polymarket,
        ),
        MarketSpec(
            ticker="second-protocol",
            title="Will D happen?",
            event="d",
            condition_id=POSITION_CONDITION,
            token_yes=POSITIONS[0],
            token_no=POSITIONS[1],
            fee_rate_e6=70_000,
            **polymarket,
        ),
    )


KALSHI, KALSHI2, POLY, POLY_NEG, POLY_V3 = range(5)


def script(
    *around: tuple[int, Event], indices: tuple[str, ...] = (), begin_ns: int = 0
) -> rig.ToyScript:
    """Five markets with books, from `begin_ns` (0: now, whole seconds; some clients compare the
    venue's stamps with their clock). `around`: events with their run time as an offset in ns from
    the beginning, which those with a negative one precede.
    """
    begin_ns = begin_ns or time.time_ns() // _SECOND_NS * _SECOND_NS
    markets = _markets(begin_ns)
    books = [BookSet(begin_ns, index, BIDS, ASKS) for index in range(len(markets))]
    more = [_at(begin_ns + offset_ns, event) for offset_ns, event in around]
    return rig.ToyScript(
        made=tuple(sorted([*books, *more], key=lambda event: event.at_epoch_ns)),
        markets=markets,
        indices=indices,
        products=(),
        timeline=Timeline(begin_epoch_ns=begin_ns),
    )


def _at(epoch_ns: int, event: Event) -> Event:
    fields = {name: getattr(event, name) for name in event.__dataclass_fields__}
    return type(event)(**{**fields, "at_epoch_ns": epoch_ns})


class Failed(AssertionError):
    """The client's script ended badly."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one client did: its calls in order, and what the venue saw."""

    client: str
    calls: list[dict[str, Any]]
    requests: list[tuple[str, str, str, int]]
    rows: list[Any]
    counts: dict[str, int] = field(default_factory=dict)

    def of(self, label: str) -> dict[str, Any]:
        """The one call of this label."""
        found = [call for call in self.calls if call["call"] == label]
        assert len(found) == 1, f"{label} was called {len(found)} times"
        return found[0]

    def answer(self, label: str) -> Any:
        """What the call returned; it must have."""
        call = self.of(label)
        assert "answer" in call, f"{label} raised {call['error'][0]}: {call['text']}"
        return call["answer"]

    def refusal(self, label: str) -> dict[str, Any]:
        """What the call raised; it must have."""
        call = self.of(label)
        assert "error" in call, f"{label} was not refused: {call['answer']}"
        return call

    @property
    def outcomes(self) -> Counter[str]:
        """The venue's own words for what became of the orders."""
        return Counter(row[4] for row in self.rows)


def hear(
    client: str,
    python: Path,
    script_file: str,
    tls: TlsPaths,
    *,
    venue: str,
    given: dict[str, Any],
    key: rig.KalshiKey | None = None,
    made: rig.ToyScript | None = None,
    **options: Any,
) -> Heard:
    """Run one client's script beside fresh venues. Raises Failed where the script dies."""
    session = rig.session(
        tls, key or rig.KalshiKey(), made or script(), keeps_requests=True, **options
    )
    ports = session.ports[venue]
    told = {"ca": str(tls.ca), "rest": ports["rest"], "ws": ports["ws"], **given}
    told["around"] = ports.get("gamma", ports["rest"])
    told["relay"] = session.ports.get("polybolt", ports)["ws"]
    try:
        session.start()
        calls = _ask(python, script_file, told, tls)
    finally:
        rows, counts = session.stop()
    return Heard(
        client,
        calls,
        [request for request in session.requests if request[0] in (venue, "polybolt")],
        [row for row in rows if row[0] == venue],
        counts[venue],
    )


def _ask(python: Path, file: str, told: dict[str, Any], tls: TlsPaths) -> list[dict[str, Any]]:
    env = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV", "POLYMARKET_", "KALSHI_"))
        and not name.lower().endswith("_proxy")
    }
    env |= {"SSL_CERT_FILE": str(tls.ca), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [str(python), str(HERE / file)],
            input=json.dumps(told),
            capture_output=True,
            text=True,
            env=env,
            cwd=tls.ca.parent,
            timeout=JUDGE_MAX_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{file} was not done after {JUDGE_MAX_S:.0f} s: {error.stderr}") from error
    if done.returncode:
        raise Failed(f"{file} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    line = done.stdout.splitlines()[-1] if done.stdout else "[]"
    calls: list[dict[str, Any]] = json.loads(line)
    return calls


def table(requests: Iterable[tuple[str, str, str, int]]) -> list[tuple[str, str, int, int]]:
    """(method, path, status, times) in the order first seen; ids and tokens in a path as {id}."""
    seen: Counter[tuple[str, str, int]] = Counter()
    for _, method, target, status in requests:
        seen[method, _pattern(method, target), status] += 1
    return [(*what, times) for what, times in seen.items()]


def _pattern(method: str, target: str) -> str:
    if method == "SEND":
        try:
            message = json.loads(target)
        except ValueError:
            return target
        shown = {key: value for key, value in message.items() if key != "auth"}
        shown |= {key: len(value) for key, value in shown.items() if isinstance(value, list)}
        return json.dumps(shown)
    path = target.partition("?")[0]
    return "/".join("{id}" if _is_id(part) else part for part in path.split("/"))


def _is_id(part: str) -> bool:
    """A token, a hash, a UUID or a number: long names of endpoints have no digits."""
    return part.isdigit() or (len(part) > 30 and any(char.isdigit() for char in part))
