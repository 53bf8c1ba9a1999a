"""Who plays in the seeded world: markets, pairs, and how their makers quote.

Tickers, grids, fee rates and shards are those of the venues in autumn 2026; the markets themselves
are made up. None of these closes: every close lies a day after the beginning, and none holds takers
back (polymarket.md 8). Those of `world_windows.py` do close.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from ops.venues.kalshi_exchange import EASTERN
from ops.venues.script import MarketSpec, PairSpec

LINEAR_CENT = ((0, 1_000_000, 10_000),)
TAPERED_DECI_CENT = ((0, 100_000, 1_000), (100_000, 900_000, 10_000), (900_000, 1_000_000, 1_000))
DECI_CENT = ((0, 1_000_000, 1_000),)

BTC, ETH = "BTC-USD", "ETH-USD"
SPOT_E8 = {BTC: 90_000 * 10**8, ETH: 3_000 * 10**8}
PLAYS = 7  # of `cast` alone
_DAY_NS = 86_400 * 10**9
_SPORTS_SHARD, CRYPTO_SHARD = 3, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoting:
    """How the maker of one market quotes. Times in ms, prices and sizes in 1e-6."""

    lag_ms: int  # from a move of the fair value to the new quotes
    half_e6: int  # half of the spread aimed at
    levels: int  # a side
    spacing: int  # grid steps between levels
    size_e6: int  # about this much at the touch
    churn_ms: int  # mean time between size changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One pair: where its fair value comes from and who quotes it.

    `product` with `strike_bps` above the anchor of spot: a digital option; None: a walk around
    `home_e6`.
    """

    kalshi: MarketSpec
    polymarket: MarketSpec
    kalshi_quoting: Quoting
    polymarket_quoting: Quoting
    product: str | None = None
    strike_bps: int = 0
    home_e6: int = 500_000
    step_e6: int = 1_000  # of the walk, each `walk_ms`
    walk_ms: int = 250  # how often: what is quiet walks seldom
    same: bool = True  # False: YES on Kalshi is NO on Polymarket


_QUICK = Quoting(lag_ms=35, half_e6=7_000, levels=7, spacing=1, size_e6=220_000_000, churn_ms=80)
_SLOW = Quoting(lag_ms=90, half_e6=7_000, levels=6, spacing=1, size_e6=160_000_000, churn_ms=110)
_FINE = replace(_SLOW, half_e6=5_000, levels=8, spacing=4, churn_ms=120)
CALM = replace(_QUICK, lag_ms=60, churn_ms=350)
CALM_SLOW = replace(_SLOW, lag_ms=150, churn_ms=450)
_TAIL = replace(CALM, half_e6=2_500, levels=8, spacing=2, size_e6=500_000_000)
_TAIL_SLOW = replace(CALM_SLOW, half_e6=2_500, levels=8, spacing=2, size_e6=400_000_000)


def kalshi_ticker(series: str, close_epoch_s: int) -> str:
    """A 15-minute window's market: named by its close in US Eastern, summer time included
    (kalshi.md 15). In the hour that comes twice in November two windows have one name.
    """
    eastern = datetime.fromtimestamp(close_epoch_s, EASTERN)
    return f"{series}-{eastern.strftime('%y%b%d%H%M').upper()}-{eastern:%M}"


def _none(_stamp: str) -> tuple[Play, ...]:
    return ()


