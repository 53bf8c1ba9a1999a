"""What both official Polymarket clients must find, whatever they call it; and their wallets."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from ops.venues.tls import TlsPaths
from tests.judges import hearing
from tests.judges.hearing import (
    CONDITION,
    NEG_CONDITION,
    NEG_TOKENS,
    POSITIONS,
    TOKENS,
    Heard,
    hear,
)
from tests.ops.venues import rig

MINED_NS = 200_000_000
EXCHANGES = {
    "0xE111180000d2663C0091e4f400237545B87B996B",
    "0xe2222d279d744050d28e00520010520000310F59",
}


class Wallet(NamedTuple):
    """A wallet of the key `rig.POLY_KEY` and its signature type."""

    name: str
    type: int
    address: str


# CREATE2 addresses as the official client derives them for the published test key.
WALLETS = (
    Wallet("EOA", 0, rig.POLY_ADDRESS),
    Wallet("POLY_PROXY", 1, "0x365f0CA36Ae1f641E02fE3B7743673da42A13A70"),
    Wallet("GNOSIS_SAFE", 2, "0xd93B25cb943D14d0d34FBaF01Fc93a0f8b5F6E47"),
    Wallet("DEPOSIT_WALLET", 3, "0xBc0fF067b7740Eff76C1ca93c875Ba6B890d6B50"),
)
EOA = WALLETS[0]


def run(
    client: str,
    python: Path,
    file: str,
    tls: TlsPaths,
    *,
    wallet: Wallet = EOA,
    short: bool = False,
    more: dict[str, Any] | None = None,
    **options: Any,
) -> Heard:
    """One client's script, for one wallet. `more`: what else it is told."""
    given = {
        "key": rig.POLY_KEY,
        "wallet": wallet.address,
        "type": wallet.type,
        "tokens": TOKENS,
        "neg_tokens": NEG_TOKENS,
        "positions": POSITIONS,
        "condition": CONDITION,
        "neg_condition": NEG_CONDITION,
        "slug": "will-a-happen",
        "short": short,
        **(more or {}),
    }
    if wallet.type:
        accounts = rig.accounts(rig.KalshiKey(), polymarket_funder=wallet.address)
        options.setdefault("accounts", accounts)
    options.setdefault("polymarket_mined_ns", MINED_NS)
    return hear(client, python, file, tls, venue="polymarket", given=given, **options)


def rows(levels: tuple[tuple[int, int], ...]) -> list[tuple[Decimal, Decimal]]:
    """Levels of the script as decimals, worst first."""
    return [(Decimal(price) / 10**6, Decimal(size) / 10**6) for price, size in reversed(levels)]


def book_of(answer: Any) -> tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]:
    """(bids, asks) of a client's book in the order it came."""

    def side(name: str) -> list[tuple[Decimal, Decimal]]:
        return [(Decimal(one["price"]), Decimal(one["size"])) for one in answer[name]]

    return side("bids"), side("asks")


def mirrored(levels: list[tuple[Decimal, Decimal]]) -> list[tuple[Decimal, Decimal]]:
    """The other token's side of the same book."""
    return [(1 - price, size) for price, size in levels]


def check_books(heard: Heard) -> None:
    """Both tokens show one book, each side worst first, as the script set it."""
    bids, asks = rows(hearing.BIDS), rows(hearing.ASKS)
    yes = heard.answer("get_order_book yes")
    assert book_of(yes) == (bids, asks)
    assert book_of(heard.answer("get_order_book no")) == (mirrored(asks), mirrored(bids))
    assert Decimal(yes["min_order_size"]) == 5 and Decimal(yes["tick_size"]) == Decimal("0.01")
    assert yes["neg_risk"] is False


def e6(value: Any) -> int:
    return int(value)


def spent_e6(heard: Heard) -> tuple[int, int]:
    """(pUSD, shares) that left and came between the first and the last balance, in 1e-6."""
    money = [e6(heard.answer(f"collateral {when}")["balance"]) for when in ("before", "after")]
    shares = [e6(heard.answer(f"shares {when}")["balance"]) for when in ("before", "after")]
    return money[0] - money[1], shares[1] - shares[0]


def fee_e6(shares: str, price: str, rate: str = "0.07") -> int:
    """A taker's fee, cut to 1e-5 (reference: settled trades of 2026)."""
    raw = Decimal(shares) * Decimal(rate) * Decimal(price) * (1 - Decimal(price))
    return int(raw * 10**5) * 10
