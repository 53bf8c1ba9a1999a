"""polymarket-client: an unsigned order to its signature, as its `_sign_order` does it."""

from __future__ import annotations

from typing import Any

import signing
from eth_account import Account
from polymarket._internal.actions.orders.typed_data import (
    build_order_signature,
    build_order_typed_data,
)
from polymarket._internal.actions.orders.types import UnsignedOrder


def make(told: dict[str, Any]) -> dict[str, signing.Job]:
    account = Account.from_key(told["key"])

    def sign(item: dict[str, Any]) -> str:
        order = UnsignedOrder(**item)
        signed = account.sign_typed_data(full_message=build_order_typed_data(order))
        return build_order_signature(order, "0x" + signed.signature.hex().removeprefix("0x"))

    return {"order": sign}


signing.serve(make)
