"""nautilus_trader's Polymarket adapter in its own live node: market data, one order, its fill.

Runs under the client's own Python (3.12). HTTPS with the authority of SSL_CERT_FILE; its sockets
take no such authority, so they are plain. Gamma's address is read from the environment when the
adapter is imported.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from witness import Witness, told

GIVEN = told()
AROUND = f"https://127.0.0.1:{GIVEN['around']}"  # every HTTP host but the CLOB
os.environ["GAMMA_API_URL"] = AROUND

from nautilus_trader.adapters.polymarket import (  # noqa: E402
    POLYMARKET,
    PolymarketDataClientConfig,
    PolymarketExecClientConfig,
    PolymarketLiveDataClientFactory,
    PolymarketLiveExecClientFactory,
    get_polymarket_instrument_id,
)
from nautilus_trader.adapters.polymarket.providers import (  # noqa: E402
    PolymarketInstrumentProviderConfig,
)
from nautilus_trader.config import (  # noqa: E402
    LiveExecEngineConfig,
    LoggingConfig,
    TradingNodeConfig,
)
from nautilus_trader.live.node import TradingNode  # noqa: E402
from nautilus_trader.model.enums import BookType, OrderSide, TimeInForce  # noqa: E402
from nautilus_trader.trading.strategy import Strategy  # noqa: E402


class Judge(Strategy):
    """Listens to one instrument, sends one order once there is a book, notes all it hears."""

    def __init__(self, witness: Witness, instrument_id: Any, done: asyncio.Event) -> None:
        super().__init__()
        self.witness = witness
        self.instrument_id = instrument_id
        self.started, self.done = asyncio.Event(), done
        self.order: Any = None
        self.is_filled = False
        self.deltas: int = GIVEN["deltas"]  # to be heard before it is done
        self.heard = {"deltas": 0, "quotes": 0, "trades": 0}

    def on_start(self) -> None:
        instrument = self.cache.instrument(self.instrument_id)
        self.witness.note("instrument", instrument.to_dict(instrument))
        self.subscribe_order_book_deltas(self.instrument_id, book_type=BookType.L2_MBP)
        self.subscribe_quote_ticks(self.instrument_id)
        self.subscribe_trade_ticks(self.instrument_id)
        self.started.set()

    def on_order_book_deltas(self, deltas: Any) -> None:
        self.heard["deltas"] += 1
        book = self.cache.order_book(self.instrument_id)
        levels = {
            name: [[str(level.price), str(level.size())] for level in side]
            for name, side in (("bids", book.bids()), ("asks", book.asks()))
        }
        self.witness.note("book", levels)
        if self.order is None and levels["asks"]:
            self._send()
        self._look()

    def _send(self) -> None:
        instrument = self.cache.instrument(self.instrument_id)
        self.order = self.order_factory.limit(
            instrument_id=self.instrument_id,
            order_side=OrderSide.BUY,
            quantity=instrument.make_qty(10),
            price=instrument.make_price(0.52),
            time_in_force=TimeInForce.GTC,
        )
        self.submit_order(self.order)

    def on_quote_tick(self, tick: Any) -> None:
        self.heard["quotes"] += 1
        names = ("bid_price", "ask_price", "bid_size", "ask_size")
        self.witness.note("quote", {name: str(getattr(tick, name)) for name in names})
        self._look()

    def on_trade_tick(self, tick: Any) -> None:
        self.heard["trades"] += 1
        told = {"price": str(tick.price), "size": str(tick.size), "id": str(tick.trade_id)}
        self.witness.note("trade", told)
        self._look()

    def on_order_event(self, event: Any) -> None:
        self.witness.note(type(event).__name__, type(event).to_dict(event))
        if type(event).__name__ in ("OrderRejected", "OrderDenied"):
            self.done.set()

    def on_order_filled(self, event: Any) -> None:
        self.is_filled = True
        self.deltas = max(self.deltas, self.heard["deltas"] + 4)  # what it left comes on its own
        self._look()

    def _look(self) -> None:
        """Done once the script's last event, a trade, and the fill have been heard."""
        if self.is_filled and self.heard["trades"] and self.heard["deltas"] >= self.deltas:
            self.done.set()


def node_config(provider: PolymarketInstrumentProviderConfig) -> TradingNodeConfig:
    """One data and one execution client at the told addresses."""
    common: dict[str, Any] = {
        "instrument_config": provider,
        "private_key": GIVEN["key"],
        "funder": GIVEN["wallet"],
        "api_key": GIVEN["credentials"]["api_key"],
        "api_secret": GIVEN["credentials"]["secret"],
        "passphrase": GIVEN["credentials"]["passphrase"],
        "base_url_http": f"https://127.0.0.1:{GIVEN['rest']}",
        "base_url_ws": f"ws://127.0.0.1:{GIVEN['ws']}/ws/",
    }
    data = PolymarketDataClientConfig(**common, ws_connection_initial_delay_secs=0.2)
    trade = PolymarketExecClientConfig(**common, base_url_data_api=AROUND)
    return TradingNodeConfig(
        trader_id="JUDGE-001",
        logging=LoggingConfig(log_level=GIVEN.get("log", "OFF")),
        exec_engine=LiveExecEngineConfig(reconciliation=True),
        data_clients={POLYMARKET: data},
        exec_clients={POLYMARKET: trade},
        timeout_connection=60.0,
        timeout_disconnection=5.0,
        timeout_post_stop=0.5,
    )


async def hear(node: TradingNode, started: asyncio.Event, done: asyncio.Event) -> None:
    """Run the node until the strategy is done; starting it does not count."""
    running = asyncio.ensure_future(node.run_async())
    try:
        await asyncio.wait_for(started.wait(), 150)
        await asyncio.wait_for(done.wait(), GIVEN["seconds"])
    except TimeoutError:
        pass  # the list of what was heard shows what was not
    finally:
        await node.stop_async()
        await asyncio.wait_for(running, 60)


def main() -> None:
    witness = Witness()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    ours = get_polymarket_instrument_id(GIVEN["condition"], GIVEN["tokens"][0])
    provider = PolymarketInstrumentProviderConfig(load_ids=frozenset([ours]))
    node = TradingNode(config=node_config(provider), loop=loop)
    node.add_data_client_factory(POLYMARKET, PolymarketLiveDataClientFactory)
    node.add_exec_client_factory(POLYMARKET, PolymarketLiveExecClientFactory)
    done = asyncio.Event()
    judge = Judge(witness, ours, done)
    node.trader.add_strategy(judge)
    node.build()
    loop.run_until_complete(hear(node, judge.started, done))
    account = node.cache.account_for_venue(ours.venue)
    witness.note("account", {str(k): str(v) for k, v in account.balances_total().items()})
    positions = [position.to_dict() for position in node.cache.positions()]
    witness.note("positions", positions)
    witness.note("heard", judge.heard)
    node.dispose()
    witness.tell()


main()
