"""CoinGecko stands in while a stream is down, within its plan, and says that it was polled."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import orjson
import pytest

from feeds.coingecko import (
    DOWN_NS,
    MINUTE_NS,
    PLANS,
    Bucket,
    CoinGecko,
    Pace,
    Plan,
    streams_of,
)
from feeds.publisher import Publisher
from feeds.rest import StatusError
from feeds.update import MS_NS, SECOND_NS, FeedError
from shm_layout import (
    COUNTERS,
    E8,
    FEED_ROLE,
    LIVE_EPOCH_AT,
    NO_SNAPSHOT,
    POLLED,
    ROLE,
    VENUES,
    Segment,
    cell,
    word_store,
)
from tests.conftest import reference
from tests.feeds.rig import Clock

COINBASE, KRAKEN = VENUES.index("coinbase"), VENUES.index("kraken")
PRODUCTS = {"bitcoin": 4, "ethereum": 5}
STAMP_S = 1_790_000_000


class FakeRest:
    """Answers with prices, or raises what it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, list[str], Mapping[str, str]]] = []
        self.prices = {"bitcoin": "103663", "ethereum": "2587.79"}
        self.raises: list[FeedError] = []
        self.clock = Clock()

    async def get(self, path: str, params: Any = None, more: Any = None) -> bytes:
        assert path == "/api/v3/simple/price" and params["vs_currencies"] == "usd"
        names = params["ids"].split(",")
        self.asked.append((self.clock.now_ns, names, more))
        if self.raises:
            raise self.raises.pop(0)
        rows = [f'"{name}":{{"usd":{self.prices[name]},"last_updated_at":{STAMP_S}}}'
                for name in names if name in self.prices]  # fmt: skip
        return f"{{{','.join(rows)}}}".encode()


class Scene:
    """Two streams, of which each product has one or both, and the fallback under a manual clock."""

    def __init__(
        self,
        plan: Plan = PLANS["demo"],
        *,
        streams: str = f"bitcoin {COINBASE} {KRAKEN}, ethereum {COINBASE}",
        key: str = "",
    ) -> None:
        self.segment = Segment.private()
        self.publisher = Publisher(
            self.segment, feed=VENUES.index("coingecko"), epoch=9, now_ns=1,
            products=tuple(PRODUCTS.values()),
        )  # fmt: skip
        self.rest = FakeRest()
        self.clock = self.rest.clock
        self.up = {COINBASE: True, KRAKEN: True}
        self.beat()
        self.job = CoinGecko(
            self.publisher,
            self.rest,  # type: ignore[arg-type]
            streams_of(self.segment, streams, tuple(PRODUCTS)),
            plan=plan,
            key=key,
            clock=self.clock,
            ttl_ns=2 * SECOND_NS,
            slow_ns=10 * SECOND_NS,
        )

    def word(self, feed: int, name: str, value: int) -> None:
        row = self.segment.at("roles", FEED_ROLE + feed)
        word_store(self.segment.words, row + cell(ROLE, name), value)

    def beat(self) -> None:
        for feed, is_up in self.up.items():
            word_store(self.segment.words, LIVE_EPOCH_AT + FEED_ROLE + feed, 3)
            self.word(feed, "beat_ns", self.clock.now_ns)
            self.word(feed, "connected", int(is_up))

    def run(self, seconds: int) -> list[str]:
        """Turns as the feed makes them."""
        errors = []
        end_ns = self.clock.now_ns + seconds * SECOND_NS
        while self.clock.now_ns < end_ns:
            self.clock.now_ns += self.job.wait_ns()
            self.beat()
            errors += asyncio.run(self.job.turn())
        return errors

    def spot(self, name: str) -> Any:
        row = self.segment.read("spot", PRODUCTS[name])
        assert row is not None
        return row

    def trust(self, name: str) -> int:
        return int(self.spot(name)["trust"])


def at(of: Sequence[tuple[int, list[str], Any]]) -> list[int]:
    return [now_ns for now_ns, _, _ in of]


def test_nothing_is_asked_while_every_stream_lives() -> None:
    scene = Scene()
    assert scene.run(60) == []
    assert scene.rest.asked == [] and scene.trust("bitcoin") == NO_SNAPSHOT


