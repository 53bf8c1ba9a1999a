"""The whole detector in plain Python: dictionaries instead of cells, a tape in, intents out.

Written from the contract, not from the kernels; it shares with them only the layout's records.
"""

from __future__ import annotations

from engine.replay import Tape
from shm_layout import (
    HAD,
    INDEX,
    INSTRUMENT,
    INTENT,
    K_ACCOUNT,
    K_HAD,
    K_INDEX,
    K_INSTRUMENT,
    K_INTENT,
    K_LEG,
    K_MARKET,
    K_PAIR,
    K_PARAMETERS,
    K_QUOTE,
    K_SPOT,
    K_STEP,
    K_TAKEN,
    K_TERMINAL,
    K_TERMS,
    LINE,
    MARKET_TERMS,
    NO_INSTRUMENT,
    PAIR,
    PARAMETERS,
    QUOTE,
    REASONS,
    REPORT,
    SPOT,
    STEP,
    TERMS,
    Words,
)
from tests.twins import basket, fees
from tests.twins.detector_bet import Bets
from tests.twins.detector_money import DAY, Row, legs_of
from tests.twins.detector_rows import best_of, book_of, is_in_order, row_of, sides_of, worst_fee
from tests.twins.edge import E6, Book, token

RINGS = (*(f"changes_{i}" for i in range(12)), "control_ring", "terms_ring", "reports", "had_ring")
ORDER = ("control_ring", "terms_ring", "reports", "had_ring", *RINGS[:12])
START, DECIDE, _, LAP = 1, 2, 3, 4
SECOND, MINUTE = 10**9, 60 * 10**9


