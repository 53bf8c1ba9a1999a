"""`polymarket-client` has no public way to other hosts: an environment with every address replaced.

Imported by its judges, under the client's own Python.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from polymarket import PRODUCTION, environments


def environment(rest: str, ws: str, relay: str = "") -> Any:
    """The production environment at other addresses: nothing of the real venue is left in it.

    `relay`: the sockets that tell prices.
    """
    config = PRODUCTION._config
    urls = {
        one.name: (ws if "ws" in one.name else rest)
        for one in dataclasses.fields(config)
        if one.name.endswith("_url")
    }
    urls |= {"clob_market_ws_url": f"{ws}/ws/market", "clob_user_ws_url": f"{ws}/ws/user"}
    urls |= {"realtime_ws_url": f"{relay or ws}/ws", "rtds_ws_url": relay or ws}
    return environments._create_environment(
        name="simulated", config=dataclasses.replace(config, **urls)
    )
