"""The many quiet markets beside those of `world_cast.py`, for a world of a venue's size.

Events of ten outcomes each, one market an outcome on both venues. Activity is unequal, as it is at
the venues: a tenth of the markets moves every second, more than half of them four times a minute.
Names are made up; none of these follows spot, so a trade there costs the same in any world.
"""

from __future__ import annotations

from dataclasses import replace

from ops.venues.world_cast import (
    CALM,
    CALM_SLOW,
    DECI_CENT,
    LINEAR_CENT,
    TAPERED_DECI_CENT,
    Play,
    kalshi_market,
    polymarket_market,
)

OUTCOMES = 10  # markets of one event
_TOPICS = (  # Kalshi's series, what is asked, the shard
    ("KXHIGHNY", "Highest temperature in New York", 0),
    ("KXRAINLA", "Rain in Los Angeles", 0),
    ("KXNFLGAME", "Points of the winner", 3),
    ("KXEPLGAME", "Goals in the match", 3),
    ("KXCPIYOY", "Inflation this month", 0),
    ("KXJOBLESS", "Jobless claims this week", 0),
    ("KXGASW", "Petrol price this week", 0),
    ("KXTOPSONG", "Song of the week", 0),
    ("KXATPMATCH", "Games in the match", 3),
    ("KXSENATE", "Votes for the bill", 0),
)
_WALK_MS = 4_000
_STEP_E6 = 2_000
_TAIL_E6 = 100_000  # below it Polymarket's tick is a tenth of a cent


def crowd(count: int, stamp: str) -> tuple[Play, ...]:
    """`count` plays of the day named `stamp`. The same whatever the seed."""
    return tuple(_play(number, stamp) for number in range(count))


def _play(number: int, stamp: str) -> Play:
    event, outcome = divmod(number, OUTCOMES)
    group, topic = divmod(event, len(_TOPICS))
    series, asked, shard = _TOPICS[topic]
    home_e6 = 60_000 + 90_000 * outcome
    is_tail = home_e6 < _TAIL_E6
    churn_ms = _churn_ms(number)
    name = f"{series.lower()[2:]}-{stamp.lower()}-{group}-{outcome}"
    title = f"{asked}, group {group}: {outcome}"
    return Play(
        kalshi=kalshi_market(
            f"{series}-{stamp}G{group:02d}-{outcome}", title,
            TAPERED_DECI_CENT if is_tail else LINEAR_CENT if outcome % 4 else DECI_CENT, shard,
        ),
        polymarket=polymarket_market(
            name, title, 1_000 if is_tail else 10_000, 50_000 if shard else 40_000,
            neg_risk=bool(topic % 2),
        ),
        kalshi_quoting=replace(CALM, churn_ms=churn_ms),
        polymarket_quoting=replace(CALM_SLOW, churn_ms=churn_ms * 5 // 4),
        home_e6=home_e6, step_e6=_STEP_E6 // 4 if is_tail else _STEP_E6, walk_ms=_WALK_MS,
    )  # fmt: skip


def _churn_ms(number: int) -> int:
    """Mean time between size changes of the market."""
    rank = number * 7 % 10
    return 1_000 if rank == 0 else 4_000 if rank < 4 else 15_000
