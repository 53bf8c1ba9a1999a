"""What the desk is handed: pure functions from the engine's room, the signer's client, the venue
files. Values only.

Prices and sizes of a *leg* are in YES terms. Prices and amounts of an *order* are in terms of the
token it trades (0 YES, 1 NO), because that is what the venue fills and charges.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from gateway.throttle import Budget
from shm_layout import Words

YES, NO = 0, 1


class VenueError(Exception):
    """Bytes of a venue that are not what the reference says. Says what was found and what was
    wanted.
    """


class Facts(NamedTuple):
    """The market facts of one quote that fees and sizes depend on (QUOTE cells of the same
    names).
    """

    rate_e6: int
    exponent: int
    fee_kind: int
    fee_unit_e6: int
    fee_mode: int
    size_min_e6: int
    size_step_e6: int
    notional_min_e6: int
    notional_step_e6: int
    grid: tuple[int, ...]
    taker_delay_ns: int = 0


class LastLook(Protocol):
    """One compiled call: judge the intent in the entry cells of the desk's memory, or take the next
    entry and judge it if it is an intent. 0 or an index of REASONS, else what was found
    (gateway/look.py).
    """

    def __call__(self, words: Words, memory: Words, now_ns: int, /) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lone:
    """What one leg holds that the other does not, and the book it could be given back to.

    `side` is that of the filled leg in YES terms, `price_e6` its average fill, `levels` the
    opposite side of its market, best first, as (price_e6, size_e6); `is_blind`: no book of it is to
    be trusted. `spent_e6`: lost by the tries so far, of which there were `attempt`.
    """

    side: int
    size_e6: int
    price_e6: int
    levels: tuple[tuple[int, int], ...]
    loss_cap_e6: int
    spent_e6: int
    attempt: int
    is_blind: bool
    facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """The leg that did not fill: its side in YES terms, and what its market shows to it."""

    side: int
    levels: tuple[tuple[int, int], ...]
    facts: Facts


class LonePlan(Protocol):
    """`action` "complete" (an order on the missing leg's market), "give_back" (on the filled leg's)
    or "halt" (none within the loss cap); side, size and limit of that order in YES terms, and the
    most it loses.
    """

    @property
    def action(self) -> str: ...
    @property
    def side(self) -> int: ...
    @property
    def size_e6(self) -> int: ...
    @property
    def limit_e6(self) -> int: ...
    @property
    def loss_e6(self) -> int: ...


class PlanLone(Protocol):
    """The next order about a lone leg, whichever loses less. `missing` None: giving back only."""

    def __call__(self, lone: Lone, missing: Missing | None) -> LonePlan: ...


class PooledOrder(Protocol):
    """A signed Polymarket order, used once: `body` is the whole JSON of POST /order. `made`: its
    requests for some seconds since the epoch, made ahead.
    """

    made: Sequence[tuple[int, Request]]

    @property
    def body(self) -> bytes: ...

    @property
    def hash(self) -> bytes: ...


class HeaderStock(Protocol):
    """The signer's client for Kalshi's headers (gateway/signing.py)."""

    def take_headers(
        self, method: str, path: str, now_ns: int, *, for_unwind: bool = False
    ) -> bytes | None:
        """Three header lines, each ending in CRLF, used once. None: no fresh set. Waits for
        nothing.
        """

    async def headers(self, method: str, path: str) -> dict[str, str]:
        """One set for a cold request. Raises OSError if the signer does not answer or refuses."""


class OrderPool(Protocol):
    """Orders signed ahead (gateway/pool.py)."""

    def spent(self, order_hash: bytes) -> None:
        """The venue has surely used it up."""

    def unsent(self, order_hash: bytes) -> None:
        """Taken and neither journaled nor sent: it may be taken again."""

    def likely(self, most: int) -> Sequence[PooledOrder]:
        """Some entries that may be wanted soon, others with each call."""

    @property
    def is_ready(self) -> bool:
        """What the books of now may ask for is signed, or asked for."""

    def take_order(
        self,
        instrument: int,
        token: int,
        side: int,
        price_e6: int,
        size_e6: int,
        tick_epoch: int,
        now_ns: int,
        generation: int | None = None,
    ) -> PooledOrder | None:
        """One entry, gone from the pool; None: not there (it is ordered). `generation`: of the
        market, for who knows it to be the present one."""


@dataclass(frozen=True, slots=True)
class Market:
    """An instrument as its venue knows it."""

    instrument: int
    generation: int
    venue: str
    account: int
    event: int
    ticker: str
    exchange_index: int
    condition: str
    token_yes: str
    token_no: str
    feed: int
    asset: int = 0
    is_live: bool = True  # False: its window is over, booked and forgotten
    index_slot: int = -1  # of what it settles on, and of what leads that; below 0: none
    spot_slot: int = -1
    rule: int = 0  # by which it settles, and the upper bound of a range; as its row has them
    cap_e8: int = 0


class Placing(NamedTuple):
    """A leg as its venue will see it: which token, bought or sold, at which price in that token's
    terms.
    """

    token: int
    side: int
    price_e6: int


class Request(NamedTuple):
    """Ready bytes of one order and the key that names it at the venue: the client's id, or
    `digest` in 0x hex (empty: the client's id).
    """

    key: str
    wire: bytes
    digest: bytes = b""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an answer, an order frame or a read says of one order. `event` is an order event
    (gateway/order.py).

    Amounts are of the whole order so far, in its token's terms; None where it does not tell (then
    the worst counts).
    `is_exact`: amounts are sums of fills, not averages.
    """

    event: int
    reason: int = 0
    filled_e6: int | None = None
    notional_e6: int | None = None
    fee_e6: int | None = None
    is_exact: bool = False
    venue_id: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of one order. `settled` is its place on the settled axis; `fee_e6` None: the venue
    does not tell. `venue_id`: its order's name there, where that is not `key`.
    """

    key: str
    trade: str
    size_e6: int
    notional_e6: int
    fee_e6: int | None
    settled: int
    venue_id: str = ""


@dataclass(frozen=True, slots=True)
class Update:
    """An order frame of a user channel: what it says of the order named `key`."""

    key: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Held:
    """What the venue says we hold in one instrument."""

    instrument: int
    yes_e6: int
    no_e6: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The venue has stopped our trading by itself (an order group was triggered)."""

    text: str


UserEvent = Fill | Update | Held | Stopped


@dataclass(frozen=True, slots=True)
class Sighting:
    """An open order or a fill of the account as its venue shows it: `name` is its own, `keys` every
    name its order goes by, `text` says all of it. `instrument` −1: a market we do not trade.
    """

    name: str
    keys: tuple[str, ...]
    text: str
    instrument: int = -1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The venue's answer to "what do we have": cash by account row, holdings, open orders."""

    cash_e6: dict[int, int]
    held: tuple[Held, ...]
    open: tuple[Sighting, ...]


class Reply(Protocol):
    """An HTTP answer. `error` is empty or says why there is none: then nothing is known."""

    status: int
    body: bytes
    error: str
    ack_ns: int
    headers: Mapping[str, str]


class Reader(Protocol):
    """The cold path of a venue's connections: one GET, answered or failed within the reply
    timeout.
    """

    async def get(self, path: str, query: str = "") -> Reply: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """An order whose outcome is asked for: never sent again, only read."""

    key: str
    venue_id: str
    market: Market
    token: int
    side: int
    sent_epoch_s: int


class Venue(Protocol):
    """A venue's file: pure maps between legs and bytes, and the reads it needs. No socket, no
    state of orders. `nets`: one signed position a market; `names_orders`: an order goes by our own
    id; `on_demand`: what is not signed yet is signed when asked for: ask again.
    """

    name: str
    nets: bool
    names_orders: bool
    on_demand: bool
    order_cost: int
    read_cost: int
    query_delay_ns: int

    def prepare(
        self, market: Market, placing: Placing, size_e6: int, order_id: str, tick_epoch: int,
        now_ns: int, urgent: bool,
    ) -> Request | None:  # fmt: skip
        """Ready bytes, or None: no signature at hand. Takes the signature: it is used, or `unsent`
        gives it back.

        `urgent`: an unwind, which may use what is kept for a dead signer.
        """

    @property
    def is_stocked(self) -> bool:
        """What must be signed ahead for orders at the prices of now is."""

    def tick(self) -> None:
        """Time passes: make ahead what the next second's orders share. Called every few ms."""

    def outcome(
        self, status: int, body: bytes, placing: Placing, size_e6: int, key: str
    ) -> Outcome:
        """What a reply means. Never raises: what is not understood is lost."""

    def events(self, frame: bytes, markets: Sequence[Market]) -> list[UserEvent]:
        """What a user-channel frame says. Raises VenueError."""

    def spent(self, key: str) -> None:
        """The order is done at the venue: its signature is worth nothing any more."""

    def unsent(self, key: str) -> None:
        """What `prepare` made was neither journaled nor sent: its signature may be used again."""

    async def snapshot(self, reader: Reader, markets: Sequence[Market]) -> Snapshot:
        """Cash, holdings and open orders. Raises VenueError."""

    async def fills(
        self, reader: Reader, markets: Sequence[Market], since_epoch_s: int
    ) -> list[Sighting]:
        """Every fill of the account since then (run time). Raises VenueError."""

    async def budget(self, reader: Reader) -> Budget | None:
        """Its token buckets as it reports them; None: it has no such read. Raises VenueError."""

    def orders_left(self, headers: Mapping[str, str]) -> int | None:
        """What an answer's headers say is left of the orders' bucket; None: nothing."""

    async def query(self, reader: Reader, query: Query) -> tuple[Outcome | None, list[Fill]]:
        """What the venue says of one order. (None, []): it does not know it. Raises VenueError."""

    async def stay_alive(
        self, send: Callable[[bytes], Awaitable[Reply]], markets: Sequence[Market], *, anew: bool
    ) -> int:
        """Arm or renew what cancels at the venue when we fall silent or run away; `anew`: also
        what stands. Ns until it must be called again; 0: not by itself. Raises VenueError.
        """

    async def read(self, path: str, query: str) -> bytes:
        """Ready bytes of a GET. Raises OSError if there is no signature."""

    def warm(self) -> bytes:
        """Ready bytes of a cheap GET without a signature that keeps a connection warm."""

    async def handshake(self) -> dict[str, str]:
        """Header lines of the user channel's handshake. Raises OSError if there is no signature."""

    def subscription(self, markets: Sequence[Market]) -> list[bytes]:
        """Text frames to send once the user channel is open."""