def test_the_fallback_begins_when_a_stream_dies_and_ends_when_it_is_back() -> None:
    scene = Scene()
    scene.run(5)
    scene.up[COINBASE] = False
    died_ns = scene.clock.now_ns
    scene.run(3)
    (first_ns, names, _), *_ = scene.rest.asked
    assert DOWN_NS <= first_ns - died_ns <= DOWN_NS + 500 * MS_NS
    assert names == ["bitcoin", "ethereum"], "one call for all that lost a stream"
    row = scene.spot("bitcoin")
    assert (int(row["trust"]), int(row["last_e8"])) == (POLLED, 103_663 * E8)
    assert int(row["event_epoch_ns"]) == STAMP_S * SECOND_NS
    assert (int(row["trade_id"]), int(row["size_e8"])) == (0, 0), "a price, no trade"
    scene.up[COINBASE] = True
    asked = len(scene.rest.asked)
    scene.run(60)
    assert len(scene.rest.asked) == asked
    assert scene.trust("bitcoin") & NO_SNAPSHOT and scene.trust("ethereum") & NO_SNAPSHOT


def test_only_the_products_of_the_dead_stream_are_asked_for() -> None:
    scene = Scene()
    scene.up[KRAKEN] = False
    scene.run(10)
    assert {tuple(names) for _, names, _ in scene.rest.asked} == {("bitcoin",)}
    assert (scene.trust("bitcoin"), scene.trust("ethereum")) == (POLLED, NO_SNAPSHOT)


def test_a_stream_whose_process_stopped_beating_is_down() -> None:
    scene = Scene()
    del scene.up[KRAKEN]
    scene.run(5)
    assert scene.rest.asked


def test_a_blip_needs_no_fallback_and_a_blocked_venue_none_at_all() -> None:
    scene = Scene()
    for _ in range(20):
        scene.up[KRAKEN] = not scene.up[KRAKEN]
        scene.clock.now_ns += DOWN_NS // 2
        scene.beat()
        asyncio.run(scene.job.turn())
    scene.up[KRAKEN] = False
    row = scene.segment.at("roles", FEED_ROLE + KRAKEN) + cell(ROLE, "counters")
    word_store(scene.segment.words, row + COUNTERS["feed"].index("blocked"), 1)
    scene.run(30)
    assert scene.rest.asked == []


@pytest.mark.parametrize("name", sorted(PLANS))
@pytest.mark.parametrize("seed", range(3))
def test_the_plan_is_never_exceeded_in_any_minute(name: str, seed: int) -> None:
    chance, plan = random.Random(seed), PLANS[name]
    scene = Scene(plan)
    scene.up[COINBASE] = False
    for _ in range(600):
        scene.rest.prices["bitcoin"] = str(chance.randrange(50_000, 150_000))
        scene.up[COINBASE] = chance.randrange(30) == 0
        scene.run(1)
    stamps = at(scene.rest.asked)
    assert len(stamps) > 100
    for i, begin_ns in enumerate(stamps):
        assert sum(stamp < begin_ns + MINUTE_NS for stamp in stamps[i:]) <= plan.per_minute


