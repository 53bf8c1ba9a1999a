"""Compile every kernel of this room by calling it once, so that no process compiles on its way to
trading.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine import (
    accounts,
    basket,
    bet,
    cells,
    complement,
    composite,
    dead_zone,
    decide,
    delay,
    edge,
    fair,
    fees,
    flow,
    gather,
    had,
    house,
    intent,
    kernels,
    legs,
    look,
    market,
    memory,
    pricing,
    replay,
    risk,
    sizes,
    stakes,
    volatility,
    wide,
)
from engine.detector import Detector
from engine.model import Model
from engine.strategies import (
    certainty,
    convexity_fade,
    cross_timeframe,
    distance_fade,
    extreme_buyer,
    judge,
    latency,
    misalignment,
    model_edge,
    momentum,
    select,
    settlement_sniper,
    table,
    view,
)
from shm_layout import BODY, INSTRUMENTS_MAX, LAYOUT_HASH, LayoutError, Segment

KERNEL_HASHES: tuple[Callable[[], int], ...] = tuple(
    module.layout_hash
    for module in (
        wide,
        fees,
        sizes,
        edge,
        memory,
        cells,
        had,
        legs,
        market,
        accounts,
        risk,
        intent,
        look,
        house,
        stakes,
        bet,
        decide,
        kernels,
        flow,
        basket,
        complement,
        view,
        table,
        judge,
        distance_fade,
        momentum,
        settlement_sniper,
        latency,
        certainty,
        convexity_fade,
        misalignment,
        extreme_buyer,
        cross_timeframe,
        model_edge,
        select,
        fair,
        composite,
        volatility,
        dead_zone,
        delay,
        gather,
        pricing,
    )
)


def check_hashes() -> None:
    """Raises LayoutError if a kernel of this room was compiled for another layout."""
    for layout_hash in KERNEL_HASHES:
        if layout_hash() != LAYOUT_HASH:
            raise LayoutError(
                f"engine kernels: layout_hash: compiled for {layout_hash()}, wanted {LAYOUT_HASH}"
            )


def warm(segment: Segment) -> None:
    """Call what is called from Python on a private segment; inner kernels are compiled with their
    callers.
    """
    assert not segment.name, "warming writes: only on a private segment"
    check_hashes()
    detector = Detector(segment, 1, gateway_eventfd=-1)
    detector.step(1)
    detector.wait(0, 0)
    mem, row = memory.fresh(), np.zeros(BODY, np.int64)
    kernels.take_quotes(segment.words, mem, row, 0)
    kernels.write_taken(segment.words, mem, 0, row)
    kernels.after_lap(mem, 0, 0)
    kernels.apply_entry(mem, -1, 0, row)
    kernels.wake(mem)
    decide.decide_touched(segment.words, mem, row)
    fees.fee_e6(500_000, 1_000_000, 70_000, 1, 100, 0)
    fees.charged_as(0, 0, 1, 1, 0)
    sizes.legal_size_e6(1_000_000, 500_000, 10_000, 10_000, 10_000, 0)
    sizes.token_size_e6(1_000_000, 500_000, False, 10_000, 10_000, 10_000, 0)
    sizes.legal_limit(500_000, 0, 1_000_000, 10_000, 0, 0, 0, 0)
    detector.close()
    replay.replay(replay.Tape())
    pricing.price_market(mem, 0, np.zeros(pricing.OUT_CELLS))
    complement.refusal_of(mem, basket.fresh(), 0, 0, 0)
    _warm_models()
    model = Model(segment)
    model.step(1)
    model.close()


def _warm_models() -> None:
    """What `arb: model` calls: chances and volatilities are floats, counts and kinds are ints."""
    known = 1.0, 0.0, 0.0, 0, 0.0, 0, 0.0, 1.0, 0.01
    fair.fair_yes(1, 1, 0.0, 1, 1.0, 1e-4, 1.0, *known)
    fair.fair_before_start(1.0, 1e-4, 60.0, 300.0, 0.0, 0, 60, 0.0, 1.0, 0.01)
    fair.fair_e6(0.5, 0)
    fair.per_root_second(0.5)
    fair.widening(60.0)
    fair.digital(1.0, 1.0, 1e-4)
    fair.average_terms(1.0, 1e-4, 60.0, 0.0, 0, 60, 0.0)
    fair.near_extremes(0.5, 1.0, 1.0, 1.0, 1.0)
    fair.time_counted_twice(0.5, 1.0, True)
    fair.capped(0.5, 0.01)
    cells_e8 = np.ones(1, np.int64)
    composite.composite_e8(cells_e8, cells_e8, cells_e8, 1)
    prices, bar = np.ones(5), np.ones(4)
    returns = volatility.log_returns(prices)
    volatility.ewma_tick(np.full(3, np.nan), 1.0, 1.0, 10.0, 600.0)
    fair.coming_ticks(1.0, 0, 60)
    fair.effective_strike(1.0, 1, 0.0)
    edge.side_of_b(0, 1)
    dead_zone.dead_zone_e6(dead_zone.both_lose(0, True, 1.0, 1.0, 1, True, 1.0, 1.0))
    delay.delay_cost_e6(1.0, 1.0, delay.HEDGED)
    facts = np.zeros(INSTRUMENTS_MAX * gather.FACT_CELLS, np.int64)
    gather.keep_fact(facts, np.zeros(BODY, np.int64))
    volatility.ewma_step(0.0, 1e-4, 1.0, 300.0)
    volatility.blended(0.0, 0.0, 1.0, 300.0)
    volatility.annual(1e-9, 31_536_000.0)
    volatility.irregular(returns, bar)
    volatility.two_scales(returns, 4.0, 2)
    volatility.realised(returns)
    volatility.bipower(returns)
    volatility.median_of_three(returns)
    volatility.jump_share(returns)
    volatility.jump_bound(100, 0.01)
    volatility.yang_zhang(bar, bar, bar, bar)
