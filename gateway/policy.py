"""What the signer may sign: who asks, for what, at which price and size, how much is out already.

It trusts no client. Instruments, tokens and tick grids are read from the shared tables, amounts are
computed here. A signed order never expires, so its notional counts until the venue is known to have
used it up or the market's window has settled. Pure but for reads of the segment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gateway.eip712 import SALT_MAX
from gateway.order_amounts import amounts_e6
from shm_layout import (
    BODY,
    E6,
    INSTRUMENT,
    QUOTE,
    SIGN,
    ST_SETTLED,
    VENUES,
    Segment,
    cell,
    cells_to_uint256,
    slot_load,
    word_load,
)

SWEEP_MAX = 64  # tokens looked at in one sweep
ORDERS_HELD_MAX = 65_536
SIZE_MAX_E6 = 10**12  # a million shares
POLYMARKET = VENUES.index("polymarket")

_I = {name: cell(INSTRUMENT, name) for name in INSTRUMENT.names or ()}
_Q = {name: cell(QUOTE, name) for name in QUOTE.names or ()}

_ORDERS = "/trade-api/v2/portfolio/events/orders"
_GROUP = "/trade-api/v2/portfolio/order_groups/create"
_SOCKET = ("GET", "/trade-api/ws/v2")
_READS = (
    "portfolio/balance", "portfolio/positions", "portfolio/orders", "portfolio/orders/*",
    "portfolio/fills", "portfolio/settlements", "exchange/status", "exchange/user_data_timestamp",
    "account/limits", "account/endpoint_costs",
)  # fmt: skip

Token = tuple[int, int, int]  # instrument, generation, 0 YES or 1 NO


class Asked(NamedTuple):
    """The head of a SIGN request, in the record's order."""

    ticket: int
    what: int
    instrument: int
    generation: int
    side: int
    price_e6: int
    size_e6: int
    maker_e6: int
    taker_e6: int
    salt: int
    stamp_ms: int
    tick_epoch: int
    token: int
    method: int


