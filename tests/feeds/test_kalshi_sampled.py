"""A log that kept the last delta of each market every 30 s, through the venue's file: its books are
never taken for the venue's (shared/data README, `kalshi_delta_log_sampled`).

The log has neither sequence numbers nor depth. Kalshi numbers each message of a subscription
(kalshi.md 12), so a kept report follows a hole; how wide, nobody knows: one number here, the least.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import NamedTuple

from tests.conftest import recorded
from tests.feeds.kalshi_line import Line, line, yes_price

SNAPSHOT = re.compile(
    r"Loaded snapshot for Asset ID: (\S+) \| Best Bid: \((\S+), (\S+)\)"
    r" \| Best Ask: \((?:Decimal\()?(?:'([\d.]+)'\)|None), (\S+)\)"
)
DELTA = re.compile(
    r"(\S+) \| side=(yes|no) \| price=([\d.]+) \| delta=(-?[\d.]+) \| timestamp=(\S+)"
)
CONNECTIONS, MARKETS_MAX = 2, 1_000  # of 6 and 1,080


class Entry(NamedTuple):
    """One line of the log that says something."""

    kind: str  # connected, snapshot, report, delta
    ticker: str = ""
    words: tuple[str, ...] = ()


@cache
def entries() -> tuple[Entry, ...]:
    """The log of the first connections; of the markets as many as the ring of one feed holds
    twice."""
    (path,) = recorded("kalshi_delta_log_sampled").glob("*.log.gz")
    with gzip.open(path, "rt") as log:
        found = list(_entries(text.rstrip("\n").split(" | ", 2)[-1] for text in log))
    tickers = list(dict.fromkeys(each.ticker for each in found if each.ticker))
    kept = {"", *tickers[:MARKETS_MAX]}
    starts = [i for i, each in enumerate(found) if each.kind == "connected"]
    return tuple(each for each in found[: starts[CONNECTIONS]] if each.ticker in kept)


def _entries(texts: Iterator[str]) -> Iterator[Entry]:
    for text in texts:
        if text.startswith("Connected!"):
            yield Entry("connected")
        elif "LATEST ORDERBOOK DELTAS" in text:
            yield Entry("report")
        elif (found := SNAPSHOT.fullmatch(text)) is not None:
            ticker, *words = found.groups()
            yield Entry("snapshot", ticker, tuple(word or "None" for word in words))
        elif (found := DELTA.fullmatch(text)) is not None:
            ticker, *words = found.groups()
            yield Entry("delta", ticker, tuple(words))


def give(made: Line, entry: Entry, *, has_holes: bool) -> None:
    """One line of the log as the venue would have sent it."""
    if entry.kind == "connected":
        made.kalshi.closed(made.recv_ns)
        made.open()
    elif entry.kind == "report":
        made.seq += has_holes
    elif entry.kind == "snapshot":
        bid, bid_size, ask, ask_size = entry.words
        yes = None if bid == "None" else ((bid, bid_size),)
        no = None if ask == "None" else ((ask, ask_size),)
        made.snapshot(entry.ticker, yes, no)
    else:
        side, price, change, at = entry.words
        ts_ms = round(datetime.fromisoformat(at).timestamp() * 1000)
        shown = price if side == "yes" else yes_price(price)
        made.delta(side, shown, change, ticker=entry.ticker, ts_ms=ts_ms)


@cache
def places() -> dict[str, int]:
    """Every market of the log with its place among the books."""
    named = dict.fromkeys(each.ticker for each in entries() if each.ticker)
    return {ticker: local for local, ticker in enumerate(named)}


def untrusted(made: Line) -> int:
    """How many books are not to be traded on."""
    return sum(made.rig.trust(local) != 0 for local in places().values())


def test_no_sampled_book_is_trusted_after_the_first_hole() -> None:
    made = line(*places())
    is_sampled, connections, trusted = False, 0, 0
    for entry in entries():
        give(made, entry, has_holes=True)
        if entry.kind == "connected":
            is_sampled = False
        elif entry.kind == "delta":
            if not is_sampled:
                connections += 1
                assert untrusted(made) == len(places())
            is_sampled = True
            trusted += made.rig.trust(places()[entry.ticker]) == 0
    assert trusted == 0 and untrusted(made) == len(places())
    assert connections == CONNECTIONS <= made.rig.counted("gaps")


def test_sampled_books_contradict_themselves_even_where_the_numbers_hide_it() -> None:
    """The negative control of the hole: what else is checked comes late, and comes."""
    made = line(*places())
    trusted = 0
    for entry in entries():
        give(made, entry, has_holes=False)
        trusted += entry.kind == "delta" and made.rig.trust(places()[entry.ticker]) == 0
    assert made.rig.counted("gaps") == 0 and trusted > 0
    assert made.rig.counted("negative") > 100  # more is taken from a level than there was
    assert untrusted(made) == len(places())


def test_the_snapshots_alone_are_trusted() -> None:
    """The other control: it is the sampling that makes them untrustworthy."""
    made = line(*places())
    for entry in entries():
        if entry.kind == "delta":
            break
        give(made, entry, has_holes=False)
    assert untrusted(made) == 0
