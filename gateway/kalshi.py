"""Kalshi: legs to V2 create requests, answers and private frames to outcomes and fills. Pure but
for the reads.

Facts of the venue (reference, autumn 2026): one signed net position per market, so a leg maps to
bid or ask at the YES price and nothing else; counts decide, not words; a duplicate client id
answers 409 and proves that the order exists; there is no lookup by client id, so a lost order is
found in the list of its market's orders. Only what is understood counts as an answer: everything
else is `lose`, and the order is looked for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson

from gateway.answers import get_object, object_of
from gateway.kalshi_rows import e6, fill_of, held_of, key_of, order_row, sighting_of
from gateway.order import E_ABSENT, E_FINISH, E_LOSE, E_REJECT, E_REST
from gateway.ports import (
    Fill,
    HeaderStock,
    Held,
    Market,
    Outcome,
    Placing,
    Query,
    Reader,
    Reply,
    Request,
    Sighting,
    Snapshot,
    Stopped,
    Update,
    UserEvent,
    VenueError,
)
from gateway.throttle import Budget
from shm_layout import BUY, E6, int_to_text, reason

CREATE = "/trade-api/v2/portfolio/events/orders"
PORTFOLIO = "/trade-api/v2/portfolio"
LIMITS = "/trade-api/v2/account/limits"
WS_PATH = "/trade-api/ws/v2"
GROUP = "/trade-api/v2/portfolio/order_groups/create"
CHANNELS = ("fill", "user_orders", "market_positions", "order_group_updates")
PAGES_MAX = 20
_new = tuple.__new__  # a named tuple without the call of its constructor
PARTS_MAX = 4096  # requests made ahead but for their id and signature
REJECTED, RATE, UNKNOWN = reason("venue_rejected"), reason("limit_rate"), reason("unknown_outcome")
CASH, HALT = reason("cash"), reason("halted")

# Status of an answer to a create that is not 201; a code of CODES outweighs it. Missing: lost.
STATUS: dict[int, tuple[int, int]] = {
    400: (E_REJECT, REJECTED),
    401: (E_REJECT, REJECTED),
    403: (E_REJECT, REJECTED),
    404: (E_REJECT, REJECTED),
    405: (E_REJECT, REJECTED),
    409: (E_LOSE, UNKNOWN),
    410: (E_REJECT, REJECTED),
    413: (E_REJECT, REJECTED),
    422: (E_REJECT, REJECTED),
    429: (E_REJECT, RATE),
}
CODES: dict[tuple[int, str], tuple[int, int]] = {
    (400, "insufficient_balance"): (E_REJECT, CASH),
    (400, "immediate_or_cancel_insufficient_resting_volume"): (E_FINISH, 0),
    (409, "immediate_or_cancel_insufficient_resting_volume"): (E_FINISH, 0),
    (409, "fill_or_kill_insufficient_resting_volume"): (E_FINISH, 0),
    (409, "trading_is_paused"): (E_REJECT, HALT),
    (409, "order_already_exists"): (E_LOSE, UNKNOWN),
}


class KalshiVenue:
    """The venue's file: one per gateway. `host` goes into each request's head."""

    name = "kalshi"
    nets = True
    names_orders = True
    on_demand = False
    order_cost = 10
    read_cost = 10
    query_delay_ns = (
        1_500_000_000  # reads lag writes by the order of a second (reference, section 7)
    )

    def __init__(self, signing: HeaderStock, host: str, *, group_max_e6: int = 0) -> None:
        """`group_max_e6`: contracts that may match within 15 s before the venue itself cancels and
        refuses (an order group for each shard); 0: no groups.
        """
        self._signing = signing
        self._group_max_e6 = group_max_e6
        self.groups: dict[int, str] = {}  # by shard
        self._head = f"POST {CREATE} HTTP/1.1\r\nHost: {host}\r\n".encode()
        self._host = host.encode()
        self._parts: dict[tuple[int, int, int, int, int], tuple[int, bytes]] = {}
        self._bare: dict[tuple[int, int, int, int, int], tuple[int, bytes]] = {}  # of unwinds
        self._warm = f"GET /trade-api/v2/exchange/status HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()

    def prepare(
        self, market: Market, placing: Placing, size_e6: int, order_id: str, tick_epoch: int,
        now_ns: int, urgent: bool,
    ) -> Request | None:  # fmt: skip
        """An IOC limit with its client id and shard, in its shard's group unless it is urgent: a
        group that was triggered must not keep us from reducing. The signature covers time, method
        and path only.
        """
        headers = self._signing.take_headers("POST", CREATE, now_ns, for_unwind=urgent)
        if headers is None:
            return None
        _, side, price_e6 = placing
        made = self._bare if urgent else self._parts
        parts = made.get((market.instrument, market.generation, side, price_e6, size_e6))
        if parts is None or parts[0] != len(order_id):
            parts = self._make(market, placing, size_e6, len(order_id), urgent)
        wire = b"".join((self._head, headers, parts[1], order_id.encode(), b'"}'))
        return _new(Request, (order_id, wire, b""))

    @property
    def is_stocked(self) -> bool:
        """Header sets fit any order: there is nothing to wait for."""
        return True

    def tick(self) -> None:
        """Nothing holds for a second here."""

    def _make(
        self, market: Market, placing: Placing, size_e6: int, id_bytes: int, urgent: bool
    ) -> tuple[int, bytes]:
        """Everything between the signed lines and the client's id, and how long an id it is for:
        made once for each side, price and size of a market.
        """
        made = self._bare if urgent else self._parts
        fixed: dict[str, Any] = {
            "ticker": market.ticker,
            "time_in_force": "immediate_or_cancel",
            "self_trade_prevention_type": "taker_at_cross",
            "exchange_index": market.exchange_index,
            "side": "bid" if placing.side == BUY else "ask",
            "count": int_to_text(size_e6, 6, 2),
            "price": int_to_text(placing.price_e6, 6, 4),
        }
        if not urgent and market.exchange_index in self.groups:
            fixed["order_group_id"] = self.groups[market.exchange_index]
        body = orjson.dumps(fixed)[:-1] + b',"client_order_id":"'
        length = len(body) + id_bytes + len(b'"}')
        head = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % length
        if len(made) >= PARTS_MAX:
            made.clear()
        key = (market.instrument, market.generation, placing.side, placing.price_e6, size_e6)
        found = made[key] = (id_bytes, head + body)
        return found

    def outcome(
        self, status: int, body: bytes, placing: Placing, size_e6: int, key: str
    ) -> Outcome:
        """What an answer to a create means."""
        answer = object_of(body)
        if status == 201:
            return _created(answer, size_e6, key)
        code = _code(answer)
        event, why = CODES.get((status, code)) or STATUS.get(status, (E_LOSE, UNKNOWN))
        filled_e6 = 0 if event == E_FINISH else None
        return Outcome(event, why, filled_e6, filled_e6, filled_e6, text=f"{status} {code}"[:200])

    def spent(self, key: str) -> None:
        """A header set names no order: nothing to give back."""

    def unsent(self, key: str) -> None:
        """A header set is worth 2 s, and is not used twice: it is let go."""

    def events(self, frame: bytes, markets: Sequence[Market]) -> list[UserEvent]:
        """One private frame. Frames of other types say nothing here."""
        message = object_of(frame)
        if message is None:
            raise VenueError(f"kalshi frame: found {frame[:80]!r}, wanted a JSON object")
        body = message.get("msg")
        match message.get("type"), body:
            case "fill", dict():
                return [fill_of(body)]
            case "user_order", dict():
                return [Update(key_of(body), order_row(body))]
            case "market_position", dict():
                return held_of([body], markets)
            case "order_group_updates", dict():
                return self._group_event(body)
            case "error", _:
                raise VenueError(f"kalshi user channel: {str(body)[:200]}")
        return []

    def _group_event(self, body: dict[str, Any]) -> list[UserEvent]:
        """Reached its limit, or triggered by hand: no order enters it any more."""
        name = str(body.get("order_group_id") or "")
        if body.get("event_type") != "triggered" or name not in self.groups.values():
            return []
        return [Stopped(f"kalshi: order group {name} is triggered: resume arms a new one")]

    async def stay_alive(
        self, send: Callable[[bytes], Awaitable[Reply]], markets: Sequence[Market], *, anew: bool
    ) -> int:
        """An order group for each shard (reference, section 6): one shard per group, so each
        market's orders name its own. A group that exists needs nothing more.
        """
        shards = dict.fromkeys(m.exchange_index for m in markets if m.venue == self.name)
        for shard in shards if self._group_max_e6 else ():
            if anew or shard not in self.groups:
                self.groups[shard] = await self._group(send, shard)
                self._parts.clear()
        return 0

    async def _group(self, send: Callable[[bytes], Awaitable[Reply]], shard: int) -> str:
        limit = int_to_text(self._group_max_e6, 6, 2)
        body = orjson.dumps({"contracts_limit_fp": limit, "exchange_index": shard})
        try:
            signed = await self._signing.headers("POST", GROUP)
        except OSError as error:
            raise VenueError(f"kalshi POST {GROUP}: no signature: {error}") from error
        lines = "".join(f"{name}: {text}\r\n" for name, text in signed.items()).encode()
        head = f"POST {GROUP} HTTP/1.1\r\nHost: ".encode() + self._host + b"\r\n" + lines
        length = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        reply = await send(head + length + body)
        found = str((object_of(reply.body) or {}).get("order_group_id") or "")
        if reply.error or reply.status != 201 or not found:
            said = reply.error or f"{reply.status} {reply.body[:80]!r}"
            raise VenueError(f"kalshi POST {GROUP}: found {said}, wanted 201 with a group")
        return found

    async def read(self, path: str, query: str) -> bytes:
        """A signed GET; the signature leaves the query out. Raises OSError without a signer."""
        signed = await self._signing.headers("GET", path)
        lines = "".join(f"{name}: {text}\r\n" for name, text in signed.items()).encode()
        target = (path + ("?" + query if query else "")).encode()
        return b"GET %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (target, self._host, lines)

    def warm(self) -> bytes:
        """GET /exchange/status: public, cheap, not cached by the edge for long."""
        return self._warm

    async def handshake(self) -> dict[str, str]:
        """The three signed header lines of the WebSocket handshake. Raises OSError without a
        signer.
        """
        return await self._signing.headers("GET", WS_PATH)

    def subscription(self, markets: Sequence[Market]) -> list[bytes]:
        """One command for the private channels, all markets."""
        command = {"id": 1, "cmd": "subscribe", "params": {"channels": list(CHANNELS)}}
        return [orjson.dumps(command)]

    async def snapshot(self, reader: Reader, markets: Sequence[Market]) -> Snapshot:
        """Cash per shard, net positions, resting orders."""
        balance = await get_object(reader, f"{PORTFOLIO}/balance", "")
        shards = {
            row["exchange_index"]: e6(row["balance"], "balance")
            for row in balance.get("balance_breakdown") or ()
        }
        if not shards:
            shards = {0: e6(balance.get("balance_dollars"), "balance_dollars")}
        cash = {market.account: shards.get(market.exchange_index, 0) for market in markets}
        rows = await _pages(reader, f"{PORTFOLIO}/positions", "limit=1000", "market_positions")
        resting = await _pages(reader, f"{PORTFOLIO}/orders", "status=resting&limit=200", "orders")
        held = [row for row in held_of(rows, markets) if isinstance(row, Held)]
        return Snapshot(cash, tuple(held), tuple(sighting_of(row, markets) for row in resting))

    async def fills(
        self, reader: Reader, markets: Sequence[Market], since_epoch_s: int
    ) -> list[Sighting]:
        """GET /portfolio/fills; its rows name the venue's id of the order only."""
        since = f"min_ts={since_epoch_s}&limit=1000"
        rows = await _pages(reader, f"{PORTFOLIO}/fills", since, "fills")
        return [sighting_of(row, markets) for row in rows]

    async def budget(self, reader: Reader) -> Budget | None:
        """GET /account/limits (reference, section 10: the truth at run time)."""
        told = await get_object(reader, LIMITS, "")
        cells: list[int] = []
        for way in ("read", "write"):
            for name in ("refill_rate", "bucket_capacity"):
                found = (told.get(way) or {}).get(name)
                if not isinstance(found, int) or found < 2:
                    raise VenueError(f"kalshi {way}.{name}: found {found!r}, wanted 2 or more")
                cells.append(found)
        return Budget(*cells)

    def orders_left(self, headers: Mapping[str, str]) -> int | None:
        """No header tells."""
        return None

    async def query(self, reader: Reader, query: Query) -> tuple[Outcome | None, list[Fill]]:
        """Look for the client id among the market's orders since it was sent."""
        since = f"ticker={query.market.ticker}&min_ts={query.sent_epoch_s - 5}&limit=200"
        for row in await _pages(reader, f"{PORTFOLIO}/orders", since, "orders"):
            if query.key in (row.get("client_order_id"), row.get("order_id")):
                found = f"order_id={row.get('order_id')}&limit=200"
                fills = await _pages(reader, f"{PORTFOLIO}/fills", found, "fills")
                return order_row(row), [
                    fill_of({**fill, "client_order_id": query.key}) for fill in fills
                ]
        return None, []


