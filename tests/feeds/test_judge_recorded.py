"""Recorded sessions under a clock that runs: no skew where there is none, and what jumps cost."""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson
import pytest

from feeds.offset import MS_NS, SECOND_NS
from feeds.update import MarketFacts
from shm_layout import E6, OUTLIER, ST_ACTIVE, TIME_SKEW, word_store
from tests.conftest import recorded
from tests.feeds.kalshi_line import Line, Recorded, recorded_frames
from tests.feeds.rig import Market, rig

STEP_NS = 100 * MS_NS
SESSIONS = ("20260511T121730Z", "20260513T215130Z", "20260514T043808Z_reconnect")


@dataclass
class Watch:
    """Time with a book, and with each of the bits, over all markets that had a frame."""

    lived_ns: int = 0
    bits_ns: dict[int, int] = field(default_factory=dict)
    longest_ns: int = 0
    skewed: int = 0
    outliers: int = 0


def play(frames: list[Recorded], *, freeze_from: int = 1 << 60) -> Watch:
    """A session by its recorder's clock, which is our machine's. `freeze_from`: from that frame on
    the venue's stamps stand still."""
    tickers = {orjson.loads(each.payload)["msg"]["market_ticker"]: None for each in frames}
    facts = MarketFacts(status=ST_ACTIVE, grid=((E6, 100),))
    made = Line(rig(*(Market(ticker) for ticker in tickers), facts=facts))
    begin_ns, watch, seen = frames[0].recv_ns, Watch(), False
    at = made.rig.segment.at("run_clock")
    for place, value in ((8, begin_ns), (9, begin_ns), (10, 1_000_000), (0, 2)):
        word_store(made.rig.segment.words, at + place, value)
    now_ns, since_ns, frozen = begin_ns, 0, 0
    for number, each in enumerate(frames):
        while now_ns < each.recv_ns:
            now_ns = min(now_ns + STEP_NS, each.recv_ns)
            for local in range(len(tickers)):
                trust = made.rig.trust(local)
                if not trust & ~(OUTLIER | TIME_SKEW):
                    watch.lived_ns += STEP_NS
                for bit in (OUTLIER, TIME_SKEW):
                    held_ns = STEP_NS if trust & bit else 0
                    watch.bits_ns[bit] = watch.bits_ns.get(bit, 0) + held_ns
            made.kalshi.tick(now_ns)
        if each.kind == "orderbook_snapshot" and each.seq == 1 and seen:
            made.kalshi.closed(each.recv_ns)
            made.open()
        seen |= each.kind != "ticker"
        payload = each.payload
        if number >= freeze_from and each.kind == "orderbook_delta":
            frame = orjson.loads(payload)
            frozen = frozen or frame["msg"]["ts_ms"]
            payload = orjson.dumps(frame | {"msg": frame["msg"] | {"ts_ms": frozen}})
        had = made.rig.trust(0) & OUTLIER
        made.kalshi.frame(memoryview(payload), each.recv_ns, True)
        has = made.rig.trust(0) & OUTLIER
        since_ns = each.recv_ns if has and not had else since_ns
        if had and not has:
            watch.longest_ns = max(watch.longest_ns, each.recv_ns - since_ns)
    watch.skewed = made.rig.counted("skewed")
    watch.outliers = made.rig.counted("outliers")
    return watch


@pytest.mark.parametrize("session", SESSIONS[1:])  # of the first, with the clock frozen, below
def test_a_recorders_slow_and_drifting_clock_is_no_skew_and_jumps_cost_little(session: str) -> None:
    watch = play(list(recorded_frames(recorded("kalshi_btc15m_ws_coinbase") / session)))
    assert watch.lived_ns > 800 * SECOND_NS
    assert watch.skewed == 0 and watch.bits_ns[TIME_SKEW] == 0
    assert watch.bits_ns[OUTLIER] * 1_000 < watch.lived_ns, watch


def test_the_same_session_with_frozen_stamps_is_skewed() -> None:
    """The negative control."""
    frames = list(recorded_frames(recorded("kalshi_btc15m_ws_coinbase") / SESSIONS[0]))[:12_000]
    watch = play(frames, freeze_from=6_000)
    assert watch.skewed > 3_000 and watch.bits_ns[TIME_SKEW] > 30 * SECOND_NS, watch
