"""`arb: catalog`: finds each series' window of now and the next one ahead, and proposes them.

A window is looked for by its name (Polymarket's Gamma) or among the markets of its series (Kalshi);
what the venue says of its beginning and end, of its coin and of what it settles on must be what the
series says (ops/sources.py). It is asked for again until it is found; what keeps it from being
found is said once, and holds up no other. Nothing is kept: a catalog that is started again proposes
what is known already, which changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from engine.fair_rules import POINT, polymarket_rule
from feeds.rest import Rest
from feeds.update import UNREADABLE, FeedError, epoch_ns_of, known_ns_of
from ops.assets import AssetError, Assets
from ops.clock import MS_NS, SECOND_NS
from ops.proposal import Window
from ops.series import Series, Table
from ops.sources import agree, kalshi_source, polymarket_source

AGAIN_NS = 500 * MS_NS  # machine time between rounds: what is missing is asked for in each
AGAIN_MAX_NS = 10 * SECOND_NS  # …and ever more seldom while it is not there
SAY_AGAIN_S = 3_600  # run time until a line that still holds is said once more
AHEAD_S = 900  # a window is wanted so long before it opens, and at least its own length
ROWS = 100  # of Kalshi's markets, in one answer
BASE: Final = "/trade-api/v2"

Propose = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class _Custom(Struct):
    round_digits: str | None = None


class _Market(Struct):
    """A row of Kalshi's /markets."""

    ticker: str
    open_time: str = ""
    close_time: str = ""
    title: str = ""
    exchange_index: int = 0
    strike_type: str = ""
    rules_primary: str = ""
    custom_strike: _Custom | None = None


class _Markets(Struct):
    markets: list[Raw]


class _Config(Struct, rename="camel"):
    twap_lookback_seconds: int | None = None
    twap_enabled: bool | None = None


class _Gamma(Struct, rename="camel"):
    """A row of Gamma's /markets: lists stand as JSON inside texts."""

    slug: str
    question: str = ""
    condition_id: str = ""
    clob_token_ids: str = "[]"
    outcomes: str = "[]"
    end_date: str = ""
    event_start_time: str = ""
    resolution_source: str = ""
    neg_risk: bool = False
    crypto_market_config: _Config | None = None


_KALSHI = msgspec.json.Decoder(_Markets)
_ROW = msgspec.json.Decoder(_Market)
_GAMMA = msgspec.json.Decoder(list[_Gamma])
_TEXTS = msgspec.json.Decoder(list[str])


