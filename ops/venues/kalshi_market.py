"""One Kalshi market as the venue keeps it, and as its REST shows it (field set of autumn 2026)."""

from __future__ import annotations

from typing import Any

from ops.venues.book import MarketBook
from ops.venues.fees import KalshiFeeTerms
from ops.venues.numerals import ONE_E6, SECOND_NS, count2, dollars4, iso_s, spot8
from ops.venues.script import ASK, BID, Level, MarketSpec

# What the query word of GET /markets selects, and which response words it means.
STATUS_FILTER = {
    "unopened": ("initialized",),
    "open": ("active",),
    "paused": ("inactive",),
    "closed": ("closed", "determined", "disputed", "amended"),
    "settled": ("finalized",),
}
_STRUCTURES = {
    ((0, ONE_E6, 10_000),): "linear_cent",
    ((0, ONE_E6, 1_000),): "deci_cent",
    ((0, 100_000, 1_000), (100_000, 900_000, 10_000), (900_000, ONE_E6, 1_000)): (
        "tapered_deci_cent"
    ),
}

_WORDS = {  # of the rules, by strike_type
    "greater_or_equal": "at least",
    "less_or_equal": "at most",
    "greater": "above",
    "less": "below",
    "between": "between",
}


class KalshiMarket:
    """Book, status and statistics of one market. `is_known`: its first book has come.

    `is_exclusive`: of the markets of its event at most one settles at yes.
    `venue_seq`: the recorded number of its last frame, None: the venue counts. `has_tickers`: the
    script has the venue's own tickers, so none is made here.
    """

    def __init__(self, spec: MarketSpec, market_id: str, *, is_exclusive: bool = False) -> None:
        self.spec = spec
        self.is_exclusive = is_exclusive
        self.ticker = spec.ticker
        self.market_id = market_id
        self.book = MarketBook()
        self.status = spec.status
        self.strike_e8 = spec.strike_e8
        self.final_e8: int | None = None  # the rounded mean that it settled by
        self.settlement_e6: int | None = None
        self.settled_epoch_ns = 0
        self.is_known = False
        self.venue_seq: int | None = None
        self.has_tickers = False
        self.last_e6 = 0
        self.volume_e6 = 0
        self.last_size_e6 = 0
        self.fee_override: tuple[str | None, int | None] = (None, None)
        self.fee_terms = KalshiFeeTerms(
            kind=spec.fee_kind,
            rate_e6=spec.fee_rate_e6,
            multiplier_e6=spec.fee_multiplier_e6,
        )

    def numbered(self, venue_seq: int | None) -> None:
        """The next frame has this number. Who recorded the wire with its numbers recorded its
        tickers too: none of ours may be compared before the first of them comes.
        """
        self.venue_seq = venue_seq
        self.has_tickers = self.has_tickers or venue_seq is not None

    @property
    def open_interest_e6(self) -> int:
        """Contracts held: here every trade opens some and none is closed before settlement."""
        return self.volume_e6

    @property
    def event_ticker(self) -> str:
        return self.ticker.rpartition("-")[0] or self.ticker

    @property
    def series_ticker(self) -> str:
        return self.ticker.partition("-")[0]

    @property
    def result(self) -> str:
        if self.settlement_e6 is None:
            return ""
        return {ONE_E6: "yes", 0: "no"}.get(self.settlement_e6, "scalar")

    def is_on_grid(self, price_e6: int) -> bool:
        """Whether an order may carry this YES price: on the grid, strictly between 0 and 1."""
        if not 0 < price_e6 < ONE_E6:
            return False
        return any(
            begin <= price_e6 <= end and (price_e6 - begin) % step == 0
            for begin, end, step in self.spec.price_ranges
        )

    def no_bids(self) -> list[Level]:
        """The ask side as Kalshi shows it: NO bids at the NO price, best first."""
        return [(ONE_E6 - price, size) for price, size in self.book.levels(ASK)]

    def orderbook(self, depth: int) -> dict[str, Any]:
        """GET orderbook: bids of both outcomes, ascending; `depth` keeps the best n, 0 keeps
        all.
        """
        yes, no = self.book.levels(BID), self.no_bids()
        if depth:
            yes, no = yes[:depth], no[:depth]
        return {"yes_dollars": ascending(yes), "no_dollars": ascending(no)}

    def quotes(self) -> dict[str, str]:
        """The touch as dollar strings. An empty side reads bid 0, ask 1, size 0."""
        bid, ask = self.book.best_e6(BID), self.book.best_e6(ASK)
        bid_size = 0 if bid is None else self.book.shown_e6(BID, bid)
        ask_size = 0 if ask is None else self.book.shown_e6(ASK, ask)
        bid, ask = bid or 0, ONE_E6 if ask is None else ask
        return {
            "yes_bid_dollars": dollars4(bid),
            "yes_bid_size_fp": count2(bid_size),
            "yes_ask_dollars": dollars4(ask),
            "yes_ask_size_fp": count2(ask_size),
            "no_bid_dollars": dollars4(ONE_E6 - ask),
            "no_ask_dollars": dollars4(ONE_E6 - bid),
        }

    def json(self) -> dict[str, Any]:
        """The market object of REST."""
        spec = self.spec
        market: dict[str, Any] = {
            "ticker": self.ticker,
            "event_ticker": self.event_ticker,
            "market_type": "binary",
            "title": spec.title,
            "yes_sub_title": spec.title,
            "no_sub_title": spec.title,
            "created_time": iso_s(spec.open_epoch_ns),
            "updated_time": iso_s(spec.open_epoch_ns),
            "open_time": iso_s(spec.open_epoch_ns),
            "close_time": iso_s(spec.close_epoch_ns),
            "expected_expiration_time": iso_s(spec.close_epoch_ns),
            "latest_expiration_time": iso_s(spec.close_epoch_ns + 604_800 * SECOND_NS),
            "settlement_timer_seconds": 1,
            "status": self.status,
            "notional_value_dollars": "1.0000",
            **self.quotes(),
            "last_price_dollars": dollars4(self.last_e6),
            "previous_yes_bid_dollars": "0.0000",
            "previous_yes_ask_dollars": "0.0000",
            "previous_price_dollars": "0.0000",
            "volume_fp": count2(self.volume_e6),
            "volume_24h_fp": count2(self.volume_e6),
            "open_interest_fp": count2(self.open_interest_e6),
            "result": self.result,
            "can_close_early": True,
            "expiration_value": "" if self.final_e8 is None else spot8(self.final_e8, 2),
            "settlement_bounds_type": "default",
            "strike_type": self.strike_type,
            "rules_primary": self.rules(),
            "rules_secondary": "",
            "price_level_structure": self.structure,
            "price_ranges": self.price_ranges(),
            "exchange_index": spec.exchange_index,
        }
        if self.strike_e8 is not None:
            market["floor_strike"] = self.strike_e8 / 10**8
        if spec.cap_e8 is not None:
            market["cap_strike"] = spec.cap_e8 / 10**8
        if self.strike_e8 is not None or spec.round_digits is not None:
            market["custom_strike"] = {"round_digits": str(spec.round_digits or 2)}
        if self.settlement_e6 is not None:
            market["settlement_value_dollars"] = dollars4(self.settlement_e6)
            market["settlement_ts"] = iso_s(self.settled_epoch_ns)
        return market

    def rules(self) -> str:
        """What decides, in the venue's words (KXBTC15M, read 2026-08-17); empty: no index does."""
        spec, word = self.spec, _WORDS.get(self.strike_type)
        if not spec.index or word is None:
            return ""
        mean = f"the simple average of the sixty seconds of CF Benchmarks' {spec.index} before "
        begin, end = (mean + iso_s(at) for at in (spec.open_epoch_ns, spec.close_epoch_ns))
        strike = begin if spec.strike_type == "greater_or_equal" else "its strike"
        return f"If {end} is {word} {strike}, then the market resolves to Yes."

    @property
    def strike_type(self) -> str:
        """Kalshi's word for what is asked."""
        told = "structured" if self.spec.strike_e8 is None else "greater_or_equal"
        return self.spec.strike_type or told

    @property
    def structure(self) -> str:
        """The informational name of the grid."""
        return _STRUCTURES.get(self.spec.price_ranges, "banded_other")

    def price_ranges(self) -> list[dict[str, str]]:
        """The grid, the only truth about prices."""
        return [
            {"start": dollars4(begin), "end": dollars4(end), "step": dollars4(step)}
            for begin, end, step in self.spec.price_ranges
        ]

    def event_json(self) -> dict[str, Any]:
        """The event this market belongs to."""
        event = {
            "event_ticker": self.event_ticker,
            "series_ticker": self.series_ticker,
            "sub_title": "",
            "title": self.spec.title,
            "collateral_return_type": "",  # nothing is netted here
            "mutually_exclusive": self.is_exclusive,
            "settlement_sources": self.sources(),
            "last_updated_ts": iso_s(self.spec.open_epoch_ns),
            "exchange_index": self.spec.exchange_index,
        }
        if self.fee_override != (None, None):
            event.update(self.fee_override_json())
        return event

    def sources(self) -> list[dict[str, str]]:
        """Where the series says that it settles from."""
        if not self.spec.index:
            return []
        return [{"name": "CF Benchmarks", "url": "https://www.cfbenchmarks.com/"}]

    def fee_override_json(self) -> dict[str, Any]:
        """What an event's fees are instead of its series'; null: nothing."""
        kind, multiplier_e6 = self.fee_override
        multiplier = None if multiplier_e6 is None else _number(multiplier_e6)
        return {"fee_type_override": kind, "fee_multiplier_override": multiplier}

    def series_json(self) -> dict[str, Any]:
        """The series, which carries the fee terms."""
        return {
            "ticker": self.series_ticker,
            "frequency": "custom",
            "title": self.spec.title,
            "category": "",
            "categories": [],
            "tags": [],
            "settlement_sources": self.sources(),
            "contract_url": "",
            "contract_terms_url": "",
            "fee_type": self.spec.fee_kind,
            "fee_multiplier": _number(self.spec.fee_multiplier_e6),
            "additional_prohibitions": [],
            "exchange_index": self.spec.exchange_index,
        }


def _number(value_e6: int) -> float | int:
    """A JSON number, whole where it is."""
    whole, rest = divmod(value_e6, ONE_E6)
    return value_e6 / ONE_E6 if rest else whole


def ascending(best_first: list[Level]) -> list[list[str]]:
    """Levels as Kalshi lists them: ascending, so that the best is last."""
    return [[dollars4(price), count2(size)] for price, size in reversed(best_first)]
