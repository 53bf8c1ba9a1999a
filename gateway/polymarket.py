"""Polymarket CLOB V2: legs to pooled FAK orders, answers and user frames to outcomes and fills.
Pure but for the reads.

A leg becomes one order, decided once from what is held before it (`place` of gateway/look.py): a
SELL sells the YES token if the whole size is held, else it buys NO at 1−p; a BUY sells the NO token
if the whole size is held, else it buys YES. Never split: an order per leg. Selling what is held
beats buying the other token: it frees cash at once, needs no merge on the chain, cannot overfill (a
FAK BUY spends a budget, so price improvement yields more shares than asked), and costs the same
fee.

Facts of the venue (reference, autumn 2026): the order id is the hash of the pool entry, known
before sending; an answer is an acceptance only if success is true, errorMsg empty, orderID there
and status one of live, matched, delayed; a refusal can come with HTTP 200; answers carry no fee
and the price of a trade row is rounded to the tick, so notional comes from its makers; a killed
FAK may send no frame at all.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson

from gateway.answers import object_of
from gateway.hmac_auth import ApiSecrets, L2Auth
from gateway.order import E_ACK, E_DELAY, E_FINISH, E_LOSE, E_REJECT, E_REST
from gateway.polymarket_post import Posts
from gateway.polymarket_reads import balance, holdings, pages
from gateway.polymarket_trades import amount, open_order, own_trade, trade_fills
from gateway.ports import (
    Fill,
    Market,
    OrderPool,
    Outcome,
    Placing,
    Query,
    Reader,
    Reply,
    Request,
    Sighting,
    Snapshot,
    Update,
    UserEvent,
    VenueError,
)
from gateway.throttle import Budget
from shm_layout import BUY, E6, reason

AHEAD = 16  # requests made ahead in a tick
HEARTBEAT = "/v1/heartbeats"
LEFT, NUMBER = "poly-ratelimit-remaining", re.compile(r"-?[0-9]{1,9}", re.ASCII)
REJECTED, RATE, UNKNOWN = reason("venue_rejected"), reason("limit_rate"), reason("unknown_outcome")
CASH, HALT, TICK = reason("cash"), reason("halted"), reason("tick")
NOTHING = reason("nothing_filled")

ACCEPTED: dict[str, int] = {"live": E_REST, "matched": E_FINISH, "delayed": E_DELAY}
STATUS: dict[int, tuple[int, int]] = {  # of a refusal; missing: lost
    200: (E_REJECT, REJECTED),
    400: (E_REJECT, REJECTED),
    401: (E_REJECT, REJECTED),
    403: (E_REJECT, REJECTED),
    404: (E_REJECT, REJECTED),
    425: (E_REJECT, HALT),
    429: (E_REJECT, RATE),
}
TEXTS: tuple[
    tuple[str, tuple[int, int]], ...
] = (  # of an error, first that is found; outweighs the status
    ("no orders found to match", (E_FINISH, 0)),
    ("fully filled or killed", (E_FINISH, 0)),
    ("there are no matching orders", (E_FINISH, 0)),
    ("Duplicated", (E_LOSE, UNKNOWN)),
    ("already exists", (E_LOSE, UNKNOWN)),
    ("delayed due to market conditions", (E_LOSE, UNKNOWN)),
    ("could not run the execution", (E_LOSE, UNKNOWN)),
    ("could not insert order", (E_LOSE, UNKNOWN)),
    ("not enough balance", (E_REJECT, CASH)),
    ("minimum tick size", (E_REJECT, TICK)),
    ("post-only mode", (E_REJECT, HALT)),
    ("cancel-only", (E_REJECT, HALT)),
    ("not yet ready to process", (E_REJECT, HALT)),
)
ORDER_STATES: dict[str, int] = {"LIVE": E_REST, "DELAYED": E_DELAY, "MATCHED": E_ACK}


class PolymarketVenue:
    """The venue's file: one per gateway. `wall_s` is the machine's wall clock in seconds, for the
    HMAC's stamp.
    """

    name = "polymarket"
    nets = False
    names_orders = False  # by the hash of the pool entry
    on_demand = True  # an order that is not in the pool is signed when asked for: ask again
    order_cost = 1
    read_cost = 0
    query_delay_ns = 1_000_000_000

    def __init__(
        self,
        pool: OrderPool,
        host: str,
        secrets: ApiSecrets,
        *,
        signature_type: int,
        wall_s: Callable[[], int],
        heartbeat_ns: int = 0,
    ) -> None:
        """`heartbeat_ns`: from one heartbeat to the next (reference, section 9: 10 s without one
        cancel every order of the key); 0: none.
        """
        self._pool = pool
        self._heartbeat_ns, self._beat_id = heartbeat_ns, ""
        self._l2 = L2Auth(secrets)
        self._posts = Posts(self._l2, host)
        self._host = host.encode()
        self._secrets = secrets
        self._signature_type = signature_type
        self._wall_s = wall_s
        self._warm = f"GET /time HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()

    def prepare(
        self, market: Market, placing: Placing, size_e6: int, order_id: str, tick_epoch: int,
        now_ns: int, urgent: bool,
    ) -> Request | None:  # fmt: skip
        """A pool entry and its HMAC, made now if not a moment ago. The key is the entry's hash,
        whatever `order_id` is.
        """
        token, side, price_e6 = placing
        entry = self._pool.take_order(
            market.instrument, token, side, price_e6, size_e6, tick_epoch, now_ns,
            market.generation,
        )  # fmt: skip
        return None if entry is None else self._posts.request(entry, self._wall_s())

    @property
    def is_stocked(self) -> bool:
        """The pool has what the books may ask for."""
        return self._pool.is_ready

    def tick(self) -> None:
        """What the touches may ask for is made ahead, some in each turn."""
        epoch_s = self._wall_s()
        self._posts.begin(epoch_s)
        for entry in self._pool.likely(AHEAD):
            self._posts.make_ahead(entry, epoch_s)

    def outcome(
        self, status: int, body: bytes, placing: Placing, size_e6: int, key: str
    ) -> Outcome:
        """What an answer to POST /order means."""
        answer = object_of(body)
        if answer is None:
            event, why = (
                STATUS.get(status, (E_LOSE, UNKNOWN)) if status != 200 else (E_LOSE, UNKNOWN)
            )
            return Outcome(event, why, text=f"{status} without an object")
        text = str(answer.get("errorMsg") or answer.get("error") or "")
        if answer.get("code") == "post_only_mode":
            return Outcome(E_REJECT, HALT, text=text[:200])
        if status == 200 and answer.get("success") is True and not text:
            return _accepted(answer, placing, size_e6, key)
        event, why = STATUS.get(status, (E_LOSE, UNKNOWN))
        if status == 200 and not text and answer.get("success") is not False:
            event, why = E_LOSE, UNKNOWN  # neither accepted nor refused in words
        for part, meaning in TEXTS:
            if part in text:
                event, why = meaning
                break
        filled_e6 = 0 if event == E_FINISH else None
        said = f"{status} {text}"[:200]
        return Outcome(event, why, filled_e6, filled_e6, filled_e6, event == E_FINISH, text=said)

    def spent(self, key: str) -> None:
        """Filled or killed: it counts no more at the signer."""
        self._pool.spent(bytes.fromhex(key[2:]))

    def unsent(self, key: str) -> None:
        """The entry goes back: it counts at the signer until it is sent and used up."""
        self._pool.unsent(bytes.fromhex(key[2:]))

    def events(self, frame: bytes, markets: Sequence[Market]) -> list[UserEvent]:
        """One user frame, an object or an array of them. Text PONG and other types say nothing."""
        if frame in (b"PONG", b"NO NEW ASSETS", b""):
            return []
        try:
            found = orjson.loads(frame)
        except orjson.JSONDecodeError as error:
            raise VenueError(f"polymarket frame: found {frame[:80]!r}, wanted JSON") from error
        events: list[UserEvent] = []
        for row in found if isinstance(found, list) else [found]:
            if not isinstance(row, dict):
                raise VenueError(f"polymarket frame: found {str(row)[:80]}, wanted an object")
            if row.get("event_type") == "trade":
                events += trade_fills(row)
            elif row.get("event_type") == "order":
                events.append(Update(str(row.get("id") or ""), _order_frame(row)))
        return events

    async def stay_alive(
        self, send: Callable[[bytes], Awaitable[Reply]], markets: Sequence[Market], *, anew: bool
    ) -> int:
        """One heartbeat. It names the id last received; who names another is told the right one,
        and that did not count, so it is said again at once, once.
        """
        if not self._heartbeat_ns:
            return 0
        for _ in range(2):
            body = orjson.dumps({"heartbeat_id": self._beat_id})
            lines = self._l2.header_bytes("POST", HEARTBEAT, body, self._wall_s())
            reply = await send(
                b"POST %b HTTP/1.1\r\nHost: %b\r\n%bContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b"
                % (HEARTBEAT.encode(), self._host, lines, len(body), body)
            )
            found = str((object_of(reply.body) or {}).get("heartbeat_id") or "")
            self._beat_id = found or self._beat_id
            if not reply.error and reply.status == 200 and found:
                return self._heartbeat_ns
            if reply.status != 400:
                break
        said = reply.error or f"{reply.status} {reply.body[:80]!r}"
        raise VenueError(f"polymarket POST {HEARTBEAT}: found {said}, wanted 200 with an id")

    async def read(self, path: str, query: str) -> bytes:
        """A GET with fresh L2 headers; the HMAC leaves the query out."""
        headers = self._l2.header_bytes("GET", path, b"", self._wall_s())
        target = (path + ("?" + query if query else "")).encode()
        return b"GET %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (target, self._host, headers)

    def warm(self) -> bytes:
        """GET /time: public."""
        return self._warm

    async def handshake(self) -> dict[str, str]:
        """No header: the first frame authenticates."""
        return {}

    def subscription(self, markets: Sequence[Market]) -> list[bytes]:
        """The whole account."""
        auth = {
            "apiKey": self._secrets.api_key,
            "secret": self._secrets.secret,
            "passphrase": self._secrets.passphrase,
        }
        return [orjson.dumps({"auth": auth, "type": "user"})]

    async def snapshot(self, reader: Reader, markets: Sequence[Market]) -> Snapshot:
        """pUSD, both tokens of every market, open orders."""
        kind = f"signature_type={self._signature_type}"
        cash_e6 = await balance(reader, f"asset_type=COLLATERAL&{kind}")
        held = await holdings(reader, markets, kind)
        rows = await pages(reader, "/data/orders", "")
        seen = tuple(open_order(row, markets) for row in rows)
        return Snapshot({market.account: cash_e6 for market in markets}, held, seen)

    async def fills(
        self, reader: Reader, markets: Sequence[Market], since_epoch_s: int
    ) -> list[Sighting]:
        """GET /data/trades."""
        rows = await pages(reader, "/data/trades", f"after={since_epoch_s}")
        return [own_trade(row, markets, self._secrets.api_key) for row in rows]

    async def budget(self, reader: Reader) -> Budget | None:
        """No read tells; answers to orders do."""
        return None

    def orders_left(self, headers: Mapping[str, str]) -> int | None:
        """`Poly-RateLimit-Remaining`, which may be below nothing (reference, section 10)."""
        told = headers.get(LEFT, "")
        return int(told) if NUMBER.fullmatch(told) else None

    async def query(self, reader: Reader, query: Query) -> tuple[Outcome | None, list[Fill]]:
        """The order by its hash (404: not open), and its trades since it was sent."""
        since = f"market={query.market.condition}&after={query.sent_epoch_s - 5}"
        reply = await reader.get(f"/data/order/{query.key}")
        rows = await pages(reader, "/data/trades", since)
        fills = [fill for row in rows for fill in trade_fills(row) if fill.key == query.key]
        if reply.error or reply.status not in (200, 404):
            found = reply.error or str(reply.status)
            raise VenueError(f"polymarket GET /data/order: found {found}, wanted 200 or 404")
        row = object_of(reply.body) if reply.status == 200 else None
        if row and (row.get("id") or row.get("status")):
            return _order_frame(row), fills
        if fills:
            return Outcome(E_FINISH), fills
        return None, []


def _accepted(answer: dict[str, Any], placing: Placing, size_e6: int, key: str) -> Outcome:
    """success and no error: still an order only with our id, a known status and amounts that can
    be.
    """
    order_id, word = str(answer.get("orderID") or ""), str(answer.get("status") or "").lower()
    event = ACCEPTED.get(word)
    if event is None or order_id.lower() != key:
        text = f"200 with order {order_id[:70]!r}, status {word[:20]!r}"
        return Outcome(E_LOSE, UNKNOWN, text=text)
    making, taking = answer.get("makingAmount") or "", answer.get("takingAmount") or ""
    if event != E_FINISH:
        return Outcome(event, venue_id=order_id)
    try:
        making_e6, taking_e6 = amount(making), amount(taking)
    except VenueError as error:
        return Outcome(E_LOSE, UNKNOWN, venue_id=order_id, text=str(error)[:200])
    buys = placing.side == BUY
    notional_e6, filled_e6 = (making_e6, taking_e6) if buys else (taking_e6, making_e6)
    budget_e6 = -(-placing.price_e6 * size_e6 // E6)
    fits = notional_e6 <= budget_e6 if buys else filled_e6 <= size_e6
    if not fits or not 0 < notional_e6 < filled_e6:
        text = f"200 matched {making!r} for {taking!r} of {size_e6}e-6 at {placing.price_e6}e-6"
        return Outcome(E_LOSE, UNKNOWN, venue_id=order_id, text=text[:200])
    return Outcome(event, 0, filled_e6, notional_e6, None, True, order_id)


def _order_frame(row: dict[str, Any]) -> Outcome:
    """An order as the channel or a read shows it: its matched size, no amounts. Fields may be
    empty on kills.

    MATCHED is said of an order that is over, filled whole or not (nautilus_trader issue 4787,
    2026-08; the venue rounds, issue 3728), and what a FAK leaves is dead: with a size it is the
    last word. Takers may hear of their trades only, so the trades are asked for as well.
    """
    word = str(row.get("status") or "").upper().removeprefix("ORDER_STATUS_")
    ended = (
        word.startswith(("CANCELED", "UNMATCHED", "INVALID")) or row.get("type") == "CANCELLATION"
    )
    matched = row.get("size_matched")
    filled_e6 = amount(matched) if matched else None
    event = E_FINISH if ended else ORDER_STATES.get(word, E_LOSE)
    if word == "MATCHED" and filled_e6:
        event = E_FINISH
    return Outcome(event, 0, filled_e6, venue_id=str(row.get("id") or ""), text=word[:200])