assert list(Asked._fields) == list(SIGN.names or ())[: len(Asked._fields)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRights:
    """What one client may ask for, and how it is woken.

    A path that ends in `/*` allows one more plain word there. `bell_role` is the row of its bell
    (-1: it polls), `bell_fd` its eventfd (-1: it waits on the word).
    """

    name: str
    paths: tuple[tuple[str, str], ...] = ()
    may_order: bool = False
    may_l1: bool = False
    bell_role: int = -1
    bell_fd: int = -1

    def allows(self, method: str, path: str) -> bool:
        """True if this client may have headers for (method, path)."""
        if (method, path) in self.paths:
            return not path.endswith("*")
        stem, _, word = path.rpartition("/")
        is_plain = word.isascii() and word.replace("-", "").isalnum() and len(word) <= 64
        return is_plain and (method, stem + "/*") in self.paths


FEED_RIGHTS = ClientRights(name="feed", paths=(_SOCKET,))
CANCELLER_RIGHTS = ClientRights(name="canceller", paths=(("DELETE", _ORDERS),))
GATEWAY_RIGHTS = ClientRights(
    name="gateway",
    paths=(
        ("POST", _ORDERS), ("DELETE", _ORDERS + "/*"), ("POST", _GROUP), _SOCKET,
        *(("GET", f"/trade-api/v2/{name}") for name in _READS),
    ),
    may_order=True,
    may_l1=True,
)  # fmt: skip


def is_on_grid(price_e6: int, grid: list[int]) -> bool:
    """True if the price is a tick of one of up to three (end, step) ranges, ascending from 0."""
    start = 0
    for end, step in zip(grid[::2], grid[1::2], strict=True):
        if end <= start or step < 1:
            return False
        if start <= price_e6 <= end and (price_e6 - start) % step == 0:
            return True
        start = end
    return False


class Market(NamedTuple):
    """What signing needs of an instrument row. `exchange`: which contract (see OrderSigner)."""

    generation: int
    is_tradable: bool
    exchange: int
    tokens: tuple[int, int]


class Held:
    """Notional of orders that are signed and neither used up, nor gone with the memory of who
    asked for them, nor of a settled window.
    """

    def __init__(self) -> None:
        self.total_e6 = 0
        self.tokens: dict[Token, int] = {}
        self.orders: dict[int, tuple[Token, int, int]] = {}  # salt → (token, notional, ticket)

    def add(self, salt: int, token: Token, notional_e6: int, ticket: int) -> None:
        """Count one signed order. `ticket`: of its request."""
        self.orders[salt] = (token, notional_e6, ticket)
        self.tokens[token] = self.tokens.get(token, 0) + notional_e6
        self.total_e6 += notional_e6

    def spend(self, salt: int) -> bool:
        """The venue used it up. False: unknown."""
        found = self.orders.pop(salt, None)
        if found is None:
            return False
        token, notional_e6, _ = found
        self.tokens[token] -= notional_e6
        self.total_e6 -= notional_e6
        return True

    def forget(self, before: int) -> None:
        """What was asked for before this ticket is gone."""
        for salt in [salt for salt, (*_, ticket) in self.orders.items() if ticket < before]:
            self.spend(salt)

    def settle(self, token: Token) -> None:
        """The token's window is over: none of its orders can trade any more."""
        self.total_e6 -= self.tokens.pop(token)
        self.orders = {salt: held for salt, held in self.orders.items() if held[0] != token}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Most notional in 1e-6 pUSD: of one order, of all signed for one token, of all."""

    order_e6: int = 1_000 * E6
    token_e6: int = 50_000 * E6
    total_e6: int = 500_000 * E6

    def __post_init__(self) -> None:
        if not 0 < self.order_e6 <= self.token_e6 <= self.total_e6:
            raise ValueError(f"signer caps: found {self}, wanted 0 < order <= token <= total")


class OrderPolicy:
    """Judges order requests. `carried_e6`: what a predecessor signed and may still be out there,
    all of it asked for before the ticket `first`.
    """

    def __init__(
        self, segment: Segment, caps: Caps, *, carried_e6: int = 0, first: int = 0
    ) -> None:
        self._segment, self._words, self._caps = segment, segment.words, caps
        self._row = np.zeros(BODY, np.int64)
        self._markets: dict[int, tuple[int, Market]] = {}  # instrument → (slot sequence, row)
        self._count = segment.layout.blocks["instruments"].count
        self.held = Held()
        self._carried_e6, self._first = carried_e6, first
        self._carried = self._windows() if carried_e6 else set[tuple[int, int]]()
        self._sweep_from = 0

    @property
    def outstanding_e6(self) -> int:
        """Everything that counts against the total cap."""
        return self.held.total_e6 + self._carried_e6

    def judge(self, asked: Asked) -> tuple[str, Market | None]:
        """("", market) if it may be signed, else the name of what is wrong (REFUSALS)."""
        market = self.market(asked.instrument)
        if market is None or not market.is_tradable:
            return "instrument", None
        refused = self._wrong(market, asked) or self._off_grid(asked)
        if refused:
            return refused, None
        amounts = amounts_e6(asked.side, asked.price_e6, asked.size_e6)
        if amounts is None or amounts != (asked.maker_e6, asked.taker_e6):
            return "amount", None
        return self._over(asked), market

    def signed(self, asked: Asked) -> None:
        """Count an order that has been signed. A BUY can lose what it pays (makerAmount); a SELL
        is counted at a dollar a share (makerAmount too), the most its tokens can be worth."""
        token = (asked.instrument, asked.generation, asked.token)
        self.held.add(asked.salt, token, asked.maker_e6, asked.ticket)

    def forget(self, before: int) -> None:
        """What was asked for before this ticket went with its client, and is out there no more."""
        self.held.forget(before)
        if before >= self._first:
            self._carried_e6 = 0
            self._carried.clear()

    def _wrong(self, market: Market, asked: Asked) -> str:
        """The first field that is not legal by itself; "" if all are."""
        if asked.generation != market.generation:
            return "generation"
        if asked.token not in (0, 1):
            return "token"
        if asked.side not in (0, 1):
            return "side"
        if not 0 < asked.price_e6 < E6:
            return "price"
        if not 0 < asked.size_e6 <= SIZE_MAX_E6:
            return "size"
        if not 0 < asked.salt <= SALT_MAX or asked.salt in self.held.orders:
            return "salt"
        return ""

    def _off_grid(self, asked: Asked) -> str:
        """Price against the tick grid and size against the lot that the feed shows now."""
        at = self._segment.at("quotes", asked.instrument)
        if slot_load(self._words, at, self._row, BODY) <= 0:
            return "tick"
        row = self._row.tolist()
        if row[_Q["generation"]] != asked.generation or row[_Q["tick_epoch"]] != asked.tick_epoch:
            return "tick"
        # the grid is in YES terms; a NO token's price is its mirror
        yes_e6 = asked.price_e6 if asked.token == 0 else E6 - asked.price_e6
        if not is_on_grid(yes_e6, row[_Q["grid"] : _Q["grid"] + 6]):
            return "price"
        step = row[_Q["size_step_e6"]]
        return "" if step > 0 and asked.size_e6 % step == 0 else "size"

    def _over(self, asked: Asked) -> str:
        """Which cap this order would break; "" for none."""
        held, caps, notional_e6 = self.held, self._caps, asked.maker_e6
        token = (asked.instrument, asked.generation, asked.token)
        if notional_e6 > caps.order_e6:
            return "cap_order"
        if held.tokens.get(token, 0) + notional_e6 > caps.token_e6:
            return "cap_token"
        is_full = len(held.orders) >= ORDERS_HELD_MAX
        is_over = is_full or self.outstanding_e6 + notional_e6 > caps.total_e6
        return "cap_total" if is_over else ""

    def market(self, instrument: int) -> Market | None:
        """The supervisor's row, read again when its slot changed. None: there is none, or torn."""
        if not 0 <= instrument < self._count:
            return None
        at = self._segment.at("instruments", instrument)
        known = self._markets.get(instrument)
        if known is not None and word_load(self._words, at) == known[0]:
            return known[1]
        sequence = slot_load(self._words, at, self._row, BODY)
        if sequence <= 0:
            return None
        row = self._row.tolist()
        yes, no = (cells_to_uint256(row[_I[n] : _I[n] + 4]) for n in ("token_yes", "token_no"))
        is_ours = row[_I["index"]] == instrument and row[_I["venue"]] == POLYMARKET
        is_tradable = is_ours and row[_I["live"]] == 1 and yes != 0 and no != 0
        exchange = 2 if row[_I["domain"]] == 3 else 1 if row[_I["neg_risk"]] else 0
        market = Market(row[_I["generation"]], is_tradable, exchange, (yes, no))
        self._markets[instrument] = sequence, market
        return market

    def sweep(self) -> None:
        """Free what settled windows held, a bounded number of tokens each time."""
        tokens = list(self.held.tokens)
        start = self._sweep_from if self._sweep_from < len(tokens) else 0
        self._sweep_from = start + SWEEP_MAX
        for token in tokens[start : start + SWEEP_MAX]:
            if self._is_over(token[0], token[1]):
                self.held.settle(token)
        if self._carried_e6:
            self._carried = {window for window in self._carried if not self._is_over(*window)}
            if not self._carried:
                self._carried_e6 = 0

    def _windows(self) -> set[tuple[int, int]]:
        """(instrument, generation) of every Polymarket market there is now."""
        found = ((i, self.market(i)) for i in range(self._count))
        return {(i, market.generation) for i, market in found if market and market.is_tradable}

    def _is_over(self, instrument: int, generation: int) -> bool:
        """True once the market has settled or its place was given to another."""
        market = self.market(instrument)
        if market is not None and market.generation != generation:
            return True
        at = self._segment.at("quotes", instrument)
        if slot_load(self._words, at, self._row, BODY) <= 0:
            return False
        row = self._row.tolist()
        is_settled = row[_Q["status"]] == ST_SETTLED or row[_Q["settlement_e6"]] >= 0
        return row[_Q["generation"]] == generation and is_settled
