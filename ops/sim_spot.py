"""The spot exchanges of a simulated run: which are played, and what their feeds are told.

Only the seeded world is played elsewhere than it happened: a recording has what it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ops.clock import MS_NS
from ops.config import Spot
from ops.simkeys import write_private
from ops.venues.exchanges import Exchange, Past, exchanges
from ops.venues.script import Script
from ops.venues.world import WorldScript
from ops.venues.world_cast import SPOT_E8
from ops.venues.world_motion import YEAR_E6
from shm_layout import VENUES

Options = Mapping[str, int | str | bool]
FALLBACK = "coingecko"  # no stream: it stands in for those of the others
REFERENCE_FEED = "coinbase"
PATHS = {"binance": "/stream", "kraken": "/v2"}


def played(script: Script, spot: Spot) -> tuple[Exchange, ...]:
    """The exchanges beside Coinbase that the settings want and that list a product."""
    wanted = {"binance": spot.binance, "kraken": spot.kraken, FALLBACK: spot.coingecko}
    venues = [name for name, is_on in wanted.items() if is_on]
    past = {}  # of a recording it is not known
    if isinstance(script, WorldScript):
        at_ns = script.timeline.begin_epoch_ns
        past = {name: Past(at_ns, SPOT_E8[name], year_e6) for name, year_e6 in YEAR_E6.items()}
    return exchanges(script.products, script.digest, venues, past)


def products(found: Sequence[Exchange]) -> dict[str, tuple[str, ...]]:
    """What each feed writes, under the names its exchange has for them."""
    return {one.venue: tuple(name for name, _ in one.listed.values()) for one in found}


def plan(spot: Spot) -> str:
    """The CoinGecko plan."""
    return "basic" if spot.coingecko_paid else "demo"


def options(found: Sequence[Exchange], spot: Spot, folder: Path) -> dict[str, Options]:
    """What only a venue's own file in feeds/ knows. A key of this run lies in `folder`."""
    fallback = next((one for one in found if one.venue == FALLBACK), None)
    if fallback is None:
        return {}
    key_file = ""
    if spot.coingecko_paid:
        key_file = str(folder / "coingecko.key")
        write_private(Path(key_file), b"of this run")
    streams = []
    for product, (name, _) in fallback.listed.items():
        feeds = [one.venue for one in found if one is not fallback and product in one.listed]
        numbers = [str(VENUES.index(feed)) for feed in (REFERENCE_FEED, *feeds)]
        streams.append(" ".join((name, *numbers)))
    told: Options = {
        "plan": plan(spot),
        "key_file": key_file,
        "ttl_ms": spot.coingecko_ttl_ns // MS_NS,
        "slow_ms": spot.coingecko_slow_ns // MS_NS,
        "streams": ", ".join(streams),
    }
    return {FALLBACK: told}
