"""A posted order: its shape, its signature, its amounts. Error texts are the venue's own
(reference section 7).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.venues.numerals import ONE_E6, plain
from ops.venues.polymarket_market import NO, PolymarketMarket
from ops.venues.script import ASK, BID
from ops.venues.signatures import POLY_1271, order_hashes, order_signer

ORDER_TYPES = ("GTC", "GTD", "FAK", "FOK")
IMMEDIATE = ("FAK", "FOK")
MARKETABLE_MIN_E6 = 1_000_000
_NUMBERS = ("tokenId", "makerAmount", "takerAmount", "timestamp")
_WORDS = ("metadata", "builder")
_V1_ONLY = ("nonce", "feeRateBps", "taker")


class OrderError(Exception):
    """The order is refused: HTTP status, error text, and the order id where it is already known."""

    def __init__(self, text: str, *, status: int = 400, order_id: str = "", word: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.order_id = order_id
        self.word = word or text.split(",")[0][:48].replace(" ", "_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who may sign: the EOA of the API key (lower case), and for which maker addresses by signature
    type. `funder`: a wallet taken for types 1 to 3 whatever its address, "" has none. `is_new`:
    only deposit wallets may trade (venue rule since about May 2026).
    """

    address: str
    funder: str = ""
    is_new: bool = False
    wallets: Mapping[int, frozenset[str]] = field(default_factory=dict)

    def may(self, kind: int, maker: str) -> bool:
        """Whether orders of this type may name this maker."""
        if self.is_new and kind != POLY_1271:
            return False
        if kind == 0:
            return maker == self.address
        return maker in self.wallets.get(kind, ()) or maker == (self.funder or None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A well-formed, rightly signed order. `side` is the book's side in YES terms; amounts in
    1e-6.
    """

    order_id: str
    market: PolymarketMarket
    token: str
    outcome: int
    is_buy: bool
    maker: str
    maker_amount_e6: int
    taker_amount_e6: int
    order_type: str
    post_only: bool
    expiration_s: int
    owner: str = ""

    @property
    def outcome_name(self) -> str:
        return self.market.outcomes[self.outcome]

    @property
    def other_token(self) -> str:
        return self.market.tokens[1 - self.outcome]

    @property
    def side(self) -> int:
        return BID if self.is_buy == (self.outcome != NO) else ASK

    @property
    def is_no(self) -> bool:
        return self.outcome == NO

    @property
    def is_immediate(self) -> bool:
        return self.order_type in IMMEDIATE

    @property
    def shares_e6(self) -> int:
        return self.taker_amount_e6 if self.is_buy else self.maker_amount_e6

    @property
    def price_e6(self) -> int:
        """The limit in the token's own price: rounded against the order (down for a BUY)."""
        if self.is_buy:
            return self.maker_amount_e6 * ONE_E6 // self.taker_amount_e6
        return -(-self.taker_amount_e6 * ONE_E6 // self.maker_amount_e6)

    @property
    def limit_e6(self) -> int:
        """The limit as a YES price."""
        return ONE_E6 - self.price_e6 if self.is_no else self.price_e6


def read_fields(body: Any) -> dict[str, Any]:
    """The signed struct with integers and 32-byte words as values. Raises OrderError."""
    order = body.get("order") if isinstance(body, dict) else None
    if not isinstance(order, dict):
        raise OrderError("Invalid order payload")
    if "timestamp" not in order and any(name in order for name in _V1_ONLY):
        raise OrderError("order_version_mismatch")
    try:
        fields: dict[str, Any] = {
            "salt": _whole(str(order["salt"])),
            "maker": _address(order["maker"]),
            "signer": _address(order["signer"]),
            "side": {"BUY": 0, "SELL": 1}[order["side"]],
            "signatureType": {0: 0, 1: 1, 2: 2, 3: 3}[order["signatureType"]],
        }
        for name in _NUMBERS:
            fields[name] = _whole(order[name])
        for name in _WORDS:
            fields[name] = _hex(order[name], 32)
        fields["signature"] = _hex(order["signature"], None)
        fields["expiration"] = _whole(order.get("expiration", "0"))
    except (KeyError, TypeError, ValueError):
        raise OrderError("Invalid order payload") from None
    if not fields["makerAmount"] or not fields["takerAmount"]:
        raise OrderError("Invalid order payload")
    return fields


def _whole(text: object) -> int:
    if not isinstance(text, str) or not (text.isascii() and text.isdigit()) or len(text) > 78:
        raise ValueError("not a whole number in a string")
    value = int(text)
    if value >= 1 << 256:
        raise ValueError("does not fit 256 bits")
    return value


def _hex(text: object, size: int | None) -> bytes:
    if not isinstance(text, str) or not text.startswith("0x"):
        raise ValueError("not 0x hex")
    value = bytes.fromhex(text[2:])
    if size is not None and len(value) != size:
        raise ValueError(f"{len(value)} bytes, wanted {size}")
    return value


def _address(text: object) -> str:
    _hex(text, 20)
    assert isinstance(text, str)
    return text.lower()


def read_order(
    body: Any, markets: dict[str, PolymarketMarket], *, api_key: str, signer: Signer
) -> Posted:
    """Check shape, owner, signature and amounts of POST /order. `markets` by token. Raises
    OrderError.
    """
    fields = read_fields(body)
    order_type = body.get("orderType")
    if order_type not in ORDER_TYPES or (order_type in IMMEDIATE and body.get("postOnly") is True):
        raise OrderError("Invalid order payload")
    if body.get("owner") != api_key:
        raise OrderError("the order owner has to be the owner of the API KEY", word="owner")
    token = str(fields["tokenId"])
    market = markets.get(token)
    if market is None:
        raise OrderError(f"the orderbook {token} does not exist", status=404, word="no_orderbook")
    posted = Posted(
        order_id=_verified(fields, market, signer),
        market=market,
        token=token,
        outcome=market.outcome_of(token),
        is_buy=fields["side"] == 0,
        maker=fields["maker"],
        maker_amount_e6=fields["makerAmount"],
        taker_amount_e6=fields["takerAmount"],
        order_type=order_type,
        post_only=body.get("postOnly") is True,
        expiration_s=fields["expiration"],
        owner=api_key,
    )
    check_amounts(posted)
    check_price(posted)
    return posted


def _verified(fields: dict[str, Any], market: PolymarketMarket, signer: Signer) -> str:
    """The order id, if the right key signed it for the right wallet and exchange."""
    kind, maker = fields["signatureType"], fields["maker"]
    named = maker if kind == POLY_1271 else signer.address
    if fields["signer"] != named:
        text = "the order signer address has to be the address of the API KEY"
        raise OrderError(text, word="signer")
    if not signer.may(kind, maker):
        text = "maker address not allowed, please use the deposit wallet flow"
        raise OrderError(text, word="maker")
    neg_risk = market.spec.neg_risk
    hashes = order_hashes(fields, neg_risk=neg_risk)
    found = order_signer(fields, fields["signature"], neg_risk=neg_risk, hashes=hashes)
    if found != signer.address:
        raise OrderError("invalid signature")
    return "0x" + hashes[1].hex()


def _is_fine(value_e6: int, decimals: int) -> bool:
    unit_e6: int = 10 ** (6 - decimals)
    return value_e6 % unit_e6 == 0


def check_amounts(posted: Posted) -> None:
    """The precision rules: FAK and FOK 2 and 4 decimals, resting types as many as the tick
    allows.
    """
    money_e6 = posted.maker_amount_e6 if posted.is_buy else posted.taker_amount_e6
    side = "buy" if posted.is_buy else "sell"
    if posted.is_immediate:
        if not (_is_fine(posted.maker_amount_e6, 2) and _is_fine(posted.taker_amount_e6, 4)):
            raise OrderError(
                f"invalid amounts, the market {side} orders maker amount supports a max accuracy"
                " of 2 decimals, taker amount a max of 4 decimals"
            )
        return
    decimals = posted.market.amount_decimals
    if not (_is_fine(posted.shares_e6, 2) and _is_fine(money_e6, decimals)):
        first, second = (decimals, 2) if posted.is_buy else (2, decimals)
        raise OrderError(
            f"invalid amounts, the {side} orders maker amount supports a max accuracy of"
            f" {first} decimals, taker amount a max of {second} decimals"
        )
    if posted.shares_e6 < posted.market.spec.size_min_e6:
        low, size = plain(posted.market.spec.size_min_e6), plain(posted.shares_e6)
        text = f"order {posted.order_id} is invalid. Size ({size}) lower than the minimum: {low}"
        raise OrderError(text, word="min_size")


def check_price(posted: Posted) -> None:
    """The implied price is a multiple of the tick inside [tick, 1 - tick].

    FAK and FOK may miss it by what rounding the taker amount can cause; the exact ratio stays the
    limit, so a ratio a hair below the ask matches nothing.
    """
    tick_e6 = posted.market.tick_e6
    money_e6 = posted.maker_amount_e6 if posted.is_buy else posted.taker_amount_e6
    shares_e6 = posted.shares_e6
    nearest_e6 = (2 * money_e6 * ONE_E6 + shares_e6 * tick_e6) // (2 * shares_e6 * tick_e6)
    nearest_e6 *= tick_e6
    off = abs(money_e6 * ONE_E6 - nearest_e6 * shares_e6)
    slack = 0
    if posted.is_immediate:
        step_e6 = 10 ** (6 - min(4, posted.market.amount_decimals))
        slack = step_e6 * (nearest_e6 if posted.is_buy else ONE_E6)
    if off > slack or not tick_e6 <= nearest_e6 <= ONE_E6 - tick_e6:
        price = plain(money_e6 * ONE_E6 // shares_e6)
        text = f"order {posted.order_id} is invalid. Price ({price}) breaks minimum tick size rule:"
        raise OrderError(f"{text} {posted.market.tick}", word="tick")
