"""One market that the model may trade alone, moved by hand: a window of five minutes at Kalshi that
settles on the price at its close."""

from __future__ import annotations

from engine.detector import Detector
from engine.fair_rules import AT_LEAST, POINT, Rule
from shm_layout import E6, K_SPOT, NO_INSTRUMENT, SPOT
from tests.engine.world import KALSHI, MS, RUN_0, SECOND, World, detector_of, record

E8 = 10**8
COINBASE, SPOT_SLOT, INDEX_SLOT = 3, 0, 1
CLOSE = RUN_0 + 300 * SECOND
RULE = Rule(kind=POINT, compare=AT_LEAST)
SIGMA_E12 = 100_000_000  # a basis point a √second: 17 over the window
FREE = {"cap_e6": E6, "total_e6": E6, "cooldown_ns": 0, "orders_max": 10**6}
LAGS = ((590_000, 300 * E6),), ((600_000, 100 * E6), (610_000, 100 * E6), (700_000, 100 * E6))
RICH = ((900_000, 100 * E6),), ((910_000, 100 * E6),)
FAIR_BOOK = ((700_000, 100 * E6),), ((720_000, 100 * E6),)


def spot(world: World, dollars: float = 80_100, **fields: int) -> None:
    """A trade at Coinbase now."""
    world.numbers[-1] = world.numbers.get(-1, 0) + 1
    row = {"product": SPOT_SLOT, "number": world.numbers[-1], "epoch": world.epochs[COINBASE]}
    row |= {"event_epoch_ns": RUN_0 + world.now - 1_000 * SECOND, "recv_ns": world.now}
    row |= {"publish_ns": world.now, "last_e8": round(dollars * E8)}
    row |= fields
    body = record(SPOT, **row)
    world.segment.write("spot", row["product"], body)
    world.append(f"changes_{COINBASE}", K_SPOT, body)


def terms(world: World, instrument: int = 0, **fields: int) -> None:
    """What the model says of the market: strike, volatility, which price to use."""
    told = {"instrument": instrument, "strike_e8": 80_000 * E8, "close_epoch_ns": CLOSE,
            "spot_slot": SPOT_SLOT, "sigma_e12": SIGMA_E12, "basis_sd_e8": 0}  # fmt: skip
    world.market_terms(**(told | fields))


def rows_of(venue: int = KALSHI, **parameters: int) -> World:
    """Supervisor, feeds and cash; nothing on the feeds' rings yet."""
    world = World()
    place = {"settlement_rule": RULE.cell, "open_epoch_ns": RUN_0, "spot_slot": SPOT_SLOT}
    world.instrument(0, venue, index_slot=INDEX_SLOT, **place)
    world.pair(0, 0, NO_INSTRUMENT, needs_terms=1)
    world.strategies("model_edge", **FREE)
    world.parameters(**({"delay_max_ns": 500 * MS} | parameters))
    for feed in (venue, COINBASE):
        world.start_feed(feed)
    world.cash(venue, 10_000 * E6)
    return world


def one_market(venue: int = KALSHI, **parameters: int) -> tuple[World, Detector]:
    """Everything known, spot at 80,100 where 80,000 decides: YES is worth 0.74; no quote yet."""
    world = rows_of(venue, **parameters)
    detector = detector_of(world)
    terms(world)
    spot(world)
    return world, detector
