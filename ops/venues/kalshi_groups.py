"""Kalshi's order groups: when the contracts matched within a rolling 15 s reach the limit, all
orders of the group are cancelled and none enters it until a reset. The dead-man's handle of the
venue (SDK 3.34.0, order_groups_api; kalshi.md 6).

One shard per group; calls name it (default 0). How a create into a tripped group is refused is not
documented: here 400 invalid_order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ops.venues.kalshi_account import KalshiAccount
from ops.venues.kalshi_market import KalshiMarket
from ops.venues.kalshi_order import KalshiOrder
from ops.venues.kalshi_order_body import count_e6_of, flat
from ops.venues.kalshi_reply import INVALID_ORDER, Reply, missing, refuse
from ops.venues.numerals import MS_NS, SECOND_NS, count2
from ops.venues.session import Ids, RunClock

WINDOW_NS = 15 * SECOND_NS
GROUPS_MAX = 100_000


@dataclass(slots=True)
class Group:
    """`matched`: (run stamp, size) of the last 15 s; `is_tripped`: takes no orders."""

    group_id: str
    shard: int
    limit_e6: int
    orders: list[str] = field(default_factory=list)
    matched: deque[tuple[int, int]] = field(default_factory=deque)
    is_tripped: bool = False

    def matched_e6(self, run_ns: int) -> int:
        """Contracts of the window that ends now."""
        while self.matched and self.matched[0][0] <= run_ns - WINDOW_NS:
            self.matched.popleft()
        return sum(size for _, size in self.matched)


class KalshiGroups:
    """The groups of one account. `tell`: the order_group_updates channel."""

    def __init__(
        self,
        *,
        account: KalshiAccount,
        ids: Ids,
        clock: RunClock,
        tell: Callable[[dict[str, Any]], None],
    ) -> None:
        self._account = account
        self._ids = ids
        self._clock = clock
        self._tell = tell
        self._groups: dict[str, Group] = {}
        self._full: list[Group] = []

    # ---- what the desk asks

    def refusal(self, group_id: str, market: KalshiMarket) -> Reply | None:
        """Why an order may not join; "" is no group."""
        if not group_id:
            return None
        group = self._groups.get(group_id)
        if group is None or group.shard != market.spec.exchange_index:
            return missing(group_id)
        if group.is_tripped:
            return refuse(400, INVALID_ORDER, details="order group limit reached")
        return None

    def join(self, order: KalshiOrder) -> None:
        """An accepted order belongs to its group for ever."""
        if order.group_id:
            self._groups[order.group_id].orders.append(order.order_id)

    def matched(self, order: KalshiOrder, size_e6: int, run_ns: int) -> None:
        """A fill counts, taker or maker."""
        group = self._groups.get(order.group_id)
        if group is None:
            return
        group.matched.append((run_ns, size_e6))
        if not group.is_tripped and group.matched_e6(run_ns) >= group.limit_e6:
            self._full.append(group)

    def tripped(self, run_ns: int) -> list[KalshiOrder]:
        """The resting orders of groups that have just reached their limit: they must go."""
        found: list[KalshiOrder] = []
        full, self._full = self._full, []
        for group in full:
            found += self._trip(group, run_ns)
        return found

    def _trip(self, group: Group, run_ns: int) -> list[KalshiOrder]:
        if group.is_tripped:
            return []
        group.is_tripped = True
        self._say(group, "triggered", run_ns)
        return self.resting(group)

    def resting(self, group: Group) -> list[KalshiOrder]:
        """Its orders in the book."""
        open_ = self._account.open
        return [open_[order_id] for order_id in group.orders if order_id in open_]

    def _say(self, group: Group, event: str, run_ns: int) -> None:
        message: dict[str, Any] = {"event_type": event, "order_group_id": group.group_id}
        if event in ("created", "limit_updated"):
            message["contracts_limit_fp"] = count2(group.limit_e6)
        self._tell({**message, "ts_ms": run_ns // MS_NS})

    # ---- REST

    def create(self, body: Any) -> Reply:
        """POST /portfolio/order_groups/create: 201."""
        limit_e6 = limit_e6_of(body)
        shard = body.get("exchange_index") if isinstance(body, dict) else None
        if limit_e6 is None or type(shard) not in (int, type(None)):
            return Reply(400, flat("contracts_limit or contracts_limit_fp is needed"), "bad")
        if len(self._groups) >= GROUPS_MAX:
            return refuse(400, "bad_request", details="too many order groups")
        group = Group(self._ids.new("group"), shard or 0, limit_e6)
        self._groups[group.group_id] = group
        self._say(group, "created", self._clock.run_ns())
        answer = {"order_group_id": group.group_id, "subaccount": 0, "exchange_index": group.shard}
        return Reply(201, answer, "created", group.group_id)

    def list_json(self) -> dict[str, Any]:
        """GET /portfolio/order_groups."""
        return {"order_groups": [{"id": g.group_id, **_facts(g)} for g in self._groups.values()]}

    def one_json(self, group_id: str) -> dict[str, Any] | None:
        """GET /portfolio/order_groups/{id}."""
        group = self._groups.get(group_id)
        return None if group is None else {**_facts(group), "orders": list(group.orders)}

    def find(self, group_id: str, shard: int | None) -> Group | None:
        """A group on its shard; none named is shard 0."""
        group = self._groups.get(group_id)
        return group if group is not None and group.shard == (shard or 0) else None

    def reset(self, group: Group) -> list[KalshiOrder]:
        """PUT …/reset: orders may enter again."""
        group.is_tripped = False
        group.matched.clear()
        self._say(group, "reset", self._clock.run_ns())
        return []

    def trigger(self, group: Group) -> list[KalshiOrder]:
        """PUT …/trigger: as if the limit had been reached. Returns what must be cancelled."""
        return self._trip(group, self._clock.run_ns())

    def limit(self, group: Group, limit_e6: int) -> list[KalshiOrder]:
        """PUT …/limit: a limit already reached trips at once."""
        run_ns = self._clock.run_ns()
        group.limit_e6 = limit_e6
        self._say(group, "limit_updated", run_ns)
        if group.matched_e6(run_ns) >= limit_e6:
            return self._trip(group, run_ns)
        return []

    def delete(self, group: Group) -> list[KalshiOrder]:
        """DELETE: the group and its orders go."""
        del self._groups[group.group_id]
        self._say(group, "deleted", self._clock.run_ns())
        return self.resting(group)


def limit_e6_of(body: Any) -> int | None:
    """The limit that a body asks for. None: none, or two that differ."""
    if not isinstance(body, dict):
        return None
    whole, text = body.get("contracts_limit"), body.get("contracts_limit_fp")
    if whole is not None and (type(whole) is not int or whole < 1):
        return None
    from_whole_e6 = None if whole is None else whole * 1_000_000
    from_text_e6 = None if text is None else count_e6_of(text)
    if text is not None and from_text_e6 is None:
        return None
    if from_whole_e6 is not None and from_text_e6 not in (None, from_whole_e6):
        return None
    return from_whole_e6 if from_text_e6 is None else from_text_e6


def _facts(group: Group) -> dict[str, Any]:
    return {
        "contracts_limit_fp": count2(group.limit_e6),
        "is_auto_cancel_enabled": True,
        "exchange_index": group.shard,
    }
