"""The house in plain Python: what a market shows its strategies, which of them trades there, and
what each has at stake. Dictionaries by market and strategy; prices and trades counted afresh.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import NormalDist, linear_regression

from shm_layout import REASONS
from tests.twins import choice, fair
from tests.twins.choice import Case
from tests.twins.detector_money import Row
from tests.twins.detector_rows import book_of
from tests.twins.edge import E6
from tests.twins.flow import Flow
from tests.twins.strategies import Answer, Market, blocked

SECOND = 10**9
BY_SPOT, BY_QUOTE, BY_MODEL = 1, 2, 4
UNKNOWN = REASONS.index("unknown_outcome")
WINDOWS_MAX, IMPLIED_NS = 8, 2 * SECOND
Holding = tuple[int, str]  # a market and a strategy


@dataclass(frozen=True)
class Choice:
    """What a strategy orders in a market."""

    strategy: str
    side: int
    fair: int
    size: int
    limit: int
    fee: int
    edge: int
    profit: int
    confidence: int
    off: int


class House:
    """One detector's. `names`: the parameters of each strategy, in the order of their cells; until
    told of all are 0. `flows`: trades by product."""

    def __init__(self, names: Mapping[str, Iterable[str]]) -> None:
        self.params = {name: dict.fromkeys(own, 0) for name, own in names.items()}
        self.flows: dict[int, Flow] = defaultdict(Flow)
        self.orders: dict[Holding, tuple[int, int]] = {}  # run time of the last one, how many
        self.at_stake: dict[Holding, int] = defaultdict(int)
        self.decided: dict[int, tuple[int, int, int, int]] = {}  # market: what it was decided on
        self.implied: dict[int, tuple[float, float, int]] = {}  # market: σ, seconds, when
        self.priced: dict[int, tuple[tuple[int, int], float]] = {}  # market: touch, chance then
        self.answers: dict[int, dict[str, Answer]] = {}  # market: those of the last decision

    def told(self, row: Row) -> None:
        """A strategy's parameters."""
        params = self.params[list(self.params)[row["which"]]]
        params.update({name: row[f"values{place}"] for place, name in enumerate(params)})

    # ---- stakes

    def spent(self, strategy: str) -> int:
        """Dollars in all markets."""
        return sum(cash for (_, name), cash in self.at_stake.items() if name == strategy)

    def stakes(self) -> dict[int, int]:
        """Dollars in each market."""
        markets = {at for at, _ in self.at_stake}
        return {
            market: sum(cash for (at, _), cash in self.at_stake.items() if at == market)
            for market in markets
        }

    def stake(self, instrument: int, strategy: str, dollars: int, run: int) -> None:
        """An order goes out."""
        _, orders = self.orders.get((instrument, strategy), (0, 0))
        self.orders[instrument, strategy] = run, orders + 1
        self.at_stake[instrument, strategy] += dollars

    def end(self, flight: Row, strategy: str, report: Row, *, was_sent: bool) -> None:
        """The one order of a flight has ended: what was not filled is free again, and it was no
        order if it never went out."""
        if report["reason"] == UNKNOWN:
            return
        name, size = (flight["instrument_0"], strategy), flight["size_e6_0"]
        free = flight["cash_e6_0"] * max(size - abs(report["filled_e6"]), 0) // size
        self.at_stake[name] -= min(free, self.at_stake[name])
        last, orders = self.orders.get(name, (0, 0))
        if not was_sent and orders:
            self.orders[name] = last, orders - 1

    def settle(self, instrument: int) -> None:
        """Nothing is held or in flight there."""
        for name in [name for name in self.at_stake if name[0] == instrument]:
            del self.at_stake[name]

    def forget(self, instrument: int) -> None:
        """Another market is in its place."""
        self.settle(instrument)
        self.orders = {name: row for name, row in self.orders.items() if name[0] != instrument}
        self.decided.pop(instrument, None)
        self.implied.pop(instrument, None)
        self.priced.pop(instrument, None)

    # ---- trades

    def trade(self, row: Row, is_whole: bool) -> None:
        """A spot entry; what was known before it may have holes."""
        if not is_whole or row["trust"] or row["event_epoch_ns"] <= 0:
            self.lose(row["product"], row["trade_id"])
            return
        if 0 < self.flows[row["product"]].last_id < row["trade_id"] - 1:
            self.lose(row["product"])
        stamp = row["event_epoch_ns"]
        told = row["trade_id"], stamp, row["last_e8"], row["size_e8"], row["taker_side"], stamp
        self.flows[row["product"]].add(*told)

    def lose(self, product: int, trade: int = 0) -> None:
        """Trades were missed."""
        self.flows[product] = Flow()
        self.flows[product].last_id = trade

    # ---- the choice

    def show(self, row: Row, quote: Row, terms: Row, spot: Row, run: int, has_flow: bool) -> Market:
        """What strategies see of a market that has a fair value; `has_flow`: the price that leads
        it is usable."""
        strike, length = terms["strike_e8"] / 1e8, terms["close_epoch_ns"] - row["open_epoch_ns"]
        price, sigma = (spot["price"] + terms["basis_e8"]) / 1e8, terms["sigma_e12"] / 1e12
        seconds = (terms["close_epoch_ns"] - spot["event_epoch_ns"]) / 1e9
        left = (terms["close_epoch_ns"] - run) / 1e9
        ours = fair.at_a_point(price, sigma, seconds, strike, terms["basis_sd_e8"] / 1e8)
        error = terms["basis_sd_e8"] / 1e8 / price
        bid, ask = max(quote["bids0"], 0) / E6, min(quote["asks0"], E6) / E6
        market = terms["market_e6"] / E6
        if self.decided.get(row["index"], (0, 0, 0, 0))[2] != terms["spot_slot"]:
            self.priced.pop(row["index"], None)
        shown: dict[str, float | int | None] = {
            "distance": (price - strike) / strike, "left": left, "seconds": seconds,
            "z": math.log(price / strike) / math.hypot(sigma * math.sqrt(seconds), error),
            "sigma": sigma, "error": error,
            "elapsed": length / 1e9 - left, "fraction": left / (length / 1e9),
            "fair": (1 - market) * ours + market * (bid + ask) / 2, "share": market,
            "moved": self._moved(row["index"], (quote["bids0"], quote["asks0"]), ours),
            "trigger": self._trigger(row["index"], quote, terms, spot),
        }  # fmt: skip
        flow = self.flows[row["spot_slot"]]
        if has_flow:
            flow.expire(run)
            shown |= {"trades": len(flow.near), "rate": len(flow.near) / 30}
            is_its = terms["spot_slot"] == row["spot_slot"]
            level = terms["strike_e8"] - terms["basis_e8"] if is_its else 0
            shown |= self._flow(flow, terms["strike_e8"], level)
        facts = {"book": book_of(quote), "delay_ns": quote["taker_delay_ns"]}
        return Market(**(facts | shown))  # type: ignore[arg-type]

    @staticmethod
    def _flow(flow: Flow, strike_e8: int, level_e8: int) -> dict[str, float | int | None]:
        share, mean = float(flow.share), float(flow.mean)
        return {
            "net": flow.net_e8 / 1e8,
            "velocity": float(flow.velocity(strike_e8)) if len(flow.near) > 1 else None,
            "dominant": share or None,
            "mean_distance": math.log(mean / level_e8) if mean and level_e8 > 0 else None,
        }

    def _moved(self, instrument: int, touch: tuple[int, int], ours: float) -> float:
        """Since the touch got these prices."""
        was, then = self.priced.get(instrument, ((0, 0), 0.0))
        if was != touch:
            then = int(ours * 1e12) * 1e-12
            self.priced[instrument] = touch, then
        return ours - then

    def _trigger(self, instrument: int, quote: Row, terms: Row, spot: Row) -> int:
        was = self.decided.get(instrument, (0, 0, 0, 0))
        now = quote["number"], terms["number"], terms["spot_slot"], spot["number"]
        self.decided[instrument] = now
        by = BY_QUOTE * (was[0] != now[0]) + BY_MODEL * (was[1] != now[1])
        return by + BY_SPOT * (was[2] == now[2] and was[3] != now[3])

    def compare(self, m: Market, instrument: int, others: list[int], now: int) -> Market:
        """With what the market implies, and what the line through `others` (itself among them, all
        of one venue) says where it is the one that is off."""
        assert m.z is not None and m.sigma is not None and m.seconds is not None
        own = self._imply(m)
        if own is None:
            self.implied.pop(instrument, None)
            return m
        self.implied[instrument] = *own, now
        market = {**vars(m), "sigma_implied": own[0]}
        known = {i: self.implied[i] for i in others if i in self.implied}
        rows = {i: row for i, row in known.items() if now - row[2] <= IMPLIED_NS}
        rows = dict(list(rows.items())[:WINDOWS_MAX])
        x = [math.log(row[1]) for row in rows.values()]
        if len(rows) >= 3 and len(set(x)) > 1:
            y = [math.log(row[0]) for row in rows.values()]
            slope, level = linear_regression(x, y)
            line = [slope * each + level for each in x]
            offs = dict(zip(rows, (abs(a - b) for a, b in zip(y, line, strict=True)), strict=True))
            if max(offs, key=lambda i: offs[i]) == instrument:
                market["sigma_fitted"] = math.exp(line[list(rows).index(instrument)])
        return Market(**market)

    @staticmethod
    def _imply(m: Market) -> tuple[float, float] | None:
        if not m.book.bids or not m.book.asks or m.book.bids[0][0] >= m.book.asks[0][0]:
            return None
        assert m.z is not None and m.sigma is not None and m.seconds is not None
        middle = (m.book.bids[0][0] + m.book.asks[0][0]) / (2 * E6)
        q = NormalDist().inv_cdf(middle) if 0 < middle < 1 else 0.0
        off = m.z * m.spread(m.sigma)
        if not q * off > 0:
            return None
        sigma = off / (q * math.sqrt(m.seconds))
        is_sane = 1e-9 < sigma < 1 and 1e-3 < m.seconds < 1e9
        return (int(sigma * 1e12) * 1e-12, int(m.seconds * 1e9) * 1e-9) if is_sane else None

    def choose(
        self, instrument: int, m: Market | None, off: int, least: int, case: Case
    ) -> Choice | None:
        """Who trades, and what. `m` None: the market has no fair value now."""
        if m is None:
            self.answers[instrument] = dict.fromkeys(self.params, blocked("unknown"))
            return None
        params = {
            name: p | {"edge_min_e6": max(p["edge_min_e6"], least)}
            for name, p in self.params.items()
        }
        market = Market(**{**vars(m), "off": off})
        seen = {name: row for (at, name), row in self.orders.items() if at == instrument}
        spent = {name: self.spent(name) for name in params}
        name, found, answers = choice.choose(market, params, case, seen, spent)
        self.answers[instrument] = answers
        if name is None:
            return None
        side, worth, _, sure, _ = answers[name]
        size, edge, profit, (limit,), (fee,) = found
        whole = choice.off_of(market)
        return Choice(name, side, worth, size, limit, fee, edge, profit, sure, whole)

