"""The simulated CoinGecko API: prices late and rounded, cached, and few calls a minute (spot.md 4,
plans of May 2026).

The port is the host of one plan: the demo host takes no Pro key and the Pro host no demo key.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ops.venues.exchanges import Exchange, Past
from ops.venues.faults_events import Server
from ops.venues.numerals import MS_NS, SECOND_NS, iso_us
from ops.venues.rest import Answer, Call, RestServer, Routes
from ops.venues.script import Event, ExchangeTrade
from ops.venues.session import Later, RunClock, VenueLog
from ops.venues.spec import VenuesSpec
from ops.venues.spot_book import Window
from ops.venues.world_chance import Chance

VENUE = "coingecko"
IDS_MAX, PAGE_MAX = 515, 250
CHART_STEP_NS, CHART_POINTS = 300 * SECOND_NS, 288
PAST_HOURS = 720
_HOUR_NS = 3_600 * SECOND_NS
_HOURS_ROOT_E3 = 93_595  # of a year of 8,760


@dataclass(frozen=True, slots=True)
class Terms:
    """What a plan allows: calls a minute, how old `/simple/price` may be, the key's header."""

    per_minute: int
    cache_ns: int
    header: str
    credits: int


PLANS = {
    "demo": Terms(30, 60 * SECOND_NS, "x-cg-demo-api-key", 10_000),
    "basic": Terms(250, 20 * SECOND_NS, "x-cg-pro-api-key", 100_000),
}
_ROOTS = {
    "demo": (10010, "If you are using Pro API key, please change your root URL from"
             " api.coingecko.com to pro-api.coingecko.com"),
    "basic": (10011, "If you are using Demo API key, please change your root URL from"
              " pro-api.coingecko.com to api.coingecko.com"),
}  # fmt: skip
EXCEEDED = (
    "You've exceeded the Rate Limit. Please visit https://www.coingecko.com/en/api/pricing to"
    " subscribe to our API plans for higher rate limits."
)


