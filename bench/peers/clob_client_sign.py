"""py-clob-client-v2: an unsigned order to its signature, as its order builder does it."""

from __future__ import annotations

from typing import Any

import signing
from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ExchangeOrderBuilderV2
from py_clob_client_v2.order_utils.model.order_data_v2 import OrderV2
from py_clob_client_v2.signer import Signer


def make(told: dict[str, Any]) -> dict[str, signing.Job]:
    builder = ExchangeOrderBuilderV2(
        told["items"][0]["exchange_address"], 137, Signer(told["key"], 137)
    )

    def sign(item: dict[str, Any]) -> str:
        order = OrderV2(
            salt=str(item["salt"]), maker=item["maker"], signer=item["signer"],
            tokenId=item["token_id"], makerAmount=str(item["maker_amount"]),
            takerAmount=str(item["taker_amount"]), side=0, signatureType=item["signature_type"],
            timestamp=str(item["timestamp"]), metadata=item["metadata"], builder=item["builder"],
        )  # fmt: skip
        return builder.build_order_signature(builder.build_order_typed_data(order))

    return {"order": sign}


signing.serve(make)