class Plain(Bets):
    """One detector's life between two starts."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch
        self.seen: tuple[int, int] | None = None
        self.terms: dict[int, Row] = {}
        self.paused: dict[int, tuple[int, set[int]]] = {}
        self.timers: dict[int, int] = {}
        self.retry = False
        self.shown: dict[int, Row] = {}  # quotes as their venue shows them
        self.had: dict[int, Row] = {}

    def touch_of(self, instrument: int, by_quote: bool) -> None:
        rows = self.pairs.items()
        links = [(p, leg) for p, row in rows for leg in legs_of(row) if row[leg] == instrument]
        for pair, _ in sorted(links, reverse=True):  # as the kernel's lists: the last pair first
            self.touch(pair, by_quote)

    def take(self, ring: str, kind: int, body: Words) -> None:
        """One entry."""
        self.watch(kind, body)
        if kind in (K_QUOTE, K_TAKEN):
            self.quote(row_of(QUOTE, body), int(ring[8:]) if kind == K_QUOTE else None)
        elif kind in (K_LEG, K_TERMINAL, K_ACCOUNT):
            self.report(kind, row_of(REPORT, body))
        elif kind == K_INSTRUMENT:
            row = row_of(INSTRUMENT, body)
            old = self.instruments.get(row["index"])
            if old and old["generation"] != row["generation"]:
                self.held.pop(row["index"], None)
                self.house.forget(row["index"])
                self.forget_orders(row["index"])
            self.instruments[row["index"]] = row
            self.touch_of(row["index"], False)
        elif kind == K_PAIR:
            row = row_of(PAIR, body)
            old = self.pairs.get(row["index"])
            if old and old["generation"] != row["generation"]:
                for direction in range(2):
                    self.since.pop((row["index"], direction), None)
                    self.cool.pop((row["index"], direction), None)
            self.pairs[row["index"]] = row
            self.paused.pop(row["index"], None)
            self.touch(row["index"], False)
        elif kind == K_PARAMETERS:
            self.parameters = row_of(PARAMETERS, body)
            self.touch_all()
        elif kind == K_TERMS:
            row = row_of(TERMS, body)
            self.terms[row["pair"]] = row
            self.touch(row["pair"], False)
        elif kind == K_MARKET:
            row = row_of(MARKET_TERMS, body)
            self.market_terms[row["instrument"]] = row
            self.touch_bets(row["instrument"])
        elif kind in (K_SPOT, K_INDEX):
            self.spot(row_of(SPOT if kind == K_SPOT else INDEX, body), int(ring[8:]))
        elif kind == K_HAD:
            row = row_of(HAD, body)
            self.had[row["instrument"]] = row
            if row["instrument"] in self.shown:
                self.take_off(row["instrument"])
            self.touch_of(row["instrument"], False)
        elif kind == K_INTENT:
            self.fly(row_of(INTENT, body))

    def touch_all(self) -> None:
        for pair in sorted(self.pairs):
            self.touch(pair, False)

    def quote(self, row: Row, feed: int | None) -> None:
        instrument = row["instrument"]
        if feed is not None:
            self.feed_epoch[feed] = row["epoch"]  # type: ignore[index]
        else:
            feed = self.instruments[instrument]["feed"]
            self.feed_epoch[feed] = max(self.feed_epoch[feed], row["epoch"])  # type: ignore[index]
        old = self.quotes.get(instrument)
        if old and (row["generation"], row["number"]) <= (old["generation"], old["number"]):
            return
        self.shown[instrument] = row
        self.take_off(instrument)
        self.touch_of(instrument, True)

    def take_off(self, instrument: int) -> None:
        """The quote that counts is the one shown less what paper orders hold of its levels."""
        quote, had = dict(self.shown[instrument]), self.had.get(instrument)
        self.quotes[instrument] = quote
        if had is None or had["generation"] != quote["generation"]:
            return
        for side, nothing in (("bids", -(10**15)), ("asks", 10**15)):
            taken = {had[f"{side}{i}"]: had[f"{side}{i + 1}"] for i in range(0, 26, 2)}
            shown = [(quote[f"{side}{i}"], quote[f"{side}{i + 1}"]) for i in range(0, 10, 2)]
            left = [(price, size - taken.get(price, 0)) for price, size in shown]
            left = [level for level in left if level[1] > 0]
            for i, level in enumerate((left + [(nothing, 0)] * 5)[:5]):
                quote[f"{side}{2 * i}"], quote[f"{side}{2 * i + 1}"] = level

    def report(self, kind: int, row: Row) -> None:
        intent, pair = row["intent"], row["pair"]
        flight = self.flights.get(intent)
        if flight:
            pair = flight["pair"]
        self.retry = True
        if kind == K_TERMINAL:
            unknown = set()
            if flight:
                unknown = set(range(flight["leg_count"])) - self.reported[intent]
                self.land(intent, row)
            elif intent >> 60 == 1 and intent >> 40 & 0xFFFFF != self.epoch:
                of = self.pairs.get(pair, {"b": 0, "more": 0})
                unknown = set(range(len(legs_of(of))))  # of a predecessor's: its legs say which
                if self.paused.get(pair, (0, set()))[0] == intent:
                    unknown = set()
            if REASONS[row["reason"]] == "unknown_outcome":
                if unknown:
                    self.paused[pair] = intent, unknown
            else:
                self.resolve(pair, intent, set(range(4)))
            return
        known = self.instruments.get(row["instrument"])
        if known and known["generation"] == row["generation"]:
            self.hold(row["instrument"], row["position_e6"], row["position_cost_e6"])
        if row["account"] >= 0:
            self.cash[row["account"]] = row["cash_free_e6"]
        if kind == K_LEG and row["placed"] in (5, 6):  # done, rejected
            self.resolve(pair, intent, {row["leg"]})
            if flight:
                self.reported[intent].add(row["leg"])
        elif kind == K_LEG and row["placed"] == 7:
            was, legs = self.paused.get(pair, (0, set()))
            self.paused[pair] = intent, {row["leg"]} | (legs if was == intent else set())

    def resolve(self, pair: int, intent: int, legs: set[int]) -> None:
        was, unknown = self.paused.get(pair, (0, set()))
        if was == intent and was:
            self.paused[pair] = was, unknown - legs
            if not unknown - legs:
                del self.paused[pair]
                self.touch(pair, False)

    def decide(self) -> None:
        """One DECIDE step."""
        if self.seen != (self.state, self.alive):
            self.seen = self.state, self.alive
            self.touch_all()
        for pair in [pair for pair, due in self.timers.items() if due <= self.run]:
            del self.timers[pair]
            self.touch(pair, False)
        if self.retry:
            self.retry = False
            for pair in sorted(self.limited):
                self.touch(pair, False)
        touched, self.touched = self.touched, {}
        for pair in sorted(touched, key=lambda each: self.pairs[each]["b"] == NO_INSTRUMENT):
            self.limited.discard(pair)
            if self.pairs[pair]["b"] == NO_INSTRUMENT:
                self.bet(pair, touched[pair])
                continue
            for direction in (0, 1):
                self.direction(pair, direction, touched[pair])

    def tradable(self, number: int, generation: int) -> bool:
        quote, row = self.quotes.get(number), self.instruments.get(number)
        if not quote or not row or quote["trust"] or quote["status"] != 2 or row["live"] != 1:
            return False
        if not quote["generation"] == row["generation"] == generation:
            return False
        is_over = 0 < quote["close_epoch_ns"] <= self.run
        if row["settlement_rule"] and (is_over or self.run < row["open_epoch_ns"]):
            return False
        if quote["bids0"] >= quote["asks0"] or not self.alive >> row["feed"] & 1:
            return False
        return quote["epoch"] == self.feed_epoch[row["feed"]]  # type: ignore[index]

    def off(self, pair: Row, direction: int) -> int | None:
        p, terms, legs = self.parameters, self.terms.get(pair["index"]), legs_of(pair)
        delay = max(self.quotes[pair[leg]]["taker_delay_ns"] for leg in legs)
        if delay > min(p["delay_max_ns"], pair["delay_max_ns"]):
            return None
        off = pair["hurdle_e6"] if pair["hurdle_e6"] >= 0 else p["hurdle_e6"]
        if p["hurdle_year_e6"]:
            closes = [self.quotes[pair[leg]]["close_epoch_ns"] for leg in legs]
            if min(closes) <= 0:
                return None
            seconds = -(-max(max(closes) - self.run, 0) // SECOND)
            off += -(-p["hurdle_year_e6"] * seconds // (365 * 86_400))
        off *= max(len(legs) - 1, 1) if direction else 1  # dollars that stand still
        if legs == "a":
            return off if not pair["needs_terms"] or self.has_terms(pair["a"]) else None
        if terms and terms["number"] > 0 and terms["generation"] == pair["generation"]:
            if terms["valid_until_ns"] < self.now:
                return None
            off += terms[f"dead_zone_e6{direction}"]
            return off + (terms["delay_cost_e6"] if delay else 0)
        return None if pair["needs_terms"] or delay else off

    def direction(self, number: int, direction: int, by_quote: bool) -> None:
        pair, p = self.pairs[number], self.parameters
        key = number, direction
        off = None
        if pair["approved"] == 1 and all(
            self.tradable(pair[leg], pair[f"{leg}_generation"]) for leg in legs_of(pair)
        ):
            off = self.off(pair, direction)
        found = basket.NOTHING
        if off is not None and not pair["barred"] >> direction & 1:
            books = [book_of(self.quotes[pair[leg]]) for leg in legs_of(pair)]
            found = self.look(pair, direction, books, off, p["size_max_e6"])
        if found[0] == 0:
            self.since.pop(key, None)
            return
        since = self.since.setdefault(key, self.run)
        if not self.may_open(number, direction, since):
            return
        assert off is not None
        sides = sides_of(pair, direction)
        if any(not p["price_low_e6"] <= limit <= p["price_high_e6"] for limit in found[3]):
            return
        if not all(map(self.is_open_book, books, sides)):
            return
        costs = [
            token(limit, side)
            + max(
                fees.fee(token(limit, side), E6, *book.fee_terms[:2], 1, 0),
                worst_fee(book, token(limit, side), E6, token(limit, side)),
            )
            for limit, side, book in zip(found[3], sides, books, strict=True)
        ]
        spare = 2 * max(book.fee_terms[2] for book in books) + 2
        room = min(*self.room(pair, sides, costs, spare), self.calm(pair, found[0]))
        if room < found[0]:
            found = self.look(pair, direction, books, off, room)
            if found[0] == 0:
                self.limited.add(number)
                return
        prices = sum(token(limit, side) for limit, side in zip(found[3], sides, strict=True))
        if prices * found[0] // E6 < p["intent_min_e6"]:
            self.limited.add(number)
            return
        self.open(pair, direction, sides, found, books, by_quote)

    def look(
        self, pair: Row, direction: int, books: list[Book], off: int, cap: int
    ) -> basket.Answer:
        """What one direction pays now."""
        p, is_set = self.parameters, self.is_set(pair)
        edge_min, walks = max(p["edge_min_e6"], pair["edge_min_e6"]), bool(p["switches"] & 1)
        if is_set and not is_in_order(pair, self.quotes):
            return basket.NOTHING
        return best_of(pair, direction, books, is_set, (edge_min, off, cap, walks))

    def may_open(self, pair: int, direction: int, since: int) -> bool:
        p = self.parameters
        is_flying = any(flight["pair"] == pair for flight in self.flights.values())
        if self.state < 2 or pair in self.paused or is_flying:
            return False
        if any(self.reserved("index", self.pairs[pair][leg]) for leg in legs_of(self.pairs[pair])):
            self.limited.add(pair)
            return False
        if self.run - since < p["debounce_ns"]:
            due = since + p["debounce_ns"]
        elif self.run < self.cool[pair, direction]:
            due = self.cool[pair, direction]
        else:
            due = self.market_due(self.pairs[pair])
            for name, window in (("day", DAY), ("minute", MINUTE), ("second", SECOND)):
                used = sum(at // window == self.run // window for at in self.orders)
                legs = len(legs_of(self.pairs[pair]))
                if not due and used + legs > p[f"orders_per_{name}"]:
                    due = (self.run // window + 1) * window
            if not due:
                return True
        self.timers[pair] = min(due, self.timers.get(pair, due))
        return False

    def open(
        self, pair: Row, direction: int, sides: tuple[int, ...], found: basket.Answer,
        books: list[Book], by_quote: bool,
    ) -> None:  # fmt: skip
        """Write the intent as bytes and reserve it."""
        size, edge, profit, limits, charged = found
        quotes = [self.quotes[pair[leg]] for leg in legs_of(pair)]
        newest = max(quotes, key=lambda quote: quote["recv_ns"])  # the first of equals
        self.counter += 1
        row: Row = {
            "id": 1 << 60 | self.epoch << 40 | self.counter, "kind": 1 + self.is_set(pair),
            "pair": pair["index"], "direction": direction, "leg_count": len(quotes),
            "flags": 0 if by_quote else 2, "trigger": newest["instrument"],
            "decide_ns": self.now, "recv_ns": newest["recv_ns"],
            "event_epoch_ns": newest["event_epoch_ns"], "publish_ns": newest["publish_ns"],
            "expires_ns": self.now + self.parameters["signal_age_max_ns"], "edge_e6": edge,
            "profit_e6": profit, "fees_e6": sum(charged),
        }  # fmt: skip
        for leg in range(len(quotes)):
            quote, book = quotes[leg], books[leg]
            cost = -(-token(limits[leg], sides[leg]) * size // E6)
            fee = worst_fee(book, token(limits[leg], sides[leg]), size, cost)
            row |= {
                f"venue_{leg}": self.instruments[quote["instrument"]]["venue"],
                f"instrument_{leg}": quote["instrument"], f"generation_{leg}": quote["generation"],
                f"side_{leg}": sides[leg], f"limit_e6_{leg}": limits[leg], f"size_e6_{leg}": size,
                f"cash_e6_{leg}": cost + fee + book.fee_terms[2],
                f"quote_number_{leg}": quote["number"], f"quote_epoch_{leg}": quote["epoch"],
                f"tick_epoch_{leg}": quote["tick_epoch"],
            }  # fmt: skip
        self.orders += [self.run] * len(quotes)
        for leg in legs_of(pair):
            self.ordered(pair[leg])
        self.cool[pair["index"], direction] = self.run + self.parameters["cooldown_ns"]
        self.write(row, {})


def run(tape: Tape, lives: list[Plain] | None = None) -> list[bytes]:
    """The intents of a tape; every detector of it, as it was at its end, goes to `lives`."""
    lives = [] if lives is None else lives
    plain, cursors = Plain(0), dict.fromkeys(RINGS, 0)
    for entry in tape.steps:
        body = entry[LINE:]
        if entry[0] != K_STEP:
            plain.take("", int(entry[0]), body)
            continue
        step = row_of(STEP, body)
        wanted = {ring: step[f"cursors{i}"] for i, ring in enumerate(RINGS)}
        if step["kind"] == START:
            lives.append(plain)
            plain, cursors = Plain(step["epoch"]), wanted
            continue
        for ring in ORDER:
            for position in range(cursors[ring], wanted[ring]):
                held = tape.rings[ring][position]
                plain.take(ring, int(held[0]), held[LINE:])
        cursors = wanted
        plain.now, plain.run = step["now_ns"], step["run_epoch_ns"]
        plain.state, plain.alive = step["state"], step["alive"]
        if step["kind"] == LAP:
            cursors[RINGS[step["lap_ring"]]] = step["lap_to"]
            plain.lapped(step["lap_ring"])
            if RINGS[step["lap_ring"]] == "reports":
                for intent, flight in plain.flights.items():
                    plain.paused[flight["pair"]] = intent, set(range(flight["leg_count"]))
        elif step["kind"] == DECIDE:
            plain.decide()
    lives.append(plain)
    return [intent for life in lives for intent in life.intents]