def kalshi_windows(series: Series, body: bytes) -> tuple[dict[int, Window], list[str]]:
    """The windows of an answer by their beginning, and what is wrong with rows that are none.
    Raises FeedError."""
    try:
        rows = _KALSHI.decode(body).markets
    except UNREADABLE as error:
        raise FeedError(f"GET /markets: {error}") from error
    found, wrong = {}, []
    for raw in rows:
        try:
            row = _ROW.decode(raw)
        except UNREADABLE as error:
            wrong.append(f"GET /markets: a row: {error}")
            continue
        open_s, close_s = (known_ns_of(t) // SECOND_NS for t in (row.open_time, row.close_time))
        digits = row.custom_strike.round_digits if row.custom_strike is not None else None
        if open_s < 0 or series.begins(open_s) != open_s or series.ends(open_s) != close_s:
            continue  # a market of the series that is no window of it
        try:
            agree(kalshi_source(row.rules_primary), series.index, row.strike_type)
        except FeedError as error:
            wrong.append(f"{row.ticker}: {error}")
            continue
        found[open_s] = Window(
            series=series.name, ticker=row.ticker, open_s=open_s, close_s=close_s,
            title=row.title[:40], exchange_index=row.exchange_index, strike_type=row.strike_type,
            round_digits=int(digits) if digits and digits.isdigit() else None,
        )  # fmt: skip
    return found, wrong


def gamma_window(series: Series, open_s: int, body: bytes) -> Window | None:
    """The window of an answer; None: it is not listed. Raises FeedError where it is another than
    its name says: the name is where to look, never what to believe."""
    try:
        rows = _GAMMA.decode(body)
        if not rows:
            return None
        row = rows[0]
        tokens, outcomes = _TEXTS.decode(row.clob_token_ids), _TEXTS.decode(row.outcomes)
    except UNREADABLE as error:
        raise FeedError(f"GET /markets: {error}") from error
    close_s = series.ends(open_s)
    wanted = {
        "slug": (row.slug, series.slug(open_s)),
        "outcomes": (outcomes, ["Up", "Down"]),
        "tokens": (len(tokens), 2),
        "eventStartTime": (epoch_ns_of(row.event_start_time) // SECOND_NS, open_s),
        "endDate": (epoch_ns_of(row.end_date) // SECOND_NS, close_s),
    }
    for name, (is_there, should) in wanted.items():
        if is_there != should:
            raise FeedError(f"{name}: found {is_there}, wanted {should}")
    source = polymarket_source(row.resolution_source)
    agree(source, series.index)
    twap_s = _twap_s(series, open_s, source.twap_s, row.crypto_market_config or _Config())
    return Window(
        series=series.name, ticker=row.slug, open_s=open_s, close_s=close_s,
        title=row.question[:40], condition_id=row.condition_id, token_yes=tokens[0],
        token_no=tokens[1], neg_risk=row.neg_risk, twap_s=twap_s,
    )  # fmt: skip


def _twap_s(series: Series, open_s: int, source_s: int | None, config: _Config) -> int | None:
    """Seconds of a window's average, 0: it takes none, None: not told. `source_s`: as its source
    says. None is taken where both say so, or where windows of its date took none and its config
    says nothing. Raises FeedError where the two differ, or say too little."""
    told_s = 0 if config.twap_enabled is False else config.twap_lookback_seconds
    if source_s is None:
        return told_s
    if told_s is None and source_s > 0:
        return source_s
    is_untold = told_s is None and config.twap_enabled is None
    if is_untold and polymarket_rule(series.interval, open_s, None).kind == POINT:
        return 0
    if told_s != source_s or (source_s == 0 and config.twap_enabled):
        found = f"found {told_s} s (twapEnabled {config.twap_enabled})"
        raise FeedError(f"cryptoMarketConfig: {found}, wanted {source_s} s of its source")
    return source_s


class Catalog:
    """`clients` by venue; `assets` as titles name them; `run_s` is run time, `mono_ns` the
    machine's; `say` a line for people."""

    def __init__(
        self,
        table: Table,
        clients: Mapping[str, Rest],
        propose: Propose,
        *,
        assets: Assets,
        run_s: Callable[[], int],
        mono_ns: Callable[[], int],
        say: Callable[[str], None],
    ) -> None:
        self._series: Sequence[Series] = [one for one in table.series if one.venue in clients]
        self._clients, self._propose, self._say = clients, propose, say
        self._assets = assets
        self._run_s, self._mono_ns = run_s, mono_ns
        self._taken: dict[tuple[str, int], int] = {}  # series and beginning -> the end
        self._due_ns: dict[tuple[str, int], int] = {}  # of what was not there, and how long apart
        self._apart_ns: dict[tuple[str, int], int] = {}
        self._told: dict[str, int] = {}  # line -> run time at which it was said
        self._stop = asyncio.Event()

    async def main(self) -> None:
        """Rounds until stopped."""
        async with AsyncExitStack() as stack:
            for client in self._clients.values():
                await stack.enter_async_context(client)
            while not self._stop.is_set():
                await self.round()
                try:
                    async with asyncio.timeout(AGAIN_NS / SECOND_NS):
                        await self._stop.wait()
                except TimeoutError:
                    continue

    def stop(self) -> None:
        """End soon."""
        self._stop.set()

    def close(self) -> None:
        """Closed with its loop."""

    async def round(self) -> None:
        """Ask for every window that is wanted and not there, and propose what is found."""
        now_s = self._run_s()
        self._forget(now_s)
        for series in self._series:
            ahead_s = max(AHEAD_S, series.length_s)
            missing = [
                (open_s, close_s)
                for open_s, close_s in series.windows(now_s, ahead_s)
                if (series.name, open_s) not in self._taken and self._is_due(series, open_s)
            ]
            if missing:
                await self._look(series, missing, now_s)

    def _is_due(self, series: Series, open_s: int) -> bool:
        return self._mono_ns() >= self._due_ns.get((series.name, open_s), 0)

    def _forget(self, now_s: int) -> None:
        for known in (self._taken, self._due_ns, self._apart_ns):
            for key in [key for key in known if key[1] < now_s - 2 * 86_400]:
                del known[key]
        for line in [line for line, at_s in self._told.items() if now_s - at_s >= SAY_AGAIN_S]:
            del self._told[line]

    async def _look(self, series: Series, missing: Sequence[tuple[int, int]], now_s: int) -> None:
        found, wrong = await self._find(series, missing)
        for line in wrong:
            self._once(f"{series.name}: {line}", now_s)
        for open_s, close_s in missing:
            key = series.name, open_s
            window = found.get(open_s)
            if window is None:
                if open_s <= now_s and not wrong:
                    line = f"the window of {open_s} is not listed, and is open"
                    self._once(f"{series.name}: {line}", now_s)
                self._later(key)
                continue
            other = self._misnamed(window.title, series)
            answer = {"error": other} if other else await self._propose(window.told())
            if "error" in answer:
                self._once(f"{window.ticker}: {answer['error']}", now_s)
                self._later(key)
            else:
                self._taken[key] = close_s

    async def _find(
        self, series: Series, missing: Sequence[tuple[int, int]]
    ) -> tuple[dict[int, Window], list[str]]:
        """Those of the missing windows that are there, and what was wrong with answers."""
        get = self._clients[series.venue].get
        if series.find == "series":
            ends = [close_s for _, close_s in missing]
            asked = {"series_ticker": series.slug(missing[0][0]), "limit": str(ROWS),
                     "min_close_ts": str(min(ends)), "max_close_ts": str(max(ends))}  # fmt: skip
            try:
                return kalshi_windows(series, await get(f"{BASE}/markets", asked))
            except FeedError as error:
                return {}, [str(error)]
        found: dict[int, Window] = {}
        wrong: list[str] = []
        for open_s, _ in missing:
            name = series.slug(open_s)
            if not name:
                continue
            try:
                body = await get("/markets", {"slug": name})
            except FeedError as error:
                return found, [*wrong, str(error)]  # of the venue, not of the window
            try:
                window = gamma_window(series, open_s, body)
            except FeedError as error:
                wrong.append(f"{name}: {error}")
                continue
            if window is not None:
                found[open_s] = window
        return found, wrong

    def _misnamed(self, title: str, series: Series) -> str:
        """Empty if a title names the coin of its series and no other, else what is wrong."""
        try:
            wanted = self._assets.symbol(series.asset)
        except AssetError as error:
            return f"asset: {error}"
        named = self._assets.named_in(title)
        if named == (wanted,):
            return ""
        return f"title: found {title!r} ({' and '.join(named) or 'no coin'}), wanted {wanted}"

    def _later(self, key: tuple[str, int]) -> None:
        apart_ns = self._apart_ns.get(key, AGAIN_NS)
        self._due_ns[key] = self._mono_ns() + apart_ns
        self._apart_ns[key] = min(2 * apart_ns, AGAIN_MAX_NS)

    def _once(self, line: str, now_s: int) -> None:
        if line not in self._told:
            self._told[line] = now_s
            self._say(line)