def test_a_bucket_asked_all_the_time_keeps_its_limit_in_every_stretch() -> None:
    """And one that is merely refilled at the plan's rate with the plan's burst does not."""

    def most(bucket: Bucket) -> int:
        stamps = []
        for now_ns in range(0, 5 * MINUTE_NS, MINUTE_NS // 600):
            if bucket.has_one(now_ns):
                bucket.pay(now_ns)
                stamps.append(now_ns)
        return max(sum(begin <= stamp < begin + MINUTE_NS for stamp in stamps) for begin in stamps)

    assert 28 <= most(Bucket(30, MINUTE_NS, 0)) <= 30
    naive = Bucket(30, MINUTE_NS, 0)
    naive._rate, naive._burst, naive._units = 30, 30, 30 * MINUTE_NS
    assert most(naive) > 30


def test_a_month_has_its_credits_too() -> None:
    scene = Scene(Plan(per_minute=30, per_month=20, header="x"))
    scene.up[COINBASE] = False
    scene.run(600)
    assert len(scene.rest.asked) == 2, "a tenth at once, the rest over the month"


def test_it_asks_more_often_while_prices_move_and_less_in_quiet() -> None:
    pace = Pace(floor_ns=2, slow_ns=16)
    seen = []
    for move_bp in (50, 50, 50, 50, 0, 0, 0, 0, 0, 0):
        pace.moved(move_bp)
        seen.append(pace.wait_ns)
    assert seen == [8, 4, 2, 2, 3, 4, 6, 9, 13, 16]


def test_the_answer_before_stands_for_its_ttl_whatever_moves() -> None:
    scene = Scene(PLANS["basic"])
    scene.up[COINBASE] = False
    for second in range(60):
        scene.rest.prices["bitcoin"] = str(100_000 + second * 1_000)
        scene.run(1)
    stamps = at(scene.rest.asked)
    assert min(b - a for a, b in pairwise(stamps)) >= 2 * SECOND_NS


def test_a_429_waits_as_long_as_it_says() -> None:
    scene = Scene()
    scene.up[COINBASE] = False
    scene.rest.raises = [StatusError("status: found 429", 429, 45)]
    errors = scene.run(120)
    first_ns, second_ns, *_ = at(scene.rest.asked)
    assert second_ns - first_ns >= 45 * SECOND_NS and errors == ["status: found 429"]


@pytest.mark.parametrize("status", [401, 403, 451])
def test_a_refused_key_or_place_is_asked_once(status: int) -> None:
    scene = Scene()
    scene.up[COINBASE] = False
    scene.rest.raises = [StatusError("refused", status, 0)]
    assert scene.run(600) == ["refused"]
    assert len(scene.rest.asked) == 1 and scene.publisher.counted("blocked") == 1


def test_what_fails_is_tried_again_later_and_later() -> None:
    scene = Scene()
    scene.up[COINBASE] = False
    scene.rest.raises = [FeedError(f"no answer {n}") for n in range(4)]
    scene.run(120)
    stamps = at(scene.rest.asked)
    waits = [b - a for a, b in pairwise(stamps)]
    assert all(wait >= SECOND_NS for wait in waits) and waits[3] > waits[0]
    assert scene.trust("bitcoin") == POLLED


def test_the_key_goes_in_the_plans_header_and_no_key_in_none() -> None:
    for key, wanted in (("k", {"x-cg-demo-api-key": "k"}), ("", {})):
        scene = Scene(key=key)
        scene.up[COINBASE] = False
        scene.run(3)
        assert scene.rest.asked[0][2] == wanted


@pytest.mark.parametrize(
    ("price", "trouble"),
    [("1.5e3", "number"), ("0", "more than 0"), ("-1", "more than 0"), ('"x"', "number"),
     ("null", "number"), ("0.123456789", "at most 8"), ("{}", "number")],
)  # fmt: skip
def test_a_price_that_is_none_is_named_and_the_others_count(price: str, trouble: str) -> None:
    scene = Scene()
    scene.rest.prices["bitcoin"] = price
    scene.up[COINBASE] = False
    (error, *_) = scene.run(3)
    assert "bitcoin" in error and trouble in error
    assert (scene.trust("bitcoin"), scene.trust("ethereum")) == (NO_SNAPSHOT, POLLED)


def test_an_absent_id_is_named() -> None:
    scene = Scene()
    del scene.rest.prices["ethereum"]
    scene.up[COINBASE] = False
    assert scene.run(2) == ["simple/price: ethereum: absent from the answer"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 5_000, b'{"bitcoin":1}'])
def test_what_is_no_answer_is_an_error_and_counted(body: bytes) -> None:
    scene = Scene()
    with pytest.raises(FeedError, match="simple/price"):
        scene.job.took(body, ["bitcoin"], 5)
    assert scene.publisher.counted("bad_frames") == 1


def test_the_answers_of_the_archive_come_out_as_expected() -> None:
    rows = orjson.loads(reference("fixtures/spot/coingecko.json").read_bytes())
    bodies = {row["id"]: orjson.dumps(row["body"]) for row in rows}
    scene = Scene()
    assert scene.job.took(bodies["cg-simple-2025"], ["bitcoin", "ethereum"], 5) == []
    assert int(scene.spot("ethereum")["last_e8"]) == 258_779_000_000
    assert int(scene.spot("bitcoin")["event_epoch_ns"]) == 1_747_407_859 * SECOND_NS
    (absent,) = scene.job.took(bodies["cg-simple-unknown"], ["bitcoin"], 6)
    assert "absent" in absent
    for name in ("cg-429", "cg-chart"):
        with pytest.raises(FeedError):
            scene.job.took(bodies[name], ["bitcoin"], 7)


@pytest.mark.parametrize("text", ["bitcoin x", "bitcoin 3 -4"])
def test_streams_are_told_as_numbers_of_feeds(text: str) -> None:
    with pytest.raises(FeedError, match="streams: found"):
        streams_of(Segment.private(), text, ("bitcoin",))
