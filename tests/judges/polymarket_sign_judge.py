"""The official `polymarket-client` hashes and signs orders that it is told, as it does in a trade.

Runs under the client's own Python, in one process. Standard input: {"key", "orders"}; an order is
the fields of UnsignedOrder. Standard output: per order [hash, signature].
"""

from __future__ import annotations

import json
import sys
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from polymarket._internal.actions.orders import typed_data
from polymarket._internal.actions.orders.types import UnsignedOrder


def answer(account: Any, told: dict[str, Any]) -> list[str]:
    """The order's id and its signature, made by the client's own functions."""
    order = UnsignedOrder(**told)
    standard = typed_data._build_standard_typed_data(order, protocol_version=order.protocol_version)
    text = encode_typed_data(full_message=standard)
    digest = keccak(b"\x19" + text.version + text.header + text.body)
    signed = account.sign_typed_data(full_message=typed_data.build_order_typed_data(order))
    plain = "0x" + signed.signature.hex().removeprefix("0x")
    return ["0x" + digest.hex(), str(typed_data.build_order_signature(order, plain))]


def main() -> None:
    given: dict[str, Any] = json.load(sys.stdin)
    account = Account.from_key(given["key"])
    json.dump([answer(account, order) for order in given["orders"]], sys.stdout)


main()
