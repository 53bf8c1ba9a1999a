"""The body of POST /order at Polymarket, as the official client orders its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.signing import OrderFields
from shm_layout import BUY

if TYPE_CHECKING:
    from gateway.pool import PoolParams

ZERO_HEX = "0x" + "00" * 32


def post_body(
    order: OrderFields, token_id: int, signature: bytes, params: PoolParams, *,
    order_type: str = "FAK", expiration_s: int = 0, post_only: bool = False,
    builder: str = ZERO_HEX,
) -> bytes:  # fmt: skip
    """The compact JSON of POST /order, keys in the official client's order. The HMAC is over it."""
    side = "BUY" if order.side == BUY else "SELL"
    body = (
        f'{{"order":{{"salt":{order.salt},"maker":"{params.maker}","signer":"{params.signer}"'
        f',"tokenId":"{token_id}","makerAmount":"{order.maker_e6}"'
        f',"takerAmount":"{order.taker_e6}","side":"{side}","expiration":"{expiration_s}"'
        f',"signatureType":{params.signature_type},"timestamp":"{order.stamp_ms}"'
        f',"metadata":"{ZERO_HEX}","builder":"{builder}","signature":"0x{signature.hex()}"}}'
        f',"owner":"{params.owner}","orderType":"{order_type}","deferExec":false'
        f',"postOnly":{"true" if post_only else "false"}}}'
    ).encode()
    assert b"'" not in body, "one official client hashes ' as another byte: never send it"
    return body
