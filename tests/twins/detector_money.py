"""Money in flight and what the limits leave, recounted from nothing at every question."""

from __future__ import annotations

from collections import defaultdict

from shm_layout import REASONS
from tests.twins.edge import BUY, E6, Book, token

Row = dict[str, int]
DAY = 86_400 * 10**9
FILLED = {REASONS.index(name) for name in ("done", "partial", "one_legged", "unknown_outcome")}
SENT = FILLED | {REASONS.index(name) for name in ("nothing_filled", "venue_rejected")}


def was_sent(report: Row) -> bool:
    """Whether a venue had an order of what this report ends."""
    return bool(report["send_ns"] or report["filled_e6"] or report["reason"] in SENT)


def legs_of(pair: Row) -> str:
    """The fields of a row that name its markets."""
    return "a" if pair["b"] < 0 else "abcd"[: 2 + pair["more"]]


def alone(cash: list[int]) -> int:
    """All legs but the cheapest."""
    return sum(cash) - min(cash)


class Money:
    """What is held, what is in flight, and which pairs it touches."""

    def __init__(self) -> None:
        self.run = self.now = 0
        self.parameters: Row = defaultdict(int)
        self.instruments: dict[int, Row] = {}
        self.held: dict[int, tuple[int, int]] = {}
        self.cash: dict[int, int] = defaultdict(int)
        self.flights: dict[int, Row] = {}
        self.reported: dict[int, set[int]] = {}
        self.market_terms: dict[int, Row] = {}
        self.market_orders: dict[int, list[int]] = defaultdict(list)  # run times, none refused
        self.market_last: dict[int, int] = {}
        self.written: dict[int, int] = {}  # run time of each intent of ours
        self.touched: dict[int, bool] = {}  # pair: a quote did it

    def touch(self, pair: int, by_quote: bool) -> None:
        self.touched[pair] = self.touched.get(pair, False) or by_quote

    def fly(self, row: Row) -> None:
        self.flights[row["id"]] = row
        self.reported[row["id"]] = set()

    def legs_cash(self, row: Row) -> list[int]:
        return [row[f"cash_e6_{leg}"] for leg in range(row["leg_count"])]

    def ordered(self, instrument: int) -> None:
        """An order goes out to a market."""
        self.market_orders[instrument].append(self.run)
        self.market_last[instrument] = self.run

    def forget_orders(self, instrument: int) -> None:
        """Another market is in its place."""
        self.market_orders.pop(instrument, None)
        self.market_last.pop(instrument, None)

    def land(self, intent: int, report: Row) -> None:
        flight = self.flights.pop(intent)
        if not was_sent(report):
            for leg in range(flight["leg_count"]):  # it went nowhere
                stamps = self.market_orders[flight[f"instrument_{leg}"]]
                if self.written.get(intent) in stamps:
                    stamps.remove(self.written[intent])
        may_have = report["reason"] in FILLED or report["filled_e6"] != 0
        for leg in range(flight["leg_count"]):
            if may_have and leg not in self.reported[intent]:
                number = flight[f"instrument_{leg}"]
                account = self.instruments[number]["account"]
                self.cash[account] -= flight[f"cash_e6_{leg}"]
                held, cost = self.held.get(number, (0, 0))
                size = flight[f"size_e6_{leg}"] * (1 if flight[f"side_{leg}"] == BUY else -1)
                self.held[number] = held + size, abs(cost) + flight[f"cash_e6_{leg}"]
        self.touch(flight["pair"], False)

    def is_set(self, pair: Row) -> bool:
        """All its markets are of one venue."""
        return len({self.instruments[pair[leg]]["venue"] for leg in legs_of(pair)}) == 1

    def reserved(self, field: str, value: int) -> int:
        """Cash in flight of the legs whose instrument has this value in a field."""
        return sum(
            flight[f"cash_e6_{leg}"]
            for flight in self.flights.values()
            for leg in range(flight["leg_count"])
            if self.instruments[flight[f"instrument_{leg}"]][field] == value
        )

    def exposure(self, field: str, value: int) -> int:
        """Gross dollars at worst of the instruments with this value in a field."""
        total = self.reserved(field, value)
        for number, (held, cost) in self.held.items():
            if self.instruments[number][field] == value:
                total += cost if 0 < cost < abs(held) else abs(held)
        return total

    def room(
        self, pair: Row, sides: tuple[int, ...], costs: list[int], spare: int
    ) -> tuple[int, int]:
        """Contracts left by cash and by the limits."""
        p = self.parameters
        rows = [self.instruments[pair[leg]] for leg in legs_of(pair)]
        by_cash, by_limits = [], []

        def fit(room: int, unit: int, margin: int) -> int:
            return max(min((min(room - margin, 10**13)) * E6 // max(unit, 100), 10**12), 0)

        def shared(field: str, room: object, into: list[int]) -> None:
            groups: dict[int, list[int]] = defaultdict(list)
            for row, cost in zip(rows, costs, strict=True):
                groups[row[field]].append(cost)
            for value, units in groups.items():
                # type: ignore[operator]
                into.append(fit(room(value), sum(units), spare * len(units)))

        shared("account", lambda v: self.cash[v] - self.reserved("account", v), by_cash)
        shared("venue", lambda v: p["venue_max_e6"] - self.exposure("venue", v), by_limits)
        shared("event", lambda v: p["event_max_e6"] - self.exposure("event", v), by_limits)
        shared("asset", lambda v: p["asset_max_e6"] - self.exposure("asset", v), by_limits)
        for row, cost in zip(rows, costs, strict=True):
            left = p["market_max_e6"] - self.exposure("index", row["index"])
            by_limits.append(fit(min(p["order_max_e6"], left), cost, spare))
        total = sum(self.exposure("index", number) for number in self.instruments)
        by_limits.append(fit(p["total_max_e6"] - total, sum(costs), len(costs) * spare))
        naked = self.lone(rows, sides) + self.unhedged()
        left = min(p["unhedged_max_e6"], p["day_max_e6"]) - naked
        by_limits.append(fit(left, alone(costs), (len(costs) - 1) * spare))
        return min(by_cash), min(by_limits)

    def lone(self, rows: list[Row], sides: tuple[int, ...]) -> int:
        """What is held beyond whole sets, of these tokens or of their opposites."""
        signs = [1 if side == BUY else -1 for side in sides]
        held = [self.held.get(row["index"], (0, 0))[0] for row in rows]
        held = [sign * each for sign, each in zip(signs, held, strict=True)]
        whole = min(held) if min(held) > 0 else max(held) if max(held) < 0 else 0
        return sum(abs(each - whole) for each in held)

    def unhedged(self) -> int:
        """All legs but the cheapest of every intent in flight."""
        return sum(alone(self.legs_cash(flight)) for flight in self.flights.values())

    def bet_room(self, row: Row, unit: int, spare: int, stakes: dict[int, int]) -> tuple[int, int]:
        """Contracts left to one leg alone by cash and by the limits. `stakes`: of bets, by market;
        all of them may be lost on one day.
        """
        p, of = self.parameters, self.exposure
        cash = self.cash[row["account"]] - self.reserved("account", row["account"])
        here = of("index", row["index"])
        rooms = [
            p["order_max_e6"], p["market_max_e6"] - here,
            p["total_max_e6"] - sum(of("index", number) for number in self.instruments),
            p["day_max_e6"] - self.unhedged()
            - sum((stakes | {row["index"]: max(here, stakes.get(row["index"], 0))}).values()),
        ]  # fmt: skip
        rooms += [p[f"{f}_max_e6"] - of(f, row[f]) for f in ("venue", "event", "asset")]

        def fit(room: int) -> int:
            return max(min(min(room - spare, 10**13) * E6 // max(unit, 100), 10**12), 0)

        return fit(cash), min(fit(room) for room in rooms)

    def market_due(self, pair: Row) -> int:
        """When every market of a row may have an order again; 0: now."""
        p = self.parameters
        for leg in legs_of(pair):
            last = self.market_last.get(pair[leg])
            today = [at for at in self.market_orders[pair[leg]] if at // DAY == self.run // DAY]
            if len(today) >= p["orders_per_market"]:
                return (self.run // DAY + 1) * DAY
            if last is not None and self.run < last + p["market_gap_ns"]:
                return last + p["market_gap_ns"]
        return 0

    def is_open_book(self, book: Book, side: int) -> bool:
        """Narrow and thick enough."""
        p, taken = self.parameters, (book.asks if side == BUY else book.bids)[0]
        both = book.bids and book.asks
        spread = book.asks[0][0] - book.bids[0][0] if both else E6
        dollars = token(taken[0], side) * min(taken[1], 10**12) // E6
        return min(spread, E6) <= p["spread_max_e6"] and dollars >= p["liquidity_min_e6"]

    def calm(self, pair: Row, size: int) -> int:
        """What volatility leaves of a size."""
        if all(self.is_calm(pair[leg]) for leg in legs_of(pair)):
            return size
        return size * (E6 - self.parameters["sigma_cut_e6"]) // E6

    def is_calm(self, instrument: int) -> bool:
        """Known, and not far above what is usual for its asset; what settles on no index always."""
        p, row = self.parameters, self.instruments[instrument]
        if not p["sigma_high_e12"] or not row["settlement_rule"]:
            return True
        terms = self.market_terms.get(instrument)
        if not terms or terms["number"] <= 0 or terms["generation"] != row["generation"]:
            return False
        if terms["valid_until_ns"] < self.now or terms["sigma_e12"] <= 0 or terms["usual_e12"] < 0:
            return False
        by_usual = terms["usual_e12"] * p["sigma_factor_e6"] // E6
        return terms["sigma_e12"] <= (by_usual if terms["usual_e12"] else p["sigma_high_e12"])