def cast(begin_epoch_ns: int, more: Callable[[str], Iterable[Play]] = _none) -> tuple[Play, ...]:
    """The plays of a world that begins then, and behind them those of `more` (asked for the day's
    name). The same whatever the seed."""
    close = datetime.fromtimestamp(begin_epoch_ns // 10**9, UTC) + timedelta(days=1)
    close = close.replace(minute=close.minute // 15 * 15, second=0)
    eastern = close.astimezone(EASTERN)
    stamp = eastern.strftime("%y%b%d").upper()
    plays = (*_crypto(eastern, stamp), *_others(close, stamp), *more(stamp))
    return tuple(_dated(play, begin_epoch_ns, close) for play in plays)


def _crypto(eastern: datetime, stamp: str) -> tuple[Play, ...]:
    return (
        Play(
            kalshi=kalshi_market(
                f"KXBTCD-{stamp}{eastern:%H}-T89999.99", "Bitcoin price today: $90,000 or above",
                TAPERED_DECI_CENT, CRYPTO_SHARD,
            ),
            polymarket=polymarket_market(
                "bitcoin-above-90000-on-tomorrow", "Bitcoin above $90,000?", 10_000, 70_000
            ),
            kalshi_quoting=_QUICK, polymarket_quoting=_SLOW, product=BTC, strike_bps=0,
        ),
        Play(
            kalshi=kalshi_market(
                f"KXBTCD-{stamp}{eastern:%H}-T89099.99", "Bitcoin price today: $89,100 or above",
                LINEAR_CENT, CRYPTO_SHARD,
            ),
            polymarket=polymarket_market(
                "bitcoin-above-89100-on-tomorrow", "Bitcoin above $89,100?", 10_000, 70_000
            ),
            kalshi_quoting=_QUICK, polymarket_quoting=_SLOW, product=BTC, strike_bps=-100,
        ),
        Play(
            kalshi=kalshi_market(
                f"KXBTCD-{stamp}{eastern:%H}-T92249.99", "Bitcoin price today: $92,250 or above",
                TAPERED_DECI_CENT, CRYPTO_SHARD,
            ),
            polymarket=polymarket_market(
                "bitcoin-above-92250-on-tomorrow", "Bitcoin above $92,250?", 1_000, 70_000
            ),
            kalshi_quoting=_QUICK, polymarket_quoting=_FINE, product=BTC, strike_bps=250,
        ),
        Play(
            kalshi=kalshi_market(
                f"KXETHD-{stamp}{eastern:%H}-T2999.99", "Ethereum price today: $3,000 or above",
                LINEAR_CENT, CRYPTO_SHARD,
            ),
            polymarket=polymarket_market(
                "ethereum-above-3000-on-tomorrow", "Ethereum above $3,000?", 10_000, 70_000
            ),
            kalshi_quoting=_QUICK, polymarket_quoting=_SLOW, product=ETH, strike_bps=0,
        ),
    )  # fmt: skip


def _others(close: datetime, stamp: str) -> tuple[Play, ...]:
    return (
        Play(
            kalshi=kalshi_market(
                f"KXNBAGAME-{stamp}DENLAL-DEN", "Denver at Los Angeles: Denver wins",
                LINEAR_CENT, _SPORTS_SHARD,
            ),
            polymarket=polymarket_market(
                f"nba-den-lal-{close:%Y-%m-%d}", "Nuggets vs. Lakers", 10_000, 50_000
            ),
            kalshi_quoting=CALM, polymarket_quoting=CALM_SLOW, home_e6=580_000,
        ),
        Play(
            kalshi=kalshi_market(
                "KXNBAMVP-27-LDON", "Luka Doncic NBA MVP 2026-27", TAPERED_DECI_CENT, 0
            ),
            polymarket=polymarket_market(
                "nba-mvp-2027-luka-doncic", "Luka Doncic NBA MVP 2026-27", 1_000, 50_000,
                neg_risk=True,
            ),
            kalshi_quoting=_TAIL, polymarket_quoting=_TAIL_SLOW, home_e6=64_000, step_e6=250,
        ),
        Play(
            kalshi=kalshi_market(
                "KXFEDDECISION-27JAN-H0", "Fed keeps its rate in January", LINEAR_CENT, 0
            ),
            polymarket=polymarket_market(
                "fed-no-change-january-2027", "No change in Fed interest rates in January 2027?",
                10_000, 40_000, neg_risk=True,
            ),
            kalshi_quoting=CALM, polymarket_quoting=CALM_SLOW, home_e6=330_000,
        ),
    )  # fmt: skip


def pair_of(play: Play) -> PairSpec:
    """The pair of one play."""
    return PairSpec(
        a_venue="kalshi",
        a_ticker=play.kalshi.ticker,
        b_venue="polymarket",
        b_ticker=play.polymarket.ticker,
        same=play.same,
        hurdle_e6=0,
    )


def opposed(play: Play) -> Play:
    """The same play with a Polymarket market that asks the other way round."""
    title = f"Not: {play.polymarket.title}"
    return replace(play, polymarket=replace(play.polymarket, title=title), same=False)


def kalshi_market(
    ticker: str, title: str, ranges: tuple[tuple[int, int, int], ...], shard: int, **more: Any
) -> MarketSpec:
    """A market of Kalshi; `more`: further fields of the spec."""
    return MarketSpec(
        venue="kalshi", ticker=ticker, title=title, event=ticker.rsplit("-", 1)[0],
        price_ranges=ranges, exchange_index=shard, fee_rate_e6=70_000, **more,
    )  # fmt: skip


def polymarket_market(
    slug: str,
    title: str,
    tick_e6: int,
    rate_e6: int,
    *,
    taker_delay_ns: int = 0,
    neg_risk: bool = False,
    **more: Any,
) -> MarketSpec:
    """A market of Polymarket, its ids made of the slug; `more`: further fields of the spec."""
    yes, no, condition = (sha256(f"{what} of {slug}".encode()) for what in ("yes", "no", "market"))
    return MarketSpec(
        venue="polymarket", ticker=slug, title=title, event=slug,
        condition_id="0x" + condition.hexdigest(),
        token_yes=str(int(yes.hexdigest(), 16)), token_no=str(int(no.hexdigest(), 16)),
        price_ranges=((0, 1_000_000, tick_e6),), size_min_e6=5_000_000, neg_risk=neg_risk,
        fee_kind="polymarket", fee_rate_e6=rate_e6, taker_delay_ns=taker_delay_ns,
        **more,
    )  # fmt: skip


def _dated(play: Play, begin_epoch_ns: int, close: datetime) -> Play:
    strike_e8 = None
    if play.product is not None:
        strike_e8 = SPOT_E8[play.product] * (10_000 + play.strike_bps) // 10_000
    close_epoch_ns = int(close.timestamp()) * 10**9

    def dated(spec: MarketSpec) -> MarketSpec:
        return replace(
            spec,
            event=play.kalshi.event,
            strike_e8=strike_e8,
            open_epoch_ns=begin_epoch_ns - _DAY_NS,
            close_epoch_ns=close_epoch_ns,
        )

    return replace(play, kalshi=dated(play.kalshi), polymarket=dated(play.polymarket))