class Coin:
    """One coin: its last trade, the day's figures and points of its chart; `past`: those of the
    month before, by hour, if anything is known of it."""

    def __init__(self, name: str, product: str, past: Past | None = None) -> None:
        self.name = name
        self.symbol = product.partition("-")[0].lower()
        self.last: ExchangeTrade | None = None
        self.open_e8 = self.low_e8 = self.high_e8 = self.quote_e8 = 0
        self.chart: deque[tuple[int, int]] = deque(maxlen=CHART_POINTS)
        self.past = () if past is None else _month(past, Chance(0, len(name)))

    def traded(self, trade: ExchangeTrade) -> None:
        """Take a trade."""
        if self.last is None:
            self.open_e8 = self.low_e8 = trade.price_e8
        self.low_e8 = min(self.low_e8, trade.price_e8)
        self.high_e8 = max(self.high_e8, trade.price_e8)
        self.quote_e8 += trade.price_e8 * trade.size_e8 // 10**8
        self.last = trade
        if not self.chart or trade.at_epoch_ns - self.chart[-1][0] >= CHART_STEP_NS:
            self.chart.append((trade.at_epoch_ns, trade.price_e8))

    def figures(self) -> dict[str, Any]:
        """As numbers of JSON, which is how this venue writes them."""
        assert self.last is not None
        price = usd(self.last.price_e8)
        change = self.last.price_e8 / self.open_e8 * 100 - 100
        return {"price": price, "cap": price * 19_900_000, "volume": usd(self.quote_e8),
                "change": change, "at_s": self.last.at_epoch_ns // SECOND_NS}  # fmt: skip


def _month(past: Past, chance: Chance) -> tuple[tuple[int, int], ...]:
    """A path of whole hours, and where it has led."""
    price_e8, points = past.price_e8, [(past.at_epoch_ns, past.price_e8)]
    newest_ns = past.at_epoch_ns // _HOUR_NS * _HOUR_NS
    for hour in range(PAST_HOURS):
        points.append((newest_ns - hour * _HOUR_NS, price_e8))
        price_e8 += chance.bell(price_e8 * past.year_e6 // 1_000 // _HOURS_ROOT_E3)
    return tuple(reversed(points))


class CoinGecko:
    """The venue on its port."""

    def __init__(
        self,
        spec: VenuesSpec,
        exchange: Exchange,
        *,
        clock: RunClock,
        log: VenueLog,
        later: Later,
        on_subscribed: Callable[[], None],
    ) -> None:
        self._plan, self._terms = spec.coingecko_plan, PLANS[spec.coingecko_plan]
        self._key = spec.coingecko_key
        self._cache_ns = (
            self._terms.cache_ns if spec.coingecko_cache_ns is None else spec.coingecko_cache_ns
        )
        self._clock, self._log = clock, log
        self._on_asked = on_subscribed
        self._coins = {name: Coin(name, product, exchange.past.get(product))
                       for product, (name, _) in exchange.listed.items()}  # fmt: skip
        self._window = Window(self._terms.per_minute, 60 * SECOND_NS)
        self._calls = 0
        self._cached: dict[str, tuple[int, dict[str, Any]]] = {}
        routes = Routes()
        for path, handler in (
            ("ping", lambda _: Answer(200, {"gecko_says": "(V3) To the Moon!"})),
            ("simple/price", self._price),
            ("coins/markets", self._markets),
            ("coins/{id}/market_chart", self._chart),
            ("key", self._plan_of_key),
        ):
            routes.add("GET", f"/api/v3/{path}", self._gate(handler))
        self._rest = RestServer(
            routes=routes,
            not_found=lambda _: Answer(404, {"error": "Incorrect path."}),
            after=lambda: None,
            clock=clock.mono_ns,
            on_answer=partial(log.request, VENUE),
        )

    # ---- a venue

    @property
    def servers(self) -> Sequence[Server]:
        return (self._rest,)

    def apply(self, event: Event) -> None:
        if isinstance(event, ExchangeTrade):
            self._coins[event.symbol].traded(event)

    def flush(self) -> None:
        """It only answers."""

    async def listen(self, context: ssl.SSLContext) -> dict[str, int]:
        return {"rest": await self._rest.listen(context)}

    async def close(self) -> None:
        await self._rest.close()

    # ---- answers

    def _gate(self, handler: Callable[[Call], Answer]) -> Callable[[Call], Answer]:
        """Key and host first, then the plan's calls a minute; a refused call costs nothing."""

        def answer(call: Call) -> Answer:
            self._log.count(VENUE, "rest")
            refused = self._refused(call)
            if refused is not None:
                return refused
            if not self._window.admits(self._clock.mono_ns()):
                self._log.count(VENUE, "refused_429")
                return Answer(429, _status(429, EXCEEDED), {"retry-after": "60"})
            self._calls += 1
            self._on_asked()
            return handler(call)

        return answer

    def _refused(self, call: Call) -> Answer | None:
        keys = {
            terms.header: call.headers.get(terms.header)
            or call.query.get(terms.header.replace("-", "_"))
            for terms in PLANS.values()
        }
        key = keys[self._terms.header]
        if key is None and any(keys.values()):
            self._log.count(VENUE, "refused_root")
            return Answer(400, _status(*_ROOTS[self._plan]))
        if (key is None and self._plan != "demo") or (key and self._key and key != self._key):
            self._log.count(VENUE, "refused_key")
            return Answer(401, _status(10002, "API Key Missing"))
        return None

    def _known(self, call: Call) -> list[Coin]:
        """The coins asked for that have a price; unknown ids are silently absent."""
        names = call.query.get("ids", "").split(",")[:IDS_MAX]
        found = (self._coins.get(name) for name in dict.fromkeys(names))
        return [coin for coin in found if coin is not None and coin.last is not None]

    def _price(self, call: Call) -> Answer:
        """Each coin as it was when its cached figures were made."""
        if "ids" not in call.query or "vs_currencies" not in call.query:
            missing = "ids" if "ids" not in call.query else "vs_currencies"
            return Answer(422, {"error": f"Missing parameter {missing}"})
        if "usd" not in call.query["vs_currencies"].split(","):
            return Answer(200, {coin.name: {} for coin in self._known(call)})
        now_ns, body = self._clock.run_ns(), {}
        for coin in self._known(call):
            made_ns, figures = self._cached.get(coin.name, (now_ns - self._cache_ns - 1, {}))
            if now_ns - made_ns > self._cache_ns:
                figures = coin.figures()
                self._cached[coin.name] = (now_ns, figures)
            row = {"usd": figures["price"]}
            for option, key, name in (
                ("include_market_cap", "usd_market_cap", "cap"),
                ("include_24hr_vol", "usd_24h_vol", "volume"),
                ("include_24hr_change", "usd_24h_change", "change"),
                ("include_last_updated_at", "last_updated_at", "at_s"),
            ):
                if call.query.get(option) == "true":
                    row[key] = figures[name]
            body[coin.name] = row
        return Answer(200, body)

    def _markets(self, call: Call) -> Answer:
        if call.query.get("vs_currency") != "usd":
            return Answer(422, {"error": "Missing parameter vs_currency"})
        asked = self._known(call) if "ids" in call.query else [
            coin for coin in self._coins.values() if coin.last is not None
        ]  # fmt: skip
        text = call.query.get("per_page", "100")
        most = min(int(text), PAGE_MAX) if text.isascii() and text.isdigit() else 100
        return Answer(200, [_market(coin, rank) for rank, coin in enumerate(asked[:most], 1)])

    def _chart(self, call: Call) -> Answer:
        coin = self._coins.get(call.params["id"])
        if coin is None or (coin.last is None and not coin.past):
            return Answer(404, {"error": "coin not found"})
        if call.query.get("vs_currency") != "usd" or "days" not in call.query:
            return Answer(422, {"error": "Missing parameter days"})
        told = [*coin.chart] if call.query["days"] == "1" else [*(coin.past or coin.chart)]
        if coin.last is not None:
            told.append((coin.last.at_epoch_ns, coin.last.price_e8))  # not on the grid
        points = [(at_ns // MS_NS, usd(price)) for at_ns, price in told]
        return Answer(200, {
            "prices": [[at, price] for at, price in points],
            "market_caps": [[at, price * 19_900_000.0] for at, price in points],
            "total_volumes": [[at, float(usd(coin.quote_e8))] for at, _ in points],
        })  # fmt: skip

    def _plan_of_key(self, _: Call) -> Answer:
        if self._plan == "demo":
            return Answer(401, _status(10005, "This request is limited to PRO API subscribers."))
        terms = self._terms
        return Answer(200, {
            "plan": self._plan.title(), "rate_limit_request_per_minute": terms.per_minute,
            "monthly_call_credit": terms.credits, "current_total_monthly_calls": self._calls,
            "current_remaining_monthly_calls": max(terms.credits - self._calls, 0),
        })  # fmt: skip


def usd(value_e8: int) -> int | float:
    """A price as the venue writes it: whole dollars as an integer, else cents."""
    cents = value_e8 // 1_000_000
    return cents // 100 if cents % 100 == 0 else cents / 100


def _status(code: int, message: str) -> dict[str, Any]:
    return {"status": {"error_code": code, "error_message": message}}


def _market(coin: Coin, rank: int) -> dict[str, Any]:
    figures, last = coin.figures(), coin.last
    assert last is not None
    return {
        "id": coin.name, "symbol": coin.symbol, "name": coin.name.title(),
        "current_price": figures["price"], "market_cap": figures["cap"], "market_cap_rank": rank,
        "total_volume": figures["volume"], "high_24h": usd(coin.high_e8),
        "low_24h": usd(coin.low_e8), "price_change_percentage_24h": figures["change"],
        "last_updated": iso_us(last.at_epoch_ns),
    }  # fmt: skip
