"""The recorded sessions that whole-engine tests play, and what is known of them beforehand."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from functools import cache

from ops.venues.recorded import RecordedScript, load
from tests.conftest import recorded
from tests.offline_edges import Rules

NBA = "dual_nba_mvp_l2"
NBA_FROM = "2026-01-03T20:40Z"
GAP_MAX_S = 5
SHAI, JOKIC, LUKA = range(3)  # pairs; market 2·pair is Kalshi's, 2·pair + 1 Polymarket's
KALSHI_YES, POLYMARKET_YES = 0, 1  # directions; the other venue's NO is the other leg


@cache
def nba(speed_e6: int = 1_000_000) -> RecordedScript:
    """Three players, each at both venues, from 20:40 on; silences cut to 5 s."""
    return load(
        [recorded(NBA)],
        from_epoch_ns=round(datetime.fromisoformat(NBA_FROM).timestamp()) * 10**9,
        gap_max_ns=GAP_MAX_S * 10**9,
        speed_e6=speed_e6,
    )


def rules(edge_min_e6: int) -> Rules:
    """The offline computation with a threshold in 1e-6 dollars a contract; no capital hurdle."""
    return Rules(edge_min=Fraction(edge_min_e6, 10**6))


def time_text(epoch_ns: int) -> str:
    """UTC time of day to the ms."""
    moment = datetime.fromtimestamp(epoch_ns // 10**9, UTC)
    return f"{moment:%H:%M:%S}.{epoch_ns // 10**6 % 1000:03d}"
