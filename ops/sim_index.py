"""The relays of indices in a simulated run: what their feeds write, where they listen, what they
are told.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ops import assets
from ops.assets import index_of
from ops.venues.script import Script

Options = Mapping[str, int | str | bool]
CF, POLYBOLT = "cfbenchmarks", "polybolt"
HOSTS = {CF: "kalshi"}  # whose socket carries it, where it has none of its own


def products(script: Script) -> dict[str, tuple[str, ...]]:
    """The indices of the script by the feed that hears them. Raises AssetError for one that is
    nobody's."""
    of = {name: index_of(name).source for name in script.indices}
    return {
        CF: tuple(name for name in of if of[name] == assets.CF),
        POLYBOLT: tuple(name for name in of if of[name] == assets.CHAINLINK),
    }


def paths(kalshi: str, *, has_rtds: bool) -> dict[str, str]:
    """Where each is asked. RTDS shares PolyBolt's simulated port."""
    return {CF: kalshi, POLYBOLT: "/" if has_rtds else "/ws"}


def options(credentials: Path, *, has_rtds: bool) -> dict[str, Options]:
    """PolyBolt's feed alone reads the account's API credentials; RTDS is public."""
    if has_rtds:
        return {POLYBOLT: {"source": "rtds"}}
    return {POLYBOLT: {"source": "polybolt", "credentials_file": str(credentials)}}
