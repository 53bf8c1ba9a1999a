"""The official `polymarket-client` on the sockets: market, user and price channels, over TLS.

Runs under the client's own Python. It listens, sends one order, and stops once it has heard of it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from polymarket import AsyncSecureClient
from polymarket.errors import PolymarketError
from polymarket.streams import CryptoPriceSpec, CryptoTwapPriceSpec, MarketSpec, UserSpec
from simulated import environment
from witness import Witness, told


async def listen(
    witness: Witness, label: str, handle: Any, enough: asyncio.Event, wanted: frozenset[str]
) -> None:
    """Note every event; `enough` once each wanted kind has been heard."""
    missing = set(wanted)
    async for event in handle:
        witness.note(f"{label} {event.type}", event)
        missing -= {event.type, getattr(event.payload, "order_event_type", "")}
        if not missing:
            enough.set()


async def hear(witness: Witness, given: dict[str, Any]) -> None:
    client = await AsyncSecureClient.create(
        private_key=given["key"], wallet=given["wallet"], environment=environment(given)
    )
    tokens = given["tokens"]
    market = await client.subscribe(MarketSpec(asset_ids=tokens, custom_feature_enabled=True))
    user = await client.subscribe(UserSpec(markets=[given["condition"]]))
    coins = ["btcusd"]
    spot = await client.subscribe(CryptoPriceSpec(symbols=coins))
    mean = await client.subscribe(CryptoTwapPriceSpec(symbols=coins))
    handles = {"market": market, "user": user, "spot": spot, "mean": mean}
    all_heard = [asyncio.Event() for _ in handles]
    tasks = [
        asyncio.ensure_future(listen(witness, label, handle, enough, frozenset(given[label])))
        for (label, handle), enough in zip(handles.items(), all_heard, strict=True)
    ]
    try:
        async with asyncio.timeout(given["seconds"]):
            resting = await client.place_limit_order(
                token_id=tokens[0], price="0.40", size=10, side="BUY"
            )
            witness.note("GTC buy", resting)
            taken = await client.place_market_order(token_id=tokens[0], side="BUY", amount="5.20")
            witness.note("FAK buy", taken)
            witness.note("cancel_all", await client.cancel_all())
            await asyncio.gather(*(enough.wait() for enough in all_heard))
    except TimeoutError:
        witness.note("not heard in time", [not enough.is_set() for enough in all_heard])
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await client.close()


def main() -> None:
    witness = Witness(PolymarketError)
    asyncio.run(hear(witness, told()))
    witness.tell()


main()