def absent() -> Outcome:
    """What two empty reads past the lag mean."""
    return Outcome(E_ABSENT, 0, 0, 0, 0, is_exact=True)


def _created(answer: dict[str, Any] | None, size_e6: int, key: str) -> Outcome:
    """201: counts decide. Average price and fee have 4 decimals, so amounts stay inexact until
    fills say more.
    """
    lost = Outcome(E_LOSE, UNKNOWN, text="201 without an order of ours")
    if answer is None or not answer.get("order_id"):
        return lost
    if answer.get("client_order_id", key) not in (key, "", None):
        return lost
    try:
        filled_e6 = e6(answer.get("fill_count"), "fill_count")
        left_e6 = e6(answer.get("remaining_count"), "remaining_count")
        price_e6 = e6(answer.get("average_fill_price") or "0", "average_fill_price")
        told = answer.get("average_fee_paid")  # some servers send null: unknown, not free
        each_e6 = None if told is None else e6(told, "average_fee_paid")
    except VenueError as error:
        return Outcome(E_LOSE, UNKNOWN, text=str(error)[:200])
    if not 0 <= filled_e6 <= size_e6 or left_e6 < 0 or (filled_e6 and not 0 < price_e6 < E6):
        return Outcome(E_LOSE, UNKNOWN, text=f"201 with impossible counts {answer}"[:200])
    notional_e6 = price_e6 * filled_e6 // E6
    fee_e6 = 0 if filled_e6 == 0 else None if each_e6 is None else -(-each_e6 * filled_e6 // E6)
    event = E_REST if left_e6 else E_FINISH
    return Outcome(
        event, 0, filled_e6, notional_e6, fee_e6, filled_e6 == 0, str(answer["order_id"])
    )


def _code(answer: dict[str, Any] | None) -> str:
    """The error code in any of the four shapes (reference, section 9), without a suffix."""
    if answer is None:
        return ""
    error = answer.get("error", answer)
    found = error.get("code") or error.get("msg") if isinstance(error, dict) else error
    return str(found or "").split(":", 1)[0]


async def _pages(reader: Reader, path: str, query: str, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor = ""
    for _ in range(PAGES_MAX):
        answer = await get_object(reader, path, query + (f"&cursor={cursor}" if cursor else ""))
        rows += answer.get(name) or []
        cursor = answer.get("cursor") or ""
        if not cursor:
            return rows
    raise VenueError(f"kalshi GET {path}: more than {PAGES_MAX} pages")
