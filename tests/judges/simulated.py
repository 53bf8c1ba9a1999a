"""`polymarket-client` has no public way to other hosts: an environment with every address replaced.

Imported by its judges, under the client's own Python.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from polymarket import PRODUCTION, environments


def environment(given: dict[str, Any]) -> Any:
    """The production environment at other addresses: nothing of the real venue is left in it.

    `given` names the ports: `rest` the CLOB, `around` all other HTTP hosts, `ws` the CLOB's
    sockets, `relay` those that tell prices.
    """
    ports = {name: f"//127.0.0.1:{given[name]}" for name in ("rest", "around", "ws", "relay")}
    around, ws, relay = (f"https:{ports['around']}", f"wss:{ports['ws']}", f"wss:{ports['relay']}")
    config = PRODUCTION._config
    urls = {
        one.name: (ws if "ws" in one.name else around)
        for one in dataclasses.fields(config)
        if one.name.endswith("_url")
    }
    urls["clob_url"] = f"https:{ports['rest']}"
    urls |= {"clob_market_ws_url": f"{ws}/ws/market", "clob_user_ws_url": f"{ws}/ws/user"}
    urls |= {"realtime_ws_url": f"{relay}/ws", "rtds_ws_url": relay}
    return environments._create_environment(
        name="simulated", config=dataclasses.replace(config, **urls)
    )
