"""Polymarket's signed reads that need several answers: pages, and what of many tokens is held."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from gateway.answers import get_object
from gateway.params import BURST
from gateway.ports import Held, Market, Reader, VenueError

PAGES_MAX = 20
END_CURSOR = "LTE="
ALL_MAX = 75  # markets of which every token is asked for
PAUSE_S = 0.1  # between two balances, once so many were asked for at once


async def balance(reader: Reader, query: str) -> int:
    """What is there of pUSD or of one token, in 1e-6. Raises VenueError."""
    answer = await get_object(reader, "/balance-allowance", query)
    found = str(answer.get("balance"))
    if not found.isascii() or not found.isdigit():
        raise VenueError(f"polymarket balance: found {found[:40]!r}, wanted 1e-6 units")
    return int(found)


async def holdings(reader: Reader, markets: Sequence[Market], kind: str) -> tuple[Held, ...]:
    """Both tokens of each market. Raises VenueError.

    The venue has no list of balances and a limit of 200 in 10 s (reference, section 10): of many
    markets only those that the account has traded in are asked for, the others count as empty. A
    token that came without a trade is then not ours to sell.
    """
    traded: set[object] | None = None
    if len(markets) > ALL_MAX:
        traded = {row.get("market") for row in await pages(reader, "/data/trades", "")}
    held, asked = [], 0
    for market in markets:
        amounts = [0, 0]
        if traded is None or market.condition in traded:
            for place, token in enumerate((market.token_yes, market.token_no)):
                asked += 1
                if asked > BURST:
                    await asyncio.sleep(PAUSE_S)
                query = f"asset_type=CONDITIONAL&token_id={token}&{kind}"
                amounts[place] = await balance(reader, query)
        held.append(Held(market.instrument, amounts[0], amounts[1]))
    return tuple(held)


async def pages(reader: Reader, path: str, query: str) -> list[dict[str, Any]]:
    """Every row of a list. Raises VenueError, also if it is too long."""
    rows: list[dict[str, Any]] = []
    cursor = "MA=="
    for _ in range(PAGES_MAX):
        joined = f"{query}&next_cursor={cursor}" if query else f"next_cursor={cursor}"
        answer = await get_object(reader, path, joined)
        rows += [row for row in answer.get("data") or () if isinstance(row, dict)]
        cursor = str(answer.get("next_cursor") or END_CURSOR)
        if cursor == END_CURSOR:
            return rows
    raise VenueError(f"polymarket GET {path}: more than {PAGES_MAX} pages")
