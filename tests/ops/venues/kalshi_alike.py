"""Whether an answer of the simulated Kalshi is the recorded one.

A value that cannot be the same (an id, a stamp) is compared by its shape. What the venue removed or
added after a recording is named with its date.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
# Gone from the venue since the recordings (changelog: 2026-07-09, 2026-08-06).
REMOVED = {
    "fractional_trading_enabled",
    "response_price_units",
    "resting_orders_count",
    "liquidity_dollars",
    "service",
}
Answer = tuple[int, Any]


def words(text: str) -> frozenset[str]:
    """The words of a line."""
    return frozenset(text.split())


@dataclass(frozen=True, kw_only=True)
class Scene:
    """`play` answers as the fixture does. `added`: keys that came after the recording, or that the
    recording leaves out; `absent`: prose and optional keys of the fixture that are not simulated;
    `varies`: keys compared by shape; `pick`: the part of the answer that the fixture shows.
    """

    play: Callable[[], Answer]
    status: int = 200
    added: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    varies: frozenset[str] = frozenset()
    pick: Callable[[Any], Any] = field(default=lambda body: body)
    trim: Callable[[Any], Any] = field(default=lambda body: body)


IDS = words(
    "order_id client_order_id trade_id fill_id ts_ms ts created_time last_update_time "
    "last_updated_ts updated_ts settled_time end_period_ts cursor"
)
SHARDED = frozenset({"exchange_index"})  # on every row since August 2026


def differences(found: Any, wanted: Any, scene: Scene, at: str = "", name: str = "") -> list[str]:
    """Where an answer is not the fixture's."""
    if name in scene.varies or name in IDS:
        return [] if _alike(found, wanted) else [f"{at}: {found!r} is not like {wanted!r}"]
    if isinstance(wanted, dict) and isinstance(found, dict):
        left_out = REMOVED | scene.absent
        lacking = wanted.keys() - found.keys() - left_out
        more = found.keys() - wanted.keys() - scene.added
        wrong = [f"{at}.{key}: missing" for key in sorted(lacking)]
        wrong += [f"{at}.{key}: not in the fixture" for key in sorted(more)]
        wrong += [f"{at}.{key}: removed from the venue" for key in REMOVED & found.keys()]
        for key in sorted((wanted.keys() & found.keys()) - scene.absent):
            wrong += differences(found[key], wanted[key], scene, f"{at}.{key}", key)
        return wrong
    if isinstance(wanted, list) and isinstance(found, list):
        if len(found) != len(wanted):
            return [f"{at}: {len(found)} rows, wanted {len(wanted)}"]
        pairs = zip(found, wanted, strict=True)
        return [d for n, (a, b) in enumerate(pairs) for d in differences(a, b, scene, f"{at}[{n}]")]
    same = found == wanted and type(found) is type(wanted)
    return [] if same else [f"{at}: {found!r}, wanted {wanted!r}"]


def _alike(found: Any, wanted: Any) -> bool:
    if type(found) is not type(wanted):
        return False
    if not isinstance(wanted, str):
        return True
    return all(bool(p.fullmatch(found)) == bool(p.fullmatch(wanted)) for p in (UUID, TIME))
