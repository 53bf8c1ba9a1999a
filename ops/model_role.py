"""`arb: model`: engine/model.py in an event loop of its own, and the history it starts from.

It sleeps between steps. The history (CoinGecko's 30 days of hourly prices, all coins in one round)
is asked for beside them and kept in a file for 300 s, so that a model that dies does not ask again;
until it is there, and if it cannot be had, the default volatility holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from engine.model import Model
from engine.tilt import Habits
from feeds.coingecko import PLANS
from feeds.rest import Rest
from ops import clock
from ops.assets import Assets
from ops.console import err
from ops.extremes import by_slot, extremes_of
from ops.history import TTL_S, Cache, ask
from ops.process import RoleSpec
from ops.settings import Settings
from ops.settles import LEADS, stand_ins
from ops.venues.exchanges import LISTED
from shm_layout import E6, Segment

if TYPE_CHECKING:
    from ops.sim import RoleParams

STEP_S = 0.02  # between steps: terms are due every 250 ms, and a ring holds 2048 entries
HISTORY_FEED = "coingecko"
DAY_S = 86_400


class ModelRole:
    """Until stopped: a step every 20 ms, and the history until it is there. `slots`: of each coin;
    `headers`: what the plan's key wants."""

    def __init__(
        self,
        model: Model,
        slots: Mapping[str, int],
        rest: Rest,
        cache: Cache,
        headers: Mapping[str, str],
    ) -> None:
        self._model, self._slots, self._rest, self._cache = model, slots, rest, cache
        self._headers = headers
        self._stop = asyncio.Event()

    async def main(self) -> None:
        """Until stopped."""
        loop = asyncio.get_running_loop()
        history = loop.create_task(self._history()) if self._slots else None

        def step() -> None:
            self._model.step(clock.mono_ns())
            handles.append(loop.call_later(STEP_S, step))
            del handles[:-1]

        handles: list[asyncio.TimerHandle] = []
        step()
        try:
            await self._stop.wait()
        finally:
            handles[-1].cancel()
            if history is not None:
                history.cancel()
            self._model.close()

    async def _history(self) -> None:
        """Volatilities of the coins, from the file or from CoinGecko; what fails is told, and asked
        for again when an answer of before would be too old."""
        found = {coin: s for coin, s in self._cache.load().items() if coin in self._slots}
        self._take(found)
        async with self._rest as rest:
            while missing := [coin for coin in self._slots if coin not in found]:
                asked, errors = await ask(rest, missing, self._headers)
                for error in errors:
                    err(f"model: history: {error}")
                self._take(asked)
                found |= asked
                self._cache.save(found)
                await asyncio.sleep(TTL_S if errors else 0)

    def _take(self, found: Mapping[str, float]) -> None:
        for coin, sigma in found.items():
            self._model.history(self._slots[coin], sigma)

    def stop(self) -> None:
        """End soon."""
        self._stop.set()

    def close(self) -> None:
        """Closed with its loop."""


def habits_of(settings: Settings, products: Mapping[str, Mapping[str, int]]) -> Habits:
    """What the settings lay over the model's chances."""
    fair, assets = settings.fair, Assets(settings.assets.tracked, settings.assets.others)
    return Habits(
        is_time_twice=bool(fair.time_counted_twice),
        extremes=by_slot(extremes_of(fair.extremes, assets), products),
        late_s=fair.extremes_days * DAY_S,
        market=fair.market_share_e6 / E6,
    )


def build_model(spec: RoleSpec, segment: Segment) -> ModelRole:
    """The model of one run."""
    params: RoleParams = spec.params
    leads = params.products.get(LEADS, {})
    coins = {
        coin: leads[product]
        for product, (coin, _) in LISTED[HISTORY_FEED].items()
        if product in leads and coin in params.products.get(HISTORY_FEED, {})
    }
    address = params.addresses.get(HISTORY_FEED)
    rest = Rest(address.rest_url if address else "", ca_file=Path(params.ca_file))
    options = params.options.get(HISTORY_FEED, {})
    key_file = str(options.get("key_file", ""))
    headers = {}
    if key_file:
        plan = PLANS[str(options["plan"])]
        headers[plan.header] = Path(key_file).read_text(encoding="utf-8").strip()
    cache = Cache(Path(params.journal) / "history.json", clock.epoch_s)
    habits = habits_of(params.settings, params.products)
    model = Model(segment, exchanges=stand_ins(params.products), habits=habits)
    return ModelRole(model, coins if address else {}, rest, cache, headers)
